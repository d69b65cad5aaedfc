//! One session on a stream, from a committed epoch until something ends it: responsible for reading
//! what the tree allows, decoding, staging, and committing rows and positions together in time.
//!
//! Invariants: positions move only behind pages whose rows are staged; what a commit covers was offered
//! to safekeeping before. When a session ends early, everything since its last commit is dropped; the
//! next session reads it again from the committed positions. So there is one way to recover, whatever
//! failed.

mod shards;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::api::{ApiError, Distribution, StreamDescription};
use super::decode::{ShardRecords, rejects_of, rows_of};
use super::observer::StreamEvent;
use super::pace::Backoff;
use super::reader::{Behind, FromShard, ShardPage, Shared};
use super::request::{DecodeOn, StreamRequest};
use super::shard_tree::ShardTree;
use super::work::{Batch, Decoders, Job, Keeper, Work};
use crate::cancel::CancelFlag;
use crate::lake::{
    Gap, LakeError, LakeWriter, PositionDelta, Provenance, ReadFrom, ShardMove, ShardPosition,
    ShardState, StreamDelta,
};
use crate::pipeline::{IngestSummary, Uncommitted};

/// Pages that wait at most, empty ones included.
pub(super) const PAGES_WAITING: usize = 64;
/// How long pages wait for more, so that small ones are decoded together.
const GATHER: Duration = Duration::from_millis(500);
/// Bytes of pages that are decoded together without waiting for more.
const GATHERED_BYTES: u64 = 4 << 20;
/// The end of a shard is committed soon, because its children wait for it.
const FLUSH_AT_END: Duration = Duration::from_millis(200);
/// Positions of a stream on which nothing happens are committed so often: they say up to when
/// everything was read, which is what alarms look at.
const IDLE_COMMIT: Duration = Duration::from_secs(300);
/// How long lake and safekeeping may go on after a stop was asked for. The contract allows ten seconds
/// for all.
const WORK_AFTER_STOP: Duration = Duration::from_secs(7);

/// How a session ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    CaughtUp,
    Stopped,
}

/// Why a session ended early.
#[derive(Debug)]
pub(super) enum Broken {
    /// The lake failed, or another writer has taken the stream.
    Lake(LakeError),
    /// Kinesis refuses.
    Source(ApiError),
    /// What was asked for makes no sense on this stream.
    Usage(String),
    /// The stream is another one now.
    Recreated,
    /// A reader failed in a way nobody foresaw.
    Defect(String),
}

impl From<LakeError> for Broken {
    fn from(error: LakeError) -> Self {
        Self::Lake(error)
    }
}

/// What a session is made of.
pub(super) struct Parts<'a> {
    pub(super) request: &'a StreamRequest,
    pub(super) stream: StreamDescription,
    pub(super) writer: LakeWriter,
    pub(super) shared: Arc<Shared>,
    pub(super) from_shards: mpsc::Receiver<FromShard>,
    pub(super) decoders: Arc<Decoders>,
    pub(super) summary: &'a mut IngestSummary,
}

/// One session.
pub(super) struct Session<'a> {
    parts: Parts<'a>,
    source_name: String,
    tree: ShardTree,
    is_listed: bool,
    /// Whether shards may have become readable.
    is_tree_changed: bool,
    readers: JoinSet<()>,
    running: HashSet<Arc<str>>,
    /// Shards whose end was read and is not committed.
    ending: HashSet<Arc<str>>,
    /// Shards that were read to the tip, where that is all that was asked for.
    at_tip: HashSet<Arc<str>>,
    /// Shards to begin with a delay.
    delayed: HashSet<Arc<str>>,
    inbox: Vec<ShardPage>,
    inbox_bytes: u64,
    jobs: FuturesOrdered<Job>,
    /// Shards that moved since the last commit, as they are now.
    moved: BTreeMap<Arc<str>, ShardState>,
    gaps: Vec<Gap>,
    uncommitted: Uncommitted,
    flush_at: Option<Instant>,
    decode_at: Option<Instant>,
    list_at: Instant,
    listings_without_children: u32,
    idle_commit_at: Instant,
    list_backoff: Backoff,
    /// When the stop was noticed.
    stopped_at: Arc<OnceLock<Instant>>,
}

/// What there is to do next.
enum Step {
    Flush,
    Stage(Result<Batch, Broken>),
    ReaderEnded(Result<(), JoinError>),
    Take(FromShard),
    Decode,
    List,
}

impl<'a> Session<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        let tree = match parts.writer.stream_state() {
            Some((_, state)) => ShardTree::new(state),
            None => ShardTree::default(),
        };
        let list_backoff = Backoff::of_requests(&parts.shared.jitter);
        Self {
            source_name: parts.stream.identity.source_name(),
            tree,
            is_listed: false,
            is_tree_changed: false,
            readers: JoinSet::new(),
            running: HashSet::new(),
            ending: HashSet::new(),
            at_tip: HashSet::new(),
            delayed: HashSet::new(),
            inbox: Vec::new(),
            inbox_bytes: 0,
            jobs: FuturesOrdered::new(),
            moved: BTreeMap::new(),
            gaps: Vec::new(),
            uncommitted: Uncommitted::default(),
            flush_at: None,
            decode_at: None,
            list_at: Instant::now(),
            listings_without_children: 0,
            idle_commit_at: Instant::now() + IDLE_COMMIT,
            list_backoff,
            stopped_at: Arc::default(),
            parts,
        }
    }

    /// Reads and commits until the tip, the stop, or a failure.
    pub(super) async fn run(mut self) -> Result<Ended, Broken> {
        let cancel = self.parts.request.cancel.clone();
        let stopped_at = Arc::clone(&self.stopped_at);
        loop {
            let step = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                () = wait_until(self.flush_at) => Step::Flush,
                Some(batch) = self.jobs.next(), if !self.jobs.is_empty() => Step::Stage(batch),
                Some(ended) = self.readers.join_next(), if !self.readers.is_empty() => {
                    Step::ReaderEnded(ended)
                }
                Some(message) = self.parts.from_shards.recv() => Step::Take(message),
                () = wait_until(self.decode_at) => Step::Decode,
                () = tokio::time::sleep_until(self.list_at) => Step::List,
                () = tokio::time::sleep_until(self.idle_commit_at) => Step::Flush,
            };
            match within_stop(&cancel, &stopped_at, self.go(step)).await {
                Some(Ok(false)) => {}
                Some(Ok(true)) => return Ok(Ended::CaughtUp),
                Some(Err(broken)) => return Err(broken),
                // The commit that was cut off may have landed or not; either is fine.
                None => return Ok(Ended::Stopped),
            }
        }
        self.readers.abort_all();
        // What is not decoded yet is read again by the next run.
        self.inbox.clear();
        match within_stop(&cancel, &stopped_at, self.finish()).await {
            Some(Err(broken)) => Err(broken),
            _ => Ok(Ended::Stopped),
        }
    }

    /// Does one step, and what follows from it. Returns whether there is nothing left to do.
    async fn go(&mut self, step: Step) -> Result<bool, Broken> {
        match step {
            Step::Flush => self.flush().await?,
            Step::Stage(batch) => self.stage(batch?).await?,
            Step::ReaderEnded(Err(error)) if error.is_panic() => {
                return Err(Broken::Defect(error.to_string()));
            }
            Step::ReaderEnded(_) => {}
            Step::Take(message) => self.take(message).await?,
            Step::Decode => self.decode_inbox().await?,
            Step::List => self.list().await?,
        }
        self.start_readers();
        if !self.parts.request.until_caught_up || !self.is_listed || !self.running.is_empty() {
            return Ok(false);
        }
        self.flush().await?;
        self.start_readers();
        Ok(self.is_caught_up())
    }

    async fn finish(&mut self) -> Result<(), Broken> {
        while let Some(batch) = self.jobs.next().await {
            self.stage(batch?).await?;
        }
        self.commit().await
    }

    /// Takes what a reader hands on.
    async fn take(&mut self, message: FromShard) -> Result<(), Broken> {
        match message {
            FromShard::Page(page) => self.take_page(page).await,
            FromShard::Gap(gap) => {
                self.take_gap(gap);
                Ok(())
            }
            FromShard::Failed { shard, error } => self.take_failure(shard, error).await,
        }
    }

    fn take_gap(&mut self, gap: Gap) {
        self.parts.shared.observer.observe(&StreamEvent::Gap(&gap));
        self.gaps.push(gap);
        self.flush_within(self.parts.request.flush_after());
    }

    async fn take_page(&mut self, page: ShardPage) -> Result<(), Broken> {
        match page.behind {
            Behind::More => {}
            Behind::Tip => self.stop_at_tip(&page.shard),
            Behind::Drained => {
                self.is_tree_changed |= self.tree.drained(&page.shard);
                if self.parts.request.until_caught_up {
                    self.stop_at_tip(&page.shard);
                }
            }
            Behind::End => {
                self.running.remove(&page.shard);
                self.is_tree_changed = true;
                self.ending.insert(Arc::clone(&page.shard));
                self.tree.add(&page.children);
                self.flush_within(FLUSH_AT_END);
            }
        }
        let is_quiet = page.records.is_empty() && page.behind != Behind::End;
        if is_quiet && self.inbox.is_empty() && self.jobs.is_empty() {
            self.advance(&page);
            return Ok(());
        }
        if !page.records.is_empty() {
            self.flush_within(self.parts.request.flush_after());
            self.decode_at.get_or_insert(Instant::now() + GATHER);
        }
        self.inbox_bytes += page.bytes;
        self.inbox.push(page);
        if self.inbox_bytes >= GATHERED_BYTES {
            self.decode_inbox().await?;
        }
        Ok(())
    }

    fn stop_at_tip(&mut self, shard: &Arc<str>) {
        self.running.remove(shard);
        self.at_tip.insert(Arc::clone(shard));
        self.is_tree_changed = true;
    }

    fn flush_within(&mut self, limit: Duration) {
        let at = Instant::now() + limit;
        self.flush_at = Some(self.flush_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Sends the pages that have gathered off to be decoded and kept safe.
    async fn decode_inbox(&mut self) -> Result<(), Broken> {
        self.decode_at = None;
        self.inbox_bytes = 0;
        if self.inbox.is_empty() {
            return Ok(());
        }
        let most = match self.parts.request.decode_on {
            DecodeOn::Threads(threads) => threads.max(1),
            DecodeOn::CallingTask => 1,
        };
        let cancel = self.parts.request.cancel.clone();
        while self.jobs.len() >= most {
            let next = tokio::select! {
                next = self.jobs.next() => next,
                () = cancel.cancelled() => return Ok(()),
            };
            if let Some(batch) = next {
                self.stage(batch?).await?;
            }
        }
        let pages = std::mem::take(&mut self.inbox);
        self.jobs.push_back(self.job(pages));
        Ok(())
    }

    fn job(&self, mut pages: Vec<ShardPage>) -> Job {
        let by_key = self.parts.stream.distribution == Distribution::ByKey;
        let mut shards = Vec::with_capacity(pages.len());
        for page in &mut pages {
            shards.push(ShardRecords {
                shard: Arc::clone(&page.shard),
                hash_range: by_key.then(|| self.tree.hash_range(&page.shard)).flatten(),
                records: std::mem::take(&mut page.records),
            });
        }
        let keeper = Keeper {
            safekeeping: self.parts.request.safekeeping.clone(),
            shared: Arc::clone(&self.parts.shared),
        };
        let now_us = (self.parts.request.clock)();
        let work = Work { pages, shards, keeper, now_us, decode_on: self.parts.request.decode_on };
        work.job(Arc::clone(&self.parts.decoders))
    }

    /// Stages what was decoded, and moves the positions behind it.
    async fn stage(&mut self, batch: Batch) -> Result<(), Broken> {
        let Batch { pages, decoded } = batch;
        let observer = Arc::clone(&self.parts.shared.observer);
        for (shard, user_records) in &decoded.dropped {
            tracing::info!(%shard, user_records, "an aggregate for another shard was dropped");
            observer.observe(&StreamEvent::AggregateDropped { shard, user_records: *user_records });
        }
        let now_us = (self.parts.request.clock)();
        let source_name = self.source_name.clone();
        let anywhere = Provenance { source_name: &source_name, source_shard: None, now_us };
        if !decoded.partitions.is_empty() {
            self.parts.writer.stage(rows_of(decoded.partitions), anywhere).await?;
        }
        for (shard, rejects) in decoded.rejects {
            let from = Provenance { source_shard: Some(&shard), ..anywhere };
            self.parts.writer.stage(rejects_of(rejects), from).await?;
        }
        self.uncommitted.add(&decoded.counts);
        for page in pages {
            self.uncommitted.bytes += page.bytes;
            self.advance(&page);
            drop(page.room);
        }
        let staged = self.parts.writer.staged();
        observer.observe(&StreamEvent::Staged {
            records: decoded.counts.records,
            rows: decoded.counts.rows,
            staged_rows: staged.rows,
            staged_bytes: staged.bytes,
        });
        let settings = &self.parts.request.settings;
        if staged.rows >= settings.flush_rows || staged.bytes >= settings.flush_bytes {
            self.commit().await?;
            if !self.jobs.is_empty() || !self.inbox.is_empty() {
                self.flush_within(self.parts.request.flush_after());
            }
        }
        Ok(())
    }

    /// Moves the position of a shard behind a page.
    fn advance(&mut self, page: &ShardPage) {
        let mut state = self.state_of(&page.shard);
        if let Some((sequence, arrival_ms)) = &page.last {
            state.position = ShardPosition::From(ReadFrom::After(sequence.clone()));
            state.last_arrival_ms = arrival_ms.or(state.last_arrival_ms);
        }
        state.records += page.count;
        state.behind_ms = page.behind_ms.or(state.behind_ms);
        state.read_through_ms = page.read_through_ms.or(state.read_through_ms);
        if page.behind == Behind::End {
            state.position = ShardPosition::Ended;
            state.behind_ms = None;
        }
        self.moved.insert(Arc::clone(&page.shard), state);
    }

    /// What is known of a shard, staged pages included.
    fn state_of(&self, shard: &str) -> ShardState {
        let known = self.moved.get(shard).or_else(|| self.tree.state(shard));
        known.cloned().unwrap_or_else(|| {
            ShardState::unread(ReadFrom::TrimHorizon, self.tree.parents(shard).to_vec())
        })
    }

    /// Commits everything that was read so far.
    async fn flush(&mut self) -> Result<(), Broken> {
        self.decode_inbox().await?;
        self.finish().await
    }

    /// Commits what is staged, with the positions behind it.
    async fn commit(&mut self) -> Result<(), Broken> {
        let began = Instant::now();
        self.flush_at = None;
        self.idle_commit_at = began + IDLE_COMMIT;
        let delta = self.delta();
        if delta.shards.is_empty() && delta.gaps.is_empty() {
            return Ok(());
        }
        let moved: Vec<String> = delta.shards.keys().cloned().collect();
        let now_us = (self.parts.request.clock)();
        let committed = self.parts.writer.commit(PositionDelta::Stream(delta), now_us).await?;
        self.moved.clear();
        self.gaps.clear();
        self.uncommitted.settle(self.parts.summary, committed.events, committed.duplicates);
        let Some((epoch, state)) = self.parts.writer.stream_state() else { return Ok(()) };
        let observer = &self.parts.shared.observer;
        observer.observe(&StreamEvent::Committed {
            epoch,
            events: committed.events,
            duplicates: committed.duplicates,
            rejected: committed.rejected,
            took: began.elapsed(),
        });
        for shard in moved {
            let Some(state) = state.shards.get(&shard) else {
                self.tree.forget(&shard);
                continue;
            };
            self.tree.committed(&shard, state);
            if state.position == ShardPosition::Ended && self.ending.remove(shard.as_str()) {
                observer.observe(&StreamEvent::ShardEnded { shard: &shard });
                self.is_tree_changed = true;
                // Its children, if Kinesis has not told.
                self.list_at = Instant::now();
            }
        }
        Ok(())
    }

    fn delta(&self) -> StreamDelta {
        let mut shards = BTreeMap::new();
        for (shard, to) in &self.moved {
            let from = self.tree.state(shard).map(|state| state.position.clone());
            shards.insert(shard.to_string(), ShardMove { from, to: Some(to.clone()) });
        }
        // Before the first listing all shards look as if the stream had forgotten them.
        let retention_ms = self.parts.shared.retention_ms.load(Ordering::Relaxed);
        let oldest_ms = self.parts.request.now_ms().saturating_sub(retention_ms);
        let forgettable =
            if self.is_listed { self.tree.forgettable(oldest_ms) } else { Vec::new() };
        for shard in forgettable {
            let from = self.tree.state(&shard).map(|state| state.position.clone());
            shards.entry(shard).or_insert(ShardMove { from, to: None });
        }
        StreamDelta {
            stream: self.parts.stream.identity.clone(),
            shards,
            gaps: self.gaps.clone(),
            rewind: false,
        }
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Waits for work that may go on for some seconds after a stop; None if that was not enough.
async fn within_stop<T>(
    cancel: &CancelFlag,
    stopped_at: &OnceLock<Instant>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let overdue = async {
        cancel.cancelled().await;
        let stopped_at = *stopped_at.get_or_init(Instant::now);
        tokio::time::sleep_until(stopped_at + WORK_AFTER_STOP).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = overdue => None,
    }
}
