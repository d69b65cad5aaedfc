//! What a user of the lists sees: plan, apply, explain, remove, import, expiry.

use std::time::{Duration, Instant};

use super::*;

fn some_feedback() -> Vec<Value> {
    vec![
        unknown_user("m1", "gone@example.com", 5_000),
        complaint("m2", &["angry@yahoo.com"], 4_000, "abuse"),
        complaint("m3", &["one@yahoo.com", "two@yahoo.com"], 4_000, "abuse"),
        bounce(
            "m4",
            "blocked@example.org",
            3_000,
            ["Permanent", "General"],
            "smtp; 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.example",
        ),
        bounce("m5", "away@example.org", 3_000, ["Transient", "General"], "I am out of the office"),
        bounce(
            "m6",
            "echo@example.org",
            3_000,
            ["Permanent", "OnAccountSuppressionList"],
            "Amazon SES did not send",
        ),
        unknown_user("m7", "bounce@simulator.amazonses.com", 3_000),
        // A test message: tagged, and so no evidence.
        {
            let mut test = unknown_user("m8", "tester@example.com", 3_000);
            test["mail"]["tags"]["test"] = json!(["true"]);
            test
        },
        // Forwarded: the bounce names an address that nobody mailed.
        send("m9", "sales@example.net", 2_000),
        {
            let mut forwarded = unknown_user("m9", "old-boss@example.net", 1_900);
            forwarded["mail"]["destination"] = json!(["sales@example.net"]);
            forwarded
        },
    ]
}

#[test]
fn what_came_back_decides_who_stands_on_every_list_and_nothing_else_does() {
    let desk = Desk::new(TWO_REGIONS);
    desk.ses.put("us-east-1", "Theirs@example.com", "BOUNCE");
    desk.ingest(&some_feedback());

    let plan = desk.json(&["plan"], 0);
    assert_eq!(plan[0]["target"], "111122223333/us-east-1");
    for target in [&plan[0], &plan[1]] {
        let mut items: Vec<(String, String)> = target["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| {
                (
                    item["address"].as_str().unwrap_or("").to_owned(),
                    item["reason"].as_str().unwrap_or("").to_owned(),
                )
            })
            .collect();
        items.sort();
        let pair = |address: &str, reason: &str| (address.to_owned(), reason.to_owned());
        assert_eq!(
            items,
            [
                pair("angry@yahoo.com", "COMPLAINT"),
                pair("gone@example.com", "BOUNCE"),
                pair("sales@example.net", "BOUNCE"),
            ]
        );
        assert_eq!((&target["add"], &target["remove"]), (&json!(3), &json!(0)));
    }
    let gone = plan[0]["items"]
        .as_array()
        .and_then(|items| items.iter().find(|item| item["address"] == "gone@example.com"));
    let evidence = &gone.expect("an item")["evidence"][0];
    assert!(
        evidence["text"].as_str().is_some_and(|text| text.contains("does not exist")),
        "{evidence}"
    );
    assert_eq!(evidence["campaign"], "november");
    assert!(desk.ses.requests("PUT").is_empty(), "a plan changes nothing");

    let applied = desk.apply(&[], 0);
    assert_eq!(applied[0]["applied"]["added"], 3);
    assert_eq!(
        desk.listed("eu-west-1"),
        ["angry@yahoo.com", "gone@example.com", "sales@example.net"]
    );
    assert!(desk.ses.stops("us-east-1", "GONE@example.com"));
    assert_eq!(desk.standing("us-east-1"), desk.standing("eu-west-1"));

    // Once more, and the same events once more: nothing to do.
    desk.ingest(&some_feedback());
    let again = desk.json(&["plan"], 0);
    assert_eq!(
        (&again[0]["add"], &again[0]["remove"], &again[0]["keep"]),
        (&json!(0), &json!(0), &json!(4))
    );
    assert_eq!(again[0]["drift"]["not_ours"], 1);
    let requests = desk.ses.requests("PUT").len();
    desk.apply(&[], 0);
    assert_eq!(desk.ses.requests("PUT").len(), requests);

    let explained = desk.run(&["explain", "Gone@Example.com"]);
    assert_eq!(explained.code, 0);
    for words in
        ["invalid-recipient", "does not exist", "campaign november", "for ever", "on 2 of 2 lists"]
    {
        assert!(explained.stdout.contains(words), "{words}: {}", explained.stdout);
    }
    let theirs = desk.run(&["explain", "theirs@example.com"]);
    assert!(theirs.stdout.contains("not ours"), "{}", theirs.stdout);

    let rows = desk.hearback.query(
        "SELECT suppressed, suppressed_why FROM recipients WHERE recipient = 'gone@example.com'",
    );
    assert_eq!(rows[0]["suppressed"], true);
    assert!(
        rows[0]["suppressed_why"].as_str().is_some_and(|why| why.contains("invalid-recipient"))
    );
}

#[test]
fn an_operator_removes_every_spelling_from_every_list_and_it_stays_removed() {
    let desk = Desk::new(TWO_REGIONS);
    desk.ingest(&[unknown_user("m1", "gone@example.com", 5_000)]);
    desk.ses.put("us-east-1", "Gone@Example.com", "BOUNCE");
    desk.apply(&[], 0);
    desk.ses.put("eu-west-1", "GONE@example.com", "BOUNCE");
    let refused = desk.run(&["remove", "gone@example.com", "--reason", "they called"]);
    assert_eq!(refused.code, 2, "nobody said yes: {refused:?}");
    desk.json(&["remove", "gone@example.com", "--reason", "they called", "--yes"], 0);
    assert!(desk.listed("us-east-1").is_empty() && desk.listed("eu-west-1").is_empty());
    let plan = desk.json(&["plan"], 0);
    assert_eq!(plan[0]["add"], 0, "the old evidence is forgiven");
    let explained = desk.run(&["explain", "gone@example.com"]);
    assert!(explained.stdout.contains("they called"), "{}", explained.stdout);

    // Events here have whole seconds: one of the second of the removal would be from before it.
    std::thread::sleep(Duration::from_millis(1_100));
    desk.ingest(&[unknown_user("m2", "gone@example.com", 0)]);
    std::thread::sleep(Duration::from_secs(1));
    desk.apply(&[], 0);
    assert_eq!(desk.listed("us-east-1"), ["gone@example.com"]);
}

#[test]
fn a_removal_is_refused_while_there_is_newer_evidence() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    desk.ses.put("us-east-1", "gone@example.com", "BOUNCE");
    std::thread::sleep(Duration::from_millis(2_100));
    desk.ingest(&[unknown_user("m1", "gone@example.com", 0)]);
    let arguments = ["remove", "gone@example.com", "--reason", "they called", "--yes"];
    let refused = desk.run(&arguments);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(desk.listed("us-east-1"), ["gone@example.com"]);
    let forced = desk.run(&[&arguments[..], &["--despite-evidence"]].concat());
    assert_eq!(forced.code, 0, "{forced:?}");
    assert!(desk.listed("us-east-1").is_empty());
}

#[test]
fn an_address_with_a_slash_is_removed_by_an_import_job() {
    let desk =
        Desk::new("targets = [{ region = \"us-east-1\", import_prefix = \"s3://imports/here\" }]");
    desk.ingest(&[unknown_user("m1", "other@example.com", 9_000)]);
    desk.ses.put("us-east-1", "sales/emea@example.com", "BOUNCE");
    desk.json(&["remove", "sales/emea@example.com", "--reason", "moved", "--yes"], 0);
    assert!(desk.listed("us-east-1").is_empty());
    assert_eq!(desk.ses.requests("POST /v2/email/import-jobs").len(), 1);
    assert!(desk.ses.objects().is_empty(), "the file with the address does not stay behind");
}

#[test]
fn what_has_ended_is_lifted_and_what_others_put_there_stays() {
    let desk =
        Desk::new("targets = [{ region = \"us-east-1\" }]\ninactive_mailbox_expiry = \"30s\"");
    desk.ses.put("us-east-1", "theirs@example.com", "BOUNCE");
    let disabled = "smtp; 550 5.2.1 The email account that you tried to reach is disabled";
    desk.ingest(&[bounce("m1", "asleep@example.com", 0, ["Permanent", "General"], disabled)]);
    desk.apply(&[], 0);
    assert!(desk.ses.stops("us-east-1", "asleep@example.com"));
    let begun = Instant::now();
    while desk.ses.stops("us-east-1", "asleep@example.com") {
        assert!(begun.elapsed() < Duration::from_secs(90), "it is never lifted");
        std::thread::sleep(Duration::from_secs(2));
        let round = desk.run(&["run", "--once"]);
        assert_eq!(round.code, 0, "{round:?}");
    }
    assert_eq!(desk.listed("us-east-1"), ["theirs@example.com"]);
    assert_eq!(desk.json(&["plan"], 0)[0]["add"], 0, "the old evidence does not put it back");
    let explained = desk.run(&["explain", "asleep@example.com"]);
    assert!(
        explained.stdout.contains("lifted") && explained.stdout.contains("expiry"),
        "{}",
        explained.stdout
    );
}

#[test]
fn what_somebody_took_off_stays_off_and_is_recorded() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]\nfull_listing = \"1ms\"");
    desk.ingest(&[unknown_user("m1", "gone@example.com", 5_000)]);
    desk.apply(&[], 0);
    desk.ses.take("us-east-1", "gone@example.com");
    let plan = desk.json(&["plan"], 0);
    assert_eq!((&plan[0]["add"], &plan[0]["drift"]["gone"]), (&json!(0), &json!(1)));
    desk.apply(&[], 0);
    assert!(desk.listed("us-east-1").is_empty());
    assert!(desk.standing("us-east-1").is_empty());
    let restored = desk.json(&["plan", "--restore"], 0);
    assert_eq!(restored[0]["add"], 0, "it was recorded, so there is nothing left to restore");
}

#[test]
fn a_list_that_does_nothing_is_said_to() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]\ntransactional = [\"receipts\"]");
    desk.ses.suppress_for("us-east-1", &["BOUNCE"]);
    desk.ses.override_set("loud", &[]);
    desk.ingest(&[complaint("m1", &["angry@yahoo.com"], 400, "abuse")]);
    let plan = desk.json(&["plan"], 0);
    assert_eq!(plan[0]["inert"][0]["adds"], 1, "{plan}");
    let notices = plan[0]["notices"].to_string();
    assert!(notices.contains("loud") && notices.contains("receipts"), "{notices}");
}

#[test]
fn a_rule_of_one_s_own_is_sql() {
    let desk = Desk::new(
        "targets = [{ region = \"us-east-1\" }]\n\
         rules = [{ name = \"no-role-accounts\", expiry = \"30 days\", sql = \"SELECT recipient AS address, 'BOUNCE' AS reason, 'a role account' AS evidence FROM recipients WHERE recipient LIKE 'abuse@%'\" }]",
    );
    desk.ingest(&[delivery("m1", "abuse@example.com", 100), delivery("m2", "jo@example.com", 100)]);
    let plan = desk.json(&["plan"], 0);
    assert_eq!(plan[0]["items"][0]["address"], "abuse@example.com");
    assert_eq!(plan[0]["items"][0]["rule"], "no-role-accounts");
    assert_eq!(plan[0]["items"][0]["why"], "a role account");
    desk.apply(&[], 0);
    assert_eq!(desk.listed("us-east-1"), ["abuse@example.com"]);
    desk.configure("targets = [{ region = \"us-east-1\" }]\nrules = [{ name = \"broken\", sql = \"SELECT 1 AS one\" }]");
    let broken = desk.run(&["plan"]);
    assert!(broken.code == 1 && broken.stderr.contains("broken"), "{broken:?}");
}

#[test]
fn lists_are_exported_and_imported_with_where_they_came_from() {
    let desk = Desk::new(TWO_REGIONS);
    desk.ingest(&[unknown_user("m1", "gone@example.com", 5_000)]);
    let file = desk.hearback.file("bounces.csv", "address,code,error,created_at\nOld@Example.org,550,no such user,2025-01-01\ngone@example.com,550,x,2025-01-01\n");
    let path = file.display().to_string();
    let dry = desk.json(&["import", &path, "--from", "mailgun", "--dry-run"], 0);
    assert_eq!(dry[0]["add"], 2);
    assert!(desk.listed("us-east-1").is_empty());
    desk.json(&["import", &path, "--from", "mailgun", "--yes"], 0);
    assert_eq!(desk.listed("eu-west-1"), ["gone@example.com", "old@example.org"]);
    let explained = desk.run(&["explain", "old@example.org"]);
    assert!(
        explained.stdout.contains("mailgun, 550") && explained.stdout.contains("import-mailgun"),
        "{}",
        explained.stdout
    );
    let export = desk.run(&["export", "--format", "ses"]);
    assert_eq!(export.stdout, "gone@example.com,BOUNCE\nold@example.org,BOUNCE\n");
    let csv = desk.run(&["export", "--region", "eu-west-1"]);
    assert!(
        csv.stdout.starts_with("address,reason,account_id,region,tenant,owner,rule,since,until\n"),
        "{}",
        csv.stdout
    );
    assert_eq!(csv.stdout.lines().count(), 3);
}

#[test]
fn the_fast_lane_acts_on_complaints_and_on_who_does_not_exist_at_once() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    desk.ingest(&[delivery("m0", "jo@example.com", 900)]);
    let keeping = desk.hearback.start(&[
        "suppression",
        "run",
        "--every",
        "1h",
        "--fast-lane",
        "--metrics",
        "127.0.0.1:0",
    ]);
    let begun = Instant::now();
    while desk.ses.requests("GET /v2/email/account").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", keeping.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    // The round is over when the lane looks; what is committed from now on is its business.
    std::thread::sleep(Duration::from_secs(1));
    // Most of what is new is no reason to ask SES anything.
    let asked = desk.ses.requests("/v2/email/").len();
    desk.ingest(&[delivery("m", "jo@example.com", 70)]);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(desk.ses.requests("/v2/email/").len(), asked, "{}", keeping.said());
    desk.ingest(&[
        complaint("m1", &["angry@yahoo.com"], 60, "abuse"),
        unknown_user("m2", "gone@example.com", 60),
        bounce(
            "m3",
            "disabled@example.com",
            60,
            ["Permanent", "General"],
            "smtp; 550 5.2.1 mailbox disabled, not accepting messages",
        ),
    ]);
    let committed = Instant::now();
    while desk.listed("us-east-1").len() < 2 {
        assert!(committed.elapsed() < Duration::from_secs(10), "{}", keeping.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(desk.listed("us-east-1"), ["angry@yahoo.com", "gone@example.com"]);
    let counted = |line: &str| {
        let metrics = keeping.get("/metrics");
        metrics.lines().any(|counted| counted.starts_with(line))
    };
    while !counted("hearback_suppression_rounds_total{round=\"fast\",outcome=\"done\"} 1") {
        assert!(committed.elapsed() < Duration::from_secs(10), "{}", keeping.get("/metrics"));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(counted("hearback_suppression_rounds_total{round=\"full\",outcome=\"done\"} 1"));
    assert!(keeping.get("/healthz").contains(" 200 "), "{}", keeping.get("/healthz"));
    assert_eq!(keeping.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    // The next round takes up what could wait.
    assert_eq!(desk.run(&["run", "--once"]).code, 0);
    assert_eq!(desk.listed("us-east-1").len(), 3);
}
