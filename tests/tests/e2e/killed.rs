//! A run killed at any moment leaves nothing half visible; the same command finishes the job.

use std::time::Duration;

use hearback_tests::Hearback;

use crate::traffic::{Dice, events_as_such};

#[test]
fn killed_at_random_moments_and_run_again_adds_each_event_once() {
    let reference = Hearback::new();
    let source = reference.folder().join("traffic");
    let path = source.to_str().expect("UTF-8");
    let simulated = reference.run(["simulate", "--messages", "20000", "--seed", "21", "-o", path]);
    assert_eq!(simulated.code, 0, "{simulated:?}");
    let started = std::time::Instant::now();
    reference.ingest(&[&source]);
    let whole = started.elapsed();
    let expected = events_as_such(&reference);
    let rejects = reference.number("SELECT count(*) FROM rejects");

    let hearback = Hearback::new();
    // Small flushes, so that kills fall between commits as well as before and after them.
    hearback.file("hearback.toml", "[ingest]\nflush_rows = 5000\n");
    let mut dice = Dice::new(1);
    for _ in 0..25 {
        let mut child = hearback.spawn(&["ingest", path]);
        let moment =
            Duration::from_micros(dice.below(1000) as u64 * whole.as_micros() as u64 / 700);
        std::thread::sleep(moment);
        let _ = child.kill();
        child.wait().expect("the process ends");
        if hearback.folder().join("lake/events/_delta_log").exists() {
            let twice = hearback.run([
                "query",
                "SELECT event_id FROM events GROUP BY event_id HAVING count(*) > 1",
                "--format",
                "csv",
            ]);
            assert_eq!(twice.code, 0, "a killed run left the lake unreadable: {twice:?}");
            assert_eq!(twice.stdout.lines().count(), 1, "{twice:?}");
        }
    }
    hearback.ingest(&[&source]);
    let actual = events_as_such(&hearback);
    assert!(actual == expected, "the rows differ after the kills");
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), rejects);
}

#[test]
fn two_runs_at_once_on_the_same_files_add_each_event_once() {
    let reference = Hearback::new();
    let source = reference.folder().join("traffic");
    let path = source.to_str().expect("UTF-8");
    reference.run(["simulate", "--messages", "8000", "--seed", "22", "-o", path]);
    reference.ingest(&[&source]);

    let hearback = Hearback::new();
    hearback.file("hearback.toml", "[ingest]\nflush_rows = 4000\n");
    let mut runs: Vec<_> = (0..3).map(|_| hearback.spawn(&["ingest", path])).collect();
    for run in &mut runs {
        let status = run.wait().expect("the process ends");
        assert!(status.success(), "{status}");
    }
    for table in ["events", "rejects"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(hearback.number(&count), reference.number(&count), "{table}");
    }
}

#[test]
fn an_interrupt_ends_the_run_soon_and_loses_nothing() {
    let reference = Hearback::new();
    let source = reference.folder().join("traffic");
    let path = source.to_str().expect("UTF-8");
    reference.run(["simulate", "--messages", "40000", "--seed", "23", "-o", path]);
    let report = reference.ingest(&[&source]);

    let hearback = Hearback::new();
    let mut child = hearback.spawn(&["ingest", path]);
    std::thread::sleep(Duration::from_millis(150));
    let interrupted = std::time::Instant::now();
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill starts");
    child.wait().expect("the process ends");
    assert!(interrupted.elapsed() < Duration::from_secs(10));
    hearback.ingest(&[&source]);
    assert_eq!(Some(hearback.number("SELECT count(*) FROM events")), report["events"].as_i64());
}
