//! Plans for people.

use crate::activate::suppression::plan::{Item, Plan, TargetPlan};
use crate::config::format_share;
use crate::output::{Align, TextTable};

/// Rows of one list that are shown; JSON has them all.
const ROWS_SHOWN: usize = 50;

/// A plan as text.
pub(super) fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    for target in &plan.targets {
        line(&heading(target));
        if !target.items.is_empty() {
            line(&items(target));
        }
        for guard in &target.guards {
            line(&format!("  stopped   {}", guard.why));
            line(&format!("            to go on: {}", guard.lift));
        }
        for conflict in target.conflicts.iter().take(ROWS_SHOWN) {
            line(&format!("  conflict  {}: {}", conflict.address, conflict.why));
            line(&format!("            {}", conflict.remedy));
        }
        if target.conflicts.len() > ROWS_SHOWN {
            line(&format!(
                "            and {} more; --format json has all",
                target.conflicts.len() - ROWS_SHOWN
            ));
        }
        for inert in &target.inert {
            line(&format!(
                "  inert     {} entries and {} additions do nothing: {}",
                inert.entries, inert.adds, inert.why
            ));
        }
        if target.drift.gone > 0 {
            line(&format!(
                "  drift     {} entries of ours were taken off by somebody else",
                target.drift.gone
            ));
        }
        for notice in &target.notices {
            line(&format!("  note      {notice}"));
        }
        line("");
    }
    let basis = &plan.basis;
    for hour in basis.frozen.iter().take(10) {
        line(&format!(
            "outage: {hour}; what failed then is no evidence (--thaw PROVIDER overrules)"
        ));
    }
    if basis.frozen.len() > 10 {
        line(&format!("outage: and {} more hours", basis.frozen.len() - 10));
    }
    if basis.frozen_failures > 0 {
        line(&format!("{} failures were set aside for outages", basis.frozen_failures));
    }
    if basis.unattributed > 0 {
        line(&format!(
            "{} bounces name nobody who was mailed, and accuse nobody",
            basis.unattributed
        ));
    }
    let events = basis
        .events_version
        .map_or_else(|| "no events".to_owned(), |version| format!("events at version {version}"));
    line(&format!(
        "plan {} on {events}, {} active recipients, policy {}",
        plan.plan_id, basis.active_recipients, basis.policy
    ));
    text
}

fn heading(target: &TargetPlan) -> String {
    if target.account_id.is_none() {
        return format!("local: {} to pause, {} stay paused", target.add, target.keep);
    }
    let share = match target.keep {
        0 => String::new(),
        keep => {
            let millionths = u128::from(target.drift.not_ours) * 1_000_000 / u128::from(keep);
            format!(
                " ({} of them not ours)",
                format_share(u64::try_from(millionths / 1000 * 1000).unwrap_or(0))
            )
        }
    };
    format!(
        "{}: {} to add, {} to remove, {} stay{share}",
        target.target, target.add, target.remove, target.keep
    )
}

fn items(target: &TargetPlan) -> String {
    let left = Align::Left;
    let mut table = TextTable::new(&[
        ("action", left),
        ("address", left),
        ("reason", left),
        ("rule", left),
        ("until", left),
        ("evidence", left),
    ]);
    for item in target.items.iter().take(ROWS_SHOWN) {
        let action = if item.actor == "outside" { "record removal" } else { item.action.as_str() };
        table.row(vec![
            action.to_owned(),
            item.address.clone(),
            item.reason.map(|reason| reason.to_string()).unwrap_or_default(),
            item.rule.clone(),
            item.expires.map_or_else(|| "for ever".to_owned(), day),
            evidence(item),
        ]);
    }
    let mut text = table.render();
    if target.items.len() > ROWS_SHOWN {
        text.push_str(&format!(
            "  and {} more; --format json has all\n",
            target.items.len() - ROWS_SHOWN
        ));
    }
    text
}

/// The newest event of an item in one line, or why in words.
pub(in crate::cli) fn evidence(item: &Item) -> String {
    let Some(line) = item.evidence.first() else { return item.why.clone() };
    let mut words = vec![line.time.or(item.evidence_time).map(day).unwrap_or_default()];
    words.extend(line.status.clone());
    words.extend(line.text.as_deref().map(|text| text.chars().take(60).collect()));
    if item.evidence.len() > 1 {
        words.push(format!("(and {} more)", item.evidence.len() - 1));
    }
    words.join(" ")
}

pub(super) fn day(us: i64) -> String {
    let instant = jiff::Timestamp::from_microsecond(us).unwrap_or_default();
    instant.strftime("%Y-%m-%d").to_string()
}
