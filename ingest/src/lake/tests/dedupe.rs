//! Each event once, whatever the route.

use std::sync::Arc;

use hearback_schemas::{EVENTS, REJECTS};
use object_store::memory::InMemory;

use super::rows::*;
use crate::lake::{PositionDelta, Provenance, WriteSettings};

#[tokio::test]
async fn an_event_is_kept_once_within_a_batch_across_batches_and_across_commits() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut writer = writer(&lake).await;
    let mut twice = events(0..100);
    twice.extend(events(50..100));
    writer.stage(decoded(&twice), from("a")).await.expect("staged");
    writer.stage(decoded(&events(90..200)), from("a")).await.expect("staged");
    let committed = writer.commit(objects(&["a"]), NOW_US).await.expect("committed");
    assert_eq!((committed.events, committed.duplicates), (200, 60));

    writer.stage(decoded(&events(150..250)), from("b")).await.expect("staged");
    let committed = writer.commit(objects(&["b"]), NOW_US).await.expect("committed");
    assert_eq!((committed.events, committed.duplicates), (50, 50));

    let again = ingest(&lake, "c", &events(0..300)).await.expect("another run");
    assert_eq!((again.events, again.duplicates), (50, 250));
    assert_holds(&lake, &events(0..300)).await;
}

#[tokio::test]
async fn a_row_that_was_undated_when_first_read_is_recognised_once_its_day_has_come() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let future: Vec<Event> = (0..10).map(|number| Event::on(number, TODAY + 300)).collect();
    let undated: Vec<Event> = future.iter().map(|event| event.undated()).collect();
    ingest(&lake, "a", &undated).await.expect("the first run");
    let later = ingest(&lake, "b", &future).await.expect("a year later");
    assert_eq!((later.events, later.duplicates), (0, 10));
    assert_holds(&lake, &future).await;
}

#[tokio::test]
async fn rows_of_one_day_are_not_compared_with_files_of_another_time() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(Arc::clone(&store) as _);
    let morning: Vec<Event> = (0..10)
        .map(|number| Event { time_us: i64::from(TODAY) * DAY_US, ..Event::on(number, TODAY) })
        .collect();
    ingest(&lake, "a", &morning).await.expect("the first run");
    // The file is gone from under the table: whoever reads it fails.
    for path in all_paths(&store).await {
        if path.ends_with(".parquet") {
            let path = object_store::path::Path::from(path);
            object_store::ObjectStoreExt::delete(store.as_ref(), &path).await.expect("deleted");
        }
    }
    let evening: Vec<Event> = (20..30)
        .map(|number| Event {
            time_us: i64::from(TODAY) * DAY_US + DAY_US / 2,
            ..Event::on(number, TODAY)
        })
        .collect();
    ingest(&lake, "b", &evening).await.expect("no need to read the morning's file");
    ingest(&lake, "c", &morning).await.expect_err("the morning's file is needed");
}

#[tokio::test]
async fn beyond_its_memory_dedupe_is_slower_and_as_exact() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..5000)).await.expect("the first run");
    for dedupe_memory in [0, 1000, 100_000] {
        let settings = WriteSettings { dedupe_memory, ..settings() };
        let mut writer = begin(&lake, settings).await.expect("a writer");
        for from_number in (0..5000).step_by(500) {
            let some = events(from_number..from_number + 500);
            writer.stage(decoded(&some), from("b")).await.expect("staged");
        }
        let committed = writer.commit(objects(&["b"]), NOW_US).await.expect("committed");
        assert_eq!((committed.events, committed.duplicates), (0, 5000), "{dedupe_memory}");
    }
    let settings = WriteSettings { dedupe_memory: 0, ..settings() };
    let mut writer = begin(&lake, settings).await.expect("a writer");
    writer.stage(decoded(&events(4000..6000)), from("c")).await.expect("staged");
    let committed = writer.commit(objects(&["c"]), NOW_US).await.expect("committed");
    assert_eq!((committed.events, committed.duplicates), (1000, 1000));
    assert_holds(&lake, &events(0..6000)).await;
}

#[tokio::test]
async fn rows_that_never_fit_into_memory_together_are_all_written() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let settings = WriteSettings {
        staged_bytes: 100_000,
        open_bytes: 200_000,
        row_group_rows: 1000,
        encode_threads: 2,
        ..settings()
    };
    let mut writer = begin(&lake, settings).await.expect("a writer");
    let mut all = Vec::new();
    for step in 0..40_u128 {
        let some: Vec<Event> = (step * 500..(step + 1) * 500)
            .map(|number| Event::on(number, TODAY - (number % 7) as i32))
            .collect();
        writer.stage(decoded(&some), from("a")).await.expect("staged");
        all.extend(some);
    }
    let committed = writer.commit(objects(&["a"]), NOW_US).await.expect("committed");
    assert_eq!(committed.events, 20_000);
    assert_holds(&lake, &all).await;
    let files = lake.snapshot(&EVENTS).await.expect("a snapshot").files;
    assert!(files.len() > 7, "files were closed early");
}

#[tokio::test]
async fn thousands_of_days_are_committed_at_once() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let days: Vec<Event> =
        (0..3000).map(|number| Event::on(number, TODAY - number as i32)).collect();
    let committed = ingest(&lake, "a", &days).await.expect("committed");
    assert_eq!(committed.events, 3000);
    let again = ingest(&lake, "b", &days).await.expect("committed");
    assert_eq!((again.events, again.duplicates), (0, 3000));
    let snapshot = lake.snapshot(&EVENTS).await.expect("a snapshot");
    assert_eq!(snapshot.files.len(), 3000);
}

#[tokio::test]
async fn identical_garbage_is_kept_as_often_as_it_stands_in_one_source() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut writer = writer(&lake).await;
    writer.stage(garbage(&["x", "y", "x"]), from("a")).await.expect("staged");
    writer.stage(garbage(&["x"]), from("a")).await.expect("staged");
    let committed = writer.commit(objects(&["a"]), NOW_US).await.expect("committed");
    assert_eq!(committed.rejected, 4);

    // The same file again, by another run; and the same garbage in another file.
    for name in ["a", "copy-of-a"] {
        let mut writer = begin(&lake, settings()).await.expect("a writer");
        writer.stage(garbage(&["x", "y"]), from(name)).await.expect("staged");
        writer.stage(garbage(&["x", "x"]), from(name)).await.expect("staged");
        let committed = writer.commit(objects(&[name]), NOW_US).await.expect("committed");
        assert_eq!((committed.rejected, committed.duplicates), (0, 0), "{name}");
    }
    assert_eq!(reject_count(&lake).await, 4);
    let raw: Vec<Vec<u8>> = read(&lake, &REJECTS)
        .await
        .iter()
        .flat_map(|batch| {
            let raw = batch.column_by_name("raw").expect("a column");
            let raw = arrow_array::cast::AsArray::as_binary::<i32>(raw);
            raw.iter().flatten().map(<[u8]>::to_vec).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(raw.iter().filter(|raw| raw.as_slice() == b"x").count(), 3);
}

#[tokio::test]
async fn garbage_of_a_shard_is_kept_once_for_each_place_however_often_it_is_delivered() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let shard = Provenance { source_shard: Some("shardId-000000000000"), ..from("kinesis:a") };
    let other = Provenance { source_shard: Some("shardId-000000000001"), ..shard };
    let mut writer = writer(&lake).await;
    // The places of these are "0" and "1".
    writer.stage(garbage(&["x", "x"]), shard).await.expect("staged");
    writer.stage(garbage(&["x"]), other).await.expect("staged");
    let nothing_read = || PositionDelta::Objects(Vec::new());
    assert_eq!(writer.commit(nothing_read(), NOW_US).await.expect("committed").rejected, 3);

    // Delivered again: to the writer that is still there, and to another one.
    writer.stage(garbage(&["x", "x"]), shard).await.expect("staged");
    assert_eq!(writer.commit(nothing_read(), NOW_US).await.expect("committed").rejected, 0);
    let mut writer = begin(&lake, settings()).await.expect("a writer");
    writer.stage(garbage(&["x"]), other).await.expect("staged");
    assert_eq!(writer.commit(nothing_read(), NOW_US).await.expect("committed").rejected, 0);
    assert_eq!(reject_count(&lake).await, 3);
}

#[tokio::test]
async fn tables_are_created_only_when_they_are_written_to() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(Arc::clone(&store) as _);
    let mut writer = writer(&lake).await;
    let nothing = writer.commit(PositionDelta::Objects(Vec::new()), NOW_US).await;
    assert_eq!(nothing.expect("nothing to do").version, None);
    assert_eq!(all_paths(&store).await, Vec::<String>::new());
    assert!(!lake.exists().await.expect("an answer"));

    ingest(&lake, "a", &events(0..1)).await.expect("committed");
    assert!(lake.exists().await.expect("an answer"));
    assert!(!all_paths(&store).await.iter().any(|path| path.contains("rejects")));
    assert_eq!(lake.snapshot(&REJECTS).await.expect("a snapshot").version, None);
}
