//! What is used of Amazon Data Firehose, as a trait that a test can stand in for.

use async_trait::async_trait;
use aws_sdk_firehose::Client;
use aws_sdk_firehose::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use bytes::Bytes;

/// A request was refused as a whole, or did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PutError {
    /// Whether trying again later can help without anybody doing anything.
    pub passes: bool,
    /// Why, in one sentence, without secrets.
    pub reason: String,
}

/// Firehose.
#[async_trait]
pub trait FirehoseApi: std::fmt::Debug + Send + Sync {
    /// `PutRecordBatch`: at most 500 records and 4 MiB. For each record, in their order: `None` if it
    /// was taken, or the code of its error.
    ///
    /// # Errors
    /// [`PutError`] if none was taken.
    async fn put_record_batch(
        &self,
        stream: &str,
        records: &[Bytes],
    ) -> Result<Vec<Option<String>>, PutError>;
}

/// Firehose, by AWS's SDK.
#[derive(Clone, Debug)]
pub struct SdkFirehose {
    client: Client,
}

impl SdkFirehose {
    /// A client by the SDK's usual chain of credentials, Region and endpoints.
    pub async fn from_environment() -> Self {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
        Self { client: Client::new(&config) }
    }
}

#[async_trait]
impl FirehoseApi for SdkFirehose {
    async fn put_record_batch(
        &self,
        stream: &str,
        records: &[Bytes],
    ) -> Result<Vec<Option<String>>, PutError> {
        let mut given = Vec::with_capacity(records.len());
        for record in records {
            let record = Record::builder().data(Blob::new(record.to_vec())).build();
            given.push(record.map_err(|error| permanent(error.to_string()))?);
        }
        let request = self.client.put_record_batch().delivery_stream_name(stream);
        let answer = match request.set_records(Some(given)).send().await {
            Ok(answer) => answer,
            Err(error) => return Err(explain(stream, &error)),
        };
        let answers = answer.request_responses().iter();
        Ok(answers.map(|one| one.error_code().map(str::to_owned)).collect())
    }
}

fn permanent(reason: String) -> PutError {
    PutError { passes: false, reason }
}

/// What an error of Firehose means (Firehose API reference, "PutRecordBatch", "Common Errors").
fn explain<E: ProvideErrorMetadata>(
    stream: &str,
    error: &SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
) -> PutError {
    let passing = |reason: String| PutError { passes: true, reason };
    let service = match error {
        SdkError::ServiceError(service) => service.err(),
        SdkError::ConstructionFailure(_) => {
            return permanent(
                "the request to Firehose could not be made (Region and credentials of AWS)".into(),
            );
        }
        SdkError::DispatchFailure(failure) if failure.is_other() => {
            return permanent("no valid AWS credentials were found for Firehose".into());
        }
        _ => {
            return passing(
                "Firehose cannot be reached (network, Region or AWS_ENDPOINT_URL_FIREHOSE)".into(),
            );
        }
    };
    let code = service.code().unwrap_or_default();
    match code {
        "ResourceNotFoundException" => {
            permanent(format!("there is no Firehose {stream} in this account and Region"))
        }
        "ServiceUnavailableException"
        | "ThrottlingException"
        | "Throttling"
        | "LimitExceededException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "RequestTimeout" => {
            passing(format!("Firehose {stream} does not take records now ({code})"))
        }
        "ExpiredTokenException" | "ExpiredToken" => {
            permanent("the AWS credentials have expired".into())
        }
        "AccessDeniedException" | "AccessDenied" => {
            permanent(format!("firehose:PutRecordBatch on {stream} is not allowed"))
        }
        "InvalidKMSResourceException" => {
            permanent(format!("the key that encrypts the Firehose {stream} cannot be used"))
        }
        "" => passing(format!("Firehose {stream} answered something that nobody understands")),
        code => permanent(format!("Firehose {stream} refused the records ({code})")),
    }
}
