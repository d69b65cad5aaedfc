//! Days on which a careless rule would lose thousands of good customers, or make a hundred thousand calls.

use hearback_ingest::simulate::{self, Scenario};

use super::*;

const HOUR: i64 = 3_600;

#[test]
fn a_block_list_that_bounces_much_of_a_provider_for_two_hours_suppresses_nobody() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    let mut events = Vec::new();
    for n in 0..400_i64 {
        let recipient = format!("reader{n}@gmail.com");
        let message = format!("m{n}");
        // Two hours, from 30 to 28 hours ago; every day before, all of it arrives.
        let ago = 30 * HOUR - n * 18;
        events.push(delivery(&format!("before-{message}"), &recipient, ago + 72 * HOUR));
        let refused = n % 5 < 2;
        events.push(match (refused, n % 10) {
            (false, _) => delivery(&message, &recipient, ago),
            // What the provider says says nothing, and SES calls it permanent.
            (true, 0) => bounce(
                &message,
                &recipient,
                ago,
                ["Permanent", "General"],
                "smtp; 554 transaction failed",
            ),
            // Or it says something wrong, as a large provider did for hours in December 2020.
            (true, _) => unknown_user(&message, &recipient, ago),
        });
    }
    desk.ingest(&events);
    let plan = desk.json(&["plan", "--max-adds", "1000"], 0);
    assert_eq!(plan[0]["add"], 0, "{}", plan[0]["items"]);
    let text = desk.run(&["plan"]).stdout;
    assert!(text.contains("outage: gmail") && text.contains("set aside for outages"), "{text}");
    // An operator who knows better can say so.
    let thawed = desk.json(&["plan", "--thaw", "gmail", "--max-adds", "1000"], 0);
    assert_eq!(thawed[0]["add"], 160);
}

#[test]
fn a_month_that_is_replayed_changes_nothing() {
    let desk = Desk::new(
        "targets = [{ region = \"us-east-1\" }, { region = \"eu-west-1\", import_prefix = \"s3://imports\" }]",
    );
    // Four weeks of mail, and three more of late feedback, all of it over.
    let start = (now() - 8 * 7 * 24 * HOUR) * 1_000_000;
    let scenario = Scenario { messages: 4_000, seed: 7, start, ..Scenario::default() };
    let mut simulated = Vec::new();
    simulate::write(&scenario, &mut simulated, &mut |_| {}).expect("traffic");
    // Some of it is no text at all.
    let simulated = String::from_utf8_lossy(&simulated);
    let month = desk.hearback.file("month.json", simulated.as_bytes());
    desk.hearback.ingest(&[&month]);
    desk.apply(&["--max-adds", "1000"], 0);
    let lists = [desk.listed("us-east-1"), desk.listed("eu-west-1")];
    assert!(lists[0].len() > 20 && lists[0] == lists[1], "{}", lists[0].len());
    let ledger = "SELECT count(*) FROM suppression_ledger";
    let rows = desk.hearback.number(ledger);

    // The same events once more, in another order and from another file.
    let reversed: Vec<&str> = simulated.lines().rev().collect();
    let again = desk.hearback.file("again.json", reversed.join("\n"));
    desk.hearback.ingest(&[&again]);
    let round = desk.run(&["run", "--once"]);
    assert_eq!(round.code, 0, "{round:?}");
    assert_eq!(desk.hearback.number(ledger), rows);
    assert_eq!([desk.listed("us-east-1"), desk.listed("eu-west-1")], lists);
}

#[test]
fn a_dead_domain_is_no_outage() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    let dead = "smtp; 556 5.1.10 Recipient address has null MX";
    let events: Vec<Value> = (0..60)
        .map(|n| {
            bounce(
                &format!("m{n}"),
                &format!("jo{n}@dead.example"),
                5_000 + n,
                ["Permanent", "General"],
                dead,
            )
        })
        .collect();
    desk.ingest(&events);
    let plan = desk.json(&["plan", "--max-adds", "60"], 0);
    assert_eq!(plan[0]["add"], 60);
}

#[test]
fn a_hundred_thousand_dead_addresses_are_one_job() {
    let desk =
        Desk::new("targets = [{ region = \"us-east-1\", import_prefix = \"s3://imports\" }]");
    desk.ingest(&[delivery("m", "jo@example.com", 50)]);
    let mut csv = String::from("email,reason\n");
    for n in 0..100_000 {
        csv.push_str(&format!("dead{n}@dead.example,550 no such domain\n"));
    }
    let file = desk.hearback.file("dead.csv", csv).display().to_string();
    let capped = desk.run(&["import", &file, "--yes"]);
    assert_eq!(capped.code, 3, "{}", capped.stderr);
    let outcome = desk.run(&["import", &file, "--yes", "--max-adds", "100000"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(desk.ses.list("us-east-1").len(), 100_000);
    assert_eq!(desk.ses.requests("POST /v2/email/import-jobs").len(), 1);
    assert!(desk.ses.requests("PUT").is_empty());
    assert_eq!(
        desk.hearback.number("SELECT count(*) FROM suppressions WHERE owner = 'hearback'"),
        100_000
    );
}

#[test]
fn requests_to_one_account_and_region_keep_their_distance() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    desk.configure("targets = [{ region = \"us-east-1\" }]\nrequest_interval = \"200ms\"");
    let events: Vec<Value> = (0..5)
        .map(|n| unknown_user(&format!("m{n}"), &format!("gone{n}@example.com"), 5_000 + n))
        .collect();
    desk.ingest(&events);
    desk.apply(&[], 0);
    let seen = desk.ses.requests("/v2/email/");
    assert!(seen.len() >= 8, "a listing, the settings, and the additions: {seen:?}");
    for pair in seen.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(
            between.as_millis() >= 150,
            "{between:?} between {} and {}",
            pair[0].line,
            pair[1].line
        );
    }
}
