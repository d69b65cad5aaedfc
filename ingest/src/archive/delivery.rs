//! Documents to one Firehose: responsible for keeping within its limits, for sending again what it did
//! not take and nothing else, and for finding another place for what it never takes.
//!
//! Limits (Firehose API reference, "PutRecordBatch"): 500 records and 4 MiB a request, 1,000 KiB a record
//! before base64.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::firehose::FirehoseApi;
use crate::aws::{StoreLocation, explain};
use crate::stream::KeepError;

const MAX_RECORDS: usize = 500;
const MAX_BATCH: usize = 4 << 20;
const MAX_RECORD: usize = 1_000 << 10;

/// Requests without progress before whoever offers has to offer again: about 6 s.
const ATTEMPTS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What goes to a Firehose as one record.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Tells it from all others, the same when it is offered again; a path.
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// Brings documents to a Firehose.
#[derive(Debug)]
pub(super) struct Delivery {
    api: Arc<dyn FirehoseApi>,
    stream: String,
    too_large: StoreLocation,
    /// Documents that were taken although others offered with them were not, so that only the others
    /// are sent when all are offered again.
    taken: Mutex<HashSet<String>>,
}

impl Delivery {
    pub(super) fn new(api: Arc<dyn FirehoseApi>, stream: &str, too_large: StoreLocation) -> Self {
        Self { api, stream: stream.to_owned(), too_large, taken: Mutex::default() }
    }

    /// Brings all of them, or says why not all of them are there.
    pub(super) async fn deliver(&self, documents: Vec<Document>) -> Result<(), KeepError> {
        let names: Vec<String> = documents.iter().map(|document| document.name.clone()).collect();
        let mut small = Vec::with_capacity(documents.len());
        for document in documents {
            if self.taken().contains(&document.name) {
                continue;
            }
            if document.bytes.len() <= MAX_RECORD {
                small.push(document);
                continue;
            }
            self.put_aside(&document).await?;
            self.taken().insert(document.name);
        }
        let mut rest = &small[..];
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(batch_length(rest));
            self.deliver_batch(batch).await?;
            rest = behind;
        }
        let mut taken = self.taken();
        for name in &names {
            taken.remove(name);
        }
        Ok(())
    }

    /// Brings a batch: what was not taken is sent again, alone, after a growing pause.
    async fn deliver_batch(&self, batch: &[Document]) -> Result<(), KeepError> {
        let mut open: Vec<&Document> = batch.iter().collect();
        let mut failures = 0;
        loop {
            let records: Vec<Bytes> = open.iter().map(|document| document.bytes.clone()).collect();
            let before = open.len();
            let reason = match self.api.put_record_batch(&self.stream, &records).await {
                Ok(answers) if answers.len() == records.len() => {
                    let reason = answers.iter().flatten().next().cloned();
                    let mut taken = self.taken();
                    let mut answers = answers.into_iter();
                    open.retain(|document| {
                        let failed = answers.next().flatten().is_some();
                        if !failed {
                            taken.insert(document.name.clone());
                        }
                        failed
                    });
                    drop(taken);
                    if open.is_empty() {
                        return Ok(());
                    }
                    let code = reason.unwrap_or_default();
                    format!("Firehose {} did not take {} records ({code})", self.stream, open.len())
                }
                Ok(_) => format!("Firehose {} did not answer for every record", self.stream),
                Err(error) if error.passes => error.reason,
                Err(error) => return Err(KeepError(error.reason)),
            };
            failures = if open.len() < before { 0 } else { failures + 1 };
            if failures >= ATTEMPTS {
                return Err(KeepError(reason));
            }
            tracing::debug!(firehose = %self.stream, records = open.len(), reason, "sent again");
            tokio::time::sleep(FIRST_PAUSE * (1 << failures.min(6))).await;
        }
    }

    /// Puts a document that is too large for Firehose into the store, under its name.
    async fn put_aside(&self, document: &Document) -> Result<(), KeepError> {
        let path = self.too_large.prefix.clone().join("too-large").join(self.stream.as_str());
        let path = document.name.split('/').fold(path, object_store::path::Path::join);
        let bytes = document.bytes.len();
        match self.too_large.store.put(&path, document.bytes.clone().into()).await {
            Ok(_) => {
                tracing::warn!(firehose = %self.stream, bytes, %path, "a record is larger than the 1,000 KiB that Firehose takes; it was put into the store");
                Ok(())
            }
            Err(error) => Err(KeepError(format!(
                "a record that is too large for Firehose cannot be put into the store: {}",
                explain(&error)
            ))),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<String>> {
        // Every change is complete in itself.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the first documents go into one request. None is larger than a request.
fn batch_length(documents: &[Document]) -> usize {
    let mut bytes = 0;
    let fitting = documents.iter().take(MAX_RECORDS).take_while(|document| {
        bytes += document.bytes.len();
        bytes <= MAX_BATCH
    });
    fitting.count()
}

#[cfg(test)]
mod tests;
