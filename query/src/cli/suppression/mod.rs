//! `hearback suppression`: one file for each of its commands.

mod apply;
mod explain;
mod export;
mod import;
mod list;
mod plan;
mod policy;
mod pull;
mod remove;
mod run;
mod show;

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

pub(super) use run::keep;
pub(super) use show::evidence;

use super::{CliError, Session, now};
use crate::activate::suppression::connection::Unreachable;
use crate::activate::suppression::settings::{Settings, SettingsError};
use crate::activate::suppression::survey::{Place, SurveyError};
use crate::engine::Engine;

/// Keep suppression lists: who must not be mailed, decided by rules over what came back
#[derive(Debug, Args)]
pub(super) struct SuppressionArgs {
    #[command(subcommand)]
    command: SuppressionCommand,
}

#[derive(Debug, Subcommand)]
enum SuppressionCommand {
    Policy(policy::PolicyArgs),
    Pull(pull::PullArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Run(run::RunArgs),
    Explain(explain::ExplainArgs),
    List(list::ListArgs),
    Remove(remove::RemoveArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
}

/// Form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Columns for people
    Table,
    /// One JSON document
    Json,
}

pub(super) async fn run(session: &Session, args: SuppressionArgs) -> Result<(), CliError> {
    match args.command {
        SuppressionCommand::Policy(args) => policy::run(session, &args),
        SuppressionCommand::Pull(args) => pull::run(session, &args).await,
        SuppressionCommand::Plan(args) => plan::run(session, &args).await,
        SuppressionCommand::Apply(args) => apply::run(session, &args).await,
        SuppressionCommand::Run(args) => run::run(session, &args).await,
        SuppressionCommand::Explain(args) => explain::run(session, &args).await,
        SuppressionCommand::List(args) => list::run(session, &args).await,
        SuppressionCommand::Remove(args) => remove::run(session, &args).await,
        SuppressionCommand::Import(args) => import::run(session, &args).await,
        SuppressionCommand::Export(args) => export::run(session, &args).await,
    }
}

/// What every command here begins with.
struct Desk {
    engine: Engine,
    settings: Settings,
    lake: String,
    run: Uuid,
}

impl Desk {
    async fn open(session: &Session) -> Result<Self, CliError> {
        let settings = settings(session)?;
        let engine = session.engine().await?;
        let lake = session.config.lake().to_owned();
        Ok(Self { engine, settings, lake, run: Uuid::new_v4() })
    }

    fn place(&self) -> Place<'_> {
        Place { engine: &self.engine, lake: &self.lake, settings: &self.settings, run: self.run }
    }
}

pub(super) fn settings(session: &Session) -> Result<Settings, CliError> {
    Ok(Settings::of(&session.config)?)
}

fn now_us() -> i64 {
    now().as_microsecond()
}

/// Says which lists could not be read; the others go on.
fn partial(unreachable: &[Unreachable], all_failed: bool) -> Result<(), CliError> {
    let Some(first) = unreachable.first() else { return Ok(()) };
    for one in unreachable {
        eprintln!("warning: the list {} cannot be read: {}", one.target, one.why);
    }
    let sentence = format!("{} of the lists cannot be read", unreachable.len());
    let error = if all_failed { CliError::failed(sentence) } else { CliError::partial(sentence) };
    Err(error
        .because(first.why.clone())
        .hint("hearback suppression plan --no-pull plans with the lists as they were last seen"))
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        let usage = Self::usage(error.to_string());
        match error.hint {
            Some(hint) => usage.hint(hint),
            None => usage,
        }
    }
}

impl From<SurveyError> for CliError {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Engine(error) => error.into(),
            other => Self::failed(other.to_string()).because(other),
        }
    }
}
