//! The SQL engine: a read-only DataFusion session over one snapshot of the lake.
//!
//! Invariant: a query never writes, and every table of one statement is read at one version, taken
//! when the statement first names it.

mod bounds;
mod catalog;
mod chance;
mod dialect;
mod duration;
mod error;
mod functions;
mod session;
mod streams;
mod synonyms;
mod table;
mod types;
mod views;

pub use error::EngineError;
pub use session::{Engine, EngineSettings, Statement};
pub use table::LakeTable;
pub(crate) use types::sql_name;
pub use views::{VIEWS, View};

#[cfg(test)]
mod tests;
