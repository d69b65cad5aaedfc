//! Bad input: a clear line for each, no panic, everything readable around it is read.

use std::io::Write;

use hearback_tests::{Hearback, Outcome};
use serde_json::{Value, json};

use crate::traffic::ses_lines;

fn good(message: u32) -> String {
    json!({
        "eventType": "Delivery",
        "mail": {
            "timestamp": "2026-09-01T08:00:00.000Z",
            "messageId": format!("0100017f5acb66f1-e509f90c-{message:04}-000000"),
            "source": "news@example.com",
            "sendingAccountId": "123456789012",
            "destination": ["ana@example.net"],
            "tags": {"campaign": ["autumn"]},
        },
        "delivery": {
            "timestamp": "2026-09-01T08:00:02.000Z",
            "processingTimeMillis": 2000,
            "recipients": ["ana@example.net"],
            "smtpResponse": "250 2.0.0 OK",
            "reportingMTA": "a1-2.smtp-out.amazonses.com",
        },
    })
    .to_string()
}

/// Ingests good, bad, good and checks that the good ones are rows and the bad one is kept.
fn surrounded(bad: &[u8]) -> (Hearback, Value) {
    let hearback = Hearback::new();
    let mut bytes = good(1).into_bytes();
    bytes.push(b'\n');
    bytes.extend_from_slice(bad);
    bytes.push(b'\n');
    bytes.extend_from_slice(good(2).as_bytes());
    bytes.push(b'\n');
    let source = hearback.file("in.json", bytes);
    let report = hearback.ingest(&[&source]);
    assert!(report["events"].as_i64() >= Some(2), "{report}");
    let both = hearback.number(
        "SELECT count(*) FROM events WHERE message_id LIKE '0100017f5acb66f1-e509f90c-000%'",
    );
    assert!(both >= 2, "the good events around were not read: {report}");
    (hearback, report)
}

fn kept_whole(hearback: &Hearback, bad: &[u8]) {
    let hex: String = bad.iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = hearback.query("SELECT encode(raw, 'hex') AS raw, reason FROM rejects");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["raw"].as_str(), Some(hex.as_str()));
    assert!(kept[0]["reason"].as_str().is_some_and(|reason| reason.len() > 5), "{kept:?}");
}

#[test]
fn what_is_no_json_is_kept_byte_for_byte() {
    for bad in [
        &b"2026-09-01 08:00:01 ERROR connection reset"[..],
        b"<html><body>502 Bad Gateway</body></html>",
        b"{\"eventType\": \"Bounce\", \"mail\": {\"timestamp\": \"2026-09-01T08:00",
        b"{\"eventType\": \"Open\" \"mail\": {}}",
        b"\x00\x01\x02\x03binary\xff\xfe",
    ] {
        let (hearback, report) = surrounded(bad);
        assert_eq!(report["rejected"], 1, "{report}");
        kept_whole(&hearback, bad);
    }
}

#[test]
fn invalid_utf8_and_nuls_inside_a_document_reject_that_document_alone() {
    let mut invalid = good(3).into_bytes();
    let place = invalid.windows(6).position(|window| window == b"autumn").expect("the tag");
    invalid[place] = 0xff;
    let (hearback, report) = surrounded(&invalid);
    assert_eq!(report["rejected"], 1, "{report}");
    kept_whole(&hearback, &invalid);
    invalid[place] = 0;
    let (hearback, _) = surrounded(&invalid);
    kept_whole(&hearback, &invalid);
}

#[test]
fn nesting_ten_thousand_deep_is_survived() {
    let deep =
        format!("{{\"eventType\":\"Open\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let (_, report) = surrounded(deep.as_bytes());
    assert_eq!(report["records"], 3, "{report}");
    let unclosed = "[".repeat(10_000);
    surrounded(unclosed.as_bytes());
}

#[test]
fn a_fifty_megabyte_line_is_read_or_kept() {
    let filler = "x".repeat(50 << 20);
    let (hearback, report) = surrounded(filler.as_bytes());
    assert_eq!(report["rejected"], 1, "{report}");
    assert_eq!(hearback.number("SELECT sum(length(encode(raw, 'hex'))) FROM rejects"), 100 << 20);

    let mut event: Value = serde_json::from_str(&good(3)).expect("JSON");
    event["mail"]["headers"] = json!([{"name": "X-Large", "value": filler}]);
    let (hearback, report) = surrounded(event.to_string().as_bytes());
    assert_eq!(report["events"], 3, "{report}");
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), 0);
}

#[test]
fn impossible_dates_are_kept_flagged_and_open_no_partitions() {
    let hearback = Hearback::new();
    let mut lines = Vec::new();
    for year in [1, 1066, 1969, 2400, 9999] {
        for day in 1..=28 {
            let event = good(year * 100 + day).replace(
                "2026-09-01T08:00:02.000Z",
                &format!("{year:04}-02-{day:02}T08:00:02.000Z"),
            );
            lines.push(event);
        }
    }
    let source = hearback.file("clock.json", lines.join("\n"));
    let report = hearback.ingest(&[&source]);
    assert_eq!(report["events"], 140, "{report}");
    assert_eq!(hearback.number("SELECT count(DISTINCT event_date) FROM events"), 1);
    assert_eq!(
        hearback.number("SELECT count(*) FROM events WHERE extra->>'implausible_time' = 'true'"),
        140
    );
    let years =
        hearback.query("SELECT DISTINCT date_part('year', event_time) AS y FROM events ORDER BY y");
    assert_eq!(years.len(), 5, "{years:?}");
}

#[test]
fn numbers_as_strings_and_strings_as_numbers_are_understood() {
    let hearback = Hearback::new();
    let mut event: Value = serde_json::from_str(&good(4)).expect("JSON");
    event["delivery"]["processingTimeMillis"] = json!("2000");
    event["mail"]["sendingAccountId"] = json!(123_456_789_012_u64);
    event["mail"]["headersTruncated"] = json!("false");
    event["mail"]["tags"]["campaign"] = json!("autumn");
    let source = hearback.file("types.json", event.to_string());
    hearback.ingest(&[&source]);
    let rows = hearback.query("SELECT processing_ms, account_id, campaign FROM events");
    assert_eq!(
        rows,
        [json!({"processing_ms": 2000, "account_id": "123456789012", "campaign": "autumn"})]
    );
}

#[test]
fn empty_files_and_folders_are_nothing_to_complain_about() {
    let hearback = Hearback::new();
    hearback.file("in/empty.json", "");
    hearback.file("in/blank.json", "\n \n\r\n");
    hearback.file("in/bom.json", format!("\u{feff}{}", good(1)));
    let report = hearback.ingest(&[&hearback.folder().join("in")]);
    assert_eq!(report["records"], 1, "{report}");
    assert_eq!(report["events"], 1, "{report}");
}

#[test]
fn a_truncated_gzip_is_named_and_all_before_the_damage_is_read() {
    let hearback = Hearback::new();
    let events = ses_lines(&hearback, 400, 6).join("\n");
    let whole = gzip(events.as_bytes());
    hearback.file("in/b-damaged.gz", &whole[..whole.len() / 2]);
    hearback.file("in/c-good.json", good(9));
    let folder = hearback.folder().join("in");
    let outcome = hearback.run(["ingest", folder.to_str().expect("UTF-8"), "--format", "json"]);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(outcome.stderr.contains("b-damaged.gz"), "{outcome:?}");
    assert_eq!(
        hearback.number("SELECT count(*) FROM events WHERE message_id LIKE '%-0009-000000'"),
        1
    );
    let before = hearback.number("SELECT count(*) FROM events");
    assert!(before > 10, "what came before the damage was not read");
    hearback.file("in/b-damaged.gz", &whole);
    let repaired = hearback.run(["ingest", folder.to_str().expect("UTF-8"), "--format", "json"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    let other = Hearback::new();
    let source = other.file("all.json", format!("{events}\n{}", good(9)));
    other.ingest(&[&source]);
    assert_eq!(
        hearback.number("SELECT count(*) FROM events"),
        other.number("SELECT count(*) FROM events")
    );
}

#[test]
fn what_does_not_exist_is_bad_usage_and_says_so() {
    let hearback = Hearback::new();
    let Outcome { code, stderr, stdout } = hearback.run(["ingest", "no-such-file.json"]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("no-such-file.json"), "{stderr}");
    let missing = hearback.run(["query", "SELECT 1 FROM events"]);
    assert_ne!(missing.code, 0);
    assert!(missing.stderr.contains("lake"), "{missing:?}");
    assert!(!missing.stderr.contains("panicked"), "{missing:?}");
}

/// A limit on the size of files stands for the full disk: writing fails in the middle of a data file.
#[test]
fn a_full_disk_is_one_clear_line_and_leaves_nothing_half_visible() {
    let hearback = Hearback::new();
    let events = ses_lines(&hearback, 3000, 12).join("\n");
    let source = hearback.file("in.json", events);
    let limited = std::process::Command::new("bash")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 64; exec \"$@\"")
        .arg("limited")
        .arg(hearback.command().get_program())
        .args(["--lake", hearback.lake(), "ingest"])
        .arg(&source)
        .output()
        .expect("bash starts");
    let stderr = String::from_utf8_lossy(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stderr.contains("rror"), "{stderr}");
    let report = hearback.ingest(&[&source]);
    let other = Hearback::new();
    other.ingest(&[&source]);
    assert_eq!(
        hearback.number("SELECT count(*) FROM events"),
        other.number("SELECT count(*) FROM events"),
        "{report}"
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = bytes.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input).expect("gzip reads"));
    let output = child.wait_with_output().expect("gzip ends");
    feeder.join().expect("the feeder ends");
    output.stdout
}
