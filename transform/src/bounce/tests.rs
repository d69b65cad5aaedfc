//! Replies of receiving servers as SES hands them on, and the cause each must be given.

use super::matcher::{MATCHER, text_rules};
use super::{Evidence, by_code, classify, rules};
use hearback_schemas::BounceClass;
use proptest::option;
use proptest::prelude::{any, prop_assert_eq, proptest};

/// Class, bounceType, bounceSubType, status, diagnosticCode per line.
const FIXTURE: &str = include_str!("../../tests/bounces.tsv");

#[test]
fn every_pattern_compiles_and_is_reached_by_no_empty_text() {
    for pattern in text_rules().flat_map(|rule| rule.patterns) {
        let compiled = regex::bytes::RegexBuilder::new(pattern).unicode(false).build();
        assert!(compiled.is_ok(), "{pattern}");
    }
    for text in ["", " ", "550", "550 5.0.0"] {
        assert!(MATCHER.first(text, |_| true).is_none(), "{text:?}");
    }
}

#[test]
fn every_row_says_why() {
    for rule in text_rules() {
        assert!(!rule.why.is_empty() && !rule.patterns.is_empty(), "{:?}", rule.patterns);
    }
}

#[test]
fn replies_are_classed_by_their_cause() {
    let mut seen = 0;
    let mut wrong = String::new();
    for (number, line) in FIXTURE.lines().enumerate() {
        if line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [class, bounce_type, subtype, status, diagnostic] = fields[..] else {
            panic!("line {} has {} fields", number + 1, fields.len());
        };
        let diagnostic = diagnostic.replace("\\n", "\n");
        let given = |field: &'static str| (field != "-").then_some(field);
        let judged = classify(&Evidence {
            bounce_type: given(bounce_type),
            bounce_subtype: given(subtype),
            status: given(status),
            diagnostic: (diagnostic != "-").then_some(diagnostic.as_str()),
        });
        seen += 1;
        if judged.as_str() != class {
            wrong += &format!("line {}: {judged} instead of {class}: {line}\n", number + 1);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(seen >= 120, "only {seen} replies");
}

#[test]
fn every_class_is_in_the_fixture() {
    for class in BounceClass::ALL {
        let start = format!("{class}\t");
        assert!(FIXTURE.lines().any(|line| line.starts_with(&start)), "{class}");
    }
}

#[test]
fn an_echo_is_an_echo_whatever_the_diagnostic_says() {
    let judged = classify(&Evidence {
        bounce_type: Some("Permanent"),
        bounce_subtype: Some("OnAccountSuppressionList"),
        status: Some("5.1.1"),
        diagnostic: Some("smtp; 550 5.1.1 user unknown"),
    });
    assert_eq!(judged, BounceClass::SuppressionEcho);
}

#[test]
fn words_of_an_automatic_answer_in_a_permanent_refusal_are_no_automatic_answer() {
    let evidence = |bounce_type| Evidence {
        bounce_type: Some(bounce_type),
        diagnostic: Some("550 5.1.1 user unknown; auto-reply mailbox"),
        ..Evidence::default()
    };
    assert_eq!(classify(&evidence("Permanent")), BounceClass::InvalidRecipient);
}

#[test]
fn nothing_at_all_is_undetermined() {
    assert_eq!(classify(&Evidence::default()), BounceClass::Undetermined);
}

#[test]
fn code_patterns_stand_for_whole_numbers() {
    assert!(rules::code_matches("*.7.1", "5.7.1"));
    assert!(rules::code_matches("*.7.60?", "5.7.606"));
    assert!(!rules::code_matches("*.7.1", "5.7.13"));
    assert!(!rules::code_matches("5.7.1", "4.7.1"));
    assert_eq!(by_code(rules::EXACT_CODES, Some("5.1.1")), Some(BounceClass::InvalidRecipient));
    assert_eq!(by_code(rules::EXACT_CODES, Some("5.1.11")), None);
    assert_eq!(by_code(rules::EXACT_CODES, None), None);
}

proptest! {
    #[test]
    fn no_evidence_panics_and_the_same_evidence_gives_the_same_class(
        bounce_type in option::of("Permanent|Transient|Undetermined|[a-z]{0,3}"),
        bounce_subtype in option::of("General|NoEmail|MailboxFull|[a-zA-Z]{0,5}"),
        status in option::of("[245]\\.[0-9]{1,3}\\.[0-9]{1,3}|[0-9.]{0,6}"),
        diagnostic in option::of(any::<String>()),
    ) {
        let evidence = Evidence {
            bounce_type: bounce_type.as_deref(),
            bounce_subtype: bounce_subtype.as_deref(),
            status: status.as_deref(),
            diagnostic: diagnostic.as_deref(),
        };
        prop_assert_eq!(classify(&evidence), classify(&evidence));
    }
}
