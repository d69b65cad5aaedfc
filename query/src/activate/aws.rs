//! Reaches AWS in one account and Region: the SDK's usual chain of credentials, under another role if
//! the configuration names one.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

/// Name under which assumed roles appear in CloudTrail.
const SESSION_NAME: &str = "hearback";
/// A request that has no answer after this long is tried again by whoever made it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An account and Region to act in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// AWS Region, such as `eu-west-1`; None for the one that the surroundings name.
    pub region: Option<String>,
    /// Role to assume for every request; None to act as whoever runs the program.
    pub role_arn: Option<String>,
}

/// The configuration to make clients for a place from. Endpoints come from `AWS_ENDPOINT_URL` and
/// `AWS_ENDPOINT_URL_<SERVICE>`, as with any AWS tool.
///
/// The SDK makes no attempt beyond the first: callers pace and retry themselves, because a retry is a
/// request that counts towards the API's rate (see [`super::pace`]).
///
/// # Errors
///
/// A sentence if no Region is named anywhere.
pub async fn connect(place: &Place) -> Result<SdkConfig, String> {
    let base = loader(place.region.as_deref()).load().await;
    if base.region().is_none() {
        return Err("no AWS Region is configured; name one as region, in AWS_REGION, or in the \
                    profile of AWS_PROFILE"
            .to_owned());
    }
    let Some(role) = &place.role_arn else { return Ok(base) };
    let assumed =
        AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&base).build().await;
    Ok(loader(base.region().map(AsRef::as_ref)).credentials_provider(assumed).load().await)
}

/// Why a service gave no answer, in words; None if it gave one. The client's own words are a tree of causes,
/// and what is signed stands in some of them.
pub(crate) fn no_answer<E>(error: &SdkError<E, HttpResponse>) -> Option<&'static str> {
    Some(match error {
        SdkError::ServiceError(_) => return None,
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::ConstructionFailure(_) => "the request cannot be made",
        SdkError::DispatchFailure(cause) if cause.is_user() || cause.is_other() => {
            "no AWS credentials, or they could not be loaded (environment, profile, web identity, metadata service)"
        }
        SdkError::DispatchFailure(_) => "no connection (network, Region, or AWS_ENDPOINT_URL)",
        _ => "the answer is not understood",
    })
}

fn loader(region: Option<&str>) -> aws_config::ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(REQUEST_TIMEOUT)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    match region {
        Some(region) => loader.region(Region::new(region.to_owned())),
        None => loader,
    }
}
