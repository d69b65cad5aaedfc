//! Upload jobs: a CSV behind a signed URL, encrypted with the job's own key, and what became of it.
//!
//! A job says how many records failed, not which; then all of it counts as failed and comes again.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_customerprofiles::types::UploadJobStatus;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::Value;

use super::{Domain, ID, State, field_of, profile_key, targets};
use crate::activate::segments::change::Change;
use crate::activate::segments::destination::{Delivered, DestinationError, Run};

/// How often a job is asked after.
pub(super) const POLL_EVERY: Duration = Duration::from_secs(10);
/// Two hours; a job that takes longer is taken to hang.
const POLLS: u32 = 720;
/// Attributes that an upload can map, the key and the membership included.
const COLUMNS: usize = 25;

impl Domain {
    /// Sends states by an upload job.
    pub(super) async fn upload(
        &self,
        run: &Run,
        states: &[(&Change, State)],
    ) -> Result<Vec<Delivered>, DestinationError> {
        let columns: Vec<(String, String)> =
            targets(run).into_iter().filter(|(name, _)| name != ID).collect();
        let csv = self.csv(&columns, states)?;
        let mut fields = HashMap::new();
        for (name, target) in &columns {
            fields.insert(name.clone(), field_of(name, target.clone()));
        }
        let (_, unique) = profile_key(run);
        let expiry = i32::try_from(self.spec.expiry_days).unwrap_or(i32::MAX);
        let name: String = format!("{}-{}", run.segment, run.plan_id);
        let domain = &self.spec.domain;
        let job = self
            .caller
            .call(|| {
                self.client
                    .create_upload_job()
                    .domain_name(domain)
                    .display_name(&name)
                    .set_fields(Some(fields.clone()))
                    .unique_key(unique)
                    .data_expiry(expiry)
                    .send()
            })
            .await?
            .map_err(|error| self.caller.refused(format!("CreateUploadJob: {}", error.reason())))?;
        let id = job.job_id;
        let path = self
            .caller
            .call(|| self.client.get_upload_job_path().domain_name(domain).job_id(&id).send())
            .await?
            .map_err(|error| {
                self.caller.refused(format!("GetUploadJobPath: {}", error.reason()))
            })?;
        self.lay(&path.url, path.client_token.as_deref().unwrap_or_default(), csv).await?;
        self.caller
            .call(|| self.client.start_upload_job().domain_name(domain).job_id(&id).send())
            .await?
            .map_err(|error| self.caller.refused(format!("StartUploadJob: {}", error.reason())))?;
        for _ in 0..POLLS {
            let job = self
                .caller
                .call(|| self.client.get_upload_job().domain_name(domain).job_id(&id).send())
                .await?
                .map_err(|error| {
                    self.caller.refused(format!("GetUploadJob: {}", error.reason()))
                })?;
            let reason = job.status_reason().map_or_else(String::new, ToString::to_string);
            let failed = job
                .results_summary()
                .and_then(aws_sdk_customerprofiles::types::ResultsSummary::failed_records);
            match job.status() {
                Some(UploadJobStatus::Succeeded) if failed.unwrap_or(0) == 0 => {
                    return Ok(vec![Delivered::done(Some(id)); states.len()]);
                }
                Some(UploadJobStatus::Succeeded | UploadJobStatus::PartiallySucceeded) => {
                    let reason = format!(
                        "{} of {} records of the upload failed, and it is not told which",
                        failed.unwrap_or(0),
                        states.len()
                    );
                    return Ok(vec![Delivered::failed(reason, Some(id)); states.len()]);
                }
                Some(UploadJobStatus::Failed | UploadJobStatus::Stopped) => {
                    return Err(self
                        .caller
                        .refused(format!("the upload job {id} failed: {reason}")));
                }
                _ => tokio::time::sleep(self.poll_every).await,
            }
        }
        Err(DestinationError::Unavailable {
            destination: self.caller.identity.clone(),
            reason: format!("the upload job {id} does not end"),
        })
    }

    fn csv(
        &self,
        columns: &[(String, String)],
        states: &[(&Change, State)],
    ) -> Result<Vec<u8>, DestinationError> {
        if columns.len() > COLUMNS {
            return Err(self.caller.refused(format!(
                "an upload takes {COLUMNS} columns, and the segment has {}: name fewer attributes",
                columns.len()
            )));
        }
        let broken = |error: csv::Error| self.caller.refused(error.to_string());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns.iter().map(|(name, _)| name)).map_err(broken)?;
        for (_, state) in states {
            let record = columns.iter().map(|(name, _)| match state.get(name) {
                Some(Value::String(text)) => text.as_str(),
                _ => "",
            });
            writer.write_record(record).map_err(broken)?;
        }
        writer.into_inner().map_err(|error| self.caller.refused(error.to_string()))
    }

    /// Lays the file behind the signed URL, encrypted with the job's key (SSE-C).
    async fn lay(&self, url: &str, token: &str, csv: Vec<u8>) -> Result<(), DestinationError> {
        let key = STANDARD.decode(token).unwrap_or_else(|_| token.as_bytes().to_vec());
        let digest = STANDARD.encode(Md5::digest(&key));
        let response = self
            .http
            .put(url)
            .header("x-amz-server-side-encryption-customer-algorithm", "AES256")
            .header("x-amz-server-side-encryption-customer-key", token)
            .header("x-amz-server-side-encryption-customer-key-MD5", digest)
            .body(csv)
            .send()
            .await;
        let unavailable = |reason: String| DestinationError::Unavailable {
            destination: self.caller.identity.clone(),
            reason,
        };
        match response {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(unavailable(format!(
                "the upload was refused: HTTP {}",
                response.status().as_u16()
            ))),
            // The URL is signed: it must not be shown.
            Err(error) => Err(unavailable(error.without_url().to_string())),
        }
    }
}
