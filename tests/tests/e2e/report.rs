//! The ingest report adds up, and says what SQL says.

use hearback_tests::Hearback;
use serde_json::Value;

fn figure(report: &Value, name: &str) -> i64 {
    report[name].as_i64().unwrap_or_else(|| panic!("{name} in {report}"))
}

#[test]
fn every_document_is_accepted_ignored_or_rejected_and_every_row_is_counted() {
    let hearback = Hearback::new();
    let source = hearback.folder().join("mixed");
    let outcome = hearback.run([
        "simulate",
        "--messages",
        "2000",
        "--seed",
        "3",
        "-o",
        source.to_str().expect("UTF-8"),
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let report = hearback.ingest(&[&source]);
    let size = std::fs::metadata(&source).expect("the file is there").len();
    assert_eq!(report["bytes"].as_u64(), Some(size), "{report}");
    assert!(figure(&report, "rejected") > 0, "the simulator writes some garbage: {report}");
    assert!(figure(&report, "ignored") > 0, "the simulator writes control messages: {report}");
    assert!(figure(&report, "duplicates") > 0, "the simulator repeats itself: {report}");
    assert!(
        figure(&report, "records") > figure(&report, "ignored") + figure(&report, "rejected"),
        "{report}"
    );
    assert_eq!(hearback.number("SELECT count(*) FROM events"), figure(&report, "events"));
    assert_eq!(
        hearback.number("SELECT count(DISTINCT event_id) FROM events"),
        figure(&report, "events")
    );
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), figure(&report, "rejected"));
}

#[test]
fn reading_the_same_file_again_adds_nothing() {
    let hearback = Hearback::new();
    let source = hearback.folder().join("mixed");
    let path = source.to_str().expect("UTF-8");
    hearback.run(["simulate", "--messages", "300", "--seed", "4", "-o", path]);
    let first = hearback.ingest(&[&source]);
    let again = hearback.ingest(&[&source]);
    assert_eq!(figure(&again, "events"), 0, "{again}");
    let renamed = hearback.folder().join("another-name");
    std::fs::copy(&source, &renamed).expect("a copy");
    let copied = hearback.ingest(&[&renamed]);
    assert_eq!(figure(&copied, "events"), 0, "{copied}");
    assert_eq!(hearback.number("SELECT count(*) FROM events"), figure(&first, "events"));
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), figure(&first, "rejected"));
}

#[test]
fn strict_makes_rejects_count_as_failure_and_nothing_else_does() {
    let hearback = Hearback::new();
    let source = hearback.file("bad", "not json at all\n");
    let path = source.to_str().expect("UTF-8");
    assert_eq!(hearback.run(["ingest", path]).code, 0);
    let other = hearback.file("worse", "{\"still\": \"not an event\"}\n");
    let strict = hearback.run(["ingest", "--strict", other.to_str().expect("UTF-8")]);
    assert_eq!(strict.code, 1, "{strict:?}");
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), 2);
}

#[test]
fn standard_input_is_a_source() {
    let hearback = Hearback::new();
    let events = crate::traffic::ses_lines(&hearback, 50, 5).join("\n");
    let outcome = hearback.run_with_input(&["ingest", "-", "--format", "json"], events.as_bytes());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let report = outcome.json();
    assert_eq!(hearback.number("SELECT count(*) FROM events"), figure(&report, "events"));
}
