//! `[archive]` and `[rejects]` of the configuration: the second place for what is read from a stream.

use std::sync::Arc;

use hearback_ingest::archive::{Archive, FirehoseApi, SdkFirehose};
use hearback_ingest::aws::{StoreLocation, open_store};
use hearback_ingest::lake::Lake;
use hearback_ingest::stream::{ApiError, KinesisApi, Safekeeping};

use super::CliError;
use crate::config::Config;

/// Why there is no archive although the configuration names one.
pub(super) enum NoArchive {
    /// The configuration is wrong.
    Configuration(CliError),
    /// The stream cannot be described.
    Stream(ApiError),
}

/// The archive that the configuration names for a stream; None if it names none.
pub(super) async fn archive(
    config: &Config,
    lake: &Lake,
    kinesis: &dyn KinesisApi,
) -> Result<Option<Arc<dyn Safekeeping>>, NoArchive> {
    let (records, rejects) = (config.text("archive.firehose"), config.text("rejects.firehose"));
    if records.is_empty() && rejects.is_empty() {
        return Ok(None);
    }
    let too_large = too_large(config, lake).await.map_err(NoArchive::Configuration)?;
    let stream = kinesis.describe().await.map_err(NoArchive::Stream)?;
    let api: Arc<dyn FirehoseApi> = Arc::new(SdkFirehose::from_environment().await);
    let mut archive = Archive::of(stream.identity);
    if !records.is_empty() {
        archive = archive.with_records(Arc::clone(&api), records, too_large.clone());
    }
    if !rejects.is_empty() {
        archive = archive.with_rejects(api, rejects, too_large);
    }
    Ok(Some(Arc::new(archive)))
}

/// Where records go that Firehose does not take: as configured, else within the lake, under a name that
/// readers of tables leave alone.
async fn too_large(config: &Config, lake: &Lake) -> Result<StoreLocation, CliError> {
    let given = config.text("archive.s3");
    if given.is_empty() {
        let mut place = lake.place().clone();
        place.prefix = place.prefix.join("_hearback").join("archive");
        return Ok(place);
    }
    open_store(given).await.map_err(|error| {
        CliError::usage("the place for records that are too large cannot be opened")
            .because(error.to_string())
            .hint("archive.s3 looks like s3://acme-mail/archive")
    })
}
