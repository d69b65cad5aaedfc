//! What other readers of the table find.

use std::sync::Arc;

use hearback_schemas::EVENTS;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::rows::*;
use crate::lake::{Lake, LakeError, StatsValue, WriteSettings};

#[tokio::test]
async fn the_log_says_nothing_of_recipients() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(Arc::clone(&store) as _);
    ingest(&lake, "someone@example.net.json", &events(0..10)).await.expect("committed");
    for path in all_paths(&store).await {
        if !path.contains("_delta_log") && !path.contains("_hearback") {
            continue;
        }
        let found = store.get_opts(&Path::from(path.as_str()), Default::default()).await;
        let bytes = found.expect("there").bytes().await.expect("read");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("@example"), "{path}");
    }
}

#[tokio::test]
async fn times_at_the_ends_of_the_calendar_can_be_read_back_even_from_a_checkpoint() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let first = Event { number: 1, day: 0, time_us: -62_135_596_800_000_000 };
    let last = Event { number: 2, day: 0, time_us: 253_402_300_799_999_999 };
    let beyond = Event { number: 3, day: 0, time_us: i64::MAX };
    let settings = WriteSettings { checkpoint_every: 1, ..settings() };
    let mut writer = begin(&lake, settings).await.expect("a writer");
    for (name, events) in [("a", vec![first, last]), ("b", vec![beyond])] {
        writer.stage(decoded(&events), from(name)).await.expect("staged");
        writer.commit(objects(&[name]), NOW_US).await.expect("committed");
    }
    let snapshot = lake.snapshot(&EVENTS).await.expect("a snapshot");
    assert_eq!(snapshot.version, Some(2));
    let stats: Vec<_> = snapshot.files.iter().map(|file| file.stats.column("event_time")).collect();
    assert!(stats.iter().flatten().any(|known| {
        known.min == Some(StatsValue::Timestamp(first.time_us))
            && known.max == Some(StatsValue::Timestamp(last.time_us))
    }));
    assert!(stats.iter().any(|known| known.is_none_or(|known| known.max.is_none())));
    let again = ingest(&lake, "c", &[first, last, beyond]).await.expect("committed");
    assert_eq!((again.events, again.duplicates), (0, 3));
}

#[tokio::test]
async fn a_lake_on_disk_survives_the_process_and_strange_folder_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let location = folder.path().join("a b#é").display().to_string();
    let error = Lake::open(&location).await.expect_err("no lake yet");
    assert!(matches!(error, LakeError::Missing { .. }), "{error}");
    let lake = Lake::open_or_create(&location).await.expect("a place");
    ingest(&lake, "a", &events(0..10)).await.expect("committed");
    let lake = Lake::open(&location).await.expect("the lake");
    assert_holds(&lake, &events(0..10)).await;
    let files = lake.file_locations(&EVENTS).await.expect("a list");
    assert!(std::fs::metadata(&files[0]).is_ok(), "{files:?}");
}

#[tokio::test]
async fn a_table_that_was_upgraded_is_refused() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(Arc::clone(&store) as _);
    ingest(&lake, "a", &events(0..10)).await.expect("committed");
    let upgrade = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#;
    let path = Path::from("lake/events/_delta_log/00000000000000000002.json");
    object_store::ObjectStoreExt::put(store.as_ref(), &path, upgrade.into())
        .await
        .expect("written");
    let error = lake.snapshot(&EVENTS).await.expect_err("unsupported");
    assert!(matches!(error, LakeError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn a_path_at_which_the_log_could_not_be_read_is_refused_before_anything_is_written() {
    let refused = Lake::open_or_create("/tmp/a%20b/lake").await;
    assert!(matches!(refused, Err(LakeError::Location(_))), "{refused:?}");
    for fine in ["/tmp/100%/lake", "/tmp/50%_off", "/tmp/a b/lake"] {
        assert!(Lake::open_or_create(fine).await.is_ok(), "{fine}");
    }
}
