//! `hearback suppression pull`.

use clap::Args;
use serde_json::{Value, json};

use super::{Desk, Form, now_us, partial, settings};
use crate::activate::suppression::survey::{Freshness, create_lake};
use crate::cli::{CliError, Session, print};
use crate::output::{Align, TextTable};

/// Read the live lists into the lake: what changed, or everything once a day
///
/// The table suppression_list keeps every entry in its exact spelling, with every change: it is the
/// backup of the lists, and what plans compare with. SES answers one request a second, 1,000 entries each.
#[derive(Debug, Args)]
pub(super) struct PullArgs {
    /// Read the lists in full, whenever that was done last
    #[arg(long)]
    full: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &PullArgs) -> Result<(), CliError> {
    settings(session)?;
    create_lake(session.config.lake(), uuid::Uuid::new_v4(), now_us())
        .await
        .map_err(|error| CliError::failed("cannot write to the lake").because(error))?;
    let desk = Desk::open(session).await?;
    let freshness = if args.full { Freshness::Full } else { Freshness::Now };
    let survey = desk.place().survey(freshness, now_us()).await?;
    let mut table = TextTable::new(&[
        ("list", Align::Left),
        ("entries", Align::Right),
        ("new or changed", Align::Right),
        ("gone", Align::Right),
        ("ours", Align::Right),
        ("reading", Align::Left),
    ]);
    let mut documents: Vec<Value> = Vec::new();
    for ((list, state), seen) in survey.lists.iter().zip(&survey.seen) {
        let ours = survey
            .ledger
            .on(Some(list))
            .filter(|(recipient, standing)| {
                standing.added.is_some() && !state.of(recipient).is_empty()
            })
            .count();
        let reading = if seen.full { "full" } else { "incremental" };
        table.row(vec![
            list.to_string(),
            state.len().to_string(),
            seen.changed.to_string(),
            seen.gone.to_string(),
            ours.to_string(),
            reading.to_owned(),
        ]);
        documents.push(json!({
            "target": list.to_string(),
            "entries": state.len(),
            "changed": seen.changed,
            "gone": seen.gone,
            "ours": ours,
            "reading": reading,
            "settings": state.settings,
        }));
    }
    match args.format {
        Form::Table => print(&table.render())?,
        Form::Json => print(&format!("{:#}\n", Value::Array(documents)))?,
    }
    partial(&survey.unreachable, survey.lists.is_empty())
}
