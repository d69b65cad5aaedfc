//! The rules that judge a row, as a whole: bounce classes and actors.
//!
//! Owns one invariant: two rows with the same `rule_version` and the same evidence have the same
//! `bounce_class`, `actor` and `actor_reason`.

use crate::{actor, bounce};

/// The version written to `events.rule_version`: year and month of the rules, then a counter within
/// that month.
///
/// Bump it with every change after which *some* evidence could be judged differently: a rule added,
/// removed or reordered in [`crate::bounce`], a signal, list or threshold changed in
/// [`crate::actor`]. Do not bump it for a change of comments, speed or layout. Rows keep the
/// version they were judged with, so an operator can tell which rows a change concerns and judge
/// those again from `diagnostic`, `bounce_type`, `user_agent` and `ip_address`.
pub const RULE_VERSION: &str = "2026-11.1";

/// Gets the rules ready, which takes tens of milliseconds. Whoever does not call this waits for them at the first
/// row that they judge.
pub fn prepare() {
    bounce::prepare();
    actor::prepare();
}
