//! `hearback report`.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{CliError, Session, lag, now, print};
use crate::engine::Engine;
use crate::nearest::nearest;
use crate::output::{Align, TextTable};
use crate::report::{self, Figures, Moment, Period, REPORTS, Report};

/// Answer a named question; without a name, list the questions
///
/// Every figure is stated with its numerator and denominator and equals a count in SQL: --sql prints
/// the statement behind a report. Where nothing is known the answer is n/a, never 0 %.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback report deliverability --since 30d
  hearback report providers --since 2026-11-01 --until 2026-12-01 --format csv
  hearback report deliverability --by campaign")]
pub(super) struct ReportArgs {
    /// The question
    name: Option<String>,
    /// Only what was sent (or happened) at or after: 2026-11-01, 2026-11-01T09:00:00Z, or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was sent (or happened) before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Split by a dimension, such as mailbox_provider, campaign, configuration_set or day
    #[arg(long, value_name = "DIMENSION")]
    by: Option<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
    /// Print the statement behind the report instead of running it
    #[arg(long)]
    sql: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// Comma-separated values with a header
    Csv,
}

pub(super) async fn run(session: &Session, args: &ReportArgs) -> Result<(), CliError> {
    let period =
        Period { since: moment(args.since.as_deref())?, until: moment(args.until.as_deref())? };
    let Some(name) = &args.name else {
        return list(args.format);
    };
    if name == lag::NAME {
        return run_lag(session, args, &period).await;
    }
    let report = find(name)?;
    let sql = report.statement(args.by.as_deref(), &period).ok_or_else(|| {
        // Without a dimension there is always a statement.
        bad_dimension(report, args.by.as_deref().unwrap_or_default())
    })?;
    if args.sql {
        return print(&sql);
    }
    let engine = session.engine().await?;
    let figures = figures(&engine, &sql).await?;
    let dimension = report.dimension(args.by.as_deref());
    match args.format {
        ReportFormat::Csv => print(&figures.csv()),
        ReportFormat::Json => {
            let document = json!({
                "report": report.name,
                "question": report.question(),
                "definition": report.definition(),
                "period": period.words(),
                "by": dimension,
                "figures": figures.json(report.layout),
            });
            print(&format!("{document:#}\n"))
        }
        ReportFormat::Table => {
            let mut text = format!("{} ({})\n\n", report.question(), period.words());
            if figures.figures.is_empty() {
                text.push_str("No mail in this period.\n");
            } else {
                text.push_str(&figures.table(report.layout, dimension));
            }
            text.push_str(&format!("\n{}\n", report.definition()));
            print(&text)
        }
    }
}

async fn run_lag(session: &Session, args: &ReportArgs, period: &Period) -> Result<(), CliError> {
    if args.by.is_some() {
        return Err(CliError::usage("lag is by shard and cannot be split otherwise"));
    }
    match args.format {
        _ if args.sql => print(&lag::sql(period)),
        ReportFormat::Table => lag::table(session, period).await,
        ReportFormat::Json => lag::json(session, period).await,
        ReportFormat::Csv => lag::csv(session, period).await,
    }
}

/// Runs a report's statement.
pub(super) async fn figures(engine: &Engine, sql: &str) -> Result<Figures, CliError> {
    let batches = engine.plan(sql).await?.collect().await?;
    Figures::read(&batches)
        .map_err(|error| CliError::failed("cannot read the report's result").because(error))
}

fn moment(given: Option<&str>) -> Result<Option<Moment>, CliError> {
    given
        .map(|text| Moment::parse(text, now()))
        .transpose()
        .map_err(|error| CliError::usage(error.to_string()))
}

fn find(name: &str) -> Result<&'static Report, CliError> {
    report::report(name).ok_or_else(|| {
        let names = REPORTS.iter().map(|report| report.name).chain([lag::NAME]);
        let names: Vec<&str> = names.collect();
        let error = CliError::usage(format!("there is no report {name}"));
        match nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("reports: {}", names.join(", "))),
        }
    })
}

fn bad_dimension(report: &Report, name: &str) -> CliError {
    let error = CliError::usage(format!("{} cannot be split by {name}", report.name));
    match report.nearest_dimension(name) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => {
            let names: Vec<&str> = report.dimensions().collect();
            error.hint(format!("dimensions: {}", names.join(", ")))
        }
    }
}

fn list(format: ReportFormat) -> Result<(), CliError> {
    match format {
        ReportFormat::Json => {
            let reports: Vec<Value> = REPORTS
                .iter()
                .map(|report| {
                    json!({
                        "name": report.name,
                        "question": report.question(),
                        "definition": report.definition(),
                        "dimensions": report.dimensions().collect::<Vec<_>>(),
                    })
                })
                .chain([lag::listed()])
                .collect();
            print(&format!("{:#}\n", Value::Array(reports)))
        }
        ReportFormat::Csv => {
            let mut text = "name,question\n".to_owned();
            for report in REPORTS {
                text.push_str(&format!("{},\"{}\"\n", report.name, report.question()));
            }
            text.push_str(&format!("{},\"{}\"\n", lag::NAME, lag::QUESTION));
            print(&text)
        }
        ReportFormat::Table => {
            let mut table = TextTable::new(&[("report", Align::Left), ("question", Align::Left)]);
            for report in REPORTS {
                table.row(vec![report.name.to_owned(), report.question().to_owned()]);
            }
            table.row(vec![lag::NAME.to_owned(), lag::QUESTION.to_owned()]);
            print(&table.render())
        }
    }
}
