//! What an AWS service's error means: try again, or never.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::attempts::Tried;
use super::{Attempts, DestinationError, without_addresses};
use crate::activate::aws::no_answer;
use crate::activate::pace::Pace;

/// Codes that mean "later" whatever the status they come with.
const LATER: [&str; 8] = [
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "ConcurrentModificationException",
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalServerException",
    "ServiceUnavailable",
];

/// An error of an AWS service, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AwsError {
    /// HTTP status; None if there was no answer.
    pub(super) status: Option<u16>,
    /// The service's name for it.
    pub(super) code: String,
    /// What it says, without addresses.
    pub(super) message: String,
}

impl AwsError {
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (code, message) = match error {
            SdkError::ServiceError(service) => {
                let metadata = service.err().meta();
                match metadata.code() {
                    Some(code) => (code, metadata.message().unwrap_or_default()),
                    // A success that the client cannot read, or a failure that is no error of AWS's.
                    None => ("not understood", "the answer is not one of this service"),
                }
            }
            other => (kind(other), no_answer(other).unwrap_or_default()),
        };
        Self { status, code: code.to_owned(), message: without_addresses(message) }
    }

    /// Whether another try may help.
    pub(super) fn is_busy(&self) -> bool {
        let status = self.status.unwrap_or(0);
        status == 429
            || status >= 500
            || (self.status.is_none() && self.code == "no answer")
            || self.code == "bad answer"
            || LATER.contains(&self.code.as_str())
    }

    /// Whether the thing asked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        self.status == Some(404)
            || matches!(self.code.as_str(), "NotFoundException" | "ResourceNotFoundException")
    }

    /// One sentence.
    pub(super) fn reason(&self) -> String {
        if self.message.is_empty() {
            return self.code.clone();
        }
        format!("{}: {}", self.code, self.message)
    }
}

/// Our name for a failure without an answer of the service.
fn kind<E>(error: &SdkError<E, HttpResponse>) -> &'static str {
    match error {
        SdkError::TimeoutError(_) => "no answer",
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
            "no answer"
        }
        SdkError::ResponseError(_) => "bad answer",
        _ => "not sent",
    }
}

/// Makes requests to one service, each at its turn, again while the service is busy.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Identity of the destination, for errors.
    pub(super) identity: String,
    pub(super) pace: Pace,
    pub(super) attempts: Attempts,
}

impl Caller {
    /// Makes a request. The inner result is what the service says for good.
    pub(super) async fn call<T, E, F>(
        &self,
        mut request: impl FnMut() -> F,
    ) -> Result<Result<T, AwsError>, DestinationError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        self.attempts
            .make(&self.identity, &self.pace, || {
                let answer = request();
                async move {
                    match answer.await {
                        Ok(answer) => Tried::Answered(Ok(answer)),
                        Err(error) => {
                            let error = AwsError::of(&error);
                            if error.is_busy() {
                                return Tried::Busy { reason: error.reason(), after: None };
                            }
                            Tried::Answered(Err(error))
                        }
                    }
                }
            })
            .await
    }

    /// The service refuses.
    pub(super) fn refused(&self, reason: impl Into<String>) -> DestinationError {
        DestinationError::Refused { destination: self.identity.clone(), reason: reason.into() }
    }

    /// What should be there is not: drift if it was there before, a wrong configuration otherwise.
    pub(super) fn missing(&self, was_there: bool, reason: impl Into<String>) -> DestinationError {
        let (destination, reason) = (self.identity.clone(), reason.into());
        if was_there {
            return DestinationError::Drifted { destination, reason };
        }
        DestinationError::Refused { destination, reason }
    }
}
