//! SES's import jobs: a file in S3, a job, polls, and the file of what failed.
//!
//! File: CSV without a header, `address,REASON` to put and `address` to delete ("Adding and removing email
//! addresses in bulk", Amazon SES developer guide). A job that says COMPLETED may have failed for some of
//! its addresses, so that is read before anything counts as done. Invariant: an address counts as done
//! only if a finished job did not fail for it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_sdk_sesv2::types::{
    DataFormat, ImportDataSource, ImportDestination, JobStatus, SuppressionListDestination,
    SuppressionListImportAction,
};
use hearback_ingest::CancelFlag;
use hearback_ingest::aws::open_bucket;
use object_store::{ObjectStoreExt, PutPayload};
use tokio::time::Instant;

use super::change::Action;
use super::connection::{CallError, Connection};
use super::list::{Reason, identity};
use super::plan::Item;

/// Addresses of one import file (quotas of Amazon SES).
pub(super) const PUTS_OF_A_JOB: usize = 100_000;
/// Addresses of one import file that deletes (quotas of Amazon SES).
pub(super) const DELETES_OF_A_JOB: usize = 10_000;
const FIRST_POLL: Duration = Duration::from_secs(2);
const LONGEST_POLL: Duration = Duration::from_secs(30);
/// A file of failures is read up to this size: 100,000 addresses with reasons.
const FAILURES_READ: usize = 64 << 20;

/// What a finished job says.
#[derive(Debug, Default)]
pub(super) struct Finished {
    /// Addresses that failed, with why.
    pub(super) failed: BTreeMap<String, String>,
    /// Whether more failed than can be told by name: nothing else is known to be done then.
    pub(super) unresolved: bool,
}

/// The name of the import file of these changes. Whoever applies the rest of a plan again finds the job
/// that was begun for the same rest, and never one for other addresses.
pub(super) fn object_name(plan_id: &str, action: Action, items: &[&Item]) -> String {
    let addresses: Vec<&str> = items.iter().map(|item| item.address.as_str()).collect();
    format!("{plan_id}-{}-{}.csv", action.as_str(), identity(&addresses))
}

/// Uploads the file and starts the job; gives back its id.
pub(super) async fn start(
    connection: &Connection,
    action: Action,
    items: &[&Item],
    object: &str,
) -> Result<String, CallError> {
    let (store, path, url) = place(connection, object)?;
    let body = PutPayload::from(file(action, items)?);
    store.put(&path, body).await.map_err(|error| {
        CallError::Denied(format!("cannot write the import file {url}: {}", storage(&error)))
    })?;
    let import = match action {
        Action::Add => SuppressionListImportAction::Put,
        _ => SuppressionListImportAction::Delete,
    };
    let invalid = |error: aws_sdk_sesv2::error::BuildError| CallError::Refused(error.to_string());
    let list = SuppressionListDestination::builder()
        .suppression_list_import_action(import)
        .build()
        .map_err(invalid)?;
    let source = ImportDataSource::builder()
        .s3_url(&url)
        .data_format(DataFormat::Csv)
        .build()
        .map_err(invalid)?;
    let destination = ImportDestination::builder().suppression_list_destination(list).build();
    let answer = connection
        .call("CreateImportJob", || {
            connection
                .client
                .create_import_job()
                .import_destination(destination.clone())
                .import_data_source(source.clone())
                .send()
        })
        .await?;
    answer.job_id.ok_or_else(|| CallError::Unavailable("CreateImportJob gave no job id".to_owned()))
}

/// Waits for a job, reads what failed, and takes the file away again.
pub(super) async fn finish(
    connection: &Connection,
    job: &str,
    object: &str,
    items: &[&Item],
    cancel: &CancelFlag,
) -> Result<Finished, CallError> {
    let begun = Instant::now();
    let mut pause = FIRST_POLL.min(connection.requests.interval * 2);
    loop {
        let answer = connection
            .call("GetImportJob", || connection.client.get_import_job().job_id(job).send())
            .await?;
        let failure = answer.failure_info.as_ref();
        let message = failure.and_then(|info| info.error_message.clone()).unwrap_or_default();
        match answer.job_status {
            Some(JobStatus::Completed) => {
                let failed = answer.failed_records_count.unwrap_or(0);
                let url = failure.and_then(|info| info.failed_records_s3_url.clone());
                let finished = failures(failed, url.as_deref(), &message, items).await;
                if !finished.unresolved {
                    take_away(connection, object).await;
                }
                return Ok(finished);
            }
            Some(JobStatus::Failed | JobStatus::Cancelled) => {
                let why = format!("import job {job} failed: {message}");
                let failed = items.iter().map(|item| (item.address.clone(), why.clone()));
                return Ok(Finished { failed: failed.collect(), unresolved: false });
            }
            _ => {}
        }
        if begun.elapsed() + pause > connection.requests.import_wait {
            return Err(CallError::Unavailable(format!(
                "import job {job} is not finished after {} s; applying again goes on waiting for it",
                begun.elapsed().as_secs()
            )));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => {
                return Err(CallError::Unavailable(format!("it was asked to stop while import job {job} ran; applying again goes on waiting for it")));
            }
        }
        pause = (pause * 2).min(LONGEST_POLL);
    }
}

fn file(action: Action, items: &[&Item]) -> Result<Vec<u8>, CallError> {
    let mut writer =
        csv::WriterBuilder::new().has_headers(false).flexible(true).from_writer(Vec::new());
    for item in items {
        let reason = item.reason.map_or("BOUNCE", Reason::as_str);
        let written = match action {
            Action::Add => writer.write_record([item.address.as_str(), reason]),
            _ => writer.write_record([item.address.as_str()]),
        };
        written.map_err(|error| {
            CallError::Refused(format!("the import file cannot be made: {error}"))
        })?;
    }
    writer
        .into_inner()
        .map_err(|error| CallError::Refused(format!("the import file cannot be made: {error}")))
}

type Place = (std::sync::Arc<dyn object_store::ObjectStore>, object_store::path::Path, String);

fn place(connection: &Connection, object: &str) -> Result<Place, CallError> {
    let Some(prefix) = &connection.import_prefix else {
        return Err(CallError::Denied("no import_prefix is configured for this list".to_owned()));
    };
    let opened = open_bucket(prefix, &connection.sdk)
        .map_err(|error| CallError::Denied(error.to_string()))?;
    let path = opened.prefix.clone().join(object);
    let bucket = opened.url.host_str().unwrap_or_default();
    let url = format!("s3://{bucket}/{path}");
    Ok((opened.store, path, url))
}

/// Takes the import file away: it holds addresses, and nobody needs it any more.
async fn take_away(connection: &Connection, object: &str) {
    let Ok((store, path, url)) = place(connection, object) else { return };
    if let Err(error) = store.delete(&path).await {
        let why = storage(&error);
        tracing::warn!(%url, %why, "the import file stays behind");
    }
}

/// The kind of an object store's error, without what it was about.
fn storage(error: &object_store::Error) -> String {
    let text = error.to_string();
    text.split(['\n', '<']).next().unwrap_or_default().chars().take(300).collect()
}

/// Reads which addresses failed.
async fn failures(count: i32, url: Option<&str>, message: &str, items: &[&Item]) -> Finished {
    if count <= 0 {
        return Finished::default();
    }
    let mut failed = BTreeMap::new();
    if let Some(url) = url
        && let Some(text) = fetch(url).await
    {
        let known: HashSet<&str> = items.iter().map(|item| item.address.as_str()).collect();
        for line in text.lines() {
            if let Some(address) = address_in(line, &known) {
                let why = if message.is_empty() { "refused by the import job" } else { message };
                failed.insert(address.to_owned(), why.to_owned());
            }
        }
    }
    let told = failed.len() >= usize::try_from(count).unwrap_or(usize::MAX);
    Finished { failed, unresolved: !told }
}

/// The pre-signed URL's content; None if it cannot be had.
async fn fetch(url: &str) -> Option<String> {
    let answer = reqwest::get(url).await.ok()?.error_for_status().ok()?;
    if answer.content_length().is_some_and(|length| length > FAILURES_READ as u64) {
        return None;
    }
    let bytes = answer.bytes().await.ok()?;
    (bytes.len() <= FAILURES_READ).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The address of ours that a line names. The format is not documented, so every field of CSV and every
/// text of JSON is tried.
fn address_in<'a>(line: &str, known: &HashSet<&'a str>) -> Option<&'a str> {
    let fields = line.split([',', '"', ';', '\t', ' ', '{', '}', '[', ']']);
    fields.map(str::trim).find_map(|field| known.get(field).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_csv_and_in_json() {
        let known = HashSet::from(["a@example.com", "o'brien+x@example.com"]);
        assert_eq!(address_in("a@example.com,BOUNCE,Invalid", &known), Some("a@example.com"));
        let json = r#"{"emailAddress":"o'brien+x@example.com","reason":"BOUNCE"}"#;
        assert_eq!(address_in(json, &known), Some("o'brien+x@example.com"));
        assert_eq!(address_in("emailAddress,reason", &known), None);
        assert_eq!(address_in("aa@example.com", &known), None);
    }
}
