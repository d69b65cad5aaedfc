//! The people who are mailed.
//!
//! A recipient is a number; everything about them (provider, name, spelling, habits, whether the
//! mailbox works) is derived from the seed and that number, so a population of any size takes no
//! memory. Owns the invariant that two recipients of one kind never share an address.

use std::fmt::Write as _;

use super::dice::Derived;
use super::provider::{Market, Provider, Trouble};

/// How somebody came onto the list; the quality of an address depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Just typed their address into the sign-up form.
    SignUp,
    /// Books and gets newsletters.
    Customer,
    /// On a list that was not mailed for years.
    OldList,
}

/// What reads (or pretends to read) the recipient's mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Apple Mail with Mail Privacy Protection: prefetches whatever arrives.
    AppleMail,
    /// Gmail: images come through Google's proxy when a person opens.
    GoogleProxy,
    /// Yahoo Mail, likewise.
    YahooProxy,
    /// A mail program or browser of the person's own.
    Direct,
}

/// A recipient, as far as the simulation needs to know.
pub(super) struct Recipient {
    pub(super) id: u64,
    pub(super) provider: Provider,
    pub(super) market: Market,
    pub(super) reader: Reader,
    /// Mail passes a security scanner that fetches every link.
    pub(super) scanned: bool,
    /// The mailbox never takes mail, and why.
    pub(super) ailment: Option<Trouble>,
    /// Answers automatically at the moment.
    pub(super) away: bool,
    traits: Derived,
}

const ORIGIN_SHIFT: u32 = 60;

/// Number of the `index`-th recipient of an origin.
pub(super) fn recipient_id(origin: Origin, index: u64) -> u64 {
    let origin = match origin {
        Origin::Customer => 0_u64,
        Origin::SignUp => 1,
        Origin::OldList => 2,
    };
    origin << ORIGIN_SHIFT | index
}

const WESTERN: [(Provider, u32); 8] = [
    (Provider::Gmail, 400),
    (Provider::Outlook, 190),
    (Provider::Yahoo, 120),
    (Provider::Icloud, 110),
    (Provider::Gmx, 70),
    (Provider::Corporate, 106),
    (Provider::International, 4),
    (Provider::YahooJapan, 0),
];
const JAPANESE: [(Provider, u32); 8] = [
    (Provider::Gmail, 330),
    (Provider::Docomo, 150),
    (Provider::Au, 110),
    (Provider::Softbank, 90),
    (Provider::YahooJapan, 140),
    (Provider::Icloud, 90),
    (Provider::CorporateJapan, 70),
    (Provider::Outlook, 20),
];

impl Recipient {
    /// The recipient with number `id` in the world of `seed`.
    pub(super) fn of(seed: u64, id: u64) -> Self {
        let mut traits = Derived::new(seed, id, 1);
        let origin = match id >> ORIGIN_SHIFT {
            0 => Origin::Customer,
            1 => Origin::SignUp,
            _ => Origin::OldList,
        };
        let market = if traits.chance(520_000) { Market::Japan } else { Market::West };
        let shares = if market == Market::Japan { &JAPANESE } else { &WESTERN };
        let mut provider = shares[traits.weighted(&shares.map(|(_, weight)| weight))].0;
        let ailment = ailment(origin, &mut traits);
        if ailment == Some(Trouble::BadDomain) {
            provider = Provider::Typo;
        }
        let reader = match provider {
            Provider::Icloud if traits.chance(850_000) => Reader::AppleMail,
            Provider::Gmail if traits.chance(170_000) => Reader::AppleMail,
            Provider::Gmail => Reader::GoogleProxy,
            Provider::Yahoo if traits.chance(700_000) => Reader::YahooProxy,
            Provider::Docomo | Provider::Au | Provider::Softbank | Provider::YahooJapan
                if traits.chance(300_000) =>
            {
                Reader::AppleMail
            }
            _ => Reader::Direct,
        };
        let scanned = match provider {
            Provider::Corporate | Provider::CorporateJapan => traits.chance(420_000),
            _ => false,
        };
        let away = matches!(provider, Provider::Corporate | Provider::CorporateJapan)
            && traits.chance(20_000);
        Self { id, provider, market, reader, scanned, ailment, away, traits }
    }

    /// Domain of the address.
    pub(super) fn domain(&self) -> &'static str {
        let domains = self.provider.profile().domains;
        let total: u64 = domains.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut point = Derived::new(self.id, self.traits.clone().next(), 2).below(total);
        for (domain, weight) in domains {
            if point < u64::from(*weight) {
                return domain;
            }
            point -= u64::from(*weight);
        }
        domains[0].0
    }

    /// Writes the address as the sender has it on file.
    pub(super) fn address(&self, into: &mut String) {
        let mut traits = self.traits.clone();
        let style = traits.below(5);
        let first = traits.pick(self.first_names());
        let last = traits.pick(self.last_names());
        let number = self.id & ((1 << ORIGIN_SHIFT) - 1);
        let from = into.len();
        // Writing into a String cannot fail, here and below.
        let _ = match style {
            0 => write!(into, "{first}.{last}{number}"),
            1 => write!(into, "{first}_{last}{number}"),
            2 => write!(into, "{}{last}{number}", &first[..1]),
            3 => write!(into, "{last}-{first}{number}"),
            _ => write!(into, "{first}{number}"),
        };
        if traits.chance(30_000) {
            into.push_str(traits.pick(&["+travel", "+news", "+example.com", "+shop"]));
        }
        into.push('@');
        into.push_str(self.domain());
        // Some people type their address with a capital letter, or all in capitals.
        if traits.chance(15_000) && into.is_char_boundary(from + 1) {
            into[from..=from].make_ascii_uppercase();
        } else if traits.chance(4_000) {
            into[from..].make_ascii_uppercase();
        }
    }

    /// Writes the person's name, in the script of their market.
    pub(super) fn display_name(&self, into: &mut String) {
        let mut traits = self.traits.clone();
        let _ = traits.next();
        let first = traits.pick(self.first_names());
        let last = traits.pick(self.last_names());
        if self.market == Market::Japan && traits.below(2) == 0 {
            into.push_str(traits.pick(&KANJI_NAMES));
            return;
        }
        for (at, name) in [first, last].into_iter().enumerate() {
            if at > 0 {
                into.push(' ');
            }
            let start = into.len();
            into.push_str(name);
            into[start..=start].make_ascii_uppercase();
        }
    }

    fn first_names(&self) -> &'static [&'static str] {
        if self.market == Market::Japan { &JAPANESE_FIRST } else { &WESTERN_FIRST }
    }

    fn last_names(&self) -> &'static [&'static str] {
        if self.market == Market::Japan { &JAPANESE_LAST } else { &WESTERN_LAST }
    }
}

fn ailment(origin: Origin, traits: &mut Derived) -> Option<Trouble> {
    // Per million: unknown user, domain that does not exist, disabled, full.
    let rates: [u32; 4] = match origin {
        Origin::SignUp => [16_000, 12_000, 500, 1_500],
        Origin::Customer => [9_000, 1_500, 4_000, 4_000],
        Origin::OldList => [32_000, 8_000, 14_000, 12_000],
    };
    let ailments =
        [Trouble::UnknownUser, Trouble::BadDomain, Trouble::Disabled, Trouble::MailboxFull];
    let mut point = traits.below(1_000_000);
    for (ailment, rate) in ailments.into_iter().zip(rates) {
        if point < u64::from(rate) {
            return Some(ailment);
        }
        point -= u64::from(rate);
    }
    None
}

const JAPANESE_FIRST: [&str; 16] = [
    "yuki", "haruka", "kenta", "sakura", "takashi", "mio", "daisuke", "aoi", "ren", "naoko",
    "shota", "emi", "kazuki", "yui", "hiroshi", "rina",
];
const JAPANESE_LAST: [&str; 16] = [
    "sato",
    "suzuki",
    "takahashi",
    "tanaka",
    "ito",
    "watanabe",
    "yamamoto",
    "nakamura",
    "kobayashi",
    "kato",
    "yoshida",
    "yamada",
    "sasaki",
    "matsumoto",
    "inoue",
    "kimura",
];
const KANJI_NAMES: [&str; 12] = [
    "佐藤 結衣",
    "鈴木 健太",
    "高橋 美咲",
    "田中 浩",
    "伊藤 さくら",
    "渡辺 大輔",
    "山本 葵",
    "中村 蓮",
    "小林 直子",
    "加藤 翔太",
    "吉田 恵美",
    "山田 太郎",
];
const WESTERN_FIRST: [&str; 20] = [
    "anna", "james", "sofia", "lukas", "marie", "oliver", "elena", "thomas", "chloe", "david",
    "ingrid", "paul", "laura", "noah", "emma", "mateo", "clara", "george", "julia", "felix",
];
const WESTERN_LAST: [&str; 20] = [
    "miller",
    "smith",
    "rossi",
    "schmidt",
    "dubois",
    "jones",
    "garcia",
    "weber",
    "martin",
    "novak",
    "hansen",
    "brown",
    "fischer",
    "moreau",
    "silva",
    "walker",
    "keller",
    "evans",
    "lindqvist",
    "cole",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn recipients_are_the_same_whenever_asked_and_differ_in_address() {
        let mut seen = HashSet::new();
        for index in 0..20_000 {
            let id = recipient_id(Origin::Customer, index);
            let mut address = String::new();
            Recipient::of(3, id).address(&mut address);
            let mut again = String::new();
            Recipient::of(3, id).address(&mut again);
            assert_eq!(address, again);
            assert!(seen.insert(address.to_lowercase()), "{address} belongs to two recipients");
        }
    }

    #[test]
    fn every_provider_is_there() {
        let mut seen = HashSet::new();
        for index in 0..20_000 {
            let recipient = Recipient::of(3, recipient_id(Origin::SignUp, index));
            seen.insert(format!("{:?}", recipient.provider));
        }
        assert_eq!(seen.len(), 13);
    }
}
