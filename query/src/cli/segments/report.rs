//! Plans and applications in words, and applications as JSON.

use serde_json::{Value, json};

use super::show::size;
use crate::activate::segments::SegmentError;
use crate::activate::segments::apply::Applied;
use crate::activate::segments::change::{Action, Change};
use crate::activate::segments::destination::Outcome;
use crate::activate::segments::plan::{Plan, PlanHeader};
use crate::cli::CliError;

/// Examples of each action that are shown.
const EXAMPLES: usize = 5;

/// Plans for people: counts, examples, guards.
pub(super) fn plans_in_words(plans: &mut [Plan]) -> Result<String, CliError> {
    let mut text = String::new();
    for plan in plans {
        let header = &plan.header;
        let version = header.lake_version.map_or_else(|| "none".to_owned(), |v| v.to_string());
        text.push_str(&format!(
            "{} → {}\n  {} (lake version {version})\n",
            header.segment,
            header.destination,
            size(&header.census),
        ));
        text.push_str(&format!("  {}\n", counts_in_words(header)));
        for example in examples(plan)? {
            let sign = match example.action {
                Action::Add => '+',
                Action::Remove => '-',
                Action::Change => '~',
                Action::Refresh => '↻',
            };
            text.push_str(&format!("    {sign} {} {}\n", example.member, example.attributes));
        }
        for guard in &plan.header.guards {
            let verdict = if guard.lifted { "allowed" } else { "REFUSED" };
            text.push_str(&format!("  {verdict}: {} ({})\n", guard.reason, guard.remedy));
        }
        let examples = &plan.header.census.examples;
        if !examples.is_empty() {
            text.push_str(&format!("    such as {}\n", examples.join(", ")));
        }
        text.push('\n');
    }
    Ok(text)
}

/// What would be done, in one line.
pub(super) fn counts_in_words(header: &PlanHeader) -> String {
    let counts = header.counts;
    let mut text = format!(
        "add {}, change {}, remove {}, keep {}",
        counts.add, counts.change, counts.remove, counts.keep
    );
    if counts.refresh > 0 {
        text.push_str(&format!(", refresh {} before they expire", counts.refresh));
    }
    if counts.declined > 0 {
        text.push_str(&format!(", leave alone {} who opted out there", counts.declined));
    }
    text
}

/// The first changes of each action.
fn examples(plan: &mut Plan) -> Result<Vec<Change>, CliError> {
    let counts = plan.header.counts;
    let wanted = |action: Action| {
        let count = match action {
            Action::Add => counts.add,
            Action::Change => counts.change,
            Action::Remove => counts.remove,
            Action::Refresh => counts.refresh,
        };
        usize::try_from(count).map_or(EXAMPLES, |count| count.min(EXAMPLES))
    };
    let mut examples: Vec<Change> = Vec::new();
    let actions = [Action::Add, Action::Change, Action::Remove, Action::Refresh];
    let most: usize = actions.into_iter().map(wanted).sum();
    for change in plan.changes.read().map_err(SegmentError::from)? {
        if examples.len() == most {
            break;
        }
        let change = change.map_err(SegmentError::from)?;
        let shown = examples.iter().filter(|example| example.action == change.action).count();
        if shown < EXAMPLES {
            examples.push(change);
        }
    }
    examples.sort_by_key(|example| example.action);
    Ok(examples)
}

/// An application for people.
pub(super) fn applied_in_words(header: &PlanHeader, applied: &Applied) -> String {
    let mut text = format!("{} → {}\n", header.segment, header.destination);
    if applied.already {
        text.push_str("  was applied before; nothing was done\n");
        return text;
    }
    let counts = applied.counts;
    text.push_str(&format!(
        "  added {}, changed {}, removed {}, kept {}; {} members\n",
        counts.add, counts.change, counts.remove, counts.keep, applied.members
    ));
    let mut line = |count: u64, words: &str| {
        if count > 0 {
            text.push_str(&format!("  {count} {words}\n"));
        }
    };
    line(counts.refresh, "refreshed before they expire");
    line(applied.before, "of these by a run that was interrupted");
    let unreachable = applied.skipped.saturating_sub(applied.declined);
    line(unreachable, "left out: unreachable since the plan was made");
    line(applied.declined, "left out: opted out at the destination; not offered again");
    line(applied.failed, "refused by the destination; the next plan has them again");
    line(applied.untried, "not tried");
    for (change, outcome) in &applied.problems {
        text.push_str(&format!(
            "    {} {}: {}\n",
            change.action.word(),
            change.member,
            reason(outcome)
        ));
    }
    if let Some(stopped) = &applied.stopped {
        text.push_str(&format!("  stopped: {stopped}\n"));
    }
    text
}

/// An application for programs, but for its items.
pub(super) fn applied_in_json(header: &PlanHeader, applied: &Applied) -> Value {
    let counts = applied.counts;
    json!({
        "segment": header.segment,
        "destination": header.destination,
        "plan_id": header.plan_id,
        "lake_version": header.lake_version,
        "add": counts.add,
        "change": counts.change,
        "remove": counts.remove,
        "refresh": counts.refresh,
        "keep": counts.keep,
        "members": applied.members,
        "before": applied.before,
        "failed": applied.failed,
        "skipped": applied.skipped,
        "declined": applied.declined,
        "untried": applied.untried,
        "already": applied.already,
        "stopped": applied.stopped,
        "receipts": applied.receipts,
        "guards": applied.guards,
    })
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done => "",
        Outcome::Failed(reason) | Outcome::Skipped(reason) | Outcome::Declined(reason) => reason,
    }
}
