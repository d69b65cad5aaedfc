//! A run that is killed, or whose store fails, at every write there is.

use std::sync::Arc;

use hearback_schemas::EVENTS;
use object_store::memory::InMemory;

use super::faulty_store::{Failure, FaultyStore};
use super::rows::*;
use crate::lake::{Lake, LakeError};

/// A run over two objects with a commit after each; the second repeats half of the first.
async fn run(lake: &Lake) -> Result<(), LakeError> {
    let mut writer = begin(lake, settings()).await?;
    for (name, numbers, texts) in [("a", 0..100, ["x", "x", "y"]), ("b", 50..150, ["x", "y", "z"])]
    {
        if writer.already_read(&object(name)) {
            continue;
        }
        writer.stage(decoded(&events(numbers)), from(name)).await?;
        writer.stage(garbage(&texts), from(name)).await?;
        writer.commit(objects(&[name]), NOW_US).await?;
    }
    Ok(())
}

async fn assert_complete(lake: &Lake, what: &str) {
    assert_holds(lake, &events(0..150)).await;
    assert_eq!(reject_count(lake).await, 4, "{what}");
    let reader = writer(lake).await;
    assert!(reader.already_read(&object("a")) && reader.already_read(&object("b")), "{what}");
}

#[tokio::test]
async fn a_run_killed_before_or_after_any_write_is_finished_by_running_it_again() {
    let mut kills = 0;
    for failure in [Failure::KilledBefore, Failure::KilledAfter] {
        for nth in 1.. {
            let store = Arc::new(InMemory::new());
            let faulty = FaultyStore::new(&store, "", nth, failure);
            let result = run(&lake_in(Arc::clone(&faulty) as _)).await;
            if !faulty.has_failed() {
                result.expect("nothing failed");
                break;
            }
            kills += 1;
            let lake = lake_in(Arc::clone(&store) as _);
            // What is visible now is whole commits.
            let seen = counts(&lake, &EVENTS).await;
            assert!([0, 100, 150].contains(&seen.len()), "{failure:?} {nth}: {}", seen.len());
            run(&lake).await.expect("the second run");
            assert_complete(&lake, &format!("{failure:?} {nth}")).await;
            // And once more changes nothing.
            run(&lake).await.expect("the third run");
            assert_complete(&lake, &format!("{failure:?} {nth}")).await;
        }
    }
    assert!(kills >= 20, "only {kills} writes were tried");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_found_out_about_and_nothing_is_doubled() {
    for nth in 1.. {
        let store = Arc::new(InMemory::new());
        let faulty = FaultyStore::new(&store, "_delta_log", nth, Failure::AnswerLost);
        run(&lake_in(Arc::clone(&faulty) as _)).await.expect("the commit landed");
        if !faulty.has_failed() {
            return;
        }
        assert_complete(&lake_in(store as _), &format!("{nth}")).await;
    }
}

/// A store that answered in this way five times in a row once ended a reader that was to run for months.
#[tokio::test]
async fn a_store_that_repeats_a_write_and_finds_its_own_object_does_no_harm() {
    for nth in 1.. {
        let store = Arc::new(InMemory::new());
        let faulty = FaultyStore::new(&store, "", nth, Failure::Repeated);
        run(&lake_in(Arc::clone(&faulty) as _)).await.expect("everything was written");
        if !faulty.has_failed() {
            assert!(nth > 8);
            return;
        }
        assert_complete(&lake_in(store as _), &format!("{nth}")).await;
    }
}

#[tokio::test]
async fn a_commit_that_the_store_refuses_once_is_tried_again() {
    // Version 0 is the empty table, whose failure ends the run; 1 and 2 are the two commits.
    for nth in [2, 3] {
        let store = Arc::new(InMemory::new());
        let faulty = FaultyStore::new(&store, EVENTS_LOG, nth, Failure::Refused);
        run(&lake_in(Arc::clone(&faulty) as _)).await.expect("the second try");
        assert!(faulty.has_failed());
        assert_complete(&lake_in(store as _), &format!("{nth}")).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_called_that_and_leaves_nothing_half_applied() {
    for nth in 1.. {
        let store = Arc::new(InMemory::new());
        let faulty = FaultyStore::new(&store, "part-", nth, Failure::Full);
        let result = run(&lake_in(Arc::clone(&faulty) as _)).await;
        if !faulty.has_failed() {
            assert!(nth > 2);
            return;
        }
        let error = result.expect_err("the disk is full");
        assert!(matches!(error, LakeError::Full { .. }), "{error}");
        let lake = lake_in(store as _);
        run(&lake).await.expect("there is room again");
        assert_complete(&lake, &format!("{nth}")).await;
    }
}

#[tokio::test]
async fn a_writer_that_failed_takes_no_more() {
    let store = Arc::new(InMemory::new());
    let faulty = FaultyStore::new(&store, "part-", 1, Failure::Refused);
    let mut writer = begin(&lake_in(faulty as _), settings()).await.expect("a writer");
    writer.stage(decoded(&events(0..10)), from("a")).await.expect("staged");
    writer.commit(objects(&["a"]), NOW_US).await.expect_err("the upload failed");
    writer.commit(objects(&["a"]), NOW_US).await.expect_err("the writer is done for");
    assert!(!lake_in(store as _).exists().await.expect("an answer"));
}

/// A commit that failed and took effect afterwards was once taken for somebody else's: its rows were
/// found to be copies of themselves, and their file was deleted.
#[tokio::test(start_paused = true)]
async fn a_write_that_takes_effect_after_it_failed_loses_nothing() {
    let mut late = 0;
    for nth in 1.. {
        let store = Arc::new(InMemory::new());
        let faulty = FaultyStore::new(&store, "", nth, Failure::Late);
        let result = run(&lake_in(Arc::clone(&faulty) as _)).await;
        if !faulty.has_failed() {
            result.expect("nothing failed");
            break;
        }
        late += 1;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let lake = lake_in(Arc::clone(&store) as _);
        run(&lake).await.expect("the second run");
        assert_complete(&lake, &format!("write {nth}")).await;
    }
    assert!(late >= 8, "only {late} writes were tried");
}
