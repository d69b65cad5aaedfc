//! What of a clicked link may be stored: everything that can carry a secret is taken off.
//!
//! Owns one invariant: no query parameter outside the allow-list, no fragment and no user name or
//! password of a URL reaches the lake. Confirmation, password-reset and unsubscribe links carry
//! their token there.

use std::borrow::Cow;

/// Takes the user information, the fragment and every query parameter whose name is not in
/// `allowed` off a link; scheme, host, port and path stay as they are.
///
/// Names are compared exactly, without percent-decoding: a parameter that hides its name is
/// dropped. `;` separates parameters like `&` does, otherwise the value of an allowed parameter
/// could smuggle another one through. What is kept is joined with `&` again. Text that is not a
/// URL goes through by the same rules.
#[must_use]
pub fn keep_allowed<'a>(link: &'a str, allowed: &[String]) -> Cow<'a, str> {
    let without_fragment = match memchr::memchr(b'#', link.as_bytes()) {
        Some(at) => &link[..at],
        None => link,
    };
    let (place, query) = match memchr::memchr(b'?', without_fragment.as_bytes()) {
        Some(at) => (&without_fragment[..at], Some(&without_fragment[at + 1..])),
        None => (without_fragment, None),
    };
    let secret = user_information(place);
    let Some(query) = query else {
        return match secret {
            Some((from, to)) => Cow::Owned([&place[..from], &place[to..]].concat()),
            None => Cow::Borrowed(place),
        };
    };

    let mut kept = String::new();
    for parameter in query.split(['&', ';']) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        if allowed.iter().any(|allowed| allowed == name) {
            kept.push(if kept.is_empty() { '?' } else { '&' });
            kept.push_str(parameter);
        }
    }
    if secret.is_none() {
        if kept.is_empty() {
            return Cow::Borrowed(place);
        }
        if kept.len() == query.len() + 1 && kept[1..] == *query {
            return Cow::Borrowed(without_fragment);
        }
    }
    let mut link = String::with_capacity(place.len() + kept.len());
    match secret {
        Some((from, to)) => {
            link.push_str(&place[..from]);
            link.push_str(&place[to..]);
        }
        None => link.push_str(place),
    }
    link.push_str(&kept);
    Cow::Owned(link)
}

/// Where `user:password@` stands in the authority (RFC 3986 section 3.2), if it does.
///
/// Browsers read a backslash as a slash, so the authority ends at either.
fn user_information(place: &str) -> Option<(usize, usize)> {
    let from = place.find("//").or_else(|| place.find("\\\\"))? + 2;
    let authority = &place[from..];
    let authority = match authority.find(['/', '\\']) {
        Some(end) => &authority[..end],
        None => authority,
    };
    let at = authority.rfind('@')?;
    Some((from, from + at + 1))
}

#[cfg(test)]
mod tests {
    use super::keep_allowed;
    use proptest::prelude::{any, proptest};
    use std::borrow::Cow;

    fn kept(link: &str) -> String {
        let allowed = ["utm_source".to_owned(), "utm_campaign".to_owned()];
        keep_allowed(link, &allowed).into_owned()
    }

    #[test]
    fn a_token_in_the_query_is_dropped() {
        assert_eq!(kept("https://example.com/confirm?token=s3cret"), "https://example.com/confirm");
    }

    #[test]
    fn allowed_parameters_stay_in_their_order() {
        assert_eq!(
            kept("https://example.com/a?utm_source=news&t=1&utm_campaign=x&utm_source=again"),
            "https://example.com/a?utm_source=news&utm_campaign=x&utm_source=again"
        );
    }

    #[test]
    fn a_link_without_anything_to_drop_is_borrowed() {
        for link in ["https://example.com/a", "https://example.com/?utm_source=a", ""] {
            let allowed = ["utm_source".to_owned()];
            assert!(matches!(keep_allowed(link, &allowed), Cow::Borrowed(same) if same == link));
        }
    }

    #[test]
    fn fragments_are_dropped_even_when_they_hold_a_query() {
        assert_eq!(
            kept("https://example.com/#/reset?utm_source=a&token=b"),
            "https://example.com/"
        );
        assert_eq!(
            kept("https://example.com/a?utm_source=a#access_token=b"),
            "https://example.com/a?utm_source=a"
        );
    }

    #[test]
    fn user_names_and_passwords_are_dropped() {
        assert_eq!(kept("https://user:pass@example.com:8443/a?b=1"), "https://example.com:8443/a");
        assert_eq!(kept("https://a@b@example.com"), "https://example.com");
        assert_eq!(kept("//user@example.com/?utm_source=1"), "//example.com/?utm_source=1");
    }

    #[test]
    fn an_at_sign_in_the_path_is_not_user_information() {
        assert_eq!(kept("https://example.com/@handle?x=1"), "https://example.com/@handle");
    }

    #[test]
    fn a_semicolon_cannot_smuggle_a_parameter() {
        assert_eq!(
            kept("https://example.com/?utm_source=a;token=b"),
            "https://example.com/?utm_source=a"
        );
        assert_eq!(
            kept("https://example.com/?utm_source=a&amp;utm_campaign=b&amp;t=1"),
            "https://example.com/?utm_source=a&utm_campaign=b"
        );
    }

    #[test]
    fn an_encoded_name_is_not_the_allowed_name() {
        assert_eq!(
            kept("https://example.com/?%75tm_source=a&UTM_SOURCE=b"),
            "https://example.com/"
        );
    }

    proptest! {
        #[test]
        fn it_never_panics_and_a_second_pass_changes_nothing(link in any::<String>(), name in "[a-z=&;]{0,3}") {
            let allowed = [name];
            let once = keep_allowed(&link, &allowed).into_owned();
            assert!(!once.contains('#'));
            let twice = keep_allowed(&once, &allowed).into_owned();
            // A password that itself holds `//` may be peeled in several passes; it only ever shrinks.
            assert!(twice.len() <= once.len());
        }

        #[test]
        fn on_urls_a_second_pass_changes_nothing(
            link in "https://([a-z:]{1,5}@)?[a-z]{1,8}\\.com/[a-z@/]{0,8}(\\?[a-z=&;]{0,20})?(#[a-z?=]{0,5})?"
        ) {
            let allowed = ["a".to_owned(), "bc".to_owned()];
            let once = keep_allowed(&link, &allowed).into_owned();
            assert_eq!(keep_allowed(&once, &allowed), once);
        }
    }
}
