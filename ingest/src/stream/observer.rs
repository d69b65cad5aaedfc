//! What happens while a stream is read, told to whoever watches: progress, metrics, warnings.

use std::time::Duration;

use crate::lake::Gap;

/// Watches a stream being read. Called from the tasks that read and commit: an implementation has to
/// be quick, and never blocks.
pub trait StreamObserver: Send + Sync {
    /// Something happened.
    fn observe(&self, event: &StreamEvent<'_>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl StreamObserver for NoObserver {
    fn observe(&self, _: &StreamEvent<'_>) {}
}

/// Something that happened while a stream was read.
#[derive(Clone, Copy, Debug)]
pub enum StreamEvent<'a> {
    /// This process reads the stream from here on; after [`StandingBy`](Self::StandingBy), it took
    /// over.
    Reading {
        /// The column `source_name`.
        stream: &'a str,
        /// The epoch that it continues.
        epoch: i64,
        /// Shards that are known and not ended.
        shards: usize,
    },
    /// Another process reads the stream; this one waits until it falls silent.
    StandingBy {
        /// The column `source_name`.
        stream: &'a str,
    },
    /// Reading of a shard begins or resumes.
    ShardStarted {
        /// The shard.
        shard: &'a str,
    },
    /// A shard was read to its end, and all of it is committed.
    ShardEnded {
        /// The shard.
        shard: &'a str,
    },
    /// A page was read.
    Page {
        /// The shard.
        shard: &'a str,
        /// Kinesis records in it.
        records: u64,
        /// Bytes of their payloads.
        bytes: u64,
        /// How far behind the newest record it is, in milliseconds, if Kinesis says.
        behind_ms: Option<i64>,
        /// When its last record arrived, in milliseconds since 1970-01-01T00:00:00Z.
        last_arrival_ms: Option<i64>,
    },
    /// Documents were decoded and are staged for the next commit.
    Staged {
        /// Documents, understood or not.
        records: u64,
        /// Rows they gave; some of them may be in the lake already.
        rows: u64,
        /// Rows that are staged in all.
        staged_rows: u64,
        /// Their size, in bytes.
        staged_bytes: u64,
    },
    /// An aggregate was dropped because its producer puts it again on another shard.
    AggregateDropped {
        /// The shard.
        shard: &'a str,
        /// User records in it.
        user_records: u64,
    },
    /// Rows and positions were committed.
    Committed {
        /// The stream's epoch.
        epoch: i64,
        /// Rows added to `events`.
        events: u64,
        /// Rows that were there already.
        duplicates: u64,
        /// Rows added to `rejects`.
        rejected: u64,
        /// How long it took.
        took: Duration,
    },
    /// Records may have been lost before they were read.
    Gap(&'a Gap),
    /// Something failed and is tried again.
    Retry {
        /// What it is about.
        what: Retried<'a>,
        /// How often in a row it has failed.
        failures: u32,
        /// How long it is waited.
        pause: Duration,
        /// Why, in one sentence.
        reason: &'a str,
    },
}

/// What is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried<'a> {
    /// Reading of a shard: Kinesis throttles.
    Throttled(&'a str),
    /// Reading of a shard: Kinesis, or the way to it, failed.
    Shard(&'a str),
    /// A request about the stream as a whole.
    Stream,
    /// Writing to the lake; nothing is read meanwhile.
    Lake,
    /// Keeping records safe elsewhere; their positions wait.
    Safekeeping,
}
