//! `hearback config`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{CliError, Session, print};
use crate::config::Setting;
use crate::output::{Align, TextTable};

/// Show the configuration in effect
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Show(ShowArgs),
}

/// Print every setting in effect and where its value came from
///
/// A flag wins over the environment, the environment over the file, the file over the default.
#[derive(Debug, Args)]
struct ShowArgs {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = ShowFormat::Table)]
    format: ShowFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// Columns for people
    Table,
    /// One JSON document
    Json,
}

pub(super) fn run(session: &Session, args: &ConfigArgs) -> Result<(), CliError> {
    let ConfigCommand::Show(show) = &args.command;
    let entries = session.config.entries();
    match show.format {
        ShowFormat::Table => {
            let left = Align::Left;
            let mut table = TextTable::new(&[
                ("key", left),
                ("value", left),
                ("from", left),
                ("meaning", left),
            ]);
            for entry in entries {
                table.row(vec![
                    entry.key.path(),
                    entry.setting.to_toml(),
                    entry.origin.to_string(),
                    entry.key.meaning.to_owned(),
                ]);
            }
            print(&table.render())
        }
        ShowFormat::Json => {
            let settings: Vec<Value> = entries
                .iter()
                .map(|entry| {
                    json!({
                        "key": entry.key.path(),
                        "value": value(&entry.setting),
                        "from": entry.origin.to_string(),
                        "meaning": entry.key.meaning,
                    })
                })
                .collect();
            print(&format!("{:#}\n", Value::Array(settings)))
        }
    }
}

/// Sizes in bytes, lengths of time in milliseconds (null for never) and shares as fractions, so that a program need not parse them.
fn value(setting: &Setting) -> Value {
    match setting {
        Setting::Text(text) => json!(text),
        Setting::Count(number) | Setting::Bytes(number) | Setting::Milliseconds(number) => {
            json!(number)
        }
        Setting::Share(millionths) => json!(*millionths as f64 / 1e6),
        Setting::Never => Value::Null,
        Setting::Flag(flag) => json!(flag),
        Setting::List(list) => json!(list),
        Setting::Records(records) => records
            .iter()
            .map(|record| {
                let fields =
                    record.iter().map(|(name, setting)| ((*name).to_owned(), value(setting)));
                Value::Object(fields.collect())
            })
            .collect(),
    }
}
