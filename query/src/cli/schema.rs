//! `hearback schema`.

use clap::{Args, ValueEnum};
use hearback_schemas::{ENDPOINT_IMPORTS, EVENTS, REJECTS, SEGMENT_LEDGER, Table};
use serde_json::{Value, json};

use super::{CliError, Session, print};
use crate::nearest::nearest;
use crate::output::{Align, TextTable};

/// Tables that something writes.
const TABLES: [&Table; 4] = [&EVENTS, &REJECTS, &SEGMENT_LEDGER, &ENDPOINT_IMPORTS];

/// Print the columns of the lake's tables with their types and meaning
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback schema events
  hearback schema events --format ddl-athena > events.sql")]
pub(super) struct SchemaArgs {
    /// Only this table
    table: Option<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = SchemaFormat::Table)]
    format: SchemaFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaFormat {
    /// Columns for people
    Table,
    /// One JSON document
    Json,
    /// Statements that make Athena see the tables
    DdlAthena,
    /// Statements that make Spark SQL see the tables
    DdlSpark,
}

pub(super) fn run(session: &Session, args: &SchemaArgs) -> Result<(), CliError> {
    let tables: Vec<&Table> = match &args.table {
        None => TABLES.to_vec(),
        Some(name) => vec![find(name)?],
    };
    let lake = session.config.lake();
    match args.format {
        SchemaFormat::Table => print(&as_table(&tables)),
        SchemaFormat::Json => {
            let document: Vec<Value> = tables.iter().map(|table| as_json(table)).collect();
            print(&format!("{:#}\n", Value::Array(document)))
        }
        SchemaFormat::DdlAthena => print(&joined(&tables, |table| table.ddl_athena(lake))),
        SchemaFormat::DdlSpark => print(&joined(&tables, |table| table.ddl_spark(lake))),
    }
}

fn find(name: &str) -> Result<&'static Table, CliError> {
    if let Some(table) = TABLES.into_iter().find(|table| table.name == name) {
        return Ok(table);
    }
    let names = TABLES.map(|table| table.name);
    let error = CliError::usage(format!("there is no table {name}"));
    Err(match nearest(name, names) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("tables: {}", names.join(", "))),
    })
}

fn as_table(tables: &[&Table]) -> String {
    let mut text = String::new();
    for (index, table) in tables.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&format!("{}: {}\n", table.name, table.meaning));
        let left = Align::Left;
        let mut columns =
            TextTable::new(&[("column", left), ("type", left), ("null", left), ("meaning", left)]);
        for column in table.columns {
            columns.row(vec![
                column.name.to_owned(),
                column.kind.sql().to_owned(),
                if column.required { "no" } else { "yes" }.to_owned(),
                column.meaning.to_owned(),
            ]);
        }
        text.push_str(&columns.render());
    }
    text
}

fn as_json(table: &Table) -> Value {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.kind.sql(),
                "nullable": !column.required,
                "partition": table.is_partition(column.name),
                "meaning": column.meaning,
            })
        })
        .collect();
    json!({"name": table.name, "meaning": table.meaning, "columns": columns})
}

fn joined(tables: &[&Table], ddl: impl Fn(&Table) -> String) -> String {
    let statements: Vec<String> = tables.iter().map(|table| ddl(table)).collect();
    statements.join("\n")
}
