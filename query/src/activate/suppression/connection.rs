//! The way to one list in SES: a client of the right account, Region and role, paced and patient.
//!
//! Invariant: every request to one account and Region, polls and retries included, takes its turn in one
//! shared [`Pace`], because SES counts them together and lets one a second through ("General quotas",
//! Amazon SES developer guide).

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::Instant;
use uuid::Uuid;

use super::list::ListId;
use super::settings::{Requests, Settings, Target};
use crate::activate::aws::{Place, connect, no_answer};
use crate::activate::pace::{Backoff, Pace};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a request did not succeed, by what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The entry is not there.
    #[error("SES answers that it is not there (HTTP 404)")]
    NotFound,
    /// SES does not take this request, now or later.
    #[error("{0}")]
    Refused(String),
    /// Nobody here may do this, or there are no credentials: no request to this list will succeed.
    #[error("{0}")]
    Denied(String),
    /// It went on failing for as long as we are patient.
    #[error("{0}")]
    Unavailable(String),
}

/// A target that cannot be reached.
#[derive(Debug)]
pub struct Unreachable {
    /// The target, as far as it is known.
    pub target: String,
    /// Why.
    pub why: String,
}

/// The way to one list.
pub struct Connection {
    /// The list.
    pub list: ListId,
    /// Where import files go.
    pub import_prefix: Option<String>,
    /// How requests are made.
    pub requests: Requests,
    pub(super) client: Client,
    pub(super) sdk: SdkConfig,
    pace: Pace,
    chance: f64,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("list", &self.list).finish_non_exhaustive()
    }
}

/// Connects to every target. `run` is random; pauses differ by it.
pub async fn connect_all(settings: &Settings, run: Uuid) -> (Vec<Connection>, Vec<Unreachable>) {
    let mut paces: HashMap<(String, String), Pace> = HashMap::new();
    let mut connections: Vec<Connection> = Vec::new();
    let mut unreachable = Vec::new();
    for target in &settings.targets {
        let name = target.region.clone().unwrap_or_else(|| "the current Region".to_owned());
        match reach(target).await {
            Ok((list, sdk)) => {
                if connections.iter().any(|other| other.list == list) {
                    let why = "two targets are the same list".to_owned();
                    unreachable.push(Unreachable { target: list.to_string(), why });
                    continue;
                }
                let place = (list.account.clone(), list.region.clone());
                let pace = paces
                    .entry(place)
                    .or_insert_with(|| Pace::new(settings.requests.interval, 1))
                    .clone();
                connections.push(Connection {
                    list,
                    import_prefix: target.import_prefix.clone(),
                    requests: settings.requests,
                    client: Client::new(&sdk),
                    sdk,
                    pace,
                    chance: (run.as_u128() >> 64) as f64 / u64::MAX as f64,
                });
            }
            Err(why) => unreachable.push(Unreachable { target: name, why }),
        }
    }
    (connections, unreachable)
}

async fn reach(target: &Target) -> Result<(ListId, SdkConfig), String> {
    let place = Place { region: target.region.clone(), role_arn: target.role_arn.clone() };
    let sdk = connect(&place).await?;
    let region = sdk.region().map(ToString::to_string).unwrap_or_default();
    let account = match known_account(target) {
        Some(account) => account,
        None => account_of(&sdk).await?,
    };
    Ok((ListId { account, region, tenant: target.tenant.clone() }, sdk))
}

/// The account of a target, if the configuration tells it: by itself, or in its role.
#[must_use]
pub fn known_account(target: &Target) -> Option<String> {
    let of_role = || target.role_arn.as_deref()?.split(':').nth(4);
    let account = target.account.as_deref().or_else(of_role)?;
    (!account.is_empty()).then(|| account.to_owned())
}

async fn account_of(sdk: &SdkConfig) -> Result<String, String> {
    let client = aws_sdk_sts::Client::new(sdk);
    let answer = client.get_caller_identity().send().await.map_err(|error| {
        let said = || {
            let error = error.as_service_error();
            error.and_then(ProvideErrorMetadata::message).map(without_address).unwrap_or_default()
        };
        let why = no_answer(&error).map_or_else(said, str::to_owned);
        format!("cannot tell which AWS account this is; name it as account in the target ({why})")
    })?;
    answer.account.ok_or_else(|| "AWS does not say which account this is".to_owned())
}

impl Connection {
    /// Makes a request, again while it is throttled or the service is away, each time in turn.
    ///
    /// # Errors
    /// [`CallError`], after `give_up` of failures in a row.
    pub(super) async fn call<T, E, F, Fut>(&self, what: &str, request: F) -> Result<T, CallError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let mut backoff = Backoff::new(FIRST_PAUSE.min(self.requests.interval * 4), LONGEST_PAUSE);
        let begun = Instant::now();
        let mut tries: u32 = 0;
        loop {
            self.pace.turn().await;
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let failure = failure(what, &error);
            tries += 1;
            let Failure::Passing(why) = failure else { return Err(failure.into_error()) };
            let pause = backoff.next((self.chance + f64::from(tries) * 0.618_034).fract());
            if begun.elapsed() + pause > self.requests.give_up {
                return Err(CallError::Unavailable(format!(
                    "{why}, {tries} times in {} s",
                    begun.elapsed().as_secs()
                )));
            }
            tracing::debug!(list = %self.list, what, %why, tries, "a request is tried again");
            self.pace.hold(pause).await;
        }
    }
}

enum Failure {
    Passing(String),
    Final(CallError),
}

impl Failure {
    fn into_error(self) -> CallError {
        match self {
            Self::Passing(why) => CallError::Unavailable(why),
            Self::Final(error) => error,
        }
    }
}

/// Sorts a failure. What SES says is kept to its first sentence; it can repeat the address, so an
/// address in it is left out.
fn failure<E>(what: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = error else {
        let why = no_answer(error).unwrap_or_default();
        let said = format!("{what}: {why}");
        return match error {
            SdkError::ConstructionFailure(_) => Failure::Final(CallError::Refused(said)),
            SdkError::DispatchFailure(cause) if cause.is_user() || cause.is_other() => {
                Failure::Final(CallError::Denied(said))
            }
            _ => Failure::Passing(said),
        };
    };
    let status = service.raw().status().as_u16();
    let code = service.err().code().unwrap_or("");
    let message = service.err().message().map(without_address).unwrap_or_default();
    let said = format!("{what}: {code} {message} (HTTP {status})");
    let throttled = status == 429
        || matches!(
            code,
            "TooManyRequestsException"
                | "ThrottlingException"
                | "Throttling"
                | "LimitExceededException"
        );
    if throttled || status >= 500 {
        return Failure::Passing(said);
    }
    let denied = status == 401
        || status == 403
        || code.starts_with("AccessDenied")
        || matches!(
            code,
            "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "ExpiredTokenException"
                | "SignatureDoesNotMatch"
        );
    if status == 404 || code == "NotFoundException" {
        return Failure::Final(CallError::NotFound);
    }
    Failure::Final(if denied { CallError::Denied(said) } else { CallError::Refused(said) })
}

/// A text without the words that hold an address, and not too long.
fn without_address(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| if word.contains('@') { "…" } else { word })
        .take(60)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_sdk_sesv2::operation::put_suppressed_destination::PutSuppressedDestinationError;
    use aws_sdk_sesv2::types::error::TooManyRequestsException;

    use super::*;

    #[test]
    fn an_account_is_told_by_the_configuration_where_it_can() {
        let target = Target {
            role_arn: Some("arn:aws:iam::222222222222:role/mail".to_owned()),
            ..Target::default()
        };
        assert_eq!(known_account(&target).as_deref(), Some("222222222222"));
        assert_eq!(known_account(&Target::default()), None);
    }

    /// A way to a list that nobody answers on: requests in these tests are made up.
    fn connection() -> Connection {
        let sdk = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .build();
        Connection {
            list: ListId {
                account: "111122223333".to_owned(),
                region: "us-east-1".to_owned(),
                tenant: None,
            },
            import_prefix: None,
            requests: Requests {
                single: 60,
                interval: Duration::from_secs(1),
                give_up: Duration::from_secs(15 * 60),
                import_wait: Duration::from_secs(60),
                full_listing_us: 0,
            },
            client: Client::new(&sdk),
            sdk,
            pace: Pace::new(Duration::from_secs(1), 1),
            chance: 0.7,
        }
    }

    fn throttled() -> SdkError<PutSuppressedDestinationError, HttpResponse> {
        let error = TooManyRequestsException::builder().message("Rate exceeded").build();
        let status = 429_u16.try_into().expect("a status");
        SdkError::service_error(
            PutSuppressedDestinationError::TooManyRequestsException(error),
            HttpResponse::new(status, aws_smithy_types::body::SdkBody::empty()),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn minutes_of_throttling_are_sat_out_with_growing_pauses() {
        let connection = connection();
        let begun = Instant::now();
        let tries = AtomicU32::new(0);
        let answer = connection.call("PutSuppressedDestination", || {
            tries.fetch_add(1, Ordering::Relaxed);
            let over = begun.elapsed() > Duration::from_secs(5 * 60);
            async move { if over { Ok(()) } else { Err(throttled()) } }
        });
        assert_eq!(answer.await, Ok(()));
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(6 * 60), "it is tried again soon: {waited:?}");
        let tries = tries.into_inner();
        assert!((8..60).contains(&tries), "{tries} tries in five minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_that_does_not_end_is_given_up_and_says_so() {
        let connection = connection();
        let begun = Instant::now();
        let answer: Result<(), CallError> =
            connection.call("PutSuppressedDestination", || async { Err(throttled()) }).await;
        let Err(CallError::Unavailable(why)) = answer else { panic!("{answer:?}") };
        assert!(why.contains("PutSuppressedDestination") && why.contains("times"), "{why}");
        let waited = begun.elapsed();
        assert!(waited <= connection.requests.give_up, "{waited:?}");
        assert!(waited > connection.requests.give_up / 2, "{waited:?}");
    }

    #[test]
    fn addresses_stay_out_of_errors() {
        assert_eq!(without_address("no entry for jo@example.com here"), "no entry for … here");
    }
}
