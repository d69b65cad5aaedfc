//! The decision tables of bounce classification.
//!
//! Owns one invariant: order is meaning. Within each table the first row that matches decides, so a
//! row stands before every row it is an exception to. Patterns are matched against the line that
//! [`super::evidence`] makes: lower case, one line, the reply code first, no addresses. Written from the
//! operators' public error pages and from replies seen in public; change [`crate::rules::RULE_VERSION`]
//! along with any row.

mod exceptions;
mod recipient;
mod refusal;
mod way;

use hearback_schemas::BounceClass;
use hearback_schemas::BounceClass::{
    BadDomain, Content, Expired, InactiveMailbox, InvalidRecipient, MailboxFull, Policy,
    RateLimited, Routing, SpamBlock, TooLarge,
};

/// A row that looks at the text, and perhaps at the enhanced status code.
pub(super) struct TextRule {
    /// What the cause is if the row matches.
    pub(super) class: BounceClass,
    /// Status codes the row is limited to, as in [`code_matches`]; empty for any code, or none.
    pub(super) codes: &'static [&'static str],
    /// Regular expressions over bytes, not anchored; one of them has to match.
    pub(super) patterns: &'static [&'static str],
    /// Why this text means this cause; whose text it is, where that is not plain.
    #[cfg_attr(not(test), allow(dead_code))] // for the reader of the table
    pub(super) why: &'static str,
}

const fn text(
    class: BounceClass,
    patterns: &'static [&'static str],
    why: &'static str,
) -> TextRule {
    TextRule { class, codes: &[], patterns, why }
}

const fn coded(
    class: BounceClass,
    codes: &'static [&'static str],
    patterns: &'static [&'static str],
    why: &'static str,
) -> TextRule {
    TextRule { class, codes, patterns, why }
}

/// Texts that tell the cause whatever the codes say, in the order they are tried. A row of class auto reply is passed
/// over where the service calls the bounce permanent.
pub(super) static TEXT_TABLES: [&[TextRule]; 4] =
    [exceptions::EXCEPTIONS, recipient::RECIPIENT, refusal::REFUSALS, way::ON_THE_WAY];

/// A row that looks at the enhanced status code alone.
pub(super) struct CodeRule {
    /// The code, as in [`code_matches`].
    pub(super) code: &'static str,
    /// What the cause is if the row matches.
    pub(super) class: BounceClass,
}

const fn code(code: &'static str, class: BounceClass) -> CodeRule {
    CodeRule { code, class }
}

/// Codes that name one cause. Sources: the IANA registry "SMTP Enhanced Status Codes" (RFC 3463, 4954, 5248, 6531,
/// 7293, 7372, 7505), Exchange Online's non-delivery reports, Gmail's "SMTP errors and codes", Yahoo Sender Hub.
pub(super) static EXACT_CODES: &[CodeRule] = &[
    code("5.1.1", InvalidRecipient),
    code("5.1.3", InvalidRecipient),
    code("5.1.4", InvalidRecipient),
    code("5.1.6", InvalidRecipient),
    // Exchange Online: unknown recipient reported by the next server.
    code("5.1.351", InvalidRecipient),
    code("5.1.2", BadDomain),
    code("5.1.10", BadDomain),
    code("5.4.310", BadDomain),
    code("5.7.18", BadDomain),
    // The mailbox changed hands (RFC 7293): whoever asked for the mail is not there any more.
    code("5.7.17", InvalidRecipient),
    code("*.2.1", InactiveMailbox),
    code("*.7.13", InactiveMailbox),
    code("*.2.2", MailboxFull),
    code("*.2.3", TooLarge),
    code("*.3.4", TooLarge),
    code("*.1.7", Policy),
    code("*.1.8", Policy),
    code("*.4.7", Expired),
    code("*.4.300", Expired),
    code("*.5.3", RateLimited),
    code("*.2.122", RateLimited),
    code("*.7.28", RateLimited),
    code("*.7.38", RateLimited),
    code("*.7.511", SpamBlock),
    code("*.7.60?", SpamBlock),
    code("*.7.61?", SpamBlock),
    code("*.7.62?", SpamBlock),
    code("*.7.63?", SpamBlock),
    code("*.7.64?", SpamBlock),
    code("*.7.65?", RateLimited),
    code("*.7.500", RateLimited),
];

/// Codes that name a family of causes: they decide only after a subtype that names one.
pub(super) static FAMILY_CODES: &[CodeRule] = &[
    code("4.1.*", Routing),
    code("*.2.4", Routing),
    code("*.3.1", Routing),
    code("*.3.2", Routing),
    code("*.3.5", Routing),
    code("4.3.*", Routing),
    code("*.4.*", Routing),
    code("*.6.*", Content),
    code("*.7.*", Policy),
];

/// SMTP reply codes that name a cause without an enhanced code (RFC 5321 section 4.2.3; 525 of RFC 5248, 521 and 556 of RFC 7504).
pub(super) static REPLY_CODES: &[(u16, BounceClass)] = &[
    (521, BadDomain),
    (525, InactiveMailbox),
    (552, MailboxFull),
    (556, BadDomain),
    (421, Routing),
    (451, Routing),
];

/// SES subtypes of mail that was not attempted.
pub(super) static ECHO_SUBTYPES: &[&str] = &[
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "Suppressed",
    "EmailValidationSuppressed",
    "UnsubscribedRecipient",
];

/// SES subtypes that name a cause more exactly than a family of codes does.
///
/// `ContentRejected` counts as spam: what receivers refuse for its content without naming an attachment, a virus or a
/// fault of form (the rows above) is refused by a filter's verdict, and the remedy is the same as for spam.
pub(super) static TELLING_SUBTYPES: &[(&str, BounceClass)] = &[
    ("MailboxFull", MailboxFull),
    ("MessageTooLarge", TooLarge),
    ("ContentRejected", SpamBlock),
    ("AttachmentRejected", Content),
    ("CustomTimeoutExceeded", Expired),
];

/// Whether a code fits a pattern: `*` stands for any number, `?` for any digit (`*.7.60?`).
pub(super) fn code_matches(pattern: &str, code: &str) -> bool {
    let mut wanted = pattern.split('.');
    let mut given = code.split('.');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(given)) => {
                if wanted.len() != given.len() {
                    return false;
                }
                for (wanted, given) in wanted.bytes().zip(given.bytes()) {
                    if wanted != given && wanted != b'?' {
                        return false;
                    }
                }
            }
            _ => return false,
        }
    }
}
