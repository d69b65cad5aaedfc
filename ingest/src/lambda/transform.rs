//! Records of a Firehose: responsible for turning each into normalised rows and for answering every
//! record exactly once.
//!
//! - `Ok`: the rows of its events, as lines of JSON.
//! - `Dropped`: it is understood and carries no event.
//! - `ProcessingFailed`: some document in it cannot be understood. Firehose then keeps the whole record,
//!   byte for byte, under its error prefix, from where `hearback ingest` reads it; none of its rows is
//!   given out, so that nothing is lost and nothing comes twice.
//!
//! An answer is at most 6 MB, the limit of Lambda ("Invocation payload"). What does not fit is
//! `ProcessingFailed` as well, and so kept; a buffering hint of 1 MB makes that rare.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use aws_lambda_events::event::firehose::KinesisFirehoseEventRecord;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearback_transform::{DecodeOptions, DecodedPartition, Decoder};
use serde::Serialize;

use super::ndjson;
use crate::Clock;
use crate::stream::{RecordOrigin, decode_data};

/// Bytes of an answer: Lambda's limit of 6 MB for a response, less its own small change.
const ANSWER_BYTES: usize = 6_000_000;
/// Bytes of an answer that a record takes besides its identity and its data.
const RECORD_BYTES: usize = 120;

/// The answer to a batch: every record of it, in its order.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TransformAnswer {
    /// The records.
    pub records: Vec<Transformed>,
}

/// The answer to a record.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transformed {
    /// As Firehose gave it.
    pub record_id: String,
    /// `Ok`, `Dropped` or `ProcessingFailed`.
    pub result: &'static str,
    /// The rows, as lines of JSON in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What dynamic partitioning can use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// What dynamic partitioning can use of a record.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// `event_date`, if all rows of the record are of one day.
    pub partition_keys: BTreeMap<&'static str, String>,
}

/// Transforms records.
pub struct TransformFunction {
    decode: DecodeOptions,
    clock: Clock,
}

/// What became of a record.
enum Outcome {
    Rows(Vec<DecodedPartition>),
    NoEvent,
    NotUnderstood(String),
}

impl TransformFunction {
    /// The function with what the decoder has to know.
    #[must_use]
    pub fn new(decode: DecodeOptions, clock: Clock) -> Self {
        Self { decode, clock }
    }

    /// Answers a batch of the Firehose `name`.
    #[must_use]
    pub fn transform(
        &self,
        records: Vec<KinesisFirehoseEventRecord>,
        name: &str,
    ) -> TransformAnswer {
        let mut options = self.decode.clone();
        options.read_time_us = (self.clock)();
        let mut decoder = Decoder::new(options.clone());
        let stream = name.rsplit_once('/').map_or(name, |(_, name)| name);
        let source = format!("firehose:{stream}");
        let mut left = ANSWER_BYTES;
        for record in &records {
            left =
                left.saturating_sub(RECORD_BYTES + record.record_id.as_deref().map_or(0, str::len));
        }
        let mut answer = TransformAnswer { records: Vec::with_capacity(records.len()) };
        for record in records {
            let record_id = record.record_id.unwrap_or_default();
            let data = Bytes::from(record.data.0);
            let read =
                catch_unwind(AssertUnwindSafe(|| read(&mut decoder, &source, &record_id, &data)));
            let outcome = read.unwrap_or_else(|_| {
                // The decoder's buffers are in an unknown state.
                decoder = Decoder::new(options.clone());
                Outcome::NotUnderstood("a defect of hearback: decoding panicked".to_owned())
            });
            answer.records.push(answer_to(record_id, outcome, &mut left));
        }
        answer
    }
}

impl std::fmt::Debug for TransformFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransformFunction").field("decode", &self.decode).finish_non_exhaustive()
    }
}

fn read(decoder: &mut Decoder, source: &str, record_id: &str, data: &Bytes) -> Outcome {
    let from = RecordOrigin { source_name: source, shard: None, place: record_id };
    let (rejects, _) = decode_data(decoder, from, data);
    let rows = decoder.take();
    match rejects.into_iter().next() {
        Some(reject) => Outcome::NotUnderstood(reject.reason),
        None if rows.is_empty() => Outcome::NoEvent,
        None => Outcome::Rows(rows),
    }
}

fn answer_to(record_id: String, outcome: Outcome, left: &mut usize) -> Transformed {
    let without_data =
        |record_id, result| Transformed { record_id, result, data: None, metadata: None };
    let failed = |record_id: String, reason: &str| {
        tracing::warn!(record = %record_id, reason, "ProcessingFailed");
        without_data(record_id, "ProcessingFailed")
    };
    let rows = match outcome {
        Outcome::Rows(rows) => rows,
        Outcome::NoEvent => return without_data(record_id, "Dropped"),
        Outcome::NotUnderstood(reason) => return failed(record_id, &reason),
    };
    let lines = match ndjson::lines(&rows) {
        Ok(lines) => lines,
        Err(error) => return failed(record_id, &error.to_string()),
    };
    let data = STANDARD.encode(lines);
    if data.len() > *left {
        return failed(
            record_id,
            "the answer would be larger than Lambda allows (6 MB): lower the buffering hint of the transformation",
        );
    }
    *left -= data.len();
    Transformed { record_id, result: "Ok", data: Some(data), metadata: one_day(&rows) }
}

fn one_day(rows: &[DecodedPartition]) -> Option<Metadata> {
    let (first, others) = rows.split_first()?;
    if others.iter().any(|other| other.event_date != first.event_date) {
        return None;
    }
    let epoch = jiff::civil::date(1970, 1, 1);
    let day = epoch.checked_add(jiff::Span::new().try_days(first.event_date).ok()?).ok()?;
    Some(Metadata { partition_keys: BTreeMap::from([("event_date", day.to_string())]) })
}
