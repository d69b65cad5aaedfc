//! Kinesis as one process of a simulated world sees it: one stream for all, and between it and the
//! process everything that AWS's documentation says can happen to a request.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use hearback_ingest::lake::{ReadFrom, SequenceNumber, StreamIdentity};
use hearback_ingest::stream::{
    ApiError, ApiErrorKind, Distribution, KinesisApi, Page, Record, Shard, StreamDescription,
    Subscription,
};
use hearback_transform::kpl::HashRange;

use crate::life::Life;
use crate::store::{Cloud, Luck};
use crate::stream::{self, From, Stored, Stream};
use crate::time::BEGINNING_MS;

/// A subscription ends after so long (API reference, "SubscribeToShard").
const SUBSCRIPTION_MS: u64 = 5 * 60 * 1000;
/// A listing may not show shards that are younger than this.
const SETTLED_MS: u64 = 10_000;

/// How often requests go wrong, in a thousand each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) throttled: u64,
    pub(crate) failing: u64,
    /// An iterator is refused though it is young: AWS says five minutes, and moves shards about.
    pub(crate) expired: u64,
    /// A page holds nothing, or less than it could, though more is there.
    pub(crate) short: u64,
    /// A listing does not know of the latest change yet.
    pub(crate) stale_listing: u64,
}

/// The stream that all processes of a world read.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) stream: Mutex<Stream>,
    pub(crate) trouble: Trouble,
    pub(crate) identity: StreamIdentity,
    pub(crate) distribution: Distribution,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().expect("nobody panics with the stream in hand")
    }
}

/// The stream as one process reaches it.
#[derive(Clone, Debug)]
pub(crate) struct SimKinesis {
    cloud: Arc<Cloud>,
    shared: Arc<Shared>,
    life: Life,
}

fn error(kind: ApiErrorKind, action: &'static str) -> ApiError {
    ApiError { kind, action, reason: format!("{kind:?}") }
}

impl SimKinesis {
    pub(crate) fn new(cloud: &Arc<Cloud>, shared: &Arc<Shared>, life: &Life) -> Arc<Self> {
        let (cloud, shared) = (Arc::clone(cloud), Arc::clone(shared));
        Arc::new(Self { cloud, shared, life: life.clone() })
    }

    /// Waits for the request's turn, and says what is wrong with it, if anything is.
    async fn begin(&self, action: &'static str, about: &str) -> Result<Luck, ApiError> {
        let luck = self.cloud.luck(&self.life, action, about);
        self.cloud.time.turn(luck.request, luck.dice.among(1..60)).await;
        self.alive().await;
        self.cloud.note(action, about);
        // Nothing changes on the stream: before or after is the same.
        if self.life.step().is_some() {
            self.life.kill();
            self.alive().await;
        }
        let trouble = self.shared.trouble;
        if luck.has(trouble.throttled) {
            return Err(error(ApiErrorKind::Throttled, action));
        }
        if luck.has(trouble.failing) {
            let kind = luck.dice.one_of(&[ApiErrorKind::Unavailable, ApiErrorKind::Unreachable]);
            return Err(error(kind, action));
        }
        Ok(luck)
    }

    async fn alive(&self) {
        if self.life.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    fn now_ms(&self) -> u64 {
        self.cloud.time.elapsed_ms()
    }

    fn iterator(
        &self,
        shard: &str,
        from: &ReadFrom,
        action: &'static str,
    ) -> Result<String, ApiError> {
        let from = match from {
            ReadFrom::TrimHorizon => From::TrimHorizon,
            ReadFrom::Timestamp(time_ms) => From::Time(time_ms - BEGINNING_MS),
            ReadFrom::At(number) => From::At(number.as_str().to_owned()),
            ReadFrom::After(number) => From::After(number.as_str().to_owned()),
        };
        let now_ms = self.now_ms();
        let iterator = self.shared.lock().iterator(shard, &from, now_ms);
        iterator.ok_or_else(|| error(ApiErrorKind::NotFound, action))
    }

    fn page(
        &self,
        iterator: &str,
        most: usize,
        luck: &Luck,
        action: &'static str,
    ) -> Result<stream::Page, ApiError> {
        let limit = match luck.has(self.shared.trouble.short) {
            true => luck.dice.among(0..4) as usize,
            false => most,
        };
        let now_ms = self.now_ms();
        let page = self.shared.lock().records(iterator, limit, now_ms);
        page.map_err(|_| error(ApiErrorKind::IteratorExpired, action))
    }
}

fn number(text: &str) -> SequenceNumber {
    SequenceNumber::parse(text).expect("digits")
}

fn shard(shard: &stream::Shard) -> Shard {
    let (first, last) = shard.hash_keys;
    let ends = shard.last_sequence.as_deref().map(number);
    Shard {
        id: shard.id.clone(),
        parents: shard.parents.clone(),
        hash_range: Some(HashRange { first, last }),
        sequences: Some((number(&shard.first_sequence), ends)),
    }
}

fn record(stored: &Stored) -> Record {
    Record {
        sequence: number(&stored.sequence),
        partition_key: stored.partition_key.clone(),
        arrival_ms: Some(BEGINNING_MS + stored.arrived_ms as i64),
        data: stored.data.clone(),
    }
}

fn page(page: &stream::Page) -> Page {
    Page {
        records: page.records.iter().map(record).collect(),
        next: page.next.clone(),
        behind_ms: Some(page.behind_ms as i64),
        children: page.children.iter().map(shard).collect(),
    }
}

#[async_trait]
impl KinesisApi for SimKinesis {
    async fn describe(&self) -> Result<StreamDescription, ApiError> {
        self.begin("DescribeStreamSummary", "").await?;
        Ok(StreamDescription {
            identity: self.shared.identity.clone(),
            retention: Duration::from_millis(self.shared.lock().retention_ms),
            distribution: self.shared.distribution,
        })
    }

    async fn list_shards(&self) -> Result<Vec<Shard>, ApiError> {
        let luck = self.begin("ListShards", "").await?;
        let now_ms = self.now_ms();
        let mut listed = self.shared.lock().listed(now_ms);
        if luck.has(self.shared.trouble.stale_listing) {
            listed.retain(|shard| shard.created_ms == 0 || shard.created_ms + SETTLED_MS < now_ms);
        }
        Ok(listed.iter().map(shard).collect())
    }

    async fn shard_iterator(&self, shard: &str, from: &ReadFrom) -> Result<String, ApiError> {
        self.begin("GetShardIterator", shard).await?;
        self.iterator(shard, from, "GetShardIterator")
    }

    async fn get_records(&self, iterator: &str, limit: Option<u32>) -> Result<Page, ApiError> {
        let luck = self.begin("GetRecords", iterator).await?;
        if luck.has(self.shared.trouble.expired) {
            return Err(error(ApiErrorKind::IteratorExpired, "GetRecords"));
        }
        let most = limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(page(&self.page(iterator, most, &luck, "GetRecords")?))
    }

    async fn fan_out_consumer(&self, name: &str) -> Result<String, ApiError> {
        self.begin("RegisterStreamConsumer", name).await?;
        Ok(format!("{}/consumer/{name}:1", self.shared.identity.arn))
    }

    async fn subscribe(
        &self,
        _: &str,
        shard: &str,
        from: &ReadFrom,
    ) -> Result<Box<dyn Subscription>, ApiError> {
        let luck = self.begin("SubscribeToShard", shard).await?;
        if luck.has(self.shared.trouble.throttled) {
            return Err(error(ApiErrorKind::InUse, "SubscribeToShard"));
        }
        let iterator = self.iterator(shard, from, "SubscribeToShard")?;
        let ends_ms = self.now_ms() + SUBSCRIPTION_MS;
        let continuation = match from {
            ReadFrom::After(number) => number.to_string(),
            // Below every record of it.
            _ => self.shared.lock().first_sequence_of(shard),
        };
        let kinesis = self.clone();
        Ok(Box::new(SimSubscription { kinesis, iterator, continuation, ends_ms, is_first: true }))
    }
}

struct SimSubscription {
    kinesis: SimKinesis,
    iterator: String,
    /// What comes next is behind this number.
    continuation: String,
    ends_ms: u64,
    is_first: bool,
}

#[async_trait]
impl Subscription for SimSubscription {
    async fn next(&mut self) -> Result<Option<Page>, ApiError> {
        // Events come about every second, empty ones at the tip as well.
        let pause = if std::mem::take(&mut self.is_first) { 1 } else { 1000 };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let luck = self.kinesis.begin("event", &self.iterator).await?;
        if self.kinesis.now_ms() >= self.ends_ms {
            return Ok(None);
        }
        let found = self.kinesis.page(&self.iterator, 1000, &luck, "event")?;
        let mut event = page(&found);
        if let Some(next) = found.next {
            self.iterator = next;
            if let Some(last) = event.records.last() {
                self.continuation = last.sequence.to_string();
            } else if event.behind_ms == Some(0) {
                // It moves on even where there are no records.
                self.continuation = self.kinesis.shared.lock().next_sequence();
            }
            event.next = Some(self.continuation.clone());
        }
        Ok(Some(event))
    }
}
