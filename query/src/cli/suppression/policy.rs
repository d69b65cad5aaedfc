//! `hearback suppression policy`.

use clap::Args;
use serde_json::{Value, json};

use super::{Form, settings};
use crate::activate::suppression::policy::{Action, POLICY_VERSION, RULES, Rule};
use crate::activate::suppression::settings::Settings;
use crate::cli::{CliError, Session, print};
use crate::config::{format_duration, format_share};

/// Print every rule: what counts as evidence, what it does, where, until when, and why
///
/// The counts and times are those in effect; the section `suppression` of the configuration file changes them,
/// switches rules off and adds rules in SQL.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) fn run(session: &Session, args: &PolicyArgs) -> Result<(), CliError> {
    let settings = settings(session)?;
    match args.format {
        Form::Json => print(&format!("{:#}\n", document(&settings))),
        Form::Table => print(&text(&settings)),
    }
}

fn document(settings: &Settings) -> Value {
    let built_in = RULES.iter().map(|rule| {
        json!({
            "rule": rule.name,
            "action": action(rule),
            "scope": rule.scope.as_str(),
            "evidence": rule.evidence,
            "why": rule.why,
            "counts": counts(settings, rule),
            "expiry": expiry(settings, rule),
            "enabled": settings.enabled(rule.name),
            "fast_lane": rule.fast,
        })
    });
    let custom = settings.custom.iter().map(|rule| {
        json!({
            "rule": rule.name,
            "action": "as its column reason says",
            "scope": rule.scope.as_str(),
            "evidence": rule.sql,
            "expiry": rule.expiry_us.map_or_else(|| "never".to_owned(), lasting),
            "enabled": true,
            "fast_lane": false,
        })
    });
    json!({
        "version": POLICY_VERSION,
        "rules": built_in.chain(custom).collect::<Vec<Value>>(),
        "caps": {
            "max_adds": settings.caps.max_adds,
            "max_add_share": settings.caps.max_add_share as f64 / 1e6,
            "max_removals": settings.caps.max_removals,
            "max_removal_share": settings.caps.max_removal_share as f64 / 1e6,
        },
        "freeze": {
            "share": settings.freeze.share as f64 / 1e6,
            "recipients": settings.freeze.recipients,
        },
    })
}

fn text(settings: &Settings) -> String {
    let mut text = format!("Suppression policy {POLICY_VERSION}\n\n");
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    for rule in RULES {
        let off = if settings.enabled(rule.name) { "" } else { " (switched off)" };
        line(format!("{}{off}: {}", rule.name, action(rule)));
        line(format!("  evidence  {}", rule.evidence));
        if let Some(counts) = counts(settings, rule) {
            line(format!("  counts    {counts}"));
        }
        if matches!(rule.action, Action::Suppress(_) | Action::Pause) {
            line(format!("  where     {}", place(rule)));
            line(format!("  until     {}", expiry(settings, rule).unwrap_or_default()));
        }
        line(format!("  why       {}", rule.why));
        line(String::new());
    }
    for rule in &settings.custom {
        line(format!("{}: a rule of your own, {}", rule.name, rule.scope.as_str()));
        for sql in rule.sql.lines() {
            line(format!("  {sql}"));
        }
        line(format!(
            "  until     {}",
            rule.expiry_us.map_or_else(|| "for ever".to_owned(), lasting)
        ));
        line(String::new());
    }
    line(format!(
        "An hour in which {} or more recipients of one provider fail, more than {} of its mail, is an outage: \
         what fails in it, or in the hour before and after, is no evidence. Complaints are.",
        settings.freeze.recipients,
        format_share(settings.freeze.share)
    ));
    line("No evidence either: what happened before a delivery or a person's open or click, before a removal by an operator, \
          mail to simulator.amazonses.com, test mail, and bounces of addresses that nobody mailed (forwarding)."
        .to_owned());
    line(format!(
        "One run adds at most {} and removes at most {} entries of a list, and at most {} and {} of the active \
         recipients; more needs --max-adds and --max-removals.",
        settings.caps.max_adds,
        settings.caps.max_removals,
        format_share(settings.caps.max_add_share),
        format_share(settings.caps.max_removal_share)
    ));
    text
}

fn action(rule: &Rule) -> String {
    match rule.action {
        Action::Suppress(reason) => format!("suppress as {reason}"),
        Action::Pause => "pause: keep out of segments, not on the list".to_owned(),
        Action::Clear => "take the complaint back".to_owned(),
        Action::Nothing => "nothing".to_owned(),
    }
}

fn place(rule: &Rule) -> &'static str {
    match rule.scope.as_str() {
        "local" => "the account and Region that the evidence comes from",
        _ => "every target",
    }
}

fn counts(settings: &Settings, rule: &Rule) -> Option<String> {
    let counted = match rule.name {
        "soft-bounces" => settings.soft,
        "mailbox-full" => settings.full,
        _ => return None,
    };
    Some(format!(
        "{} messages over at least {} ({})",
        counted.failures,
        lasting(counted.window_us),
        rule.count_keys.join(", ")
    ))
}

fn expiry(settings: &Settings, rule: &Rule) -> Option<String> {
    let key = rule.expiry_key?;
    let lifetime = settings.lifetimes.get(rule.name).copied().flatten();
    let words = lifetime.map_or_else(
        || "for ever".to_owned(),
        |us| format!("{} after the last evidence", lasting(us)),
    );
    Some(format!("{words} ({key})"))
}

fn lasting(us: i64) -> String {
    format_duration(us.unsigned_abs() / 1_000)
}
