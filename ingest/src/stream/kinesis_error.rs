//! What an error of Kinesis, or of the way to it, means: responsible for the kind that decides what is done
//! next, and for the sentence that is shown. Invariant: no secret reaches an error.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use super::api::{ApiError, ApiErrorKind};

/// An answer that breaks the documented form.
pub(super) fn not_understood(action: &'static str, reason: &str) -> ApiError {
    let reason = format!("the answer is not understood: {reason}");
    ApiError { kind: ApiErrorKind::Invalid, action, reason }
}

/// What an error of the SDK means. The codes are those of the Kinesis API reference, "Errors" of each
/// action, and "Common Errors".
pub(super) fn api_error<E, R>(action: &'static str, error: &SdkError<E, R>) -> ApiError
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
pub(super) fn meaning(code: &str, message: &str) -> (ApiErrorKind, Option<&'static str>) {
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
