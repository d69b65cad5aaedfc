//! What is used of Kinesis Data Streams, as a trait that a test can stand in for.
//!
//! An implementation speaks for one stream, tries each request once, and says of an error what it means
//! for the reader ([`ApiErrorKind`]); whether and when to try again is decided by the reader alone.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hearback_transform::kpl::HashRange;

use crate::lake::{ReadFrom, SequenceNumber, StreamIdentity};

/// One stream, as `DescribeStreamSummary` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// Which stream it is.
    pub identity: StreamIdentity,
    /// How long records stay on it.
    pub retention: Duration,
    /// What decides on the shard of a record.
    pub distribution: Distribution,
}

/// What decides on the shard of a record (`RecordDistributionStrategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Its partition key or explicit hash key.
    ByKey,
    /// Kinesis: keys say nothing of the shard.
    Automatic,
}

/// One shard, as `ListShards` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Name.
    pub id: String,
    /// Shards that it was split off (one) or merged from (two), whether they are still listed or not.
    pub parents: Vec<String>,
    /// Hash keys that it owns; None if Kinesis did not say.
    pub hash_range: Option<HashRange>,
    /// Sequence numbers that it can have: the lowest, and the highest if it is closed.
    pub sequences: Option<(SequenceNumber, Option<SequenceNumber>)>,
}

/// One record of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the shard.
    pub sequence: SequenceNumber,
    /// The key that its producer gave.
    pub partition_key: String,
    /// When it arrived, about, in milliseconds since 1970-01-01T00:00:00Z.
    pub arrival_ms: Option<i64>,
    /// Payload.
    pub data: Bytes,
}

/// What one request, or one event of a subscription, brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Records, in their order. None at all is normal.
    pub records: Vec<Record>,
    /// Where it goes on: for `GetRecords` the next iterator, for subscriptions the continuation
    /// sequence number (empty if there is none yet). None if the shard ends here.
    pub next: Option<String>,
    /// How far behind the newest record this page is, in milliseconds; 0 at the tip.
    pub behind_ms: Option<i64>,
    /// If the shard ends here, the shards that come after it.
    pub children: Vec<Shard>,
}

/// A shard's records as they are pushed (enhanced fan-out).
#[async_trait]
pub trait Subscription: Send {
    /// The next event; None when the subscription ends, which it does every five minutes.
    ///
    /// # Errors
    ///
    /// As [`KinesisApi`]; the subscription is over then.
    async fn next(&mut self) -> Result<Option<Page>, ApiError>;
}

/// One Kinesis stream.
#[async_trait]
pub trait KinesisApi: Send + Sync {
    /// `DescribeStreamSummary`.
    async fn describe(&self) -> Result<StreamDescription, ApiError>;

    /// `ListShards`, all pages: open shards, and closed ones as long as they hold records.
    async fn list_shards(&self) -> Result<Vec<Shard>, ApiError>;

    /// `GetShardIterator`.
    async fn shard_iterator(&self, shard: &str, from: &ReadFrom) -> Result<String, ApiError>;

    /// `GetRecords`, at most as many as asked for (None: as many as Kinesis gives at once).
    async fn get_records(&self, iterator: &str, limit: Option<u32>) -> Result<Page, ApiError>;

    /// Finds or registers the consumer of this name and returns its ARN once it is active.
    async fn fan_out_consumer(&self, name: &str) -> Result<String, ApiError>;

    /// `SubscribeToShard`.
    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard: &str,
        from: &ReadFrom,
    ) -> Result<Box<dyn Subscription>, ApiError>;
}

/// What an error of Kinesis means for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// Too many requests or bytes: try again later.
    Throttled,
    /// Kinesis failed, or the way to it: try again later.
    Unavailable,
    /// No way to Kinesis was found: the network is down, or nobody listens at the endpoint.
    Unreachable,
    /// The host of the Region, or of the endpoint, is not known: probably either is misspelt.
    UnknownHost,
    /// The iterator is too old: get another from the last position.
    IteratorExpired,
    /// The records behind the position are gone: read on with the oldest.
    Trimmed,
    /// The stream, or the shard, is not there.
    NotFound,
    /// The consumer or subscription is in use, or not ready yet: try again later.
    InUse,
    /// The time is later than Kinesis's clock: try again later.
    InFuture,
    /// Credentials have expired and were not renewed.
    CredentialsExpired,
    /// Credentials were refused, or there are none.
    CredentialsRefused,
    /// The identity may not do this.
    AccessDenied,
    /// The key that encrypts the stream cannot be used.
    KeyDenied,
    /// The request is wrong, or something was answered that nobody understands.
    Invalid,
}

impl ApiErrorKind {
    /// Whether trying again later can help without anybody doing anything.
    #[must_use]
    pub fn passes(self) -> bool {
        match self {
            Self::Throttled
            | Self::Unavailable
            | Self::Unreachable
            | Self::UnknownHost
            | Self::IteratorExpired
            | Self::InUse
            | Self::InFuture => true,
            Self::Trimmed
            | Self::NotFound
            | Self::CredentialsExpired
            | Self::CredentialsRefused
            | Self::AccessDenied
            | Self::KeyDenied
            | Self::Invalid => false,
        }
    }
}

/// Kinesis, or the way to it, did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{action}: {reason}")]
pub struct ApiError {
    /// What it means for the reader.
    pub kind: ApiErrorKind,
    /// What was asked, such as `GetRecords`.
    pub action: &'static str,
    /// What was said about it, in one sentence, without secrets.
    pub reason: String,
}
