//! Bounces that name somebody whom nobody mailed: the mail was forwarded to them (Final-Recipient, RFC
//! 3464 section 2.3.2). They count against the address that was mailed, if that was one.
//!
//! Invariant: no bounce is evidence about an address that no Send names, where the lake has the Send.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hearback_traffic::Sends;

use super::columns::{Numbers, Texts};
use super::facts::{Bounce, Facts};
use super::statement::{DAY_US, Inquiry, LIST_LENGTH, date, quoted_list, read_at_once};
use crate::engine::EngineError;

/// Gives the bounces of strangers to those who were mailed, and returns how many accuse nobody, because
/// the message went to several.
///
/// Where the lake has no Send of the message, the address that the bounce names is believed.
///
/// # Errors
/// As the engine fails.
pub(super) async fn readdress(
    inquiry: &Inquiry<'_>,
    facts: &mut HashMap<String, Facts>,
) -> Result<u64, EngineError> {
    let strangers = strangers(facts);
    if strangers.is_empty() {
        return Ok(0);
    }
    let mailed = mailed(inquiry, &strangers, sent_days(facts).as_ref()).await?;

    let mut unattributed = 0;
    let mut moved: HashMap<String, Vec<Bounce>> = HashMap::new();
    for (message, recipients) in &mailed {
        for stranger in strangers.get(message).into_iter().flatten() {
            let Some(entry) = facts.get_mut(stranger) else { continue };
            let (mut theirs, kept): (Vec<Bounce>, Vec<Bounce>) = std::mem::take(&mut entry.bounces)
                .into_iter()
                .partition(|bounce| bounce.message == *message);
            entry.bounces = kept;
            let [only] = recipients.as_slice() else {
                unattributed += theirs.len() as u64;
                continue;
            };
            let named: Arc<str> = stranger.as_str().into();
            theirs.iter_mut().for_each(|bounce| bounce.named = Some(Arc::clone(&named)));
            moved.entry(only.clone()).or_default().extend(theirs);
        }
    }
    let unknown: Vec<&str> =
        moved.keys().map(String::as_str).filter(|name| !facts.contains_key(*name)).collect();
    for some in unknown.chunks(LIST_LENGTH) {
        let only = format!("AND recipient IN ({})", quoted_list(some.iter().copied()));
        recipients(inquiry, &only, facts).await?;
    }
    for (recipient, bounces) in moved {
        if let Some(entry) = facts.get_mut(&recipient) {
            entry.bounces.extend(bounces);
        }
    }
    Ok(unattributed)
}

/// Adds the facts of recipients beside their failures.
///
/// # Errors
/// As the engine fails.
pub(super) async fn recipients(
    inquiry: &Inquiry<'_>,
    only: &str,
    facts: &mut HashMap<String, Facts>,
) -> Result<(), EngineError> {
    let sql = include_str!("../../../sql/suppression/recipients.sql");
    inquiry
        .for_each(sql, only, |batch| {
            let recipients = Texts::of(batch, "recipient")?;
            let providers = Texts::of(batch, "provider")?;
            let successes = Numbers::of(batch, "last_success")?;
            let sends = Numbers::of(batch, "sends")?;
            for row in 0..batch.num_rows() {
                let Some(recipient) = recipients.owned(row) else { continue };
                let entry = facts.entry(recipient.clone()).or_default();
                entry.recipient = recipient;
                entry.name_provider(providers.get(row));
                entry.last_success_us = successes.get(row);
                entry.mailed = sends.get(row).unwrap_or(0) > 0;
            }
            Ok(())
        })
        .await
}

/// Messages whose bounces name somebody that no Send names, with whom they name.
fn strangers(facts: &HashMap<String, Facts>) -> HashMap<u64, Vec<String>> {
    let mut strangers: HashMap<u64, Vec<String>> = HashMap::new();
    for one in facts.values().filter(|one| !one.mailed) {
        let messages: HashSet<u64> = one.bounces.iter().map(|bounce| bounce.message).collect();
        for message in messages {
            strangers.entry(message).or_default().push(one.recipient.clone());
        }
    }
    strangers
}

/// The days on which the messages were sent whose bounces name somebody that no Send names, each with the
/// days around it; None if some bounce does not say it, or something that cannot be.
fn sent_days(facts: &HashMap<String, Facts>) -> Option<BTreeSet<i64>> {
    let mut days = BTreeSet::new();
    for bounce in facts.values().filter(|one| !one.mailed).flat_map(|one| &one.bounces) {
        let sent_us = bounce.sent_us.filter(|sent_us| *sent_us >= DAY_US)?;
        let day = sent_us.div_euclid(DAY_US);
        days.extend(day - 1..=day + 1);
    }
    Some(days)
}

/// To whom the messages were sent, each recipient once.
async fn mailed(
    inquiry: &Inquiry<'_>,
    strangers: &HashMap<u64, Vec<String>>,
    sent_days: Option<&BTreeSet<i64>>,
) -> Result<HashMap<u64, Vec<String>>, EngineError> {
    let mut mailed: HashMap<u64, Vec<String>> = HashMap::new();
    let sql = include_str!("../../../sql/suppression/mailed.sql");
    let only = sent_days.map_or_else(String::new, |days| {
        let days: Vec<String> =
            days.iter().map(|day| format!("DATE '{}'", date(day * DAY_US))).collect();
        format!("AND event_date IN ({})", days.join(", "))
    });
    let sends = Arc::new(Sends::of(strangers.keys().copied()));
    let reader = || (Arc::clone(&sends), Vec::new());
    let sql = inquiry.filled(sql, &only);
    let found = read_at_once(inquiry.engine, &sql, reader, |(sends, found), batch| {
        sends.find(batch, found)
    });
    for (message, recipient) in found.await?.into_iter().flat_map(|(_, found)| found) {
        mailed.entry(message).or_default().push(recipient);
    }
    for recipients in mailed.values_mut() {
        recipients.sort_unstable();
        recipients.dedup();
    }
    Ok(mailed)
}
