//! The command line: one file per command, whose doc comment is its help.
//!
//! Invariant: stdout carries the result and nothing else; every failure is one sentence, its cause
//! and a hint on stderr, with the exit code of the contract.

mod archive;
mod config;
mod demo;
mod error;
mod ingest;
mod lag;
mod memory;
mod query;
mod report;
mod schema;
mod segments;
mod serve;
mod shell;
mod simulate;
mod stream;
mod suppression;
mod trace;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::Instrument;

pub use error::{CliError, Exit};

use crate::config::{Config, Given};
use crate::engine::{Engine, EngineSettings};
use crate::ops::logs::{self, LogFormat, LogSettings};
use crate::ops::telemetry::{Asked, Telemetry};

/// Hears what comes back after an email is sent: deliveries, bounces, complaints, opens and clicks
/// become rows of an open Delta Lake, to be asked in SQL.
#[derive(Debug, Parser)]
#[command(name = "hearback", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// The lake: a path, file://… or s3://bucket/prefix [env: HEARBACK_LAKE] [default: ./hearback-lake]
    #[arg(long, global = true, value_name = "URI", help_heading = "Global options")]
    lake: Option<String>,
    /// The configuration file [env: HEARBACK_CONFIG] [default: ./hearback.toml if it is there]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// Say more on stderr (-vv for even more)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    quiet: bool,
    /// Form of the lines on stderr
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t = LogFormat::Text,
        help_heading = "Global options"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ingest(ingest::IngestArgs),
    Query(query::QueryArgs),
    Report(report::ReportArgs),
    Trace(trace::TraceArgs),
    Suppression(suppression::SuppressionArgs),
    Simulate(simulate::SimulateArgs),
    Demo(demo::DemoArgs),
    Segments(segments::SegmentsArgs),
    Serve(serve::ServeArgs),
    Schema(schema::SchemaArgs),
    Config(config::ConfigArgs),
}

/// What every command is given.
struct Session {
    config: Config,
    quiet: bool,
    log_format: LogFormat,
    telemetry: Arc<Telemetry>,
}

impl Session {
    /// The configured lake, open for questions.
    async fn engine(&self) -> Result<Engine, CliError> {
        self.engine_at(self.config.lake()).await
    }

    async fn engine_at(&self, lake: &str) -> Result<Engine, CliError> {
        memory::keep_freed();
        Ok(Engine::open(lake, self.engine_settings()).await?)
    }

    /// Tells whoever watches what is going on: nothing that a result depends on.
    fn say(&self, what: &str) {
        match self.log_format {
            LogFormat::Json => tracing::info!("{what}"),
            LogFormat::Text if self.quiet => {}
            LogFormat::Text => eprintln!("{what}"),
        }
    }

    fn engine_settings(&self) -> EngineSettings {
        EngineSettings {
            threads: usize::try_from(self.config.number("query.threads")).unwrap_or(1),
            memory_limit: usize::try_from(self.config.number("query.memory_limit"))
                .unwrap_or(usize::MAX),
        }
    }
}

/// Runs the program with the process's own arguments.
#[must_use]
pub fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches_from(arguments()).and_then(|matches| {
        let name = matches.subcommand_name().unwrap_or_default().to_owned();
        Ok((Cli::from_arg_matches(&matches)?, name))
    });
    let (cli, name) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version go to stdout and are no error; a closed pipe is nobody's concern.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let telemetry = Telemetry::start(Asked::read(environment));
    let log_format = cli.global.log_format;
    let settings =
        LogSettings { format: log_format, quiet: cli.global.quiet, verbose: cli.global.verbose };
    logs::start(settings, telemetry.tracer());
    if let Some(problem) = telemetry.problem() {
        tracing::warn!(problem, "telemetry is off");
    }
    let telemetry = Arc::new(telemetry);
    let ended = run(cli, &name, Arc::clone(&telemetry));
    if let Err(error) = &ended {
        error.say(log_format);
    }
    telemetry.end();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.exit_code(),
    }
}

fn run(cli: Cli, name: &str, telemetry: Arc<Telemetry>) -> Result<(), CliError> {
    let config = Config::load(&Given {
        lake_flag: cli.global.lake,
        lake_environment: environment("HEARBACK_LAKE"),
        file_flag: cli.global.config,
        file_environment: environment("HEARBACK_CONFIG").map(PathBuf::from),
    })?;
    let Global { quiet, log_format, .. } = cli.global;
    let session = Session { config, quiet, log_format, telemetry };
    // Commands that ask nothing start no threads.
    match cli.command {
        Command::Schema(args) => return schema::run(&session, &args),
        Command::Config(args) => return config::run(&session, &args),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("cannot start the worker threads").because(error))?;
    let span = tracing::info_span!("command", name);
    let command = async {
        match cli.command {
            Command::Ingest(args) => ingest::run(&session, &args).await,
            Command::Demo(args) => demo::run(&session, &args).await,
            Command::Query(args) => query::run(&session, args).await,
            Command::Report(args) => report::run(&session, &args).await,
            Command::Trace(args) => trace::run(&session, &args).await,
            Command::Segments(args) => segments::run(&session, args).await,
            Command::Serve(args) => serve::run(&session, &args).await,
            Command::Suppression(args) => suppression::run(&session, args).await,
            Command::Simulate(args) => simulate::run(&session, &args).await,
            Command::Schema(_) | Command::Config(_) => Ok(()),
        }
    };
    let result = runtime.block_on(command.instrument(span));
    // A read that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    result
}

/// The arguments of the process. One that begins with a comment of SQL is a statement, not an option:
/// a space in front keeps the parser from taking it for one.
fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().map(|argument| match argument.to_str() {
        Some(text) if text.starts_with("-- ") || text.starts_with("--\n") => {
            format!(" {text}").into()
        }
        _ => argument,
    })
}

/// An environment variable; empty is as good as unset.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Writes a finished text to stdout.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::from)
}

/// The time now: the only place that asks the clock.
#[expect(clippy::disallowed_methods, reason = "the edge of the program, where time comes in")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
