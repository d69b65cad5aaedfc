//! One pass over the traffic: which mailboxes worked and when, who was mailed under which address, how much
//! each provider took in the hours in which much of its mail failed, and how many recipients are active.
//!
//! Invariant: whatever is asked, an event is looked at once and nothing of it is kept. Memory beside the
//! facts themselves: at most 21 bytes for an active recipient, 16 for a recipient that is watched, and
//! about 50 for each hour of a provider in which much failed.

use arrow_array::RecordBatch;
use hashbrown::{HashMap, HashTable};
use xxhash_rust::xxh3::xxh3_64;

use super::columns::{Flags, Numbers, Texts};
use super::facts::Facts;
use super::freeze::{FailedHour, FrozenHour, HOUR_US};
use super::settings::FreezeLimits;
use super::statement::{DAY_US, date, for_each};
use crate::engine::{Engine, EngineError};

/// What events say of a provider that nobody knows by name: then the domain stands for it.
const UNKNOWN_PROVIDER: &str = "other";

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
    let mut pass = Pass::default();
    pass.read(engine, &Span { since_us: days.first_us, active: Some(days) }).await?;
    Ok(pass.active.len() as u64)
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
    let mut pass = Pass::default();
    for one in facts {
        pass.watch(one);
    }
    for hour in failed {
        let provider = pass.providers.entry(hour.provider).or_default();
        provider.hours.insert(hour.hour_us, Hour { failed: hour.failed, delivered: 0 });
    }
    pass.read(engine, span).await?;
    let frozen =
        pass.providers.into_iter().flat_map(|(name, provider)| provider.frozen(&name, limits));
    let mut frozen: Vec<FrozenHour> = frozen.collect();
    frozen.sort_unstable_by(|a, b| (&a.provider, a.hour_us).cmp(&(&b.provider, b.hour_us)));
    Ok(Found { active: pass.active.len() as u64, frozen, sends: pass.sends })
}

#[derive(Default)]
struct Pass<'a> {
    /// Found by the hash of the recipient, and told apart by the recipient itself.
    watched: HashTable<&'a mut Facts>,
    /// Providers of which much failed in some hour.
    providers: HashMap<String, Provider>,
    /// Hashes that stand for recipients: of ten million, two have the same with a chance of 3 in a
    /// million, and then a cap is counted from one recipient less.
    active: HashTable<u64>,
    sends: bool,
}

#[derive(Default)]
struct Provider {
    /// Whether it took any message at all.
    alive: bool,
    /// By the start of the hour, in microseconds since 1970.
    hours: HashMap<i64, Hour>,
}

struct Hour {
    failed: u64,
    delivered: u64,
}

impl Provider {
    fn frozen(self, name: &str, limits: FreezeLimits) -> Vec<FrozenHour> {
        if !self.alive {
            return Vec::new();
        }
        let hours = self.hours.into_iter().map(|(hour_us, hour)| FrozenHour {
            provider: name.to_owned(),
            hour_us,
            failed: hour.failed,
            delivered: hour.delivered,
        });
        hours.filter(|hour| hour.exceeds(limits)).collect()
    }
}

impl<'a> Pass<'a> {
    fn watch(&mut self, facts: &'a mut Facts) {
        let hash_of = |facts: &&mut Facts| hash(&facts.recipient);
        self.watched.insert_unique(hash(&facts.recipient), facts, hash_of);
    }

    async fn read(&mut self, engine: &Engine, span: &Span) -> Result<(), EngineError> {
        let first_us = span.active.map_or(i64::MAX, |days| days.first_us).min(span.since_us);
        let active = match span.active {
            None => "FALSE".to_owned(),
            Some(days) => format!(
                "event_date BETWEEN DATE '{}' AND DATE '{}'",
                date(days.first_us),
                date(days.last_us)
            ),
        };
        let sql = include_str!("../../../sql/suppression/traffic.sql")
            .replace("{from}", &date(first_us))
            .replace("{since}", &date(span.since_us))
            .replace("{active}", &active);
        for_each(engine, &sql, |batch| self.take(batch)).await
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let recipients = Texts::of(batch, "recipient")?;
        let times = Numbers::of(batch, "event_time")?;
        let providers = Texts::of(batch, "mailbox_provider")?;
        let domains = Texts::of(batch, "recipient_domain")?;
        let sent = Flags::of(batch, "sent")?;
        let delivered = Flags::of(batch, "delivered")?;
        let engaged = Flags::of(batch, "engaged")?;
        let active = Flags::of(batch, "active")?;
        for row in 0..batch.num_rows() {
            let (is_sent, is_delivered) = (sent.get(row), delivered.get(row));
            let (works, is_active) = (is_delivered || engaged.get(row), active.get(row));
            if !(is_sent || works || is_active) {
                continue;
            }
            let Some(recipient) = recipients.get(row) else { continue };
            let hash = hash(recipient);
            if is_active {
                self.active.entry(hash, |known| *known == hash, |known| *known).or_insert(hash);
            }
            self.sends |= is_sent;
            let time_us = times.get(row);
            if let Some(facts) = self.watched.find_mut(hash, |facts| facts.recipient == recipient) {
                facts.mailed |= is_sent;
                if works {
                    facts.last_success_us = facts.last_success_us.max(time_us);
                }
            }
            if is_delivered {
                let known = providers.get(row).filter(|name| *name != UNKNOWN_PROVIDER);
                self.deliver(known.or_else(|| domains.get(row)), time_us);
            }
        }
        Ok(())
    }

    fn deliver(&mut self, provider: Option<&str>, time_us: Option<i64>) {
        let (Some(provider), Some(time_us)) = (provider, time_us) else { return };
        let Some(provider) = self.providers.get_mut(provider) else { return };
        provider.alive = true;
        let hour_us = time_us.div_euclid(HOUR_US) * HOUR_US;
        if let Some(hour) = provider.hours.get_mut(&hour_us) {
            hour.delivered += 1;
        }
    }
}

fn hash(recipient: &str) -> u64 {
    xxh3_64(recipient.as_bytes())
}
