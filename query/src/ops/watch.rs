//! An ingest run, watched: responsible for turning what it tells of its progress into vitals, beside
//! showing it.

use std::sync::Arc;
use std::time::Duration;

use hearback_ingest::lake::Committed;
use hearback_ingest::stream::{Retried, StreamEvent, StreamObserver};
use hearback_ingest::{Clock, ObjectFailure, Progress, SoFar};

use super::metrics::{
    BYTES, COMMIT_SECONDS, COMMITS, DUPLICATES, EVENTS, FAILED_OBJECTS, LAST_COMMIT, OBJECTS,
    RECORDS, REJECTS, ROWS, SHARD_BEHIND, SHARD_BYTES, SHARD_DROPPED, SHARD_LAST_ARRIVAL,
    SHARD_RECORDS, STAGED_BYTES, STAGED_ROWS, STREAM_EPOCH, STREAM_GAPS, STREAM_READING,
    STREAM_RETRIES,
};
use super::vitals::Vitals;

/// Failures in a row after which a shard is not merely unlucky.
const FAILING: u32 = 5;

/// Shows the progress of reading objects, and keeps the vitals.
#[derive(Clone)]
pub struct Watched<'a> {
    /// Who shows it.
    pub shown: &'a dyn Progress,
    /// Where it is kept.
    pub vitals: &'a Vitals,
    /// The time.
    pub clock: Clock,
}

impl Progress for Watched<'_> {
    fn update(&self, so_far: &SoFar) {
        let vitals = self.vitals;
        vitals.sign_of_life("reading");
        vitals.set(&RECORDS, &[], so_far.records as f64);
        vitals.set(&ROWS, &[], so_far.rows as f64);
        vitals.set(&BYTES, &[], so_far.bytes as f64);
        vitals.set(&OBJECTS, &[], so_far.objects as f64);
        self.shown.update(so_far);
    }

    fn failed(&self, failure: &ObjectFailure) {
        self.vitals.add(&FAILED_OBJECTS, &[], 1.0);
        self.shown.failed(failure);
    }

    fn committed(&self, committed: &Committed, took: Duration) {
        let counts = [committed.events, committed.duplicates, committed.rejected];
        note_commit(self.vitals, counts, took, (self.clock)());
        self.shown.committed(committed, took);
    }
}

impl std::fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("vitals", self.vitals).finish_non_exhaustive()
    }
}

/// Rows added to `events`, duplicates, and rows added to `rejects`.
fn note_commit(vitals: &Vitals, counts: [u64; 3], took: Duration, now_us: i64) {
    for (metric, count) in [(&EVENTS, counts[0]), (&DUPLICATES, counts[1]), (&REJECTS, counts[2])] {
        vitals.add(metric, &[], count as f64);
    }
    vitals.add(&COMMITS, &[], 1.0);
    vitals.add(&COMMIT_SECONDS, &[], took.as_secs_f64());
    vitals.set(&LAST_COMMIT, &[], now_us as f64 / 1e6);
}

/// Shows what happens while a stream is read, and keeps the vitals.
pub struct WatchedStream {
    /// Who shows it.
    pub shown: Arc<dyn StreamObserver>,
    /// Where it is kept.
    pub vitals: Arc<Vitals>,
    /// Label of the stream.
    pub stream: String,
    /// The time.
    pub clock: Clock,
}

impl StreamObserver for WatchedStream {
    fn observe(&self, event: &StreamEvent<'_>) {
        self.keep(event);
        self.shown.observe(event);
    }
}

impl WatchedStream {
    fn keep(&self, event: &StreamEvent<'_>) {
        let vitals = &self.vitals;
        let stream = [("stream", self.stream.as_str())];
        let of_shard = |shard| [stream[0], ("shard", shard)];
        match *event {
            StreamEvent::Reading { epoch, .. } => {
                vitals.sign_of_life("reading");
                vitals.unblock("the lake");
                vitals.unblock("the stream");
                vitals.set(&STREAM_READING, &stream, 1.0);
                vitals.set(&STREAM_EPOCH, &stream, epoch as f64);
            }
            StreamEvent::StandingBy { .. } => {
                vitals.stand_by();
                vitals.set(&STREAM_READING, &stream, 0.0);
            }
            StreamEvent::ShardStarted { .. } => vitals.sign_of_life("reading"),
            StreamEvent::ShardEnded { shard } => {
                vitals.unblock(shard);
                vitals.forget(&SHARD_BEHIND, &of_shard(shard));
                vitals.forget(&SHARD_LAST_ARRIVAL, &of_shard(shard));
            }
            StreamEvent::Page { shard, records, bytes, behind_ms, last_arrival_ms } => {
                vitals.sign_of_life("reading");
                vitals.unblock(shard);
                let labels = of_shard(shard);
                vitals.add(&SHARD_RECORDS, &labels, records as f64);
                vitals.add(&SHARD_BYTES, &labels, bytes as f64);
                vitals.add(&BYTES, &[], bytes as f64);
                if let Some(behind) = behind_ms {
                    vitals.set(&SHARD_BEHIND, &labels, behind as f64 / 1e3);
                }
                if let Some(arrival) = last_arrival_ms {
                    vitals.set(&SHARD_LAST_ARRIVAL, &labels, arrival as f64 / 1e3);
                }
            }
            StreamEvent::Staged { records, rows, staged_rows, staged_bytes } => {
                vitals.unblock("safekeeping");
                vitals.add(&RECORDS, &[], records as f64);
                vitals.add(&ROWS, &[], rows as f64);
                vitals.set(&STAGED_ROWS, &[], staged_rows as f64);
                vitals.set(&STAGED_BYTES, &[], staged_bytes as f64);
            }
            StreamEvent::AggregateDropped { shard, .. } => {
                vitals.add(&SHARD_DROPPED, &of_shard(shard), 1.0);
            }
            StreamEvent::Committed { epoch, events, duplicates, rejected, took } => {
                vitals.unblock("the lake");
                note_commit(vitals, [events, duplicates, rejected], took, (self.clock)());
                vitals.set(&STREAM_EPOCH, &stream, epoch as f64);
                vitals.set(&STAGED_ROWS, &[], 0.0);
                vitals.set(&STAGED_BYTES, &[], 0.0);
            }
            StreamEvent::Gap(_) => vitals.add(&STREAM_GAPS, &stream, 1.0),
            StreamEvent::Retry { what, failures, reason, .. } => {
                self.note_failure(what, failures, reason);
            }
        }
    }

    fn note_failure(&self, what: Retried<'_>, failures: u32, reason: &str) {
        let (name, blocked) = match what {
            Retried::Throttled(_) => ("throttled", None),
            Retried::Shard(shard) => ("shard", (failures >= FAILING).then_some(shard)),
            Retried::Stream => ("stream", (failures >= FAILING).then_some("the stream")),
            Retried::Lake => ("lake", Some("the lake")),
            Retried::Safekeeping => ("safekeeping", Some("safekeeping")),
        };
        let labels = [("stream", self.stream.as_str()), ("what", name)];
        self.vitals.add(&STREAM_RETRIES, &labels, 1.0);
        if let Some(blocked) = blocked {
            self.vitals.block(blocked, reason);
        }
    }
}

impl std::fmt::Debug for WatchedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchedStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hearback_ingest::stream::NoObserver;

    use super::super::vitals::Health;
    use super::*;

    fn watched() -> WatchedStream {
        WatchedStream {
            shown: Arc::new(NoObserver),
            vitals: Arc::new(Vitals::new()),
            stream: "feedback".to_owned(),
            clock: Arc::new(|| 1_788_220_800_000_000),
        }
    }

    fn retry(what: Retried<'_>, failures: u32) -> StreamEvent<'_> {
        StreamEvent::Retry { what, failures, pause: Duration::ZERO, reason: "access is denied" }
    }

    const COMMITTED: StreamEvent<'_> = StreamEvent::Committed {
        epoch: 7,
        events: 3,
        duplicates: 1,
        rejected: 1,
        took: Duration::from_millis(500),
    };

    #[test]
    fn a_lake_that_fails_is_unhealthy_until_it_takes_a_commit() {
        let watched = watched();
        watched.observe(&StreamEvent::Reading { stream: "kinesis:feedback", epoch: 6, shards: 1 });
        watched.observe(&retry(Retried::Lake, 1));
        let blocked = Health::Bad("blocked by the lake: access is denied".to_owned());
        assert_eq!(watched.vitals.health(), blocked);
        watched.observe(&COMMITTED);
        assert_eq!(watched.vitals.health(), Health::Good("reading".to_owned()));
        assert_eq!(watched.vitals.series(&EVENTS)[0].value, 3.0);
        assert_eq!(watched.vitals.series(&LAST_COMMIT)[0].value, 1_788_220_800.0);
    }

    #[test]
    fn throttling_and_a_single_failure_are_no_trouble() {
        let watched = watched();
        watched.observe(&retry(Retried::Throttled("shard-0"), 9));
        watched.observe(&retry(Retried::Shard("shard-0"), 1));
        assert!(matches!(watched.vitals.health(), Health::Good(_)));
        watched.observe(&retry(Retried::Shard("shard-0"), FAILING));
        assert!(matches!(watched.vitals.health(), Health::Bad(_)));
        let page = StreamEvent::Page {
            shard: "shard-0",
            records: 2,
            bytes: 100,
            behind_ms: Some(1500),
            last_arrival_ms: None,
        };
        watched.observe(&page);
        assert!(matches!(watched.vitals.health(), Health::Good(_)));
        let behind = &watched.vitals.series(&SHARD_BEHIND)[0];
        let labels = vec![("stream", "feedback".to_owned()), ("shard", "shard-0".to_owned())];
        assert_eq!((behind.value, &behind.labels), (1.5, &labels));
        watched.observe(&StreamEvent::ShardEnded { shard: "shard-0" });
        assert_eq!(watched.vitals.series(&SHARD_BEHIND), []);
    }
}
