//! Opens the store that a location names: a path, `file://` or `s3://`.
//!
//! Everything under one lake, and every `s3://` source, goes through the store that is built here, so
//! that credentials, Region and endpoint come from one place: the chain of the AWS SDK
//! (`AWS_PROFILE`, web identity, container and instance metadata …), with `AWS_ENDPOINT_URL_S3` and
//! `AWS_ENDPOINT_URL` obeyed. Invariant: no secret, and nothing that a request was signed with,
//! reaches an error message.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential, S3ConditionalPut};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{CredentialProvider, ObjectStore};
use url::Url;

use crate::causes::in_one_line;
use crate::durable::DurableFiles;

/// A place in a store: the store is rooted at the bucket or at the file system's root, so that one
/// store can serve several places.
#[derive(Clone, Debug)]
pub struct StoreLocation {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The place within it; empty for the root of a bucket.
    pub prefix: Path,
    /// The place as a URL that ends in a slash: `file:///…/`, `s3://bucket/prefix/`, `memory:///…/`.
    pub url: Url,
}

/// Why a location could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// The text is no location.
    #[error("{location} is not a location: {reason}")]
    Invalid {
        /// The text, as given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The surroundings do not say enough to reach S3.
    #[error("{location} cannot be reached: {reason}")]
    Unconfigured {
        /// The text, as given.
        location: String,
        /// What is missing and where it is looked for.
        reason: String,
    },
}

/// Opens a location: a path (relative to the working directory), `file://…`, `s3://bucket/prefix`, or
/// `memory:///name` (a new, empty store at every call, for trying things out).
///
/// Opening sends no request to S3: whether the bucket is there and lets us in shows at the first use.
///
/// # Errors
///
/// [`LocationError::Invalid`] if the text is none of these, [`LocationError::Unconfigured`] if no
/// Region is configured.
pub async fn open_store(location: &str) -> Result<StoreLocation, LocationError> {
    let invalid = |reason: &str| LocationError::Invalid {
        location: location.to_owned(),
        reason: reason.to_owned(),
    };
    if location.is_empty() {
        return Err(invalid("it is empty"));
    }
    let Some((scheme, _)) = location.split_once("://") else {
        return open_path(location, PathBuf::from(location));
    };
    let url = Url::parse(location).map_err(|error| invalid(&error.to_string()))?;
    match scheme {
        "file" => {
            let path = url.to_file_path().map_err(|()| invalid("it is not a path"))?;
            open_path(location, path)
        }
        "s3" | "s3a" => open_s3(location, &url).await.map(|(place, _)| place),
        "memory" => {
            let prefix =
                Path::from_url_path(url.path()).map_err(|error| invalid(&error.to_string()))?;
            let url = folder_url("memory:///", &prefix).map_err(|error| invalid(&error))?;
            Ok(StoreLocation { store: Arc::new(InMemory::new()), prefix, url })
        }
        _ => Err(invalid("it has to be a path, file://… or s3://bucket/prefix")),
    }
}

fn open_path(location: &str, path: PathBuf) -> Result<StoreLocation, LocationError> {
    let invalid = |reason: String| LocationError::Invalid { location: location.to_owned(), reason };
    let absolute = std::path::absolute(path).map_err(|error| invalid(error.to_string()))?;
    let absolute = without_parent_steps(&absolute);
    let prefix = Path::from_absolute_path(&absolute).map_err(|error| invalid(error.to_string()))?;
    let url = Url::from_directory_path(&absolute)
        .map_err(|()| invalid("it is not an absolute path".to_owned()))?;
    Ok(StoreLocation { store: Arc::new(DurableFiles::default()), prefix, url })
}

/// Resolves `..` by name, as a URL would: the store refuses paths with such steps.
fn without_parent_steps(path: &std::path::Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        if component == std::path::Component::ParentDir {
            resolved.pop();
        } else {
            resolved.push(component);
        }
    }
    resolved
}

/// Opens an `s3://bucket/prefix` with a configuration that was loaded elsewhere: another Region or role
/// than the surroundings name.
///
/// # Errors
///
/// [`LocationError::Invalid`] if the text is no `s3://` location, [`LocationError::Unconfigured`] if the
/// configuration names no Region.
pub fn open_bucket(location: &str, config: &SdkConfig) -> Result<StoreLocation, LocationError> {
    let url = Url::parse(location).map_err(|error| LocationError::Invalid {
        location: location.to_owned(),
        reason: error.to_string(),
    })?;
    open_s3_as(location, &url, config).map(|(place, _)| place)
}

/// Opens a bucket as a place to read from, and as one that gives its keys page by page.
///
/// # Errors
/// As [`open_store`], and for a place that is no bucket.
pub(crate) async fn open_paged(
    location: &str,
) -> Result<(StoreLocation, Arc<AmazonS3>), LocationError> {
    let url = Url::parse(location).map_err(|error| LocationError::Invalid {
        location: location.to_owned(),
        reason: error.to_string(),
    })?;
    open_s3(location, &url).await
}

async fn open_s3(
    location: &str,
    url: &Url,
) -> Result<(StoreLocation, Arc<AmazonS3>), LocationError> {
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    open_s3_as(location, url, &config)
}

fn open_s3_as(
    location: &str,
    url: &Url,
    config: &SdkConfig,
) -> Result<(StoreLocation, Arc<AmazonS3>), LocationError> {
    let invalid = |reason: String| LocationError::Invalid { location: location.to_owned(), reason };
    let bucket = url
        .host_str()
        .filter(|bucket| !bucket.is_empty())
        .ok_or_else(|| invalid("it names no bucket".to_owned()))?;
    let prefix = Path::from_url_path(url.path()).map_err(|error| invalid(error.to_string()))?;

    let endpoint = s3_endpoint(config);
    let region = match (config.region(), &endpoint) {
        (Some(region), _) => region.to_string(),
        // An endpoint of one's own usually takes any Region; us-east-1 is what they default to.
        (None, Some(_)) => "us-east-1".to_owned(),
        (None, None) => {
            return Err(LocationError::Unconfigured {
                location: location.to_owned(),
                reason: "no AWS Region is configured (AWS_REGION, or region in the profile)"
                    .to_owned(),
            });
        }
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_credentials(Arc::new(ChainCredentials { provider: config.credentials_provider() }))
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    if let Some(endpoint) = endpoint {
        let plain = endpoint.starts_with("http://");
        builder = builder
            .with_endpoint(endpoint.trim_end_matches('/'))
            .with_allow_http(plain)
            .with_virtual_hosted_style_request(false);
    }
    let store = builder.build().map_err(|error| LocationError::Unconfigured {
        location: location.to_owned(),
        reason: error.to_string(),
    })?;
    let url = folder_url(&format!("s3://{bucket}/"), &prefix).map_err(invalid)?;
    let store = Arc::new(store);
    let shared: Arc<dyn ObjectStore> = Arc::<AmazonS3>::clone(&store);
    Ok((StoreLocation { store: shared, prefix, url }, store))
}

/// The endpoint that the environment or the profile asks for. The SDK resolves the general one; the
/// one of a single service is resolved by that service's own client, which is not in play here.
fn s3_endpoint(config: &SdkConfig) -> Option<String> {
    let ignored = std::env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    if ignored.is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    std::env::var("AWS_ENDPOINT_URL_S3")
        .ok()
        .filter(|endpoint| !endpoint.is_empty())
        .or_else(|| config.endpoint_url().map(str::to_owned))
}

fn folder_url(root: &str, prefix: &Path) -> Result<Url, String> {
    let mut url = Url::parse(root).map_err(|error| error.to_string())?;
    {
        let mut segments =
            url.path_segments_mut().map_err(|()| "it cannot hold a path".to_owned())?;
        segments.clear();
        for part in prefix.parts() {
            segments.push(part.as_ref());
        }
        segments.push("");
    }
    Ok(url)
}

/// The AWS SDK's credentials as the object store asks for them: before every request, the SDK caches.
#[derive(Debug)]
struct ChainCredentials {
    provider: Option<SharedCredentialsProvider>,
}

/// Why there are no credentials. Says nothing of what a provider answered beyond its kind.
#[derive(Debug, thiserror::Error)]
enum NoCredentials {
    #[error("no AWS credentials were found (environment, profile, web identity, metadata service)")]
    NotFound,
    #[error("AWS credentials could not be loaded: the provider failed or timed out")]
    Failed,
}

#[async_trait]
impl CredentialProvider for ChainCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let refused = |reason: NoCredentials| object_store::Error::Unauthenticated {
            path: String::new(),
            source: Box::new(reason),
        };
        let Some(provider) = &self.provider else {
            return Err(refused(NoCredentials::NotFound));
        };
        let credentials = provider.provide_credentials().await.map_err(|error| {
            use aws_credential_types::provider::error::CredentialsError;
            match error {
                CredentialsError::CredentialsNotLoaded(_) => refused(NoCredentials::NotFound),
                _ => refused(NoCredentials::Failed),
            }
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        }))
    }
}

/// What a store's error means, as one sentence without a full stop and without secrets.
///
/// S3's answers reach us as text inside the error; the codes looked for are those of the S3 API
/// reference, "Error responses".
#[must_use]
pub fn explain(error: &object_store::Error) -> String {
    let text = in_one_line(error);
    if text.contains("NoSuchBucket") {
        return "the bucket does not exist".to_owned();
    }
    if text.contains("InvalidAccessKeyId") || text.contains("SignatureDoesNotMatch") {
        return "the AWS credentials are not valid".to_owned();
    }
    if text.contains("ExpiredToken") {
        return "the AWS credentials have expired".to_owned();
    }
    if text.contains("PermanentRedirect")
        || text.contains("AuthorizationHeaderMalformed")
        || text.contains("incorrectly configured region")
    {
        return "the bucket is in another AWS Region (set AWS_REGION)".to_owned();
    }
    if let object_store::Error::Unauthenticated { source, .. } = error {
        return match source.downcast_ref::<NoCredentials>() {
            Some(reason) => reason.to_string(),
            None => "the AWS credentials were refused".to_owned(),
        };
    }
    if text.contains("no AWS credentials were found") {
        return NoCredentials::NotFound.to_string();
    }
    if text.contains("AWS credentials could not be loaded") {
        return NoCredentials::Failed.to_string();
    }
    if matches!(error, object_store::Error::PermissionDenied { .. })
        || text.contains("AccessDenied")
        || text.contains("Permission denied")
    {
        return "access is denied".to_owned();
    }
    if text.contains("tcp connect error") || text.contains("dns error") {
        return "the service cannot be reached (network, or AWS_ENDPOINT_URL)".to_owned();
    }
    if is_storage_full(error) {
        return "there is no space left".to_owned();
    }
    if matches!(error, object_store::Error::NotFound { .. }) {
        return "it does not exist".to_owned();
    }
    first_line(&text)
}

/// Whether the error says that the device or the quota is full.
pub(crate) fn is_storage_full(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            let kind = io.kind();
            if kind == std::io::ErrorKind::StorageFull || kind == std::io::ErrorKind::QuotaExceeded
            {
                return true;
            }
        }
        cause = current.source();
    }
    let text = in_one_line(error);
    text.contains("No space left on device") || text.contains("QuotaExceeded")
}

/// Answers of S3 are whole XML documents; the first line is enough, and enough is 300 characters.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(300).collect()
}
