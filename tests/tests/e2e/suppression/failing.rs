//! What fails, and what is left of it: stale plans, caps, crashes, throttling, jobs that hang or fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use hearback_tests::ses_list::Cut;

use super::*;

#[test]
fn a_plan_whose_ground_has_moved_or_that_was_edited_is_refused() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    desk.ingest(&[unknown_user("m1", "gone@example.com", 5_000)]);
    desk.json(&["plan", "--out", "plan.json"], 0);
    let path = desk.hearback.folder().join("plan.json");
    let text = std::fs::read_to_string(&path).expect("a plan");
    std::fs::write(&path, text.replace("gone@example.com", "else@example.com")).expect("an edit");
    let edited = desk.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(edited.code, 2, "{edited:?}");
    std::fs::write(&path, &text).expect("the plan again");

    desk.ingest(&[delivery("m2", "jo@example.com", 50)]);
    let stale = desk.run(&["apply", "plan.json", "--yes"]);
    assert!(stale.code == 3 && stale.stderr.contains("new events"), "{stale:?}");

    desk.json(&["plan", "--out", "plan.json"], 0);
    desk.ses.put("us-east-1", "other@example.com", "BOUNCE");
    let stale = desk.run(&["apply", "plan.json", "--yes"]);
    assert!(stale.code == 3 && stale.stderr.contains("has changed"), "{stale:?}");
    assert!(desk.ses.requests("PUT").is_empty());

    desk.json(&["plan", "--out", "plan.json"], 0);
    desk.apply(&["plan.json"], 0);
    assert_eq!(desk.listed("us-east-1"), ["gone@example.com", "other@example.com"]);
    // Applied already: there is nothing left of it to do.
    desk.apply(&["plan.json"], 0);
    assert_eq!(desk.ses.requests("PUT").len(), 1);
}

#[test]
fn a_plan_is_refreshed_beside_a_lake_that_goes_on_reading() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    desk.ingest(&[
        unknown_user("m1", "gone@example.com", 5_000),
        unknown_user("m2", "back@example.com", 5_000),
        unknown_user("m3", "again@example.com", 5_000),
    ]);
    let reviewed = desk.json(&["plan", "--out", "plan.json"], 0);
    assert_eq!(reviewed[0]["add"], 3);
    // One recovers, one complains as well, and one that nobody has looked at fails.
    desk.ingest(&[
        delivery("m4", "back@example.com", 50),
        complaint("m5", &["again@example.com"], 40, "abuse"),
        unknown_user("m6", "unseen@example.com", 30),
    ]);
    let stale = desk.run(&["apply", "plan.json", "--yes"]);
    assert!(stale.code == 3 && stale.stderr.contains("--refresh"), "{stale:?}");
    let capped = desk.run(&["apply", "plan.json", "--refresh", "--yes", "--max-adds", "0"]);
    assert!(capped.code == 3 && capped.stderr.contains("--max-adds 1"), "{capped:?}");
    assert!(desk.listed("us-east-1").is_empty());

    let refreshed = desk.run(&["apply", "plan.json", "--refresh", "--yes"]);
    assert_eq!(refreshed.code, 0, "{refreshed:?}");
    assert!(
        refreshed.stderr.contains("1 of 3 changes still stand, 2 are left out"),
        "{refreshed:?}"
    );
    assert_eq!(desk.listed("us-east-1"), ["gone@example.com"]);
    // The ledger names the plan that was looked at and the one that was carried out.
    let file = std::fs::read_to_string(desk.hearback.folder().join("plan.json")).expect("a plan");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let looked_at = file["plan"]["plan_id"].as_str().expect("an identity");
    let rows = desk.hearback.query("SELECT plan_id, note FROM suppression_ledger");
    assert!(!rows.is_empty());
    for row in rows {
        assert_ne!(row["plan_id"], looked_at);
        assert_eq!(row["note"], format!("reviewed as plan {looked_at}"));
    }

    // Other rules, or another lake, are no news: they make it another plan.
    desk.configure("targets = [{ region = \"us-east-1\" }]\nsoft_failures = 4");
    let other_rules = desk.run(&["apply", "plan.json", "--refresh", "--yes"]);
    assert!(other_rules.code == 3 && other_rules.stderr.contains("rules"), "{other_rules:?}");
    let elsewhere = Desk::new("targets = [{ region = \"us-east-1\" }]");
    elsewhere.ingest(&[unknown_user("m1", "gone@example.com", 5_000)]);
    let plan = desk.hearback.folder().join("plan.json").display().to_string();
    for options in [&["apply", &plan, "--yes"][..], &["apply", &plan, "--refresh", "--yes"]] {
        let refused = elsewhere.run(options);
        assert!(refused.code == 3 && refused.stderr.contains("another lake"), "{refused:?}");
    }
    assert!(elsewhere.listed("us-east-1").is_empty());
}

/// Answers one POST after the other with a status, and hands on their bodies.
fn receiver(status: &'static str) -> (String, std::sync::mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/alerts?key=secret", listener.local_addr().expect("an address"));
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let mut reader = BufReader::new(connection.try_clone().expect("both directions"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).expect("a line") > 0, "cut off: {head}");
            }
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            let mut body = vec![0; length.expect("a length")];
            reader.read_exact(&mut body).expect("a body");
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).expect("an answer");
            if told.send((head, String::from_utf8(body).expect("text"))).is_err() {
                return;
            }
        }
    });
    (url, heard)
}

#[test]
fn a_webhook_is_told_what_stopped_a_run_and_never_stops_one() {
    let (url, heard) = receiver("204 No Content");
    let one_target = "targets = [{ region = \"us-east-1\" }]";
    let desk = Desk::new(&format!("{one_target}\nwebhook = \"{url}\""));
    let events: Vec<Value> = (0..15)
        .map(|n| unknown_user(&format!("m{n}"), &format!("gone{n}@example.com"), 5_000 + n))
        .collect();
    desk.ingest(&events);
    assert_eq!(desk.run(&["run", "--once"]).code, 3);
    let (head, body) = heard.recv_timeout(Duration::from_secs(10)).expect("a POST");
    assert!(head.starts_with("POST /alerts?key=secret HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/json\r\n"), "{head}");
    let alert: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(alert["alert"], "suppression");
    assert_eq!(alert["round"]["outcome"], "stopped");
    assert_eq!(alert["round"]["targets"][0]["guards"][0]["lift"], "--max-adds 15");
    assert!(!body.contains('@'), "{body}");

    // What goes well is no alert, and what is said once is not said again while it lasts.
    desk.apply(&["--max-adds", "15"], 0);
    assert_eq!(desk.run(&["run", "--once"]).code, 0);
    assert!(heard.try_recv().is_err());

    // A receiver that refuses, or is not there, changes nothing; its address is a secret.
    let (refusing, _heard) = receiver("500 Internal Server Error");
    let gone = "http://127.0.0.1:9/alerts?key=secret".to_owned();
    let more: Vec<Value> = (0..30)
        .map(|n| unknown_user(&format!("n{n}"), &format!("left{n}@example.com"), 4_000 + n))
        .collect();
    desk.ingest(&more);
    for url in [refusing, gone] {
        desk.configure(&format!("{one_target}\nwebhook = \"{url}\""));
        let run = desk.run(&["run", "--once"]);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.contains("did not reach the webhook"), "{run:?}");
        assert!(!run.stderr.contains("secret"), "{run:?}");
    }
}

#[test]
fn a_cap_stops_and_is_lifted_by_its_name() {
    let desk = Desk::new(
        "targets = [{ region = \"us-east-1\" }]\ncommand = [\"sh\", \"-c\", \"cat > alert.json\"]",
    );
    let events: Vec<Value> = (0..15)
        .map(|n| unknown_user(&format!("m{n}"), &format!("gone{n}@example.com"), 5_000 + n))
        .collect();
    desk.ingest(&events);
    let plan = desk.json(&["plan"], 3);
    assert_eq!(plan[0]["guards"][0]["guard"], "max-adds");
    assert_eq!(plan[0]["guards"][0]["lift"], "--max-adds 15");
    let refused = desk.run(&["apply", "--yes"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    let run = desk.run(&["run", "--once"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(desk.listed("us-east-1").is_empty());
    let alert =
        std::fs::read_to_string(desk.hearback.folder().join("alert.json")).expect("an alert");
    assert!(alert.contains("stopped") && !alert.contains('@'), "{alert}");
    desk.apply(&["--max-adds", "15"], 0);
    assert_eq!(desk.listed("us-east-1").len(), 15);
}

#[test]
fn a_crash_at_any_request_leaves_a_list_and_a_ledger_that_agree_in_the_end() {
    let events = [
        unknown_user("m1", "gone1@example.com", 5_000),
        complaint("m2", &["angry@yahoo.com"], 4_000, "abuse"),
    ];
    let mut crashes = 0;
    for when in [Cut::Before, Cut::After] {
        for number in 1.. {
            let desk = Desk::new(TWO_REGIONS);
            desk.ingest(&events);
            desk.json(&["plan", "--out", "plan.json"], 0);
            desk.ses.cut(number, when);
            let mut child = desk.hearback.spawn(&["suppression", "apply", "plan.json", "--yes"]);
            let begun = Instant::now();
            let ended = loop {
                assert!(begun.elapsed() < Duration::from_secs(60), "neither ends nor hangs");
                if desk.ses.hanging() {
                    child.kill().expect("it is killed");
                    child.wait().expect("it ends");
                    break false;
                }
                if child.try_wait().expect("a state").is_some() {
                    break true;
                }
                std::thread::sleep(Duration::from_millis(10));
            };
            if ended {
                break;
            }
            crashes += 1;
            desk.ses.mend();
            if number % 2 == 0 {
                // Somebody applies the same plan again.
                desk.apply(&["plan.json"], 0);
            } else {
                // Nobody does; the next round of the automatic run finds what happened.
                let round = desk.run(&["run", "--once"]);
                assert_eq!(round.code, 0, "{when:?} {number}: {round:?}");
            }
            for region in ["us-east-1", "eu-west-1"] {
                let listed = desk.listed(region);
                assert_eq!(listed, ["angry@yahoo.com", "gone1@example.com"], "{when:?} {number}");
                assert_eq!(desk.standing(region), listed, "{when:?} {number}");
            }
            assert_eq!(desk.json(&["plan"], 0)[0]["add"], 0, "{when:?} {number}");
        }
    }
    assert_eq!(crashes, 8, "two changes on two lists, before and after each");
}

#[test]
fn throttling_is_sat_out_and_what_lasts_too_long_is_left_for_the_next_run() {
    let desk = Desk::new("targets = [{ region = \"us-east-1\" }]");
    desk.ingest(&[unknown_user("m1", "gone@example.com", 5_000)]);
    desk.ses.throttle(6);
    desk.apply(&[], 0);
    assert_eq!(desk.listed("us-east-1"), ["gone@example.com"]);

    desk.configure("targets = [{ region = \"us-east-1\" }]\ngive_up = \"50ms\"");
    desk.ingest(&[unknown_user("m2", "gone2@example.com", 4_000)]);
    desk.json(&["plan", "--out", "plan.json"], 0);
    desk.ses.throttle(1_000_000);
    let given_up = desk.run(&["apply", "plan.json", "--yes"]);
    assert_ne!(given_up.code, 0, "{given_up:?}");
    desk.ses.mend();
    desk.apply(&["plan.json"], 0);
    assert_eq!(desk.standing("us-east-1"), ["gone2@example.com", "gone@example.com"]);
}

#[test]
fn one_list_that_cannot_be_reached_stops_no_other() {
    let desk = Desk::new(TWO_REGIONS);
    desk.ingest(&[unknown_user("m1", "gone@example.com", 5_000)]);
    desk.ses.deny("us-east-1");
    let outcome = desk.run(&["apply", "--yes"]);
    assert!(outcome.code == 4 && outcome.stderr.contains("us-east-1"), "{outcome:?}");
    assert_eq!(desk.listed("eu-west-1"), ["gone@example.com"]);
    desk.ses.mend();
    desk.apply(&[], 0);
    assert_eq!(desk.listed("us-east-1"), ["gone@example.com"]);
}

const BY_JOB: &str = "targets = [{ region = \"us-east-1\", import_prefix = \"s3://imports/here\" }]\nsingle_requests = 2\n";

fn five_gone() -> Vec<Value> {
    (0..5)
        .map(|n| unknown_user(&format!("m{n}"), &format!("gone{n}@example.com"), 5_000 + n))
        .collect()
}

#[test]
fn a_job_that_says_completed_may_have_failed_for_some() {
    let desk = Desk::new(BY_JOB);
    desk.ingest(&five_gone());
    desk.ses.refuse("gone3@example.com");
    let applied = desk.apply(&[], 4);
    assert_eq!(applied[0]["applied"]["added"], 4);
    assert_eq!(applied[0]["applied"]["failed"][0]["address"], "gone3@example.com");
    assert_eq!(desk.standing("us-east-1"), desk.listed("us-east-1"));
    assert_eq!(desk.listed("us-east-1").len(), 4);
    desk.ses.mend();
    desk.apply(&[], 0);
    assert_eq!(desk.listed("us-east-1").len(), 5);
}

#[test]
fn a_job_that_hangs_is_waited_for_again_and_not_started_again() {
    let desk = Desk::new(&format!("{BY_JOB}import_wait = \"20ms\""));
    desk.ingest(&five_gone());
    desk.ses.slow_jobs(12);
    desk.json(&["plan", "--out", "plan.json"], 0);
    let first = desk.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(first.code, 4, "{first:?}");
    let begun = Instant::now();
    while desk.run(&["apply", "plan.json", "--yes"]).code != 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never ends");
    }
    assert_eq!(desk.ses.requests("POST /v2/email/import-jobs").len(), 1);
    assert_eq!(desk.standing("us-east-1").len(), 5);
}
