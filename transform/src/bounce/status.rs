//! Enhanced status codes (RFC 3463), from the field or out of the text of a reply.
//!
//! Owns one invariant: what is returned is always `class.subject.detail` with a class of 2, 4 or 5,
//! so an IP address or a version number in a reply never becomes a code.

use std::borrow::Cow;

/// The status code of a bounce, delay or delivery: the field's if it says something specific, else the one
/// in the text, else the field's unspecific one.
///
/// `x.0.0` says nothing (RFC 3463 section 3.1) and is what services fill in when they know no better. A code
/// behind the reply code (`550 5.1.1`, `550-5.1.1`, `550 #5.1.1`) goes before one elsewhere in the text.
#[must_use]
pub fn status_code<'a>(field: Option<&'a str>, text: Option<&'a str>) -> Option<Cow<'a, str>> {
    let from_field = field.and_then(first_code);
    if let Some(code) = from_field
        && !is_unspecific(code)
    {
        return Some(Cow::Borrowed(code));
    }
    let from_text = text.and_then(text_code);
    match (from_field, from_text) {
        (None, Some(code)) => Some(Cow::Borrowed(code)),
        (Some(_), Some(code)) if !is_unspecific(code) => Some(Cow::Borrowed(code)),
        (field, _) => field.map(Cow::Borrowed),
    }
}

/// Whether a code says no more than "failed".
pub(super) fn is_unspecific(code: &str) -> bool {
    code.get(1..) == Some(".0.0")
}

/// The code in a reply: a specific one rather than an unspecific one, an earlier rather than a later one.
pub(super) fn text_code(text: &str) -> Option<&str> {
    let first = first_code(text)?;
    if !is_unspecific(first) {
        return Some(first);
    }
    let mut rest = text;
    while let Some(code) = first_code(rest) {
        if !is_unspecific(code) {
            return Some(code);
        }
        let end = code.as_ptr() as usize - rest.as_ptr() as usize + code.len();
        rest = &rest[end..];
    }
    Some(first)
}

/// The first code of the text that stands free.
fn first_code(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    for dot in memchr::memchr_iter(b'.', bytes) {
        let Some(start) = dot.checked_sub(1) else { continue };
        if !matches!(bytes[start], b'2' | b'4' | b'5') || !starts_free(&bytes[..start]) {
            continue;
        }
        let Some(subject_end) = digits_end(bytes, dot + 1) else { continue };
        if bytes.get(subject_end) != Some(&b'.') {
            continue;
        }
        let Some(end) = digits_end(bytes, subject_end + 1) else { continue };
        if ends_free(&bytes[end..]) {
            return Some(&text[start..end]);
        }
    }
    None
}

/// The end of one to three digits that start at `from`.
fn digits_end(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let width = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=3).contains(&width).then_some(from + width)
}

/// A code starts the text, or follows a separator; a hyphen only behind a reply code (`550-5.1.1`).
fn starts_free(before: &[u8]) -> bool {
    match before.last() {
        None => true,
        Some(b'-') => {
            before.len() >= 4
                && before[before.len() - 4..before.len() - 1].iter().all(u8::is_ascii_digit)
        }
        Some(byte) => {
            byte.is_ascii_whitespace()
                || matches!(byte, b'#' | b'(' | b'[' | b'<' | b':' | b';' | b'=' | b',')
        }
    }
}

/// Behind a code may stand punctuation, but no further number or word.
fn ends_free(after: &[u8]) -> bool {
    match after {
        [] => true,
        [b'.', next, ..] => !next.is_ascii_alphanumeric(),
        [first, ..] => {
            !first.is_ascii_alphanumeric() && !matches!(first, b'-' | b'_' | b'@' | b'%' | b'/')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::status_code;
    use proptest::option;
    use proptest::prelude::{any, prop_assert, proptest};
    use std::borrow::Cow;

    fn code<'a>(
        field: impl Into<Option<&'a str>>,
        text: impl Into<Option<&'a str>>,
    ) -> Option<String> {
        status_code(field.into(), text.into()).map(Cow::into_owned)
    }

    #[test]
    fn the_field_goes_before_the_text() {
        assert_eq!(code("5.1.1", "550 5.7.1 refused").as_deref(), Some("5.1.1"));
        assert_eq!(
            code(" 5.1.1 (bad destination mailbox address) ", None).as_deref(),
            Some("5.1.1")
        );
    }

    #[test]
    fn an_unspecific_field_gives_way_to_a_specific_text() {
        assert_eq!(code("5.0.0", "smtp; 550 5.1.1 unknown").as_deref(), Some("5.1.1"));
        assert_eq!(code("5.0.0", "smtp; 550 unknown").as_deref(), Some("5.0.0"));
        assert_eq!(code("4.0.0", "smtp; 550 5.0.0 unknown").as_deref(), Some("4.0.0"));
        assert_eq!(code("5.0.0", "550 5.0.0 unknown (#5.1.1)").as_deref(), Some("5.1.1"));
    }

    #[test]
    fn without_a_field_the_code_is_read_from_the_text() {
        for (text, expected) in [
            ("smtp; 550-5.1.1 The account\n550 5.1.1 gone", "5.1.1"),
            ("550 #5.1.0 Address rejected.", "5.1.0"),
            ("sorry, no mailbox here by that name (#5.1.1 - chkuser)", "5.1.1"),
            ("421 4.7.0 [TSS04] Messages from 192.0.2.10 - 4.16.55.1", "4.7.0"),
            ("250 2.0.0 OK 1700000000 a1-2 - gsmtp", "2.0.0"),
            ("550 5.7.515 Access denied", "5.7.515"),
            ("530 5.7.1.", "5.7.1"),
        ] {
            assert_eq!(code(None, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn numbers_that_only_look_like_codes_are_none() {
        for text in [
            "",
            "550 User unknown",
            "Messages from 5.1.1.7 are refused",
            "host mail-5.1.1.example.net said no",
            "Sendmail 8.14.5.1.2",
            "ESMTP v4.96.2-rc1",
            "550 6.1.1 no such class",
            "550 5.1.1234 too long",
            "550 5.1. and nothing",
            "0.0.0.5.1.1",
        ] {
            assert_eq!(code(None, text), None, "{text}");
        }
        assert_eq!(code("failed", None), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_codes_have_their_form(field in option::of(any::<String>()), text in "[0-9.#; a-]{0,30}") {
            if let Some(code) = status_code(field.as_deref(), Some(&text)) {
                prop_assert!(code.split('.').count() == 3 && code.starts_with(['2', '4', '5']));
                let again = status_code(Some(&code), None);
                prop_assert!(again.as_deref() == Some(code.as_ref()));
            }
        }
    }
}
