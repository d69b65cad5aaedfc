//! A Kinesis data stream in memory: shards with their lineage, records with their sequence numbers,
//! iterators that expire, retention that trims. What AWS's "Amazon Kinesis Data Streams API Reference"
//! says a consumer can see, and no more.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

/// How long an iterator is valid (API reference, "GetShardIterator").
const ITERATOR_LIFE_MS: u64 = 5 * 60 * 1000;
/// What one GetRecords call returns at most (API reference, "GetRecords").
const RECORDS_PER_PAGE: usize = 10_000;
const BYTES_PER_PAGE: usize = 10 << 20;

/// A record on a shard.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: String,
    pub(crate) arrived_ms: u64,
    pub(crate) partition_key: String,
    pub(crate) data: Bytes,
}

/// A shard, open or closed.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
    /// First and last hash key.
    pub(crate) hash_keys: (u128, u128),
    /// Records that are still there; the first is the one that has the number `trimmed`.
    records: VecDeque<Stored>,
    trimmed: usize,
    handed_out: u64,
    pub(crate) created_ms: u64,
    pub(crate) closed_ms: Option<u64>,
    pub(crate) first_sequence: String,
    pub(crate) last_sequence: Option<String>,
}

/// Where to begin to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    TrimHorizon,
    At(String),
    After(String),
    /// Milliseconds since the world began; may lie before it.
    Time(i64),
}

/// One answer of GetRecords.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) records: Vec<Stored>,
    pub(crate) next: Option<String>,
    pub(crate) behind_ms: u64,
    pub(crate) children: Vec<Shard>,
}

/// The iterator is no longer valid, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired;

#[derive(Debug)]
struct Iterator {
    shard: usize,
    /// Number of the next record since the shard began.
    next: usize,
    expires_ms: u64,
}

/// The stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) shards: Vec<Shard>,
    pub(crate) retention_ms: u64,
    iterators: HashMap<String, Iterator>,
    sequences: u64,
}

impl Stream {
    pub(crate) fn new(shards: u32, retention_ms: u64) -> Self {
        let mut stream =
            Self { shards: Vec::new(), retention_ms, iterators: HashMap::new(), sequences: 0 };
        let width = u128::MAX / u128::from(shards);
        for number in 0..shards {
            let first = width * u128::from(number);
            let last = if number + 1 == shards { u128::MAX } else { first + width - 1 };
            stream.add_shard((first, last), Vec::new(), 0);
        }
        stream
    }

    fn add_shard(&mut self, hash_keys: (u128, u128), parents: Vec<String>, now_ms: u64) {
        let first_sequence = self.next_sequence();
        self.shards.push(Shard {
            id: format!("shardId-{:012}", self.shards.len()),
            parents,
            hash_keys,
            records: VecDeque::new(),
            trimmed: 0,
            handed_out: 0,
            created_ms: now_ms,
            closed_ms: None,
            first_sequence,
            last_sequence: None,
        });
    }

    /// Sequence numbers of AWS have 56 digits and grow over the whole stream, in uneven steps.
    pub(crate) fn next_sequence(&mut self) -> String {
        self.sequences += 1 + self.sequences % 7;
        format!("49590338271490256608559692538361571{:021}", self.sequences * 1_000_003)
    }

    /// A number below those of all records of a shard.
    pub(crate) fn first_sequence_of(&self, shard: &str) -> String {
        let shard = self.shards.iter().find(|known| known.id == shard);
        shard.map(|shard| shard.first_sequence.clone()).unwrap_or_default()
    }

    pub(crate) fn open_shards(&self) -> Vec<usize> {
        (0..self.shards.len()).filter(|shard| self.shards[*shard].closed_ms.is_none()).collect()
    }

    /// The open shard that a hash key belongs to.
    pub(crate) fn shard_of(&self, hash_key: u128) -> usize {
        let holds = |shard: &usize| {
            let (first, last) = self.shards[*shard].hash_keys;
            (first..=last).contains(&hash_key)
        };
        self.open_shards().into_iter().find(holds).expect("open shards cover all hash keys")
    }

    /// Appends a record and returns its sequence number.
    pub(crate) fn put(&mut self, shard: usize, key: &str, data: Bytes, now_ms: u64) -> String {
        let sequence = self.next_sequence();
        let record = Stored {
            sequence: sequence.clone(),
            arrived_ms: now_ms,
            partition_key: key.to_owned(),
            data,
        };
        self.shards[shard].records.push_back(record);
        sequence
    }

    fn close(&mut self, shard: usize, now_ms: u64) {
        let last = self.next_sequence();
        self.shards[shard].closed_ms = Some(now_ms);
        self.shards[shard].last_sequence = Some(last);
    }

    /// Splits an open shard in the middle, unless it is too narrow.
    pub(crate) fn split(&mut self, shard: usize, now_ms: u64) {
        let (first, last) = self.shards[shard].hash_keys;
        if last - first < 2 {
            return;
        }
        let middle = first + (last - first) / 2;
        self.close(shard, now_ms);
        let parent = vec![self.shards[shard].id.clone()];
        self.add_shard((first, middle), parent.clone(), now_ms);
        self.add_shard((middle + 1, last), parent, now_ms);
    }

    /// Merges an open shard with its right neighbour, if it has one.
    pub(crate) fn merge(&mut self, shard: usize, now_ms: u64) {
        let (first, last) = self.shards[shard].hash_keys;
        let neighbours = self.open_shards();
        let is_next =
            |other: &&usize| last.checked_add(1) == Some(self.shards[**other].hash_keys.0);
        let Some(neighbour) = neighbours.iter().find(is_next).copied() else { return };
        self.close(shard, now_ms);
        self.close(neighbour, now_ms);
        let last = self.shards[neighbour].hash_keys.1;
        let parents = vec![self.shards[shard].id.clone(), self.shards[neighbour].id.clone()];
        self.add_shard((first, last), parents, now_ms);
    }

    /// The shards that are listed now: a closed one is, until its last record could have been trimmed.
    pub(crate) fn listed(&self, now_ms: u64) -> Vec<Shard> {
        let is_there = |shard: &&Shard| {
            shard.closed_ms.is_none_or(|closed| closed + self.retention_ms > now_ms)
        };
        self.shards.iter().filter(is_there).cloned().collect()
    }

    fn trim(&mut self, now_ms: u64) {
        let Some(horizon) = now_ms.checked_sub(self.retention_ms) else { return };
        for shard in &mut self.shards {
            while shard.records.front().is_some_and(|record| record.arrived_ms < horizon) {
                shard.records.pop_front();
                shard.trimmed += 1;
            }
        }
    }

    /// An iterator of a shard; None if there is no such shard (any more).
    ///
    /// A position before the oldest record that is left begins at that record: nothing tells that
    /// something is missing.
    pub(crate) fn iterator(&mut self, shard: &str, from: &From, now_ms: u64) -> Option<String> {
        self.trim(now_ms);
        let known = self.listed(now_ms).iter().any(|listed| listed.id == shard);
        let index = self.shards.iter().position(|known| known.id == shard).filter(|_| known)?;
        let shard = &self.shards[index];
        let count = |before: &dyn Fn(&Stored) -> bool| {
            shard.trimmed + shard.records.iter().take_while(|record| before(record)).count()
        };
        let next = match from {
            From::TrimHorizon => shard.trimmed,
            From::At(sequence) => count(&|record| record.sequence < *sequence),
            From::After(sequence) => count(&|record| record.sequence <= *sequence),
            From::Time(time) => count(&|record| (record.arrived_ms as i64) < *time),
        };
        Some(self.hand_out(index, next, now_ms))
    }

    fn hand_out(&mut self, shard: usize, next: usize, now_ms: u64) -> String {
        self.shards[shard].handed_out += 1;
        let handed_out = self.shards[shard].handed_out;
        let token = format!("{} iterator {handed_out}", self.shards[shard].id);
        let iterator = Iterator { shard, next, expires_ms: now_ms + ITERATOR_LIFE_MS };
        self.iterators.insert(token.clone(), iterator);
        token
    }

    /// Reads on from an iterator, at most `limit` records.
    pub(crate) fn records(
        &mut self,
        token: &str,
        limit: usize,
        now_ms: u64,
    ) -> Result<Page, Expired> {
        self.trim(now_ms);
        let iterator = self.iterators.get(token).ok_or(Expired)?;
        if iterator.expires_ms < now_ms {
            return Err(Expired);
        }
        let index = iterator.shard;
        let shard = &self.shards[index];
        let first = iterator.next.max(shard.trimmed);
        let mut records = Vec::new();
        let mut bytes = 0;
        for record in shard.records.iter().skip(first - shard.trimmed) {
            bytes += record.data.len() + record.partition_key.len();
            let full = records.len() == limit.min(RECORDS_PER_PAGE) || bytes > BYTES_PER_PAGE;
            if full && !(records.is_empty() && limit > 0) {
                break;
            }
            records.push(record.clone());
        }
        let next = first + records.len();
        let end = shard.trimmed + shard.records.len();
        let behind_ms = match shard.records.get(next - shard.trimmed) {
            Some(waiting) => now_ms - waiting.arrived_ms,
            None => 0,
        };
        if next == end && shard.closed_ms.is_some() {
            let id = shard.id.clone();
            let children =
                self.shards.iter().filter(|child| child.parents.contains(&id)).cloned().collect();
            return Ok(Page { records, next: None, behind_ms, children });
        }
        let next = Some(self.hand_out(index, next, now_ms));
        Ok(Page { records, next, behind_ms, children: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(stream: &mut Stream, shard: usize, count: usize, now_ms: u64) {
        for _ in 0..count {
            stream.put(shard, "key", Bytes::from_static(b"data"), now_ms);
        }
    }

    #[test]
    fn a_closed_shard_ends_and_names_its_children() {
        let mut stream = Stream::new(2, 1000);
        put(&mut stream, 0, 3, 1);
        stream.split(0, 2);
        put(&mut stream, 2, 1, 3);
        let token =
            stream.iterator("shardId-000000000000", &From::TrimHorizon, 4).expect("a shard");
        let page = stream.records(&token, 2, 4).expect("a page");
        assert_eq!((page.records.len(), page.behind_ms), (2, 3));
        let page = stream.records(&page.next.expect("more"), 2, 4).expect("a page");
        assert_eq!((page.records.len(), page.next, page.children.len()), (1, None, 2));
        stream.merge(2, 5);
        assert_eq!(stream.open_shards(), [1, 4]);
        assert_eq!(stream.shards[4].hash_keys, (0, u128::MAX / 2 - 1));
        assert!(stream.records(&token, 1, ITERATOR_LIFE_MS + 5).is_err());
    }

    #[test]
    fn what_is_older_than_the_retention_is_gone_without_a_word() {
        let mut stream = Stream::new(1, 1000);
        put(&mut stream, 0, 1, 1);
        put(&mut stream, 0, 1, 900);
        let first = stream.shards[0].records[0].sequence.clone();
        let token = stream.iterator("shardId-000000000000", &From::At(first), 1500).expect("one");
        let page = stream.records(&token, 10, 1500).expect("a page");
        assert_eq!(page.records[0].arrived_ms, 900);
    }
}
