//! Puts records into a stream: responsible for requests that Kinesis takes, and for putting again what it
//! did not take. hearback itself writes to no stream but with simulated traffic.
//!
//! Limits (Kinesis API reference, "PutRecords"): 500 records a request; 10 MiB a request and a record,
//! the partition keys included. Each record of a request succeeds or fails by itself. Invariant: a
//! request is not made before the one in front of it was taken whole, so that records are put in the
//! order in which they are given, those of a refused batch apart.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::api::{ApiError, ApiErrorKind};
use super::kinesis::client;
use super::kinesis_error::{api_error, meaning, not_understood};
use super::pace::{Backoff, Jitter};
use super::stream_name::StreamName;

const ACTION: &str = "PutRecords";
const MAX_RECORDS: usize = 500;
/// Bytes of data and keys in one request, half of what is allowed: a request that is cut off costs less.
const MAX_BYTES: usize = 5 << 20;
/// How often in a row a request may fail before it is given up, some two minutes.
const MAX_FAILURES: u32 = 12;

/// A stream that is written to.
#[derive(Debug)]
pub struct StreamWriter {
    client: Client,
    stream: StreamName,
    batch: Vec<PutRecordsRequestEntry>,
    bytes: usize,
    backoff: Backoff,
}

impl StreamWriter {
    /// Reads the SDK's configuration. Sends no request: whether the stream is there shows at the first.
    /// `seed` is where the lengths of pauses come from.
    pub async fn open(stream: &StreamName, seed: u64) -> Self {
        Self {
            client: client(stream).await,
            stream: stream.clone(),
            batch: Vec::new(),
            bytes: 0,
            backoff: Backoff::of_requests(&Jitter::new(seed)),
        }
    }

    /// Takes a record; what is gathered is put when it makes a request.
    ///
    /// # Errors
    ///
    /// Those of [`StreamWriter::flush`].
    pub async fn put(&mut self, partition_key: String, data: Vec<u8>) -> Result<(), ApiError> {
        let size = partition_key.len() + data.len();
        if self.batch.len() == MAX_RECORDS || self.bytes + size > MAX_BYTES {
            self.flush().await?;
        }
        let entry = PutRecordsRequestEntry::builder()
            .partition_key(partition_key)
            .data(Blob::new(data))
            .build()
            .map_err(|error| not_understood(ACTION, &error.to_string()))?;
        self.batch.push(entry);
        self.bytes += size;
        Ok(())
    }

    /// Puts what is gathered, and again what was not taken.
    ///
    /// # Errors
    ///
    /// What Kinesis says if it is nothing that passes, or has not passed for about two minutes. Some of
    /// the records may have been put.
    pub async fn flush(&mut self) -> Result<(), ApiError> {
        self.bytes = 0;
        let mut left = std::mem::take(&mut self.batch);
        while !left.is_empty() {
            let before = left.len();
            let error = match self.request(&left).await {
                Ok((again, reason)) => {
                    left = again;
                    if left.len() < before {
                        self.backoff.succeeded();
                    }
                    let Some(reason) = reason else { continue };
                    reason
                }
                Err(error) => error,
            };
            if !error.kind.passes() || self.backoff.failures() >= MAX_FAILURES {
                return Err(error);
            }
            tokio::time::sleep(self.backoff.failed()).await;
        }
        Ok(())
    }

    /// One request. Returns the records that were not taken, and why the first of them was not.
    async fn request(
        &self,
        entries: &[PutRecordsRequestEntry],
    ) -> Result<(Vec<PutRecordsRequestEntry>, Option<ApiError>), ApiError> {
        let answer = self
            .client
            .put_records()
            .set_stream_name(self.stream.name())
            .set_stream_arn(self.stream.arn())
            .set_records(Some(entries.to_vec()))
            .send()
            .await
            .map_err(|error| api_error(ACTION, &error))?;
        if answer.records().len() != entries.len() {
            return Err(not_understood(ACTION, "it has not one result for each record"));
        }
        let mut again = Vec::new();
        let mut reason = None;
        for (entry, result) in entries.iter().zip(answer.records()) {
            let Some(code) = result.error_code() else { continue };
            again.push(entry.clone());
            reason.get_or_insert_with(|| refusal(code, result.error_message().unwrap_or(code)));
        }
        Ok((again, reason))
    }
}

fn refusal(code: &str, message: &str) -> ApiError {
    let kind: ApiErrorKind = meaning(code, message).0;
    ApiError { kind, action: ACTION, reason: message.chars().take(300).collect() }
}
