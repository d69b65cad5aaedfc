//! Why a message bounced, by cause and not by the service's label.
//!
//! Owns one invariant: what was not the recipient's fault never gets a class that condemns the recipient.
//! Echoes of suppression lists come first, because they are no evidence at all; then come texts that name a
//! cause, exact status codes, subtypes, families of codes, and in the end the service's word.
//! What remains is `undetermined`, for a policy to judge.

mod evidence;
mod matcher;
mod rules;
pub mod status;

use std::sync::LazyLock;

use hearback_schemas::BounceClass;

use evidence::Reply;
use matcher::MATCHER;
use rules::{CodeRule, code_matches};

pub use status::status_code;

/// Compiles the patterns.
pub(crate) fn prepare() {
    LazyLock::force(&MATCHER);
}

/// What a bounce event says about one recipient, as given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// SES `bounceType`: Permanent, Transient or Undetermined.
    pub bounce_type: Option<&'a str>,
    /// SES `bounceSubType`.
    pub bounce_subtype: Option<&'a str>,
    /// The recipient's `status` field (RFC 3463), if there is one.
    pub status: Option<&'a str>,
    /// The recipient's `diagnosticCode`: the SMTP reply, mostly.
    pub diagnostic: Option<&'a str>,
}

/// The cause of a bounce.
///
/// A transient bounce without a status and without a text is an automatic answer: SES documents that
/// out-of-office messages arrive as Transient/General, a bounce of the SMTP dialogue always has the reply, and an
/// automatic answer counts for nothing, so the error on that side is the harmless one.
#[must_use]
pub fn classify(evidence: &Evidence<'_>) -> BounceClass {
    let subtype = evidence.bounce_subtype.unwrap_or("").trim();
    if rules::ECHO_SUBTYPES.iter().any(|echo| echo.eq_ignore_ascii_case(subtype)) {
        return BounceClass::SuppressionEcho;
    }
    let status = evidence.status.map(str::trim).filter(|status| !status.is_empty());
    let diagnostic = evidence.diagnostic.map(str::trim).filter(|text| !text.is_empty());
    let permanent = is(evidence.bounce_type, "Permanent");

    let code = status_code(status, diagnostic);
    let code = code.as_deref();
    let reply = diagnostic.map(Reply::of);
    if let Some(reply) = &reply
        && let Some(class) = by_text(&reply.line, code, permanent)
    {
        return class;
    }
    let text_code = diagnostic.and_then(status::text_code);
    let exact =
        by_code(rules::EXACT_CODES, code).or_else(|| by_code(rules::EXACT_CODES, text_code));
    if let Some(class) = exact {
        return class;
    }
    for (telling, class) in rules::TELLING_SUBTYPES {
        if telling.eq_ignore_ascii_case(subtype) {
            return *class;
        }
    }
    let family =
        by_code(rules::FAMILY_CODES, code).or_else(|| by_code(rules::FAMILY_CODES, text_code));
    if let Some(class) = family {
        return class;
    }
    if subtype.eq_ignore_ascii_case("NoEmail") {
        return BounceClass::InvalidRecipient;
    }
    let reply_code = reply.as_ref().and_then(|reply| reply.code);
    for (known, class) in rules::REPLY_CODES {
        if Some(*known) == reply_code {
            return *class;
        }
    }
    let general = subtype.is_empty() || subtype.eq_ignore_ascii_case("General");
    if is(evidence.bounce_type, "Transient") && general && status.is_none() && diagnostic.is_none()
    {
        return BounceClass::AutoReply;
    }
    BounceClass::Undetermined
}

fn is(field: Option<&str>, word: &str) -> bool {
    field.is_some_and(|field| field.trim().eq_ignore_ascii_case(word))
}

fn by_text(line: &str, code: Option<&str>, permanent: bool) -> Option<BounceClass> {
    let rule = MATCHER.first(line, |rule| {
        let fits = rule.codes.is_empty()
            || code.is_some_and(|code| rule.codes.iter().any(|wanted| code_matches(wanted, code)));
        let passed_over = permanent && rule.class == BounceClass::AutoReply;
        fits && !passed_over
    })?;
    Some(rule.class)
}

fn by_code(rules: &[CodeRule], code: Option<&str>) -> Option<BounceClass> {
    let code = code?;
    let rule = rules.iter().find(|rule| code_matches(rule.code, code))?;
    Some(rule.class)
}

#[cfg(test)]
mod tests;
