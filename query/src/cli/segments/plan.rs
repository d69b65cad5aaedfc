//! `hearback segments plan`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Form, LiftArgs, Opened, chosen, report, send_to};
use crate::activate::segments::guards::refusal;
use crate::activate::segments::plan::{Plan, PlanOptions, plan};
use crate::activate::segments::plan_file::write_plans;
use crate::activate::segments::{Segment, SegmentError};
use crate::cli::{CliError, Session, print};

/// Show what applying would do; changes nothing
///
/// Runs each segment's question on one version of the lake and compares the answer with what each
/// destination acknowledged. Exits with 3 if a guard refuses: an empty or shrunken answer, too many
/// additions, a key that is missing or comes twice, a lake that nothing has come into for long.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback segments plan
  hearback segments plan engaged-30d -o plan.json
  hearback segments plan engaged-30d --to ./out --format json")]
pub(super) struct PlanArgs {
    /// Names of segments [default: all that are defined]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// A folder or s3://bucket/prefix, instead of the segments' destinations
    #[arg(long, value_name = "URI")]
    to: Option<String>,
    /// Write the plan into a file, for `apply` to take
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Send everybody anew, as if the destination had acknowledged nobody
    #[arg(long)]
    rebuild: bool,
    #[command(flatten)]
    lift: LiftArgs,
    /// Form of the plan on stdout; json holds every change
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &PlanArgs) -> Result<(), CliError> {
    let mut segments = chosen(session, &args.names)?;
    send_to(&mut segments, args.to.as_deref());
    let opened = Opened::of(session).await?;
    let options = PlanOptions { lifted: args.lift.lifted(), rebuild: args.rebuild };
    let mut plans = make(&opened, &segments, options).await?;
    match args.format {
        Form::Json => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            write_plans(&mut plans, &mut out)?;
            out.flush()?;
        }
        Form::Table => print(&report::plans_in_words(&mut plans)?)?,
    }
    if let Some(path) = &args.output {
        let unwritable = |error: std::io::Error| {
            CliError::usage(format!("cannot write {}", path.display())).because(error)
        };
        let mut out = BufWriter::new(std::fs::File::create(path).map_err(unwritable)?);
        write_plans(&mut plans, &mut out)?;
        out.flush().map_err(unwritable)?;
    }
    refused(&plans)
}

/// Plans segments one after the other.
pub(super) async fn make(
    opened: &Opened,
    segments: &[Segment],
    options: PlanOptions,
) -> Result<Vec<Plan>, CliError> {
    if segments.is_empty() {
        return Err(CliError::usage("no segments are defined")
            .hint("`hearback segments new` lists ready ones to copy into segments/"));
    }
    let mut plans = Vec::new();
    for segment in segments {
        has_destinations(segment)?;
        plans.extend(plan(&opened.bench(), segment, options).await?);
    }
    Ok(plans)
}

/// Exit 2 if a segment goes nowhere.
pub(super) fn has_destinations(segment: &Segment) -> Result<(), CliError> {
    if !segment.destinations.is_empty() {
        return Ok(());
    }
    let hint =
        "add destinations = [{ kind = \"s3\", uri = \"…\" }], or send it somewhere with --to";
    Err(SegmentError::Definition {
        segment: segment.name.clone(),
        reason: "it has no destinations".to_owned(),
        hint: Some(hint.to_owned()),
    }
    .into())
}

/// Exit 3 if a guard refuses any of the plans.
pub(super) fn refused(plans: &[Plan]) -> Result<(), CliError> {
    for plan in plans {
        if let Some(guard) = refusal(&plan.header.guards) {
            return Err(CliError::refused(format!(
                "{} at {}: {}",
                plan.header.segment, plan.header.destination, guard.reason
            ))
            .hint(guard.remedy.clone()));
        }
    }
    Ok(())
}
