//! Acting on what was heard: a query, a difference, a plan, and an application that is idempotent,
//! capped and recorded.
//!
//! - [`aws`] reaches an account and Region, under another role if one is named.
//! - [`pace`] keeps requests within what an API allows.
//! - [`consent`] gets the yes without which nothing outside changes.
//! - [`suppression`] keeps suppression lists.
//! - [`segments`] keeps audiences in step with SQL.

pub mod aws;
pub mod consent;
pub mod pace;
pub mod segments;
pub mod suppression;
