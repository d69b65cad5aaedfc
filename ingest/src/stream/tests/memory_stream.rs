//! A Kinesis stream in memory: shards that split and merge, retention, iterators that expire, and
//! failures on request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hearback_transform::kpl::HashRange;

use crate::lake::{ReadFrom, SequenceNumber, StreamIdentity};
use crate::stream::{
    ApiError, ApiErrorKind, Distribution, KinesisApi, Page, Record, Shard, StreamDescription,
    Subscription,
};

#[derive(Debug)]
struct MemoryShard {
    parents: Vec<String>,
    range: HashRange,
    first: u64,
    records: Vec<Record>,
    closed: bool,
    gone: bool,
}

#[derive(Debug)]
struct State {
    shards: BTreeMap<String, MemoryShard>,
    next_sequence: u64,
    now_ms: i64,
    page: usize,
    failures: VecDeque<ApiErrorKind>,
    identity: StreamIdentity,
    distribution: Distribution,
    /// Whether subscriptions do not say that a shard has ended.
    ends_silently: bool,
    /// Whether closed shards have iterators for ever.
    never_ends: bool,
    requests: Vec<(String, tokio::time::Instant)>,
    iterators: Vec<ReadFrom>,
}

/// The stream; clones are the same stream.
#[derive(Clone, Debug)]
pub(super) struct MemoryStream {
    state: Arc<Mutex<State>>,
}

const ALL_KEYS: HashRange = HashRange { first: 0, last: u128::MAX };
pub(super) const RETENTION: Duration = Duration::from_secs(24 * 3600);

fn failure(kind: ApiErrorKind) -> ApiError {
    ApiError { kind, action: "test", reason: format!("{kind:?}") }
}

impl MemoryStream {
    /// A stream of one shard, `shard-0`, at this time.
    pub(super) fn new(now_ms: i64) -> Self {
        let stream = Self {
            state: Arc::new(Mutex::new(State {
                shards: BTreeMap::new(),
                next_sequence: 98,
                now_ms,
                page: 10,
                failures: VecDeque::new(),
                identity: StreamIdentity {
                    arn: "arn:aws:kinesis:eu-west-1:123456789012:stream/feed".to_owned(),
                    name: "feed".to_owned(),
                    created_s: 1_700_000_000,
                },
                distribution: Distribution::ByKey,
                ends_silently: false,
                never_ends: false,
                requests: Vec::new(),
                iterators: Vec::new(),
            })),
        };
        stream.open("shard-0", &[], ALL_KEYS);
        stream
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }

    fn open(&self, id: &str, parents: &[&str], range: HashRange) {
        let mut state = self.lock();
        let first = state.next_sequence;
        let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
        let shard =
            MemoryShard { parents, range, first, records: Vec::new(), closed: false, gone: false };
        state.shards.insert(id.to_owned(), shard);
    }

    pub(super) fn put(&self, shard: &str, data: &[u8]) -> SequenceNumber {
        let mut state = self.lock();
        state.next_sequence += 1;
        let sequence = SequenceNumber::parse(&state.next_sequence.to_string()).expect("digits");
        let record = Record {
            sequence: sequence.clone(),
            partition_key: "k".to_owned(),
            arrival_ms: Some(state.now_ms),
            data: Bytes::copy_from_slice(data),
        };
        let shard = state.shards.get_mut(shard).expect("the shard is there");
        assert!(!shard.closed, "nothing is put on a closed shard");
        shard.records.push(record);
        sequence
    }

    /// Splits a shard into `A` and `B`.
    pub(super) fn split(&self, shard: &str, into: [&str; 2]) {
        self.lock().shards.get_mut(shard).expect("a shard").closed = true;
        self.open(into[0], &[shard], HashRange { first: 0, last: (1 << 127) - 1 });
        self.open(into[1], &[shard], HashRange { first: 1 << 127, last: u128::MAX });
    }

    pub(super) fn merge(&self, shards: [&str; 2], into: &str) {
        for shard in shards {
            self.lock().shards.get_mut(shard).expect("a shard").closed = true;
        }
        self.open(into, &shards, ALL_KEYS);
    }

    /// Moves the stream's clock, and forgets what is older than the retention.
    pub(super) fn set_now(&self, now_ms: i64) {
        let mut state = self.lock();
        state.now_ms = now_ms;
        let oldest = now_ms - RETENTION.as_millis() as i64;
        for shard in state.shards.values_mut() {
            shard.records.retain(|record| record.arrival_ms.expect("set above") >= oldest);
        }
    }

    /// Lets a closed shard disappear.
    pub(super) fn forget(&self, shard: &str) {
        self.lock().shards.get_mut(shard).expect("a shard").gone = true;
    }

    /// The next requests for records fail like this.
    pub(super) fn fail(&self, kinds: &[ApiErrorKind]) {
        self.lock().failures.extend(kinds);
    }

    pub(super) fn recreate(&self) {
        self.lock().identity.created_s += 1;
    }

    pub(super) fn distribute_automatically(&self) {
        self.lock().distribution = Distribution::Automatic;
    }

    /// Lets subscriptions go on at the end of a shard as if it were the tip, as emulations of Kinesis do.
    pub(super) fn end_subscriptions_silently(&self) {
        self.lock().ends_silently = true;
    }

    /// Lets pages of a closed shard always name a further iterator, as emulations of Kinesis do.
    pub(super) fn never_end(&self) {
        self.lock().never_ends = true;
    }

    /// Where each iterator began, in order.
    pub(super) fn iterators(&self) -> Vec<ReadFrom> {
        self.lock().iterators.clone()
    }

    /// When records of a shard were asked for.
    pub(super) fn requests(&self, shard: &str) -> Vec<tokio::time::Instant> {
        let state = self.lock();
        state.requests.iter().filter(|(name, _)| name == shard).map(|(_, at)| *at).collect()
    }

    fn read(&self, iterator: &str, limit: usize) -> Result<Page, ApiError> {
        let mut state = self.lock();
        let (shard, index) = iterator.rsplit_once('|').expect("an iterator");
        let from: usize = index.parse().expect("an index");
        state.requests.push((shard.to_owned(), tokio::time::Instant::now()));
        if let Some(kind) = state.failures.pop_front() {
            return Err(failure(kind));
        }
        let limit = limit.min(state.page);
        let now_ms = state.now_ms;
        let found = state.shards.get(shard).filter(|shard| !shard.gone);
        let found = found.ok_or_else(|| failure(ApiErrorKind::NotFound))?;
        let from = found.records.partition_point(|record| number(record) < from as u64);
        let end = (from + limit).min(found.records.len());
        let records = found.records[from..end].to_vec();
        let is_end = end == found.records.len();
        let behind_ms = match found.records.get(end) {
            Some(next) => (now_ms - next.arrival_ms.expect("set above")).max(1),
            None => 0,
        };
        let next = match found.records.get(end) {
            Some(next) => number(next),
            None => {
                found.records.last().map_or(from as u64, |last| number(last) + 1).max(found.first)
            }
        };
        let is_end = found.closed && is_end && !state.never_ends;
        let children = if is_end { children(&state, shard) } else { Vec::new() };
        let next = (!is_end).then(|| format!("{shard}|{next}"));
        Ok(Page { records, next, behind_ms: Some(behind_ms), children })
    }

    fn position(&self, shard: &str, from: &ReadFrom) -> Result<u64, ApiError> {
        let mut state = self.lock();
        state.iterators.push(from.clone());
        let shard = state.shards.get(shard).filter(|shard| !shard.gone);
        let shard = shard.ok_or_else(|| failure(ApiErrorKind::NotFound))?;
        let parse = |sequence: &SequenceNumber| -> u64 {
            sequence.as_str().parse().expect("a small number")
        };
        let holds = |sequence: &SequenceNumber| {
            shard.records.iter().any(|record| record.sequence == *sequence)
        };
        Ok(match from {
            ReadFrom::TrimHorizon => 0,
            ReadFrom::At(sequence) if !holds(sequence) => {
                return Err(failure(ApiErrorKind::Invalid));
            }
            ReadFrom::At(sequence) => parse(sequence),
            ReadFrom::After(sequence) => parse(sequence) + 1,
            ReadFrom::Timestamp(ms) => {
                let found = shard.records.iter().find(|record| record.arrival_ms >= Some(*ms));
                found.map_or(u64::from(u32::MAX), number)
            }
        })
    }
}

fn number(record: &Record) -> u64 {
    record.sequence.as_str().parse().expect("a small number")
}

fn described(id: &str, shard: &MemoryShard) -> Shard {
    let last = shard.records.last().map(|last| last.sequence.clone());
    let first = SequenceNumber::parse(&shard.first.to_string()).expect("digits");
    Shard {
        id: id.to_owned(),
        parents: shard.parents.clone(),
        hash_range: Some(shard.range),
        sequences: Some((first.clone(), shard.closed.then(|| last.unwrap_or(first)))),
    }
}

fn children(state: &State, parent: &str) -> Vec<Shard> {
    let is_child = |shard: &MemoryShard| shard.parents.iter().any(|id| id == parent);
    let found = state.shards.iter().filter(|(_, shard)| is_child(shard));
    found.map(|(id, shard)| described(id, shard)).collect()
}

#[async_trait]
impl KinesisApi for MemoryStream {
    async fn describe(&self) -> Result<StreamDescription, ApiError> {
        let state = self.lock();
        Ok(StreamDescription {
            identity: state.identity.clone(),
            retention: RETENTION,
            distribution: state.distribution,
        })
    }

    async fn list_shards(&self) -> Result<Vec<Shard>, ApiError> {
        let state = self.lock();
        let listed = state.shards.iter().filter(|(_, shard)| !shard.gone);
        Ok(listed.map(|(id, shard)| described(id, shard)).collect())
    }

    async fn shard_iterator(&self, shard: &str, from: &ReadFrom) -> Result<String, ApiError> {
        Ok(format!("{shard}|{}", self.position(shard, from)?))
    }

    async fn get_records(&self, iterator: &str, limit: Option<u32>) -> Result<Page, ApiError> {
        self.read(iterator, limit.map_or(usize::MAX, |limit| limit as usize))
    }

    async fn fan_out_consumer(&self, name: &str) -> Result<String, ApiError> {
        Ok(format!("consumer/{name}"))
    }

    async fn subscribe(
        &self,
        _: &str,
        shard: &str,
        from: &ReadFrom,
    ) -> Result<Box<dyn Subscription>, ApiError> {
        let next = self.shard_iterator(shard, from).await?;
        Ok(Box::new(MemorySubscription { stream: self.clone(), next: Some(next), events: 0 }))
    }
}

/// Ends after three events, as the real one does after five minutes.
struct MemorySubscription {
    stream: MemoryStream,
    next: Option<String>,
    events: u32,
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Result<Option<Page>, ApiError> {
        self.events += 1;
        if self.events > 3 {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Some(next) = &self.next else { return Ok(None) };
        let mut page = self.stream.read(next, usize::MAX)?;
        if page.next.is_none() && self.stream.lock().ends_silently {
            self.next = None;
            page.next = Some(String::new());
            page.children.clear();
            return Ok(Some(page));
        }
        self.next.clone_from(&page.next);
        // The number of the last record that can have been seen, records or not.
        let continuation = page.next.as_ref().map(|next| {
            let (_, index) = next.rsplit_once('|').expect("an iterator");
            index.parse::<u64>().map_or(0, |index| index.saturating_sub(1)).to_string()
        });
        Ok(Some(Page { next: continuation, ..page }))
    }
}
