//! `hearback segments`: audiences as code.

mod apply;
mod convert;
mod import;
mod list;
mod new;
mod plan;
mod progress;
mod report;
mod run;
mod show;

use clap::{Args, Subcommand, ValueEnum};

pub(super) use run::{keep, scheduled};

use super::{CliError, Session, now};
use crate::activate::segments::definition::{SEGMENTS_FOLDER, segments_in_folder};
use crate::activate::segments::destination::{Attempts, DestinationError};
use crate::activate::segments::plan::Bench;
use crate::activate::segments::{DestinationSpec, Segment, SegmentError};
use crate::engine::Engine;
use crate::nearest::nearest;
use hearback_ingest::lake::Lake;

/// Keep audiences in step with SQL: plan, apply, show, run
///
/// A segment is a question in SQL with a name, defined in `[[segments]]` of the configuration or in a
/// file segments/NAME.sql. Its answer is compared with what each destination acknowledged; `plan` shows
/// the difference and changes nothing, `apply` makes it so.
#[derive(Debug, Args)]
pub(super) struct SegmentsArgs {
    #[command(subcommand)]
    command: SegmentsCommand,
}

#[derive(Debug, Subcommand)]
enum SegmentsCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Retire(apply::RetireArgs),
    Run(run::RunArgs),
    New(new::NewArgs),
    Convert(convert::ConvertArgs),
    Import(import::ImportArgs),
}

/// Form of what a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// Options that say which guards are lifted.
#[derive(Clone, Copy, Debug, Args)]
struct LiftArgs {
    /// Let the segment be emptied, or shrink by more than its max_shrink
    #[arg(long)]
    allow_shrink: bool,
    /// Let at most this many members be added, whatever the segment's caps
    #[arg(long, value_name = "N")]
    max_adds: Option<u64>,
    /// Go on although nothing has come into the lake for long
    #[arg(long)]
    allow_stale: bool,
}

impl LiftArgs {
    fn lifted(self) -> crate::activate::segments::guards::Lifted {
        crate::activate::segments::guards::Lifted {
            shrink: self.allow_shrink,
            max_adds: self.max_adds,
            stale: self.allow_stale,
        }
    }
}

pub(super) async fn run(session: &Session, args: SegmentsArgs) -> Result<(), CliError> {
    match args.command {
        SegmentsCommand::List(args) => list::run(session, &args).await,
        SegmentsCommand::Show(args) => show::run(session, &args).await,
        SegmentsCommand::Plan(args) => plan::run(session, &args).await,
        SegmentsCommand::Apply(args) => apply::run(session, &args).await,
        SegmentsCommand::Retire(args) => apply::retire(session, &args).await,
        SegmentsCommand::Run(args) => run::run(session, &args).await,
        SegmentsCommand::New(args) => new::run(session, &args),
        SegmentsCommand::Convert(args) => convert::run(session, &args),
        SegmentsCommand::Import(args) => import::run(session, &args).await,
    }
}

/// Every segment that is defined: in the configuration, then in the folder.
fn defined(session: &Session) -> Result<Vec<Segment>, CliError> {
    let config = &session.config;
    let mut segments = config.segments().to_vec();
    let folder = config.folder().join(SEGMENTS_FOLDER);
    segments.extend(segments_in_folder(&folder, config.folder(), &segments)?);
    Ok(segments)
}

/// The segments with these names, in their order; all if none is named.
fn chosen(session: &Session, names: &[String]) -> Result<Vec<Segment>, CliError> {
    let segments = defined(session)?;
    if names.is_empty() {
        return Ok(segments);
    }
    let mut chosen = Vec::with_capacity(names.len());
    for name in names {
        let found = segments.iter().find(|segment| segment.name == *name);
        chosen.push(found.cloned().ok_or_else(|| unknown(name, &segments))?);
    }
    Ok(chosen)
}

fn unknown(name: &str, segments: &[Segment]) -> CliError {
    let error = CliError::usage(format!("there is no segment {name}"));
    let names: Vec<&str> = segments.iter().map(|segment| segment.name.as_str()).collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if names.is_empty() => {
            error.hint("`hearback segments new` lists ready ones to copy into segments/")
        }
        None => error.hint(format!("segments: {}", names.join(", "))),
    }
}

/// Sends the segments to a folder or bucket instead of their destinations.
fn send_to(segments: &mut [Segment], uri: Option<&str>) {
    let Some(uri) = uri else { return };
    for segment in segments {
        segment.destinations = vec![DestinationSpec::folder_or_bucket(uri)];
    }
}

/// The lake, for questions and for what lies beside the tables.
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) lake: Lake,
}

impl Opened {
    async fn of(session: &Session) -> Result<Self, CliError> {
        Self::at(session, session.config.lake()).await
    }

    async fn at(session: &Session, lake: &str) -> Result<Self, CliError> {
        let engine = session.engine_at(lake).await?;
        let lake = Lake::open(lake).await.map_err(SegmentError::from)?;
        Ok(Self { engine, lake })
    }

    fn bench(&self) -> Bench<'_> {
        Bench { engine: &self.engine, lake: &self.lake, clock: now }
    }
}

/// How requests to destinations are tried again: with pauses that differ from run to run.
pub(super) fn attempts() -> Attempts {
    let chance = || {
        let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
        // The upper 32 bits are all random.
        f64::from((high >> 32) as u32) / f64::from(u32::MAX)
    };
    Attempts::new(std::sync::Arc::new(chance))
}

impl From<SegmentError> for CliError {
    fn from(error: SegmentError) -> Self {
        let sentence = error.to_string();
        match error {
            SegmentError::Definition { hint, .. } => with_hint(Self::usage(sentence), hint),
            SegmentError::Question { segment, source } => {
                Self::from(source).in_front(&format!("segment {segment}"))
            }
            SegmentError::Refused { hint, .. } => Self::refused(sentence).hint(hint),
            SegmentError::Busy(_) => Self::refused(sentence)
                .hint("nothing was changed by this run; the other one goes on"),
            SegmentError::Plan(_) => Self::usage(sentence),
            SegmentError::Lake(source) => {
                Self::failed("the lake does not answer as it should").because(source)
            }
            SegmentError::Store { .. } => Self::failed(sentence),
            SegmentError::Destination(source) => Self::from(source),
            SegmentError::Spool(source) => Self::from(source),
        }
    }
}

impl From<DestinationError> for CliError {
    fn from(error: DestinationError) -> Self {
        let sentence = error.to_string();
        match error {
            DestinationError::Unavailable { .. } => Self::failed(sentence)
                .hint("running the same command again goes on where it stopped"),
            DestinationError::Refused { .. } | DestinationError::Retired { .. } => {
                Self::failed(sentence)
            }
            DestinationError::Drifted { .. } => Self::refused(sentence)
                .hint("--rebuild sends everybody anew, as if nobody had been there"),
        }
    }
}

fn with_hint(error: CliError, hint: Option<String>) -> CliError {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
