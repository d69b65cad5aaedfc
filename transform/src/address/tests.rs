//! Mailboxes as headers, envelopes and bounces spell them.

use super::parse_mailbox;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use std::borrow::Cow;

fn address(given: &str) -> Option<String> {
    parse_mailbox(given).map(|mailbox| mailbox.address.into_owned())
}

#[test]
fn a_plain_address_is_borrowed() {
    let given = "first.last+tag@example.com";
    let mailbox = parse_mailbox(given).expect("an address");
    assert!(matches!(mailbox.address, Cow::Borrowed(_)));
    assert!(matches!(mailbox.identity, Cow::Borrowed(_)));
    assert_eq!(mailbox.address, given);
    assert_eq!((mailbox.local(), mailbox.domain()), ("first.last+tag", "example.com"));
}

#[test]
fn every_spelling_of_one_mailbox_gives_one_address() {
    for given in [
        "john@example.com",
        "JOHN@EXAMPLE.COM",
        "<john@example.com>",
        " john@example.com\r\n",
        "\u{a0}john@example.com\u{3000}",
        "\u{feff}john@example.com\u{200b}",
        "john@example.com.",
        "john@example.com..",
        "'john@example.com'",
        "John Doe <john@example.com>",
        "\"Doe, John\" <john@example.com>",
        "\"Doe \\\"J\\\" <work>\" <john@example.com>",
        "\"<other@example.net>\" <john@example.com>",
        "=?utf-8?b?44OG44K544OI?= <john@example.com>",
        "=?UTF-8?Q?J=C3=B6hn,_Doe?= <john@example.com>",
        "株式会社テスト <john@example.com>",
        "\"株式会社\u{3000}テスト\"<john@example.com>",
        "john@example.com (John Doe)",
        "(work (main)) john@example.com",
        "john(comment)@example.com",
        "john@(comment)example.com",
        "john @ example.com",
        "\"john\"@example.com",
        "rfc822; john@example.com",
        "RFC822;<john@example.com>",
        "utf-8;john@example.com",
        "mailto:john@example.com",
        "<mailto:john@example.com>",
        "<@relay.example.net,@other.example.net:john@example.com>",
        "John <john@example.com",
        "\"unclosed <john@example.com>",
        "john@example.com, jane@example.com",
        "John <john@example.com>, Jane <jane@example.com>",
        "John Doe john@example.com",
        "john@example.com;",
    ] {
        assert_eq!(address(given).as_deref(), Some("john@example.com"), "{given:?}");
    }
}

#[test]
fn the_identity_keeps_the_case_of_the_local_part() {
    let mailbox = parse_mailbox("\"J\" <John.Doe+News@Example.COM>").expect("an address");
    assert_eq!(mailbox.identity, "John.Doe+News@example.com");
    assert_eq!(mailbox.address, "john.doe+news@example.com");
    let mailbox = parse_mailbox("John.Doe@Example.com").expect("an address");
    assert_eq!(mailbox.identity, "John.Doe@example.com");
    assert_eq!((mailbox.local(), mailbox.domain()), ("john.doe", "example.com"));
    let mailbox = parse_mailbox("John@example.com").expect("an address");
    assert!(matches!(mailbox.identity, Cow::Borrowed("John@example.com")));
}

#[test]
fn tags_and_dots_are_kept() {
    assert_eq!(address("a.b.c+x.y@gmail.com").as_deref(), Some("a.b.c+x.y@gmail.com"));
    assert_eq!(address("A..B.@docomo.ne.jp").as_deref(), Some("a..b.@docomo.ne.jp"));
    assert_eq!(address("\"a..b.\"@docomo.ne.jp").as_deref(), Some("a..b.@docomo.ne.jp"));
}

#[test]
fn quoted_local_parts_that_need_their_quotes_keep_them() {
    assert_eq!(address("\"A b\"@Example.com").as_deref(), Some("\"a b\"@example.com"));
    assert_eq!(address("\"a@b\"@example.com").as_deref(), Some("\"a@b\"@example.com"));
    assert_eq!(address("\"a,<b>\"@example.com").as_deref(), Some("\"a,<b>\"@example.com"));
    assert_eq!(address("X <\"a b\"@example.com>").as_deref(), Some("\"a b\"@example.com"));
}

#[test]
fn international_domains_become_punycode() {
    for given in [
        "a@bücher.example",
        "A@BÜCHER.example",
        "a@bu\u{308}cher.example",
        "a@xn--bcher-kva.example",
    ] {
        assert_eq!(address(given).as_deref(), Some("a@xn--bcher-kva.example"), "{given}");
    }
    assert_eq!(address("a@例え.テスト").as_deref(), Some("a@xn--r8jz45g.xn--zckzah"));
    assert_eq!(address("a@例え。テスト。").as_deref(), Some("a@xn--r8jz45g.xn--zckzah"));
    assert_eq!(address("a@ＥＸＡＭＰＬＥ．com").as_deref(), Some("a@example.com"));
}

#[test]
fn a_domain_that_is_no_valid_international_one_is_only_lower_cased() {
    assert_eq!(
        address("a@xn--\u{e9}\u{301}.Example").as_deref(),
        Some("a@xn--\u{e9}\u{301}.example")
    );
    assert_eq!(address("a@[192.0.2.1]").as_deref(), Some("a@[192.0.2.1]"));
    assert_eq!(address("a@under_score.Example").as_deref(), Some("a@under_score.example"));
}

#[test]
fn international_local_parts_are_kept_composed_and_lower_cased() {
    assert_eq!(address("Jos\u{e9}@example.com").as_deref(), Some("jos\u{e9}@example.com"));
    assert_eq!(address("JOSE\u{301}@example.com").as_deref(), Some("jos\u{e9}@example.com"));
    assert_eq!(address("ユーザー@example.jp").as_deref(), Some("ユーザー@example.jp"));
}

#[test]
fn text_without_a_mailbox_gives_none() {
    for given in [
        "",
        " ",
        "@",
        "a@",
        "@b",
        "a@.",
        "<>",
        "<a>",
        "john",
        "John Doe",
        "MAILER-DAEMON",
        "a@b@",
        "undisclosed-recipients:;",
        "a@\u{ff20}",
        "a@b\\c",
        "<<@:>",
        "a:b@example.com@example.net",
    ] {
        assert_eq!(address(given), None, "{given:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_text_panics_and_a_second_pass_changes_nothing(given in any::<String>()) {
        check(&given)?;
    }

    #[test]
    fn nor_does_text_made_of_the_signs_that_matter(
        given in "[ab@.<>\"(),;:\\\\ ]{0,14}|[aA\u{e9}\u{3a3}\u{130}\u{3000}\"@.。b-]{0,12}"
    ) {
        check(&given)?;
    }
}

fn check(given: &str) -> Result<(), proptest::test_runner::TestCaseError> {
    let Some(once) = parse_mailbox(given) else { return Ok(()) };
    let twice = parse_mailbox(&once.address);
    prop_assert_eq!(
        twice.as_ref().map(|mailbox| mailbox.address.as_ref()),
        Some(once.address.as_ref())
    );
    let from_identity = parse_mailbox(&once.identity);
    prop_assert_eq!(
        from_identity.as_ref().map(|mailbox| mailbox.identity.as_ref()),
        Some(once.identity.as_ref())
    );
    prop_assert_eq!(
        from_identity.map(|mailbox| mailbox.address.into_owned()),
        Some(once.address.to_string())
    );
    prop_assert_eq!(format!("{}@{}", once.local(), once.domain()), once.address.as_ref());
    Ok(())
}
