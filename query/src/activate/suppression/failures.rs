//! The bounces and complaints of the lake, by recipient, and the hours in which much failed: all from one
//! reading, because what it costs is finding few rows among many.
//!
//! Invariant: what is no evidence suppresses nobody (echoes, automatic answers, refusals of a rate, test and
//! simulator mail), and nothing else is left out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use hearback_schemas::BounceClass;
use hearback_traffic::number_of;

use super::columns::{Flags, Numbers, Texts};
use super::facts::{Bounce, Complaint, Facts, Origin, Report};
use super::freeze::{FailedHour, HOUR_US};
use super::policy::{Blame, Weight, blame, weight};
use super::settings::Settings;
use super::statement::{Inquiry, event_number, quoted, quoted_list};
use crate::engine::EngineError;

/// What failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// By recipient.
    pub(super) suspects: HashMap<String, Suspect>,
    /// Hours in which so many recipients of a provider failed that it may not be about them.
    pub(super) hours: Vec<FailedHour>,
}

/// A recipient with failures, and how many of them may count.
#[derive(Debug, Default)]
pub(super) struct Suspect {
    pub(super) facts: Facts,
    /// Whether one of its failures may be enough.
    alone: bool,
    soft: u64,
    full: u64,
}

impl Suspect {
    /// Whether the policy might suppress it. Windows, outages and pardons are judged later.
    pub(super) fn may_be_suppressed(&self, settings: &Settings) -> bool {
        self.alone || self.soft >= settings.soft.failures || self.full >= settings.full.failures
    }

    fn weigh(&mut self, weight: Weight) {
        match weight {
            Weight::Alone => self.alone = true,
            Weight::Soft => self.soft += 1,
            Weight::Full => self.full += 1,
            Weight::None => {}
        }
    }
}

/// Reads the failures of everybody.
///
/// # Errors
/// As the engine fails.
pub(super) async fn of_everybody(inquiry: &Inquiry<'_>) -> Result<Failures, EngineError> {
    let mut reading = Reading::new(inquiry);
    reading.read("").await?;
    Ok(reading.finish())
}

/// Reads the failures of one recipient. The hours are not told: they are about everybody.
///
/// # Errors
/// As the engine fails.
pub(super) async fn of_one(
    inquiry: &Inquiry<'_>,
    recipient: &str,
) -> Result<HashMap<String, Suspect>, EngineError> {
    let mut reading = Reading::new(inquiry);
    reading.read(&format!("AND recipient = {}", quoted(recipient))).await?;
    let messages: HashSet<String> = std::mem::take(&mut reading.reported);
    if !messages.is_empty() {
        // Whoever else the same reports name.
        let messages = quoted_list(messages.iter().map(String::as_str));
        let others = format!(
            "AND event_type = 'complaint' AND message_id IN ({messages}) AND recipient <> {}",
            quoted(recipient)
        );
        reading.read(&others).await?;
    }
    let mut suspects = reading.finish().suspects;
    suspects.retain(|name, _| name == recipient);
    Ok(suspects)
}

/// A report of a complaint, as far as it concerns one provider: message, time and provider.
type ReportId = (u64, i64, String);

struct Reading<'a> {
    inquiry: &'a Inquiry<'a>,
    suspects: HashMap<String, Suspect>,
    /// Complaints, each with the recipient that it may be of, until it is known whom else they name.
    complaints: Vec<(String, Option<ReportId>, Complaint)>,
    /// Recipients that a report names.
    accused: HashMap<ReportId, HashSet<u64>>,
    /// Messages that were complained about.
    reported: HashSet<String>,
    /// Recipients that failed, by provider and start of the hour in microseconds since 1970.
    failed: HashMap<String, HashMap<i64, HashSet<u64>>>,
    origins: HashSet<Arc<Origin>>,
    tenants: HashSet<String>,
}

impl<'a> Reading<'a> {
    fn new(inquiry: &'a Inquiry<'a>) -> Self {
        Self {
            inquiry,
            suspects: HashMap::new(),
            complaints: Vec::new(),
            accused: HashMap::new(),
            reported: HashSet::new(),
            failed: HashMap::new(),
            origins: HashSet::new(),
            tenants: inquiry.settings.tenants().into_iter().map(str::to_owned).collect(),
        }
    }

    async fn read(&mut self, only: &str) -> Result<(), EngineError> {
        let sql = include_str!("../../../sql/suppression/failures.sql");
        self.inquiry.for_each(sql, only, |batch| self.take(&Columns::of(batch)?)).await
    }

    fn take(&mut self, columns: &Columns) -> Result<(), EngineError> {
        for row in 0..columns.types.len() {
            let Some(recipient) = columns.recipients.get(row) else { continue };
            let Some(time_us) = columns.times.get(row) else { continue };
            let provider = columns.providers.get(row);
            let complains = columns.types.get(row) == Some("complaint");
            if !complains {
                self.fail(recipient, provider, time_us);
            }
            if columns.test.get(row) {
                continue;
            }
            if complains {
                self.complain(columns, row, recipient, time_us);
            } else {
                self.bounce(columns, row, recipient, time_us);
            }
        }
        Ok(())
    }

    /// Notes that a recipient failed, whatever it is evidence of.
    fn fail(&mut self, recipient: &str, provider: Option<&str>, time_us: i64) {
        let Some(provider) = provider else { return };
        if !self.failed.contains_key(provider) {
            self.failed.insert(provider.to_owned(), HashMap::new());
        }
        if let Some(hours) = self.failed.get_mut(provider) {
            let hour_us = time_us.div_euclid(HOUR_US) * HOUR_US;
            hours.entry(hour_us).or_default().insert(number_of(recipient));
        }
    }

    fn bounce(&mut self, columns: &Columns, row: usize, recipient: &str, time_us: i64) {
        let Some(class) = columns.classes.get(row).and_then(class_named) else { return };
        let kind = columns.bounce_types.get(row);
        let blame = blame(class, kind);
        if blame == Blame::Nothing {
            return;
        }
        let bounce = Bounce {
            event_id: columns.event(row),
            time_us,
            message: columns.message(row),
            sent_us: columns.sent_times.get(row),
            named: None,
            origin: self.origin(columns, row),
            class,
            blame,
        };
        let suspect = self.suspect(recipient, columns.providers.get(row));
        suspect.weigh(weight(class, kind));
        suspect.facts.bounces.push(bounce);
    }

    fn complain(&mut self, columns: &Columns, row: usize, recipient: &str, time_us: i64) {
        let report = match columns.complaint_types.get(row) {
            Some(kind) if kind.eq_ignore_ascii_case("not-spam") => Report::NotSpam,
            Some(kind) if kind.eq_ignore_ascii_case("auth-failure") => Report::AuthFailure,
            _ => Report::Accuses,
        };
        let message = columns.message(row);
        let complaint = Complaint {
            event_id: columns.event(row),
            time_us,
            message,
            origin: self.origin(columns, row),
            report,
            accused: 1,
        };
        let mut report_id = None;
        if let (Some(name), Some(provider)) =
            (columns.messages.get(row), columns.providers.get(row))
        {
            let id = (message, time_us, provider.to_owned());
            self.accused.entry(id.clone()).or_default().insert(number_of(recipient));
            self.reported.insert(name.to_owned());
            report_id = Some(id);
        }
        self.suspect(recipient, columns.providers.get(row)).weigh(Weight::Alone);
        self.complaints.push((recipient.to_owned(), report_id, complaint));
    }

    fn suspect(&mut self, recipient: &str, provider: Option<&str>) -> &mut Suspect {
        let suspect = self.suspects.entry(recipient.to_owned()).or_default();
        if suspect.facts.recipient.is_empty() {
            recipient.clone_into(&mut suspect.facts.recipient);
        }
        suspect.facts.name_provider(provider);
        suspect
    }

    /// Whose traffic a row is: few senders share many rows.
    fn origin(&mut self, columns: &Columns, row: usize) -> Arc<Origin> {
        let tenant = columns.tenants.owned(row).filter(|tenant| self.tenants.contains(tenant));
        let (account, region) = (columns.accounts.owned(row), columns.regions.owned(row));
        let origin = Origin { account, region, tenant };
        if let Some(known) = self.origins.get(&origin) {
            return Arc::clone(known);
        }
        let origin = Arc::new(origin);
        self.origins.insert(Arc::clone(&origin));
        origin
    }

    fn finish(mut self) -> Failures {
        for (recipient, report, mut complaint) in self.complaints {
            let accused =
                report.and_then(|report| self.accused.get(&report)).map_or(1, HashSet::len);
            complaint.accused = u32::try_from(accused).unwrap_or(u32::MAX);
            if let Some(suspect) = self.suspects.get_mut(&recipient) {
                suspect.facts.complaints.push(complaint);
            }
        }
        let least = self.inquiry.settings.freeze.recipients;
        let mut hours = Vec::new();
        for (provider, of_provider) in self.failed {
            for (hour_us, recipients) in of_provider {
                let failed = recipients.len() as u64;
                if failed >= least {
                    hours.push(FailedHour { provider: provider.clone(), hour_us, failed });
                }
            }
        }
        Failures { suspects: self.suspects, hours }
    }
}

struct Columns {
    events: Texts,
    types: Texts,
    recipients: Texts,
    times: Numbers,
    sent_times: Numbers,
    messages: Texts,
    classes: Texts,
    bounce_types: Texts,
    complaint_types: Texts,
    accounts: Texts,
    regions: Texts,
    tenants: Texts,
    providers: Texts,
    test: Flags,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, EngineError> {
        let text = |name: &str| Texts::of(batch, name);
        Ok(Self {
            events: text("event_id")?,
            types: text("event_type")?,
            recipients: text("recipient")?,
            times: Numbers::of(batch, "event_time")?,
            sent_times: Numbers::of(batch, "sent_time")?,
            messages: text("message_id")?,
            classes: text("bounce_class")?,
            bounce_types: text("bounce_type")?,
            complaint_types: text("complaint_type")?,
            accounts: text("account_id")?,
            regions: text("region")?,
            tenants: text("tenant")?,
            providers: text("provider")?,
            test: Flags::of(batch, "test")?,
        })
    }

    fn event(&self, row: usize) -> u128 {
        event_number(self.events.get(row))
    }

    /// A failure without a message is a message of its own.
    fn message(&self, row: usize) -> u64 {
        let name = self.messages.get(row).or_else(|| self.events.get(row));
        name.map_or(0, number_of)
    }
}

fn class_named(word: &str) -> Option<BounceClass> {
    BounceClass::ALL.into_iter().find(|class| class.as_str() == word)
}
