//! Rows to stage, and what a reader of the lake finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow_cast::cast;
use futures::TryStreamExt;
use hearback_schemas::{EVENTS, Frequency, REJECTS, Table, UNDATED_EVENT_DATE};
use hearback_transform::{Decoded, DecodedPartition, Reject, decoded_schema};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use uuid::Uuid;

use super::faulty_store::place;
use crate::lake::{
    Lake, LakeError, LakeWriter, ObjectId, PositionDelta, Provenance, WriteSettings,
};

pub(crate) const NOW_US: i64 = 1_763_877_108_000_000;
pub(crate) const DAY_US: i64 = 86_400_000_000;
/// A day on which most rows of these tests happened.
pub(crate) const TODAY: i32 = 20_415;
pub(crate) const STREAM: &str = "objects";
/// The end of the log of `events`, for faults.
pub(crate) const EVENTS_LOG: &str = "events/_delta_log";

/// An event with a number, on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) number: u128,
    pub(crate) day: i32,
    /// Time, in microseconds; independent of the day for the undated.
    pub(crate) time_us: i64,
}

impl Event {
    pub(crate) fn on(number: u128, day: i32) -> Self {
        let time_us = i64::from(day) * DAY_US + (number % 86_400) as i64 * 1_000_000;
        Self { number, day, time_us }
    }

    /// An event of that day, read when the day could not be right.
    pub(crate) fn undated(self) -> Self {
        Self { day: UNDATED_EVENT_DATE, ..self }
    }

    fn id(self) -> u128 {
        self.number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

pub(crate) fn events(numbers: std::ops::Range<u128>) -> Vec<Event> {
    numbers.map(|number| Event::on(number, TODAY)).collect()
}

pub(crate) fn decoded(events: &[Event]) -> Decoded {
    let mut days: BTreeMap<i32, Vec<Event>> = BTreeMap::new();
    for event in events {
        days.entry(event.day).or_default().push(*event);
    }
    let partitions = days.into_iter().map(|(day, events)| partition(day, &events)).collect();
    Decoded { partitions, ..Default::default() }
}

fn partition(day: i32, events: &[Event]) -> DecodedPartition {
    let times: Vec<i64> = events.iter().map(|event| event.time_us).collect();
    let schema = decoded_schema();
    let text = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(events.iter().map(|_| text)))
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "event_id" => Arc::new(StringArray::from_iter_values(
                events.iter().map(|event| format!("{:032x}", event.id())),
            )) as ArrayRef,
            "event_type" => text("delivery"),
            "source" => text("ses"),
            "recipient" => Arc::new(StringArray::from_iter_values(
                events.iter().map(|event| format!("reader{}@example.com", event.number)),
            )),
            "event_time" => {
                Arc::new(TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC"))
            }
            _ => new_null_array(field.data_type(), events.len()),
        })
        .zip(schema.fields())
        .map(|(column, field)| cast(&column, field.data_type()).expect("the same, coded"))
        .collect();
    DecodedPartition {
        event_date: day,
        frequency: Frequency::Common,
        event_ids: events.iter().map(|event| event.id()).collect(),
        event_times: (
            times.iter().copied().min().expect("a row"),
            times.iter().copied().max().expect("a row"),
        ),
        batch: Arc::new(RecordBatch::try_new(schema, columns).expect("the decoded schema")),
        first_row: 0,
    }
}

pub(crate) fn garbage(texts: &[&str]) -> Decoded {
    let rejects = texts
        .iter()
        .enumerate()
        .map(|(place, text)| Reject {
            place: place.to_string(),
            reason: "not JSON".to_owned(),
            raw: text.as_bytes().to_vec(),
        })
        .collect();
    Decoded { rejects, ..Default::default() }
}

pub(crate) fn object(name: &str) -> ObjectId {
    ObjectId { name: name.to_owned(), size: 1000, etag: Some("\"1\"".to_owned()) }
}

pub(crate) fn objects(names: &[&str]) -> PositionDelta {
    PositionDelta::Objects(names.iter().map(|name| object(name)).collect())
}

pub(crate) fn from(source_name: &str) -> Provenance<'_> {
    Provenance { source_name, source_shard: None, now_us: NOW_US }
}

pub(crate) fn lake_in(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::in_store(place(store))
}

/// A writer that encodes on one thread and is otherwise as users have it.
pub(crate) async fn writer(lake: &Lake) -> LakeWriter {
    begin(lake, settings()).await.expect("the writer begins")
}

pub(crate) fn settings() -> WriteSettings {
    WriteSettings { encode_threads: 1, ..WriteSettings::default() }
}

pub(crate) async fn begin(lake: &Lake, settings: WriteSettings) -> Result<LakeWriter, LakeError> {
    LakeWriter::begin(lake, settings, STREAM, Uuid::new_v4()).await
}

/// Reads one object of events into the lake, as a run of the program would.
pub(crate) async fn ingest(
    lake: &Lake,
    name: &str,
    events: &[Event],
) -> Result<crate::lake::Committed, LakeError> {
    let mut writer = begin(lake, settings()).await?;
    writer.stage(decoded(events), from(name)).await?;
    writer.commit(objects(&[name]), NOW_US).await
}

/// The identities in a table, with how often each is there.
pub(crate) async fn counts(lake: &Lake, table: &'static Table) -> BTreeMap<String, usize> {
    let column = if table.name == EVENTS.name { "event_id" } else { "reject_id" };
    let mut counts = BTreeMap::new();
    for batch in read(lake, table).await {
        let ids = batch.column_by_name(column).expect("the identities").as_string::<i32>();
        for id in ids.iter().flatten() {
            *counts.entry(id.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

pub(crate) async fn read(lake: &Lake, table: &'static Table) -> Vec<RecordBatch> {
    files(lake, table).await.into_iter().flatten().collect()
}

/// The rows of each file.
pub(crate) async fn files(lake: &Lake, table: &'static Table) -> Vec<Vec<RecordBatch>> {
    let snapshot = lake.snapshot(table).await.expect("a snapshot");
    let mut files = Vec::new();
    for file in &snapshot.files {
        let found = lake.place().store.get_opts(&file.path, Default::default()).await;
        let bytes = found.expect("the file is there").bytes().await.expect("it can be read");
        assert_eq!(bytes.len() as u64, file.size);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .expect("it is Parquet");
        let batches: Vec<RecordBatch> =
            reader.map(|batch| batch.expect("it can be decoded")).collect();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(file.rows, Some(rows as u64));
        files.push(batches);
    }
    files
}

/// Asserts that `events` holds just these events, each once.
pub(crate) async fn assert_holds(lake: &Lake, expected: &[Event]) {
    let found = counts(lake, &EVENTS).await;
    let mut numbers: Vec<u128> = expected.iter().map(|event| event.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let wanted: BTreeMap<String, usize> =
        numbers.iter().map(|number| (format!("{:032x}", Event::on(*number, 0).id()), 1)).collect();
    assert_eq!(found.len(), wanted.len());
    assert_eq!(found, wanted);
}

pub(crate) async fn reject_count(lake: &Lake) -> usize {
    counts(lake, &REJECTS).await.values().sum()
}

/// Paths of everything in the store.
pub(crate) async fn all_paths(store: &InMemory) -> Vec<String> {
    let mut paths: Vec<String> = store
        .list(None)
        .map_ok(|object| object.location.to_string())
        .try_collect()
        .await
        .expect("a list");
    paths.sort();
    paths
}
