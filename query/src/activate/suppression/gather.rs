//! Asks the lake for the facts that the policy judges.
//!
//! Invariant: who comes out is a superset of whom the policy suppresses; nothing is judged here. Memory
//! is bounded by the recipients with a failure that may count, about 300 bytes for each of them and 100
//! for each of their bounces; everything else is streamed.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::StreamExt;
use hearback_schemas::BounceClass;
use jiff::Timestamp;

use super::columns::{Numbers, Texts};
use super::facts::{Bounce, Complaint, Facts, Origin, Report};
use super::freeze::FrozenHour;
use super::policy::blame;
use super::settings::Settings;
use crate::engine::{Engine, EngineError};

/// Values in one list of a statement.
const LIST_LENGTH: usize = 500;
const DAY_US: i64 = 86_400_000_000;

/// Which recipients are asked about.
#[derive(Clone, Debug)]
pub enum Whom {
    /// Everybody with a failure that may count.
    Everybody,
    /// One recipient, with or without failures.
    One(String),
}

/// What the lake says.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Facts, one for each recipient, in no order.
    pub facts: Vec<Facts>,
    /// Hours that were too bad to be about addresses.
    pub frozen: Vec<FrozenHour>,
    /// Bounces that name an address which was not mailed, of messages to several recipients: they
    /// accuse nobody.
    pub unattributed: u64,
}

/// Asks for the facts of the time up to `now_us`, in microseconds since 1970.
///
/// # Errors
/// As the engine fails.
pub async fn gather(
    engine: &Engine,
    settings: &Settings,
    whom: &Whom,
    since_us: i64,
) -> Result<Gathered, EngineError> {
    let mut gathering = Gathering {
        engine,
        settings,
        since: date(since_us),
        only: match whom {
            Whom::Everybody => String::new(),
            Whom::One(recipient) => format!("AND recipient = {}", quoted(recipient)),
        },
        facts: HashMap::new(),
        origins: HashSet::new(),
        tenants: settings.tenants().into_iter().map(str::to_owned).collect(),
    };
    let everybody = matches!(whom, Whom::Everybody);
    gathering.candidates(everybody).await?;
    gathering.bounces().await?;
    gathering.complaints().await?;
    let unattributed = gathering.readdress().await?;
    let frozen = gathering.frozen(everybody).await?;
    let facts = gathering.facts.into_values().collect();
    Ok(Gathered { facts, frozen, unattributed })
}

/// How many recipients were active in the time before the newest event.
///
/// # Errors
/// As the engine fails.
pub async fn active_recipients(
    engine: &Engine,
    active_us: i64,
    now_us: i64,
) -> Result<u64, EngineError> {
    let newest = include_str!("../../../sql/suppression/newest.sql");
    let newest = newest.replace("{today}", &date(now_us));
    let mut until_us = None;
    for_each(engine, &newest, |batch| {
        let days = Numbers::of(batch, "newest")?;
        until_us = (0..batch.num_rows()).find_map(|row| days.get(row)).map(|day| day * DAY_US);
        Ok(())
    })
    .await?;
    let Some(until_us) = until_us else { return Ok(0) };
    let sql = include_str!("../../../sql/suppression/active.sql")
        .replace("{since}", &date(until_us - active_us))
        .replace("{until}", &date(until_us));
    let mut active = 0;
    for_each(engine, &sql, |batch| {
        let counts = Numbers::of(batch, "active")?;
        active = (0..batch.num_rows()).find_map(|row| counts.get(row)).unwrap_or(0);
        Ok(())
    })
    .await?;
    Ok(active.unsigned_abs())
}

/// Runs a statement and hands on its batches as they come.
pub(crate) async fn for_each(
    engine: &Engine,
    sql: &str,
    mut take: impl FnMut(&RecordBatch) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let statement = engine.plan(sql).await?;
    let mut stream = statement.stream().await?;
    while let Some(batch) = stream.next().await {
        take(&batch.map_err(|error| EngineError::running(&error))?)?;
    }
    Ok(())
}

/// The day of an instant, as SQL writes it.
pub(super) fn date(us: i64) -> String {
    let instant = Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.strftime("%Y-%m-%d").to_string()
}

/// A text as SQL writes it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The identity of an event as a number; 0 for what is none.
pub(super) fn event_number(id: Option<&str>) -> u128 {
    id.and_then(|id| u128::from_str_radix(id, 16).ok()).unwrap_or(0)
}

struct Gathering<'a> {
    engine: &'a Engine,
    settings: &'a Settings,
    since: String,
    only: String,
    facts: HashMap<String, Facts>,
    origins: HashSet<Arc<Origin>>,
    tenants: HashSet<String>,
}

impl Gathering<'_> {
    fn sql(&self, template: &str, only: &str) -> String {
        let test: Vec<String> = self
            .settings
            .test_tags
            .iter()
            .map(|tag| format!("AND tags[{}] IS NULL", quoted(tag)))
            .collect();
        template
            .replace("{since}", &self.since)
            .replace("{only}", only)
            .replace("{test}", &test.join(" "))
            .replace("{soft}", &self.settings.soft.failures.to_string())
            .replace("{full}", &self.settings.full.failures.to_string())
            .replace("{recipients}", &self.settings.freeze.recipients.to_string())
            .replace("{share}", &(self.settings.freeze.share as f64 / 1e6).to_string())
    }

    /// Everybody who may have to be suppressed; or the one who is asked about, whatever there is.
    async fn candidates(&mut self, everybody: bool) -> Result<(), EngineError> {
        let only = self.only.clone();
        self.candidates_of(&only, everybody).await
    }

    async fn candidates_of(&mut self, only: &str, failing: bool) -> Result<(), EngineError> {
        let template = include_str!("../../../sql/suppression/candidates.sql");
        let template = match (failing, template.split_once("HAVING")) {
            (false, Some((before, _))) => before,
            _ => template,
        };
        let sql = self.sql(template, only);
        let facts = &mut self.facts;
        for_each(self.engine, &sql, |batch| {
            let recipients = Texts::of(batch, "recipient")?;
            let providers = Texts::of(batch, "provider")?;
            let successes = Numbers::of(batch, "last_success")?;
            let sends = Numbers::of(batch, "sends")?;
            for row in 0..batch.num_rows() {
                let Some(recipient) = recipients.owned(row) else { continue };
                let entry = facts.entry(recipient.clone()).or_default();
                entry.recipient = recipient;
                entry.provider = providers.owned(row).unwrap_or_default();
                entry.last_success_us = successes.get(row);
                entry.mailed = sends.get(row).unwrap_or(0) > 0;
            }
            Ok(())
        })
        .await
    }

    async fn bounces(&mut self) -> Result<(), EngineError> {
        let sql = self.sql(include_str!("../../../sql/suppression/bounces.sql"), &self.only);
        let Self { engine, facts, origins, tenants, .. } = self;
        for_each(engine, &sql, |batch| {
            let shared = Shared::of(batch)?;
            let classes = Texts::of(batch, "bounce_class")?;
            let kinds = Texts::of(batch, "bounce_type")?;
            for row in 0..batch.num_rows() {
                let Some(entry) = shared.recipient(row).and_then(|name| facts.get_mut(name)) else {
                    continue;
                };
                let class = classes.get(row).and_then(class_named);
                let (Some(class), Some(time_us)) = (class, shared.time(row)) else { continue };
                entry.bounces.push(Bounce {
                    event_id: shared.event(row),
                    time_us,
                    message: shared.message(row),
                    origin: shared.origin(row, origins, tenants),
                    class,
                    blame: blame(class, kinds.get(row)),
                });
            }
            Ok(())
        })
        .await
    }

    async fn complaints(&mut self) -> Result<(), EngineError> {
        let only = self.only.replace("recipient", "reports.recipient");
        let sql = self.sql(include_str!("../../../sql/suppression/complaints.sql"), &only);
        let Self { engine, facts, origins, tenants, .. } = self;
        for_each(engine, &sql, |batch| {
            let shared = Shared::of(batch)?;
            let kinds = Texts::of(batch, "complaint_type")?;
            let accused = Numbers::of(batch, "accused")?;
            for row in 0..batch.num_rows() {
                let Some(entry) = shared.recipient(row).and_then(|name| facts.get_mut(name)) else {
                    continue;
                };
                let Some(time_us) = shared.time(row) else { continue };
                let report = match kinds.get(row) {
                    Some(kind) if kind.eq_ignore_ascii_case("not-spam") => Report::NotSpam,
                    Some(kind) if kind.eq_ignore_ascii_case("auth-failure") => Report::AuthFailure,
                    _ => Report::Accuses,
                };
                let accused = accused.get(row).unwrap_or(1);
                entry.complaints.push(Complaint {
                    event_id: shared.event(row),
                    time_us,
                    message: shared.message(row),
                    origin: shared.origin(row, origins, tenants),
                    report,
                    accused: u32::try_from(accused).unwrap_or(u32::MAX),
                });
            }
            Ok(())
        })
        .await
    }

    /// Gives the bounces of addresses that nobody mailed to the one who was mailed.
    ///
    /// Where the lake has no Send of the message, the address that the bounce names is believed.
    async fn readdress(&mut self) -> Result<u64, EngineError> {
        let strangers: HashMap<u64, Vec<String>> = self.strangers();
        if strangers.is_empty() {
            return Ok(0);
        }
        let mut mailed: HashMap<u64, Vec<String>> = HashMap::new();
        let sql = self.sql(include_str!("../../../sql/suppression/mailed.sql"), "");
        for_each(self.engine, &sql, |batch| {
            let messages = Texts::of(batch, "message_id")?;
            let recipients = Texts::of(batch, "recipient")?;
            for row in 0..batch.num_rows() {
                let Some(message) = messages.get(row).map(message_number) else { continue };
                let Some(recipient) = recipients.get(row) else { continue };
                if strangers.contains_key(&message) {
                    mailed.entry(message).or_default().push(recipient.to_owned());
                }
            }
            Ok(())
        })
        .await?;

        let mut unattributed = 0;
        let mut moved: HashMap<String, Vec<Bounce>> = HashMap::new();
        for (message, recipients) in &mut mailed {
            recipients.sort_unstable();
            recipients.dedup();
            for stranger in strangers.get(message).into_iter().flatten() {
                let Some(entry) = self.facts.get_mut(stranger) else { continue };
                let (theirs, kept) = std::mem::take(&mut entry.bounces)
                    .into_iter()
                    .partition(|bounce| bounce.message == *message);
                entry.bounces = kept;
                match recipients.as_slice() {
                    [only] => moved.entry(only.clone()).or_default().extend::<Vec<Bounce>>(theirs),
                    _ => unattributed += theirs.len() as u64,
                }
            }
        }
        let unknown: Vec<String> =
            moved.keys().filter(|name| !self.facts.contains_key(*name)).cloned().collect();
        for some in unknown.chunks(LIST_LENGTH) {
            let list: Vec<String> = some.iter().map(|name| quoted(name)).collect();
            let only = format!("AND recipient IN ({})", list.join(", "));
            self.candidates_of(&only, false).await?;
        }
        for (recipient, bounces) in moved {
            if let Some(entry) = self.facts.get_mut(&recipient) {
                entry.bounces.extend(bounces);
            }
        }
        Ok(unattributed)
    }

    /// Messages whose bounces name somebody that no Send names, with whom they name.
    fn strangers(&self) -> HashMap<u64, Vec<String>> {
        let mut strangers: HashMap<u64, Vec<String>> = HashMap::new();
        for facts in self.facts.values().filter(|facts| !facts.mailed) {
            let messages: HashSet<u64> =
                facts.bounces.iter().map(|bounce| bounce.message).collect();
            for message in messages {
                strangers.entry(message).or_default().push(facts.recipient.clone());
            }
        }
        strangers
    }

    async fn frozen(&self, everybody: bool) -> Result<Vec<FrozenHour>, EngineError> {
        let only = if everybody {
            String::new()
        } else {
            let providers: HashSet<&str> =
                self.facts.values().map(|facts| facts.provider.as_str()).collect();
            if providers.is_empty() {
                return Ok(Vec::new());
            }
            let list: Vec<String> = providers.into_iter().map(quoted).collect();
            format!(
                "AND coalesce(nullif(mailbox_provider, 'other'), recipient_domain) IN ({})",
                list.join(", ")
            )
        };
        let sql = self.sql(include_str!("../../../sql/suppression/frozen.sql"), &only);
        let mut frozen = Vec::new();
        for_each(self.engine, &sql, |batch| {
            let providers = Texts::of(batch, "provider")?;
            let hours = Numbers::of(batch, "hour")?;
            let failed = Numbers::of(batch, "failed")?;
            let delivered = Numbers::of(batch, "delivered")?;
            for row in 0..batch.num_rows() {
                let (Some(provider), Some(hour_us)) = (providers.owned(row), hours.get(row)) else {
                    continue;
                };
                frozen.push(FrozenHour {
                    provider,
                    hour_us,
                    failed: failed.get(row).unwrap_or(0).unsigned_abs(),
                    delivered: delivered.get(row).unwrap_or(0).unsigned_abs(),
                });
            }
            Ok(())
        })
        .await?;
        Ok(frozen)
    }
}

/// The columns that bounces and complaints share.
struct Shared {
    events: Texts,
    recipients: Texts,
    times: Numbers,
    messages: Texts,
    accounts: Texts,
    regions: Texts,
    tenants: Texts,
}

impl Shared {
    fn of(batch: &RecordBatch) -> Result<Self, EngineError> {
        Ok(Self {
            events: Texts::of(batch, "event_id")?,
            recipients: Texts::of(batch, "recipient")?,
            times: Numbers::of(batch, "event_time")?,
            messages: Texts::of(batch, "message_id")?,
            accounts: Texts::of(batch, "account_id")?,
            regions: Texts::of(batch, "region")?,
            tenants: Texts::of(batch, "tenant")?,
        })
    }

    fn recipient(&self, row: usize) -> Option<&str> {
        self.recipients.get(row)
    }

    fn event(&self, row: usize) -> u128 {
        event_number(self.events.get(row))
    }

    fn time(&self, row: usize) -> Option<i64> {
        self.times.get(row)
    }

    /// A bounce without a message is a message of its own.
    fn message(&self, row: usize) -> u64 {
        let name = self.messages.get(row).or_else(|| self.events.get(row));
        name.map_or(0, message_number)
    }

    fn origin(
        &self,
        row: usize,
        known: &mut HashSet<Arc<Origin>>,
        tenants: &HashSet<String>,
    ) -> Arc<Origin> {
        let origin = Origin {
            account: self.accounts.owned(row),
            region: self.regions.owned(row),
            tenant: self.tenants.owned(row).filter(|tenant| tenants.contains(tenant)),
        };
        if let Some(known) = known.get(&origin) {
            return Arc::clone(known);
        }
        let origin = Arc::new(origin);
        known.insert(Arc::clone(&origin));
        origin
    }
}

fn message_number(message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

fn class_named(word: &str) -> Option<BounceClass> {
    BounceClass::ALL.into_iter().find(|class| class.as_str() == word)
}
