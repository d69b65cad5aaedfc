//! The canonical event and every table of the lake, each defined once.
//!
//! A [`Table`] is a list of [`Column`]s with their types, units and meaning. Everything that needs a
//! schema is derived from it: the Arrow schema that batches are built with, the Delta schema that
//! tables are created with, the DDL that Athena and Spark are given, and the reference that
//! `hearback schema` prints. The vocabularies ([`EventType`], [`BounceClass`], [`Actor`], …) are the
//! closed sets of words that columns may hold.
//!
//! This crate does no I/O and knows nothing of AWS, Delta or DataFusion crates.

mod ddl;
mod endpoint_imports;
mod events;
mod rejects;
mod segment_ledger;
mod suppression_ledger;
mod suppression_list;
mod table;
mod vocabulary;

pub use endpoint_imports::ENDPOINT_IMPORTS;
pub use events::{EVENTS, UNDATED_EVENT_DATE};
pub use rejects::REJECTS;
pub use segment_ledger::SEGMENT_LEDGER;
pub use suppression_ledger::SUPPRESSION_LEDGER;
pub use suppression_list::SUPPRESSION_LIST;
pub use table::{Column, ColumnKind, Table};
pub use vocabulary::{Actor, BounceClass, Channel, EventType, Frequency, Source};

/// Every table of the lake, in the order in which `hearback schema` shows them.
pub const TABLES: [&Table; 6] =
    [&EVENTS, &REJECTS, &SUPPRESSION_LEDGER, &SUPPRESSION_LIST, &SEGMENT_LEDGER, &ENDPOINT_IMPORTS];

/// Finds a table by name.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.into_iter().find(|table| table.name == name)
}
