//! `hearback segments apply` and `retire`.

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use hearback_ingest::CancelFlag;

use super::plan::{Made, first_of, going_somewhere, make};
use super::progress::Shown;
use super::{Form, LiftArgs, Opened, attempts, chosen, defined, report, send_to};
use crate::activate::consent::{Answer, ask};
use crate::activate::segments::acknowledged::States;
use crate::activate::segments::apply::{Applied, ApplyOptions, apply, check};
use crate::activate::segments::change::ChangesWriter;
use crate::activate::segments::definition::Segment;
use crate::activate::segments::guards::{Lifted, refusal};
use crate::activate::segments::plan::{Plan, PlanOptions, plan_retirement};
use crate::activate::segments::plan_file::{read_plans, write_with_items};
use crate::activate::segments::{DestinationSpec, destination};
use crate::cli::{CliError, Session, ingest, print};

/// Bring destinations in step with their segments
///
/// Takes a plan file, or makes a plan and asks on the terminal; without a terminal it needs --yes.
/// What is acknowledged is noted in the table segment_ledger as it comes: a run that was stopped goes on
/// where it was when the same command is run again. Nobody who complained or unsubscribed after the
/// plan was made is added. A segment that fails, or that a guard refuses, does not keep the others from
/// being applied. Exits with 4 if something else was changed, or the destination refused some of the
/// changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback segments apply plan.json
  hearback segments apply engaged-30d at-risk
  hearback segments apply --yes --format json")]
pub(super) struct ApplyArgs {
    /// A plan file (ends in .json), or names of segments [default: all that are defined]
    #[arg(value_name = "PLAN.json|NAME")]
    what: Vec<String>,
    /// A folder or s3://bucket/prefix, instead of the segments' destinations
    #[arg(long, value_name = "URI")]
    to: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Send everybody anew, as if the destination had acknowledged nobody
    #[arg(long)]
    rebuild: bool,
    #[command(flatten)]
    lift: LiftArgs,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

/// Remove everybody of a segment that is defined no longer
///
/// For a segment that was renamed or deleted, or that goes to another destination now: its members are
/// taken out where they still are.
#[derive(Debug, Args)]
pub(super) struct RetireArgs {
    /// Name that the segment had
    name: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ApplyArgs) -> Result<(), CliError> {
    let opened = Opened::of(session).await?;
    let file = match args.what.as_slice() {
        [one] if one.ends_with(".json") => Some(PathBuf::from(one)),
        _ => None,
    };
    if let Some(path) = file {
        if args.rebuild {
            return Err(CliError::usage("a plan file says already whether it rebuilds")
                .hint("hearback segments plan --rebuild"));
        }
        let unreadable =
            |error| CliError::usage(format!("cannot read {}", path.display())).because(error);
        let mut plans = read_plans(std::fs::File::open(&path).map_err(unreadable)?)?;
        let mut segments = defined(session)?;
        for plan in &plans {
            take_destination(&mut segments, plan, args.to.as_deref());
        }
        let work = Applications { session, opened: &opened, lifted: args.lift.lifted() };
        return work.carry_out(&mut plans, &segments, Vec::new(), args.format).await;
    }
    let mut segments = chosen(session, &args.what)?;
    send_to(&mut segments, args.to.as_deref());
    let lifted = args.lift.lifted();
    let options = PlanOptions { lifted, rebuild: args.rebuild };
    going_somewhere(session, &mut segments, &args.what)?;
    let Made { mut plans, errors } = make(&opened, &segments, options).await;
    let mut agreeable = plans.iter().filter(|plan| refusal(&plan.header.guards).is_none());
    if agreeable.any(Plan::has_work) {
        agreed(&mut plans, args.yes)?;
    }
    let work = Applications { session, opened: &opened, lifted };
    work.carry_out(&mut plans, &segments, errors, args.format).await
}

pub(super) async fn retire(session: &Session, args: &RetireArgs) -> Result<(), CliError> {
    let opened = Opened::of(session).await?;
    let segments = defined(session)?;
    let states = States::all(&opened.lake).await?;
    let mut plans = Vec::new();
    let lifted = Lifted { shrink: true, ..Lifted::default() };
    for state in states.iter().filter(|state| state.segment == args.name) {
        let defined = segments.iter().any(|segment| {
            segment.name == state.segment
                && segment
                    .destinations
                    .iter()
                    .any(|spec| spec.identity() == state.destination.identity())
        });
        if !defined {
            plans.push(plan_retirement(&opened.bench(), state, lifted).await?);
        }
    }
    if plans.is_empty() {
        return Err(CliError::usage(format!(
            "{} has no members anywhere that it does not go to by its definition",
            args.name
        ))
        .hint("`hearback segments list` shows what is defined and what is not"));
    }
    if plans.iter().any(Plan::has_work) {
        agreed(&mut plans, args.yes)?;
    }
    // None of the definitions counts here.
    let work = Applications { session, opened: &opened, lifted };
    work.carry_out(&mut plans, &[], Vec::new(), args.format).await
}

/// A plan that was made with `--to` is applied with `--to`, to the same place.
fn take_destination(segments: &mut [Segment], plan: &Plan, to: Option<&str>) {
    let Some(uri) = to else { return };
    for segment in segments.iter_mut().filter(|segment| segment.name == plan.header.segment) {
        segment.destinations = vec![DestinationSpec::folder_or_bucket(uri)];
    }
}

/// Shows what is planned and gets the yes.
fn agreed(plans: &mut [Plan], yes: bool) -> Result<(), CliError> {
    if !yes {
        eprint!("{}", report::plans_in_words(plans)?);
    }
    match ask(yes, "Apply this?")? {
        Answer::Yes => Ok(()),
        Answer::No => Err(CliError::refused("it was not agreed to; nothing was changed")),
        Answer::NobodyThere => Err(CliError::usage("nobody is there to be asked")
            .hint("--yes applies without asking; or plan into a file and apply that")),
    }
}

/// What applications have in common.
struct Applications<'a> {
    session: &'a Session,
    opened: &'a Opened,
    lifted: Lifted,
}

impl Applications<'_> {
    /// Applies plans one after the other. One that fails does not keep the others from being applied;
    /// `errors` are those of segments that got no plan.
    async fn carry_out(
        &self,
        plans: &mut [Plan],
        segments: &[Segment],
        errors: Vec<CliError>,
        format: Form,
    ) -> Result<(), CliError> {
        let cancel = CancelFlag::new();
        ingest::stop_on_signals(&cancel)?;
        let mut outcome = Outcome::new(format, errors);
        let segment_of =
            |plan: &Plan| segments.iter().find(|segment| segment.name == plan.header.segment);
        // A question whose answer cannot be right is sent to none of its destinations.
        let mut refused = HashSet::new();
        for plan in plans.iter() {
            let checked = check(&self.opened.bench(), plan, segment_of(plan), self.lifted).await;
            if let Err(error) = checked
                && refused.insert(plan.header.segment.clone())
            {
                outcome.errors.push(error.into());
            }
        }
        for plan in plans.iter_mut().filter(|plan| !refused.contains(&plan.header.segment)) {
            if cancel.is_cancelled() {
                outcome.partly = true;
                break;
            }
            let segment = segment_of(plan);
            match one(self.session, self.opened, plan, segment, self.lifted, &cancel).await {
                Ok(mut applied) => outcome.add(plan, &mut applied)?,
                Err(error) => outcome.errors.push(error),
            }
        }
        outcome.end(self.session)
    }
}

/// Applies one plan.
pub(super) async fn one(
    session: &Session,
    opened: &Opened,
    plan: &mut Plan,
    segment: Option<&Segment>,
    lifted: Lifted,
    cancel: &CancelFlag,
) -> Result<Applied, CliError> {
    let mut place = destination::open(&plan.spec, attempts()).await?;
    let shown = Shown::new(session, &plan.header.segment);
    let progress = |done: u64, of: u64| shown.update(done, of);
    let options = ApplyOptions { lifted, run: uuid::Uuid::new_v4(), cancel, progress: &progress };
    Ok(apply(&opened.bench(), plan, segment, place.as_mut(), &options).await?)
}

/// What several applications came to, told as it comes.
struct Outcome {
    format: Form,
    told: usize,
    errors: Vec<CliError>,
    /// Whether something was left undone that running again finishes.
    partly: bool,
    /// Whether anything was changed.
    changed: bool,
}

impl Outcome {
    fn new(format: Form, errors: Vec<CliError>) -> Self {
        Self { format, told: 0, errors, partly: false, changed: false }
    }

    fn add(&mut self, plan: &Plan, applied: &mut Applied) -> Result<(), CliError> {
        self.partly |= !applied.is_complete();
        self.changed |= applied.counts.changes() > 0;
        match self.format {
            Form::Table => print(&report::applied_in_words(&plan.header, applied))?,
            Form::Json => {
                let mut out = BufWriter::new(std::io::stdout().lock());
                out.write_all(if self.told == 0 { b"[\n" } else { b",\n" })?;
                let document = report::applied_in_json(&plan.header, applied);
                let mut none = ChangesWriter::new()?.finish()?;
                let items = applied.items.as_mut().unwrap_or(&mut none);
                write_with_items(&document, items, &mut out)?;
                out.flush()?;
            }
        }
        self.told += 1;
        Ok(())
    }

    fn end(self, session: &Session) -> Result<(), CliError> {
        if self.format == Form::Json {
            print(if self.told == 0 { "[]\n" } else { "\n]\n" })?;
        }
        if self.errors.is_empty() && self.partly {
            return Err(CliError::partial("some changes are not done")
                .hint("running the same command again tries them again"));
        }
        // What was refused or failed alone says so itself; beside others it is a part that is not done.
        first_of(session, self.errors)
            .map_err(|first| if self.changed { first.into_partial() } else { first })
    }
}
