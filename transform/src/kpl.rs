//! Records that the Kinesis Producer Library aggregated: several user records in one Kinesis record.
//!
//! The format is the library's "KPL Aggregated Record Format": four magic bytes, a protocol buffers
//! message (proto2 `AggregatedRecord`), and the MD5 digest of that message. As in the Kinesis Client
//! Library (`AggregatorUtil.java`), bytes that do not keep to it in every point are not damaged
//! aggregates but one plain record that happens to begin like one: [`deaggregate`] says `None`.
//!
//! A user record is identified by the sequence number of its Kinesis record and its index in it.
//!
//! When shards split or merge, the library may have packed user records for a shard that does not own
//! their hash keys any more. It finds out and puts them again, so the Client Library drops such an
//! aggregate whole; [`belongs_to`] tells. On a stream that distributes records by itself
//! (`RecordDistributionStrategy` is `AUTO`) keys say nothing of the shard, and nothing is dropped: that
//! is for the caller to know, who knows the stream.

use md5::{Digest, Md5};
use prost::Message;
use prost::bytes::Bytes;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_LENGTH: usize = 16;

/// One record as its producer put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Partition key that the producer gave.
    pub partition_key: String,
    /// Hash key that overrides the partition key's, a decimal number below 2^128.
    pub explicit_hash_key: Option<String>,
    /// Payload.
    pub data: Bytes,
}

/// Hash keys that a shard owns, both ends included (`HashKeyRange` of the Kinesis API).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// The lowest.
    pub first: u128,
    /// The highest.
    pub last: u128,
}

impl HashRange {
    /// Whether a hash key is one of these.
    #[must_use]
    pub fn contains(&self, hash_key: u128) -> bool {
        (self.first..=self.last).contains(&hash_key)
    }
}

impl UserRecord {
    /// The hash key that decides on the shard: the explicit one, else the MD5 digest of the partition
    /// key, read as a number. `None` if the explicit one is no number below 2^128.
    #[must_use]
    pub fn hash_key(&self) -> Option<u128> {
        match &self.explicit_hash_key {
            Some(decimal) => decimal.parse().ok(),
            None => {
                let digest = Md5::digest(self.partition_key.as_bytes());
                Some(u128::from_be_bytes(digest.into()))
            }
        }
    }
}

/// Whether all user records of an aggregate belong on the shard that it was read from. A key that
/// cannot be told counts as belonging: dropping on a doubt would lose records.
#[must_use]
pub fn belongs_to(user_records: &[UserRecord], shard: &HashRange) -> bool {
    user_records.iter().filter_map(UserRecord::hash_key).all(|hash_key| shard.contains(hash_key))
}

/// Whether `record` begins like an aggregate; cheap, to be asked first.
#[must_use]
pub fn looks_aggregated(record: &[u8]) -> bool {
    record.starts_with(&MAGIC)
}

/// The user records in `record`, in their order, or `None` when it is not an aggregate.
///
/// Payloads share the buffer of `record`.
#[must_use]
pub fn deaggregate(record: &Bytes) -> Option<Vec<UserRecord>> {
    if !looks_aggregated(record) || record.len() <= MAGIC.len() + DIGEST_LENGTH {
        return None;
    }
    let message = record.slice(MAGIC.len()..record.len() - DIGEST_LENGTH);
    let digest = &record[record.len() - DIGEST_LENGTH..];
    if Md5::digest(&message)[..] != *digest {
        return None;
    }
    let aggregate = wire::AggregatedRecord::decode(message).ok()?;
    let mut user_records = Vec::with_capacity(aggregate.records.len());
    for record in aggregate.records {
        let partition_key = entry(&aggregate.partition_key_table, record.partition_key_index)?;
        let explicit_hash_key = match record.explicit_hash_key_index {
            Some(index) => Some(entry(&aggregate.explicit_hash_key_table, index)?),
            None => None,
        };
        user_records.push(UserRecord { partition_key, explicit_hash_key, data: record.data });
    }
    Some(user_records)
}

fn entry(table: &[String], index: u64) -> Option<String> {
    table.get(usize::try_from(index).ok()?).cloned()
}

/// The aggregate of user records, as the library would put it; the opposite of [`deaggregate`].
#[must_use]
pub fn aggregate(user_records: &[UserRecord]) -> Vec<u8> {
    let mut message = wire::AggregatedRecord::default();
    for user_record in user_records {
        let explicit = user_record.explicit_hash_key.as_ref();
        message.records.push(wire::Record {
            partition_key_index: index_in(
                &mut message.partition_key_table,
                &user_record.partition_key,
            ),
            explicit_hash_key_index: explicit
                .map(|key| index_in(&mut message.explicit_hash_key_table, key)),
            data: user_record.data.clone(),
        });
    }
    let message = message.encode_to_vec();
    [&MAGIC[..], &message, &Md5::digest(&message)[..]].concat()
}

fn index_in(table: &mut Vec<String>, key: &str) -> u64 {
    let known = table.iter().position(|known| known == key);
    known.unwrap_or_else(|| {
        table.push(key.to_owned());
        table.len() - 1
    }) as u64
}

/// The message as the KPL's `messages.proto` defines it; tags of records are of no use here.
mod wire {
    use prost::bytes::Bytes;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct AggregatedRecord {
        #[prost(string, repeated, tag = "1")]
        pub(super) partition_key_table: Vec<String>,
        #[prost(string, repeated, tag = "2")]
        pub(super) explicit_hash_key_table: Vec<String>,
        #[prost(message, repeated, tag = "3")]
        pub(super) records: Vec<Record>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Record {
        #[prost(uint64, required, tag = "1")]
        pub(super) partition_key_index: u64,
        #[prost(uint64, optional, tag = "2")]
        pub(super) explicit_hash_key_index: Option<u64>,
        #[prost(bytes = "bytes", required, tag = "3")]
        pub(super) data: Bytes,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An aggregate of these payloads, each under the same partition key.
    pub(crate) fn aggregate_of(payloads: &[&[u8]]) -> Vec<u8> {
        let record = |payload: &&[u8]| wire::Record {
            partition_key_index: 0,
            explicit_hash_key_index: None,
            data: Bytes::copy_from_slice(payload),
        };
        aggregate(payloads.iter().map(record).collect())
    }

    fn aggregate(records: Vec<wire::Record>) -> Vec<u8> {
        let message = wire::AggregatedRecord {
            partition_key_table: vec!["a".into(), "b".into()],
            explicit_hash_key_table: vec!["170141183460469231731687303715884105728".into()],
            records,
        }
        .encode_to_vec();
        [&MAGIC[..], &message, &Md5::digest(&message)[..]].concat()
    }

    fn record(key: u64, hash: Option<u64>, data: &'static [u8]) -> wire::Record {
        wire::Record {
            partition_key_index: key,
            explicit_hash_key_index: hash,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn user_records_come_out_in_order_with_their_keys() {
        let bytes = aggregate(vec![record(1, None, b"first"), record(0, Some(0), b"second")]);
        let records = deaggregate(&Bytes::from(bytes)).unwrap();
        assert_eq!(records[0].partition_key, "b");
        assert_eq!(records[0].data, &b"first"[..]);
        assert_eq!(
            records[1].explicit_hash_key.as_deref(),
            Some("170141183460469231731687303715884105728")
        );
    }

    #[test]
    fn what_is_aggregated_comes_out_again() {
        let user_record = |key: &str, hash: Option<&str>, data: &'static [u8]| UserRecord {
            partition_key: key.to_owned(),
            explicit_hash_key: hash.map(str::to_owned),
            data: Bytes::from_static(data),
        };
        let records = vec![
            user_record("a", None, b"1"),
            user_record("b", Some("7"), b"2"),
            user_record("a", Some("7"), b""),
        ];
        let bytes = super::aggregate(&records);
        assert_eq!(deaggregate(&Bytes::from(bytes)), Some(records));
    }

    #[test]
    fn whatever_is_not_in_order_is_a_plain_record() {
        let good = aggregate(vec![record(0, None, b"x")]);
        let mut wrong_digest = good.clone();
        *wrong_digest.last_mut().unwrap() ^= 1;
        let cases = [
            Vec::new(),
            MAGIC.to_vec(),
            [&MAGIC[..], &[0; 16]].concat(),
            good[..good.len() - 1].to_vec(),
            wrong_digest,
            aggregate(vec![record(7, None, b"no such partition key")]),
            aggregate(vec![record(0, Some(u64::MAX), b"no such hash key")]),
            b"{\"eventType\":\"Send\"}".to_vec(),
        ];
        for case in cases {
            assert_eq!(deaggregate(&Bytes::from(case.clone())), None, "{case:x?}");
        }
    }

    #[test]
    fn an_aggregate_belongs_to_a_shard_if_all_its_hash_keys_do() {
        // MD5("a") begins with 0c, MD5("b") with 92; the explicit key is 2^127.
        let lower = HashRange { first: 0, last: (1 << 127) - 1 };
        let upper = HashRange { first: 1 << 127, last: u128::MAX };
        let read = |records| deaggregate(&Bytes::from(aggregate(records))).unwrap();
        let a = read(vec![record(0, None, b"x")]);
        let b = read(vec![record(1, None, b"x")]);
        let explicit = read(vec![record(0, Some(0), b"x")]);
        let both = read(vec![record(0, None, b"x"), record(1, None, b"y")]);
        assert!(belongs_to(&a, &lower) && !belongs_to(&a, &upper));
        assert!(belongs_to(&b, &upper) && !belongs_to(&b, &lower));
        assert!(belongs_to(&explicit, &upper) && !belongs_to(&explicit, &lower));
        assert!(!belongs_to(&both, &upper) && !belongs_to(&both, &lower));
        assert!(belongs_to(&both, &HashRange { first: 0, last: u128::MAX }));
        assert!(belongs_to(&[], &lower));
    }

    #[test]
    fn an_aggregate_of_nothing_holds_nothing() {
        assert_eq!(deaggregate(&Bytes::from(aggregate(Vec::new()))), Some(Vec::new()));
        let one = aggregate(vec![record(0, None, b"")]);
        assert_eq!(deaggregate(&Bytes::from(one)).unwrap().len(), 1);
    }
}
