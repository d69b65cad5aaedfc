//! What is asked of the traffic, who reads it, and what was found.
//!
//! Invariant: whatever is asked, an event is looked at once and nothing of it is kept. Memory: 21 bytes for
//! each active recipient, about 100 for each recipient that is watched and 9 more for each reader, and about
//! 100 for each hour that is asked about.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, DictionaryArray, PrimitiveArray, RecordBatch, StringViewArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use hashbrown::HashMap;

use crate::coded::{Lookup, Meanings, coded, column};
use crate::distinct::{Distinct, Waiting};
use crate::number_of;
use crate::watched::Watched;

const HOUR_US: i64 = 3_600_000_000;
/// What events say of a provider that nobody knows by name: then the domain stands for it.
const UNKNOWN_PROVIDER: &str = "other";

/// What an event may tell, as bits.
const SENT: u8 = 1;
const DELIVERED: u8 = 1 << 1;
/// If a person did it.
const ENGAGED: u8 = 1 << 2;
const BOUNCED: u8 = 1 << 3;
const EVIDENCE: u8 = SENT | DELIVERED | ENGAGED;
const ACTIVE: u8 = SENT | DELIVERED | BOUNCED;

/// What is asked, and what was found so far.
#[derive(Debug)]
pub struct Survey {
    /// The first day whose events are evidence, in days since 1970.
    since: i32,
    /// Days that tell who is active.
    active_days: Option<RangeInclusive<i32>>,
    watched: Watched,
    /// Places of providers in `hours`.
    providers: HashMap<String, u32>,
    /// For each provider its hours, by their start in microseconds since 1970.
    hours: Vec<HashMap<i64, u64>>,
    active: Distinct,
    found: Mutex<Found>,
}

/// What the traffic says of a recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether a Send names it.
    pub mailed: bool,
    /// The newest delivery, or open or click by a person, in microseconds since 1970.
    pub last_success_us: Option<i64>,
}

/// What the traffic says of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Whether it took any message at all.
    pub any: bool,
    /// Messages that it took, by the start of each hour that was asked about.
    pub by_hour: HashMap<i64, u64>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Of the recipients that were watched, in their order.
    pub recipients: Vec<Seen>,
    /// Of the providers that were asked about.
    pub providers: HashMap<String, Delivered>,
    /// Recipients that are active; 0 if no days were given.
    pub active: u64,
    /// Whether there is any Send: not every sender records them.
    pub sends: bool,
}

/// Reads some of the batches. There may be several, each on its own thread.
#[derive(Debug)]
pub struct Reader {
    survey: Arc<Survey>,
    recipients: Vec<Seen>,
    /// In the order of [`Survey::hours`].
    delivered: Vec<Delivered>,
    sends: bool,
    waiting: Waiting,
    names: Names,
}

/// What the names of providers and the domains of a batch mean.
#[derive(Debug, Default)]
struct Names {
    providers: Lookup<Provider>,
    domains: Lookup<Provider>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    /// One that was asked about, by its place.
    Asked(u32),
    NotAsked,
    /// Whatever the domain says.
    OfDomain,
}

/// The columns that tell a provider.
struct ProviderColumns {
    names: DictionaryArray<Int32Type>,
    domains: DictionaryArray<Int32Type>,
}

impl Survey {
    /// Asks about `recipients`, each named once, and about hours of providers, by their start in
    /// microseconds since 1970. `since` is the first day whose events are evidence, `active_days` are those
    /// that tell who is active, in days since 1970.
    #[must_use]
    pub fn new(
        since: i32,
        active_days: Option<RangeInclusive<i32>>,
        recipients: Vec<Box<str>>,
        hours: impl Iterator<Item = (String, i64)>,
    ) -> Self {
        let mut survey = Self {
            since,
            active_days,
            watched: Watched::new(recipients),
            providers: HashMap::new(),
            hours: Vec::new(),
            active: Distinct::default(),
            found: Mutex::default(),
        };
        for (provider, hour_us) in hours {
            // Fewer than there are domains.
            let next = survey.hours.len() as u32;
            let place = *survey.providers.entry(provider).or_insert(next);
            if place == next {
                survey.hours.push(HashMap::new());
            }
            survey.hours[place as usize].insert(hour_us, 0);
        }
        survey
    }

    /// One that reads.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Reader {
        let delivered =
            |hours: &HashMap<i64, u64>| Delivered { any: false, by_hour: hours.clone() };
        Reader {
            recipients: vec![Seen::default(); self.watched.len()],
            delivered: self.hours.iter().map(delivered).collect(),
            sends: false,
            waiting: Waiting::default(),
            names: Names::default(),
            survey: Arc::clone(self),
        }
    }

    /// What all readers found that have finished.
    #[must_use]
    pub fn found(&self) -> Found {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        found.recipients.resize(self.watched.len(), Seen::default());
        found.active = self.active.len();
        found
    }

    /// What events of a day are good for.
    fn counts_on(&self, day: i32) -> (u8, u8) {
        let evidence = if day >= self.since { EVIDENCE } else { 0 };
        let active = self.active_days.as_ref().is_some_and(|days| days.contains(&day));
        (evidence, if active { ACTIVE } else { 0 })
    }
}

impl Seen {
    fn and(&mut self, other: &Self) {
        self.mailed |= other.mailed;
        self.last_success_us = self.last_success_us.max(other.last_success_us);
    }
}

impl Reader {
    /// Looks at some events.
    ///
    /// # Errors
    /// If a column of [`COLUMNS`](crate::COLUMNS) is missing, or of another type.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let kinds = Meanings::of(batch, "event_type", |kind| match kind {
            "send" => SENT,
            "delivery" => DELIVERED,
            "open" | "click" => ENGAGED,
            "bounce" => BOUNCED,
            _ => 0,
        })?;
        let by_mail = Meanings::of(batch, "channel", |channel| channel == "email")?;
        let by_person = Meanings::of(batch, "actor", |actor| matches!(actor, "human" | "proxy"))?;
        let recipients = cast(column(batch, "recipient")?, &DataType::Utf8View)?;
        let recipients: &StringViewArray = recipients.as_string_view();
        let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
        let times = cast(column(batch, "event_time")?, &instant)?;
        let times: &PrimitiveArray<TimestampMicrosecondType> = times.as_primitive();
        let providers = self.names.meet(batch)?;
        let dates = cast(column(batch, "event_date")?, &DataType::Date32)?;
        let dates: &PrimitiveArray<Date32Type> = dates.as_primitive();

        let survey = Arc::clone(&self.survey);
        let mut end = 0;
        // A file is of one day.
        for days in dates.values().chunk_by(|this, next| this == next) {
            let rows = end..end + days.len();
            end = rows.end;
            let (evidence, active) = survey.counts_on(days[0]);
            for row in rows {
                let kind = kinds.at(row);
                if kind & (evidence | active) == 0
                    || recipients.is_null(row)
                    || !by_mail.at(row)
                    || (kind == ENGAGED && !by_person.at(row))
                {
                    continue;
                }
                let recipient = recipients.value(row);
                let number = number_of(recipient);
                if kind & active != 0 {
                    survey.active.add(number, &mut self.waiting);
                }
                if kind & evidence == 0 {
                    continue;
                }
                let time_us = times.is_valid(row).then(|| times.value(row));
                self.sends |= kind == SENT;
                if let Some(place) = survey.watched.find(number, recipient) {
                    let is = match kind {
                        SENT => Seen { mailed: true, last_success_us: None },
                        _ => Seen { mailed: false, last_success_us: time_us },
                    };
                    self.recipients[place].and(&is);
                }
                if let (DELIVERED, Some(time_us)) = (kind, time_us)
                    && let Some(place) = self.names.asked(&survey, &providers, row)
                {
                    self.delivered[place as usize].count(time_us);
                }
            }
        }
        Ok(())
    }

    /// Adds what was found to that of the others.
    pub fn finish(mut self) {
        self.survey.active.add_rest(&mut self.waiting);
        let mut found = self.survey.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.recipients.resize(self.recipients.len(), Seen::default());
        for (sum, more) in found.recipients.iter_mut().zip(&self.recipients) {
            sum.and(more);
        }
        for (name, place) in &self.survey.providers {
            let more = &self.delivered[*place as usize];
            let sum = found.providers.entry(name.clone()).or_default();
            sum.any |= more.any;
            for (hour_us, messages) in &more.by_hour {
                *sum.by_hour.entry(*hour_us).or_default() += messages;
            }
        }
        found.sends |= self.sends;
    }
}

impl Names {
    fn meet(&mut self, batch: &RecordBatch) -> Result<ProviderColumns, ArrowError> {
        let names = coded(batch, "mailbox_provider")?;
        let domains = coded(batch, "recipient_domain")?;
        self.providers.meet(&names);
        self.domains.meet(&domains);
        Ok(ProviderColumns { names, domains })
    }

    /// The place of a row's provider, if that was asked about.
    #[inline]
    fn asked(&mut self, survey: &Survey, columns: &ProviderColumns, row: usize) -> Option<u32> {
        let named = |name: &str| match survey.providers.get(name) {
            Some(place) => Provider::Asked(*place),
            None => Provider::NotAsked,
        };
        let known = |name: &str| match name {
            UNKNOWN_PROVIDER => Provider::OfDomain,
            name => named(name),
        };
        let provider = self.providers.at(&columns.names, row, known).unwrap_or(Provider::OfDomain);
        let provider = match provider {
            Provider::OfDomain => self.domains.at(&columns.domains, row, named)?,
            provider => provider,
        };
        match provider {
            Provider::Asked(place) => Some(place),
            Provider::NotAsked | Provider::OfDomain => None,
        }
    }
}

impl Delivered {
    #[inline]
    fn count(&mut self, time_us: i64) {
        self.any = true;
        let hour_us = time_us.div_euclid(HOUR_US) * HOUR_US;
        if let Some(messages) = self.by_hour.get_mut(&hour_us) {
            *messages += 1;
        }
    }
}
