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
    going_somewhere(session, &mut segments, &args.names)?;
    let Made { mut plans, mut errors } = make(&opened, &segments, options).await;
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
    errors.extend(refusals(&plans));
    first_of(session, errors)
}

/// What planning several segments came to.
pub(super) struct Made {
    pub(super) plans: Vec<Plan>,
    /// Why segments have no plan.
    pub(super) errors: Vec<CliError>,
}

/// Plans segments one after the other. One that fails does not keep the others from being planned.
pub(super) async fn make(opened: &Opened, segments: &[Segment], options: PlanOptions) -> Made {
    let mut made = Made { plans: Vec::new(), errors: Vec::new() };
    for segment in segments {
        match plan(&opened.bench(), segment, options).await {
            Ok(plans) => made.plans.extend(plans),
            Err(error) => made.errors.push(error.into()),
        }
    }
    made
}

/// Leaves out segments without destinations, unless they were named; exit 2 if none remains.
pub(super) fn going_somewhere(
    session: &Session,
    segments: &mut Vec<Segment>,
    named: &[String],
) -> Result<(), CliError> {
    if segments.is_empty() {
        return Err(CliError::usage("no segments are defined")
            .hint("`hearback segments new` lists ready ones to copy into segments/"));
    }
    let somewhere = segments.iter().any(|segment| !segment.destinations.is_empty());
    if !somewhere || !named.is_empty() {
        return segments.iter().try_for_each(has_destinations);
    }
    for segment in segments.iter().filter(|segment| segment.destinations.is_empty()) {
        session.say(&format!("{}: has no destinations, and is left out", segment.name));
    }
    segments.retain(|segment| !segment.destinations.is_empty());
    Ok(())
}

/// Exit 2 if a segment goes nowhere.
fn has_destinations(segment: &Segment) -> Result<(), CliError> {
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

/// What guards refuse, each with exit code 3.
pub(super) fn refusals(plans: &[Plan]) -> Vec<CliError> {
    let mut refusals = Vec::new();
    for plan in plans {
        if let Some(guard) = refusal(&plan.header.guards) {
            let (segment, destination) = (&plan.header.segment, &plan.header.destination);
            let sentence = format!("{segment} at {destination}: {}", guard.reason);
            refusals.push(CliError::refused(sentence).hint(guard.remedy.clone()));
        }
    }
    refusals
}

/// Fails with the first of several errors, after saying the others.
pub(super) fn first_of(session: &Session, errors: Vec<CliError>) -> Result<(), CliError> {
    let mut errors = errors.into_iter();
    let Some(first) = errors.next() else { return Ok(()) };
    for other in errors {
        other.say(session.log_format);
    }
    Err(first)
}
