//! Segments as code: a question in SQL, and destinations that are kept in step with its answer.
//!
//! - [`definition`] reads what a segment is; [`library`] has ready ones.
//! - [`members`] asks the question, [`acknowledged`] knows what a destination has, [`diff`] compares.
//! - [`plan`] puts it together and [`guards`] judge it; [`plan_file`] is its form outside.
//! - [`apply`] does it, under a [`lease`], with [`receipts`] in the ledger; [`destination`] are the
//!   places, one file a kind.
//! - [`runner`] does it again and again, when schedules say so.
//! - [`endpoints`] imports what Amazon Pinpoint knew of people, [`convert`] turns its segments into SQL.
//!
//! Invariant: a destination has what the newest generation and the ledger say that it acknowledged, and
//! nobody is sent anywhere who is not in a plan.

pub mod acknowledged;
pub mod apply;
pub mod change;
pub mod convert;
pub mod definition;
pub mod destination;
pub mod diff;
pub mod endpoints;
pub mod error;
pub mod guards;
pub mod lease;
pub mod ledger;
pub mod library;
pub mod members;
pub mod plan;
pub mod plan_file;
pub mod receipts;
pub mod runner;

pub(crate) use definition::segments_in_config;
pub use definition::{DestinationSpec, Segment};
pub use error::SegmentError;

#[cfg(test)]
mod tests;
