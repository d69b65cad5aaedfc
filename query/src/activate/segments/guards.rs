//! What a plan may not do without being told so.
//!
//! Invariant: a segment is never emptied or halved by accident. Each guard names the flag or setting
//! that lifts it, and nothing but that lifts it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::definition::GuardSettings;
use super::diff::Counts;
use super::members::Census;
use crate::config::format_duration;

/// So many members may always be added: shares mean nothing for small segments.
pub const GROWTH_FLOOR: u64 = 1_000;

/// What was named on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// `--allow-shrink`.
    pub shrink: bool,
    /// `--max-adds N`.
    pub max_adds: Option<u64>,
    /// `--allow-stale`.
    pub stale: bool,
}

/// A guard that a plan ran into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Its name.
    pub guard: GuardName,
    /// What it refuses and why, without addresses: it goes to logs and errors too.
    pub reason: String,
    /// What lifts it.
    pub remedy: String,
    /// Whether it was lifted.
    pub lifted: bool,
}

/// The guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardName {
    /// Nobody would be left, or nobody is there at first.
    Empty,
    /// Too many would be removed.
    Shrink,
    /// Too many would be added.
    Growth,
    /// A key comes more than once.
    DuplicateKey,
    /// A row has no key.
    MissingKey,
    /// An address is not spelt as the lake spells addresses.
    InvalidKey,
    /// Nothing has come into the lake for too long.
    StaleLake,
    /// The destination knows the members by another key.
    KeyChanged,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The changes.
    pub counts: &'a Counts,
    /// What the query gave.
    pub census: &'a Census,
    /// Age of the newest row of the lake; None if it has none.
    pub lake_age: Option<Duration>,
    /// The key that the destination knows the members by, if it is another one.
    pub other_key: Option<&'a str>,
    /// Whether the first set that the destination gets would be an empty one.
    pub publishes_empty: bool,
}

/// The guards that a plan runs into.
#[must_use]
pub fn judge(facts: &Facts<'_>, settings: &GuardSettings, lifted: Lifted) -> Vec<Guard> {
    let mut guards = Vec::new();
    let mut refuse = |guard, reason: String, remedy: &str, lifted| {
        guards.push(Guard { guard, reason, remedy: remedy.to_owned(), lifted });
    };
    let Counts { add, remove, .. } = *facts.counts;
    let acknowledged = facts.counts.acknowledged();
    let census = facts.census;

    if let Some(key) = facts.other_key {
        let reason = format!(
            "the destination knows its {acknowledged} members by {key}: all of them would be removed, and added again by the new key"
        );
        refuse(GuardName::KeyChanged, reason, "--allow-shrink", lifted.shrink);
    } else if acknowledged > 0 && facts.counts.members() == 0 {
        let reason = format!("all {acknowledged} members would be removed");
        refuse(GuardName::Empty, reason, "--allow-shrink", lifted.shrink);
    } else if facts.publishes_empty {
        let reason =
            "nobody is in it, and an empty set would be the first to be written".to_owned();
        refuse(GuardName::Empty, reason, "--allow-shrink", lifted.shrink);
    } else if remove > 0 && share(remove, acknowledged) > settings.max_shrink {
        let reason = format!(
            "{remove} of {acknowledged} members ({}) would be removed; max_shrink is {}",
            percent(share(remove, acknowledged)),
            percent(settings.max_shrink)
        );
        refuse(GuardName::Shrink, reason, "--allow-shrink", lifted.shrink);
    }

    let enough = lifted.max_adds.is_some_and(|most| add <= most);
    // A cap that is named counts, whatever the configuration says.
    let cap = lifted.max_adds.or(settings.max_adds);
    if let Some(cap) = cap.filter(|cap| add > *cap) {
        let reason = format!("{add} members would be added; the cap is {cap}");
        refuse(GuardName::Growth, reason, &format!("--max-adds {add}"), false);
    } else if acknowledged > 0
        && facts.other_key.is_none()
        && add > GROWTH_FLOOR
        && share(add, acknowledged) > settings.max_growth
    {
        let reason = format!(
            "{add} members would be added to {acknowledged} ({}); max_growth is {}",
            percent(share(add, acknowledged)),
            percent(settings.max_growth)
        );
        refuse(GuardName::Growth, reason, &format!("--max-adds {add}"), enough);
    }

    if census.duplicate_keys > 0 {
        let reason = format!("{} rows have a key that another row has", census.duplicate_keys);
        refuse(GuardName::DuplicateKey, reason, "one row a key in the statement (GROUP BY)", false);
    }
    if census.missing_keys > 0 {
        let reason = format!("{} rows have no key", census.missing_keys);
        refuse(GuardName::MissingKey, reason, "WHERE … IS NOT NULL in the statement", false);
    }
    if census.invalid_keys > 0 {
        let reason = format!(
            "{} rows have an address that is not spelt as the lake spells addresses",
            census.invalid_keys
        );
        refuse(GuardName::InvalidKey, reason, "recipient AS address in the statement", false);
    }
    let too_old = match facts.lake_age {
        None => Some("the lake holds no events".to_owned()),
        Some(age) if age > settings.max_lake_age => Some(format!(
            "nothing has come into the lake for {}; max_lake_age is {}",
            rounded(age),
            rounded(settings.max_lake_age)
        )),
        Some(_) => None,
    };
    if let Some(reason) = too_old {
        refuse(GuardName::StaleLake, reason, "--allow-stale", lifted.stale);
    }
    guards
}

/// The first guard that was not lifted.
#[must_use]
pub fn refusal(guards: &[Guard]) -> Option<&Guard> {
    guards.iter().find(|guard| !guard.lifted)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { f64::INFINITY } else { part as f64 / whole as f64 }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A length of time in whole hours, or minutes below an hour.
fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit = if seconds >= 3_600 { 3_600 } else { 60 };
    format_duration(seconds / unit * unit * 1_000)
}
