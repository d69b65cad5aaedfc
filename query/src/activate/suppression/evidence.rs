//! Fills in what the events of a plan say: time, SMTP text, campaign.
//!
//! Most events are told by their recipient and time, which cost little to read; by their identity, which
//! costs more than all the rest, only those of which the time is not known or is shared with another.

use std::collections::HashMap;

use arrow_array::RecordBatch;

use super::columns::{Numbers, Texts};
use super::plan::TargetPlan;
use super::statement::{DAY_US, date, event_number, for_few};
use crate::engine::{Engine, EngineError};

/// Characters of an SMTP text that a plan carries.
const TEXT_SHOWN: usize = 300;
/// Events whose words are looked up; beyond, a plan names the events only. About 50 MB.
const EVENTS_DESCRIBED: usize = 100_000;
/// The longest that the events of one decision lie apart: events are read from no earlier on.
const LONGEST_US: i64 = 400 * DAY_US;

/// Looks up the events that items name. What is not in the lake any more keeps its identity alone.
///
/// # Errors
/// As the engine fails.
pub async fn describe(engine: &Engine, targets: &mut [TargetPlan]) -> Result<(), EngineError> {
    let mut wanted = Wanted::of(targets);
    if wanted.known.is_empty() {
        return Ok(());
    }
    if !wanted.by_time.is_empty() {
        let sql = wanted.statement("CAST(NULL AS VARCHAR)");
        for_few(engine, &sql, |batch| wanted.take_by_time(batch)).await?;
    }
    wanted.by_id.retain(|id| wanted.known.get(id).is_some_and(Option::is_none));
    if !wanted.by_id.is_empty() {
        let sql = wanted.statement("event_id");
        for_few(engine, &sql, |batch| wanted.take_by_id(batch)).await?;
    }
    for line in
        targets.iter_mut().flat_map(|target| &mut target.items).flat_map(|item| &mut item.evidence)
    {
        if let Some(Some(words)) = wanted.known.get(&event_number(Some(&line.event_id))) {
            line.time = words.time_us.or(line.time);
            line.status.clone_from(&words.status);
            line.text.clone_from(&words.text);
            line.campaign.clone_from(&words.campaign);
        }
    }
    Ok(())
}

/// What an event says.
struct Words {
    time_us: Option<i64>,
    status: Option<String>,
    text: Option<String>,
    campaign: Option<String>,
}

/// The events of a plan, as far as they are looked up.
#[derive(Default)]
struct Wanted {
    /// By identity; None for what was not found yet.
    known: HashMap<u128, Option<Words>>,
    /// Identities by the address that the event names and its time; None where two share them.
    by_time: HashMap<(String, i64), Option<u128>>,
    /// Identities that have to be looked up as such.
    by_id: Vec<u128>,
    /// The days between which they lie, in microseconds since 1970.
    first_us: i64,
    last_us: i64,
}

impl Wanted {
    fn of(targets: &[TargetPlan]) -> Self {
        let mut wanted = Self { first_us: i64::MAX, last_us: i64::MIN, ..Self::default() };
        for item in targets.iter().flat_map(|target| &target.items) {
            for line in &item.evidence {
                if wanted.known.len() == EVENTS_DESCRIBED {
                    return wanted;
                }
                let named = line.named.as_ref().unwrap_or(&item.recipient);
                // Without its own time, an event lies within the window of its rule.
                let newest_us = line.time.or(item.evidence_time);
                let oldest_us = line.time.or(item.evidence_time.map(|time| time - LONGEST_US));
                wanted.first_us = wanted.first_us.min(oldest_us.unwrap_or(0));
                wanted.last_us = wanted.last_us.max(newest_us.unwrap_or(i64::MAX));
                wanted.add(event_number(Some(&line.event_id)), named, line.time);
            }
        }
        wanted
    }

    fn add(&mut self, id: u128, named: &str, time_us: Option<i64>) {
        if self.known.insert(id, None).is_some() {
            return;
        }
        self.by_id.push(id);
        let Some(time_us) = time_us else { return };
        let alone = self.by_time.entry((named.to_owned(), time_us));
        alone.and_modify(|other| *other = None).or_insert(Some(id));
    }

    fn statement(&self, event_id: &str) -> String {
        include_str!("../../../sql/suppression/evidence.sql")
            .replace("{event_id}", event_id)
            .replace("{since}", &date(self.first_us.max(0)))
            .replace("{until}", &date(self.last_us))
    }

    fn take_by_time(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let columns = Columns::of(batch)?;
        for row in 0..batch.num_rows() {
            let (Some(named), Some(time_us)) = (columns.named.owned(row), columns.times.get(row))
            else {
                continue;
            };
            let Some(id) = self.by_time.get_mut(&(named, time_us)) else { continue };
            let Some(known) = id.and_then(|id| self.known.get_mut(&id)) else { continue };
            if known.is_some() {
                // A second event of that recipient and time: which is which, only identities tell.
                *known = None;
                *id = None;
                continue;
            }
            *known = Some(columns.words(row));
        }
        Ok(())
    }

    fn take_by_id(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let columns = Columns::of(batch)?;
        let events = Texts::of(batch, "event_id")?;
        for row in 0..batch.num_rows() {
            if let Some(known) = self.known.get_mut(&event_number(events.get(row))) {
                *known = Some(columns.words(row));
            }
        }
        Ok(())
    }
}

struct Columns {
    named: Texts,
    times: Numbers,
    status: Texts,
    texts: Texts,
    campaigns: Texts,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, EngineError> {
        Ok(Self {
            named: Texts::of(batch, "recipient")?,
            times: Numbers::of(batch, "event_time")?,
            status: Texts::of(batch, "status_code")?,
            texts: Texts::of(batch, "text")?,
            campaigns: Texts::of(batch, "campaign")?,
        })
    }

    fn words(&self, row: usize) -> Words {
        Words {
            time_us: self.times.get(row),
            status: self.status.owned(row),
            text: self.texts.get(row).map(shortened),
            campaign: self.campaigns.owned(row),
        }
    }
}

/// A text on one line, cut where it grows long.
pub(super) fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(TEXT_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
