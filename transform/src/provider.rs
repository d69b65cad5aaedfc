//! Which operator runs the mailbox of a domain, and whether that operator reports complaints.
//!
//! Events carry no such field, so it is told from the recipient's domain alone (no DNS: judging is
//! pure). Company domains hosted at Google or Microsoft therefore count as `other`. Owns one
//! invariant: a domain's operator does not depend on anything but the domain.

mod domains;

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
    if let Ok(at) = DOMAINS.binary_search_by(|(known, _)| known.cmp(&domain)) {
        return DOMAINS[at].1;
    }
    if let Some((name, rest)) = domain.split_once('.') {
        if let Some(provider) = country_family(name, rest) {
            return provider;
        }
        return parent_family(rest);
    }
    OTHER
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
    loop {
        if let Ok(at) = PARENTS.binary_search_by(|(known, _)| known.cmp(&rest)) {
            return PARENTS[at].1;
        }
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => return OTHER,
        }
    }
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
