//! Reading one shard: responsible for asking in pace, for going on from the last position whatever
//! happens, and for noticing what retention took away.
//!
//! Invariants: a new iterator is made from the last position, never from what reading began with; an
//! error that can pass is waited out, for however long; a page is handed on whole, so that a position
//! never lies inside a Kinesis record.
//!
//! Memory: pages take room from one budget for all shards before they are asked for, and give it back
//! once their rows are staged. What is asked for is guessed from the page before; a burst can exceed
//! the budget by one page (10 MiB) for each shard.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::api::{ApiError, ApiErrorKind, KinesisApi, Page, Record, Shard};
use super::observer::{Retried, StreamEvent, StreamObserver};
use super::pace::{Backoff, Jitter, Pace};
use crate::lake::{Gap, GapReason, ReadFrom, SequenceNumber};
use crate::pipeline::Clock;

/// The most that one `GetRecords` answers with.
const LARGEST_PAGE: u64 = 10 << 20;
/// Room that is taken at least for a request.
const SMALLEST_PAGE: u64 = 64 << 10;
/// The most that one event of a subscription holds.
const LARGEST_EVENT: u64 = 2 << 20;
/// What retention took within so little time is not told as a gap: clocks differ, and between the look at
/// the clock and the first page some time passes.
const GAP_TOLERANCE_MS: i64 = 60_000;
/// Between two subscriptions to a shard (Kinesis allows one call a second for each consumer and shard).
const SUBSCRIBE_EVERY: Duration = Duration::from_secs(1);
/// So many pages without a record, one after the other at the tip of a closed shard, drain it. Kinesis
/// ends it with a page that names no further iterator; services that speak its protocol may never.
const SILENT_PAGES: u32 = 3;
/// One permit of the budget stands for so many bytes.
const PERMIT_BYTES: u64 = 1024;

/// Room for pages that are on their way to the lake.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    permits: Arc<Semaphore>,
    all: u32,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        let all = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX).max(1);
        Self { permits: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits for room. A page larger than everything gets everything.
    async fn reserve(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.permits).acquire_many_owned(wanted.clamp(1, self.all)).await.ok()
    }

    /// Makes what was reserved fit what came, without waiting: whoever waits here holds a page.
    fn settle(
        &self,
        room: Option<OwnedSemaphorePermit>,
        bytes: u64,
    ) -> Option<OwnedSemaphorePermit> {
        let mut room = room?;
        let needed = usize::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(usize::MAX);
        let excess = room.num_permits().saturating_sub(needed);
        drop(room.split(excess));
        let lacking = needed.saturating_sub(room.num_permits()).min(self.all as usize);
        if let Ok(lacking) = u32::try_from(lacking)
            && lacking > 0
            && let Ok(more) = Arc::clone(&self.permits).try_acquire_many_owned(lacking)
        {
            room.merge(more);
        }
        Some(room)
    }
}

/// How a shard goes on behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// There may be more.
    More,
    /// Nothing at this moment; reading stops here because it was asked to.
    Tip,
    /// Nothing any more, as it seems: the shard is closed. It is read on, unless asked to stop.
    Drained,
    /// Nothing ever: the shard is closed.
    End,
}

/// A page on its way to the lake.
#[derive(Debug)]
pub(super) struct ShardPage {
    pub(super) shard: Arc<str>,
    pub(super) records: Vec<Record>,
    /// How many records it came with.
    pub(super) count: u64,
    /// The last of them, and when it arrived; None if there are none.
    pub(super) last: Option<(SequenceNumber, Option<i64>)>,
    pub(super) bytes: u64,
    pub(super) behind_ms: Option<i64>,
    /// Everything that arrived up to then has been read with this page, in milliseconds.
    pub(super) read_through_ms: Option<i64>,
    pub(super) behind: Behind,
    pub(super) children: Vec<Shard>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// What a reader hands on.
#[derive(Debug)]
pub(super) enum FromShard {
    Page(ShardPage),
    Gap(Gap),
    /// Reading has stopped.
    Failed {
        shard: Arc<str>,
        error: ApiError,
    },
}

/// What all readers of a stream share.
pub(super) struct Shared {
    pub(super) api: Arc<dyn KinesisApi>,
    pub(super) observer: Arc<dyn StreamObserver>,
    pub(super) budget: Budget,
    pub(super) jitter: Jitter,
    pub(super) clock: Clock,
    /// How long records stay on the stream, in milliseconds.
    pub(super) retention_ms: AtomicI64,
    /// Shards that the last listing showed to be closed, with children.
    pub(super) closed: RwLock<HashSet<String>>,
    pub(super) stop_at_tip: bool,
    /// ARN of the consumer that subscribes; None to poll.
    pub(super) consumer_arn: Option<String>,
    pub(super) out: mpsc::Sender<FromShard>,
}

impl Shared {
    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)().div_euclid(1000)
    }

    fn is_closed(&self, shard: &str) -> bool {
        // A set is replaced as a whole: it is never half-changed.
        self.closed.read().unwrap_or_else(PoisonError::into_inner).contains(shard)
    }
}

/// Whoever takes pages has gone; there is nothing more to do.
struct Gone;

/// Why reading stops early.
enum Stop {
    Gone,
    Failed(ApiError),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Reads one shard.
pub(super) struct ShardReader {
    pub(super) shared: Arc<Shared>,
    pub(super) shard: Arc<str>,
    pub(super) from: ReadFrom,
    /// Everything that arrived up to then has been read, in milliseconds.
    pub(super) read_through_ms: Option<i64>,
    /// How long to wait before the first request.
    pub(super) delay: Duration,
    /// Pages without a record at the tip since the shard was known to be closed.
    pub(super) silent_pages: u32,
}

impl ShardReader {
    /// Reads until the shard ends, the tip is reached (if asked to stop there), or nobody listens.
    pub(super) async fn run(mut self) {
        tokio::time::sleep(self.delay).await;
        self.shared.observer.observe(&StreamEvent::ShardStarted { shard: &self.shard });
        let consumer_arn = self.shared.consumer_arn.clone();
        let ended = match consumer_arn {
            Some(arn) => self.listen(&arn).await,
            None => self.poll().await,
        };
        if let Err(Stop::Failed(error)) = ended {
            let failed = FromShard::Failed { shard: Arc::clone(&self.shard), error };
            let _ = self.shared.out.send(failed).await;
        }
    }

    /// `GetRecords`, again and again.
    async fn poll(&mut self) -> Result<(), Stop> {
        let mut pace = Pace::default();
        let mut backoff = Backoff::of_requests(&self.shared.jitter);
        let mut iterator: Option<String> = None;
        let mut is_fresh = false;
        let mut expected = LARGEST_PAGE;
        let mut next_at = Instant::now();
        loop {
            let Some(current) = iterator.clone() else {
                self.look_for_gap().await?;
                match self.shared.api.shard_iterator(&self.shard, &self.from).await {
                    Ok(new) => {
                        iterator = Some(new);
                        is_fresh = true;
                    }
                    Err(error) => self.recover(error, &mut pace, &mut backoff).await?,
                }
                continue;
            };
            tokio::time::sleep_until(next_at).await;
            let room = self.shared.budget.reserve(expected).await;
            let asked_at = Instant::now();
            match self.shared.api.get_records(&current, None).await {
                Ok(page) => {
                    backoff.succeeded();
                    is_fresh = false;
                    iterator.clone_from(&page.next);
                    let bytes = payload_bytes(&page);
                    next_at = asked_at + pace.after_page(bytes, page.behind_ms);
                    expected = match page.behind_ms {
                        Some(0) => (bytes * 2).clamp(SMALLEST_PAGE, LARGEST_PAGE),
                        _ => LARGEST_PAGE,
                    };
                    let stop_at_tip = self.shared.stop_at_tip;
                    if self.hand_on(page, room, bytes, stop_at_tip).await? != Behind::More {
                        return Ok(());
                    }
                }
                Err(error) => {
                    drop(room);
                    match error.kind {
                        ApiErrorKind::IteratorExpired | ApiErrorKind::Trimmed => iterator = None,
                        // An iterator that Kinesis no longer knows; a new one tells what is wrong.
                        ApiErrorKind::Invalid | ApiErrorKind::NotFound if !is_fresh => {
                            iterator = None;
                            continue;
                        }
                        _ => {}
                    }
                    self.recover(error, &mut pace, &mut backoff).await?;
                }
            }
        }
    }

    /// `SubscribeToShard`, anew whenever the subscription ends.
    async fn listen(&mut self, consumer_arn: &str) -> Result<(), Stop> {
        let mut pace = Pace::default();
        let mut backoff = Backoff::of_requests(&self.shared.jitter);
        let mut next_at = Instant::now();
        loop {
            tokio::time::sleep_until(next_at).await;
            next_at = Instant::now() + SUBSCRIBE_EVERY;
            self.look_for_gap().await?;
            let subscribed = self.shared.api.subscribe(consumer_arn, &self.shard, &self.from).await;
            let mut subscription = match subscribed {
                Ok(subscription) => subscription,
                Err(error) => {
                    self.recover(error, &mut pace, &mut backoff).await?;
                    continue;
                }
            };
            let mut is_empty = true;
            loop {
                let room = self.shared.budget.reserve(LARGEST_EVENT).await;
                match subscription.next().await {
                    Ok(None) if is_empty => {
                        drop(room);
                        if self.ask_for_end().await? != Behind::More {
                            return Ok(());
                        }
                        break;
                    }
                    Ok(None) => break,
                    Ok(Some(page)) => {
                        backoff.succeeded();
                        is_empty &= page.records.is_empty();
                        let bytes = payload_bytes(&page);
                        let continuation = page.next.clone();
                        let is_tip = page.behind_ms == Some(0);
                        if self.hand_on(page, room, bytes, false).await? == Behind::End {
                            return Ok(());
                        }
                        // It tells of progress even where there are no records.
                        if let Some(number) =
                            continuation.as_deref().and_then(SequenceNumber::parse)
                        {
                            self.from = ReadFrom::After(number);
                        }
                        if is_tip
                            && self.shared.stop_at_tip
                            && self.ask_for_end().await? != Behind::More
                        {
                            return Ok(());
                        }
                    }
                    Err(error) => {
                        drop(room);
                        self.recover(error, &mut pace, &mut backoff).await?;
                        break;
                    }
                }
            }
        }
    }

    /// A subscription that has nothing to bring may be one to a shard that has ended. Kinesis says so in
    /// its last event; services that speak its protocol say it in the answer to `GetRecords` alone. What
    /// cannot be asked is left to the next subscription.
    async fn ask_for_end(&mut self) -> Result<Behind, Stop> {
        let api = Arc::clone(&self.shared.api);
        let room = self.shared.budget.reserve(LARGEST_PAGE).await;
        let asked = async {
            let iterator = api.shard_iterator(&self.shard, &self.from).await?;
            api.get_records(&iterator, None).await
        };
        let stop_at_tip = self.shared.stop_at_tip;
        match asked.await {
            Ok(page) => {
                let bytes = payload_bytes(&page);
                Ok(self.hand_on(page, room, bytes, stop_at_tip).await?)
            }
            Err(error) if stop_at_tip && !error.kind.passes() => Err(Stop::Failed(error)),
            Err(_) => Ok(Behind::More),
        }
    }

    /// Hands a page on, and moves the position behind it. Returns whether reading goes on.
    async fn hand_on(
        &mut self,
        page: Page,
        room: Option<OwnedSemaphorePermit>,
        bytes: u64,
        stop_at_tip: bool,
    ) -> Result<Behind, Gone> {
        let last_arrival_ms = page.records.iter().rev().find_map(|record| record.arrival_ms);
        self.shared.observer.observe(&StreamEvent::Page {
            shard: &self.shard,
            records: page.records.len() as u64,
            bytes,
            behind_ms: page.behind_ms,
            last_arrival_ms,
        });
        let last = page.records.last().map(|last| (last.sequence.clone(), last_arrival_ms));
        if let Some((sequence, _)) = &last {
            self.from = ReadFrom::After(sequence.clone());
        }
        if let Some(behind_ms) = page.behind_ms {
            self.read_through_ms = Some(self.shared.now_ms() - behind_ms);
        }
        let is_closed = self.shared.is_closed(&self.shard);
        self.silent_pages = match (page.records.is_empty(), page.behind_ms) {
            (true, Some(0)) if is_closed => self.silent_pages + 1,
            _ => 0,
        };
        let behind = match (&page.next, page.behind_ms) {
            (None, _) => Behind::End,
            _ if self.silent_pages >= SILENT_PAGES => Behind::Drained,
            (Some(_), Some(0)) if stop_at_tip && !is_closed => Behind::Tip,
            _ => Behind::More,
        };
        // An empty page holds no room while it waits.
        let room = match bytes {
            0 => None,
            _ => self.shared.budget.settle(room, bytes),
        };
        let page = ShardPage {
            shard: Arc::clone(&self.shard),
            count: page.records.len() as u64,
            records: page.records,
            last,
            bytes,
            behind_ms: page.behind_ms,
            read_through_ms: self.read_through_ms,
            behind,
            children: page.children,
            room,
        };
        self.send(FromShard::Page(page)).await?;
        Ok(match behind {
            Behind::Drained if !self.shared.stop_at_tip => Behind::More,
            _ => behind,
        })
    }

    async fn send(&self, message: FromShard) -> Result<(), Gone> {
        self.shared.out.send(message).await.map_err(|_| Gone)
    }

    /// Before reading goes on from a position: records that arrived after it may be gone already. The
    /// API does not say so, it silently goes on with the oldest.
    async fn look_for_gap(&mut self) -> Result<(), Gone> {
        let now_ms = self.shared.now_ms();
        let oldest_ms = now_ms - self.shared.retention_ms.load(Ordering::Relaxed);
        match self.read_through_ms {
            Some(read_through_ms) if read_through_ms < oldest_ms - GAP_TOLERANCE_MS => {
                self.tell_gap(now_ms, oldest_ms).await
            }
            _ => Ok(()),
        }
    }

    async fn tell_gap(&mut self, now_ms: i64, oldest_ms: i64) -> Result<(), Gone> {
        let gap = Gap {
            shard: self.shard.to_string(),
            reason: GapReason::RetentionOutrun,
            after_ms: self.read_through_ms,
            until_ms: Some(oldest_ms),
            found_ms: now_ms,
        };
        self.read_through_ms = Some(oldest_ms);
        self.send(FromShard::Gap(gap)).await
    }

    /// Waits after an error that can pass; any other stops reading.
    async fn recover(
        &mut self,
        error: ApiError,
        pace: &mut Pace,
        backoff: &mut Backoff,
    ) -> Result<(), Stop> {
        if error.kind == ApiErrorKind::Trimmed {
            self.from = ReadFrom::TrimHorizon;
            let now_ms = self.shared.now_ms();
            let oldest_ms = now_ms - self.shared.retention_ms.load(Ordering::Relaxed);
            return Ok(self.tell_gap(now_ms, oldest_ms).await?);
        }
        if !error.kind.passes() {
            return Err(Stop::Failed(error));
        }
        let mut what = Retried::Shard(&self.shard);
        if error.kind == ApiErrorKind::Throttled {
            pace.throttled();
            what = Retried::Throttled(&self.shard);
        }
        let pause = backoff.failed();
        let failures = backoff.failures();
        let reason = error.to_string();
        tracing::debug!(shard = %self.shard, failures, ?pause, reason, "reading is tried again");
        self.shared.observer.observe(&StreamEvent::Retry {
            what,
            failures,
            pause,
            reason: &reason,
        });
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn payload_bytes(page: &Page) -> u64 {
    page.records.iter().map(|record| record.data.len() as u64).sum()
}
