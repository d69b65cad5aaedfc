//! Runs over a stream in memory, and what stands in the lake afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use hearback_schemas::{EVENTS, REJECTS, Table};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::memory_stream::MemoryStream;
use crate::aws::StoreLocation;
use crate::lake::{Lake, StreamState, WriteSettings};
use crate::pipeline::{IngestSettings, IngestSummary};
use crate::stream::{
    DecodeOn, StreamError, StreamEvent, StreamObserver, StreamRequest, run_stream,
};

/// 2026-11-01T00:00:00Z.
pub(super) const NOW_MS: i64 = 1_793_491_200_000;

/// A SES event with a number.
pub(super) fn event(number: usize) -> Vec<u8> {
    json!({
        "eventType": "Delivery",
        "mail": {
            "timestamp": "2026-10-31T08:00:00.000Z",
            "messageId": format!("message-{number}"),
            "destination": [format!("reader{number}@example.com")],
        },
        "delivery": {
            "timestamp": "2026-10-31T08:00:01.000Z",
            "recipients": [format!("reader{number}@example.com")],
        },
    })
    .to_string()
    .into_bytes()
}

pub(super) fn lake_in(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::in_store(StoreLocation {
        store,
        prefix: Path::from("lake"),
        url: Url::parse("memory:///lake/").expect("a URL"),
    })
}

pub(super) fn lake() -> Lake {
    lake_in(Arc::new(InMemory::new()))
}

/// What was observed, one line for each event worth a line.
#[derive(Debug, Default)]
pub(super) struct Seen {
    lines: Mutex<Vec<String>>,
}

impl Seen {
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no test panics with it").clone()
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }
}

impl StreamObserver for Seen {
    fn observe(&self, event: &StreamEvent<'_>) {
        let line = match event {
            StreamEvent::Page { .. } | StreamEvent::Staged { .. } => return,
            event => format!("{event:?}"),
        };
        self.lines.lock().expect("no test panics with it").push(line);
    }
}

/// A request that is decoded on the calling task and ends at the tip. Its clock follows tokio's.
pub(super) fn request(lake: &Lake) -> StreamRequest {
    let began = tokio::time::Instant::now();
    let clock = Arc::new(move || {
        NOW_MS * 1000 + i64::try_from(began.elapsed().as_micros()).expect("a short test")
    });
    StreamRequest {
        settings: IngestSettings {
            flush_interval: Duration::from_secs(10),
            ..IngestSettings::default()
        },
        write: WriteSettings { encode_threads: 1, ..WriteSettings::default() },
        until_caught_up: true,
        decode_on: DecodeOn::CallingTask,
        ..StreamRequest::new(lake.clone(), clock, Uuid::new_v4())
    }
}

pub(super) async fn run(
    request: StreamRequest,
    stream: &MemoryStream,
) -> Result<IngestSummary, StreamError> {
    run_stream(request, Arc::new(stream.clone()), Arc::new(Seen::default())).await
}

/// Reads the stream to its tip.
pub(super) async fn catch_up(lake: &Lake, stream: &MemoryStream) -> IngestSummary {
    run(request(lake), stream).await.expect("it catches up")
}

async fn read(lake: &Lake, table: &'static Table) -> Vec<RecordBatch> {
    let snapshot = lake.snapshot(table).await.expect("a snapshot");
    let mut batches = Vec::new();
    for file in &snapshot.files {
        let found = lake.place().store.get(&file.path).await.expect("the file is there");
        let bytes = found.bytes().await.expect("it can be read");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .expect("it is Parquet");
        batches.extend(reader.map(|batch| batch.expect("it can be decoded")));
    }
    batches
}

/// One column of a table, sorted.
pub(super) async fn column(lake: &Lake, table: &'static Table, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for batch in read(lake, table).await {
        let column = batch.column_by_name(name).expect("the column").as_string::<i32>();
        values.extend((0..column.len()).map(|row| column.value(row).to_owned()));
    }
    values.sort();
    values
}

/// Asserts that just the events of these numbers are there, each once.
pub(super) async fn assert_holds(lake: &Lake, numbers: impl IntoIterator<Item = usize>) {
    let mut wanted: Vec<String> =
        numbers.into_iter().map(|number| format!("message-{number}")).collect();
    wanted.sort();
    assert_eq!(column(lake, &EVENTS, "message_id").await, wanted);
}

/// Places of the rejects, with how often each is there.
pub(super) async fn reject_places(lake: &Lake) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for place in column(lake, &REJECTS, "source_sequence").await {
        *places.entry(place).or_insert(0) += 1;
    }
    places
}

/// The committed positions of the only stream.
pub(super) async fn state(lake: &Lake) -> StreamState {
    let streams = lake.streams().await.expect("the streams");
    assert_eq!(streams.len(), 1);
    streams.into_iter().next().expect("one stream").state
}
