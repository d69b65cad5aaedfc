//! Segments go where they are meant to go, whatever fails on the way, and nowhere else.

mod contact_list;
mod folder;
mod killed;
mod pinpoint;
mod profiles;
mod running;
mod webhook;

use std::time::{Duration, Instant};

use hearback_tests::{Hearback, Outcome};
use serde_json::{Value, json};

/// A lake with a delivery to each of `count` people, p0000@example.com and so on.
fn with_people(hearback: &Hearback, count: usize) {
    let lines: Vec<String> = (0..count).map(|n| delivery(&person(n), &format!("m{n}"))).collect();
    let file = hearback.file("people.json", lines.join("\n"));
    hearback.ingest(&[&file]);
}

fn person(n: usize) -> String {
    format!("p{n:04}@example.com")
}

fn delivery(address: &str, message: &str) -> String {
    json!({
        "eventType": "Delivery",
        "mail": mail(address, message),
        "delivery": {"timestamp": "2026-11-01T10:00:02.000Z", "processingTimeMillis": 2000, "recipients": [address]},
    })
    .to_string()
}

fn complaint(address: &str, message: &str) -> String {
    json!({
        "eventType": "Complaint",
        "mail": mail(address, message),
        "complaint": {
            "timestamp": "2026-11-02T10:00:00.000Z", "complaintFeedbackType": "abuse",
            "complainedRecipients": [{"emailAddress": address}],
        },
    })
    .to_string()
}

fn mail(address: &str, message: &str) -> Value {
    json!({
        "timestamp": "2026-11-01T10:00:00.000Z", "messageId": message, "source": "news@example.com",
        "destination": [address],
    })
}

/// Everybody whose number is below `count`, as the segment `everybody`, that goes to one destination.
fn everybody_below(hearback: &Hearback, count: usize, destination: &str) {
    let limit = person(count);
    let config = format!(
        "[[segments]]\nname = \"everybody\"\nmax_shrink = 0.5\n\
         sql = \"SELECT recipient AS address, deliveries FROM recipients WHERE recipient < '{limit}'\"\n\
         destinations = [{destination}]\n"
    );
    hearback.file("hearback.toml", config);
}

fn apply(hearback: &Hearback) -> Outcome {
    hearback.run(["segments", "apply", "--yes", "--format", "json", "--quiet"])
}

/// Applies and gives the report of the one destination.
fn applied(hearback: &Hearback) -> Value {
    let outcome = apply(hearback);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.json()[0].clone()
}

/// What the ledger and the next plan say: nothing is left to do, and nothing was noted twice.
fn assert_settled(hearback: &Hearback) {
    assert_settled_for(hearback, "everybody");
}

fn assert_settled_for(hearback: &Hearback, segment: &str) {
    let plan = hearback.run(["segments", "plan", segment, "--format", "json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let plan = plan.json()[0].clone();
    for count in ["add", "change", "remove"] {
        assert_eq!(plan[count], 0, "{count} of {plan}");
    }
    let twice = "SELECT count(*) FROM (SELECT plan_id, member, action FROM segment_ledger \
                 WHERE outcome = 'done' GROUP BY 1, 2, 3 HAVING count(*) > 1)";
    assert_eq!(hearback.number(twice), 0);
}

/// Runs `segments apply` until `hangs` says that a request hangs, and kills it then. False if it ended
/// by itself before.
fn killed_while(hearback: &Hearback, hangs: impl Fn() -> bool) -> bool {
    let mut child = hearback.spawn(&["segments", "apply", "--yes", "--quiet"]);
    let begun = Instant::now();
    loop {
        if child.try_wait().expect("a status").is_some() {
            return false;
        }
        if hangs() {
            child.kill().expect("it runs");
            child.wait().expect("it ended");
            return true;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it neither hangs nor ends");
        std::thread::sleep(Duration::from_millis(20));
    }
}
