//! Suppression lists as code: what happened to mail decides who stands on SES's suppression lists.
//!
//! - [`policy`] is the table of rules, [`judge`](mod@judge) applies it to [`facts`], [`gather`](mod@gather)
//!   asks the lake for them.
//! - [`list`] is what a list is, [`connection`] the way to it, [`pull`] reads it, [`mirror`] remembers it.
//! - [`ledger`] is what stands of our own changes; [`difference`] compares, [`guard`] caps, [`planner`] makes
//!   the [`plan`], [`apply`] carries it out.
//! - [`runner`] does it again and again.
//! - [`explain`] answers for one address; [`foreign`] reads the lists of other places.
//!
//! Invariant of the whole: an address is suppressed only on evidence that names it, every change stands in
//! `suppression_ledger` with that evidence, and nothing changes outside without a plan within its caps.

pub mod alert;
pub mod apply;
pub mod change;
pub(crate) mod columns;
pub mod connection;
pub mod difference;
pub mod evidence;
pub mod explain;
pub mod facts;
mod failures;
pub mod foreign;
mod forwarded;
pub mod freeze;
pub mod gather;
pub mod guard;
mod import_job;
pub mod judge;
pub mod ledger;
pub mod list;
pub mod mirror;
pub mod plan;
pub mod plan_file;
pub mod planner;
pub mod policy;
pub mod pull;
pub mod refresh;
mod requests;
pub mod runner;
pub mod settings;
pub(crate) mod statement;
pub mod survey;
pub mod traffic;

#[cfg(test)]
mod tests;
