//! The policy as data: what each kind of evidence does, to which lists, after how much of it, and until when.
//!
//! Invariant: nothing that was the sender's fault, nobody's fault, or said about somebody else suppresses
//! an address. Sources: RFC 3463 and the SES developer guide for what the evidence means; the counts and
//! times are ours and configurable, because no standard gives any.

use hearback_schemas::BounceClass;

use super::list::Reason;

/// Version of the built-in rules; changes with any of them. Stands in every ledger row.
pub const POLICY_VERSION: &str = "2026-11.1";

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put the address on the list.
    Suppress(Reason),
    /// Keep the address out of segments for a while, and off the list.
    Pause,
    /// Take an earlier complaint back.
    Clear,
    /// Nothing: it is no evidence against the address.
    Nothing,
}

/// Which lists a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every account and Region: what is known about the recipient is true everywhere.
    Everywhere,
    /// The account and Region that the evidence comes from.
    Local,
}

impl Scope {
    /// As the configuration spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Local => "local",
        }
    }
}

/// A built-in rule.
#[derive(Debug)]
pub struct Rule {
    /// Name, as it stands in plans, in the ledger and in `suppression.disabled_rules`.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
    /// To which lists.
    pub scope: Scope,
    /// The evidence, in words.
    pub evidence: &'static str,
    /// Why it is so.
    pub why: &'static str,
    /// The configuration key of its expiry, within `[suppression]`.
    pub expiry_key: Option<&'static str>,
    /// Configuration keys that it counts by, within `[suppression]`.
    pub count_keys: &'static [&'static str],
    /// Whether `suppression run --fast-lane` acts on it at once.
    pub fast: bool,
}

/// Names of the rules that decisions carry.
pub mod names {
    #![allow(missing_docs, reason = "each is the name of the rule that RULES explains")]
    pub const COMPLAINT: &str = "complaint";
    pub const NOT_SPAM: &str = "complaint-not-spam";
    pub const AUTH_FAILURE: &str = "complaint-auth-failure";
    pub const ACCUSED_TOGETHER: &str = "complaint-several-accused";
    pub const INVALID_RECIPIENT: &str = "invalid-recipient";
    pub const BAD_DOMAIN: &str = "bad-domain";
    pub const INACTIVE_MAILBOX: &str = "inactive-mailbox";
    pub const UNCLASSIFIED: &str = "permanent-unclassified";
    pub const SOFT: &str = "soft-bounces";
    pub const FULL: &str = "mailbox-full";
    pub const SENDER_FAULT: &str = "sender-fault";
    pub const RATE: &str = "rate-limited";
    pub const AUTO_REPLY: &str = "auto-reply";
    pub const ECHO: &str = "suppression-echo";
    pub const UNSUBSCRIBE: &str = "unsubscribe";
}

/// Every built-in rule, in the order of `hearback suppression policy`.
pub const RULES: &[Rule] = &[
    Rule {
        name: names::COMPLAINT,
        action: Action::Suppress(Reason::Complaint),
        scope: Scope::Everywhere,
        evidence: "a complaint of type abuse, fraud, other, virus or none that names this recipient alone",
        why: "who complains must not be mailed again, from any Region",
        expiry_key: Some("complaint_expiry"),
        count_keys: &[],
        fast: true,
    },
    Rule {
        name: names::NOT_SPAM,
        action: Action::Clear,
        scope: Scope::Everywhere,
        evidence: "a report of type not-spam, newer than every complaint",
        why: "the recipient says the mail is wanted: a COMPLAINT entry made for an earlier report is taken back",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::AUTH_FAILURE,
        action: Action::Nothing,
        scope: Scope::Everywhere,
        evidence: "a report of type auth-failure",
        why: "it is about the sender's authentication, not about what the recipient wants",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::ACCUSED_TOGETHER,
        action: Action::Nothing,
        scope: Scope::Everywhere,
        evidence: "a complaint that names several recipients at one provider",
        why: "providers leave out who complained, so SES names all who may have: one of them did, the others are innocent. A second complaint about another message counts",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::INVALID_RECIPIENT,
        action: Action::Suppress(Reason::Bounce),
        scope: Scope::Everywhere,
        evidence: "bounce_class invalid_recipient, not transient",
        why: "the mailbox does not exist (5.1.1, Exchange's 5.4.1 Access denied, \"user unknown\")",
        expiry_key: Some("invalid_recipient_expiry"),
        count_keys: &[],
        fast: true,
    },
    Rule {
        name: names::BAD_DOMAIN,
        action: Action::Suppress(Reason::Bounce),
        scope: Scope::Everywhere,
        evidence: "bounce_class bad_domain, not transient",
        why: "the domain does not exist or says that it takes no mail (null MX, RFC 7505)",
        expiry_key: Some("bad_domain_expiry"),
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::INACTIVE_MAILBOX,
        action: Action::Suppress(Reason::Bounce),
        scope: Scope::Everywhere,
        evidence: "bounce_class inactive_mailbox, not transient",
        why: "the mailbox is disabled or abandoned; it may come back, so the suppression ends",
        expiry_key: Some("inactive_mailbox_expiry"),
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::UNCLASSIFIED,
        action: Action::Suppress(Reason::Bounce),
        scope: Scope::Everywhere,
        evidence: "bounce_class undetermined where SES says Permanent",
        why: "SES took it for a hard bounce and nothing in the text says otherwise",
        expiry_key: Some("unclassified_expiry"),
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::SOFT,
        action: Action::Suppress(Reason::Bounce),
        scope: Scope::Local,
        evidence: "distinct messages that ended in routing, expired, undetermined or a transient refusal of the recipient, with no delivery and nobody's open or click after the first of them",
        why: "nothing has arrived for weeks; counted over messages, so a bounce that is reported twice counts once",
        expiry_key: Some("soft_expiry"),
        count_keys: &["soft_failures", "soft_window"],
        fast: false,
    },
    Rule {
        name: names::FULL,
        action: Action::Pause,
        scope: Scope::Everywhere,
        evidence: "distinct messages that a full mailbox refused, with no delivery since",
        why: "the mailbox exists and is wanted: it is kept out of segments for a while, and the list, which would stop password mail too, is left alone",
        expiry_key: Some("full_expiry"),
        count_keys: &["full_failures", "full_window"],
        fast: false,
    },
    Rule {
        name: names::SENDER_FAULT,
        action: Action::Nothing,
        scope: Scope::Everywhere,
        evidence: "bounce_class policy, spam_block, content or too_large",
        why: "the sender's authentication, reputation or message was refused, not the address; where SES listed the address all the same, the plan says so",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::RATE,
        action: Action::Nothing,
        scope: Scope::Everywhere,
        evidence: "bounce_class rate_limited",
        why: "too much was sent too fast; the address did nothing",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::AUTO_REPLY,
        action: Action::Nothing,
        scope: Scope::Everywhere,
        evidence: "bounce_class auto_reply",
        why: "an out-of-office answer proves that the mailbox works",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::ECHO,
        action: Action::Nothing,
        scope: Scope::Everywhere,
        evidence: "bounce_class suppression_echo, or a complaint with a subtype",
        why: "nothing was sent, so nothing was learnt",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
    Rule {
        name: names::UNSUBSCRIBE,
        action: Action::Nothing,
        scope: Scope::Everywhere,
        evidence: "a subscription event",
        why: "a preference, for segments and topics; on this list it would stop password mail too",
        expiry_key: None,
        count_keys: &[],
        fast: false,
    },
];

/// Finds a built-in rule.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// What one bounce is evidence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Enough by itself, under the rule of this name.
    Hard(&'static str),
    /// One failure of a few.
    Soft,
    /// A full mailbox.
    Full,
    /// The sender's fault.
    Sender,
    /// No evidence at all.
    Nothing,
}

/// What a bounce of this class and type is evidence of. A recipient that is refused for now (4.x.x
/// "user unknown") is one failure of a few: some servers say so while their directory is away.
#[must_use]
pub fn blame(class: BounceClass, bounce_type: Option<&str>) -> Blame {
    let transient = bounce_type.is_some_and(|kind| kind.eq_ignore_ascii_case("Transient"));
    let permanent = bounce_type.is_some_and(|kind| kind.eq_ignore_ascii_case("Permanent"));
    let hard = |rule| if transient { Blame::Soft } else { Blame::Hard(rule) };
    match class {
        BounceClass::InvalidRecipient => hard(names::INVALID_RECIPIENT),
        BounceClass::BadDomain => hard(names::BAD_DOMAIN),
        BounceClass::InactiveMailbox => hard(names::INACTIVE_MAILBOX),
        BounceClass::Undetermined if permanent => Blame::Hard(names::UNCLASSIFIED),
        BounceClass::Undetermined | BounceClass::Routing | BounceClass::Expired => Blame::Soft,
        BounceClass::MailboxFull => Blame::Full,
        BounceClass::Policy
        | BounceClass::SpamBlock
        | BounceClass::Content
        | BounceClass::TooLarge => Blame::Sender,
        BounceClass::RateLimited | BounceClass::AutoReply | BounceClass::SuppressionEcho => {
            Blame::Nothing
        }
    }
}

/// How much of a case a bounce is before anything else is known about the recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It may be enough by itself, or contradict what SES made of it.
    Alone,
    /// Several such messages may be enough.
    Soft,
    /// Several such messages may be enough for a pause.
    Full,
    /// It adds nothing.
    None,
}

/// How much of a case a bounce of this class and type is. Never less than [`blame`] makes of it: what
/// SES did not call transient is looked at.
#[must_use]
pub fn weight(class: BounceClass, bounce_type: Option<&str>) -> Weight {
    let transient = bounce_type.is_some_and(|kind| kind.eq_ignore_ascii_case("Transient"));
    match class {
        BounceClass::InvalidRecipient
        | BounceClass::BadDomain
        | BounceClass::InactiveMailbox
        | BounceClass::Undetermined => {
            if transient {
                Weight::Soft
            } else {
                Weight::Alone
            }
        }
        BounceClass::Policy
        | BounceClass::SpamBlock
        | BounceClass::Content
        | BounceClass::TooLarge => {
            if transient {
                Weight::None
            } else {
                Weight::Alone
            }
        }
        BounceClass::Routing | BounceClass::Expired => Weight::Soft,
        BounceClass::MailboxFull => Weight::Full,
        BounceClass::RateLimited | BounceClass::AutoReply | BounceClass::SuppressionEcho => {
            Weight::None
        }
    }
}

/// Addresses that RFC 2142 gives to functions: mail to them is answered by whoever is on duty, and
/// suppressing one for its own sake hides the trouble. They are marked in plans.
#[must_use]
pub fn is_role_address(recipient: &str) -> bool {
    const ROLES: [&str; 18] = [
        "abuse",
        "admin",
        "billing",
        "contact",
        "ftp",
        "help",
        "hostmaster",
        "info",
        "marketing",
        "no-reply",
        "noc",
        "noreply",
        "postmaster",
        "sales",
        "security",
        "spam",
        "support",
        "webmaster",
    ];
    let local = recipient.split('@').next().unwrap_or_default();
    ROLES.contains(&local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_an_answer_and_only_recipients_are_blamed() {
        for class in BounceClass::ALL {
            let permanent = blame(class, Some("Permanent"));
            match class {
                BounceClass::Policy
                | BounceClass::SpamBlock
                | BounceClass::Content
                | BounceClass::TooLarge => assert_eq!(permanent, Blame::Sender, "{class}"),
                BounceClass::RateLimited
                | BounceClass::AutoReply
                | BounceClass::SuppressionEcho => assert_eq!(permanent, Blame::Nothing, "{class}"),
                _ => assert_ne!(permanent, Blame::Nothing, "{class}"),
            }
            assert!(
                !matches!(blame(class, Some("Transient")), Blame::Hard(_)),
                "{class}: a transient bounce never condemns by itself"
            );
        }
    }

    #[test]
    fn every_hard_rule_is_explained_and_has_an_expiry() {
        for class in BounceClass::ALL {
            if let Blame::Hard(name) = blame(class, Some("Permanent")) {
                let rule = rule(name).expect("a rule");
                assert!(matches!(rule.action, Action::Suppress(_)) && rule.expiry_key.is_some());
            }
        }
    }
}
