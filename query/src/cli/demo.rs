//! `hearback demo`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hearback_ingest::simulate::{self, Scenario};
use hearback_ingest::{CancelFlag, SourceSpec};

use super::{CliError, Session, ingest, print, story};
use crate::config::Origin;

/// The demo's own lake, so that it never touches yours.
const LAKE: &str = "./hearback-demo";

/// Show what hearback does, with simulated mail on a lake of its own
///
/// Simulates the feedback of a travel company's mail, reads it into a lake, and prints the report a
/// manager would ask for, with the SQL behind every figure. Uses ./hearback-demo unless --lake names
/// a place; running it again with the same numbers changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback demo
  hearback demo --messages 200000 --seed 7 --lake /tmp/demo-lake")]
pub(super) struct DemoArgs {
    /// Messages that are sent
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    messages: u64,
    /// Seed of everything random
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = DemoFormat::Text)]
    format: DemoFormat,
    /// End after the report instead of serving the console
    #[arg(long)]
    no_serve: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DemoFormat {
    /// For people
    Text,
    /// One JSON document: every figure with the SQL that gives it
    Json,
}

pub(super) async fn run(session: &Session, args: &DemoArgs) -> Result<(), CliError> {
    let lake = place(session);
    let note = |line: &str| {
        if !session.quiet {
            eprintln!("{line}");
        }
    };
    note(&format!("1 of 3  simulating the feedback of {} messages", args.messages));
    // Traffic beside the lake, not in it: the lake holds tables only.
    let folder = tempfile::tempdir()
        .map_err(|error| CliError::failed("cannot make a temporary folder").because(error))?;
    let traffic = simulated(folder.path(), args)?;

    note(&format!("2 of 3  reading it into the lake {lake}"));
    let shown = ingest::Shown::new(session.quiet, session.log_format);
    let sources = vec![SourceSpec::Path(traffic)];
    let request = ingest::request(&session.config, &lake, sources, CancelFlag::new());
    let read = hearback_ingest::run(request, &shown).await;
    shown.close();
    let summary = read.map_err(|error| ingest::failure(&error))?;

    note("3 of 3  asking the lake");
    let engine = session.engine_at(&lake).await?;
    match args.format {
        DemoFormat::Text => print(&story::tell(&engine, &lake, &summary.report).await?)?,
        DemoFormat::Json => print(&story::document(&engine, &lake).await?)?,
    }
    // The console that --no-serve declines is not part of this version: both ways end here.
    let _ = args.no_serve;
    Ok(())
}

/// The lake of the demo: the one that the command line names, else its own. A lake in the environment
/// or in a configuration file is somebody's real one, and is left alone.
fn place(session: &Session) -> String {
    match session.config.entries().first() {
        Some(lake) if matches!(lake.origin, Origin::Flag(_)) => session.config.lake().to_owned(),
        _ => LAKE.to_owned(),
    }
}

fn simulated(folder: &Path, args: &DemoArgs) -> Result<PathBuf, CliError> {
    let failed = |error: std::io::Error| {
        CliError::failed("cannot write the simulated traffic").because(error)
    };
    let path = folder.join(format!("traffic-{}-{}.json", args.messages, args.seed));
    let file = std::fs::File::create(&path).map_err(failed)?;
    let mut out = BufWriter::new(file);
    let scenario = Scenario { messages: args.messages, seed: args.seed, ..Scenario::default() };
    simulate::write(&scenario, &mut out, &mut |_| {}).map_err(failed)?;
    out.flush().map_err(failed)?;
    Ok(path)
}
