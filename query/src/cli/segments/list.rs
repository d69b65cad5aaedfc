//! `hearback segments list`.

use clap::Args;
use serde_json::{Value, json};

use super::{Form, Opened, defined};
use crate::activate::segments::Segment;
use crate::activate::segments::acknowledged::{Generation, States};
use crate::cli::{CliError, Session, print};
use crate::output::{Align, TextTable};

/// List the segments, where they go, and how they stand there
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let segments = defined(session)?;
    // Without a lake nothing was sent anywhere yet.
    let states = match Opened::of(session).await {
        Ok(opened) => States::all(&opened.lake).await?,
        Err(error) if error.is_usage() => Vec::new(),
        Err(error) => return Err(error),
    };
    match args.format {
        Form::Json => {
            let listed: Vec<Value> =
                segments.iter().map(|segment| in_json(segment, &states)).collect();
            let orphans: Vec<Value> =
                orphans(&segments, &states).map(|generation| json!(generation)).collect();
            print(&format!("{:#}\n", json!({"segments": listed, "not_defined": orphans})))
        }
        Form::Table => print(&in_words(&segments, &states)),
    }
}

/// The state of a segment at one of its destinations.
fn state<'a>(states: &'a [Generation], segment: &str, destination: &str) -> Option<&'a Generation> {
    states
        .iter()
        .find(|state| state.segment == segment && state.destination.identity() == destination)
}

/// What was sent somewhere, but is defined no longer.
fn orphans<'a>(
    segments: &'a [Segment],
    states: &'a [Generation],
) -> impl Iterator<Item = &'a Generation> {
    states.iter().filter(|state| {
        let defined = segments.iter().any(|segment| {
            segment.name == state.segment
                && segment
                    .destinations
                    .iter()
                    .any(|spec| spec.identity() == state.destination.identity())
        });
        !defined && state.members > 0
    })
}

fn in_json(segment: &Segment, states: &[Generation]) -> Value {
    let destinations: Vec<Value> = segment
        .destinations
        .iter()
        .map(|spec| {
            let identity = spec.identity();
            let state = state(states, &segment.name, &identity);
            json!({
                "destination": identity,
                "members": state.map(|state| state.members),
                "applied_time": state.map(|state| state.applied_time.clone()),
                "failed": state.map(|state| state.failed),
            })
        })
        .collect();
    json!({
        "name": segment.name,
        "description": segment.description,
        "key": segment.key,
        "schedule": segment.schedule.as_ref().map(ToString::to_string),
        "defined": segment.origin.to_string(),
        "destinations": destinations,
    })
}

fn in_words(segments: &[Segment], states: &[Generation]) -> String {
    if segments.is_empty() && states.is_empty() {
        return "No segments are defined. `hearback segments new` lists ready ones to copy.\n"
            .to_owned();
    }
    let left = Align::Left;
    let mut table = TextTable::new(&[
        ("segment", left),
        ("destination", left),
        ("members", Align::Right),
        ("applied", left),
        ("schedule", left),
        ("description", left),
    ]);
    for segment in segments {
        let schedule = segment.schedule.as_ref().map(ToString::to_string).unwrap_or_default();
        let description = segment.description.clone().unwrap_or_default();
        let mut places: Vec<String> = segment
            .destinations
            .iter()
            .map(crate::activate::segments::DestinationSpec::identity)
            .collect();
        if places.is_empty() {
            places.push("(none)".to_owned());
        }
        for (index, place) in places.iter().enumerate() {
            let state = state(states, &segment.name, place);
            let first = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
            table.row(vec![
                first(&segment.name),
                place.clone(),
                state.map_or_else(String::new, |state| state.members.to_string()),
                state.map_or_else(|| "never".to_owned(), |state| state.applied_time.clone()),
                first(&schedule),
                first(&description),
            ]);
        }
    }
    let mut text = table.render();
    for orphan in orphans(segments, states) {
        text.push_str(&format!(
            "\n{} has {} members at {} and is defined no longer; `hearback segments retire {}` removes them.\n",
            orphan.segment,
            orphan.members,
            orphan.destination.identity(),
            orphan.segment
        ));
    }
    text
}
