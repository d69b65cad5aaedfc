//! Other engines at work on the tables: files that they wrote, moved or deleted, and what they made of
//! a table.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringViewArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use hearback_schemas::EVENTS;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::faulty_store::{Failure, FaultyStore};
use super::rows::*;
use crate::lake::{Lake, LakeError};

/// Writes a file of events as another engine would, and takes it into the table in the place of
/// others. Its paths are relative to the table.
async fn rewrite(lake: &Lake, into: &str, batch: &RecordBatch, version: u64) {
    let snapshot = lake.snapshot(&EVENTS).await.expect("a snapshot");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
    let size = bytes.len();
    let store = &lake.place().store;
    store.put(&Path::from(format!("lake/events/{into}")), bytes.into()).await.expect("put");
    let mut lines = vec![
        json!({"add": {
            "path": into, "partitionValues": {"event_date": "2025-11-23"}, "size": size,
            "modificationTime": 0, "dataChange": false,
            "stats": json!({"numRecords": batch.num_rows()}).to_string(),
        }})
        .to_string(),
    ];
    for file in &snapshot.files {
        let path = file.path.as_ref().trim_start_matches("lake/events/");
        let remove = json!({"remove": {"path": path, "dataChange": false, "deletionTimestamp": 0}});
        lines.push(remove.to_string());
    }
    commit(lake, version, &lines.join("\n")).await;
}

async fn commit(lake: &Lake, version: u64, lines: &str) {
    let path = Path::from(format!("lake/events/_delta_log/{version:020}.json"));
    lake.place().store.put(&path, lines.to_owned().into()).await.expect("put");
}

/// What the table holds, with the identities held in memory as another engine holds them.
async fn held_as(lake: &Lake, kind: &DataType) -> RecordBatch {
    let batches = read(lake, &EVENTS).await;
    let batch = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).expect("rows");
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    let mut fields: Vec<Field> =
        batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let place = batch.schema().index_of("event_id").expect("the identities");
    columns[place] = cast(&columns[place], kind).expect("texts");
    fields[place] = Field::new("event_id", kind.clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("rows")
}

/// DELETE and OPTIMIZE of the Delta library hold texts as views, Polars with offsets of 64 bits, pandas
/// as dictionaries; the first was once taken for damage, and ended every ingest after a DELETE.
#[tokio::test]
async fn events_in_files_that_other_engines_wrote_are_known() {
    let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for kind in [DataType::Utf8View, DataType::LargeUtf8, coded] {
        let lake = lake_in(Arc::new(InMemory::new()));
        ingest(&lake, "a", &events(0..50)).await.expect("committed");
        rewrite(&lake, "theirs.parquet", &held_as(&lake, &kind).await, 2).await;
        let again = ingest(&lake, "b", &events(0..60)).await.expect("committed");
        assert_eq!((again.events, again.duplicates), (10, 50), "{kind}");
    }
}

#[tokio::test]
async fn files_without_the_identities_hold_no_event_of_ours() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..10)).await.expect("committed");
    let mine: ArrayRef = Arc::new(StringViewArray::from_iter_values(["x", "y"]));
    let schema = Schema::new(vec![Field::new("mine", mine.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![mine]).expect("rows");
    rewrite(&lake, "theirs.parquet", &batch, 2).await;
    let again = ingest(&lake, "b", &events(0..10)).await.expect("committed");
    assert_eq!((again.events, again.duplicates), (10, 0));
}

#[tokio::test]
async fn a_file_that_is_moved_and_deleted_while_rows_wait_is_found_where_it_is_now() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..50)).await.expect("committed");
    let mut late = writer(&lake).await;
    let old = lake.snapshot(&EVENTS).await.expect("a snapshot").files[0].path.clone();
    rewrite(&lake, "theirs.parquet", &held_as(&lake, &DataType::Utf8View).await, 2).await;
    lake.place().store.delete(&old).await.expect("deleted");
    // The writer knows the old file alone when it stages.
    late.stage(decoded(&events(0..60)), from("b")).await.expect("staged");
    let committed = late.commit(objects(&["b"]), NOW_US).await.expect("committed");
    assert_eq!((committed.events, committed.duplicates), (10, 50));
}

#[tokio::test]
async fn a_file_that_the_table_names_and_that_is_gone_is_said_with_the_remedy() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..50)).await.expect("committed");
    let file = lake.snapshot(&EVENTS).await.expect("a snapshot").files[0].path.clone();
    lake.place().store.delete(&file).await.expect("deleted");
    let error = ingest(&lake, "b", &events(0..10)).await.expect_err("it cannot be compared");
    assert!(matches!(error, LakeError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("FSCK REPAIR TABLE"), "{error}");
}

#[tokio::test]
async fn rows_whose_file_is_vacuumed_before_its_commit_are_not_committed_and_can_be_read_again() {
    let store = Arc::new(InMemory::new());
    let lake = lake_in(FaultyStore::new(&store, "part-", 1, Failure::Vacuumed) as _);
    let error = ingest(&lake, "a", &events(0..50)).await.expect_err("the file is gone");
    assert!(matches!(error, LakeError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("VACUUM"), "{error}");
    let lake = lake_in(store as _);
    ingest(&lake, "a", &events(0..50)).await.expect("committed");
    assert_holds(&lake, &events(0..50)).await;
}

#[tokio::test]
async fn a_table_that_demands_more_of_writers_can_be_read_and_not_written() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..10)).await.expect("committed");
    commit(&lake, 2, r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":3}}"#).await;
    assert_holds(&lake, &events(0..10)).await;
    let error = begin(&lake, settings()).await.expect_err("it must not be written");
    assert!(matches!(error, LakeError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("writer version 3"), "{error}");
}

#[tokio::test]
async fn a_table_that_is_changed_while_rows_wait_is_not_written() {
    let lake = lake_in(Arc::new(InMemory::new()));
    ingest(&lake, "a", &events(0..10)).await.expect("committed");
    let mut late = writer(&lake).await;
    late.stage(decoded(&events(10..20)), from("b")).await.expect("staged");
    commit(&lake, 2, r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["checkConstraints"]}}"#).await;
    let error = late.commit(objects(&["b"]), NOW_US).await.expect_err("it must not be written");
    assert!(matches!(error, LakeError::Unsupported { .. }), "{error}");
    assert_holds(&lake, &events(0..10)).await;
}
