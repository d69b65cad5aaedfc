//! One pass over the traffic: which mailboxes worked and when, who was mailed under which address, how much
//! each provider took in the hours in which much of its mail failed, and how many recipients are active.
//!
//! Invariant: whatever is asked, an event is looked at once, by one of as many readers as there are threads
//! (see [`hearback_traffic`] for what they keep in memory).

use std::ops::RangeInclusive;
use std::sync::Arc;

use hearback_traffic::{Found as Surveyed, Reader, Survey};

use super::columns::Numbers;
use super::facts::Facts;
use super::freeze::{FailedHour, FrozenHour};
use super::settings::FreezeLimits;
use super::statement::{DAY_US, date, for_each, read_at_once};
use crate::engine::{Engine, EngineError};

/// Which days are read.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// An instant on the first day of evidence, in microseconds since 1970.
    pub since_us: i64,
    /// The days that tell who is active; None if that is known.
    pub active: Option<ActiveDays>,
}

/// The days that tell who is active, both included; instants on them in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveDays {
    pub(super) first_us: i64,
    pub(super) last_us: i64,
}

/// What a pass found beside what it wrote into the facts.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Recipients that are active; 0 if that was not asked.
    pub(super) active: u64,
    /// Hours that were too bad to be about addresses, by provider and time.
    pub(super) frozen: Vec<FrozenHour>,
    /// Whether the lake has any Send of the time at all: not every sender records them.
    pub(super) sends: bool,
}

/// The days up to the newest one with events, today at the latest; None without events.
///
/// # Errors
/// As the engine fails.
pub async fn active_days(
    engine: &Engine,
    active_us: i64,
    now_us: i64,
) -> Result<Option<ActiveDays>, EngineError> {
    let sql = include_str!("../../../sql/suppression/newest.sql");
    let mut newest = None;
    for_each(engine, &sql.replace("{today}", &date(now_us)), |batch| {
        let days = Numbers::of(batch, "newest")?;
        newest = (0..batch.num_rows()).find_map(|row| days.get(row));
        Ok(())
    })
    .await?;
    Ok(newest.map(|day| ActiveDays {
        first_us: (day * DAY_US).saturating_sub(active_us),
        last_us: day * DAY_US,
    }))
}

/// How many recipients are active.
///
/// # Errors
/// As the engine fails.
pub async fn count_active(engine: &Engine, days: ActiveDays) -> Result<u64, EngineError> {
    let span = Span { since_us: days.first_us, active: Some(days) };
    let found = read(engine, &span, Vec::new(), &[]).await?;
    Ok(found.active)
}

/// Reads the traffic, and notes in the facts which recipients were mailed and when they last worked.
/// `failed` are the hours in which many recipients of one provider failed.
pub(super) async fn survey<'a>(
    engine: &Engine,
    span: &Span,
    facts: impl Iterator<Item = &'a mut Facts>,
    failed: Vec<FailedHour>,
    limits: FreezeLimits,
) -> Result<Found, EngineError> {
    let facts: Vec<&mut Facts> = facts.collect();
    let recipients = facts.iter().map(|one| one.recipient.as_str().into()).collect();
    let found = read(engine, span, recipients, &failed).await?;
    for (one, seen) in facts.into_iter().zip(found.recipients) {
        one.mailed |= seen.mailed;
        one.last_success_us = one.last_success_us.max(seen.last_success_us);
    }
    // A provider that took nothing in all the time that is read is not frozen.
    let frozen = failed.into_iter().filter_map(|hour| {
        let delivered = found.providers.get(&hour.provider).filter(|provider| provider.any)?;
        let messages = delivered.by_hour.get(&hour.hour_us).copied().unwrap_or(0);
        Some(hour.with_delivered(messages))
    });
    let mut frozen: Vec<FrozenHour> = frozen.filter(|hour| hour.exceeds(limits)).collect();
    frozen.sort_unstable_by(|a, b| (&a.provider, a.hour_us).cmp(&(&b.provider, b.hour_us)));
    Ok(Found { active: found.active, frozen, sends: found.sends })
}

async fn read(
    engine: &Engine,
    span: &Span,
    recipients: Vec<Box<str>>,
    hours: &[FailedHour],
) -> Result<Surveyed, EngineError> {
    let first_us = span.active.map_or(i64::MAX, |days| days.first_us).min(span.since_us);
    let sql =
        include_str!("../../../sql/suppression/traffic.sql").replace("{from}", &date(first_us));
    let hours = hours.iter().map(|hour| (hour.provider.clone(), hour.hour_us));
    let active = span.active.map(ActiveDays::days);
    let survey = Arc::new(Survey::new(day(span.since_us), active, recipients, hours));
    let readers = read_at_once(engine, &sql, || survey.reader(), Reader::take).await?;
    readers.into_iter().for_each(Reader::finish);
    Ok(survey.found())
}

impl ActiveDays {
    /// In days since 1970.
    fn days(self) -> RangeInclusive<i32> {
        day(self.first_us)..=day(self.last_us)
    }
}

/// The day of an instant in microseconds since 1970, in days since then.
fn day(us: i64) -> i32 {
    i32::try_from(us.div_euclid(DAY_US)).unwrap_or(if us < 0 { i32::MIN } else { i32::MAX })
}
