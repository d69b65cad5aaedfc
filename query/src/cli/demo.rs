//! `hearback demo`.

mod report;
mod segment;
mod suppression;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use clap::{Args, ValueEnum};
use hearback_ingest::simulate::{self, Scenario};
use hearback_ingest::{CancelFlag, SourceSpec};
use serde_json::{Value, json};

use super::{CliError, Session, ingest, print};
use crate::config::Origin;
use crate::engine::Engine;
use crate::output::Cells;

/// The demo's own lake, so that it never touches yours.
const LAKE: &str = "./hearback-demo";

/// Show what hearback does, with simulated mail on a lake of its own
///
/// Simulates the feedback of a travel company's mail, reads it into a lake, and prints the report a
/// manager would ask for, whom the policy would put on suppression lists and why, and an audience that
/// is written to files; each figure is a count in SQL. Nothing is asked of AWS and nothing is sent
/// anywhere. Uses ./hearback-demo and ./hearback-demo-segments unless --lake names a place; running it
/// again with the same numbers changes nothing.
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

/// A count of the story, and the statement that gives it.
struct Counted {
    what: String,
    value: u64,
    sql: String,
}

impl Counted {
    fn json(&self) -> Value {
        json!({"what": self.what, "value": self.value, "sql": self.sql})
    }
}

pub(super) async fn run(session: &Session, args: &DemoArgs) -> Result<(), CliError> {
    let lake = place(session);
    let note = |line: &str| {
        if !session.quiet {
            eprintln!("{line}");
        }
    };
    note(&format!("1 of 5  simulating the feedback of {} messages", args.messages));
    // Traffic beside the lake, not in it: the lake holds tables only.
    let folder = tempfile::tempdir()
        .map_err(|error| CliError::failed("cannot make a temporary folder").because(error))?;
    let traffic = simulated(folder.path(), args)?;

    note(&format!("2 of 5  reading it into the lake {lake}"));
    let shown = ingest::Shown::new(session.quiet, session.log_format);
    let sources = vec![SourceSpec::Path(traffic)];
    let request = ingest::request(&session.config, &lake, sources, CancelFlag::new());
    let read = hearback_ingest::run(request, &shown).await;
    shown.close();
    let read = read.map_err(|error| ingest::failure(&error))?.report;
    let engine = session.engine_at(&lake).await?;

    note("3 of 5  asking the lake");
    let report = match args.format {
        DemoFormat::Text => report::text(&engine, &read).await?,
        DemoFormat::Json => String::new(),
    };
    note("4 of 5  planning suppression lists, from evidence alone");
    let suppression = suppression::find(&engine, &lake).await?;
    let place = format!("{}-segments", lake.trim_end_matches('/'));
    note(&format!("5 of 5  writing an audience to {place}"));
    let segment = segment::apply(&engine, &lake, &place).await?;

    match args.format {
        DemoFormat::Text => {
            let parts = [report, suppression.text(), segment.text(), by_yourself(&lake)];
            print(&parts.join("\n"))?;
        }
        DemoFormat::Json => {
            let mut figures = report::figures_in_json(&engine).await?;
            figures.extend(suppression.figures.iter().map(Counted::json));
            figures.extend(segment.figures.iter().map(Counted::json));
            let document = json!({
                "lake": lake,
                "figures": figures,
                "suppression": suppression.json(),
                "segment": segment.json(),
            });
            print(&format!("{document:#}\n"))?;
        }
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

/// What to try next.
fn by_yourself(lake: &str) -> String {
    let commands = [
        "query \"SELECT state, count(*) FROM messages GROUP BY 1\"",
        "report providers",
        "report bounces --by mailbox_provider",
        "suppression plan --no-pull",
        "query \"SELECT segment, action, outcome, count(*) FROM segment_ledger GROUP BY ALL\"",
        "query        (a shell with completion and \\d)",
    ];
    let mut text = "ASK FOR YOURSELF\n\n".to_owned();
    for command in commands {
        text.push_str(&format!("  hearback --lake {lake} {command}\n"));
    }
    text.push_str("\nhearback demo --format json has the statement behind each count above.\n");
    text
}

/// The one value of a statement that gives one, as text.
async fn scalar(engine: &Engine, sql: &str) -> Result<String, CliError> {
    let batches = engine.plan(sql).await?.collect().await?;
    let mut text = String::new();
    if let Some(batch) = batches.iter().find(|batch: &&RecordBatch| batch.num_rows() > 0) {
        let cells = Cells::new(batch.column(0))
            .map_err(|error| CliError::failed("cannot read the result").because(error))?;
        cells.text(0, &mut text);
    }
    Ok(text)
}
