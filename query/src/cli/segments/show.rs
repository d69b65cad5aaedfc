//! `hearback segments show`.

use clap::Args;
use serde_json::{Value, json};

use super::{Form, Opened, chosen};
use crate::activate::segments::acknowledged::{Generation, States};
use crate::activate::segments::members::{Census, Member, Question};
use crate::activate::segments::plan::{PlanHeader, PlanOptions, plan};
use crate::cli::{CliError, Session, print};
use crate::output::{Align, TextTable};

/// Generations that are listed for each destination.
const HISTORY: usize = 10;

/// Show one segment: its size now, a sample, what would change, and its history
///
/// Runs the segment's question and compares it with what each destination acknowledged. Changes nothing.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name of the segment
    name: String,
    /// Members in the sample
    #[arg(long, value_name = "N", default_value_t = 5)]
    sample: usize,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ShowArgs) -> Result<(), CliError> {
    let segments = chosen(session, std::slice::from_ref(&args.name))?;
    let Some(segment) = segments.first() else { return Ok(()) };
    let opened = Opened::of(session).await?;
    let bench = opened.bench();

    let question = Question::plan(bench.engine, segment).await?;
    let mut members = question.ask().await?;
    let mut sample = Vec::new();
    while let Some(member) = members.next().await? {
        if sample.len() < args.sample {
            sample.push(member);
        }
    }
    let census = members.census().clone();
    let plans = plan(&bench, segment, PlanOptions::default()).await?;
    let mut places = Vec::new();
    for plan in plans {
        let states = States::of(bench.lake, &segment.name, &plan.spec);
        places.push((plan.header, states.history(HISTORY).await?));
    }
    match args.format {
        Form::Json => {
            let sample: Vec<Value> = sample.iter().map(member_json).collect();
            let places: Vec<Value> = places
                .iter()
                .map(|(plan, history)| {
                    json!({
                        "destination": plan.destination,
                        "add": plan.counts.add,
                        "change": plan.counts.change,
                        "remove": plan.counts.remove,
                        "refresh": plan.counts.refresh,
                        "keep": plan.counts.keep,
                        "guards": plan.guards,
                        "history": history,
                    })
                })
                .collect();
            let document = json!({
                "name": segment.name,
                "description": segment.description,
                "key": segment.key,
                "sql": segment.sql,
                "defined": segment.origin.to_string(),
                "lake_version": question.lake_version(),
                "members": census.members,
                "census": census,
                "sample": sample,
                "destinations": places,
            });
            print(&format!("{document:#}\n"))
        }
        Form::Table => {
            let mut text = segment.name.clone();
            if let Some(description) = &segment.description {
                text.push_str(&format!(": {description}"));
            }
            text.push_str(&format!("\n{}, defined in {}\n\n", size(&census), segment.origin));
            text.push_str(&sample_table(&segment.key, &sample));
            for (plan, history) in &places {
                text.push_str(&place_in_words(plan, history));
            }
            print(&text)
        }
    }
}

fn member_json(member: &Member) -> Value {
    json!({"member": member.key, "attributes": member.values()})
}

/// The size in words, with who is left out.
pub(super) fn size(census: &Census) -> String {
    let mut text = format!("{} members", census.members);
    let excluded: u64 = census.excluded.values().sum();
    if excluded > 0 {
        let reasons: Vec<String> =
            census.excluded.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        text.push_str(&format!(", {excluded} people left out ({})", reasons.join(", ")));
    }
    text
}

fn sample_table(key: &str, sample: &[Member]) -> String {
    if sample.is_empty() {
        return String::new();
    }
    let mut table = TextTable::new(&[(key, Align::Left), ("attributes", Align::Left)]);
    for member in sample {
        table.row(vec![member.key.clone(), member.attributes.clone()]);
    }
    table.render()
}

fn place_in_words(plan: &PlanHeader, history: &[Generation]) -> String {
    let mut text = format!(
        "\n{}\n  to add {}, to change {}, to remove {}, unchanged {}\n",
        plan.destination,
        plan.counts.add,
        plan.counts.change,
        plan.counts.remove,
        plan.counts.keep + plan.counts.refresh
    );
    for guard in &plan.guards {
        text.push_str(&format!("  refused: {} ({})\n", guard.reason, guard.remedy));
    }
    if history.is_empty() {
        text.push_str("  never applied\n");
        return text;
    }
    let right = Align::Right;
    let mut table = TextTable::new(&[
        ("applied", Align::Left),
        ("members", right),
        ("added", right),
        ("changed", right),
        ("removed", right),
        ("failed", right),
        ("plan", Align::Left),
    ]);
    for generation in history {
        table.row(vec![
            generation.applied_time.clone(),
            generation.members.to_string(),
            generation.add.to_string(),
            generation.change.to_string(),
            generation.remove.to_string(),
            generation.failed.to_string(),
            generation.plan_id.clone(),
        ]);
    }
    text.push_str(&table.render());
    text
}
