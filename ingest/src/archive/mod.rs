//! A second place for what was read from a stream: every record as it came on one Firehose (the
//! archive), every document that could not be understood on another (dead letters).
//!
//! - [`Archive`] keeps what a commit will cover, before it is made.
//! - `document.rs` says what stands in the archive, so that it can be taken apart again and read into
//!   the same lake without doubling anything.
//! - `delivery.rs` brings documents to a Firehose, within its limits.
//!
//! Invariant: what was offered is safe when [`Safekeeping::keep`] returns without an error; after a crash
//! it may be there twice, never not at all.

mod delivery;
mod document;
mod firehose;

use std::sync::Arc;

use async_trait::async_trait;
use hearback_transform::Reject;

use crate::aws::StoreLocation;
use crate::lake::StreamIdentity;
use crate::stream::{KeepError, Record, Safekeeping};
use delivery::{Delivery, Document};
pub(crate) use document::take_archived;
pub use firehose::{FirehoseApi, PutError, SdkFirehose};

/// Keeps records and rejects of one stream on Firehoses.
#[derive(Debug)]
pub struct Archive {
    stream: StreamIdentity,
    records: Option<Delivery>,
    rejects: Option<Delivery>,
}

impl Archive {
    /// An archive of a stream that keeps nothing yet.
    #[must_use]
    pub fn of(stream: StreamIdentity) -> Self {
        Self { stream, records: None, rejects: None }
    }

    /// Keeps every record on the Firehose `name`; what it does not take goes under `too_large`.
    #[must_use]
    pub fn with_records(
        mut self,
        api: Arc<dyn FirehoseApi>,
        name: &str,
        too_large: StoreLocation,
    ) -> Self {
        self.records = Some(Delivery::new(api, name, too_large));
        self
    }

    /// Keeps every reject on the Firehose `name`; what it does not take goes under `too_large`.
    #[must_use]
    pub fn with_rejects(
        mut self,
        api: Arc<dyn FirehoseApi>,
        name: &str,
        too_large: StoreLocation,
    ) -> Self {
        self.rejects = Some(Delivery::new(api, name, too_large));
        self
    }
}

#[async_trait]
impl Safekeeping for Archive {
    async fn keep(
        &self,
        shard: &str,
        records: &[Record],
        rejects: &[&Reject],
    ) -> Result<(), KeepError> {
        let Some(delivery) = &self.records else { return Ok(()) };
        let not_understood = document::records_with(rejects);
        let documents = records.iter().filter_map(|record| {
            let understood = !not_understood.contains(record.sequence.as_str());
            let bytes = document::of_record(&self.stream, shard, record, understood)?;
            Some(Document { name: format!("{shard}/{}", record.sequence), bytes })
        });
        delivery.deliver(documents.collect()).await
    }

    async fn rejected(&self, shard: &str, rejects: &[Reject]) -> Result<(), KeepError> {
        let Some(delivery) = &self.rejects else { return Ok(()) };
        let documents = rejects.iter().map(|reject| Document {
            name: format!("{shard}/{}", reject.place),
            bytes: document::of_reject(&self.stream, shard, reject),
        });
        delivery.deliver(documents.collect()).await
    }
}
