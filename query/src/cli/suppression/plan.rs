//! `hearback suppression plan`.

use std::path::PathBuf;

use clap::Args;

use super::{Desk, Form, now_us, partial, show};
use crate::activate::suppression::guard::Lifted;
use crate::activate::suppression::plan::Plan;
use crate::activate::suppression::plan_file;
use crate::activate::suppression::planner::{self, Request, Wish};
use crate::activate::suppression::survey::{Freshness, Survey};
use crate::cli::{CliError, Session, print};

/// Show what the policy would change on each list, with the evidence; changes nothing
///
/// Ends with exit code 3 if a cap is exceeded, and says which option lifts it.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) choices: Choices,
    /// Write the plan to a file, for `suppression apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

/// How plans are made, wherever one is made.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Choices {
    /// Work with the lists as they were last seen, asking AWS nothing
    #[arg(long)]
    pub(super) no_pull: bool,
    /// Allow up to N additions to each list
    #[arg(long, value_name = "N")]
    pub(super) max_adds: Option<u64>,
    /// Allow up to N removals from each list
    #[arg(long, value_name = "N")]
    pub(super) max_removals: Option<u64>,
    /// Put back what somebody else took off the lists
    #[arg(long, conflicts_with = "accept_drift")]
    pub(super) restore: bool,
    /// Leave off what somebody else took off the lists, however much it is
    #[arg(long)]
    pub(super) accept_drift: bool,
    /// Count what failed at this provider or domain, outage or not; can be given again
    #[arg(long, value_name = "PROVIDER")]
    pub(super) thaw: Vec<String>,
}

impl Choices {
    pub(super) fn freshness(&self) -> Freshness {
        if self.no_pull { Freshness::AsLastSeen } else { Freshness::Now }
    }

    pub(super) fn lifted(&self) -> Lifted {
        Lifted {
            max_adds: self.max_adds,
            max_removals: self.max_removals,
            drift: self.restore || self.accept_drift,
        }
    }

    pub(super) fn request(&self, wish: Wish, now_us: i64) -> Request {
        Request {
            wish,
            lifted: self.lifted(),
            restore: self.restore,
            thaw: self.thaw.clone(),
            active: None,
            now_us,
        }
    }
}

pub(super) async fn run(session: &Session, args: &PlanArgs) -> Result<(), CliError> {
    let desk = Desk::open(session).await?;
    let (survey, plan) = make(&desk, &args.choices, Wish::Policy).await?;
    if let Some(path) = &args.out {
        plan_file::write(path, &plan)
            .map_err(|error| CliError::failed(error.to_string()).because(error))?;
    }
    match args.format {
        Form::Table => print(&show::text(&plan))?,
        Form::Json => print(&document(&plan)?)?,
    }
    refuse(&plan)?;
    partial(&survey.unreachable, survey.lists.is_empty())
}

/// Surveys and plans.
pub(super) async fn make(
    desk: &Desk,
    choices: &Choices,
    wish: Wish,
) -> Result<(Survey, Plan), CliError> {
    let now_us = now_us();
    let survey = desk.place().survey(choices.freshness(), now_us).await?;
    let plan = planner::make(
        &desk.engine,
        &desk.lake,
        &desk.settings,
        &survey.lists,
        &survey.ledger,
        &choices.request(wish, now_us),
    )
    .await?;
    Ok((survey, plan))
}

/// The plans of all lists as one document.
pub(super) fn document(plan: &Plan) -> Result<String, CliError> {
    let json = serde_json::to_string_pretty(&plan.targets)
        .map_err(|error| CliError::failed("cannot write the plan as JSON").because(error))?;
    Ok(format!("{json}\n"))
}

/// Refuses a plan that exceeds a cap.
pub(super) fn refuse(plan: &Plan) -> Result<(), CliError> {
    let mut exceeded = plan.guards();
    let Some((target, guard)) = exceeded.next() else { return Ok(()) };
    let more = exceeded.count();
    let also = if more > 0 { format!(", and {more} more guards") } else { String::new() };
    Err(CliError::refused(format!("{}: {}{also}", target.target, guard.why))
        .hint(format!("look at the plan; if it is right, run again with {}", guard.lift)))
}
