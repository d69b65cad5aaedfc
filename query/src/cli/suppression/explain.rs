//! `hearback suppression explain`.

use clap::Args;

use super::{Desk, Form, now_us};
use crate::activate::suppression::explain::{Explanation, Ours, explain, look_up};
use crate::activate::suppression::list::folded;
use crate::cli::{CliError, Session, print};

/// Say why an address is, or is not, suppressed
///
/// On which lists, since when, until when, by which rule and which events; and what removing it would do.
/// The lists are those that were read last (`suppression pull`).
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The address, in any spelling
    address: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ExplainArgs) -> Result<(), CliError> {
    let recipient = address(&args.address)?;
    let desk = Desk::open(session).await?;
    let now_us = now_us();
    let known = look_up(&desk.engine, &desk.settings, &recipient, now_us).await?;
    let explanation = explain(&desk.engine, &desk.settings, &known, now_us).await?;
    match args.format {
        Form::Json => {
            let json = serde_json::to_string_pretty(&explanation)
                .map_err(|error| CliError::failed("cannot write JSON").because(error))?;
            print(&format!("{json}\n"))
        }
        Form::Table => print(&text(&explanation)),
    }
}

/// An address of the command line, as events spell it.
pub(super) fn address(given: &str) -> Result<String, CliError> {
    let recipient = folded(given);
    let whole = recipient
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if whole { Ok(recipient) } else { Err(CliError::usage(format!("{given:?} is not an address"))) }
}

fn text(explanation: &Explanation) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(explanation.summary.clone());
    if explanation.allowed {
        line("It is on the allow list: no rule adds it.".to_owned());
    }
    for list in &explanation.lists {
        line(String::new());
        line(format!("{}  {}", list.target, list.owner));
        for entry in &list.entries {
            line(format!(
                "  listed    {} as {} since {}",
                entry.address, entry.reason, entry.since
            ));
        }
        if let Some(ours) = &list.ours {
            for words in ours_words(ours) {
                line(words);
            }
        }
        if let Some(lift) = &list.lifted {
            let note = lift.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            line(format!("  lifted    {} by {}{note}", lift.time, lift.actor));
        }
        if let Some(read) = &list.read {
            line(format!("  read      {read}"));
        }
        let heading = if list.entries.is_empty() { "next" } else { "removing" };
        line(format!("  {heading:<8}  {}", list.if_removed));
    }
    if let Some(pause) = &explanation.pause {
        line(String::new());
        line("paused: kept out of segments, on no list".to_owned());
        for words in ours_words(pause) {
            line(words);
        }
    }
    line(String::new());
    line("The policy:".to_owned());
    for words in &explanation.policy {
        line(format!("  {words}"));
    }
    line(String::new());
    line(if explanation.events.is_empty() {
        "No bounce and no complaint in the lake.".to_owned()
    } else {
        "Bounces and complaints, newest first:".to_owned()
    });
    for event in &explanation.events {
        let kind = event.bounce_type.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        let campaign =
            event.campaign.as_ref().map(|name| format!("  campaign {name}")).unwrap_or_default();
        line(format!("  {}  {} {}{kind}{campaign}", event.time, event.event_type, event.cause));
        let words: Vec<&str> =
            [event.status.as_deref(), event.text.as_deref()].into_iter().flatten().collect();
        if !words.is_empty() {
            line(format!("    {}", words.join(" ")));
        }
    }
    text
}

fn ours_words(ours: &Ours) -> Vec<String> {
    let mut words = vec![
        format!(
            "  rule      {} (policy {}), asked by {}",
            ours.rule, ours.rule_version, ours.actor
        ),
        format!(
            "  since     {}, until {}",
            ours.since,
            ours.until.as_deref().unwrap_or("for ever")
        ),
    ];
    if let Some(note) = &ours.note {
        words.push(format!("  note      {note}"));
    }
    if !ours.evidence.is_empty() {
        words.push(format!("  events    {}", ours.evidence.join(" ")));
    }
    let request = ours.request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
    words.push(format!("  plan      {}{request}", ours.plan_id));
    words
}
