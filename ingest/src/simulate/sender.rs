//! The company that sends: "Example Travel", its kinds of mail, identities, subjects and links.

use std::fmt::Write as _;

use super::dice::Derived;
use super::population::Origin;
use super::provider::Market;

/// A kind of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    SignUp,
    PasswordReset,
    Receipt,
    Newsletter,
    Reengagement,
    /// From an identity with feedback notifications instead of a configuration set.
    FareAlert,
    /// A Pinpoint campaign.
    SeatSale,
    /// A Pinpoint journey.
    Onboarding,
}

/// The dialect in which feedback on a message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// SES event publishing (`eventType`).
    SesEvents,
    /// SES feedback notifications (`notificationType`).
    SesFeedback,
    Pinpoint,
}

/// What is fixed for a kind of mail. Rates are per million.
pub(super) struct FlowProfile {
    pub(super) name: &'static str,
    pub(super) template: &'static str,
    pub(super) configuration_set: &'static str,
    pub(super) mailbox: &'static str,
    pub(super) operation: &'static str,
    pub(super) origin: Origin,
    pub(super) marketing: bool,
    pub(super) opens: u32,
    /// Of those who opened.
    pub(super) clicks: u32,
    pub(super) complaints: u32,
    pub(super) links: &'static [&'static str],
    english: &'static [&'static str],
    japanese: &'static [&'static str],
}

impl Flow {
    pub(super) const fn service(self) -> Service {
        match self {
            Self::FareAlert => Service::SesFeedback,
            Self::SeatSale | Self::Onboarding => Service::Pinpoint,
            _ => Service::SesEvents,
        }
    }

    pub(super) const fn profile(self) -> &'static FlowProfile {
        match self {
            Self::SignUp => &SIGN_UP,
            Self::PasswordReset => &PASSWORD_RESET,
            Self::Receipt => &RECEIPT,
            Self::Newsletter => &NEWSLETTER,
            Self::Reengagement => &REENGAGEMENT,
            Self::FareAlert => &FARE_ALERT,
            Self::SeatSale => &SEAT_SALE,
            Self::Onboarding => &ONBOARDING,
        }
    }
}

const SIGN_UP: FlowProfile = FlowProfile {
    name: "sign-up",
    template: "sign-up-confirmation-v3",
    configuration_set: "transactional",
    mailbox: "no-reply",
    operation: "SendTemplatedEmail",
    origin: Origin::SignUp,
    marketing: false,
    opens: 720_000,
    clicks: 780_000,
    complaints: 40,
    links: &["/account/confirm?token=%t&utm_source=sign-up&utm_medium=email", "/help", "/privacy"],
    english: &[
        "Confirm your Example Travel account",
        "One more step: please confirm your e-mail address",
    ],
    japanese: &["【Example Travel】会員登録のご確認", "メールアドレスの確認をお願いします"],
};
const PASSWORD_RESET: FlowProfile = FlowProfile {
    name: "password-reset",
    template: "password-reset-v2",
    configuration_set: "transactional",
    mailbox: "no-reply",
    operation: "SendEmail",
    origin: Origin::Customer,
    marketing: false,
    opens: 850_000,
    clicks: 800_000,
    complaints: 20,
    links: &["/account/reset?token=%t", "/help"],
    english: &["Reset your password", "Your request for a new password"],
    japanese: &["パスワード再設定のご案内", "【重要】パスワードの再設定について"],
};
const RECEIPT: FlowProfile = FlowProfile {
    name: "booking-receipt",
    template: "booking-receipt-v7",
    configuration_set: "transactional",
    mailbox: "bookings",
    operation: "SendRawEmail",
    origin: Origin::Customer,
    marketing: false,
    opens: 680_000,
    clicks: 240_000,
    complaints: 40,
    links: &["/bookings/%b?key=%t&utm_source=receipt", "/bookings/%b/seats", "/check-in", "/help"],
    english: &[
        "Your booking %b to %c is confirmed",
        "Receipt for booking %b (%c)",
        "Booking %b: \"%c\" – everything you need to know",
    ],
    japanese: &[
        "ご予約確認（予約番号 %b・%c）",
        "【Example Travel】%c行きのご予約が確定しました（%b）",
    ],
};
const NEWSLETTER: FlowProfile = FlowProfile {
    name: "newsletter",
    template: "newsletter-2026",
    configuration_set: "marketing",
    mailbox: "news",
    operation: "SendBulkTemplatedEmail",
    origin: Origin::Customer,
    marketing: true,
    opens: 210_000,
    clicks: 130_000,
    complaints: 2_100,
    links: &[
        "/offers/%s?utm_source=newsletter&utm_medium=email&utm_campaign=%g",
        "/offers?utm_source=newsletter&utm_medium=email&utm_campaign=%g",
        "/magazine/%s",
        "/app",
        "/unsubscribe?c=%t",
    ],
    english: &[
        "%c from €49: this week's fares ✈️",
        "Autumn in %c: \"early bird\" seats",
        "Five quiet corners of %c",
    ],
    japanese: &[
        "今週の特集：%c ✈ 早割のお知らせ",
        "【会員限定】%c行きがお得です",
        "秋の%cへ。週末の小さな旅",
    ],
};
const REENGAGEMENT: FlowProfile = FlowProfile {
    name: "re-engagement",
    template: "we-miss-you-v1",
    configuration_set: "marketing",
    mailbox: "news",
    operation: "SendBulkTemplatedEmail",
    origin: Origin::OldList,
    marketing: true,
    opens: 60_000,
    clicks: 80_000,
    complaints: 6_000,
    links: &["/welcome-back?code=%t&utm_campaign=%g", "/offers", "/unsubscribe?c=%t"],
    english: &["We miss you – 15 % off your next trip", "Is this still you?"],
    japanese: &["お久しぶりです。次のご旅行に使えるクーポン", "またのご利用をお待ちしています"],
};
const FARE_ALERT: FlowProfile = FlowProfile {
    name: "fare-alert",
    template: "",
    configuration_set: "",
    mailbox: "alerts",
    operation: "SendRawEmail",
    origin: Origin::Customer,
    marketing: true,
    opens: 0,
    clicks: 0,
    complaints: 900,
    links: &[],
    english: &["Fare alert: %c is cheaper now", "Price drop: %c"],
    japanese: &["運賃アラート：%c行きが値下がりしました"],
};
const SEAT_SALE: FlowProfile = FlowProfile {
    name: "seat-sale",
    template: "seat-sale-september",
    configuration_set: "",
    mailbox: "sale",
    operation: "",
    origin: Origin::Customer,
    marketing: true,
    opens: 180_000,
    clicks: 150_000,
    complaints: 1_500,
    links: &["/sale?utm_source=pinpoint&utm_campaign=%g", "/sale/%s", "/unsubscribe?c=%t"],
    english: &["48 hours: seats to %c"],
    japanese: &["48時間限定：%c行きセール"],
};
const ONBOARDING: FlowProfile = FlowProfile {
    name: "onboarding",
    template: "onboarding-day-3",
    configuration_set: "",
    mailbox: "hello",
    operation: "",
    origin: Origin::Customer,
    marketing: true,
    opens: 350_000,
    clicks: 200_000,
    complaints: 400,
    links: &["/tour?utm_source=journey", "/app"],
    english: &["Three things to try in your first week"],
    japanese: &["はじめての1週間でできること"],
};

/// English name, Japanese name, path in links.
const CITIES: [(&str, &str, &str); 10] = [
    ("Lisbon", "リスボン", "lisbon"),
    ("Kyoto", "京都", "kyoto"),
    ("Vienna", "ウィーン", "vienna"),
    ("Sapporo", "札幌", "sapporo"),
    ("Naples", "ナポリ", "naples"),
    ("Okinawa", "沖縄", "okinawa"),
    ("Bergen", "ベルゲン", "bergen"),
    ("Kanazawa", "金沢", "kanazawa"),
    ("Zürich", "チューリッヒ", "zurich"),
    ("Fukuoka", "福岡", "fukuoka"),
];

/// The identity that a market is mailed from.
pub(super) struct Identity {
    pub(super) domain: &'static str,
    pub(super) site: &'static str,
    pub(super) display: &'static str,
    pub(super) account: &'static str,
    pub(super) region: &'static str,
    /// First four digits of SES message ids of the Region.
    pub(super) id_prefix: &'static str,
    /// Where the mail servers of the Region send from, without the last byte.
    pub(super) network: &'static str,
}

const WEST: Identity = Identity {
    domain: "mail.example.com",
    site: "https://www.example.com",
    display: "Example Travel",
    account: "111122223333",
    region: "eu-west-1",
    id_prefix: "0102",
    network: "54.240.7",
};
const JAPAN: Identity = Identity {
    domain: "mail.example.co.jp",
    site: "https://www.example.co.jp",
    display: "エグザンプル・トラベル",
    account: "012345678901",
    region: "ap-northeast-1",
    id_prefix: "0106",
    network: "54.240.27",
};

pub(super) const fn identity(market: Market) -> &'static Identity {
    match market {
        Market::Japan => &JAPAN,
        Market::West => &WEST,
    }
}

/// What fills the gaps of subjects and links of one message.
pub(super) struct Particulars {
    city: (&'static str, &'static str, &'static str),
    booking: u64,
    token: u64,
    week: i64,
}

impl Particulars {
    pub(super) fn of(traits: &mut Derived, sent: i64) -> Self {
        Self {
            city: traits.pick(&CITIES),
            booking: traits.below(36_u64.pow(6)),
            token: traits.next(),
            // Weeks since Monday 1970-01-05 are as good a name for an issue as any.
            week: (sent - 4 * 86_400_000).div_euclid(7 * 86_400_000),
        }
    }

    /// Name of the campaign that the message belongs to, as in its tag.
    pub(super) fn campaign(&self, flow: Flow, into: &mut String) {
        into.push_str(flow.profile().name);
        let _ = write!(into, "-{}", self.week);
    }

    pub(super) fn subject(
        &self,
        flow: Flow,
        market: Market,
        traits: &mut Derived,
        into: &mut String,
    ) {
        let profile = flow.profile();
        let forms = if market == Market::Japan { profile.japanese } else { profile.english };
        self.fill(traits.pick(forms), flow, market, into);
    }

    /// The `which`-th link of the message.
    pub(super) fn link(&self, flow: Flow, market: Market, which: usize, into: &mut String) {
        into.push_str(identity(market).site);
        let links = flow.profile().links;
        // Flows without links have no clicks to write.
        let Some(form) = links.get(which % links.len().max(1)) else { return };
        self.fill(form, flow, Market::West, into);
    }

    fn fill(&self, form: &str, flow: Flow, market: Market, into: &mut String) {
        let mut letters = form.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                into.push(letter);
                continue;
            }
            // Writing into a String cannot fail.
            let _ = match letters.next() {
                Some('c') if market == Market::Japan => write!(into, "{}", self.city.1),
                Some('c') => write!(into, "{}", self.city.0),
                Some('s') => write!(into, "{}", self.city.2),
                Some('b') => {
                    put_base36(self.booking, into);
                    Ok(())
                }
                Some('t') => write!(into, "{:016x}{:08x}", self.token, self.booking),
                Some('g') => {
                    self.campaign(flow, into);
                    Ok(())
                }
                Some(other) => write!(into, "%{other}"),
                None => write!(into, "%"),
            };
        }
    }
}

fn put_base36(value: u64, into: &mut String) {
    for place in (0..6).rev() {
        let digit = value / 36_u64.pow(place) % 36;
        into.push(char::from_digit(digit as u32, 36).unwrap_or('0').to_ascii_uppercase());
    }
}
