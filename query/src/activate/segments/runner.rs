//! Applies segments when their schedules say so, until it is stopped: for a process of its own, or a
//! task of one that does other things too.
//!
//! Invariants: what a guard refuses is applied at no destination of its segment and waits for the next
//! time; what fails is tried again soon; neither keeps other segments from being applied. Logs and metrics
//! hold names, counts and reasons, never addresses.

use std::collections::BTreeSet;
use std::time::Duration;

use hearback_ingest::CancelFlag;
use hearback_ingest::causes::in_one_line;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::acknowledged::States;
use super::apply::{Applied, ApplyOptions, apply};
use super::change::Action;
use super::definition::{Schedule, Segment};
use super::destination::{self, Attempts, DestinationError};
use super::error::SegmentError;
use super::guards::{GuardName, Lifted, refusal};
use super::plan::{Bench, Plan, PlanHeader, PlanOptions, plan};
use crate::ops::Vitals;
use crate::ops::metrics::{SEGMENT_CHANGES, SEGMENT_LAST_RUN, SEGMENT_MEMBERS, SEGMENT_RUNS};

/// After a run that failed, the next try comes this soon, or when the schedule says if that is sooner.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(5 * 60);
/// Longest sleep, so that a clock that is set is noticed; and time between two signs of life.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// A segment and when it is to be applied.
#[derive(Clone, Debug)]
pub struct Job {
    /// The segment.
    pub segment: Segment,
    /// Its rhythm.
    pub schedule: Schedule,
    /// When it is applied next.
    pub due: Timestamp,
}

/// Told how many changes of how many are done.
pub type Progress = Box<dyn Fn(u64, u64) + Send + Sync>;

/// Brings segments up to date, and tells of it.
pub struct Runner<'a> {
    /// The lake and the clock.
    pub bench: Bench<'a>,
    /// How requests to destinations are tried again.
    pub attempts: Attempts,
    /// Raised to stop in good order.
    pub cancel: &'a CancelFlag,
    /// Where metrics and signs of life go.
    pub vitals: &'a Vitals,
    /// Makes what shows the progress of applying the segment of a name.
    pub progress: &'a (dyn Fn(&str) -> Progress + Sync),
}

impl std::fmt::Debug for Runner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("bench", &self.bench).finish_non_exhaustive()
    }
}

/// What became of one destination, as metrics and logs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Applied,
    Unchanged,
    /// Nobody is in it and nobody ever was, so that nothing is written: it waits for its first member.
    Empty,
    /// Some changes are not done.
    Partial,
    /// A guard, or another run that is at it.
    Refused,
    Failed,
}

impl Ending {
    fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Partial => "partial",
            Self::Empty => "empty",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Whether the same again may end better without anybody doing something.
    fn may_pass(self) -> bool {
        matches!(self, Self::Partial | Self::Failed)
    }
}

impl Runner<'_> {
    /// The job of a segment, due when its schedule says after its last application; at once if one of
    /// its destinations never got it, or if that cannot be read, which its run then tells.
    pub async fn job(&self, segment: Segment, schedule: Schedule) -> Job {
        let mut last: Option<Timestamp> = Some(Timestamp::MAX);
        for spec in &segment.destinations {
            let newest = States::of(self.bench.lake, &segment.name, spec).newest().await;
            let applied = newest.ok().flatten().and_then(|state| state.applied_time.parse().ok());
            last = last.zip(applied).map(|(last, applied)| last.min(applied));
        }
        let due = schedule.next(last, (self.bench.clock)());
        Job { segment, schedule, due }
    }

    /// Applies each job whenever it is due, until it is stopped.
    pub async fn run(&self, jobs: &mut [Job]) {
        while !self.cancel.is_cancelled() {
            self.vitals.sign_of_life("waiting");
            let Some(job) = jobs.iter_mut().min_by_key(|job| job.due) else { return };
            let began = (self.bench.clock)();
            let wait = began.duration_until(job.due);
            if wait.is_positive() {
                tokio::select! {
                    () = self.cancel.cancelled() => {}
                    () = tokio::time::sleep(wait.unsigned_abs().min(LOOK_EVERY)) => {}
                }
                continue;
            }
            let may_pass = self.bring_up_to_date(&job.segment).await;
            job.due = job.schedule.next(Some(began), began);
            if may_pass {
                let soon = began.saturating_add(RETRY_AFTER).unwrap_or(Timestamp::MAX);
                job.due = job.due.min(soon);
            }
        }
    }

    /// Plans and applies a segment at all of its destinations. Whether trying again soon may help.
    async fn bring_up_to_date(&self, segment: &Segment) -> bool {
        let planning = plan(&self.bench, segment, PlanOptions::default());
        let planned = tokio::select! {
            planned = self.alive(planning) => planned,
            // A plan changes nothing: it can be dropped at any moment.
            () = self.cancel.cancelled() => return false,
        };
        let plans = match planned {
            Ok(plans) => plans,
            Err(error) => {
                self.told(&segment.name, "", Ending::Failed, &in_one_line(&error));
                return true;
            }
        };
        self.vitals.unblock(&place_in_words(&segment.name, ""));
        // What nobody ever was in is no sign of an answer that cannot be right.
        let empty = |plan: &Plan| {
            let mut guards = plan.header.guards.iter().filter(|guard| !guard.lifted);
            plan.header.publishes_empty && guards.all(|guard| guard.guard == GuardName::Empty)
        };
        let refused: BTreeSet<String> = plans
            .iter()
            .filter(|plan| !empty(plan))
            .filter_map(|plan| refusal(&plan.header.guards))
            .map(|guard| guard.reason.clone())
            .collect();
        let mut may_pass = false;
        for mut plan in plans {
            if self.cancel.is_cancelled() {
                break;
            }
            let (ending, reason) = match refused.first() {
                // A question whose answer cannot be right is sent to none of its destinations.
                Some(reason) => (Ending::Refused, reason.clone()),
                None if empty(&plan) => (Ending::Empty, String::new()),
                None => self.apply(&mut plan, segment).await,
            };
            self.told(&plan.header.segment, &plan.header.destination, ending, &reason);
            may_pass |= ending.may_pass();
        }
        may_pass
    }

    async fn apply(&self, plan: &mut Plan, segment: &Segment) -> (Ending, String) {
        match self.alive(self.applied(plan, segment)).await {
            Ok(applied) => {
                self.count(&plan.header, &applied);
                ending_of(&applied)
            }
            Err(error) => {
                let refused = matches!(
                    error,
                    SegmentError::Refused { .. }
                        | SegmentError::Busy(_)
                        | SegmentError::Destination(DestinationError::Drifted { .. })
                );
                let ending = if refused { Ending::Refused } else { Ending::Failed };
                (ending, in_one_line(&error))
            }
        }
    }

    async fn applied(&self, plan: &mut Plan, segment: &Segment) -> Result<Applied, SegmentError> {
        let mut place = destination::open(&plan.spec, self.attempts.clone()).await?;
        let progress = (self.progress)(&segment.name);
        let options = ApplyOptions {
            lifted: Lifted::default(),
            run: Uuid::new_v4(),
            cancel: self.cancel,
            progress: &*progress,
        };
        apply(&self.bench, plan, Some(segment), place.as_mut(), &options).await
    }

    /// Waits, giving signs of life: every request has a time limit of its own.
    async fn alive<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            self.vitals.sign_of_life("applying");
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn count(&self, plan: &PlanHeader, applied: &Applied) {
        let place = [("segment", plan.segment.as_str()), ("destination", &plan.destination)];
        self.vitals.set(&SEGMENT_MEMBERS, &place, applied.members as f64);
        let counts = applied.counts;
        for (action, count) in [
            (Action::Add, counts.add),
            (Action::Change, counts.change),
            (Action::Remove, counts.remove),
            (Action::Refresh, counts.refresh),
        ] {
            let labels = [place[0], place[1], ("action", action.word())];
            self.vitals.add(&SEGMENT_CHANGES, &labels, count as f64);
        }
    }

    /// Counts and logs how one destination ended, and is unwell until it ends better.
    fn told(&self, segment: &str, destination: &str, ending: Ending, reason: &str) {
        let outcome = ending.word();
        let labels = [("segment", segment), ("destination", destination), ("outcome", outcome)];
        self.vitals.add(&SEGMENT_RUNS, &labels, 1.0);
        let what = place_in_words(segment, destination);
        match ending {
            Ending::Applied | Ending::Unchanged | Ending::Empty => {
                let seconds = (self.bench.clock)().as_second() as f64;
                self.vitals.set(&SEGMENT_LAST_RUN, &labels[..2], seconds);
                self.vitals.unblock(&what);
                tracing::info!(segment, destination, outcome, "segment run");
            }
            Ending::Partial | Ending::Refused | Ending::Failed => {
                self.vitals.block(&what, reason);
                tracing::warn!(segment, destination, outcome, reason, "segment run");
            }
        }
    }
}

/// What a segment at a destination is called where it is what keeps the runner from being well.
fn place_in_words(segment: &str, destination: &str) -> String {
    format!("{segment} at {destination}")
}

fn ending_of(applied: &Applied) -> (Ending, String) {
    if !applied.is_complete() {
        let reason = applied
            .stopped
            .clone()
            .unwrap_or_else(|| format!("the destination refused {} changes", applied.failed));
        return (Ending::Partial, reason);
    }
    if applied.counts.changes() == 0 {
        return (Ending::Unchanged, String::new());
    }
    (Ending::Applied, String::new())
}
