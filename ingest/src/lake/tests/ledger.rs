//! Appending to a ledger.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use hearback_schemas::SEGMENT_LEDGER;
use object_store::memory::InMemory;
use uuid::Uuid;

use super::rows::{NOW_US, lake_in};
use crate::lake::{Lake, LakeError, LedgerWriter, WriteSettings};

#[tokio::test]
async fn a_change_that_is_appended_again_is_left_out() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut ledger = begin(&lake, None).await;
    assert_eq!(ledger.append(changes(0..10), NOW_US).await.expect("appended"), 10);
    assert_eq!(ledger.append(changes(5..15), NOW_US).await.expect("appended"), 5);
    let mut another = begin(&lake, None).await;
    assert_eq!(another.append(changes(0..20), NOW_US).await.expect("appended"), 5);
    assert_eq!(rows_of(&lake).await, 20);
}

#[tokio::test]
async fn who_claims_the_fence_later_shuts_the_other_out() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut first = begin(&lake, Some("segments/engaged")).await;
    let mut elsewhere = begin(&lake, Some("segments/sunset")).await;
    first.claim(NOW_US).await.expect("claimed");
    elsewhere.claim(NOW_US).await.expect("claimed");
    first.append(changes(0..10), NOW_US).await.expect("appended");

    let mut second = begin(&lake, Some("segments/engaged")).await;
    second.claim(NOW_US).await.expect("claimed");
    let refused = first.append(changes(10..20), NOW_US).await.expect_err("shut out");
    assert!(matches!(refused, LakeError::Fenced { .. }), "{refused}");
    assert!(first.append(changes(10..20), NOW_US).await.is_err(), "it takes no more");
    second.append(changes(10..30), NOW_US).await.expect("appended");
    elsewhere.append(changes(30..40), NOW_US).await.expect("another fence holds nobody up");
    assert_eq!(rows_of(&lake).await, 40);
}

#[tokio::test]
async fn of_two_that_begin_at_once_one_holds_the_fence() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut first = begin(&lake, Some("segments/engaged")).await;
    let mut second = begin(&lake, Some("segments/engaged")).await;
    first.claim(NOW_US).await.expect("claimed");
    let refused = second.claim(NOW_US).await.expect_err("shut out");
    assert!(matches!(refused, LakeError::Fenced { .. }), "{refused}");
}

#[tokio::test]
async fn an_identity_that_is_none_is_refused() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut ledger = begin(&lake, None).await;
    let batch = batch(&["not an identity".to_owned()]);
    assert!(matches!(ledger.append(batch, NOW_US).await, Err(LakeError::Invalid { .. })));
}

async fn begin(lake: &Lake, fence: Option<&str>) -> LedgerWriter {
    LedgerWriter::begin(lake, &SEGMENT_LEDGER, WriteSettings::default(), fence, Uuid::new_v4())
        .await
        .expect("a ledger")
}

async fn rows_of(lake: &Lake) -> u64 {
    let snapshot = lake.snapshot(&SEGMENT_LEDGER).await.expect("a snapshot");
    snapshot.files.iter().filter_map(|file| file.rows).sum()
}

fn changes(numbers: std::ops::Range<u128>) -> RecordBatch {
    batch(&numbers.map(|number| format!("{number:032x}")).collect::<Vec<_>>())
}

fn batch(ids: &[String]) -> RecordBatch {
    let schema = SEGMENT_LEDGER.file_schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> ArrayRef {
            match field.name().as_str() {
                "change_id" => Arc::new(StringArray::from_iter_values(ids)),
                "changed_time" => Arc::new(
                    TimestampMicrosecondArray::from_value(NOW_US, ids.len()).with_timezone("UTC"),
                ),
                "lake_version" | "state_version" => {
                    Arc::new(arrow_array::Int64Array::from_value(7, ids.len()))
                }
                _ if field.is_nullable() => new_null_array(field.data_type(), ids.len()),
                _ => Arc::new(StringArray::from_iter_values(ids.iter().map(|_| "x"))),
            }
        })
        .collect();
    RecordBatch::try_new(schema, columns).expect("rows of the ledger")
}
