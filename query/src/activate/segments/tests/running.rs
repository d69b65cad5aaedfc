use std::time::Duration;

use super::*;
use crate::activate::segments::definition::Schedule;
use crate::activate::segments::destination::Attempts;
use crate::activate::segments::runner::{Progress, Runner};
use crate::ops::metrics::{SEGMENT_MEMBERS, SEGMENT_RUNS};
use crate::ops::{Health, Vitals};

fn outcomes(vitals: &Vitals) -> Vec<String> {
    let series = vitals.series(&SEGMENT_RUNS);
    let outcomes = series.iter().flat_map(|series| &series.labels);
    let outcomes = outcomes.filter(|(name, _)| *name == "outcome");
    outcomes.map(|(_, value)| value.clone()).collect()
}

#[tokio::test]
async fn the_runner_is_a_task_that_any_program_can_host() {
    let lake = TestLake::of(&people(4)).await;
    let out = tempfile::tempdir().expect("a folder");
    let place = |name: &str| {
        DestinationSpec::folder_or_bucket(&out.path().join(name).display().to_string())
    };
    let mut everybody = segment(EVERYBODY);
    everybody.destinations = vec![place("known")];
    let mut halved =
        segment("SELECT recipient AS address FROM recipients WHERE recipient < 'p001'");
    halved.name = "halved".to_owned();
    halved.destinations = vec![place("known")];
    let mut before = halved.clone();
    before.sql = EVERYBODY.to_owned();
    halved.destinations.push(place("new"));

    let vitals = Arc::new(Vitals::new());
    let cancel = CancelFlag::new();
    let task = {
        let (vitals, cancel) = (Arc::clone(&vitals), cancel.clone());
        async move {
            let opened = lake.open().await;
            let progress = |_: &str| -> Progress { Box::new(|_, _| {}) };
            let runner = Runner {
                bench: opened.bench(),
                attempts: Attempts::new(Arc::new(|| 0.0)),
                cancel: &cancel,
                vitals: &vitals,
                progress: &progress,
            };
            let hourly = || Schedule::parse("1h").expect("a schedule");
            let mut first = [runner.job(before, hourly()).await];
            assert_eq!(first[0].due, clock(), "what was never applied is due at once");
            let stopping = async {
                while outcomes(&vitals).is_empty() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::select! {
                () = runner.run(&mut first) => {}
                () = stopping => {}
            }
            let mut jobs =
                vec![runner.job(halved, hourly()).await, runner.job(everybody, hourly()).await];
            runner.run(&mut jobs).await;
            jobs
        }
    };
    // It compiles: the task may move from thread to thread.
    let task = tokio::spawn(task);
    let begun = std::time::Instant::now();
    while vitals.series(&SEGMENT_MEMBERS).len() < 2
        || !outcomes(&vitals).contains(&"refused".to_owned())
    {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", outcomes(&vitals));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let Health::Bad(reason) = vitals.health() else { panic!("a refused segment is well") };
    assert!(reason.contains("halved") && !reason.contains('@'), "{reason}");
    cancel.cancel();
    let jobs = task.await.expect("it ends in good order");
    let hour = jiff::SignedDuration::from_hours(1);
    assert!(jobs.iter().all(|job| job.due == clock() + hour), "{jobs:?}");
    assert!(out.path().join("known/test/current.json").is_file());
    assert!(!out.path().join("new").exists(), "a halved answer goes to no destination");
}
