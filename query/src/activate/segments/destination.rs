//! Where members go: one small trait, one file for each kind.
//!
//! Invariants that every kind keeps: sending the same change twice leaves the destination as sending it
//! once; what is not acknowledged is not reported as done; no secret and no address is in an error.

mod attempts;
mod aws_errors;
mod contact_list;
mod customer_profiles;
mod import_files;
mod pinpoint;
mod s3;
mod webhook;

use std::fs::File;

use async_trait::async_trait;
use jiff::Timestamp;

use super::acknowledged::Generation;
use super::change::{Change, Changes};
use super::definition::DestinationSpec;
use super::diff::Counts;
use super::members::AttributeColumn;

pub use attempts::Attempts;

/// What a destination is told of the application that is going on.
#[derive(Clone, Debug)]
pub struct Run {
    /// Name of the segment.
    pub segment: String,
    /// What the segment is for.
    pub description: Option<String>,
    /// The plan.
    pub plan_id: String,
    /// Column that identifies a member.
    pub key: String,
    /// Columns that go along with a member.
    pub attributes: Vec<AttributeColumn>,
    /// Version of `events` that the query ran on.
    pub lake_version: Option<u64>,
    /// The generation that is acknowledged so far.
    pub acknowledged: Option<Generation>,
    /// The number of the generation that this application makes.
    pub number: u64,
    /// What is left to do.
    pub counts: Counts,
    /// The time.
    pub clock: fn() -> Timestamp,
}

/// How a destination takes changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Batch by batch; each is acknowledged on its own.
    Batches {
        /// Most changes in a batch.
        changes: usize,
        /// Batches that are under way at once.
        at_once: usize,
    },
    /// The whole set at once, by [`Destination::publish`].
    Whole,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What became of it.
    pub outcome: Outcome,
    /// Request or job id of the destination.
    pub request_id: Option<String>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Done,
    /// The destination refuses it, for this reason; trying again alone may help.
    Failed(String),
    /// It was left out at the last moment, for this reason.
    Skipped(String),
    /// The person opted out at the destination itself, as this says: it is not offered again.
    Declined(String),
}

impl Delivered {
    /// The destination has it.
    #[must_use]
    pub fn done(request_id: Option<String>) -> Self {
        Self { outcome: Outcome::Done, request_id }
    }

    /// The destination refuses it.
    #[must_use]
    pub fn failed(reason: impl Into<String>, request_id: Option<String>) -> Self {
        Self { outcome: Outcome::Failed(reason.into()), request_id }
    }
}

/// The set as it is after an application.
#[derive(Debug)]
pub struct Publication<'a> {
    /// Parquet: member, attributes, in the order of the members.
    pub members: &'a mut File,
    /// How many members there are.
    pub count: u64,
    /// What was changed.
    pub changes: &'a mut Changes,
}

/// Why a destination did not take changes, named by what to do.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// It cannot be reached, or says to come back later: run the same command again.
    #[error("{destination} does not take changes now: {reason}")]
    Unavailable {
        /// Identity of the destination.
        destination: String,
        /// What it said, without addresses.
        reason: String,
    },
    /// It refuses what we ask: change the configuration, the permissions or the segment.
    #[error("{destination} refuses: {reason}")]
    Refused {
        /// Identity of the destination.
        destination: String,
        /// What it said, without addresses.
        reason: String,
    },
    /// What had been acknowledged is not there any more.
    #[error("{destination} is not as it was left: {reason}")]
    Drifted {
        /// Identity of the destination.
        destination: String,
        /// What is missing or different.
        reason: String,
    },
    /// The service has ended.
    #[error("{destination}: {reason}")]
    Retired {
        /// Identity of the destination.
        destination: String,
        /// Since when, and what to use instead.
        reason: String,
    },
}

/// A place that members go to.
#[async_trait]
pub trait Destination: Send + Sync {
    /// How it takes this many changes.
    fn manner(&self, changes: u64) -> Manner;

    /// Looks whether it is as it was left, and makes what has to be there before members come.
    ///
    /// # Errors
    /// If it is not there, not as it was left, or cannot be reached.
    async fn prepare(&mut self, run: &Run) -> Result<(), DestinationError>;

    /// Sends a batch and says what became of each change, in their order.
    ///
    /// # Errors
    /// If nothing can be said of any change of the batch: it is sent again next time.
    async fn deliver(
        &self,
        run: &Run,
        batch: &[Change],
    ) -> Result<Vec<Delivered>, DestinationError>;

    /// Publishes the set as it is now; the id of the receipt.
    ///
    /// # Errors
    /// If it is not published.
    async fn publish(
        &mut self,
        run: &Run,
        set: Publication<'_>,
    ) -> Result<Option<String>, DestinationError>;
}

/// Opens a destination. No request is sent before [`Destination::prepare`].
///
/// # Errors
/// If its configuration cannot work: a secret that is not there, no Region.
pub async fn open(
    spec: &DestinationSpec,
    attempts: Attempts,
) -> Result<Box<dyn Destination>, DestinationError> {
    Ok(match spec {
        DestinationSpec::S3 { uri } => Box::new(s3::Folder::open(uri).await?),
        DestinationSpec::Webhook { url, secret } => {
            Box::new(webhook::Webhook::open(spec.identity(), url, secret, attempts)?)
        }
        DestinationSpec::Pinpoint(inner) => {
            Box::new(pinpoint::Application::open(spec.identity(), inner, attempts).await?)
        }
        DestinationSpec::SesContactList(inner) => {
            Box::new(contact_list::Topic::open(spec.identity(), inner, attempts).await?)
        }
        DestinationSpec::CustomerProfiles(inner) => {
            Box::new(customer_profiles::Domain::open(spec.identity(), inner, attempts).await?)
        }
    })
}

/// A text with the addresses in it made unreadable: for reasons that others gave us.
#[must_use]
pub fn without_addresses(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace);
    let cleaned: String = words
        .map(|word| {
            if word.contains('@') {
                format!("(address){}", trailing_space(word))
            } else {
                word.to_owned()
            }
        })
        .collect();
    cleaned.chars().take(300).collect()
}

fn trailing_space(word: &str) -> &str {
    &word[word.trim_end().len()..]
}
