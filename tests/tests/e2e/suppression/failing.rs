//! What fails, and what is left of it: stale plans, caps, crashes, throttling, jobs that hang or fail.

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
