//! Carries a plan out: each change at most once, in the ledger before and after.
//!
//! The protocol of a change: a `pending` row is committed before its first request; the request is made;
//! a `done`, `failed` or `skipped` row is committed after. A run that dies in between leaves pending rows:
//! the same plan applied again makes those changes anew (each is idempotent in SES), and any later run
//! that finds them on the list writes the missing row.
//!
//! Invariants: no change without a row; no removal of an entry that is not as the plan saw it; one failing
//! list stops no other; of two runs at once one ends, by the ledger's fence.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hearback_ingest::CancelFlag;
use hearback_ingest::lake::{Lake, LakeError, LedgerWriter, WriteSettings};
use hearback_schemas::SUPPRESSION_LEDGER;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::change::{Action, Change, Outcome, ledger_rows};
use super::connection::{CallError, Connection};
use super::import_job::{self, DELETES_OF_A_JOB, PUTS_OF_A_JOB};
use super::ledger::Ledger;
use super::list::{Entry, ListId};
use super::mirror::Sight;
use super::plan::{Item, Plan, TargetPlan};
use super::policy::POLICY_VERSION;
use super::pull;
use super::requests::{Made, as_planned, delete, has_slash, put, was_changed};

/// The fence that two applying runs contend for.
const FENCE: &str = "suppression/apply";
/// Rows in hand that are committed at once.
const ROWS_HELD: usize = 500;
/// How long rows are held at most: what a crash can leave pending.
const HELD_FOR: Duration = Duration::from_secs(15);

/// Why nothing more is applied anywhere.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The ledger cannot be written, or another run took over.
    #[error("{}", ledger_sentence(.0))]
    Ledger(#[from] LakeError),
    /// A row cannot be made.
    #[error("a change cannot be put into a row: {0}")]
    Rows(String),
}

fn ledger_sentence(error: &LakeError) -> &'static str {
    match error {
        LakeError::Fenced { .. } => {
            "another run applies suppressions to the same lake and took over"
        }
        _ => "the ledger cannot be written, so nothing more is changed",
    }
}

/// What became of the plan of one list.
#[derive(Clone, Debug, Default)]
pub struct TargetReport {
    /// The list, or `local`.
    pub target: String,
    /// Additions made.
    pub added: u64,
    /// Removals made.
    pub removed: u64,
    /// Changes not made because the entry had changed.
    pub skipped: u64,
    /// Changes that SES refused, with why.
    pub failed: Vec<(String, String)>,
    /// Changes left for the next run.
    pub left: u64,
    /// Why they are left.
    pub stopped: Option<String>,
    /// What the mirror should know.
    pub sights: Vec<Sight>,
}

impl TargetReport {
    /// Whether everything was done.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.left == 0 && self.failed.is_empty() && self.stopped.is_none()
    }
}

/// Tells the time, in microseconds since 1970.
pub type Clock = fn() -> i64;

/// Carries plans out.
pub struct Applier<'a> {
    /// The ways to the lists.
    pub connections: &'a [Connection],
    /// What stands: which jobs and changes of the plan were begun before.
    pub ledger: &'a Ledger,
    /// Raised to stop in good order.
    pub cancel: CancelFlag,
    /// The time.
    pub clock: Clock,
    /// Who applies, for the ledger.
    pub actor: String,
    writer: Mutex<LedgerWriter>,
}

impl<'a> Applier<'a> {
    /// Takes the ledger's fence: from here on, a run that held it before changes nothing more.
    ///
    /// # Errors
    /// As the ledger fails.
    pub async fn begin(
        lake: &str,
        connections: &'a [Connection],
        ledger: &'a Ledger,
        cancel: CancelFlag,
        clock: Clock,
        actor: String,
        run: Uuid,
    ) -> Result<Self, ApplyError> {
        let lake = Lake::open_or_create(lake).await?;
        let settings = WriteSettings { dedupe_memory: 64 << 20, ..WriteSettings::default() };
        let mut writer =
            LedgerWriter::begin(&lake, &SUPPRESSION_LEDGER, settings, Some(FENCE), run).await?;
        writer.claim(clock()).await?;
        Ok(Self { connections, ledger, cancel, clock, actor, writer: Mutex::new(writer) })
    }

    /// Applies a plan. `done` names the changes of it that were finished before, as
    /// [`finished_key`] spells them.
    ///
    /// # Errors
    /// [`ApplyError`] if the ledger fails; what fails at one list stands in its report.
    pub async fn apply(
        &self,
        plan: &Plan,
        done: &HashSet<String>,
    ) -> Result<Vec<TargetReport>, ApplyError> {
        let targets = plan.targets.iter().map(|target| self.target(plan, target, done));
        let mut reports = Vec::new();
        for report in futures::future::join_all(targets).await {
            reports.push(report?);
        }
        Ok(reports)
    }

    /// Writes rows to the ledger.
    ///
    /// # Errors
    /// As the ledger fails.
    pub async fn record(&self, changes: &[Change]) -> Result<(), ApplyError> {
        let rows = ledger_rows(changes).map_err(|error| ApplyError::Rows(error.to_string()))?;
        self.writer.lock().await.append(rows, (self.clock)()).await?;
        Ok(())
    }

    async fn target(
        &self,
        plan: &Plan,
        target: &TargetPlan,
        done: &HashSet<String>,
    ) -> Result<TargetReport, ApplyError> {
        let list = target.list();
        let open: Vec<&Item> = target
            .items
            .iter()
            .filter(|item| !done.contains(&finished_key(&target.target, item)))
            .collect();
        let mut work = Work {
            applier: self,
            plan,
            list: list.clone(),
            held: Vec::new(),
            held_since: Instant::now(),
            report: TargetReport { target: target.target.clone(), ..TargetReport::default() },
        };
        work.record_only(&open).await?;
        let Some(list) = list else { return Ok(work.report) };
        let changes: Vec<&Item> = open.into_iter().filter(|item| changes_list(item)).collect();
        if changes.is_empty() {
            return Ok(work.report);
        }
        let Some(connection) = self.connections.iter().find(|known| known.list == list) else {
            work.report.left = changes.len() as u64;
            work.report.stopped = Some("the list cannot be reached".to_owned());
            return Ok(work.report);
        };
        work.announce(&changes).await?;
        work.carry_out(connection, &changes).await?;
        work.flush().await?;
        Ok(work.report)
    }
}

/// How a finished change of a plan is spelled.
#[must_use]
pub fn finished_key(target: &str, item: &Item) -> String {
    format!("{target} {} {}", item.action.as_str(), item.address)
}

/// Whether an item asks anything of SES. The others are facts for the ledger alone.
fn changes_list(item: &Item) -> bool {
    matches!(item.action, Action::Add | Action::Remove) && item.actor != "outside"
}

struct Work<'a> {
    applier: &'a Applier<'a>,
    plan: &'a Plan,
    list: Option<ListId>,
    held: Vec<Change>,
    held_since: Instant,
    report: TargetReport,
}

impl Work<'_> {
    /// Pauses, and removals by others: rows and nothing else.
    async fn record_only(&mut self, items: &[&Item]) -> Result<(), ApplyError> {
        for item in items.iter().filter(|item| !changes_list(item)) {
            self.note(self.change(item, Outcome::Done, None, None)).await?;
            if item.action == Action::Pause {
                self.report.added += 1;
            }
        }
        self.flush().await
    }

    /// The rows without which no request is made.
    async fn announce(&mut self, items: &[&Item]) -> Result<(), ApplyError> {
        for some in items.chunks(100_000) {
            let rows: Vec<Change> =
                some.iter().map(|item| self.change(item, Outcome::Pending, None, None)).collect();
            self.applier.record(&rows).await?;
        }
        Ok(())
    }

    async fn carry_out(
        &mut self,
        connection: &Connection,
        items: &[&Item],
    ) -> Result<(), ApplyError> {
        let single = usize::try_from(connection.requests.single).unwrap_or(usize::MAX);
        let by_job = |items: &[&Item]| connection.import_prefix.is_some() && items.len() > single;
        let (adds, removes): (Vec<&Item>, Vec<&Item>) =
            items.iter().copied().partition(|item| item.action == Action::Add);
        let adds_by_job = by_job(&adds);
        let removes_by_job = by_job(&removes);
        // Additions first: if something breaks, those who must not be mailed are safe.
        if adds_by_job {
            self.jobs(connection, Action::Add, &adds, PUTS_OF_A_JOB).await?;
        } else {
            self.singles(connection, &adds).await?;
        }
        if removes_by_job {
            let unchanged = self.unchanged(connection, &removes).await?;
            return self.jobs(connection, Action::Remove, &unchanged, DELETES_OF_A_JOB).await;
        }
        let (slashes, plain): (Vec<&Item>, Vec<&Item>) = removes
            .into_iter()
            .partition(|item| has_slash(&item.address) && connection.import_prefix.is_some());
        self.singles(connection, &plain).await?;
        if slashes.is_empty() {
            return Ok(());
        }
        let unchanged = self.unchanged(connection, &slashes).await?;
        self.jobs(connection, Action::Remove, &unchanged, DELETES_OF_A_JOB).await
    }

    /// One request (two for a removal) for each change.
    async fn singles(
        &mut self,
        connection: &Connection,
        items: &[&Item],
    ) -> Result<(), ApplyError> {
        for (at, item) in items.iter().enumerate() {
            if self.report.stopped.is_some() || self.applier.cancel.is_cancelled() {
                self.stop(items.len() - at, "it was asked to stop");
                return Ok(());
            }
            let result = match item.action {
                Action::Add => put(connection, item).await,
                _ => delete(connection, item).await,
            };
            let row = match result {
                Ok(Made::Done(request)) => self.success(item, request),
                Ok(Made::Skipped(why)) => self.skip(item, why),
                Err(CallError::Refused(why)) => self.failure(item, why),
                Err(error) => {
                    self.stop(items.len() - at, &error.to_string());
                    return Ok(());
                }
            };
            self.note(row).await?;
        }
        Ok(())
    }

    /// Removals whose entries are as the plan saw them, after reading what changed since.
    async fn unchanged<'i>(
        &mut self,
        connection: &Connection,
        items: &[&'i Item],
    ) -> Result<Vec<&'i Item>, ApplyError> {
        let created_us = self.plan.created.unwrap_or(0);
        let changed = match pull::changed_since(connection, created_us).await {
            Ok(changed) => changed,
            Err(error) => {
                self.stop(items.len(), &error.to_string());
                return Ok(Vec::new());
            }
        };
        let changed: HashMap<&str, &Entry> =
            changed.iter().map(|entry| (entry.address.as_str(), entry)).collect();
        let mut unchanged = Vec::new();
        for item in items {
            match changed.get(item.address.as_str()) {
                Some(entry) if !as_planned(entry, item) => {
                    let row = self.skip(item, was_changed(entry));
                    self.note(row).await?;
                }
                _ => unchanged.push(*item),
            }
        }
        Ok(unchanged)
    }

    /// Import jobs, one after the other.
    async fn jobs(
        &mut self,
        connection: &Connection,
        action: Action,
        items: &[&Item],
        most: usize,
    ) -> Result<(), ApplyError> {
        for (number, some) in items.chunks(most).enumerate() {
            if self.report.stopped.is_some() || self.applier.cancel.is_cancelled() {
                let after = items.len() - number * most;
                self.stop(after, "it was asked to stop");
                return Ok(());
            }
            let object = import_job::object_name(&self.plan.plan_id, action, some);
            let begun = self.applier.ledger.job(&self.plan.plan_id, &connection.list, &object);
            let begun = begun.and_then(|job| job.request_id.clone());
            let job = match begun {
                Some(job) => Ok(job),
                None => import_job::start(connection, action, some, &object).await,
            };
            let job = match job {
                Ok(job) => job,
                Err(error) => {
                    self.stop(items.len() - number * most, &error.to_string());
                    return Ok(());
                }
            };
            self.applier.record(&[self.job_row(&object, &job, Outcome::Pending)]).await?;
            match import_job::finish(connection, &job, &object, some, &self.applier.cancel).await {
                Ok(finished) => {
                    // What became of a job is one commit: a crash leaves all of it open, or nothing.
                    let mut rows = std::mem::take(&mut self.held);
                    for item in some {
                        match finished.failed.get(item.address.as_str()) {
                            Some(why) => rows.push(self.failure(item, why.clone())),
                            None if finished.unresolved => self.report.left += 1,
                            None => rows.push(self.success(item, Some(job.clone()))),
                        }
                    }
                    rows.push(self.job_row(&object, &job, Outcome::Done));
                    self.applier.record(&rows).await?;
                    if finished.unresolved {
                        self.report.stopped = Some(format!(
                            "import job {job} failed for some addresses and does not say which; the next run sees it on the list"
                        ));
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.stop(items.len() - number * most, &error.to_string());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn stop(&mut self, left: usize, why: &str) {
        self.report.left += left as u64;
        if self.report.stopped.is_none() {
            self.report.stopped = Some(why.to_owned());
        }
    }

    /// Counts a change that was made, and gives back its row.
    fn success(&mut self, item: &Item, request: Option<String>) -> Change {
        match item.action {
            Action::Add => {
                self.report.added += 1;
                if let Some(reason) = item.reason {
                    let updated_us = (self.applier.clock)();
                    let address = item.address.clone();
                    self.report.sights.push(Sight::Entry(Entry { address, reason, updated_us }));
                }
            }
            _ => {
                self.report.removed += 1;
                self.report.sights.push(Sight::Gone(item.address.clone()));
            }
        }
        self.change(item, Outcome::Done, None, request)
    }

    /// Counts a change that was refused, and gives back its row.
    fn failure(&mut self, item: &Item, why: String) -> Change {
        self.report.failed.push((item.address.clone(), why.clone()));
        self.change(item, Outcome::Failed, Some(why), None)
    }

    /// Counts a change that was not made, and gives back its row.
    fn skip(&mut self, item: &Item, why: String) -> Change {
        self.report.skipped += 1;
        self.change(item, Outcome::Skipped, Some(why), None)
    }

    /// Takes a row up, and commits those in hand when they are many or old.
    async fn note(&mut self, change: Change) -> Result<(), ApplyError> {
        if self.held.is_empty() {
            self.held_since = Instant::now();
        }
        self.held.push(change);
        if self.held.len() >= ROWS_HELD || self.held_since.elapsed() >= HELD_FOR {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ApplyError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.applier.record(&held).await
    }

    fn change(
        &self,
        item: &Item,
        outcome: Outcome,
        note: Option<String>,
        request_id: Option<String>,
    ) -> Change {
        let own_words = matches!(item.actor.as_str(), "policy" | "expiry" | "outside");
        let note =
            note.or_else(|| (!own_words || item.evidence.is_empty()).then(|| item.why.clone()));
        Change {
            list: self.list.clone(),
            address: item.address.clone(),
            recipient: item.recipient.clone(),
            action: item.action,
            outcome,
            reason: item.reason,
            rule: item.rule.clone(),
            rule_version: item.rule_version.clone(),
            evidence: item.evidence.iter().map(|line| line.event_id.clone()).collect(),
            evidence_us: item.evidence_time,
            actor: item.actor.clone(),
            note: with_review(note, self.plan.reviewed.as_deref()),
            plan_id: self.plan.plan_id.clone(),
            request_id,
            expires_us: item.expires,
            changed_us: (self.applier.clock)(),
        }
    }

    fn job_row(&self, object: &str, job: &str, outcome: Outcome) -> Change {
        Change {
            list: self.list.clone(),
            address: object.to_owned(),
            recipient: object.to_owned(),
            action: Action::Import,
            outcome,
            reason: None,
            rule: "import-job".to_owned(),
            rule_version: POLICY_VERSION.to_owned(),
            evidence: Vec::new(),
            evidence_us: None,
            actor: self.applier.actor.clone(),
            note: None,
            plan_id: self.plan.plan_id.clone(),
            request_id: Some(job.to_owned()),
            expires_us: None,
            changed_us: (self.applier.clock)(),
        }
    }
}

/// A note that names the plan that somebody looked at, where a newer one is carried out in its place.
fn with_review(note: Option<String>, reviewed: Option<&str>) -> Option<String> {
    let Some(reviewed) = reviewed else { return note };
    let reviewed = format!("reviewed as plan {reviewed}");
    Some(note.map_or_else(|| reviewed.clone(), |note| format!("{note}; {reviewed}")))
}
