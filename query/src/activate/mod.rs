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

use std::error::Error;

/// An error with its causes, each that adds something, for logs and metrics.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let sentence = current.to_string();
        if !line.contains(&sentence) {
            line.push_str(": ");
            line.push_str(&sentence);
        }
        cause = current.source();
    }
    line
}
