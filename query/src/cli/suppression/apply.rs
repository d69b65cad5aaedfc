//! `hearback suppression apply`.

use std::path::PathBuf;

use clap::Args;
use hearback_ingest::CancelFlag;
use serde_json::{Value, json};

use super::plan::{Choices, make, refuse};
use super::{Desk, Form, now_us, partial, show};
use crate::activate::consent::{Answer, ask};
use crate::activate::suppression::apply::{ApplyError, TargetReport};
use crate::activate::suppression::guard;
use crate::activate::suppression::plan::Plan;
use crate::activate::suppression::plan_file;
use crate::activate::suppression::planner::{Wish, stale, unfit};
use crate::activate::suppression::refresh::refresh;
use crate::activate::suppression::runner::{Application, RoundError};
use crate::activate::suppression::survey::{Freshness, Survey};
use crate::cli::ingest::stop_on_signals;
use crate::cli::{CliError, Session, print};
use crate::output::{Align, TextTable};

/// Carry a plan out: the one in FILE, or one that is made now and shown first
///
/// A plan in a file is refused (exit code 3) if the lake, the lists or the rules have changed since it was
/// made, unless it was begun already: then it is finished. --refresh carries out what still stands of it. What cannot be done now is listed (exit code 4),
/// and applying again finishes it.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// Plan written by `suppression plan --out FILE`
    #[arg(value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Plan again now, and carry out of the plan in FILE what still stands
    ///
    /// For a lake that goes on reading. A change is made if the new plan has it too: the same action for the
    /// same reason by the same rule on the same entry. The others are counted and left out, nothing is added,
    /// and the caps hold. A plan for another lake, or by other rules, is still refused.
    #[arg(long, requires = "plan")]
    refresh: bool,
    #[command(flatten)]
    choices: Choices,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ApplyArgs) -> Result<(), CliError> {
    let desk = Desk::open(session).await?;
    let (survey, mut plan) = match &args.plan {
        None => {
            let choices = Choices { no_pull: false, ..args.choices.clone() };
            make(&desk, &choices, Wish::Policy).await?
        }
        Some(path) => {
            let plan = plan_file::read(path)
                .map_err(|error| CliError::usage(error.to_string()).because(error))?;
            if args.refresh {
                refreshed(session, &desk, &args.choices, &plan).await?
            } else {
                let survey = desk.place().survey(Freshness::Now, now_us()).await?;
                check(&desk, &survey, &plan).await?;
                (survey, plan)
            }
        }
    };
    if args.plan.is_some() && !args.refresh {
        let lifted = args.choices.lifted();
        let active = plan.basis.active_recipients;
        for target in plan.targets.iter_mut().filter(|target| !target.guards.is_empty()) {
            guard::check(target, &desk.settings.caps, active, &lifted);
        }
    }
    let document = |reports: &[TargetReport]| -> Result<(), CliError> {
        match args.format {
            Form::Table => print(&table(reports)),
            Form::Json => print(&json_of(&plan, reports)?),
        }
    };
    if !plan.guards().any(|_| true) && plan.is_empty() {
        if args.format == Form::Table && !session.quiet {
            eprintln!("nothing to change");
        }
        document(&[])?;
        return partial(&survey.unreachable, survey.lists.is_empty());
    }
    if !session.quiet {
        eprint!("{}", show::text(&plan));
    }
    refuse(&plan)?;
    consent(args.yes)?;
    let reports = carry_out(&desk, &survey, &plan).await?;
    document(&reports)?;
    outcome(&reports)?;
    partial(&survey.unreachable, survey.lists.is_empty())
}

/// Asks for the yes without which nothing outside changes.
pub(super) fn consent(given: bool) -> Result<(), CliError> {
    match ask(given, "Make these changes?").map_err(CliError::from)? {
        Answer::Yes => Ok(()),
        Answer::No => Err(CliError::refused("nothing was changed")),
        Answer::NobodyThere => {
            Err(CliError::usage("there is no terminal to ask on, and nothing was changed")
                .hint("--yes says yes beforehand"))
        }
    }
}

/// Refuses a plan whose ground has moved.
async fn check(desk: &Desk, survey: &Survey, plan: &Plan) -> Result<(), CliError> {
    if survey.ledger.begun(&plan.plan_id) {
        return Ok(());
    }
    match stale(&desk.engine, &desk.settings, &survey.lists, plan).await? {
        None => Ok(()),
        Some(why) => Err(CliError::refused(format!("the plan is stale: {why}"))
            .hint("hearback suppression plan makes a new one; --refresh carries out what still stands of this one")),
    }
}

/// Plans again, and keeps what the reviewed plan has too.
async fn refreshed(
    session: &Session,
    desk: &Desk,
    choices: &Choices,
    reviewed: &Plan,
) -> Result<(Survey, Plan), CliError> {
    if let Some(why) = unfit(&desk.engine, &desk.settings, reviewed).await? {
        return Err(CliError::refused(format!("the plan cannot be refreshed: {why}"))
            .hint("hearback suppression plan makes a new one"));
    }
    let choices = Choices { no_pull: false, ..choices.clone() };
    let (survey, now) = make(desk, &choices, Wish::Policy).await?;
    let refreshed = refresh(reviewed, now, &desk.settings.caps, &choices.lifted());
    if !session.quiet {
        eprintln!(
            "plan {} is carried out as plan {}: {} of {} changes still stand, {} are left out",
            reviewed.plan_id,
            refreshed.plan.plan_id,
            refreshed.reviewed - refreshed.dropped,
            refreshed.reviewed,
            refreshed.dropped
        );
    }
    Ok((survey, refreshed.plan))
}

/// Applies a plan, and writes to the lake what the lists are now.
pub(super) async fn carry_out(
    desk: &Desk,
    survey: &Survey,
    plan: &Plan,
) -> Result<Vec<TargetReport>, CliError> {
    let cancel = CancelFlag::new();
    stop_on_signals(&cancel)?;
    let work = Application { place: desk.place(), clock: now_us, actor: operator() };
    Ok(work.carry_out(survey, plan, cancel).await?)
}

/// Who runs the program, for the ledger.
pub(super) fn operator() -> String {
    crate::cli::environment("USER")
        .or_else(|| crate::cli::environment("LOGNAME"))
        .unwrap_or_else(|| "operator".to_owned())
}

/// The exit code of what was done.
pub(super) fn outcome(reports: &[TargetReport]) -> Result<(), CliError> {
    let failed: usize = reports.iter().map(|report| report.failed.len()).sum();
    let left: u64 = reports.iter().map(|report| report.left).sum();
    if failed == 0 && left == 0 {
        return Ok(());
    }
    for report in reports {
        for (address, why) in report.failed.iter().take(20) {
            eprintln!("warning: {}: {address}: {why}", report.target);
        }
        if let Some(why) = &report.stopped {
            eprintln!("warning: {}: {} changes are left: {why}", report.target, report.left);
        }
    }
    Err(CliError::partial(format!("{failed} changes failed and {left} are left"))
        .hint("the same command again finishes what can be finished"))
}

pub(super) fn table(reports: &[TargetReport]) -> String {
    let mut table = TextTable::new(&[
        ("list", Align::Left),
        ("added", Align::Right),
        ("removed", Align::Right),
        ("skipped", Align::Right),
        ("failed", Align::Right),
        ("left", Align::Right),
    ]);
    for report in reports {
        table.row(vec![
            report.target.clone(),
            report.added.to_string(),
            report.removed.to_string(),
            report.skipped.to_string(),
            report.failed.len().to_string(),
            report.left.to_string(),
        ]);
    }
    if reports.is_empty() { String::new() } else { table.render() }
}

/// The plan with what became of it, list by list.
pub(super) fn json_of(plan: &Plan, reports: &[TargetReport]) -> Result<String, CliError> {
    let mut documents: Vec<Value> = Vec::new();
    for target in &plan.targets {
        let mut document = serde_json::to_value(target)
            .map_err(|error| CliError::failed("cannot write the result as JSON").because(error))?;
        let report = reports.iter().find(|report| report.target == target.target);
        let failed = report.map(|report| {
            let failed = report.failed.iter();
            failed.map(|(address, why)| json!({"address": address, "why": why})).collect::<Vec<_>>()
        });
        document["applied"] = json!({
            "added": report.map_or(0, |report| report.added),
            "removed": report.map_or(0, |report| report.removed),
            "skipped": report.map_or(0, |report| report.skipped),
            "failed": failed.unwrap_or_default(),
            "left": report.map_or(0, |report| report.left),
            "stopped": report.and_then(|report| report.stopped.clone()),
        });
        documents.push(document);
    }
    Ok(format!("{:#}\n", Value::Array(documents)))
}

impl From<ApplyError> for CliError {
    fn from(error: ApplyError) -> Self {
        Self::partial(error.to_string())
            .because(error)
            .hint("what was done stands on the list, and the next run writes it down; run the same command again")
    }
}

impl From<RoundError> for CliError {
    fn from(error: RoundError) -> Self {
        match error {
            RoundError::Engine(error) => error.into(),
            RoundError::Survey(error) => error.into(),
            RoundError::Apply(error) => error.into(),
        }
    }
}
