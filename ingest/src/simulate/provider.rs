//! Mailbox providers: their domains, addresses, speed and manners. What they say is in `reply`.

/// Where a mailbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Gmail,
    Yahoo,
    Outlook,
    Icloud,
    Gmx,
    Docomo,
    Au,
    Softbank,
    YahooJapan,
    Corporate,
    CorporateJapan,
    /// A domain that somebody mistyped.
    Typo,
    /// A domain with letters beyond ASCII.
    International,
}

/// Part of the world that a recipient lives in: decides language, sender identity, Region and clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Market {
    Japan,
    West,
}

/// What is known of a provider.
pub(super) struct Profile {
    /// Domains and their weights.
    pub(super) domains: &'static [(&'static str, u32)],
    /// First three bytes of the address of the host that answers.
    pub(super) network: &'static str,
    /// Shortest and longest time from accepting a message to handing it over, in milliseconds.
    pub(super) latency: (i64, i64),
    /// How often mail is first turned away for a while (greylisting, deferrals), per million.
    pub(super) deferral: u32,
    /// Whether complaints come back (a feedback loop that SES takes part in). Gmail has none.
    pub(super) feedback_loop: bool,
}

impl Provider {
    pub(super) const fn profile(self) -> &'static Profile {
        match self {
            Self::Gmail => &GMAIL,
            Self::Yahoo => &YAHOO,
            Self::Outlook => &OUTLOOK,
            Self::Icloud => &ICLOUD,
            Self::Gmx => &GMX,
            Self::Docomo => &DOCOMO,
            Self::Au => &AU,
            Self::Softbank => &SOFTBANK,
            Self::YahooJapan => &YAHOO_JAPAN,
            Self::Corporate => &CORPORATE,
            Self::CorporateJapan => &CORPORATE_JAPAN,
            Self::Typo => &TYPO,
            Self::International => &INTERNATIONAL,
        }
    }
}

const GMAIL: Profile = Profile {
    domains: &[("gmail.com", 97), ("googlemail.com", 3)],
    network: "142.250.102",
    latency: (380, 3_200),
    deferral: 2_000,
    feedback_loop: false,
};
const YAHOO: Profile = Profile {
    domains: &[
        ("yahoo.com", 60),
        ("yahoo.co.uk", 12),
        ("yahoo.de", 8),
        ("ymail.com", 4),
        ("aol.com", 16),
    ],
    network: "67.195.204",
    latency: (650, 9_000),
    deferral: 15_000,
    feedback_loop: true,
};
const OUTLOOK: Profile = Profile {
    domains: &[
        ("outlook.com", 40),
        ("hotmail.com", 42),
        ("live.com", 8),
        ("outlook.jp", 6),
        ("msn.com", 4),
    ],
    network: "52.101.68",
    latency: (900, 12_000),
    deferral: 4_000,
    feedback_loop: true,
};
const ICLOUD: Profile = Profile {
    domains: &[("icloud.com", 80), ("me.com", 15), ("mac.com", 5)],
    network: "17.42.251",
    latency: (700, 6_000),
    deferral: 3_000,
    feedback_loop: true,
};
const GMX: Profile = Profile {
    domains: &[("gmx.de", 50), ("gmx.net", 20), ("web.de", 30)],
    network: "212.227.15",
    latency: (500, 5_000),
    deferral: 12_000,
    feedback_loop: true,
};
const DOCOMO: Profile = Profile {
    domains: &[("docomo.ne.jp", 1)],
    network: "203.138.180",
    latency: (450, 25_000),
    deferral: 18_000,
    feedback_loop: false,
};
const AU: Profile = Profile {
    domains: &[("ezweb.ne.jp", 65), ("au.com", 35)],
    network: "106.162.221",
    latency: (400, 18_000),
    deferral: 14_000,
    feedback_loop: false,
};
const SOFTBANK: Profile = Profile {
    domains: &[("softbank.ne.jp", 50), ("i.softbank.jp", 40), ("ymobile.ne.jp", 10)],
    network: "117.46.7",
    latency: (500, 15_000),
    deferral: 9_000,
    feedback_loop: false,
};
const YAHOO_JAPAN: Profile = Profile {
    domains: &[("yahoo.co.jp", 94), ("ybb.ne.jp", 6)],
    network: "183.79.57",
    latency: (600, 8_000),
    deferral: 8_000,
    feedback_loop: false,
};
const CORPORATE: Profile = Profile {
    domains: &[
        ("northwind-logistics.example", 14),
        ("harbour-insurance.example", 12),
        ("mueller-maschinenbau.example", 11),
        ("atelier-lumiere.example", 8),
        ("oakfield-council.example", 10),
        ("brightwater.example", 9),
        ("ferrovia-consulting.example", 7),
        ("st-brendan-hospital.example", 9),
        ("uni-lindenau.example", 12),
        ("pixelforge.example", 8),
    ],
    network: "52.101.73",
    latency: (800, 45_000),
    deferral: 45_000,
    feedback_loop: false,
};
const CORPORATE_JAPAN: Profile = Profile {
    domains: &[
        ("tanaka-shoji.example", 20),
        ("minato-bussan.example", 18),
        ("hokuto-denki.example", 16),
        ("sakura-kensetsu.example", 14),
        ("aoyama-gakuen.example", 18),
        ("kita-seimitsu.example", 14),
    ],
    network: "203.0.113",
    latency: (700, 40_000),
    deferral: 30_000,
    feedback_loop: false,
};
const TYPO: Profile = Profile {
    domains: &[
        ("gmial.com", 20),
        ("gmai.com", 18),
        ("gmail.con", 16),
        ("hotmial.com", 10),
        ("yahoo.co.j", 10),
        ("docomo.ne.jo", 9),
        ("ezweb.ne.jpp", 7),
        ("iclod.com", 10),
    ],
    network: "192.0.2",
    latency: (300, 2_000),
    deferral: 0,
    feedback_loop: false,
};
const INTERNATIONAL: Profile = Profile {
    domains: &[("münchen-reisen.example", 45), ("café-zürich.example", 30), ("旅行.example", 25)],
    network: "198.51.100",
    latency: (600, 20_000),
    deferral: 20_000,
    feedback_loop: false,
};

/// Why a message does not arrive, or comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    UnknownUser,
    BadDomain,
    Disabled,
    MailboxFull,
    SpamBlock,
    BlockList,
    Policy,
    RateLimited,
    TooLarge,
    Content,
    Expired,
    AutoReply,
    SuppressedByAccount,
    SuppressedGlobally,
    Undetermined,
}
