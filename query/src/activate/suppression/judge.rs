//! From facts to decisions: which address goes on which lists, why, and until when.
//!
//! Pure: no clock, no store. Invariants: an address is suppressed only on evidence that names it;
//! evidence from before a delivery, before a person's click, before somebody's pardon or from a frozen hour
//! suppresses nobody; events that come twice count once, and their order never matters.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::facts::{Bounce, Complaint, Facts, Origin, Report};
use super::freeze::Freeze;
use super::list::Reason;
use super::policy::{Blame, Scope, names};
use super::settings::{Repeated, Settings};

/// Events named as evidence of one decision, the newest ones.
pub const EVIDENCE_SHOWN: usize = 10;

/// What a decision does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Stand on the list for this reason.
    Suppress(Reason),
    /// Be left out of segments.
    Pause,
}

/// An event that a decision rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// When it happened, in microseconds since 1970, where that is known.
    pub time_us: Option<i64>,
    /// Its identity.
    pub event_id: u128,
    /// The address that it names, if it is not the recipient.
    pub named: Option<Arc<str>>,
}

/// What the policy wants for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The address, as events spell it.
    pub recipient: String,
    /// The rule.
    pub rule: String,
    /// What it does.
    pub effect: Effect,
    /// To which lists.
    pub scope: Scope,
    /// Where the evidence comes from; what `Local` is local to.
    pub origin: Arc<Origin>,
    /// The newest events that it rests on.
    pub evidence: Vec<Evidence>,
    /// When the newest of them happened, in microseconds since 1970.
    pub evidence_us: i64,
    /// When it ends; None for never.
    pub expires_us: Option<i64>,
    /// Evidence in words, where a rule of one's own gave it.
    pub note: Option<String>,
}

/// A complaint that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// The report that says so.
    pub event_id: u128,
    /// When, in microseconds since 1970.
    pub time_us: i64,
    /// Whose list it concerns.
    pub tenant: Option<String>,
}

/// Everything that came of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What the policy wants.
    pub decisions: Vec<Decision>,
    /// Complaints taken back.
    pub cleared: Vec<Cleared>,
    /// Failures that were set aside because their hour is frozen.
    pub frozen: usize,
    /// Newest permanent bounce that was the sender's fault, if nothing blames the recipient.
    pub senders_fault: Option<(u128, i64)>,
}

/// Judges one recipient at an instant. What happened at or before `pardoned_us` is forgiven.
#[must_use]
pub fn judge(
    facts: &Facts,
    settings: &Settings,
    freeze: &Freeze,
    pardoned_us: Option<i64>,
    now_us: i64,
) -> Verdict {
    let mut verdict = Verdict::default();
    if settings.allow.holds(&facts.recipient) {
        return verdict;
    }
    let case = Case { facts, settings, now_us, pardoned_us: pardoned_us.unwrap_or(i64::MIN) };
    let counted = case.counted_bounces(freeze, &mut verdict);

    let tenants: BTreeSet<Option<String>> = counted
        .iter()
        .map(|bounce| bounce.origin.tenant.clone())
        .chain(facts.complaints.iter().map(|complaint| complaint.origin.tenant.clone()))
        .collect();
    for tenant in tenants {
        let complaints: Vec<&Complaint> =
            facts.complaints.iter().filter(|complaint| complaint.origin.tenant == tenant).collect();
        let bounces: Vec<&Bounce> =
            counted.iter().copied().filter(|bounce| bounce.origin.tenant == tenant).collect();
        if let Some(cleared) = cleared(&complaints) {
            verdict.cleared.push(Cleared { tenant: tenant.clone(), ..cleared });
        }
        if let Some(decision) = case.complaint(&complaints) {
            verdict.decisions.push(decision);
        } else if let Some(decision) = case.hard(&bounces) {
            verdict.decisions.push(decision);
        } else {
            verdict.decisions.extend(case.soft(&bounces));
            verdict.decisions.extend(case.full(&bounces));
        }
    }
    let blamed = facts.bounces.iter().any(|bounce| matches!(bounce.blame, Blame::Hard(_)));
    if !blamed && facts.complaints.is_empty() {
        verdict.senders_fault = facts
            .bounces
            .iter()
            .filter(|bounce| bounce.blame == Blame::Sender)
            .map(|bounce| (bounce.event_id, bounce.time_us))
            .max_by_key(|(_, time)| *time);
    }
    verdict
}

struct Case<'a> {
    facts: &'a Facts,
    settings: &'a Settings,
    now_us: i64,
    pardoned_us: i64,
}

impl Case<'_> {
    /// Bounces that can be evidence: after the last success and the pardon, outside frozen hours.
    fn counted_bounces(&self, freeze: &Freeze, verdict: &mut Verdict) -> Vec<&Bounce> {
        let after = self.facts.last_success_us.unwrap_or(i64::MIN).max(self.pardoned_us);
        let mut counted = Vec::new();
        for bounce in &self.facts.bounces {
            if matches!(bounce.blame, Blame::Sender | Blame::Nothing) || bounce.time_us <= after {
                continue;
            }
            if freeze.holds(&self.facts.provider, bounce.time_us) {
                verdict.frozen += 1;
                continue;
            }
            counted.push(bounce);
        }
        counted
    }

    fn complaint(&self, complaints: &[&Complaint]) -> Option<Decision> {
        if !self.settings.enabled(names::COMPLAINT) {
            return None;
        }
        let wanted_us = newest(complaints, Report::NotSpam).map(|complaint| complaint.time_us);
        let after = wanted_us.unwrap_or(i64::MIN).max(self.pardoned_us);
        let accusing: Vec<&Complaint> = complaints
            .iter()
            .copied()
            .filter(|complaint| complaint.report == Report::Accuses && complaint.time_us > after)
            .collect();
        let alone = accusing.iter().any(|complaint| complaint.accused <= 1);
        let messages: BTreeSet<u64> = accusing.iter().map(|complaint| complaint.message).collect();
        if !alone && messages.len() < 2 {
            return None;
        }
        let latest =
            accusing.iter().max_by_key(|complaint| (complaint.time_us, complaint.event_id))?;
        let events = accusing.iter().map(|complaint| Evidence {
            time_us: Some(complaint.time_us),
            event_id: complaint.event_id,
            named: None,
        });
        self.decision(
            names::COMPLAINT,
            Effect::Suppress(Reason::Complaint),
            Scope::Everywhere,
            &latest.origin,
            events.collect(),
        )
    }

    /// One bounce that is enough, the one that lasts longest.
    fn hard(&self, bounces: &[&Bounce]) -> Option<Decision> {
        let mut by_rule: BTreeMap<&'static str, Vec<&Bounce>> = BTreeMap::new();
        for bounce in bounces {
            if let Blame::Hard(rule) = bounce.blame
                && self.settings.enabled(rule)
            {
                by_rule.entry(rule).or_default().push(bounce);
            }
        }
        let mut best: Option<Decision> = None;
        for (rule, bounces) in by_rule {
            let Some(latest) =
                bounces.iter().max_by_key(|bounce| (bounce.time_us, bounce.event_id))
            else {
                continue;
            };
            let events = bounces.iter().map(|bounce| evidence(bounce)).collect();
            let effect = Effect::Suppress(Reason::Bounce);
            let Some(decision) =
                self.decision(rule, effect, Scope::Everywhere, &latest.origin, events)
            else {
                continue;
            };
            let lasts = |decision: &Decision| decision.expires_us.unwrap_or(i64::MAX);
            if best.as_ref().is_none_or(|best| lasts(&decision) > lasts(best)) {
                best = Some(decision);
            }
        }
        best
    }

    /// Repeated failures on the way, for each account and Region by itself.
    fn soft(&self, bounces: &[&Bounce]) -> Vec<Decision> {
        if !self.settings.enabled(names::SOFT) {
            return Vec::new();
        }
        let mut by_origin: BTreeMap<&Arc<Origin>, Vec<&Bounce>> = BTreeMap::new();
        for bounce in bounces.iter().filter(|bounce| bounce.blame == Blame::Soft) {
            by_origin.entry(&bounce.origin).or_default().push(bounce);
        }
        let mut decisions = Vec::new();
        for (origin, bounces) in by_origin {
            if let Some(events) = repeated(&bounces, self.settings.soft) {
                let effect = Effect::Suppress(Reason::Bounce);
                decisions.extend(self.decision(names::SOFT, effect, Scope::Local, origin, events));
            }
        }
        decisions
    }

    /// A mailbox that stays full.
    fn full(&self, bounces: &[&Bounce]) -> Option<Decision> {
        if !self.settings.enabled(names::FULL) {
            return None;
        }
        let full: Vec<&Bounce> =
            bounces.iter().copied().filter(|bounce| bounce.blame == Blame::Full).collect();
        let events = repeated(&full, self.settings.full)?;
        let latest = full.iter().max_by_key(|bounce| (bounce.time_us, bounce.event_id))?;
        self.decision(names::FULL, Effect::Pause, Scope::Everywhere, &latest.origin, events)
    }

    /// A decision, unless it has ended already.
    fn decision(
        &self,
        rule: &str,
        effect: Effect,
        scope: Scope,
        origin: &Arc<Origin>,
        mut events: Vec<Evidence>,
    ) -> Option<Decision> {
        events.sort_unstable_by(|a, b| b.cmp(a));
        events.dedup();
        let evidence_us = events.first()?.time_us?;
        events.truncate(EVIDENCE_SHOWN);
        let expires_us = self.settings.expiry(rule, evidence_us);
        if expires_us.is_some_and(|expires| expires <= self.now_us) {
            return None;
        }
        Some(Decision {
            recipient: self.facts.recipient.clone(),
            rule: rule.to_owned(),
            effect,
            scope,
            origin: Arc::clone(origin),
            evidence: events,
            evidence_us,
            expires_us,
            note: None,
        })
    }
}

/// The last failure of each message, if there are enough messages over a long enough time.
fn repeated(bounces: &[&Bounce], limits: Repeated) -> Option<Vec<Evidence>> {
    let mut messages: HashMap<u64, &Bounce> = HashMap::new();
    for bounce in bounces {
        let last = messages.entry(bounce.message).or_insert(bounce);
        if (bounce.time_us, bounce.event_id) > (last.time_us, last.event_id) {
            *last = bounce;
        }
    }
    let first = messages.values().map(|bounce| bounce.time_us).min()?;
    let last = messages.values().map(|bounce| bounce.time_us).max()?;
    let enough = messages.len() as u64 >= limits.failures && last - first >= limits.window_us;
    enough.then(|| messages.into_values().map(evidence).collect())
}

fn evidence(bounce: &Bounce) -> Evidence {
    Evidence {
        time_us: Some(bounce.time_us),
        event_id: bounce.event_id,
        named: bounce.named.clone(),
    }
}

/// A not-spam report that is newer than every accusation, of which there was one.
fn cleared(complaints: &[&Complaint]) -> Option<Cleared> {
    let wanted = newest(complaints, Report::NotSpam)?;
    let accused = newest(complaints, Report::Accuses)?;
    (accused.time_us <= wanted.time_us).then_some(Cleared {
        event_id: wanted.event_id,
        time_us: wanted.time_us,
        tenant: None,
    })
}

fn newest<'a>(complaints: &[&'a Complaint], report: Report) -> Option<&'a Complaint> {
    complaints
        .iter()
        .copied()
        .filter(|complaint| complaint.report == report)
        .max_by_key(|complaint| (complaint.time_us, complaint.event_id))
}
