//! A run on a stream, over any number of sessions: responsible for where reading begins, for standing
//! by while another process reads, and for waiting out a lake that fails.
//!
//! Invariants: where reading begins is committed before anything is read, so that a run that is
//! interrupted goes on from there; after a failure, reading goes on from the committed positions alone.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::api::{ApiError, ApiErrorKind, KinesisApi, StreamDescription};
use super::consume::{Broken, Ended, PAGES_WAITING, Parts, Session};
use super::observer::{Retried, StreamEvent, StreamObserver};
use super::owner::{Owner, Waited};
use super::pace::{Backoff, Jitter};
use super::reader::{Budget, Shared};
use super::request::{StreamError, StreamRequest};
use super::start;
use super::work::Decoders;
use crate::lake::{LakeError, LakeWriter, PositionDelta, StreamDelta};
use crate::pipeline::IngestSummary;

/// How often a stream is asked for at the beginning before its Region or endpoint is taken for wrong.
const FIRST_TRIES: u32 = 4;
/// How often in a row the lake may fail a reader that wants to end, once it has begun.
const LAKE_FAILURES_OF_A_BATCH: u32 = 3;

/// Reads a Kinesis stream into the lake until it is asked to stop, or has caught up if that is what
/// was asked for. Returns what was done; a stop is a good end for a reader that would go on for ever.
///
/// # Errors
///
/// Each kind says what to do: [`StreamError`].
pub async fn run_stream(
    request: StreamRequest,
    api: Arc<dyn KinesisApi>,
    observer: Arc<dyn StreamObserver>,
) -> Result<IngestSummary, StreamError> {
    let began = Instant::now();
    let jitter = Jitter::new(request.seed);
    let mut run = Run { request, api, observer, jitter, summary: IngestSummary::default() };
    let result = run.run().await;
    let mut summary = run.summary;
    summary.report.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Ended::CaughtUp) => Ok(summary),
        Ok(Ended::Stopped) if run.request.until_caught_up => {
            Err(StreamError::Interrupted(Box::new(summary)))
        }
        Ok(Ended::Stopped) => Ok(summary),
        Err(failure) => Err(failure.with(summary)),
    }
}

/// A failure without what was done before.
enum Failure {
    Usage(String),
    Refused(String, ApiError),
    Source(String, ApiError),
    Recreated(String),
    Lake(LakeError),
}

impl Failure {
    fn with(self, summary: IngestSummary) -> StreamError {
        let summary = Box::new(summary);
        match self {
            Self::Usage(text) => StreamError::Usage(text),
            Self::Refused(stream, source) => StreamError::Refused { stream, source },
            Self::Source(stream, source) => StreamError::Source { stream, source, summary },
            Self::Recreated(stream) => StreamError::Recreated { stream, summary },
            Self::Lake(source) => StreamError::Lake { source, summary },
        }
    }
}

impl From<LakeError> for Failure {
    fn from(error: LakeError) -> Self {
        Self::Lake(error)
    }
}

struct Run {
    request: StreamRequest,
    api: Arc<dyn KinesisApi>,
    observer: Arc<dyn StreamObserver>,
    jitter: Jitter,
    summary: IngestSummary,
}

impl Run {
    async fn run(&mut self) -> Result<Ended, Failure> {
        let cancel = self.request.cancel.clone();
        let stream = tokio::select! {
            stream = self.describe() => stream?,
            () = cancel.cancelled() => return Ok(Ended::Stopped),
        };
        start::check(&self.request, &stream).map_err(Failure::Usage)?;
        let owner = Owner::new(
            self.request.lake.place(),
            &stream.identity.positions_name(),
            self.request.run,
            self.request.process.clone(),
            Arc::clone(&self.request.clock),
        );
        let ended = self.sessions(&stream, &owner).await;
        if !matches!(ended, Err(Failure::Lake(_))) {
            // A lake that hangs must not hold up the end.
            let _ = tokio::time::timeout(Duration::from_secs(1), owner.release()).await;
        }
        ended
    }

    /// Asks for the stream; what can pass may pass a few times.
    async fn describe(&self) -> Result<StreamDescription, Failure> {
        let mut backoff = Backoff::of_requests(&self.jitter);
        loop {
            let error = match self.api.describe().await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let pause = backoff.failed();
            if !error.kind.passes() || backoff.failures() >= FIRST_TRIES {
                return Err(Failure::Refused("the stream".to_owned(), error));
            }
            self.observer.observe(&StreamEvent::Retry {
                what: Retried::Stream,
                failures: backoff.failures(),
                pause,
                reason: &error.to_string(),
            });
            tokio::time::sleep(pause).await;
        }
    }

    async fn sessions(
        &mut self,
        stream: &StreamDescription,
        owner: &Owner,
    ) -> Result<Ended, Failure> {
        let cancel = self.request.cancel.clone();
        let source_name = stream.identity.source_name();
        let observer = Arc::clone(&self.observer);
        let standing_by = || observer.observe(&StreamEvent::StandingBy { stream: &source_name });
        // A rewind is somebody's word: it takes the stream from whoever reads it.
        if self.request.rewind.is_none()
            && owner.wait_until_free(&cancel, standing_by).await == Waited::Stopped
        {
            return Ok(Ended::Stopped);
        }
        let mut backoff =
            Backoff::new(Duration::from_secs(1), Duration::from_secs(60), &self.jitter);
        let mut has_begun = false;
        loop {
            let commits = self.summary.commits;
            let broken = match self.session(stream, owner, &mut has_begun).await {
                Ok(ended) => return Ok(ended),
                Err(broken) => broken,
            };
            if self.summary.commits > commits {
                backoff.succeeded();
            }
            let reason = match broken {
                Broken::Lake(LakeError::Fenced { .. }) => {
                    standing_by();
                    if owner.wait_after_losing(&cancel).await == Waited::Stopped {
                        return Ok(Ended::Stopped);
                    }
                    continue;
                }
                Broken::Lake(error) => {
                    let passes = matches!(
                        error,
                        LakeError::Unavailable { .. }
                            | LakeError::Full { .. }
                            | LakeError::Contended { .. }
                    );
                    let is_out_of_patience = self.request.until_caught_up
                        && backoff.failures() + 1 >= LAKE_FAILURES_OF_A_BATCH;
                    if !passes || !has_begun || is_out_of_patience {
                        return Err(Failure::Lake(error));
                    }
                    error.to_string()
                }
                Broken::Source(error) => return Err(self.refused(&source_name, error, has_begun)),
                Broken::Usage(sentence) => return Err(Failure::Usage(sentence)),
                Broken::Recreated => return Err(Failure::Recreated(source_name)),
                Broken::Defect(reason) => {
                    tracing::error!(
                        reason,
                        "a defect of hearback stopped reading; please report it"
                    );
                    reason
                }
            };
            let pause = backoff.failed();
            self.observer.observe(&StreamEvent::Retry {
                what: Retried::Lake,
                failures: backoff.failures(),
                pause,
                reason: &reason,
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return Ok(Ended::Stopped),
            }
        }
    }

    fn refused(&self, source_name: &str, error: ApiError, has_begun: bool) -> Failure {
        match has_begun {
            true => Failure::Source(source_name.to_owned(), error),
            false => Failure::Refused(source_name.to_owned(), error),
        }
    }

    /// One session, from the committed positions.
    async fn session(
        &mut self,
        stream: &StreamDescription,
        owner: &Owner,
        has_begun: &mut bool,
    ) -> Result<Ended, Broken> {
        let cancel = self.request.cancel.clone();
        let began = tokio::select! {
            began = self.begin(stream, has_begun) => began?,
            () = cancel.cancelled() => return Ok(Ended::Stopped),
        };
        let (writer, consumer_arn) = began;
        let (epoch, shards) = match writer.stream_state() {
            Some((epoch, state)) => (epoch, state.shards.len()),
            None => (0, 0),
        };
        let source_name = stream.identity.source_name();
        self.observer.observe(&StreamEvent::Reading { stream: &source_name, epoch, shards });

        let (out, from_shards) = mpsc::channel(PAGES_WAITING);
        let shared = Shared {
            api: Arc::clone(&self.api),
            observer: Arc::clone(&self.observer),
            budget: Budget::new(self.request.in_flight_bytes),
            jitter: self.jitter.clone(),
            clock: Arc::clone(&self.request.clock),
            retention_ms: AtomicI64::new(
                i64::try_from(stream.retention.as_millis()).unwrap_or(i64::MAX),
            ),
            closed: RwLock::default(),
            stop_at_tip: self.request.until_caught_up,
            consumer_arn,
            out,
        };
        let options = self.request.settings.decode_options((self.request.clock)());
        let session = Session::new(Parts {
            request: &self.request,
            stream: stream.clone(),
            writer,
            shared: Arc::new(shared),
            from_shards,
            decoders: Arc::new(Decoders::new(options, source_name)),
            summary: &mut self.summary,
        });
        // Ends with the session, however that ends.
        let mut alive = JoinSet::new();
        alive.spawn(owner.clone().stay_alive());
        session.run().await
    }

    /// Opens the lake at the committed positions; commits where to begin, or to go back to, first.
    async fn begin(
        &mut self,
        stream: &StreamDescription,
        has_begun: &mut bool,
    ) -> Result<(LakeWriter, Option<String>), Broken> {
        let consumer_arn = match &self.request.fan_out {
            Some(name) => Some(self.patiently(|| self.api.fan_out_consumer(name)).await?),
            None => None,
        };
        let mut writer = LakeWriter::begin_stream(
            &self.request.lake,
            self.request.write.clone(),
            &stream.identity.positions_name(),
            // Files of sessions need names of their own.
            self.run_of_session(),
        )
        .await?;
        *has_begun = true;
        let is_new = writer.stream_state().is_none();
        if is_new || self.request.rewind.is_some() {
            let shards = self.patiently(|| self.api.list_shards()).await?;
            let state = writer.stream_state().map(|(_, state)| state.clone()).unwrap_or_default();
            let steps = match self.request.rewind.clone() {
                Some(rewind) if !is_new => {
                    let oldest_ms = start::oldest_ms(self.request.now_ms(), stream);
                    start::rewind(&*self.api, &rewind, &shards, &state, oldest_ms).await?
                }
                _ => start::first_positions(&self.request, stream, &shards),
            };
            let delta = StreamDelta {
                stream: stream.identity.clone(),
                shards: steps,
                gaps: Vec::new(),
                rewind: true,
            };
            writer.commit(PositionDelta::Stream(delta), (self.request.clock)()).await?;
            self.request.rewind = None;
        }
        Ok((writer, consumer_arn))
    }

    fn run_of_session(&self) -> uuid::Uuid {
        let (high, low) = self.request.run.as_u64_pair();
        let pause = self.jitter.up_to(Duration::from_secs(u64::from(u32::MAX)));
        uuid::Uuid::from_u64_pair(high, low ^ u64::try_from(pause.as_nanos()).unwrap_or(low))
    }

    /// Asks until there is an answer, or an error that cannot pass.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Broken>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let mut backoff = Backoff::of_requests(&self.jitter);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error)
                    if error.kind.passes() && error.kind != ApiErrorKind::IteratorExpired =>
                {
                    let pause = backoff.failed();
                    self.observer.observe(&StreamEvent::Retry {
                        what: Retried::Stream,
                        failures: backoff.failures(),
                        pause,
                        reason: &error.to_string(),
                    });
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(Broken::Source(error)),
            }
        }
    }
}
