//! `hearback segments run`: applies segments when their schedules say so, until it is stopped.

use std::time::Duration;

use clap::Args;
use hearback_ingest::CancelFlag;
use jiff::{SignedDuration, Timestamp};

use super::apply::one;
use super::{Opened, chosen};
use crate::activate::consent::{Answer, ask};
use crate::activate::segments::Segment;
use crate::activate::segments::acknowledged::States;
use crate::activate::segments::apply::Applied;
use crate::activate::segments::change::Action;
use crate::activate::segments::definition::Schedule;
use crate::activate::segments::guards::{Lifted, refusal};
use crate::activate::segments::plan::{Plan, PlanHeader, PlanOptions, plan};
use crate::cli::{CliError, Session, ingest, now};
use crate::ops::Vitals;
use crate::ops::metrics::{SEGMENT_CHANGES, SEGMENT_LAST_RUN, SEGMENT_MEMBERS, SEGMENT_RUNS};

/// After a run that failed, the next try comes this soon, or when the schedule says if that is sooner.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(5 * 60);
/// Longest sleep, so that a clock that is set is noticed; and time between two signs of life.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Apply segments when their schedules say so, until stopped
///
/// Each segment with a schedule (every so often, daily at an hour, or a cron pattern; UTC) is planned and
/// applied when it is due; one that was never applied is due at once. What a guard refuses is left as it
/// is until the next time, what fails is tried again after five minutes, and neither keeps the others
/// from being applied. Definitions are read when it starts.
///
/// SIGTERM or Ctrl-C ends it within ten seconds; what was begun is finished by the next run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback segments run --yes --metrics 127.0.0.1:9465 --log-format json
  hearback segments run engaged-30d --every 1h --yes")]
pub(super) struct RunArgs {
    /// Names of segments [default: all that have a schedule]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Rhythm of segments without a schedule of their own, such as 1h, 'daily 05:00' or '0 5 * * 1-5'
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule)]
    every: Option<Schedule>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Serve Prometheus metrics and /healthz, such as 127.0.0.1:9465
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
}

fn schedule(text: &str) -> Result<Schedule, String> {
    Schedule::parse(text).ok_or_else(|| {
        "a rhythm such as 1h (at least a minute), 'daily 06:00' or a cron pattern '0 5 * * 1-5', in UTC"
            .to_owned()
    })
}

/// A segment and when it is to be applied.
struct Job {
    segment: Segment,
    schedule: Schedule,
    due: Timestamp,
}

/// What became of one destination, as metrics and logs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Applied,
    Unchanged,
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
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Whether the same again may end better without anybody doing something.
    fn may_pass(self) -> bool {
        matches!(self, Self::Partial | Self::Failed)
    }
}

pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<(), CliError> {
    let cancel = CancelFlag::new();
    ingest::stop_on_signals(&cancel)?;
    let opened = Opened::of(session).await?;
    let mut jobs = Vec::new();
    for segment in chosen(session, &args.names)? {
        let Some(schedule) = segment.schedule.clone().or_else(|| args.every.clone()) else {
            if args.names.is_empty() {
                continue;
            }
            return Err(CliError::usage(format!("{} has no schedule", segment.name))
                .hint("say schedule = \"daily 05:00\" in its definition, or --every 1h"));
        };
        super::plan::has_destinations(&segment)?;
        let due = schedule.next(last_run(&opened, &segment).await?, now());
        jobs.push(Job { segment, schedule, due });
    }
    if jobs.is_empty() {
        return Err(CliError::usage("no segment has a schedule")
            .hint("say schedule = \"daily 05:00\" in a definition, or --every 1h"));
    }
    agreed(&jobs, args.yes)?;
    let vitals = ingest::watch(session, args.metrics.as_deref()).await?;
    let work = Worker { session, opened: &opened, cancel: &cancel, vitals: &vitals };
    while !cancel.is_cancelled() {
        vitals.sign_of_life("waiting");
        let Some(job) = jobs.iter_mut().min_by_key(|job| job.due) else { break };
        let wait = now().duration_until(job.due);
        if wait.is_positive() {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(wait.unsigned_abs().min(LOOK_EVERY)) => {}
            }
            continue;
        }
        let began = now();
        let may_pass = work.bring_up_to_date(&job.segment).await;
        job.due = job.schedule.next(Some(began), began);
        if may_pass {
            job.due = job.due.min(began.saturating_add(RETRY_AFTER).unwrap_or(Timestamp::MAX));
        }
    }
    Ok(())
}

/// When every destination of a segment was last applied; None if one never was.
async fn last_run(opened: &Opened, segment: &Segment) -> Result<Option<Timestamp>, CliError> {
    let mut last: Option<Timestamp> = None;
    for spec in &segment.destinations {
        let newest = States::of(&opened.lake, &segment.name, spec).newest().await?;
        let Some(time) = newest.and_then(|state| state.applied_time.parse().ok()) else {
            return Ok(None);
        };
        last = Some(last.map_or(time, |last| last.min(time)));
    }
    Ok(last)
}

/// Says what is going to happen without anybody being asked again, and gets the yes.
fn agreed(jobs: &[Job], yes: bool) -> Result<(), CliError> {
    if !yes {
        for job in jobs {
            eprintln!("{}: {}", job.segment.name, job.schedule);
        }
    }
    match ask(yes, "Apply these whenever they are due, without asking again?")? {
        Answer::Yes => Ok(()),
        Answer::No => Err(CliError::refused("it was not agreed to; nothing was changed")),
        Answer::NobodyThere => {
            Err(CliError::usage("nobody is there to be asked").hint("--yes applies without asking"))
        }
    }
}

/// Brings segments up to date, and tells of it.
struct Worker<'a> {
    session: &'a Session,
    opened: &'a Opened,
    cancel: &'a CancelFlag,
    vitals: &'a Vitals,
}

impl Worker<'_> {
    /// Plans and applies a segment at all of its destinations. Whether trying again soon may help.
    async fn bring_up_to_date(&self, segment: &Segment) -> bool {
        let bench = self.opened.bench();
        let planning = plan(&bench, segment, PlanOptions::default());
        let planned = tokio::select! {
            planned = self.alive(planning) => planned,
            // A plan changes nothing: it can be dropped at any moment.
            () = self.cancel.cancelled() => return false,
        };
        let plans = match planned {
            Ok(plans) => plans,
            Err(error) => {
                let reason = CliError::from(error).in_one_line();
                self.told(&segment.name, "", Ending::Failed, &reason);
                return true;
            }
        };
        let mut may_pass = false;
        for mut plan in plans {
            if self.cancel.is_cancelled() {
                break;
            }
            let (ending, reason) = self.apply(&mut plan, segment).await;
            self.told(&plan.header.segment, &plan.header.destination, ending, &reason);
            may_pass |= ending.may_pass();
        }
        may_pass
    }

    async fn apply(&self, plan: &mut Plan, segment: &Segment) -> (Ending, String) {
        if let Some(guard) = refusal(&plan.header.guards) {
            return (Ending::Refused, guard.reason.clone());
        }
        let applying =
            one(self.session, self.opened, plan, Some(segment), Lifted::default(), self.cancel);
        match self.alive(applying).await {
            Ok(applied) => {
                self.count(&plan.header, &applied);
                ending_of(&applied)
            }
            Err(error) if error.is_refusal() => (Ending::Refused, error.in_one_line()),
            Err(error) => (Ending::Failed, error.in_one_line()),
        }
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
        let what = format!("{segment} at {destination}");
        match ending {
            Ending::Applied | Ending::Unchanged => {
                let seconds = now().as_second() as f64;
                self.vitals.set(&SEGMENT_LAST_RUN, &labels[..2], seconds);
                self.vitals.unblock(&what);
                self.vitals.unblock(&format!("{segment} at "));
                tracing::info!(segment, destination, outcome, "segment run");
            }
            Ending::Partial | Ending::Refused | Ending::Failed => {
                self.vitals.block(&what, reason);
                tracing::warn!(segment, destination, outcome, reason, "segment run");
            }
        }
    }
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
