//! Fills in what the events of a plan say: time, SMTP text, campaign.

use std::collections::HashMap;

use super::columns::{Numbers, Texts};
use super::gather::{date, event_number, for_each};
use super::plan::{EvidenceLine, TargetPlan};
use crate::engine::{Engine, EngineError};

/// Characters of an SMTP text that a plan carries.
const TEXT_SHOWN: usize = 300;
/// Events whose words are looked up; beyond, a plan names the events only. About 50 MB.
const EVENTS_DESCRIBED: usize = 100_000;

/// Looks up the events that items name. What is not in the lake any more keeps its identity alone.
///
/// # Errors
/// As the engine fails.
pub async fn describe(engine: &Engine, targets: &mut [TargetPlan]) -> Result<(), EngineError> {
    let mut wanted: HashMap<u128, Option<EvidenceLine>> = HashMap::new();
    let mut since_us = i64::MAX;
    for item in targets.iter().flat_map(|target| &target.items) {
        for line in &item.evidence {
            if wanted.len() < EVENTS_DESCRIBED {
                wanted.insert(event_number(Some(&line.event_id)), None);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    // Evidence goes back at most as far as the oldest of an item's newest events allows to guess; the
    // events of one decision lie within its window, so a year before that is far enough.
    for item in targets.iter().flat_map(|target| &target.items) {
        since_us = since_us.min(item.evidence_time.unwrap_or(i64::MAX));
    }
    let since_us = if since_us == i64::MAX { 0 } else { since_us - 400 * 86_400_000_000 };
    let sql = include_str!("../../../sql/suppression/evidence.sql")
        .replace("{since}", &date(since_us.max(0)))
        .replace("{only}", "");
    for_each(engine, &sql, |batch| {
        let events = Texts::of(batch, "event_id")?;
        let times = Numbers::of(batch, "event_time")?;
        let status = Texts::of(batch, "status_code")?;
        let texts = Texts::of(batch, "text")?;
        let campaigns = Texts::of(batch, "campaign")?;
        for row in 0..batch.num_rows() {
            let Some(slot) = wanted.get_mut(&event_number(events.get(row))) else { continue };
            *slot = Some(EvidenceLine {
                event_id: events.owned(row).unwrap_or_default(),
                time: times.get(row),
                status: status.owned(row),
                text: texts.get(row).map(shortened),
                campaign: campaigns.owned(row),
            });
        }
        Ok(())
    })
    .await?;
    for item in targets.iter_mut().flat_map(|target| &mut target.items) {
        for line in &mut item.evidence {
            if let Some(Some(found)) = wanted.get(&event_number(Some(&line.event_id))) {
                line.clone_from(found);
            }
        }
    }
    Ok(())
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
