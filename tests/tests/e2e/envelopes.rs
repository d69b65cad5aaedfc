//! One event is one event, whatever wraps it, wherever it lies and however often it comes.

use hearback_tests::Hearback;

use crate::traffic::{Dice, ENVELOPES, events_as_such, ses_lines};

#[test]
fn the_same_traffic_through_every_envelope_shuffled_split_and_fed_thrice_gives_the_same_rows() {
    let plain = Hearback::new();
    let events = ses_lines(&plain, 300, 7);
    let source = plain.file("plain.json", events.join("\n"));
    plain.ingest(&[&source]);
    let expected = events_as_such(&plain);
    assert!(expected.lines().count() > 500, "too little traffic to prove anything");

    let mut dice = Dice::new(42);
    let wrapped = Hearback::new();
    for round in 0..3 {
        let mut documents: Vec<String> =
            events.iter().map(|event| ENVELOPES[dice.below(ENVELOPES.len())](event)).collect();
        dice.shuffle(&mut documents);
        let mut files = vec![String::new(); 5];
        for document in documents {
            let file = &mut files[dice.below(5)];
            file.push_str(&document);
            // Firehose concatenates without delimiters unless told otherwise.
            if dice.below(2) == 0 {
                file.push('\n');
            }
        }
        for (number, content) in files.iter().enumerate() {
            wrapped.file(&format!("round{round}/{number}"), content);
        }
        let folder = wrapped.folder().join(format!("round{round}"));
        let report = wrapped.ingest(&[&folder]);
        assert_eq!(report["rejected"], 0, "{report}");
    }
    let actual = events_as_such(&wrapped);
    assert!(actual == expected, "{}", first_difference(&expected, &actual));
}

#[test]
fn each_envelope_by_itself_gives_the_same_rows() {
    let plain = Hearback::new();
    let events = ses_lines(&plain, 60, 8);
    let source = plain.file("plain.json", events.join("\n"));
    plain.ingest(&[&source]);
    let expected = events_as_such(&plain);
    assert!(expected.lines().count() > 100, "too little traffic to prove anything");
    for (number, wrap) in ENVELOPES.iter().enumerate() {
        let wrapped = Hearback::new();
        let documents: Vec<String> = events.iter().map(|event| wrap(event)).collect();
        let source = wrapped.file("wrapped", documents.concat());
        wrapped.ingest(&[&source]);
        let actual = events_as_such(&wrapped);
        assert!(actual == expected, "envelope {number}: {}", first_difference(&expected, &actual));
    }
}

fn first_difference(expected: &str, actual: &str) -> String {
    for (line, (left, right)) in expected.lines().zip(actual.lines()).enumerate() {
        if left != right {
            return format!("row {line}\n  expected {left}\n  actual   {right}");
        }
    }
    format!("{} rows expected, {} found", expected.lines().count(), actual.lines().count())
}
