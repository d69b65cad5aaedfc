//! One run from beginning to end: responsible for taking what was decoded in order, staging it,
//! committing it in time, and for ending well whatever happens.
//!
//! Invariant: the numbers of the summary are those of commits that were made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use super::chunk::Limits;
use super::error::IngestError;
use super::intake::Intake;
use super::lister::{Lister, Source, Totals};
use super::order::InOrder;
use super::progress::{Pace, Progress, SoFar};
use super::reading::Opener;
use super::report::{IngestSummary, Uncommitted};
use super::settings::IngestSettings;
use super::worker::{Outcome, Piece, Worker};
use crate::archive::take_archived;
use crate::aws;
use crate::cancel::CancelFlag;
use crate::lake::{
    Lake, LakeError, LakeWriter, ObjectId, PositionDelta, Provenance, WriteSettings,
};
use crate::source::{Bucket, ObjectName, Pages, SourceError, SourceSpec, Walk};

/// A record longer than this is kept as rejects, in parts.
const LONGEST_RECORD: usize = 64 << 20;
/// The lake's name for what this reads: objects, each read once.
const STREAM: &str = "objects";
/// How long a commit may go on after a stop was asked for. The contract allows ten seconds for all.
const COMMIT_AFTER_STOP: Duration = Duration::from_secs(7);
/// How long threads may take to end after a stop.
const THREADS_AFTER_STOP: Duration = Duration::from_secs(2);

/// A run that has nothing to do tells how far it is as often as this.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// The time, in microseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What to read, where to, and how.
#[derive(Clone)]
pub struct IngestRequest {
    /// Location of the lake: a path, `file://…` or `s3://bucket/prefix`. Created if need be.
    pub lake: String,
    /// What to read, in this order.
    pub sources: Vec<SourceSpec>,
    /// How to read.
    pub settings: IngestSettings,
    /// How to write.
    pub write: WriteSettings,
    /// Asks the run to stop.
    pub cancel: CancelFlag,
    /// The time, for `ingest_time` and for telling impossible event times.
    pub clock: Clock,
    /// Identity of this run, from which the names of its files are made: a new random one every time.
    pub run: Uuid,
}

/// Reads everything the request names into the lake.
///
/// Running the same request again reads only what is missing: objects that were read before are left
/// alone as long as they do not change, and an event that comes again is not added again.
///
/// # Errors
/// Each kind says what to do: [`IngestError`].
pub async fn run(
    request: IngestRequest,
    progress: &dyn Progress,
) -> Result<IngestSummary, IngestError> {
    let started = Instant::now();
    // While the lake is opened: the first rows would wait for it.
    std::thread::spawn(hearback_transform::rules::prepare);
    let sources = find(&request).await?;
    let lake_failed = |source| IngestError::Lake { source, summary: Box::default() };
    let lake = Lake::open_or_create(&request.lake).await.map_err(lake_failed)?;
    let writer = LakeWriter::begin(&lake, request.write.clone(), STREAM, request.run)
        .await
        .map_err(lake_failed)?;

    let runtime = Handle::current();
    let threads = request.settings.thread_count();
    let limits = Limits { usual: request.settings.chunk_bytes, longest: LONGEST_RECORD };
    let intake = Arc::new(Intake::new(Opener::new(runtime.clone(), limits), threads, limits.usual));
    let totals = Arc::new(Totals::default());
    let writer = Arc::new(Mutex::new(writer));
    let (sender, outcomes) = mpsc::unbounded_channel();
    let options = request.settings.decode_options((request.clock)());
    for _ in 0..threads {
        let worker = Worker::new(Arc::clone(&intake), options.clone(), sender.clone());
        std::thread::spawn(move || worker.run());
    }
    drop(sender);
    let lister = Lister {
        walk: Walk::around(local_lake(&request.lake)),
        runtime,
        intake: Arc::clone(&intake),
        writer: Arc::clone(&writer),
        totals: Arc::clone(&totals),
    };
    std::thread::spawn(move || lister.run(&sources));

    let mut run = Run {
        settings: request.settings,
        cancel: request.cancel,
        clock: request.clock,
        started,
        writer,
        totals,
        intake,
        outcomes,
        pace: Pace::new(progress),
        uncommitted: Uncommitted::default(),
        finished: Vec::new(),
        flush_at: None,
        broken: None,
        so_far: SoFar::default(),
        summary: IngestSummary::default(),
    };
    let ended = run.consume().await;
    run.end(ended).await
}

/// How taking outcomes ended.
enum Ended {
    AllRead,
    Stopped,
}

struct Run<'a> {
    settings: IngestSettings,
    cancel: CancelFlag,
    clock: Clock,
    started: Instant,
    writer: Arc<Mutex<LakeWriter>>,
    totals: Arc<Totals>,
    intake: Arc<Intake>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    pace: Pace<'a>,
    uncommitted: Uncommitted,
    /// Objects whose last rows are staged.
    finished: Vec<ObjectId>,
    /// When what is staged has waited long enough.
    flush_at: Option<tokio::time::Instant>,
    /// The object a part of which could not be taken: its end does not make it read.
    broken: Option<ObjectName>,
    so_far: SoFar,
    summary: IngestSummary,
}

impl Run<'_> {
    async fn consume(&mut self) -> Result<Ended, LakeError> {
        let mut order = InOrder::new();
        let cancel = self.cancel.clone();
        loop {
            let flush_at = self.flush_at;
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(Ended::Stopped),
                () = wait_until(flush_at) => {
                    self.commit().await?;
                    continue;
                }
                outcome = self.outcomes.recv() => match outcome {
                    Some(outcome) => order.put(outcome),
                    None => return Ok(Ended::AllRead),
                },
                // Whoever watches has to see that a run that waits for its source is alive.
                () = tokio::time::sleep(SIGN_OF_LIFE) => {}
            }
            while let Some(outcome) = order.take() {
                self.intake.taken(outcome.turn.ordinal, outcome.bytes, order.ordinal());
                for piece in outcome.pieces {
                    self.stage(piece).await?;
                }
                if self.is_full().await {
                    self.commit().await?;
                }
                if self.cancel.is_cancelled() {
                    return Ok(Ended::Stopped);
                }
            }
            self.show_progress();
        }
    }

    async fn stage(&mut self, piece: Piece) -> Result<(), LakeError> {
        self.uncommitted.bytes += piece.stored;
        self.so_far.bytes += piece.stored;
        if let (Some(name), Some(mut decoded)) = (&piece.source_name, piece.decoded) {
            self.uncommitted.add(&decoded.counts);
            self.so_far.records += decoded.counts.records;
            self.so_far.rows += decoded.counts.rows;
            if !decoded.partitions.is_empty() || !decoded.rejects.is_empty() {
                let now_us = (self.clock)();
                let options = self.settings.decode_options(now_us);
                let archived = take_archived(&mut decoded.rejects, &options);
                let provenance = Provenance { source_name: name, source_shard: None, now_us };
                let mut writer = self.writer.lock().await;
                writer.stage(decoded, provenance).await?;
                // What stands in an archive of a stream is again what it was on the stream.
                for record in archived {
                    let (source_name, shard) = (&record.source_name, &record.shard);
                    let provenance = Provenance { source_name, source_shard: Some(shard), now_us };
                    writer.stage(record.decoded, provenance).await?;
                }
                drop(writer);
                self.wait_no_longer_than_allowed();
            }
        }
        if let Some(failure) = piece.failure {
            tracing::debug!(
                object = failure.object,
                problem = failure.problem,
                "source object failed"
            );
            self.pace.failed(&failure);
            self.summary.add_failure(failure);
            self.broken = piece.source_name;
            return Ok(());
        }
        if let Some(identity) = piece.finished {
            self.uncommitted.objects += 1;
            self.so_far.objects += 1;
            let broken = self.broken.is_some() && self.broken == piece.source_name;
            if let Some(identity) = identity
                && !broken
            {
                self.finished.push(identity);
                self.wait_no_longer_than_allowed();
            }
        }
        Ok(())
    }

    fn wait_no_longer_than_allowed(&mut self) {
        if self.flush_at.is_none() {
            self.flush_at = Some(tokio::time::Instant::now() + self.settings.flush_interval);
        }
    }

    async fn is_full(&self) -> bool {
        let staged = self.writer.lock().await.staged();
        staged.rows >= self.settings.flush_rows || staged.bytes >= self.settings.flush_bytes
    }

    /// Commits what is staged. After a stop it may take only so long; what was not committed by then
    /// is read again by the next run.
    async fn commit(&mut self) -> Result<(), LakeError> {
        if self.flush_at.take().is_none() {
            return Ok(());
        }
        let objects = PositionDelta::Objects(std::mem::take(&mut self.finished));
        let now = (self.clock)();
        let writer = Arc::clone(&self.writer);
        let cancel = self.cancel.clone();
        let began = Instant::now();
        let committed = tokio::select! {
            committed = async { writer.lock().await.commit(objects, now).await } => committed?,
            () = overdue(&cancel) => return Ok(()),
        };
        self.uncommitted.settle(&mut self.summary, committed.events, committed.duplicates);
        self.pace.committed(&committed, began.elapsed());
        Ok(())
    }

    /// Ends the run: threads, the last commit, the summary.
    async fn end(mut self, ended: Result<Ended, LakeError>) -> Result<IngestSummary, IngestError> {
        self.intake.stop();
        let ended = match ended {
            Ok(ended) => self.commit().await.map(|()| ended),
            Err(error) => Err(error),
        };
        // Threads end after what they have in hand; the runtime must not end before them.
        let outcomes = &mut self.outcomes;
        let drain = async { while outcomes.recv().await.is_some() {} };
        let _ = tokio::time::timeout(THREADS_AFTER_STOP, drain).await;

        self.show_end();
        let mut summary = self.summary;
        // What was read but carried neither rows nor objects needed no commit.
        if self.finished.is_empty() && ended.is_ok() && self.flush_at.is_none() {
            self.uncommitted.settle_without_commit(&mut summary);
        }
        summary.already_read = self.totals.already_read();
        summary.report.elapsed_ms =
            u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match ended {
            Err(source) => Err(IngestError::Lake { source, summary: Box::new(summary) }),
            Ok(Ended::Stopped) => Err(IngestError::Interrupted(Box::new(summary))),
            Ok(Ended::AllRead) if summary.failure_count > 0 => {
                Err(IngestError::Partial(Box::new(summary)))
            }
            Ok(Ended::AllRead) => Ok(summary),
        }
    }

    fn show_progress(&mut self) {
        let Self { pace, so_far, totals, started, .. } = self;
        pace.update(|| with_totals(so_far, totals, *started));
    }

    fn show_end(&mut self) {
        let so_far = with_totals(&self.so_far, &self.totals, self.started);
        self.pace.end(&so_far);
    }
}

fn with_totals(so_far: &SoFar, totals: &Totals, started: Instant) -> SoFar {
    SoFar {
        bytes_total: totals.bytes(),
        objects_total: totals.objects(),
        elapsed: started.elapsed(),
        ..*so_far
    }
}

async fn wait_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn overdue(cancel: &CancelFlag) {
    cancel.cancelled().await;
    tokio::time::sleep(COMMIT_AFTER_STOP).await;
}

/// Looks whether every named source is there, before anything is read or created.
async fn find(request: &IngestRequest) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::with_capacity(request.sources.len());
    for spec in &request.sources {
        let source = match spec {
            SourceSpec::Stdin => Source::Stdin,
            SourceSpec::Path(_) | SourceSpec::Glob(_) => {
                Walk::check(spec)?;
                Source::Local(spec.clone())
            }
            SourceSpec::S3 { bucket, prefix } => {
                let address = format!("s3://{bucket}");
                let (opened, pages) = aws::open_paged(&address).await.map_err(|error| {
                    SourceError::Store { given: spec.to_string(), problem: error.to_string() }
                })?;
                let pages = Some(Pages::new(pages));
                let lake = request
                    .lake
                    .strip_prefix(&format!("{address}/"))
                    .map(|prefix| prefix.trim_end_matches('/').to_owned());
                let bucket = Arc::new(Bucket::new(opened.store, pages, address, lake));
                bucket.check(prefix).await?;
                Source::Bucket { bucket, prefix: prefix.clone() }
            }
            SourceSpec::Kinesis(_) => {
                return Err(SourceError::Malformed {
                    given: spec.to_string(),
                    problem: "a stream is read by a command of its own, without other sources"
                        .to_owned(),
                });
            }
        };
        sources.push(source);
    }
    Ok(sources)
}

fn local_lake(lake: &str) -> Option<&std::path::Path> {
    let path = lake.strip_prefix("file://").unwrap_or(lake);
    (!path.contains("://")).then(|| std::path::Path::new(path))
}
