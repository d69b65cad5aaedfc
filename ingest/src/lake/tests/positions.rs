//! What was read is remembered, and only what was committed counts.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::rows::*;
use crate::lake::{LakeError, ObjectId, PositionDelta};

#[tokio::test]
async fn objects_are_recognised_by_name_size_and_etag() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..1)).await.expect("committed");
    let writer = writer(&lake).await;
    assert!(writer.already_read(&object("a")));
    assert!(!writer.already_read(&object("b")));
    assert!(!writer.already_read(&ObjectId { size: 1001, ..object("a") }));
    assert!(!writer.already_read(&ObjectId { etag: None, ..object("a") }));
}

#[tokio::test]
async fn tens_of_thousands_of_objects_are_remembered_and_a_start_reads_two_of_ours() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(Arc::clone(&store) as _);
    let mut writer = writer(&lake).await;
    for round in 0..30 {
        let some = (0..1000).map(|n| object(&format!("{round}/{n}"))).collect();
        writer.commit(PositionDelta::Objects(some), NOW_US).await.expect("committed");
    }
    let reader = begin(&lake, settings()).await.expect("a writer");
    for round in 0..30 {
        for n in 0..1000 {
            assert!(reader.already_read(&object(&format!("{round}/{n}"))), "{round}/{n}");
            assert!(writer.already_read(&object(&format!("{round}/{n}"))), "{round}/{n}");
        }
    }
    assert!(!reader.already_read(&object("30/0")));
    let manifests: Vec<String> =
        all_paths(&store).await.into_iter().filter(|path| path.contains("_hearback")).collect();
    for path in manifests {
        let size = store.head(&Path::from(path.as_str())).await.expect("an object").size;
        let limit = if path.ends_with(".objects") { 30_000 * 16 } else { 200_000 };
        assert!(size <= limit, "{path}: {size}");
    }
}

#[tokio::test]
async fn manifests_do_not_pile_up() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(Arc::clone(&store) as _);
    let mut first = writer(&lake).await;
    let mut stale = writer(&lake).await;
    for round in 0..450 {
        first.commit(objects(&[&format!("{round}")]), NOW_US).await.expect("committed");
    }
    let count = all_paths(&store).await.iter().filter(|path| path.contains("_hearback")).count();
    assert!((100..=201).contains(&count), "{count} manifests");
    // One that stood still all the while goes on from where the others are.
    stale.commit(objects(&["late"]), NOW_US).await.expect("committed");
    let reader = writer(&lake).await;
    assert!(reader.already_read(&object("0")) && reader.already_read(&object("late")));
}

#[tokio::test]
async fn writers_that_read_different_objects_at_once_add_to_each_other() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut first = writer(&lake).await;
    let mut second = writer(&lake).await;
    first.stage(decoded(&events(0..10)), from("a")).await.expect("staged");
    second.stage(decoded(&events(10..20)), from("b")).await.expect("staged");
    first.commit(objects(&["a"]), NOW_US).await.expect("committed");
    second.commit(objects(&["b"]), NOW_US).await.expect("committed");
    first.commit(objects(&["c"]), NOW_US).await.expect("committed");
    let reader = writer(&lake).await;
    for name in ["a", "b", "c"] {
        assert!(reader.already_read(&object(name)), "{name}");
    }
    assert_holds(&lake, &events(0..20)).await;
}

#[tokio::test]
async fn positions_that_are_missing_are_an_error_and_not_a_fresh_start() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(Arc::clone(&store) as _);
    ingest(&lake, "a", &events(0..1)).await.expect("committed");
    for path in all_paths(&store).await {
        if path.contains("_hearback") {
            store.delete(&Path::from(path)).await.expect("deleted");
        }
    }
    let error = begin(&lake, settings()).await.expect_err("the manifest is missing");
    assert!(matches!(error, LakeError::Damaged { .. }), "{error}");
}
