//! Which operator runs the mailbox of a domain, and whether that operator reports complaints.
//!
//! Events carry no such field, so it is told from the recipient's domain alone (no DNS: judging is
//! pure). Company domains hosted at Google or Microsoft therefore count as `other`. Owns one
//! invariant: a domain's operator does not depend on anything but the domain.

mod domains;

use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64;

use domains::{DOMAINS, PARENTS};

/// The operator of domains this table does not know.
pub const OTHER: &str = "other";

/// The operator of a mailbox at `domain` (lower case, punycode, no trailing dot), or [`OTHER`].
///
/// Domains bought by another operator count as the operator whose servers take the mail:
/// AOL and Verizon's `verizon.net` at Yahoo, `ybb.ne.jp` at Yahoo! JAPAN (a company apart from
/// Yahoo), Y!mobile's `yahoo.ne.jp` at Y!mobile.
#[must_use]
pub fn mailbox_provider(domain: &str) -> &'static str {
    if let Some(provider) = OPERATED.find(domain) {
        return provider;
    }
    if let Some((name, rest)) = domain.split_once('.') {
        if let Some(provider) = country_family(name, rest) {
            return provider;
        }
        return parent_family(rest);
    }
    OTHER
}

/// The tables by hash: this runs for every row, and most domains of company lists are in neither.
struct Index {
    table: &'static [(&'static str, &'static str)],
    /// One more than the place in `table`, or 0; open addressing, at most half full.
    slots: Vec<u16>,
}

static OPERATED: LazyLock<Index> = LazyLock::new(|| Index::over(&DOMAINS));
static PARENT: LazyLock<Index> = LazyLock::new(|| Index::over(&PARENTS));

impl Index {
    fn over(table: &'static [(&'static str, &'static str)]) -> Self {
        let mut slots = vec![0; (table.len() * 2).next_power_of_two()];
        let mut number = 0;
        for (domain, _) in table {
            number += 1;
            let mut slot = Self::first_slot(domain, slots.len());
            while slots[slot] != 0 {
                slot = (slot + 1) % slots.len();
            }
            slots[slot] = number;
        }
        Self { table, slots }
    }

    #[allow(clippy::cast_possible_truncation)] // the remainder is below the number of slots
    fn first_slot(domain: &str, slots: usize) -> usize {
        (xxh3_64(domain.as_bytes()) % slots as u64) as usize
    }

    fn find(&self, domain: &str) -> Option<&'static str> {
        let mut slot = Self::first_slot(domain, self.slots.len());
        while let Some(place) = self.slots[slot].checked_sub(1) {
            let (known, provider) = self.table[usize::from(place)];
            if known == domain {
                return Some(provider);
            }
            slot = (slot + 1) % self.slots.len();
        }
        None
    }
}

/// Names an operator holds under many country domains: `yahoo.co.uk`, `hotmail.fr`, `live.com.au`.
fn country_family(name: &str, rest: &str) -> Option<&'static str> {
    let provider = match name {
        "yahoo" => "yahoo",
        "hotmail" | "live" | "outlook" => "outlook",
        "yandex" => "yandex",
        "zoho" | "zohomail" => "zoho",
        "gmx" => "gmx",
        _ => return None,
    };
    let country = match rest.split_once('.') {
        Some((second, country)) => matches!(second, "com" | "co" | "net") && country.len() == 2,
        None => rest.len() == 2 || rest == "com",
    };
    country.then_some(provider)
}

/// Operators that give each customer group a host of its own: `jcom.zaq.ne.jp`, `k.vodafone.ne.jp`.
fn parent_family(mut rest: &str) -> &'static str {
    // A name without a dot is a top-level domain, which nobody in the table operates.
    while let Some((_, parent)) = rest.split_once('.') {
        if let Some(provider) = PARENT.find(rest) {
            return provider;
        }
        rest = parent;
    }
    OTHER
}

/// Whether complaints of this operator's users reach the sender as single reports.
///
/// The denominator of an honest complaint rate: mail to operators without a feedback loop can't
/// produce a complaint, and would only dilute the rate. Takes the name [`mailbox_provider`] gives.
///
/// Sources. Amazon SES developer guide, "Metrics FAQs" and "Understanding complaint data": SES
/// receives complaints only from providers with a feedback loop, and Gmail sends SES no complaint
/// data (its Postmaster Tools give an aggregate per Feedback-ID). Yahoo Sender Hub, "Complaint
/// Feedback Loop" (Yahoo and AOL; also the mail it hosts for AT&T, Verizon and Rogers). Microsoft, "Junk Mail
/// Reporting Program" (outlook.com, hotmail, live, msn). Validity, "Universal Feedback Loop"
/// (Comcast, Cox, Fastmail, Libero, Telstra's BigPond and others). Signal Spam (Orange, SFR, Free, La Poste; reports go to
/// members). Mail.ru Postmaster, "FBL". Seznam, "Feedback loop". Apple, Proton and the Japanese operators publish none.
/// Whether SES is enrolled in each is not published: for operators named here a complaint is possible, not certain.
#[must_use]
pub fn has_feedback_loop(provider: &str) -> bool {
    matches!(
        provider,
        "yahoo"
            | "outlook"
            | "att"
            | "verizon"
            | "rogers"
            | "comcast"
            | "cox"
            | "fastmail"
            | "libero"
            | "bigpond"
            | "orange"
            | "sfr"
            | "free"
            | "laposte"
            | "mail_ru"
            | "seznam"
    )
}

#[cfg(test)]
mod tests;
