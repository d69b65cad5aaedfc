//! From sources to the lake: what is read, how far it was read, and how it is committed.
//!
//! - [`aws`] opens the stores that locations name.
//! - [`lake`] owns the Delta tables: commit protocol, dedupe, snapshots.

pub mod aws;
pub mod lake;
