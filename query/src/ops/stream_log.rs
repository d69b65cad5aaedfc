//! What happens while a stream is read, as events of the log: for `--log-format json`, where lines for
//! people would be in the way.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use hearback_ingest::stream::{Retried, StreamEvent, StreamObserver};

/// Between two events that say how far reading is.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Logs what happens while a stream is read.
#[derive(Debug)]
pub struct LoggedStream {
    stream: String,
    so_far: Mutex<SoFar>,
}

#[derive(Debug)]
struct SoFar {
    logged: Instant,
    bytes: u64,
    records: u64,
    rows: u64,
}

impl LoggedStream {
    /// Of this stream.
    #[must_use]
    pub fn new(stream: String) -> Self {
        let so_far = SoFar { logged: Instant::now(), bytes: 0, records: 0, rows: 0 };
        Self { stream, so_far: Mutex::new(so_far) }
    }

    fn add(&self, bytes: u64, records: u64, rows: u64) {
        let Ok(mut so_far) = self.so_far.lock() else { return };
        so_far.bytes += bytes;
        so_far.records += records;
        so_far.rows += rows;
        if so_far.logged.elapsed() < PROGRESS_EVERY {
            return;
        }
        so_far.logged = Instant::now();
        let SoFar { bytes, records, rows, .. } = *so_far;
        tracing::info!(stream = self.stream, bytes, records, rows, "progress");
    }
}

impl StreamObserver for LoggedStream {
    fn observe(&self, event: &StreamEvent<'_>) {
        let stream = self.stream.as_str();
        match *event {
            StreamEvent::Reading { epoch, shards, .. } => {
                tracing::info!(stream, epoch, shards, "reading");
            }
            StreamEvent::StandingBy { .. } => tracing::info!(stream, "standing by"),
            StreamEvent::ShardStarted { shard } => tracing::debug!(stream, shard, "shard started"),
            StreamEvent::ShardEnded { shard } => tracing::info!(stream, shard, "shard ended"),
            StreamEvent::Page { bytes, .. } => self.add(bytes, 0, 0),
            StreamEvent::Staged { records, rows, .. } => self.add(0, records, rows),
            StreamEvent::AggregateDropped { shard, user_records } => {
                tracing::debug!(stream, shard, user_records, "aggregate of another shard dropped");
            }
            StreamEvent::Committed { epoch, events, duplicates, rejected, took } => {
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(stream, epoch, events, duplicates, rejected, took_ms, "committed");
            }
            StreamEvent::Gap(gap) => tracing::error!(
                stream,
                shard = gap.shard,
                reason = ?gap.reason,
                after_ms = gap.after_ms,
                until_ms = gap.until_ms,
                "records may be lost"
            ),
            StreamEvent::Retry { what, failures, pause, reason } => {
                let (what, shard) = match what {
                    Retried::Throttled(shard) => ("throttled", Some(shard)),
                    Retried::Shard(shard) => ("shard", Some(shard)),
                    Retried::Stream => ("stream", None),
                    Retried::Lake => ("lake", None),
                    Retried::Safekeeping => ("safekeeping", None),
                };
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                match what {
                    "throttled" => {
                        tracing::debug!(stream, what, shard, failures, pause_ms, reason, "failed");
                    }
                    _ => tracing::warn!(stream, what, shard, failures, pause_ms, reason, "failed"),
                }
            }
        }
    }
}
