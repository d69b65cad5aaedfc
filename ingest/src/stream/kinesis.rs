//! The API on the AWS SDK: responsible for requests and their time limits.
//!
//! Credentials, Region and endpoint come from the SDK's chain (`AWS_PROFILE`, `AWS_REGION`,
//! `AWS_ENDPOINT_URL_KINESIS` …); the Region of an ARN wins over all of it. The SDK does not try
//! anything again: the reader does. Invariant: no secret reaches an error.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{
    ChildShard, ConsumerStatus, HashKeyRange, RecordDistributionStrategy, ShardIteratorType,
    StartingPosition, StreamStatus, SubscribeToShardEventStream,
};
use bytes::Bytes;
use hearback_transform::kpl::HashRange;

use super::api::{
    ApiError, ApiErrorKind, Distribution, KinesisApi, Page, Record, Shard, StreamDescription,
    Subscription,
};
use super::kinesis_error::{api_error, not_understood};
use super::stream_name::StreamName;
use crate::lake::{ReadFrom, SequenceNumber, StreamIdentity};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one request, answer included; a subscription's answer is its beginning.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Kinesis sends an event every few seconds, records or not; a subscription that is silent for so long
/// is dead.
const EVENT_TIMEOUT: Duration = Duration::from_secs(40);
/// How often a consumer is looked at until it is active, a second apart.
const CONSUMER_LOOKS: u32 = 60;

/// One stream of the real Kinesis, or of what an endpoint stands in for it.
#[derive(Clone, Debug)]
pub struct Kinesis {
    client: Client,
    stream: StreamName,
}

impl Kinesis {
    /// Reads the SDK's configuration. Sends no request: whether the stream is there shows at the first.
    pub async fn open(stream: &StreamName) -> Self {
        Self { client: client(stream).await, stream: stream.clone() }
    }

    async fn arn(&self) -> Result<String, ApiError> {
        match self.stream.arn() {
            Some(arn) => Ok(arn),
            None => Ok(self.describe().await?.identity.arn),
        }
    }
}

/// A client for the Region of the stream, which tries nothing again by itself.
pub(super) async fn client(stream: &StreamName) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(REQUEST_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // Its measure is bytes a second, and a subscription may have none.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(region) = stream.region() {
        loader = loader.region(Region::new(region.to_owned()));
    }
    Client::new(&loader.load().await)
}

#[async_trait]
impl KinesisApi for Kinesis {
    async fn describe(&self) -> Result<StreamDescription, ApiError> {
        const ACTION: &str = "DescribeStreamSummary";
        let answer = self
            .client
            .describe_stream_summary()
            .set_stream_name(self.stream.name())
            .set_stream_arn(self.stream.arn())
            .send()
            .await
            .map_err(|error| api_error(ACTION, &error))?;
        let Some(stream) = answer.stream_description_summary else {
            return Err(not_understood(ACTION, "it describes no stream"));
        };
        if matches!(stream.stream_status, StreamStatus::Creating) {
            return Err(ApiError {
                kind: ApiErrorKind::Unavailable,
                action: ACTION,
                reason: "the stream is being created".to_owned(),
            });
        }
        if matches!(stream.stream_status, StreamStatus::Deleting) {
            return Err(ApiError {
                kind: ApiErrorKind::NotFound,
                action: ACTION,
                reason: "the stream is being deleted".to_owned(),
            });
        }
        let distribution = match stream.record_distribution_strategy {
            Some(RecordDistributionStrategy::Auto) => Distribution::Automatic,
            _ => Distribution::ByKey,
        };
        let hours = u64::try_from(stream.retention_period_hours).unwrap_or(24).max(1);
        Ok(StreamDescription {
            identity: StreamIdentity {
                arn: stream.stream_arn,
                name: stream.stream_name,
                created_s: stream.stream_creation_timestamp.secs(),
            },
            retention: Duration::from_secs(hours * 3600),
            distribution,
        })
    }

    async fn list_shards(&self) -> Result<Vec<Shard>, ApiError> {
        const ACTION: &str = "ListShards";
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut request = self.client.list_shards();
            // A token stands for the stream; both together are refused.
            request = match &token {
                Some(token) => request.next_token(token),
                None => {
                    request.set_stream_name(self.stream.name()).set_stream_arn(self.stream.arn())
                }
            };
            let answer = request.send().await.map_err(|error| api_error(ACTION, &error))?;
            for shard in answer.shards.unwrap_or_default() {
                let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id];
                shards.push(Shard {
                    id: shard.shard_id,
                    parents: parents.into_iter().flatten().filter(|id| !id.is_empty()).collect(),
                    hash_range: shard.hash_key_range.as_ref().and_then(hash_range),
                    sequences: shard.sequence_number_range.and_then(|range| {
                        let first = SequenceNumber::parse(&range.starting_sequence_number)?;
                        let last = range.ending_sequence_number;
                        Some((first, last.and_then(|last| SequenceNumber::parse(&last))))
                    }),
                });
            }
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn shard_iterator(&self, shard: &str, from: &ReadFrom) -> Result<String, ApiError> {
        const ACTION: &str = "GetShardIterator";
        let mut request = self
            .client
            .get_shard_iterator()
            .set_stream_name(self.stream.name())
            .set_stream_arn(self.stream.arn())
            .shard_id(shard)
            .shard_iterator_type(iterator_type(from));
        match from {
            ReadFrom::TrimHorizon => {}
            ReadFrom::Timestamp(ms) => request = request.timestamp(DateTime::from_millis(*ms)),
            ReadFrom::At(sequence) | ReadFrom::After(sequence) => {
                request = request.starting_sequence_number(sequence.as_str());
            }
        }
        let answer = request.send().await.map_err(|error| api_error(ACTION, &error))?;
        answer.shard_iterator.ok_or_else(|| not_understood(ACTION, "it gives no iterator"))
    }

    async fn get_records(&self, iterator: &str, limit: Option<u32>) -> Result<Page, ApiError> {
        const ACTION: &str = "GetRecords";
        let answer = self
            .client
            .get_records()
            .shard_iterator(iterator)
            .set_stream_arn(self.stream.arn())
            .set_limit(limit.and_then(|limit| i32::try_from(limit).ok()))
            .send()
            .await
            .map_err(|error| api_error(ACTION, &error))?;
        Ok(Page {
            records: records(ACTION, answer.records)?,
            next: answer.next_shard_iterator.filter(|next| !next.is_empty()),
            behind_ms: answer.millis_behind_latest,
            children: answer.child_shards.unwrap_or_default().iter().map(child).collect(),
        })
    }

    async fn fan_out_consumer(&self, name: &str) -> Result<String, ApiError> {
        let stream_arn = self.arn().await?;
        let registered = self
            .client
            .register_stream_consumer()
            .stream_arn(&stream_arn)
            .consumer_name(name)
            .send()
            .await;
        if let Err(error) = registered {
            let error = api_error("RegisterStreamConsumer", &error);
            // Somebody registered it before: that is what it is for.
            if error.kind != ApiErrorKind::InUse {
                return Err(error);
            }
        }
        for _ in 0..CONSUMER_LOOKS {
            let answer = self
                .client
                .describe_stream_consumer()
                .stream_arn(&stream_arn)
                .consumer_name(name)
                .send()
                .await
                .map_err(|error| api_error("DescribeStreamConsumer", &error))?;
            if let Some(consumer) = answer.consumer_description
                && consumer.consumer_status == ConsumerStatus::Active
            {
                return Ok(consumer.consumer_arn);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(ApiError {
            kind: ApiErrorKind::InUse,
            action: "RegisterStreamConsumer",
            reason: format!("the consumer {name} does not become active"),
        })
    }

    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard: &str,
        from: &ReadFrom,
    ) -> Result<Box<dyn Subscription>, ApiError> {
        const ACTION: &str = "SubscribeToShard";
        let mut position = StartingPosition::builder().r#type(iterator_type(from));
        match from {
            ReadFrom::TrimHorizon => {}
            ReadFrom::Timestamp(ms) => position = position.timestamp(DateTime::from_millis(*ms)),
            ReadFrom::At(sequence) | ReadFrom::After(sequence) => {
                position = position.sequence_number(sequence.as_str());
            }
        }
        let position =
            position.build().map_err(|error| not_understood(ACTION, &error.to_string()))?;
        let answer = self
            .client
            .subscribe_to_shard()
            .consumer_arn(consumer_arn)
            .shard_id(shard)
            .starting_position(position)
            .send()
            .await
            .map_err(|error| api_error(ACTION, &error))?;
        Ok(Box::new(Events { answer }))
    }
}

struct Events {
    answer: SubscribeToShardOutput,
}

#[async_trait]
impl Subscription for Events {
    async fn next(&mut self) -> Result<Option<Page>, ApiError> {
        const ACTION: &str = "SubscribeToShard";
        loop {
            let event = tokio::time::timeout(EVENT_TIMEOUT, self.answer.event_stream.recv());
            let event = event.await.map_err(|_| ApiError {
                kind: ApiErrorKind::Unavailable,
                action: ACTION,
                reason: "the subscription fell silent".to_owned(),
            })?;
            let event = event.map_err(|error| api_error(ACTION, &error))?;
            let event = match event {
                None => return Ok(None),
                Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) => event,
                // An event of a kind that this version does not know.
                Some(_) => continue,
            };
            let children: Vec<Shard> =
                event.child_shards.unwrap_or_default().iter().map(child).collect();
            // At the end of a shard its children are named. That there is no continuation says nothing:
            // where Kinesis is emulated, a shard without a record has none either.
            let next = children.is_empty().then_some(event.continuation_sequence_number);
            return Ok(Some(Page {
                records: records(ACTION, event.records)?,
                next,
                behind_ms: Some(event.millis_behind_latest),
                children,
            }));
        }
    }
}

fn iterator_type(from: &ReadFrom) -> ShardIteratorType {
    match from {
        ReadFrom::TrimHorizon => ShardIteratorType::TrimHorizon,
        ReadFrom::Timestamp(_) => ShardIteratorType::AtTimestamp,
        ReadFrom::At(_) => ShardIteratorType::AtSequenceNumber,
        ReadFrom::After(_) => ShardIteratorType::AfterSequenceNumber,
    }
}

fn records(
    action: &'static str,
    records: Vec<aws_sdk_kinesis::types::Record>,
) -> Result<Vec<Record>, ApiError> {
    let mut read = Vec::with_capacity(records.len());
    for record in records {
        let Some(sequence) = SequenceNumber::parse(&record.sequence_number) else {
            return Err(not_understood(action, "a sequence number is no number"));
        };
        read.push(Record {
            sequence,
            partition_key: record.partition_key.unwrap_or_default(),
            arrival_ms: record.approximate_arrival_timestamp.and_then(|at| at.to_millis().ok()),
            data: Bytes::from(record.data.into_inner()),
        });
    }
    Ok(read)
}

fn child(child: &ChildShard) -> Shard {
    Shard {
        id: child.shard_id.clone(),
        parents: child.parent_shards.clone(),
        hash_range: child.hash_key_range.as_ref().and_then(hash_range),
        sequences: None,
    }
}

fn hash_range(range: &HashKeyRange) -> Option<HashRange> {
    Some(HashRange {
        first: range.starting_hash_key.parse().ok()?,
        last: range.ending_hash_key.parse().ok()?,
    })
}
