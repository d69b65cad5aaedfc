//! What the ledger says stands: our entries on each list, what was lifted and when, what was begun and
//! never finished.
//!
//! Invariant: the order of rows does not matter, their times do; a row that is there twice counts once.
//! Takes about 400 bytes of memory for each address that was ever on a list.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::change::{Action, Change, Outcome};
use super::columns::{Numbers, Texts, text_list};
use super::list::{ListId, Reason};
use super::statement::{for_each, quoted};
use crate::engine::{Engine, EngineError};

/// What stands for one recipient on one list.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The addition that stands, if none of it was lifted since.
    pub added: Option<Change>,
    /// The newest lift, if there was one.
    pub lifted: Option<Change>,
    /// Changes that were begun and of which nobody knows what became.
    pub open: Vec<Change>,
}

impl Standing {
    /// When the address was last lifted, in microseconds since 1970.
    #[must_use]
    pub fn lifted_us(&self) -> i64 {
        self.lifted.as_ref().map_or(i64::MIN, |change| change.changed_us)
    }
}

/// The ledger, folded.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By list (None for pauses), then by recipient.
    lists: HashMap<Option<ListId>, BTreeMap<String, Standing>>,
    /// Plans that were begun.
    plans: BTreeSet<String>,
    /// When an operator last lifted a recipient, from whatever list.
    pardons: HashMap<String, i64>,
    /// Import jobs that were begun, by plan, list and object.
    jobs: Vec<Change>,
}

impl Ledger {
    /// Reads the ledger, or only the rows of one recipient.
    ///
    /// # Errors
    /// As the engine fails.
    pub async fn read(engine: &Engine, only: Option<&str>) -> Result<Self, EngineError> {
        let filter = only.map(|recipient| format!("WHERE recipient = {}", quoted(recipient)));
        let sql = format!(
            "SELECT * FROM suppression_ledger {} ORDER BY changed_time, change_id",
            filter.unwrap_or_default()
        );
        let mut ledger = Self::default();
        for_each(engine, &sql, |batch| {
            for change in changes_of(batch)? {
                ledger.take(change);
            }
            Ok(())
        })
        .await?;
        Ok(ledger)
    }

    /// Takes one change in; changes come in the order of their times.
    pub fn take(&mut self, change: Change) {
        self.plans.insert(change.plan_id.clone());
        if change.action == Action::Import {
            self.jobs.retain(|job| {
                job.plan_id != change.plan_id
                    || job.list != change.list
                    || job.address != change.address
            });
            self.jobs.push(change);
            return;
        }
        let lists = self.lists.entry(change.list.clone()).or_default();
        let standing = lists.entry(change.recipient.clone()).or_default();
        if change.outcome == Outcome::Pending {
            standing.open.retain(|open| !same_change(open, &change));
            standing.open.push(change);
            return;
        }
        standing.open.retain(|open| !same_change(open, &change));
        if change.outcome != Outcome::Done {
            return;
        }
        match change.action {
            Action::Add | Action::Pause => standing.added = Some(change),
            Action::Remove => {
                let by_operator = !matches!(change.actor.as_str(), "policy" | "expiry" | "outside");
                if by_operator {
                    let pardon = self.pardons.entry(change.recipient.clone()).or_insert(i64::MIN);
                    *pardon = (*pardon).max(change.changed_us);
                }
                standing.added = None;
                standing.lifted = Some(change);
            }
            Action::Import => {}
        }
    }

    /// What stands for a recipient on a list; `None` for its pause.
    #[must_use]
    pub fn standing(&self, list: Option<&ListId>, recipient: &str) -> Option<&Standing> {
        self.lists.get(&list.cloned())?.get(recipient)
    }

    /// Everything that stands or stood on a list.
    pub fn on<'a>(
        &'a self,
        list: Option<&ListId>,
    ) -> impl Iterator<Item = (&'a String, &'a Standing)> + use<'a> {
        self.lists.get(&list.cloned()).into_iter().flatten()
    }

    /// When an operator last lifted a recipient.
    #[must_use]
    pub fn pardoned_us(&self, recipient: &str) -> Option<i64> {
        self.pardons.get(recipient).copied()
    }

    /// Whether any change of a plan was begun.
    #[must_use]
    pub fn begun(&self, plan_id: &str) -> bool {
        self.plans.contains(plan_id)
    }

    /// The import job of a plan for an object, if one was begun of which nobody knows what became.
    #[must_use]
    pub fn job(&self, plan_id: &str, list: &ListId, object: &str) -> Option<&Change> {
        self.jobs.iter().find(|job| {
            job.outcome == Outcome::Pending
                && job.plan_id == plan_id
                && job.list.as_ref() == Some(list)
                && job.address == object
        })
    }
}

/// Changes of a plan that need no more trying, spelled as [`super::apply::finished_key`] does.
///
/// # Errors
/// As the engine fails.
pub async fn finished(engine: &Engine, plan_id: &str) -> Result<HashSet<String>, EngineError> {
    let sql = format!(
        "SELECT account_id, region, tenant, action, address FROM suppression_ledger \
         WHERE plan_id = {} AND outcome IN ('done', 'skipped')",
        quoted(plan_id)
    );
    let mut finished = HashSet::new();
    for_each(engine, &sql, |batch| {
        let text = |name: &str| Texts::of(batch, name);
        let (accounts, regions, tenants) = (text("account_id")?, text("region")?, text("tenant")?);
        let (actions, addresses) = (text("action")?, text("address")?);
        for row in 0..batch.num_rows() {
            let target = match (accounts.owned(row), regions.owned(row)) {
                (Some(account), Some(region)) => {
                    ListId { account, region, tenant: tenants.owned(row) }.to_string()
                }
                _ => "local".to_owned(),
            };
            let action = actions.get(row).unwrap_or_default();
            let address = addresses.get(row).unwrap_or_default();
            finished.insert(format!("{target} {action} {address}"));
        }
        Ok(())
    })
    .await?;
    Ok(finished)
}

fn same_change(open: &Change, other: &Change) -> bool {
    open.plan_id == other.plan_id && open.action == other.action && open.address == other.address
}

fn changes_of(batch: &arrow_array::RecordBatch) -> Result<Vec<Change>, EngineError> {
    let text = |name: &str| Texts::of(batch, name);
    let (accounts, regions, tenants) = (text("account_id")?, text("region")?, text("tenant")?);
    let (addresses, recipients) = (text("address")?, text("recipient")?);
    let (actions, outcomes, reasons) = (text("action")?, text("outcome")?, text("reason")?);
    let (rules, versions, actors) = (text("rule")?, text("rule_version")?, text("actor")?);
    let (notes, plans, requests) = (text("note")?, text("plan_id")?, text("request_id")?);
    let changed = Numbers::of(batch, "changed_time")?;
    let expires = Numbers::of(batch, "expires_time")?;
    let evidence_times = Numbers::of(batch, "evidence_time")?;
    let evidence = batch.column_by_name("evidence");
    let mut changes = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        // A word of a newer version of the program is not ours to interpret.
        let Some(action) = actions.get(row).and_then(Action::parse) else { continue };
        let Some(outcome) = outcomes.get(row).and_then(Outcome::parse) else { continue };
        let list = match (accounts.owned(row), regions.owned(row)) {
            (Some(account), Some(region)) => {
                Some(ListId { account, region, tenant: tenants.owned(row) })
            }
            _ => None,
        };
        changes.push(Change {
            list,
            address: addresses.owned(row).unwrap_or_default(),
            recipient: recipients.owned(row).unwrap_or_default(),
            action,
            outcome,
            reason: reasons.get(row).and_then(Reason::parse),
            rule: rules.owned(row).unwrap_or_default(),
            rule_version: versions.owned(row).unwrap_or_default(),
            evidence: evidence.map_or_else(Vec::new, |column| text_list(column, row)),
            evidence_us: evidence_times.get(row),
            actor: actors.owned(row).unwrap_or_default(),
            note: notes.owned(row),
            plan_id: plans.owned(row).unwrap_or_default(),
            request_id: requests.owned(row),
            expires_us: expires.get(row),
            changed_us: changed.get(row).unwrap_or(0),
        });
    }
    Ok(changes)
}
