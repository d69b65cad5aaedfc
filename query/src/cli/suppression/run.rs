//! `hearback suppression run`.

use std::time::Duration;

use clap::Args;
use hearback_ingest::CancelFlag;
use hearback_schemas::EVENTS;
use serde_json::{Value, json};

use super::apply::apply_plan;
use super::plan::Choices;
use super::{Desk, now_us};
use crate::activate::suppression::alert;
use crate::activate::suppression::apply::TargetReport;
use crate::activate::suppression::plan::Plan;
use crate::activate::suppression::planner::{self, Wish};
use crate::activate::suppression::survey::{Freshness, Survey};
use crate::cli::ingest::stop_on_signals;
use crate::cli::{CliError, Session, print};
use crate::config::parse_duration;

/// How often the fast lane looks for new events.
const LOOK: Duration = Duration::from_secs(2);

/// Pull, plan and apply again and again, within the caps; alerts when a cap stops it
///
/// One line of JSON a round on standard output. A stopped run changes nothing on that round and goes on
/// looking; somebody has to look at the plan and apply it by hand. Alerts go to standard error and to
/// suppression.webhook and suppression.command, once until it is mended. With --once the exit code tells:
/// 3 stopped, 4 left in part.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Time from one round to the next
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = interval)]
    every: Duration,
    /// Do one round and end: for cron, systemd timers and schedulers
    #[arg(long)]
    once: bool,
    /// Between rounds, act on complaints and invalid recipients within seconds of their commit
    #[arg(long)]
    fast_lane: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Some(milliseconds) if milliseconds >= 1_000 => Ok(Duration::from_millis(milliseconds)),
        _ => Err("write a length of time such as 5m, at least 1s".to_owned()),
    }
}

pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<(), CliError> {
    let cancel = CancelFlag::new();
    stop_on_signals(&cancel)?;
    // What is wrong with the configuration is said at once, and not round after round.
    super::settings(session)?;
    let mut stopped_before: Option<String> = None;
    loop {
        let begun = tokio::time::Instant::now();
        let round = round(session, Wish::Policy, &cancel).await;
        let summary = match &round {
            Ok(round) => round.document("full"),
            Err(error) => json!({"round": "full", "outcome": "failed", "error": error.text()}),
        };
        print(&format!("{summary}\n"))?;
        raise(session, &summary, &mut stopped_before).await?;
        if args.once || cancel.is_cancelled() {
            return round?.exit();
        }
        if let Err(error) = &round {
            eprint!("{}", error.text());
        }
        let next = begun + args.every;
        if args.fast_lane {
            let seen = round.ok().and_then(|round| round.plan.basis.events_version);
            watch(session, next, seen, &cancel).await?;
        } else {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = cancel.cancelled() => {}
            }
        }
        if cancel.is_cancelled() {
            return Ok(());
        }
    }
}

/// Looks for events newer than those that were `seen` until the next round, and acts on those that cannot
/// wait. A look that fails is said, and repeated.
async fn watch(
    session: &Session,
    until: tokio::time::Instant,
    mut seen: Option<u64>,
    cancel: &CancelFlag,
) -> Result<(), CliError> {
    loop {
        let look = until.min(tokio::time::Instant::now() + LOOK);
        tokio::select! {
            () = tokio::time::sleep_until(look) => {}
            () = cancel.cancelled() => return Ok(()),
        }
        if tokio::time::Instant::now() >= until {
            return Ok(());
        }
        let newest = match newest_events(session).await {
            Ok(newest) => newest,
            Err(error) => {
                eprint!("{}", error.text());
                continue;
            }
        };
        if newest == seen {
            continue;
        }
        seen = newest;
        match round(session, Wish::Fast, cancel).await {
            Ok(round) if round.plan.is_empty() => {}
            Ok(round) => print(&format!("{}\n", round.document("fast")))?,
            Err(error) => eprint!("{}", error.text()),
        }
    }
}

/// The newest version of the events.
async fn newest_events(session: &Session) -> Result<Option<u64>, CliError> {
    let desk = Desk::open(session).await?;
    Ok(desk.engine.version(&EVENTS).await?)
}

struct Round {
    survey: Survey,
    plan: Plan,
    reports: Vec<TargetReport>,
    stopped: bool,
}

/// One round: lists as they are now, a plan, and its application if no cap forbids it.
///
/// A list whose plan exceeds a cap is left alone; the other lists go on.
async fn round(session: &Session, wish: Wish, cancel: &CancelFlag) -> Result<Round, CliError> {
    let desk = Desk::open(session).await?;
    let now_us = now_us();
    let survey = desk.place().survey(Freshness::Now, now_us).await?;
    let request = Choices::default().request(wish, now_us);
    let plan = planner::make(
        &desk.engine,
        &desk.lake,
        &desk.settings,
        &survey.lists,
        &survey.ledger,
        &request,
    )
    .await?;
    let mut allowed = plan.clone();
    let stopped = plan.guards().next().is_some();
    allowed.targets.retain(|target| target.guards.is_empty());
    let reports = if allowed.is_empty() && survey.settled.is_empty() {
        Vec::new()
    } else {
        apply_plan(&desk, &survey, &allowed, cancel.clone()).await?
    };
    Ok(Round { survey, plan, reports, stopped })
}

impl Round {
    fn document(&self, round: &str) -> Value {
        let report = |name: &str| self.reports.iter().find(|report| report.target == name);
        let targets: Vec<Value> = self
            .plan
            .targets
            .iter()
            .map(|target| {
                let done = report(&target.target);
                json!({
                    "target": target.target,
                    "add": target.add,
                    "remove": target.remove,
                    "keep": target.keep,
                    "added": done.map_or(0, |done| done.added),
                    "removed": done.map_or(0, |done| done.removed),
                    "failed": done.map_or(0, |done| done.failed.len()),
                    "left": done.map_or(0, |done| done.left),
                    "guards": target.guards,
                })
            })
            .collect();
        let unreachable: Vec<Value> = self
            .survey
            .unreachable
            .iter()
            .map(|one| json!({"target": one.target, "why": one.why}))
            .collect();
        json!({
            "round": round,
            "plan_id": self.plan.plan_id,
            "outcome": self.outcome(),
            "targets": targets,
            "unreachable": unreachable,
        })
    }

    fn outcome(&self) -> &'static str {
        let incomplete = self.reports.iter().any(|report| !report.complete());
        match (self.stopped, incomplete || !self.survey.unreachable.is_empty()) {
            (true, _) => "stopped",
            (false, true) => "partial",
            (false, false) => "done",
        }
    }

    /// The exit code of a single round.
    fn exit(&self) -> Result<(), CliError> {
        match self.outcome() {
            "stopped" => super::plan::refuse(&self.plan),
            "partial" => {
                super::apply::outcome(&self.reports)?;
                super::partial(&self.survey.unreachable, self.survey.lists.is_empty())
            }
            _ => Ok(()),
        }
    }
}

/// Alerts when a run is stopped or failed, once until it goes well again.
async fn raise(
    session: &Session,
    summary: &Value,
    before: &mut Option<String>,
) -> Result<(), CliError> {
    let outcome = summary["outcome"].as_str().unwrap_or_default().to_owned();
    if outcome == "done" {
        *before = None;
        return Ok(());
    }
    if before.as_ref() == Some(&outcome) {
        return Ok(());
    }
    let what = match outcome.as_str() {
        "stopped" => {
            "a cap stopped the suppression run: look at `hearback suppression plan` and apply it with the option that it names"
        }
        "partial" => "the suppression run was carried out in part; the next round goes on",
        _ => "the suppression run failed",
    };
    eprintln!("alert: {what}");
    *before = Some(outcome);
    let settings = super::settings(session)?;
    let alert = json!({"alert": "suppression", "what": what, "round": summary});
    alert::send(&settings.alerts, &alert).await;
    Ok(())
}
