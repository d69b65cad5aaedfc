//! `hearback suppression export`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Desk;
use crate::activate::suppression::columns::Texts;
use crate::activate::suppression::statement::{for_each, quoted};
use crate::cli::{CliError, Session};

/// Write the entries of the lists as they were last seen, in a form that others read
///
/// SES's form, uploaded as an import job, restores a list that was lost.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Form of the file
    #[arg(long, value_enum, default_value_t = ExportForm::Csv)]
    format: ExportForm,
    /// Only the list of this Region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Only the list of this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Where to write; standard output without it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportForm {
    /// CSV with a header: address, reason, account, Region, tenant, owner, rule, since, until
    Csv,
    /// One JSON object a line, with the same fields
    Ndjson,
    /// SES's import form: address,REASON without a header, each address once
    Ses,
}

const FIELDS: [&str; 9] =
    ["address", "reason", "account_id", "region", "tenant", "owner", "rule", "since", "until"];

pub(super) async fn run(session: &Session, args: &ExportArgs) -> Result<(), CliError> {
    let desk = Desk::open(session).await?;
    let mut filters = vec!["kind = 'list'".to_owned(), "listed".to_owned()];
    if let Some(region) = &args.region {
        filters.push(format!("region = {}", quoted(region)));
    }
    if let Some(account) = &args.account {
        filters.push(format!("account_id = {}", quoted(account)));
    }
    let filter = filters.join(" AND ");
    let sql = match args.format {
        // The stronger reason wins where lists differ: COMPLAINT comes after BOUNCE.
        ExportForm::Ses => format!(
            "SELECT address, max(reason) AS reason FROM suppressions WHERE {filter} GROUP BY address ORDER BY address"
        ),
        _ => format!(
            "SELECT address, reason, account_id, region, tenant, owner, rule, \
             CAST(since AS VARCHAR) AS since, CAST(expires_time AS VARCHAR) AS until \
             FROM suppressions WHERE {filter} ORDER BY address, account_id, region"
        ),
    };
    let out: Box<dyn Write + Send> = match &args.output {
        Some(path) => {
            let file = File::create(path).map_err(|error| {
                CliError::usage(format!("{} cannot be written", path.display())).because(error)
            })?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    write(&desk, &sql, args.format, out).await
}

async fn write(
    desk: &Desk,
    sql: &str,
    form: ExportForm,
    mut out: Box<dyn Write + Send>,
) -> Result<(), CliError> {
    let fields: &[&str] = if form == ExportForm::Ses { &FIELDS[..2] } else { &FIELDS };
    let mut failed: Option<std::io::Error> = None;
    if form == ExportForm::Csv {
        out.write_all(record(fields).as_bytes())?;
    }
    for_each(&desk.engine, sql, |batch| {
        let mut columns = Vec::new();
        for field in fields {
            columns.push(Texts::of(batch, field)?);
        }
        for row in 0..batch.num_rows() {
            let line = match form {
                ExportForm::Ndjson => {
                    let pairs = fields.iter().zip(&columns);
                    let object: serde_json::Map<String, serde_json::Value> = pairs
                        .map(|(field, column)| ((*field).to_owned(), json!(column.get(row))))
                        .collect();
                    format!("{}\n", serde_json::Value::Object(object))
                }
                _ => {
                    let values: Vec<&str> =
                        columns.iter().map(|column| column.get(row).unwrap_or("")).collect();
                    record(&values)
                }
            };
            if failed.is_none()
                && let Err(error) = out.write_all(line.as_bytes())
            {
                failed = Some(error);
            }
        }
        Ok(())
    })
    .await?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(out.flush()?),
    }
}

/// One line of CSV.
fn record(values: &[&str]) -> String {
    let quoted: Vec<String> = values
        .iter()
        .map(|value| {
            if value.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", value.replace('"', "\"\""))
            } else {
                (*value).to_owned()
            }
        })
        .collect();
    format!("{}\n", quoted.join(","))
}
