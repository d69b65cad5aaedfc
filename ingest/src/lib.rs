//! From sources to the lake: what is read, how far it was read, and how it is committed.
//!
//! - [`aws`] opens the stores that locations name.
//! - [`lake`] owns the Delta tables: commit protocol, dedupe, snapshots.
//! - [`simulate`] writes traffic that looks like a real sender's.

pub mod aws;
pub mod lake;
pub mod simulate;
