//! What a reader finds in the lake of a simulated world when all is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use hearback_ingest::lake::Lake;
use hearback_schemas::{EVENTS, REJECTS, Table};
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::documents::number_of;

/// Where a row was read from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReadFrom {
    pub(crate) shard: String,
    pub(crate) sequence: String,
}

/// A row of `rejects`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RejectRow {
    pub(crate) id: String,
    pub(crate) from: ReadFrom,
    pub(crate) raw: Vec<u8>,
}

/// The numbers of the events in `events`, each with the place of every row that has it.
pub(crate) async fn events(lake: &Lake) -> BTreeMap<u64, Vec<ReadFrom>> {
    let mut found: BTreeMap<u64, Vec<ReadFrom>> = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for batch in batches(lake, &EVENTS).await {
        for row in 0..batch.num_rows() {
            let number = number_of(&text(&batch, "message_id", row));
            found.entry(number).or_default().push(read_from(&batch, row));
            let id = text(&batch, "event_id", row);
            let other = ids.insert(id, number);
            assert!(other.is_none_or(|other| other == number), "two events have one identity");
        }
    }
    found
}

/// The rows of `rejects`, sorted.
pub(crate) async fn rejects(lake: &Lake) -> Vec<RejectRow> {
    let mut found = Vec::new();
    for batch in batches(lake, &REJECTS).await {
        let raw = batch.column_by_name("raw").expect("the bytes").as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let id = text(&batch, "reject_id", row);
            let from = read_from(&batch, row);
            found.push(RejectRow { id, from, raw: raw.value(row).to_vec() });
        }
    }
    found.sort();
    found
}

fn read_from(batch: &RecordBatch, row: usize) -> ReadFrom {
    ReadFrom {
        shard: text(batch, "source_shard", row),
        sequence: text(batch, "source_sequence", row),
    }
}

/// A text; nothing for NULL.
fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    let values = batch.column_by_name(column).expect("the column").as_string::<i32>();
    values.iter().nth(row).flatten().unwrap_or_default().to_owned()
}

async fn batches(lake: &Lake, table: &'static Table) -> Vec<RecordBatch> {
    let snapshot = lake.snapshot(table).await.expect("a snapshot");
    let mut batches = Vec::new();
    for file in &snapshot.files {
        let found = snapshot.store.get(&file.path).await.expect("the file is there");
        let bytes = found.bytes().await.expect("it can be read");
        assert_eq!(bytes.len() as u64, file.size, "{}", file.path);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .expect("it is Parquet");
        let read: Vec<RecordBatch> = reader.map(|batch| batch.expect("rows")).collect();
        let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(file.rows, Some(rows as u64), "{}", file.path);
        batches.extend(read);
    }
    batches
}

/// The lake as nobody in the world sees it: without weather.
pub(crate) fn lake_in(cloud: &Arc<crate::store::Cloud>) -> Lake {
    Lake::in_store(crate::world::place(Arc::clone(&cloud.objects) as _))
}
