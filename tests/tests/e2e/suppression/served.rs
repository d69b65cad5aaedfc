//! What runs by itself, hosted by `hearback serve`.

use std::time::{Duration, Instant};

use hearback_tests::Running;

use super::*;

const BOTH: &str = r#"[suppression]
request_interval = "1ms"
every = "1h"
fast_lane = true
targets = [{ region = "us-east-1" }]

[[segments]]
name = "mailed"
sql = "SELECT recipient AS address FROM recipients"
schedule = "1h"
destinations = [{ uri = "out" }]
"#;

fn until(running: &Running, what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        let said = running.said();
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a metric is served with this value.
fn counts(running: &Running, line: &str) -> bool {
    running.get("/metrics").lines().any(|counted| counted == line)
}

#[test]
fn lists_and_segments_are_kept_side_by_side_and_told_over_http() {
    let desk = Desk::new("");
    desk.hearback.file("hearback.toml", BOTH);
    desk.ingest(&[delivery("m0", "jo@example.com", 90), unknown_user("m1", "old@example.com", 90)]);
    let serving = desk.hearback.start(&["serve", "--http", "127.0.0.1:0"]);
    let done = r#"hearback_suppression_rounds_total{round="full",outcome="done"} 1.0"#;
    until(&serving, "the first round", || counts(&serving, done));
    assert_eq!(desk.listed("us-east-1"), ["old@example.com"]);
    let current = desk.hearback.folder().join("out/mailed/current.json");
    until(&serving, "the segment is applied", || current.is_file());

    desk.ingest(&[unknown_user("m2", "gone@example.com", 60)]);
    until(&serving, "the fast lane", || desk.listed("us-east-1").len() == 2);
    let health = serving.get("/healthz");
    assert!(health.contains(" 200 ") && health.contains("segments waiting"), "{health}");
    assert!(serving.get("/").contains("well: serving"), "{}", serving.get("/"));
    until(&serving, "the lake is looked at", || {
        counts(&serving, r#"hearback_table_rows{table="events"} 3.0"#)
    });
    assert_eq!(serving.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    assert!(!serving.said().contains("@example.com"), "{}", serving.said());
}

#[test]
fn jobs_are_left_alone_if_nobody_wants_them_and_lists_that_cannot_be_read_are_said() {
    let desk = Desk::new("");
    desk.hearback.file("hearback.toml", BOTH);
    desk.ingest(&[delivery("m0", "jo@example.com", 90)]);
    let serving = desk.hearback.start(&["serve", "--http", "127.0.0.1:0", "--no-jobs"]);
    until(&serving, "the lake is looked at", || {
        counts(&serving, r#"hearback_table_rows{table="events"} 1.0"#)
    });
    assert!(serving.said().contains("nothing runs by itself"), "{}", serving.said());
    let lake = std::path::Path::new(desk.hearback.lake());
    let aside = lake.with_extension("aside");
    std::fs::rename(lake, &aside).expect("it moves");
    until(&serving, "the lake is missed", || {
        let health = serving.get("/healthz");
        health.contains(" 503 ") && health.contains("there is no lake")
    });
    std::fs::rename(&aside, lake).expect("it moves back");
    until(&serving, "it is there again", || serving.get("/healthz").contains(" 200 "));
    assert_eq!(serving.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    assert!(desk.ses.requests("/v2/email/").is_empty());
    assert!(!desk.hearback.folder().join("out").exists());

    desk.ses.deny("us-east-1");
    let serving = desk.hearback.start(&["serve", "--http", "127.0.0.1:0"]);
    let failed = r#"hearback_suppression_rounds_total{round="full",outcome="failed"} 1.0"#;
    until(&serving, "the round has failed", || counts(&serving, failed));
    let health = serving.get("/healthz");
    assert!(health.contains(" 503 ") && health.contains("cannot be read"), "{health}");
    // What fails keeps nothing else from going on.
    let current = desk.hearback.folder().join("out/mailed/current.json");
    until(&serving, "the segment is applied", || current.is_file());
    assert_eq!(serving.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
}

#[test]
fn what_cannot_be_served_is_said_before_anything_runs() {
    let desk = Desk::new("every = \"1s\"");
    let outcome = desk.hearback.run(["serve"]);
    assert_eq!(outcome.code, 2, "there is no lake yet: {outcome:?}");
    assert!(outcome.stderr.contains("there is no lake"), "{outcome:?}");
    desk.ingest(&[unknown_user("m1", "old@example.com", 90)]);
    for (address, says) in [
        ("0.0.0.0:0", "on this machine only"),
        ("127.0.0.1:99999", "invalid port"),
        ("here", "HOST:PORT"),
    ] {
        let outcome = desk.hearback.run(["serve", "--http", address]);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.stderr.contains(says), "{outcome:?}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let outcome = desk.hearback.run(["serve", "--http", &address]);
    assert!(outcome.code == 2 && outcome.stderr.contains("in use"), "{outcome:?}");
    desk.configure("every = \"10ms\"");
    let outcome = desk.hearback.run(["serve"]);
    assert!(outcome.code == 2 && outcome.stderr.contains("at least 1s"), "{outcome:?}");
    assert!(desk.ses.requests("/v2/email/").is_empty());
}
