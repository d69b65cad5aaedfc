//! Addresses: from whatever a header, an envelope or a bounce gives to one spelling per mailbox.
//!
//! Owns two invariants. Two spellings of one mailbox give one [`Mailbox::address`]; `+tag` and dots
//! are kept, because on most hosts they make another mailbox. And a mailbox parsed from an address
//! it gave is that address again, so nothing downstream needs to know whether a value is clean yet.

mod short;
mod unwrap;

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// A mailbox, in the two spellings the lake needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// What the `recipient` column holds: all lower case, the domain in punycode (UTS #46), display
    /// name, brackets and comments off.
    pub address: Cow<'a, str>,
    /// The same, but the local part keeps its case. Hosts may tell cases apart (RFC 5321 section
    /// 2.4) and SES stores suppressed addresses as they were spelled, so identities are made of this.
    pub identity: Cow<'a, str>,
    /// Where the `@` before the domain stands in `address`.
    at: usize,
}

impl Mailbox<'_> {
    /// The domain: lower case, punycode, without a trailing dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.address[self.at + 1..]
    }

    /// The part before the domain, in lower case.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.address[..self.at]
    }
}

/// Reads one mailbox; `None` if the text holds none.
///
/// Understood are RFC 5322 mailboxes (display names, quoted or RFC 2047 encoded; comments; quoted
/// local parts), the `rfc822;` and `utf-8;` types of delivery reports (RFC 3464, RFC 6533),
/// `mailto:`, and the white space people paste around addresses, Unicode's included. Of a list the
/// first mailbox is taken. An internationalised domain that UTS #46 refuses is only lower-cased: the
/// row is worth more than the refusal.
#[must_use]
pub fn parse_mailbox(given: &str) -> Option<Mailbox<'_>> {
    if let Some(at) = plain_at(given.as_bytes()) {
        return Some(Mailbox { address: Cow::Borrowed(given), identity: Cow::Borrowed(given), at });
    }
    if let Some(mailbox) = plain_but_for_case(given) {
        return Some(mailbox);
    }
    let spec = unwrap::address_spec(given)?;
    let local = fold_quotes(spec.local);
    let local = compose(local);
    let domain = fold_domain(spec.domain)?;
    let folded = compose(fold_case(&local));
    if !is_local(&local) || !is_local(&folded) {
        return None;
    }
    let at = folded.len();
    let address = [&folded, "@", &domain].concat();
    let identity = [&local, "@", &domain].concat();
    Some(Mailbox { address: Cow::Owned(address), identity: Cow::Owned(identity), at })
}

use short::Signs;

/// What a byte means for the fast path: 0 nothing special, [`AT`] an `@`, [`OTHER`] not plain.
static BYTE_KIND: [u8; 256] = BYTE_KIND_TABLE;
const BYTE_KIND_TABLE: [u8; 256] = byte_kinds();
const AT: u8 = 1;
const OTHER: u8 = 2;

const fn byte_kinds() -> [u8; 256] {
    let mut kinds = [OTHER; 256];
    let plain = b"abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-./=?^_`{|}~";
    let mut at = 0;
    while at < plain.len() {
        kinds[plain[at] as usize] = 0;
        at += 1;
    }
    kinds[b'@' as usize] = AT;
    kinds
}

/// Where the `@` stands if the text is already in the spelling we want: nearly every address is.
fn plain_at(bytes: &[u8]) -> Option<usize> {
    let last = *bytes.last()?;
    let at = match short::signs(bytes) {
        // Exactly one, and nothing that is not plain.
        Some(Signs { at, other: 0 }) if at.is_power_of_two() => at.trailing_zeros() as usize,
        Some(_) => return None,
        None => long_plain_at(bytes)?,
    };
    (at > 0 && !matches!(last, b'.' | b'@' | b'\'')).then_some(at)
}

fn long_plain_at(bytes: &[u8]) -> Option<usize> {
    let mut at = None;
    for (i, byte) in bytes.iter().enumerate() {
        match BYTE_KIND[usize::from(*byte)] {
            0 => {}
            AT if at.is_none() => at = Some(i),
            _ => return None,
        }
    }
    at
}

/// An address that only has capitals in it: the commonest spelling after the plain one.
fn plain_but_for_case(given: &str) -> Option<Mailbox<'_>> {
    let address = given.to_ascii_lowercase();
    let at = plain_at(address.as_bytes())?;
    let (local, domain) = given.split_at(at);
    let identity = if domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned([local, &address[at..]].concat())
    } else {
        Cow::Borrowed(given)
    };
    Some(Mailbox { address: Cow::Owned(address), identity, at })
}

/// Takes quotes off a local part that does not need them: `"john"@x` and `john@x` are one mailbox
/// (RFC 5321 section 4.1.2). Dots may stand anywhere inside: older docomo addresses have them
/// doubled or last, and arrive in both spellings.
fn fold_quotes(local: &str) -> &str {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return local;
    };
    let needless =
        |byte: u8| !byte.is_ascii() || BYTE_KIND[usize::from(byte.to_ascii_lowercase())] == 0;
    let unicode_space = inner.chars().any(unwrap::is_space);
    if inner.is_empty() || unicode_space || !inner.bytes().all(needless) {
        return local;
    }
    inner
}

/// Composed form (NFC), which RFC 6532 section 3.1 asks of internationalised local parts.
fn compose<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    let text = text.into();
    if text.is_ascii() {
        return text;
    }
    let normaliser = ComposingNormalizerBorrowed::new_nfc();
    if normaliser.is_normalized(&text) {
        return text;
    }
    Cow::Owned(normaliser.normalize(&text).into_owned())
}

fn fold_case(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}

/// The domain in lower case and punycode, or `None` if it cannot be one.
fn fold_domain(domain: &str) -> Option<Cow<'_, str>> {
    let domain = domain.trim_end_matches('.');
    let lower = domain.bytes().any(|byte| byte.is_ascii_uppercase());
    let folded = if domain.is_ascii() {
        if lower { Cow::Owned(domain.to_ascii_lowercase()) } else { Cow::Borrowed(domain) }
    } else {
        match idna::domain_to_ascii(domain) {
            Ok(ascii) => Cow::Owned(ascii.trim_end_matches('.').to_owned()),
            Err(_) => Cow::Owned(domain.to_lowercase()),
        }
    };
    let literal = folded.starts_with('[') && folded.ends_with(']');
    // Checked after the mapping, which may produce signs that were not there: the full-width `＠` becomes `@`.
    let broken =
        folded.chars().any(|c| is_special(c) && !(literal && matches!(c, '[' | ']' | ':')));
    (!folded.is_empty() && !broken).then_some(folded)
}

/// Whether the text can stand before the `@`: an atom with dots, or a quoted string (RFC 5322 section 3.4.1).
fn is_local(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return !text.is_empty() && !text.chars().any(is_special);
    };
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return false,
            _ => {}
        }
    }
    !escaped
}

/// Signs that end or structure an address, and so cannot be part of an atom.
fn is_special(c: char) -> bool {
    unwrap::is_space(c)
        || matches!(c, '@' | '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | ':' | '"' | '\\')
}

#[cfg(test)]
mod tests;
