//! What to read of a stream, where to, and how; and how a run can fail.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use super::api::ApiError;
use super::owner::ProcessIdentity;
use super::safekeeping::Safekeeping;
use crate::cancel::CancelFlag;
use crate::lake::{Lake, LakeError, SequenceNumber, WriteSettings};
use crate::pipeline::{Clock, IngestSettings, IngestSummary};

/// Where reading begins on a stream that was never read into this lake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record that is there.
    #[default]
    TrimHorizon,
    /// With what arrives from now on. "Now" is committed before the first read, so that a run that is
    /// interrupted early loses nothing.
    Latest,
    /// With what arrived at this time or later, in milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
}

/// Where a stream that was read before is read again from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewind {
    /// Every shard from what arrived at this time or later, in milliseconds since
    /// 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// The shard that holds this record from there, and the shards that came after it from their
    /// beginning.
    Sequence(SequenceNumber),
}

/// Where records are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeOn {
    /// On so many threads of the runtime's blocking pool.
    Threads(usize),
    /// On the task that commits: for simulations, which must not depend on threads.
    CallingTask,
}

/// What to read of a stream, where to, and how.
#[derive(Clone)]
pub struct StreamRequest {
    /// Where the rows go.
    pub lake: Lake,
    /// When to commit, and what fills columns from tags. `threads` is of no meaning here.
    pub settings: IngestSettings,
    /// How to write.
    pub write: WriteSettings,
    /// Where a stream begins that was never read.
    pub start: StartAt,
    /// Read again from here first.
    pub rewind: Option<Rewind>,
    /// End when all shards have been read up to the newest record; else go on until the stop.
    pub until_caught_up: bool,
    /// Be pushed the records, as the consumer of this name (enhanced fan-out); None to ask for them.
    pub fan_out: Option<String>,
    /// Where records are decoded.
    pub decode_on: DecodeOn,
    /// Bytes of payloads between Kinesis and the writer, give or take a page for each shard.
    pub in_flight_bytes: u64,
    /// A second place that has to have the records before their position is committed.
    pub safekeeping: Option<Arc<dyn Safekeeping>>,
    /// Asks the run to stop.
    pub cancel: CancelFlag,
    /// The time.
    pub clock: Clock,
    /// Seed of the randomness in pauses.
    pub seed: u64,
    /// Identity of this run, from which the names of its files are made: a new random one every time.
    pub run: Uuid,
    /// This process, so that another one on the machine can tell at once that it has died; None for
    /// simulations.
    pub process: Option<ProcessIdentity>,
}

impl StreamRequest {
    /// A request with what most readers want: from the oldest record, until the stop, by polling, two
    /// threads, 64 MiB in flight.
    #[must_use]
    pub fn new(lake: Lake, clock: Clock, run: Uuid) -> Self {
        Self {
            lake,
            settings: IngestSettings::default(),
            write: WriteSettings::default(),
            start: StartAt::default(),
            rewind: None,
            until_caught_up: false,
            fan_out: None,
            decode_on: DecodeOn::Threads(2),
            in_flight_bytes: 64 << 20,
            safekeeping: None,
            cancel: CancelFlag::new(),
            clock,
            seed: run.as_u64_pair().0,
            run,
            process: None,
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)().div_euclid(1000)
    }

    /// How long rows may wait for a commit. A record waits up to a second for its page to be asked
    /// for, and that counts; intervals of a few seconds leave no less than half.
    pub(super) fn flush_after(&self) -> Duration {
        let interval = self.settings.flush_interval;
        interval.saturating_sub(Duration::from_secs(1)).max(interval / 2)
    }
}

/// A run that did not do what it was asked to. What it committed stays, and is in the summary.
#[derive(Debug, Error)]
pub enum StreamError {
    /// What was asked for makes no sense on this stream: ask for something else. Nothing was read.
    #[error("{0}")]
    Usage(String),
    /// Kinesis refused; nothing was read yet.
    #[error("{stream} cannot be read: {source}")]
    Refused {
        /// The stream, as named.
        stream: String,
        /// What Kinesis said.
        #[source]
        source: ApiError,
    },
    /// Kinesis refused after reading had begun. Remove the cause and run the same command again.
    #[error("{stream} cannot be read any further: {source}")]
    Source {
        /// The stream, as named.
        stream: String,
        /// What Kinesis said.
        #[source]
        source: ApiError,
        /// What was done before.
        summary: Box<IngestSummary>,
    },
    /// The stream was deleted and created again while it was read: run the same command again to read
    /// the new one.
    #[error(
        "{stream} was deleted and created again; running the same command again reads the new one"
    )]
    Recreated {
        /// The stream, as named.
        stream: String,
        /// What was done before.
        summary: Box<IngestSummary>,
    },
    /// The lake did not take what was read: remove the cause and run the same command again.
    #[error("{source}")]
    Lake {
        /// What the lake said.
        #[source]
        source: LakeError,
        /// What was done before.
        summary: Box<IngestSummary>,
    },
    /// The run was asked to stop before it had caught up: run the same command again.
    #[error(
        "stopped; what was read so far is in the lake, and running the same command again reads the rest"
    )]
    Interrupted(Box<IngestSummary>),
}

impl StreamError {
    /// What was done all the same; `None` if nothing was begun.
    #[must_use]
    pub fn summary(&self) -> Option<&IngestSummary> {
        match self {
            Self::Usage(_) | Self::Refused { .. } => None,
            Self::Source { summary, .. }
            | Self::Recreated { summary, .. }
            | Self::Lake { summary, .. }
            | Self::Interrupted(summary) => Some(summary),
        }
    }
}
