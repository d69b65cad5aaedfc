//! The demo's plan for suppression lists: who would be put on them, by which rule, on what evidence.
//!
//! Invariants: the lists are those of the accounts and Regions that the traffic comes from, as they were
//! last seen; AWS is not asked, and nothing is changed. The policy is the built-in one, asked at the time
//! of the newest event, so that the story does not change from one day to the next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Counted;
use crate::activate::suppression::columns::{Numbers, Texts};
use crate::activate::suppression::guard::Lifted;
use crate::activate::suppression::ledger::Ledger;
use crate::activate::suppression::list::{ListId, ListState};
use crate::activate::suppression::mirror::Mirror;
use crate::activate::suppression::plan::{Item, Plan};
use crate::activate::suppression::planner::{self, Request, Wish};
use crate::activate::suppression::policy::rule;
use crate::activate::suppression::settings::Settings;
use crate::activate::suppression::statement::for_each;
use crate::cli::CliError;
use crate::cli::suppression::evidence;
use crate::config::Config;
use crate::engine::Engine;
use crate::output::{Align, TextTable};

const CHECK: &str = include_str!("../../../sql/demo/suppressed.sql");

/// Addresses that are shown for each rule.
const SAMPLES: usize = 2;
/// Outages that are told of.
const OUTAGES: usize = 3;

/// What the plan says.
pub(super) struct Found {
    as_of: Timestamp,
    plan: Plan,
    /// People found, then people by rule, the commonest first.
    pub(super) figures: Vec<Counted>,
    rules: Vec<Rule>,
}

/// What one rule finds.
struct Rule {
    name: String,
    people: u64,
    samples: Vec<Item>,
}

/// Makes the plan.
pub(super) async fn find(engine: &Engine, lake: &str) -> Result<Found, CliError> {
    let settings = Settings::of(&Config::built_in())?;
    let as_of = newest_event(engine).await?;
    let lists = lists(engine).await?;
    let ledger = Ledger::read(engine, None).await?;
    let request = Request {
        wish: Wish::Policy,
        lifted: Lifted::default(),
        restore: false,
        thaw: Vec::new(),
        active: None,
        now_us: as_of.as_microsecond(),
    };
    let plan = planner::make(engine, lake, &settings, &lists, &ledger, &request).await?;
    let rules = rules(&plan);
    let check = CHECK.replace("{as_of}", &as_of.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string());
    let people: BTreeSet<&str> = items(&plan).map(|item| item.recipient.as_str()).collect();
    let mut figures = vec![Counted {
        what: "people whom the policy would keep from getting mail".to_owned(),
        value: people.len() as u64,
        sql: format!("SELECT count(DISTINCT recipient) FROM (\n{check}) AS found"),
    }];
    figures.extend(rules.iter().map(|rule| Counted {
        what: format!("of these by the rule {}", rule.name),
        value: rule.people,
        sql: format!("SELECT count(*) FROM (\n{check}) AS found WHERE rule = '{}'", rule.name),
    }));
    Ok(Found { as_of, plan, figures, rules })
}

/// When the newest event happened.
async fn newest_event(engine: &Engine) -> Result<Timestamp, CliError> {
    let mut newest = None;
    for_each(engine, "SELECT max(event_time) AS newest FROM events", |batch| {
        let times = Numbers::of(batch, "newest")?;
        newest = (0..batch.num_rows()).find_map(|row| times.get(row)).or(newest);
        Ok(())
    })
    .await?;
    Ok(Timestamp::from_microsecond(newest.unwrap_or(0)).unwrap_or_default())
}

/// The lists of every account and Region that mail was sent from.
async fn lists(engine: &Engine) -> Result<Vec<(ListId, ListState)>, CliError> {
    let mirror = Mirror::read(engine, None).await?;
    let mut lists = Vec::new();
    let sql = "SELECT DISTINCT account_id, region FROM events \
               WHERE account_id IS NOT NULL AND region IS NOT NULL AND channel = 'email' ORDER BY 1, 2";
    for_each(engine, sql, |batch| {
        let (accounts, regions) = (Texts::of(batch, "account_id")?, Texts::of(batch, "region")?);
        for row in 0..batch.num_rows() {
            if let (Some(account), Some(region)) = (accounts.owned(row), regions.owned(row)) {
                let list = ListId { account, region, tenant: None };
                let state = mirror.list(&list);
                lists.push((list, state));
            }
        }
        Ok(())
    })
    .await?;
    Ok(lists)
}

fn items(plan: &Plan) -> impl Iterator<Item = &Item> {
    plan.targets.iter().flat_map(|target| &target.items)
}

/// The plan by rule. Who is on several lists counts once.
fn rules(plan: &Plan) -> Vec<Rule> {
    let mut by_rule: BTreeMap<&str, BTreeMap<&str, &Item>> = BTreeMap::new();
    for item in items(plan) {
        by_rule.entry(&item.rule).or_default().entry(&item.recipient).or_insert(item);
    }
    let mut rules: Vec<Rule> = by_rule
        .into_iter()
        .map(|(name, items)| Rule {
            name: name.to_owned(),
            people: items.len() as u64,
            samples: items.into_values().take(SAMPLES).cloned().collect(),
        })
        .collect();
    rules.sort_by(|a, b| (b.people, &a.name).cmp(&(a.people, &b.name)));
    rules
}

impl Found {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |words: &str| {
            text.push_str(words);
            text.push('\n');
        };
        line("WHO WOULD BE SUPPRESSED, AND WHY");
        line("");
        line(&format!(
            "A plan as of {}, the newest event. AWS was not asked, and no list was changed.",
            self.as_of.strftime("%Y-%m-%d")
        ));
        line("");
        let left = Align::Left;
        let mut counts = TextTable::new(&[
            ("people", Align::Right),
            ("rule", left),
            ("listed for", left),
            ("because", left),
        ]);
        let mut samples =
            TextTable::new(&[("such as", left), ("rule", left), ("newest evidence", left)]);
        for found in &self.rules {
            let reason = found.samples.first().and_then(|item| item.reason);
            counts.row(vec![
                found.people.to_string(),
                found.name.clone(),
                reason
                    .map_or_else(|| "a pause, on no list".to_owned(), |reason| reason.to_string()),
                rule(&found.name).map_or("", |rule| rule.why).to_owned(),
            ]);
            for item in &found.samples {
                samples.row(vec![item.address.clone(), found.name.clone(), evidence(item)]);
            }
        }
        line(&counts.render());
        line(&samples.render());
        let lists: Vec<&str> = self
            .plan
            .targets
            .iter()
            .filter(|target| target.account_id.is_some())
            .map(|target| target.target.as_str())
            .collect();
        line(&format!("* Lists: {}; each account and Region has its own.", lists.join(" and ")));
        for outage in self.plan.basis.frozen.iter().take(OUTAGES) {
            let hour = outage.split_once(": ").map_or(outage.as_str(), |(hour, _)| hour);
            line(&format!(
                "* {hour}: so much failed there in that hour that it says nothing about addresses, and is left out."
            ));
        }
        if self.plan.guards().next().is_some() {
            line(
                "* That is more at once than the caps allow: `suppression apply` would stop here and ask for --max-adds.",
            );
        }
        text
    }

    /// For programs, beside the figures.
    pub(super) fn json(&self) -> Value {
        let samples: Vec<Value> = self
            .rules
            .iter()
            .flat_map(|rule| &rule.samples)
            .map(|item| {
                json!({"address": item.address, "rule": item.rule, "evidence": evidence(item)})
            })
            .collect();
        let lists: Vec<&str> =
            self.plan.targets.iter().map(|target| target.target.as_str()).collect();
        json!({
            "as_of": self.as_of.to_string(),
            "lists": lists,
            "outages": self.plan.basis.frozen,
            "samples": samples,
        })
    }
}
