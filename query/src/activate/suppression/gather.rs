//! Asks the lake for the facts that the policy judges.
//!
//! Those who fail are few beside those who are mailed. So the failures are read by themselves, those whose
//! failures may be enough are picked, and one pass over the traffic tells the rest.
//!
//! Invariant: who comes out is a superset of whom the policy suppresses; nothing is judged here. Memory
//! is bounded by the recipients with a bounce or a complaint (about 400 bytes for each of them and 64 for
//! each of their bounces) and by the active ones (see [`traffic`]).

use std::collections::{HashMap, HashSet};

use super::columns::{Numbers, Texts};
use super::facts::Facts;
use super::failures;
use super::forwarded::{readdress, recipients};
use super::freeze::{FailedHour, FrozenHour};
use super::settings::Settings;
use super::statement::{Inquiry, quoted, quoted_list};
use super::traffic::{self, Span};
use crate::engine::{Engine, EngineError};

/// What the lake says.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Facts, one for each recipient, in no order.
    pub facts: Vec<Facts>,
    /// Hours that were too bad to be about addresses, by provider and time.
    pub frozen: Vec<FrozenHour>,
    /// Bounces that name an address which was not mailed, of messages to several recipients: they
    /// accuse nobody.
    pub unattributed: u64,
    /// Recipients that are active; 0 if that was not asked.
    pub active: u64,
}

/// Asks for the facts of everybody with failures that may count.
///
/// # Errors
/// As the engine fails.
pub async fn everybody(
    engine: &Engine,
    settings: &Settings,
    span: &Span,
) -> Result<Gathered, EngineError> {
    let inquiry = Inquiry::new(engine, settings, span.since_us);
    let failures = failures::of_everybody(&inquiry).await?;
    let mut facts: HashMap<String, Facts> = failures
        .suspects
        .into_iter()
        .filter(|(_, suspect)| suspect.may_be_suppressed(settings))
        .map(|(recipient, suspect)| (recipient, suspect.facts))
        .collect();
    let (hours, limits) = (failures.hours, settings.freeze);
    let found = traffic::survey(engine, span, facts.values_mut(), hours, limits).await?;
    // Without Sends nobody can tell who was mailed, and the address that a bounce names is believed.
    let unattributed = if found.sends { readdress(&inquiry, &mut facts).await? } else { 0 };
    let facts = facts.into_values().collect();
    Ok(Gathered { facts, frozen: found.frozen, unattributed, active: found.active })
}

/// Asks for the facts of one recipient, whether it ever failed or not.
///
/// # Errors
/// As the engine fails.
pub async fn one(
    engine: &Engine,
    settings: &Settings,
    recipient: &str,
    since_us: i64,
) -> Result<Gathered, EngineError> {
    let inquiry = Inquiry::new(engine, settings, since_us);
    let mut facts: HashMap<String, Facts> = failures::of_one(&inquiry, recipient)
        .await?
        .into_iter()
        .map(|(recipient, suspect)| (recipient, suspect.facts))
        .collect();
    let only = format!("AND recipient = {}", quoted(recipient));
    recipients(&inquiry, &only, &mut facts).await?;
    let unattributed = readdress(&inquiry, &mut facts).await?;
    let frozen = frozen_hours(&inquiry, &facts).await?;
    Ok(Gathered { facts: facts.into_values().collect(), frozen, unattributed, active: 0 })
}

/// The hours in which many recipients of a provider failed.
async fn failed_hours(inquiry: &Inquiry<'_>, only: &str) -> Result<Vec<FailedHour>, EngineError> {
    let mut hours = Vec::new();
    let sql = include_str!("../../../sql/suppression/failed.sql");
    inquiry
        .for_each(sql, only, |batch| {
            let providers = Texts::of(batch, "provider")?;
            let starts = Numbers::of(batch, "hour")?;
            let failed = Numbers::of(batch, "failed")?;
            for row in 0..batch.num_rows() {
                let (Some(provider), Some(hour_us)) = (providers.owned(row), starts.get(row))
                else {
                    continue;
                };
                let failed = failed.get(row).unwrap_or(0).unsigned_abs();
                hours.push(FailedHour { provider, hour_us, failed });
            }
            Ok(())
        })
        .await?;
    Ok(hours)
}

/// The frozen hours of the providers of a few recipients.
async fn frozen_hours(
    inquiry: &Inquiry<'_>,
    facts: &HashMap<String, Facts>,
) -> Result<Vec<FrozenHour>, EngineError> {
    let providers: HashSet<&str> = facts.values().map(|facts| facts.provider.as_str()).collect();
    if providers.is_empty() {
        return Ok(Vec::new());
    }
    let only = format!(
        "AND coalesce(nullif(mailbox_provider, 'other'), recipient_domain) IN ({})",
        quoted_list(providers)
    );
    let failed = failed_hours(inquiry, &only).await?;
    if failed.is_empty() {
        return Ok(Vec::new());
    }
    let mut delivered: HashMap<String, HashMap<i64, u64>> = HashMap::new();
    let sql = include_str!("../../../sql/suppression/delivered.sql");
    inquiry
        .for_each(sql, &only, |batch| {
            let providers = Texts::of(batch, "provider")?;
            let hours = Numbers::of(batch, "hour")?;
            let messages = Numbers::of(batch, "delivered")?;
            for row in 0..batch.num_rows() {
                let (Some(provider), Some(hour_us)) = (providers.owned(row), hours.get(row)) else {
                    continue;
                };
                let messages = messages.get(row).unwrap_or(0).unsigned_abs();
                delivered.entry(provider).or_default().insert(hour_us, messages);
            }
            Ok(())
        })
        .await?;
    // A provider that took nothing in all the time that is read is not frozen.
    let hours = failed.into_iter().filter_map(|hour| {
        let taken = delivered.get(&hour.provider)?;
        let taken = taken.get(&hour.hour_us).copied().unwrap_or(0);
        Some(hour.with_delivered(taken))
    });
    Ok(hours.filter(|hour| hour.exceeds(inquiry.settings.freeze)).collect())
}
