//! Several writers at once.

use std::sync::Arc;

use hearback_schemas::EVENTS;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use serde_json::json;

use super::rows::*;
use crate::lake::encode::{EncodedFile, FileEncoder};
use crate::lake::{Lake, TableSnapshot, WriteSettings};

#[tokio::test]
async fn two_writers_that_stage_the_same_events_commit_each_once() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut first = writer(&lake).await;
    let mut second = writer(&lake).await;
    first.stage(decoded(&events(0..100)), from("a")).await.expect("staged");
    second.stage(decoded(&events(50..150)), from("b")).await.expect("staged");
    let one = first.commit(objects(&["a"]), NOW_US).await.expect("committed");
    let other = second.commit(objects(&["b"]), NOW_US).await.expect("committed");
    assert_eq!((one.events, one.duplicates), (100, 0));
    assert_eq!((other.events, other.duplicates), (50, 50));
    assert_holds(&lake, &events(0..150)).await;

    // The loser knows what the winner wrote, and the winner what the loser wrote.
    for writer in [&mut first, &mut second] {
        writer.stage(decoded(&events(0..150)), from("c")).await.expect("staged");
        let again = writer.commit(objects(&["c"]), NOW_US).await.expect("committed");
        assert_eq!((again.events, again.duplicates), (0, 150));
    }
    assert_holds(&lake, &events(0..150)).await;
}

#[tokio::test]
async fn a_writer_whose_rows_were_all_written_by_another_commits_its_position_alone() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut first = writer(&lake).await;
    let mut second = writer(&lake).await;
    for writer in [&mut first, &mut second] {
        writer.stage(decoded(&events(0..100)), from("a")).await.expect("staged");
        writer.stage(garbage(&["x", "x"]), from("a")).await.expect("staged");
    }
    first.commit(objects(&["a"]), NOW_US).await.expect("committed");
    let other = second.commit(objects(&["copy"]), NOW_US).await.expect("committed");
    assert_eq!((other.events, other.duplicates, other.rejected), (0, 100, 0));
    let reader = writer(&lake).await;
    assert!(reader.already_read(&object("copy")));
    assert_holds(&lake, &events(0..100)).await;
    assert_eq!(reject_count(&lake).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_at_once_double_nothing_and_lose_nothing() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut tasks = Vec::new();
    for task in 0..6_u128 {
        let lake = lake.clone();
        tasks.push(tokio::spawn(async move {
            let dedupe_memory = if task.is_multiple_of(2) { 0 } else { 1 << 20 };
            let settings = WriteSettings { dedupe_memory, checkpoint_every: 5, ..settings() };
            let mut writer = begin(&lake, settings).await.expect("a writer");
            let mut added = 0;
            for step in 0..5_u128 {
                let from_number = task * 30 + step * 50;
                let some: Vec<Event> = (from_number..from_number + 100)
                    .map(|number| Event::on(number, TODAY - (number % 3) as i32))
                    .collect();
                let name = format!("{task}/{step}");
                writer.stage(decoded(&some), from(&name)).await.expect("staged");
                added += writer.commit(objects(&[&name]), NOW_US).await.expect("committed").events;
            }
            added
        }));
    }
    let mut added = 0;
    for task in tasks {
        added += task.await.expect("the task ran");
    }
    let all: Vec<Event> = (0..450).map(|number| Event::on(number, TODAY)).collect();
    assert_eq!(added, 450);
    assert_holds(&lake, &all).await;
    let reader = writer(&lake).await;
    for task in 0..6 {
        for step in 0..5 {
            assert!(reader.already_read(&object(&format!("{task}/{step}"))), "{task}/{step}");
        }
    }
    let snapshot = lake.snapshot(&EVENTS).await.expect("a snapshot");
    assert!(snapshot.version >= Some(30));
}

#[tokio::test]
async fn a_compaction_in_between_neither_hides_new_rows_nor_doubles_old_ones() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..50)).await.expect("committed");
    let mut slow = writer(&lake).await;
    slow.stage(decoded(&events(40..150)), from("b")).await.expect("staged");
    // While it stages, another writer commits, and its rows are compacted away under a new name by a
    // version that says it changed no data.
    ingest(&lake, "c", &events(100..200)).await.expect("committed");
    compact(&lake).await;
    let late = slow.commit(objects(&["b"]), NOW_US).await.expect("committed");
    assert_eq!((late.events, late.duplicates), (50, 60));
    assert_holds(&lake, &events(0..200)).await;
    compact(&lake).await;
    slow.stage(decoded(&events(0..210)), from("d")).await.expect("staged");
    let again = slow.commit(objects(&["d"]), NOW_US).await.expect("committed");
    assert_eq!((again.events, again.duplicates), (10, 200));
    assert_holds(&lake, &events(0..210)).await;
}

#[tokio::test]
async fn a_deletion_in_between_does_not_stop_a_commit_and_is_not_undone_by_it() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..50)).await.expect("committed");
    let mut slow = writer(&lake).await;
    slow.stage(decoded(&events(25..75)), from("b")).await.expect("staged");
    let snapshot = lake.snapshot(&EVENTS).await.expect("a snapshot");
    change(&lake, &snapshot, None).await;
    let late = slow.commit(objects(&["b"]), NOW_US).await.expect("committed");
    assert_eq!((late.events, late.duplicates), (25, 25));
    assert_holds(&lake, &events(50..75)).await;
}

/// Puts all rows into one file, as a version that changes no data.
async fn compact(lake: &Lake) {
    let snapshot = lake.snapshot(&EVENTS).await.expect("a snapshot");
    let schema = EVENTS.file_schema();
    let mut encoder = FileEncoder::new(&EVENTS, schema, &settings(), 1000).expect("an empty file");
    encoder.encode(&read(lake, &EVENTS).await, 1).expect("encoded");
    let encoded = encoder.finish(1).expect("encoded");
    change(lake, &snapshot, Some(encoded)).await;
}

/// Replaces all files of a snapshot by at most one, as another program would.
async fn change(lake: &Lake, snapshot: &TableSnapshot, by: Option<EncodedFile>) {
    let log = lake.log(&EVENTS).expect("the table");
    let changes = by.is_none();
    let root = format!("{}/", log.root);
    let mut lines = String::new();
    for file in &snapshot.files {
        let path = file.path.as_ref().strip_prefix(&root).expect("below the table");
        let remove = json!({"path": path, "deletionTimestamp": 0, "dataChange": changes});
        lines.push_str(&json!({"remove": remove}).to_string());
        lines.push('\n');
    }
    let version = snapshot.version.expect("a version") + 1;
    if let Some(encoded) = by {
        let path = format!("event_date=2025-11-23/compacted-{version}.parquet");
        let add = json!({
            "path": path,
            "partitionValues": {"event_date": "2025-11-23"},
            "size": encoded.bytes.len(),
            "modificationTime": 0,
            "dataChange": false,
            "stats": encoded.stats.to_json(encoded.rows),
        });
        lines.push_str(&json!({"add": add}).to_string());
        let path = log.file_path(&path).expect("a path");
        log.store.put(&path, encoded.bytes.into()).await.expect("written");
    }
    log.store.put(&log.version_path(version), lines.into()).await.expect("written");
}

#[tokio::test]
async fn a_snapshot_that_is_brought_up_to_date_equals_one_that_is_loaded() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut kept = lake.snapshot(&EVENTS).await.expect("a snapshot");
    let settings = WriteSettings { checkpoint_every: 3, ..settings() };
    let mut writer = begin(&lake, settings).await.expect("a writer");
    for step in 0..10_u128 {
        let some = events(step * 10..(step + 1) * 10);
        writer.stage(decoded(&some), from("a")).await.expect("staged");
        writer.commit(objects(&["a"]), NOW_US).await.expect("committed");
        if step % 4 == 1 {
            continue;
        }
        kept = lake.refresh(&kept).await.expect("a snapshot");
        let loaded = lake.snapshot(&EVENTS).await.expect("a snapshot");
        assert_eq!(kept.version, loaded.version);
        let describe = |snapshot: &TableSnapshot| {
            let mut files: Vec<String> = snapshot
                .files
                .iter()
                .map(|file| {
                    let stats: std::collections::BTreeMap<_, _> = file.stats.columns().collect();
                    format!(
                        "{} {} {:?} {:?} {stats:?}",
                        file.path, file.size, file.rows, file.partition
                    )
                })
                .collect();
            files.sort();
            files
        };
        assert_eq!(describe(&kept), describe(&loaded));
    }
}
