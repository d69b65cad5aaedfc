//! Batches of a Kinesis event source mapping: responsible for committing them to the lake and for
//! saying how far it came.
//!
//! A batch is committed in parts if it holds more rows than are committed at once. When a part fails after
//! others were committed, the answer names the first record that is in none of them, and Lambda goes on
//! from there. When nothing was committed the invocation fails, which tells the same and is also right
//! where the event source mapping lacks `ReportBatchItemFailures`.
//!
//! Any number of invocations may be at work on one lake, on the same records too: what keeps events and
//! rejects from being there twice is the lake.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use aws_lambda_events::event::kinesis::KinesisEventRecord;
use aws_lambda_events::event::streams::KinesisEventResponse;
use bytes::Bytes;
use hearback_transform::{Decoded, Decoder, Reject};
use uuid::Uuid;

use super::event::Invocation;
use super::settings::LambdaSettings;
use crate::Clock;
use crate::lake::{Committed, Lake, LakeError, LakeWriter, PositionDelta, Provenance};
use crate::stream::{RecordOrigin, decode_data};

/// The writer's name for positions; it never commits any.
const STREAM: &str = "lambda";
/// What is left of the time of an invocation for its answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// Why a batch is not in the lake. None of its records was committed.
#[derive(Debug, thiserror::Error)]
pub enum StreamFunctionError {
    /// The lake did not take it: remove the cause; Lambda brings the batch again.
    #[error("the lake did not take the batch: {0}")]
    Lake(#[from] LakeError),
    /// Lambda would have ended the function: give it more time, or make batches smaller.
    #[error(
        "the batch was not committed within the function's timeout: raise the timeout, or lower the batch size"
    )]
    Deadline,
}

/// Commits batches. What it has learned of the lake is kept for the next batch.
pub struct StreamFunction {
    settings: LambdaSettings,
    clock: Clock,
    new_run: fn() -> Uuid,
    writer: Option<LakeWriter>,
}

impl StreamFunction {
    /// The function with its settings; see [`Function::new`](super::Function::new).
    #[must_use]
    pub fn new(settings: LambdaSettings, clock: Clock, new_run: fn() -> Uuid) -> Self {
        Self { settings, clock, new_run, writer: None }
    }

    /// Commits a batch.
    ///
    /// # Errors
    /// [`StreamFunctionError`] if nothing of it was committed.
    pub async fn commit(
        &mut self,
        records: Vec<KinesisEventRecord>,
        invocation: Invocation,
    ) -> Result<KinesisEventResponse, StreamFunctionError> {
        let records: Vec<Record> = records.into_iter().map(Record::new).collect();
        let mut done = Done::default();
        let ended = match self.time_left(invocation) {
            None => self.commit_all(&records, &mut done).await,
            Some(left) => {
                let committing = self.commit_all(&records, &mut done);
                match tokio::time::timeout(left, committing).await {
                    Ok(ended) => ended,
                    Err(_) => Err(StreamFunctionError::Deadline),
                }
            }
        };
        tracing::info!(
            records = records.len(),
            committed_records = done.records,
            events = done.sum.events,
            duplicates = done.sum.duplicates,
            rejected = done.sum.rejected,
            "batch"
        );
        let mut answer = KinesisEventResponse::default();
        let Err(error) = ended else { return Ok(answer) };
        // It may be half-way through a change, so another one begins where the lake is.
        self.writer = None;
        match records.get(done.records) {
            Some(first) if done.records > 0 => {
                let from = first.sequence.as_str();
                tracing::error!(%error, from, "the rest of a batch was not committed");
                answer.add_failure(from);
                Ok(answer)
            }
            _ => Err(error),
        }
    }

    /// How long the batch may take; `None` if nobody waits.
    fn time_left(&self, invocation: Invocation) -> Option<Duration> {
        let now_ms = (self.clock)().div_euclid(1000);
        let left = u64::try_from(invocation.deadline_ms? - now_ms).unwrap_or(0);
        Some(Duration::from_millis(left).saturating_sub(FOR_THE_ANSWER))
    }

    async fn commit_all(
        &mut self,
        records: &[Record],
        done: &mut Done,
    ) -> Result<(), StreamFunctionError> {
        let mut defects = HashSet::new();
        loop {
            match self.commit_parts(records, &defects, done).await? {
                Parts::All => return Ok(()),
                Parts::PanickedAt(index) => {
                    // What was staged since the last commit is decoded again, without that record.
                    self.writer = None;
                    defects.insert(index);
                }
            }
        }
    }

    /// Commits what is not committed yet. Records with `defects` become rejects.
    async fn commit_parts(
        &mut self,
        records: &[Record],
        defects: &HashSet<usize>,
        done: &mut Done,
    ) -> Result<Parts, StreamFunctionError> {
        let mut decode = self.settings.decode.clone();
        decode.read_time_us = (self.clock)();
        let mut part = Part::new(Decoder::new(decode));
        for (index, record) in records.iter().enumerate().skip(done.records) {
            if part.from.is_some_and(|last| *last != record.from) {
                self.stage(&mut part).await?;
            }
            if defects.contains(&index) {
                part.keep_whole(record);
            } else if catch_unwind(AssertUnwindSafe(|| part.add(record))).is_err() {
                return Ok(Parts::PanickedAt(index));
            }
            if part.rows >= self.settings.flush_rows {
                self.commit_part(&mut part, index + 1, done).await?;
            }
        }
        self.commit_part(&mut part, records.len(), done).await?;
        Ok(Parts::All)
    }

    async fn commit_part(
        &mut self,
        part: &mut Part<'_>,
        seen: usize,
        done: &mut Done,
    ) -> Result<(), StreamFunctionError> {
        self.stage(part).await?;
        part.rows = 0;
        let now_us = (self.clock)();
        if let Some(writer) = &mut self.writer {
            done.add(writer.commit(PositionDelta::Objects(Vec::new()), now_us).await?);
        }
        done.records = seen;
        Ok(())
    }

    async fn stage(&mut self, part: &mut Part<'_>) -> Result<(), StreamFunctionError> {
        let Some(from) = part.from.take() else { return Ok(()) };
        let decoded = part.take();
        if decoded.partitions.is_empty() && decoded.rejects.is_empty() {
            return Ok(());
        }
        let now_us = (self.clock)();
        let provenance =
            Provenance { source_name: &from.source_name, source_shard: Some(&from.shard), now_us };
        self.writer().await?.stage(decoded, provenance).await?;
        Ok(())
    }

    async fn writer(&mut self) -> Result<&mut LakeWriter, LakeError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let location = self.settings.lake.as_deref().unwrap_or_default();
                let lake = Lake::open_or_create(location).await?;
                let settings = self.settings.write.clone();
                LakeWriter::begin(&lake, settings, STREAM, (self.new_run)()).await?
            }
        };
        Ok(self.writer.insert(writer))
    }
}

impl std::fmt::Debug for StreamFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamFunction").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How far a batch is.
#[derive(Debug, Default)]
struct Done {
    /// Records at the beginning of the batch whose rows are committed.
    records: usize,
    sum: Committed,
}

impl Done {
    fn add(&mut self, committed: Committed) {
        self.sum.events += committed.events;
        self.sum.duplicates += committed.duplicates;
        self.sum.rejected += committed.rejected;
    }
}

/// How a pass over a batch ended.
enum Parts {
    All,
    /// Decoding a record panicked, which is a defect of ours; the decoder is lost.
    PanickedAt(usize),
}

/// A record of a batch.
struct Record {
    from: Shard,
    sequence: String,
    data: Bytes,
}

impl Record {
    fn new(record: KinesisEventRecord) -> Self {
        Self {
            from: Shard::of(&record),
            sequence: record.kinesis.sequence_number,
            data: record.kinesis.data.0.into(),
        }
    }
}

/// Where records come from, named as the stream consumer names it.
#[derive(Debug, PartialEq, Eq)]
struct Shard {
    source_name: String,
    shard: String,
}

impl Shard {
    /// From `eventSourceARN` (`arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`) and `eventID`
    /// (`SHARD:SEQUENCE`).
    fn of(record: &KinesisEventRecord) -> Self {
        let arn = record.event_source_arn.as_deref().unwrap_or_default();
        let stream = arn.rsplit_once('/').map_or(arn, |(_, name)| name);
        let id = record.event_id.as_deref().unwrap_or_default();
        let shard = id.split_once(':').map_or(id, |(shard, _)| shard);
        Self { source_name: format!("kinesis:{stream}"), shard: shard.to_owned() }
    }
}

/// What was decoded and not staged yet, all of one shard.
struct Part<'r> {
    decoder: Decoder,
    rejects: Vec<Reject>,
    from: Option<&'r Shard>,
    /// Rows of all tables since the last commit.
    rows: u64,
}

impl<'r> Part<'r> {
    fn new(decoder: Decoder) -> Self {
        Self { decoder, rejects: Vec::new(), from: None, rows: 0 }
    }

    fn add(&mut self, record: &'r Record) {
        self.from = Some(&record.from);
        let from = RecordOrigin {
            source_name: &record.from.source_name,
            shard: Some(&record.from.shard),
            place: &record.sequence,
        };
        let (rejects, counts) = decode_data(&mut self.decoder, from, &record.data);
        self.rows += counts.rows + counts.rejected;
        self.rejects.extend(rejects);
    }

    fn keep_whole(&mut self, record: &'r Record) {
        self.from = Some(&record.from);
        self.rows += 1;
        self.rejects.push(Reject {
            place: record.sequence.clone(),
            reason: "a defect of hearback: decoding panicked".to_owned(),
            raw: record.data.to_vec(),
        });
    }

    fn take(&mut self) -> Decoded {
        Decoded {
            partitions: self.decoder.take(),
            rejects: std::mem::take(&mut self.rejects),
            ..Decoded::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearback_schemas::{EVENTS, REJECTS};

    use super::*;

    fn record(number: u32) -> Record {
        let event = format!(
            r#"{{"eventType":"Send","send":{{}},"mail":{{"timestamp":"2026-11-01T10:00:00.000Z",
            "messageId":"m{number}","source":"a@example.com","destination":["b@example.com"]}}}}"#
        );
        Record {
            from: Shard { source_name: "kinesis:a".to_owned(), shard: "s".to_owned() },
            sequence: number.to_string(),
            data: event.into(),
        }
    }

    #[tokio::test]
    async fn a_record_that_the_decoder_panics_on_is_a_reject_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake").display().to_string();
        let environment = [("HEARBACK_LAKE".to_owned(), lake.clone())];
        let settings = LambdaSettings::read(environment).unwrap();
        let clock: Clock = Arc::new(|| 1_795_132_800_000_000);
        let mut function = StreamFunction::new(settings, clock, Uuid::new_v4);
        let records: Vec<Record> = (1..=3).map(record).collect();
        // As `commit_all` has it after the panic.
        let (defects, mut done) = (HashSet::from([1]), Done::default());
        let ended = function.commit_parts(&records, &defects, &mut done).await.unwrap();
        assert!(matches!(ended, Parts::All));
        assert_eq!((done.records, done.sum.events, done.sum.rejected), (3, 2, 1));
        let lake = Lake::open(&lake).await.unwrap();
        for (table, rows) in [(&EVENTS, 2), (&REJECTS, 1)] {
            let files = lake.snapshot(table).await.unwrap().files;
            assert_eq!(
                files.iter().filter_map(|file| file.rows).sum::<u64>(),
                rows,
                "{}",
                table.name
            );
        }
    }
}
