//! The API on the AWS SDK: responsible for requests, their time limits, and for what errors mean.
//!
//! Credentials, Region and endpoint come from the SDK's chain (`AWS_PROFILE`, `AWS_REGION`,
//! `AWS_ENDPOINT_URL_KINESIS` …); the Region of an ARN wins over all of it. The SDK does not try
//! anything again: the reader does. Invariant: no secret reaches an error.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
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
use crate::lake::{ReadFrom, SequenceNumber, StreamIdentity};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one request, answer included; a subscription's answer is its beginning.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Kinesis sends an event every few seconds, records or not; a subscription that is silent for so long
/// is dead.
const EVENT_TIMEOUT: Duration = Duration::from_secs(40);
/// How often a consumer is looked at until it is active, a second apart.
const CONSUMER_LOOKS: u32 = 60;

/// A stream as the user names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StreamName {
    /// `feedback`, in the configured account and Region.
    Name(String),
    /// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
    Arn(String),
}

impl StreamName {
    /// Reads a name or an ARN.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a sentence that can follow a colon.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "the stream is missing; it looks like kinesis:NAME or kinesis:ARN".to_owned()
            );
        }
        let Some(rest) = text.strip_prefix("arn:") else {
            check_name(text)?;
            return Ok(Self::Name(text.to_owned()));
        };
        let parts: Vec<&str> = rest.splitn(5, ':').collect();
        match parts.as_slice() {
            [_, "kinesis", region, account, resource]
                if !region.is_empty() && !account.is_empty() =>
            {
                let name = resource.strip_prefix("stream/").unwrap_or_default();
                check_name(name)?;
                Ok(Self::Arn(text.to_owned()))
            }
            _ => Err(
                "the ARN of a stream looks like arn:aws:kinesis:eu-west-1:123456789012:stream/NAME"
                    .to_owned(),
            ),
        }
    }

    fn region(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Arn(arn) => arn.split(':').nth(3),
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Arn(_) => None,
        }
    }

    fn arn(&self) -> Option<String> {
        match self {
            Self::Name(_) => None,
            Self::Arn(arn) => Some(arn.clone()),
        }
    }
}

/// Kinesis API reference, `CreateStream`: 1 to 128 of these.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > 128 || !name.bytes().all(fits) {
        return Err(
            "the name of a stream has 1 to 128 letters, digits, dots, hyphens and underscores"
                .to_owned(),
        );
    }
    Ok(())
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(text) | Self::Arn(text) => f.write_str(text),
        }
    }
}

/// One stream of the real Kinesis, or of what an endpoint stands in for it.
#[derive(Clone, Debug)]
pub struct Kinesis {
    client: Client,
    stream: StreamName,
}

impl Kinesis {
    /// Reads the SDK's configuration. Sends no request: whether the stream is there shows at the first.
    pub async fn open(stream: &StreamName) -> Self {
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
        Self { client: Client::new(&loader.load().await), stream: stream.clone() }
    }

    async fn arn(&self) -> Result<String, ApiError> {
        match self.stream.arn() {
            Some(arn) => Ok(arn),
            None => Ok(self.describe().await?.identity.arn),
        }
    }
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

fn not_understood(action: &'static str, reason: &str) -> ApiError {
    let reason = format!("the answer is not understood: {reason}");
    ApiError { kind: ApiErrorKind::Invalid, action, reason }
}

/// What an error of the SDK means. The codes are those of the Kinesis API reference, "Errors" of each
/// action, and "Common Errors".
fn api_error<E, R>(action: &'static str, error: &SdkError<E, R>) -> ApiError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    let error_of = |kind, reason: &str| ApiError { kind, action, reason: reason.to_owned() };
    let service = match error {
        SdkError::ServiceError(service) => service.err(),
        SdkError::TimeoutError(_) => {
            return error_of(ApiErrorKind::Unreachable, "no answer in time");
        }
        other => {
            let kind = without_answer(other);
            return match kind {
                NoAnswer::Credentials(reason) => error_of(ApiErrorKind::CredentialsRefused, reason),
                NoAnswer::Unreachable => error_of(
                    ApiErrorKind::Unreachable,
                    "Kinesis cannot be reached (network, or AWS_ENDPOINT_URL)",
                ),
                NoAnswer::UnknownHost => error_of(
                    ApiErrorKind::UnknownHost,
                    "the host of Kinesis is not known (AWS_REGION, AWS_ENDPOINT_URL, or no network)",
                ),
                NoAnswer::Construction(reason) => error_of(ApiErrorKind::Invalid, &reason),
                NoAnswer::Answer(reason) => error_of(ApiErrorKind::Unavailable, &reason),
            };
        }
    };
    let message: String = service.message().unwrap_or_default().chars().take(300).collect();
    let (kind, sentence) = meaning(service.code().unwrap_or_default(), &message);
    match sentence {
        Some(sentence) => error_of(kind, sentence),
        None if message.is_empty() => error_of(kind, service.code().unwrap_or("no reason given")),
        None => error_of(kind, &message),
    }
}

/// What an error code means, and how to say it if Kinesis's own words are not enough.
fn meaning(code: &str, message: &str) -> (ApiErrorKind, Option<&'static str>) {
    let lower = message.to_ascii_lowercase();
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded" => (ApiErrorKind::Throttled, None),
        "ExpiredIteratorException" | "ExpiredNextTokenException" => {
            (ApiErrorKind::IteratorExpired, None)
        }
        "ResourceNotFoundException" => (ApiErrorKind::NotFound, None),
        "ResourceInUseException" => (ApiErrorKind::InUse, None),
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => {
            (ApiErrorKind::CredentialsExpired, Some("the AWS credentials have expired"))
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => {
            (ApiErrorKind::CredentialsRefused, Some("the AWS credentials are not valid"))
        }
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => (
            ApiErrorKind::AccessDenied,
            Some("access is denied: the identity lacks this permission"),
        ),
        "KMSAccessDeniedException" => (
            ApiErrorKind::KeyDenied,
            Some("the KMS key of the stream may not be used: the identity lacks kms:Decrypt"),
        ),
        "KMSDisabledException" => {
            (ApiErrorKind::KeyDenied, Some("the KMS key of the stream is disabled"))
        }
        "KMSInvalidStateException" => {
            (ApiErrorKind::KeyDenied, Some("the KMS key of the stream is not in a usable state"))
        }
        "KMSNotFoundException" => {
            (ApiErrorKind::KeyDenied, Some("the KMS key of the stream does not exist"))
        }
        "KMSOptInRequired" => {
            (ApiErrorKind::KeyDenied, Some("the account may not use the KMS key of the stream"))
        }
        "InvalidArgumentException" | "ValidationException" if lower.contains("trim") => {
            (ApiErrorKind::Trimmed, None)
        }
        "InvalidArgumentException" | "ValidationException"
            if lower.contains("timestamp")
                && (lower.contains("greater than") || lower.contains("future")) =>
        {
            (ApiErrorKind::InFuture, None)
        }
        "InvalidArgumentException" | "ValidationException" => (ApiErrorKind::Invalid, None),
        // InternalFailure, ServiceUnavailable, whatever is new: most of what a service cannot do now it
        // can do later.
        _ => (ApiErrorKind::Unavailable, None),
    }
}

/// Why there is no answer of the service.
enum NoAnswer {
    Credentials(&'static str),
    Unreachable,
    UnknownHost,
    Construction(String),
    Answer(String),
}

fn without_answer<E, R>(error: &SdkError<E, R>) -> NoAnswer
where
    E: Error + 'static,
    R: std::fmt::Debug,
{
    let mut cause: Option<&(dyn Error + 'static)> = match error {
        SdkError::ConstructionFailure(_)
        | SdkError::DispatchFailure(_)
        | SdkError::ResponseError(_) => Error::source(error),
        _ => None,
    };
    let mut words = String::new();
    while let Some(current) = cause {
        if let Some(credentials) = current.downcast_ref::<CredentialsError>() {
            return NoAnswer::Credentials(match credentials {
                CredentialsError::CredentialsNotLoaded(_) => {
                    "no AWS credentials were found (environment, profile, web identity, metadata service)"
                }
                _ => "AWS credentials could not be loaded: the provider failed or timed out",
            });
        }
        words = current.to_string();
        if words.contains("dns error") || words.contains("failed to lookup address") {
            return NoAnswer::UnknownHost;
        }
        cause = current.source();
    }
    let words: String = words.lines().next().unwrap_or_default().chars().take(300).collect();
    match error {
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
            NoAnswer::Unreachable
        }
        SdkError::ConstructionFailure(_) => NoAnswer::Construction(words),
        SdkError::DispatchFailure(_) => NoAnswer::Unreachable,
        _ => NoAnswer::Answer(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_by_name_or_arn() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/feed.back-1";
        assert_eq!(StreamName::parse("feed_back"), Ok(StreamName::Name("feed_back".to_owned())));
        let parsed = StreamName::parse(arn).expect("an ARN");
        assert_eq!(parsed.region(), Some("eu-west-1"));
        for wrong in [
            "",
            "feed back",
            "feed/back",
            "arn:aws:sns:eu-west-1:123456789012:topic",
            "arn:aws:kinesis:eu-west-1:123456789012:stream/",
            "arn:aws:kinesis::123456789012:stream/x",
            &"x".repeat(129),
        ] {
            StreamName::parse(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn error_codes_say_what_to_do() {
        let cases = [
            ("ProvisionedThroughputExceededException", "", ApiErrorKind::Throttled),
            ("ExpiredIteratorException", "", ApiErrorKind::IteratorExpired),
            ("ExpiredTokenException", "", ApiErrorKind::CredentialsExpired),
            ("UnrecognizedClientException", "", ApiErrorKind::CredentialsRefused),
            ("KMSAccessDeniedException", "", ApiErrorKind::KeyDenied),
            ("ResourceNotFoundException", "", ApiErrorKind::NotFound),
            (
                "InvalidArgumentException",
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis.",
                ApiErrorKind::InFuture,
            ),
            (
                "InvalidArgumentException",
                "StartingSequenceNumber is invalid",
                ApiErrorKind::Invalid,
            ),
            ("InternalFailure", "", ApiErrorKind::Unavailable),
            ("SomethingNew", "", ApiErrorKind::Unavailable),
        ];
        for (code, message, kind) in cases {
            assert_eq!(meaning(code, message).0, kind, "{code}");
        }
    }
}
