//! From what the policy wants and what the lists hold to the changes: pure, list by list.
//!
//! Invariants: only entries of ours are removed, and only as we left them; a complaint is never made a
//! bounce; what somebody else took off stays off unless there is newer evidence; evidence from before a
//! lift puts nothing back.

use std::collections::{BTreeMap, HashMap};

use super::change::{Action, Change, Outcome};
use super::judge::{Cleared, Decision, Effect, Evidence};
use super::ledger::{Ledger, Standing};
use super::list::{Entry, ListId, ListState, Reason};
use super::plan::{Conflict, EvidenceLine, Inert, Item, TargetPlan};
use super::policy::{POLICY_VERSION, Scope, is_role_address, names, rule};
use super::settings::Settings;

/// SES may put an entry down a little after our request was acknowledged, and clocks differ.
const SLACK_US: i64 = 15 * 60 * 1_000_000;
/// An entry that SES made for a bounce has about the bounce's time.
const SAME_CAUSE_US: i64 = 24 * 3_600 * 1_000_000;

/// Everything that the policy has to say.
#[derive(Debug, Default)]
pub struct Judged {
    /// What it wants.
    pub decisions: Vec<Decision>,
    /// Complaints taken back, by recipient.
    pub cleared: HashMap<String, Vec<Cleared>>,
    /// Newest permanent bounce of recipients that nothing blames.
    pub senders_fault: HashMap<String, (u128, i64)>,
}

/// What the difference of one list depends on.
pub struct Difference<'a> {
    /// All lists that are kept.
    pub lists: &'a [ListId],
    /// What the policy says.
    pub judged: &'a Judged,
    /// What stands.
    pub ledger: &'a Ledger,
    /// The configuration.
    pub settings: &'a Settings,
    /// Now, in microseconds since 1970.
    pub now_us: i64,
    /// Whether what others took off is put back.
    pub restore: bool,
}

impl Difference<'_> {
    /// The changes of one list.
    #[must_use]
    pub fn of(&self, list: &ListId, state: &ListState) -> TargetPlan {
        let mut plan = TargetPlan::new(Some(list));
        plan.list_state = state.digest();
        let wanted = self.wanted(list);
        let mut removed = 0;
        for (recipient, decision) in &wanted {
            if let Some(item) = self.addition(list, state, recipient, decision) {
                plan.items.push(item);
            }
        }
        for (recipient, standing) in self.ledger.on(Some(list)) {
            let Some(added) = &standing.added else { continue };
            let entries = state.of(recipient);
            if entries.is_empty() {
                plan.drift.gone += 1;
                let wanted_anew = plan.items.iter().any(|item| item.recipient == *recipient);
                if !wanted_anew {
                    plan.items.push(self.vanished(added));
                }
                continue;
            }
            if wanted.contains_key(recipient.as_str()) {
                continue;
            }
            self.removal(list, recipient, added, entries, &mut plan);
        }
        self.cleared_by_reports(list, state, &mut plan);
        self.conflicts(list, state, &wanted, &mut plan);
        plan.items.sort_by(|a, b| (a.action, &a.address).cmp(&(b.action, &b.address)));
        for item in &plan.items {
            match item.action {
                Action::Add | Action::Pause | Action::Import => plan.add += 1,
                Action::Remove if item.actor == "outside" => {}
                Action::Remove => {
                    plan.remove += 1;
                    removed += 1;
                }
            }
        }
        plan.keep = (state.len() as u64).saturating_sub(removed);
        plan.drift.not_ours =
            state.entries.keys().filter(|recipient| self.ours(list, recipient).is_none()).count()
                as u64;
        self.inert(state, &mut plan);
        plan
    }

    /// The pauses, which are on no list.
    #[must_use]
    pub fn pauses(&self) -> TargetPlan {
        let mut plan = TargetPlan::new(None);
        for decision in &self.judged.decisions {
            if decision.effect != Effect::Pause {
                continue;
            }
            let standing = self.ledger.standing(None, &decision.recipient);
            let lifted_us = standing.map_or(i64::MIN, Standing::lifted_us);
            if decision.evidence_us <= lifted_us {
                continue;
            }
            let known = standing.and_then(|standing| standing.added.as_ref());
            let covered = known.is_some_and(|known| {
                known
                    .expires_us
                    .is_none_or(|expires| decision.expires_us.is_some_and(|until| until <= expires))
            });
            if covered {
                plan.keep += 1;
                continue;
            }
            let mut item = item_of(decision, Action::Pause, &decision.recipient);
            item.reason = None;
            plan.items.push(item);
        }
        plan.add = plan.items.len() as u64;
        plan.items.sort_by(|a, b| a.address.cmp(&b.address));
        plan
    }

    /// What the policy wants on a list, the strongest reason for each recipient.
    fn wanted(&self, list: &ListId) -> BTreeMap<&str, &Decision> {
        let mut wanted: BTreeMap<&str, &Decision> = BTreeMap::new();
        for decision in &self.judged.decisions {
            let Effect::Suppress(reason) = decision.effect else { continue };
            if !self.concerns(decision, list) {
                continue;
            }
            let lifted_us = self
                .ledger
                .standing(Some(list), &decision.recipient)
                .map_or(i64::MIN, Standing::lifted_us);
            if decision.evidence_us <= lifted_us {
                continue;
            }
            let known = wanted.get(decision.recipient.as_str());
            let stronger = known.is_none_or(|known| match known.effect {
                Effect::Suppress(other) => reason > other,
                Effect::Pause => true,
            });
            if stronger {
                wanted.insert(&decision.recipient, decision);
            }
        }
        wanted
    }

    /// Whether a decision is about a list.
    ///
    /// Evidence of a tenant that has lists here stays with them. Local evidence whose account or Region
    /// is not told is about the list only if there is no other that it could be about.
    fn concerns(&self, decision: &Decision, list: &ListId) -> bool {
        if decision.origin.tenant != list.tenant {
            return false;
        }
        if decision.scope == Scope::Everywhere {
            return true;
        }
        let fits = |list: &ListId| {
            let origin = &decision.origin;
            list.tenant == origin.tenant
                && origin.account.as_ref().is_none_or(|account| *account == list.account)
                && origin.region.as_ref().is_none_or(|region| *region == list.region)
        };
        fits(list) && self.lists.iter().filter(|other| fits(other)).count() == 1
    }

    fn addition(
        &self,
        list: &ListId,
        state: &ListState,
        recipient: &str,
        decision: &Decision,
    ) -> Option<Item> {
        let Effect::Suppress(reason) = decision.effect else { return None };
        let entries = state.of(recipient);
        let Some(weakest) = entries.iter().min_by_key(|entry| entry.reason) else {
            let vanished = self.ours(list, recipient).is_some_and(|ours| {
                decision.evidence_us <= ours.evidence_us.unwrap_or(ours.changed_us)
            });
            // Taken off by somebody else, and nothing has happened since: handled as drift.
            return (!vanished).then(|| item_of(decision, Action::Add, recipient));
        };
        let strongest = entries.iter().map(|entry| entry.reason).max();
        if strongest.is_some_and(|strongest| strongest >= reason) {
            return None;
        }
        let mut item = item_of(decision, Action::Add, &weakest.address);
        item.listed_reason = Some(weakest.reason);
        item.listed_time = Some(weakest.updated_us);
        item.why = format!("{}; stands there as {}", item.why, weakest.reason);
        Some(item)
    }

    /// An entry of ours that is there no more: put back, or recorded as taken off by somebody else.
    fn vanished(&self, added: &Change) -> Item {
        let mut item = item_again(added);
        if self.restore && added.expires_us.is_none_or(|expires| expires > self.now_us) {
            item.action = Action::Add;
            item.actor = "policy".to_owned();
            item.why = "ours, was taken off by somebody else, and is put back".to_owned();
            return item;
        }
        item.action = Action::Remove;
        item.actor = "outside".to_owned();
        item.why = "ours, but somebody else took it off; recorded, and left off until there is newer evidence".to_owned();
        item
    }

    fn removal(
        &self,
        list: &ListId,
        recipient: &str,
        added: &Change,
        entries: &[Entry],
        plan: &mut TargetPlan,
    ) {
        let expired = added.expires_us.is_some_and(|expires| expires <= self.now_us);
        let wanted_mail = self.cleared_for(list, recipient).filter(|cleared| {
            added.reason == Some(Reason::Complaint)
                && added.evidence_us.unwrap_or(added.changed_us) <= cleared.time_us
        });
        let (actor, rule, why) = if let Some(cleared) = wanted_mail {
            let why = format!(
                "the recipient reported on {} that the mail is no spam",
                day(cleared.time_us)
            );
            ("policy", names::NOT_SPAM.to_owned(), why)
        } else if self.settings.allow.holds(recipient) {
            ("policy", "allow-list".to_owned(), "is on the allow list".to_owned())
        } else if expired {
            let why = format!("{} ended on {}", added.rule, day(added.expires_us.unwrap_or(0)));
            ("expiry", added.rule.clone(), why)
        } else {
            return;
        };
        for entry in entries {
            let as_left = Some(entry.reason) == added.reason
                && entry.updated_us <= added.changed_us.saturating_add(SLACK_US);
            if !as_left {
                plan.conflicts.push(Conflict {
                    address: entry.address.clone(),
                    why: format!(
                        "{why}, but the entry is not as we left it: {} since {}",
                        entry.reason,
                        day(entry.updated_us)
                    ),
                    remedy: format!("hearback suppression explain {recipient}"),
                });
                continue;
            }
            let mut item = item_again(added);
            item.action = Action::Remove;
            item.address.clone_from(&entry.address);
            item.rule.clone_from(&rule);
            item.actor = actor.to_owned();
            item.why.clone_from(&why);
            item.expires = None;
            item.listed_reason = Some(entry.reason);
            item.listed_time = Some(entry.updated_us);
            plan.items.push(item);
        }
    }

    /// COMPLAINT entries that are not ours, made for a report that was taken back since.
    fn cleared_by_reports(&self, list: &ListId, state: &ListState, plan: &mut TargetPlan) {
        for recipient in self.judged.cleared.keys() {
            let Some(cleared) = self.cleared_for(list, recipient) else { continue };
            if self.ours(list, recipient).is_some() {
                continue;
            }
            for entry in state.of(recipient) {
                if entry.reason != Reason::Complaint || entry.updated_us > cleared.time_us {
                    continue;
                }
                let event_id = format!("{:032x}", cleared.event_id);
                plan.items.push(Item {
                    action: Action::Remove,
                    address: entry.address.clone(),
                    recipient: recipient.clone(),
                    reason: Some(Reason::Complaint),
                    rule: names::NOT_SPAM.to_owned(),
                    rule_version: POLICY_VERSION.to_owned(),
                    actor: "policy".to_owned(),
                    why: "SES listed it for a complaint that the recipient took back".to_owned(),
                    evidence: vec![EvidenceLine {
                        time: Some(cleared.time_us),
                        ..EvidenceLine::of_event(event_id)
                    }],
                    evidence_time: Some(cleared.time_us),
                    expires: None,
                    listed_reason: Some(entry.reason),
                    listed_time: Some(entry.updated_us),
                    role_address: is_role_address(recipient),
                });
            }
        }
    }

    fn cleared_for(&self, list: &ListId, recipient: &str) -> Option<&Cleared> {
        if !self.settings.enabled(names::NOT_SPAM) {
            return None;
        }
        let cleared = self.judged.cleared.get(recipient)?;
        cleared
            .iter()
            .filter(|cleared| cleared.tenant == list.tenant)
            .max_by_key(|cleared| cleared.time_us)
    }

    /// Entries of others that the evidence contradicts. They are shown, not changed.
    fn conflicts(
        &self,
        list: &ListId,
        state: &ListState,
        wanted: &BTreeMap<&str, &Decision>,
        plan: &mut TargetPlan,
    ) {
        for (recipient, entries) in &state.entries {
            if wanted.contains_key(recipient.as_str()) || self.ours(list, recipient).is_some() {
                continue;
            }
            let remedy = format!("hearback suppression remove {recipient} --reason \"…\"");
            if self.settings.allow.holds(recipient) {
                for entry in entries {
                    plan.conflicts.push(Conflict {
                        address: entry.address.clone(),
                        why: "is on the allow list, but somebody else listed it".to_owned(),
                        remedy: remedy.clone(),
                    });
                }
                continue;
            }
            let Some((_, bounced_us)) = self.judged.senders_fault.get(recipient) else { continue };
            for entry in entries {
                let for_this = entry.reason == Reason::Bounce
                    && (entry.updated_us - bounced_us).abs() <= SAME_CAUSE_US;
                if for_this {
                    plan.conflicts.push(Conflict {
                        address: entry.address.clone(),
                        why: "SES listed it for a bounce that was the sender's fault".to_owned(),
                        remedy: remedy.clone(),
                    });
                }
            }
        }
    }

    fn ours(&self, list: &ListId, recipient: &str) -> Option<&Change> {
        self.ledger.standing(Some(list), recipient)?.added.as_ref()
    }

    /// Entries and additions that do nothing, and what of the mail that people wait for they stop.
    fn inert(&self, state: &ListState, plan: &mut TargetPlan) {
        let Some(settings) = &state.settings else { return };
        for unknown in &settings.unknown {
            plan.notices.push(format!("not known: {unknown}"));
        }
        let count = |reason: Reason| {
            let entries = state.entries.values().flatten().filter(|entry| entry.reason == reason);
            let adds = plan
                .items
                .iter()
                .filter(|item| item.action == Action::Add && item.reason == Some(reason));
            (entries.count() as u64, adds.count() as u64)
        };
        let mut inert = Vec::new();
        if plan.tenant.is_some() && settings.scope.as_deref() == Some("ACCOUNT") {
            let (bounces, complaints) = (count(Reason::Bounce), count(Reason::Complaint));
            inert.push(Inert {
                entries: bounces.0 + complaints.0,
                adds: bounces.1 + complaints.1,
                why: "the tenant's scope is ACCOUNT, so SES looks at the account's list and not at this one (PutTenantSuppressionAttributes)".to_owned(),
            });
        }
        if let Some(active) = &settings.reasons {
            for reason in [Reason::Bounce, Reason::Complaint] {
                let (entries, adds) = count(reason);
                if active.iter().any(|name| name == reason.as_str()) || entries + adds == 0 {
                    continue;
                }
                inert.push(Inert {
                    entries,
                    adds,
                    why: format!("{reason} is not among the reasons that SES suppresses for here: {active:?} (PutAccountSuppressionAttributes)"),
                });
            }
        }
        plan.inert = inert;
        for (set, reasons) in &settings.overrides {
            let kind =
                if self.settings.transactional.contains(set) { "transactional " } else { "" };
            plan.notices.push(if reasons.is_empty() {
                format!("the list does nothing for mail of the {kind}configuration set {set}, which overrides it with no reasons")
            } else {
                format!("for mail of the {kind}configuration set {set} the list counts for {} only", reasons.join(" and "))
            });
        }
        for set in &self.settings.transactional {
            if !settings.overrides.contains_key(set) {
                plan.notices.push(format!("the list also stops the transactional mail of the configuration set {set}, complaints included: override its suppression reasons with BOUNCE (PutConfigurationSetSuppressionOptions)"));
            }
        }
    }
}

/// Rows for changes that were begun and whose effect is seen on the list: what an interrupted run could
/// not write.
#[must_use]
pub fn settled(ledger: &Ledger, list: &ListId, state: &ListState, now_us: i64) -> Vec<Change> {
    let mut settled = Vec::new();
    for (recipient, standing) in ledger.on(Some(list)) {
        for open in &standing.open {
            let found = state.of(recipient).iter().find(|entry| entry.address == open.address);
            let took_effect = match (open.action, found) {
                (Action::Add, Some(entry)) => {
                    Some(entry.reason) == open.reason
                        && entry.updated_us >= open.changed_us.saturating_sub(SLACK_US)
                }
                (Action::Remove, None) => state.read_us.is_some_and(|read| read > open.changed_us),
                _ => false,
            };
            if took_effect {
                settled.push(Change {
                    outcome: Outcome::Done,
                    note: Some("seen on the list after an interrupted run".to_owned()),
                    changed_us: found.map_or(now_us, |entry| entry.updated_us.max(open.changed_us)),
                    ..open.clone()
                });
            }
        }
    }
    settled
}

fn item_of(decision: &Decision, action: Action, address: &str) -> Item {
    let why = match (&decision.note, rule(&decision.rule)) {
        (Some(note), _) => note.clone(),
        (None, Some(rule)) => rule.why.to_owned(),
        (None, None) => String::new(),
    };
    Item {
        action,
        address: address.to_owned(),
        recipient: decision.recipient.clone(),
        reason: match decision.effect {
            Effect::Suppress(reason) => Some(reason),
            Effect::Pause => None,
        },
        rule: decision.rule.clone(),
        rule_version: POLICY_VERSION.to_owned(),
        actor: "policy".to_owned(),
        why,
        evidence: decision.evidence.iter().map(line_of).collect(),
        // A rule of one's own need not say when its evidence happened.
        evidence_time: (decision.evidence_us > 0).then_some(decision.evidence_us),
        expires: decision.expires_us,
        listed_reason: None,
        listed_time: None,
        role_address: is_role_address(&decision.recipient),
    }
}

/// The item that undoes or repeats an earlier change.
fn item_again(added: &Change) -> Item {
    Item {
        action: Action::Add,
        address: added.address.clone(),
        recipient: added.recipient.clone(),
        reason: added.reason,
        rule: added.rule.clone(),
        rule_version: added.rule_version.clone(),
        actor: added.actor.clone(),
        why: String::new(),
        evidence: added.evidence.iter().cloned().map(EvidenceLine::of_event).collect(),
        evidence_time: added.evidence_us,
        expires: added.expires_us,
        listed_reason: None,
        listed_time: None,
        role_address: is_role_address(&added.recipient),
    }
}

fn line_of(evidence: &Evidence) -> EvidenceLine {
    EvidenceLine {
        time: evidence.time_us,
        named: evidence.named.as_deref().map(str::to_owned),
        ..EvidenceLine::of_event(format!("{:032x}", evidence.event_id))
    }
}

fn day(us: i64) -> String {
    super::statement::date(us)
}
