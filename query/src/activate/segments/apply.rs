//! Applies a plan: batch by batch, each acknowledged change in the ledger, the new state at the end.
//!
//! Invariants: nothing is sent while a guard refuses, while the plan is not the newest state's, or while
//! another run is at it. What the ledger or a state says is acknowledged is never sent again for the
//! same plan; what was sent but not noted is sent again, which destinations bear. Nobody who became
//! unreachable after the plan was made is added.

mod delivery;
mod departed;

use std::time::Duration;

use hearback_ingest::CancelFlag;
use uuid::Uuid;

use self::delivery::{Work, unless_stopped};
use self::departed::Departed;
use super::acknowledged::{Generation, States};
use super::change::{Action, Change, Changes, ChangesWriter};
use super::definition::{GuardSettings, Segment};
use super::destination::{Destination, DestinationError, Manner, Outcome, Run};
use super::diff::Counts;
use super::error::SegmentError;
use super::guards::{self, Facts, Guard, Lifted};
use super::lease::Lease;
use super::ledger::Ledger;
use super::plan::{Bench, Plan, PlanHeader, RETIRED, definition_id, lake_age};
use super::receipts::Receipts;

/// What an application is told.
pub struct ApplyOptions<'a> {
    /// Guards that are lifted.
    pub lifted: Lifted,
    /// Random identity of the run.
    pub run: Uuid,
    /// Asks the application to stop in good order.
    pub cancel: &'a CancelFlag,
    /// Told how many changes of how many are done.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl std::fmt::Debug for ApplyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApplyOptions").field("run", &self.run).finish_non_exhaustive()
    }
}

/// What an application did.
#[derive(Debug)]
pub struct Applied {
    /// Changes that the destination acknowledged, now or before; `keep` as planned.
    pub counts: Counts,
    /// Changes that had been acknowledged before this run: by one that was interrupted.
    pub before: u64,
    /// Changes that the destination refused.
    pub failed: u64,
    /// Members that were not added because they became unreachable, or opted out at the destination.
    pub skipped: u64,
    /// Of these, people who opted out at the destination itself: they are not offered again.
    pub declined: u64,
    /// Members that the destination has now.
    pub members: u64,
    /// Examples of what failed or was skipped: member and reason.
    pub problems: Vec<(Change, Outcome)>,
    /// Changes that were not tried, because the run was stopped or the destination gave up.
    pub untried: u64,
    /// Why the run ended early.
    pub stopped: Option<String>,
    /// The guards, as they stand now.
    pub guards: Vec<Guard>,
    /// Request and job ids of the destination, the first [`SHOWN`] of them.
    pub receipts: Vec<String>,
    /// Whether the plan had been applied to its end before.
    pub already: bool,
    /// Every change that this run tried, with what became of it: a JSON object a line.
    pub items: Option<Changes>,
}

/// Problems and receipts that are kept for showing; the ledger has all.
pub const SHOWN: usize = 20;

impl Applied {
    /// Whether everything that was planned is done, but for people left out on purpose.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.untried == 0
    }

    fn nothing(plan: &Plan, guards: Vec<Guard>) -> Self {
        Self {
            counts: Counts { keep: plan.header.counts.keep, ..Counts::default() },
            before: 0,
            failed: 0,
            skipped: 0,
            declined: 0,
            members: plan.header.members,
            problems: Vec::new(),
            untried: 0,
            stopped: None,
            guards,
            receipts: Vec::new(),
            already: false,
            items: None,
        }
    }
}

/// Applies a plan. `segment` is its definition as it stands now; None if there is none any more (then
/// only a plan that retires it is applied).
///
/// # Errors
/// [`SegmentError::Refused`] by a guard, or if the plan is stale; [`SegmentError::Busy`] if another run
/// is at it; else as the lake or the destination fails. After an error nothing is half noted: what was
/// acknowledged is in the ledger.
pub async fn apply(
    bench: &Bench<'_>,
    plan: &mut Plan,
    segment: Option<&Segment>,
    destination: &mut dyn Destination,
    options: &ApplyOptions<'_>,
) -> Result<Applied, SegmentError> {
    let guards = check(bench, plan, segment, options.lifted).await?;
    let states = States::of(bench.lake, &plan.header.segment, &plan.spec);
    if let Some(done) = look_for_newer(&states, plan, &guards).await? {
        return Ok(done);
    }
    let lease = Lease::take(&states, &options.run.to_string(), bench.clock).await?;
    let result =
        hold_and_apply(bench, plan, segment, destination, options, &states, &lease, guards);
    let result = result.await;
    lease.release((bench.clock)()).await;
    log(&plan.header, &result);
    result
}

/// Refuses what [`apply`] would refuse by a guard, or for a definition that changed, and does nothing.
///
/// # Errors
/// [`SegmentError::Refused`]; as the lake fails.
pub async fn check(
    bench: &Bench<'_>,
    plan: &Plan,
    segment: Option<&Segment>,
    lifted: Lifted,
) -> Result<Vec<Guard>, SegmentError> {
    check_definition(plan, segment)?;
    judge_again(bench, plan, segment, lifted).await
}

/// One event in the log for each application: numbers, and no addresses.
fn log(plan: &PlanHeader, result: &Result<Applied, SegmentError>) {
    let (segment, destination, plan_id) = (&plan.segment, &plan.destination, &plan.plan_id);
    match result {
        Ok(applied) => tracing::info!(
            segment,
            destination,
            plan_id,
            lake_version = plan.lake_version,
            add = applied.counts.add,
            change = applied.counts.change,
            remove = applied.counts.remove,
            refresh = applied.counts.refresh,
            members = applied.members,
            failed = applied.failed,
            skipped = applied.skipped,
            untried = applied.untried,
            "segment applied"
        ),
        Err(error) => {
            tracing::info!(segment, destination, plan_id, %error, "segment not applied");
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the one caller holds the lease around it")]
async fn hold_and_apply(
    bench: &Bench<'_>,
    plan: &mut Plan,
    segment: Option<&Segment>,
    destination: &mut dyn Destination,
    options: &ApplyOptions<'_>,
    states: &States,
    lease: &Lease,
    guards: Vec<Guard>,
) -> Result<Applied, SegmentError> {
    // Whoever held the lease before may have made a generation.
    if let Some(done) = look_for_newer(states, plan, &guards).await? {
        return Ok(done);
    }
    let newest = states.newest().await?;
    // A plan that sends everybody anew starts from nothing, but for what it did itself.
    let own = newest.as_ref().is_some_and(|newest| newest.plan_id == plan.header.plan_id);
    let base = newest.as_ref().filter(|_| own || !plan.header.rebuild);
    let only = (plan.header.rebuild && !own).then_some(plan.header.plan_id.as_str());
    let ledger = Ledger { engine: bench.engine, segment: &plan.header.segment, spec: &plan.spec };
    let mut since = ledger.acknowledged_since(newest.as_ref(), only).await?;

    let planned = plan.header.counts;
    let departed = match segment {
        Some(segment) if planned.add + planned.change + planned.refresh > 0 => {
            Departed::now(bench, segment).await?
        }
        _ => Departed::nobody(),
    };
    let mut todo = remaining(plan, states, base, &mut since).await?;
    let run = Run {
        segment: plan.header.segment.clone(),
        description: segment.and_then(|segment| segment.description.clone()),
        plan_id: plan.header.plan_id.clone(),
        key: plan.header.key.clone(),
        attributes: plan.header.attributes.clone(),
        lake_version: plan.header.lake_version,
        acknowledged: base.cloned(),
        number: newest.as_ref().map_or(0, |generation| generation.number) + 1,
        counts: todo.counts,
        clock: bench.clock,
    };
    // Also where nothing is to be done: a destination that is gone is noticed.
    if run.acknowledged.is_some() || run.counts.changes() > 0 || plan.header.publishes_empty {
        unless_stopped(options.cancel, destination.prepare(&run), plan).await?;
    }
    if !plan.has_work() {
        return Ok(Applied::nothing(plan, guards));
    }
    let receipts =
        Receipts::begin(bench.lake, &run, &plan.header, bench.clock, options.run).await?;
    let counts = Counts { keep: plan.header.counts.keep, ..todo.done };
    let applied = Applied { before: todo.before, counts, ..Applied::nothing(plan, guards) };
    let mut work = Work::new(bench, &run, receipts, lease, options, departed, applied)?;
    let manner = destination.manner(todo.changes.len());
    match manner {
        Manner::Batches { changes, at_once } => {
            work.deliver(destination, &mut todo.changes, changes, at_once).await?;
        }
        Manner::Whole => work.leave_out(&mut todo.changes)?,
    }
    work.finish(destination, states, base, &mut since, manner, plan).await
}

/// A plan is applied only under the definition that it was made of.
fn check_definition(plan: &Plan, segment: Option<&Segment>) -> Result<(), SegmentError> {
    let header = &plan.header;
    let refused = |reason: String| {
        Err(SegmentError::Refused { reason, hint: "plan again: hearback segments plan".to_owned() })
    };
    let Some(segment) = segment else {
        if header.definition == RETIRED {
            return Ok(());
        }
        return refused(format!("the segment {} is not defined any more", header.segment));
    };
    if header.definition == RETIRED {
        return refused(format!("the segment {} is defined again", header.segment));
    }
    if definition_id(segment) != header.definition {
        return refused(format!(
            "the definition of {} changed since the plan was made",
            header.segment
        ));
    }
    if !segment.destinations.contains(&plan.spec) {
        return refused(format!(
            "{} is not a destination of {} any more",
            header.destination, header.segment
        ));
    }
    Ok(())
}

/// Judges the plan again, with what is lifted now and the lake as it is now.
async fn judge_again(
    bench: &Bench<'_>,
    plan: &Plan,
    segment: Option<&Segment>,
    lifted: Lifted,
) -> Result<Vec<Guard>, SegmentError> {
    let settings = segment.map_or_else(GuardSettings::default, |segment| segment.guards);
    let lake_age = match segment {
        Some(_) => lake_age(bench.engine, (bench.clock)()).await?,
        // Who is retired needs no fresh events.
        None => Some(Duration::ZERO),
    };
    let facts = Facts {
        counts: &plan.header.counts,
        census: &plan.header.census,
        lake_age,
        other_key: plan.header.other_key.as_deref(),
        publishes_empty: plan.header.publishes_empty,
    };
    let guards = guards::judge(&facts, &settings, lifted);
    match guards::refusal(&guards) {
        None => Ok(guards),
        Some(guard) => Err(SegmentError::Refused {
            reason: format!(
                "{} at {}: {}",
                plan.header.segment, plan.header.destination, guard.reason
            ),
            hint: guard.remedy.clone(),
        }),
    }
}

/// Whether the plan was applied already; an error if another one was.
async fn look_for_newer(
    states: &States,
    plan: &Plan,
    guards: &[Guard],
) -> Result<Option<Applied>, SegmentError> {
    let newest = states.newest().await?;
    let number = newest.as_ref().map_or(0, |generation| generation.number);
    if number == plan.header.state_version {
        return Ok(None);
    }
    match newest {
        Some(newest) if newest.plan_id == plan.header.plan_id => {
            if newest.failed > 0 {
                // Applied in part: what is left of it is done now.
                return Ok(None);
            }
            let mut applied = Applied::nothing(plan, guards.to_vec());
            applied.already = true;
            Ok(Some(applied))
        }
        _ => Err(stale(plan, "something else was applied since it was made")),
    }
}

fn stale(plan: &Plan, why: &str) -> SegmentError {
    SegmentError::Refused {
        reason: format!(
            "the plan for {} at {} is stale: {why}",
            plan.header.segment, plan.header.destination
        ),
        hint: "plan again: hearback segments plan".to_owned(),
    }
}

fn drift_is_refused(error: DestinationError) -> SegmentError {
    match error {
        DestinationError::Drifted { .. } => SegmentError::Refused {
            reason: error.to_string(),
            hint: "--rebuild sends everybody anew, as if nobody had been there".to_owned(),
        },
        other => other.into(),
    }
}

/// What is left of a plan.
struct Remaining {
    changes: Changes,
    counts: Counts,
    /// Changes that are acknowledged already.
    before: u64,
    done: Counts,
}

/// Leaves out the changes that the acknowledged state shows already.
async fn remaining(
    plan: &mut Plan,
    states: &States,
    base: Option<&Generation>,
    since: &mut Changes,
) -> Result<Remaining, SegmentError> {
    let mut acknowledged = states.members(base, Some(since)).await?;
    let mut member = acknowledged.read()?;
    let mut left = ChangesWriter::new()?;
    let mut counts = Counts::default();
    let (mut before, mut done) = (0, Counts::default());
    for change in plan.changes.read()? {
        let change = change?;
        while member.as_ref().is_some_and(|it| it.key.as_bytes() < change.member.as_bytes()) {
            member = acknowledged.read()?;
        }
        let there = member.as_ref().filter(|it| it.key == change.member);
        let is_done = match change.action {
            Action::Add | Action::Change => {
                there.is_some_and(|it| it.attributes == change.attributes)
            }
            Action::Remove => there.is_none(),
            Action::Refresh => false,
        };
        if is_done {
            before += 1;
            done.count(change.action);
            continue;
        }
        counts.count(change.action);
        left.push(&change)?;
    }
    Ok(Remaining { changes: left.finish()?, counts, before, done })
}
