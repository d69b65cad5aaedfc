//! What the policy does, told as small stories: facts in, decisions and differences out.

mod decision_table;
mod differences;
mod gathering;
mod lake;
mod running;
mod stories;

use std::sync::Arc;

use hearback_schemas::BounceClass;

use super::facts::{Bounce, Complaint, Facts, Origin, Report};
use super::freeze::Freeze;
use super::judge::{Decision, Verdict, judge};
use super::policy::blame;
use super::settings::Settings;
use crate::config::{Config, Given};

const DAY: i64 = 86_400_000_000;
/// 2026-11-20T00:00:00Z.
const NOW: i64 = 1_795_132_800_000_000;

/// `[suppression]` with these lines.
fn settings(lines: &str) -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hearback.toml");
    std::fs::write(&path, format!("[suppression]\n{lines}\n")).expect("a file");
    let given = Given { file_flag: Some(path), ..Given::default() };
    Settings::of(&Config::load(&given).expect("a configuration")).expect("settings")
}

fn origin(region: &str) -> Arc<Origin> {
    Arc::new(Origin {
        account: Some("111122223333".to_owned()),
        region: Some(region.to_owned()),
        tenant: None,
    })
}

/// A bounce some days ago; each has a message of its own.
fn bounce(class: BounceClass, kind: &str, days_ago: f64) -> Bounce {
    let time_us = NOW - (days_ago * DAY as f64) as i64;
    Bounce {
        event_id: time_us as u128,
        time_us,
        message: time_us as u64,
        sent_us: None,
        named: None,
        origin: origin("us-east-1"),
        class,
        blame: blame(class, Some(kind)),
    }
}

fn complaint(report: Report, days_ago: f64, accused: u32) -> Complaint {
    let time_us = NOW - (days_ago * DAY as f64) as i64;
    Complaint {
        event_id: time_us as u128,
        time_us,
        message: time_us as u64,
        origin: origin("us-east-1"),
        report,
        accused,
    }
}

fn facts(bounces: Vec<Bounce>, complaints: Vec<Complaint>) -> Facts {
    Facts {
        recipient: "jo@example.com".to_owned(),
        provider: "example.com".to_owned(),
        last_success_us: None,
        mailed: true,
        bounces,
        complaints,
    }
}

fn verdict(facts: &Facts) -> Verdict {
    judge(facts, &settings(""), &Freeze::default(), None, NOW)
}

fn rules(decisions: &[Decision]) -> Vec<&str> {
    decisions.iter().map(|decision| decision.rule.as_str()).collect()
}
