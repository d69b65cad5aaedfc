//! Makes plans: asks the lake, judges, compares with the lists, checks the caps.
//!
//! Invariant: a plan is a function of the lake, the lists, the configuration and the time it is given;
//! making one changes nothing outside.

use std::sync::Arc;

use futures::StreamExt;
use hearback_schemas::{EVENTS, SUPPRESSION_LEDGER, SUPPRESSION_LIST, TABLES, Table};
use sha2::{Digest, Sha256};

use super::change::Action;
use super::columns::{Numbers, Texts, text_list};
use super::difference::{Difference, Judged};
use super::evidence::describe;
use super::facts::Origin;
use super::freeze::Freeze;
use super::gather;
use super::guard::{self, Lifted};
use super::judge::{Decision, EVIDENCE_SHOWN, Effect, Evidence, judge};
use super::ledger::Ledger;
use super::list::{ListId, ListState, Reason, folded, hex, identity};
use super::plan::{Basis, Plan, TargetPlan};
use super::policy::{POLICY_VERSION, rule};
use super::settings::{CustomRule, Settings};
use super::statement::{event_number, for_each};
use super::traffic::{self, ActiveDays, Span};
use crate::engine::{Engine, EngineError};

/// Days of events that the fast lane looks at.
const FAST_US: i64 = 3 * 86_400_000_000;

/// Which changes are wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Everything that the policy says.
    Policy,
    /// Additions by rules that act at once, on recent events.
    Fast,
    /// These decisions and nothing else: an import.
    Only(Vec<Decision>),
}

/// How a plan is made.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which changes.
    pub wish: Wish,
    /// What an operator allowed.
    pub lifted: Lifted,
    /// Whether what others took off is put back.
    pub restore: bool,
    /// Providers whose outages are overruled.
    pub thaw: Vec<String>,
    /// Active recipients, if they were counted not long ago.
    pub active: Option<u64>,
    /// Now, in microseconds since 1970.
    pub now_us: i64,
}

/// Makes the plan for the lists as they are given.
///
/// # Errors
/// As the engine fails; a rule of one's own that fails is named.
pub async fn make(
    engine: &Engine,
    lake: &str,
    settings: &Settings,
    lists: &[(ListId, ListState)],
    ledger: &Ledger,
    request: &Request,
) -> Result<Plan, EngineError> {
    let basis_versions =
        (engine.version(&EVENTS).await?, engine.version(&SUPPRESSION_LEDGER).await?);
    let fast = request.wish == Wish::Fast;
    let active_days = match request.active {
        Some(_) => None,
        None => traffic::active_days(engine, settings.caps.active_us, request.now_us).await?,
    };
    let (judged, mut basis) = match &request.wish {
        Wish::Only(decisions) => {
            let judged = Judged { decisions: decisions.clone(), ..Judged::default() };
            let active_recipients = match active_days {
                Some(days) => traffic::count_active(engine, days).await?,
                None => 0,
            };
            (judged, Basis { active_recipients, ..Basis::default() })
        }
        Wish::Policy | Wish::Fast => judged(engine, settings, ledger, request, active_days).await?,
    };
    basis.lake = lake.to_owned();
    basis.lake_id = lake_id(engine).await?;
    (basis.events_version, basis.ledger_version) = basis_versions;
    basis.policy = policy_digest(settings);
    basis.active_recipients = request.active.unwrap_or(basis.active_recipients);

    let ids: Vec<ListId> = lists.iter().map(|(list, _)| list.clone()).collect();
    let difference = Difference {
        lists: &ids,
        judged: &judged,
        ledger,
        settings,
        now_us: request.now_us,
        restore: request.restore,
    };
    let mut targets: Vec<TargetPlan> = Vec::new();
    for (list, state) in lists {
        let mut target = difference.of(list, state);
        match request.wish {
            Wish::Policy => {}
            Wish::Fast => {
                retain(&mut target, |rule_name| rule(rule_name).is_some_and(|rule| rule.fast));
            }
            Wish::Only(_) => retain(&mut target, |rule_name| rule_name.starts_with("import")),
        }
        if state.full_us.is_none() {
            target.notices.push("this list has never been read: everything counts as missing from it; run hearback suppression pull".to_owned());
        }
        targets.push(target);
    }
    if request.wish == Wish::Policy {
        let pauses = difference.pauses();
        if pauses.add + pauses.keep > 0 {
            targets.push(pauses);
        }
    }
    for target in targets.iter_mut().filter(|target| target.account_id.is_some()) {
        guard::check(target, &settings.caps, basis.active_recipients, &request.lifted);
    }
    let plan_id = plan_id(&basis, &targets);
    if !fast {
        describe(engine, &mut targets).await?;
    }
    Ok(Plan { plan_id, reviewed: None, created: Some(request.now_us), basis, targets })
}

/// What of a plan's ground has moved since it was made, in words; None if it stands as it did.
///
/// # Errors
/// As the engine fails.
pub async fn stale(
    engine: &Engine,
    settings: &Settings,
    lists: &[(ListId, ListState)],
    plan: &Plan,
) -> Result<Option<String>, EngineError> {
    if let Some(why) = unfit(engine, settings, plan).await? {
        return Ok(Some(why));
    }
    if plan.basis.events_version != engine.version(&EVENTS).await? {
        return Ok(Some("there are new events in the lake".to_owned()));
    }
    if plan.basis.ledger_version != engine.version(&SUPPRESSION_LEDGER).await? {
        return Ok(Some("other changes were made since".to_owned()));
    }
    for target in plan.targets.iter().filter(|target| target.account_id.is_some()) {
        let Some(list) = target.list() else { continue };
        let now = lists.iter().find(|(id, _)| *id == list).map(|(_, state)| state.digest());
        match now {
            Some(now) if now == target.list_state => {}
            Some(_) => return Ok(Some(format!("the list {list} has changed"))),
            None => return Ok(Some(format!("the list {list} is no target that can be read now"))),
        }
    }
    Ok(None)
}

/// Why a plan cannot even be refreshed, in words: it was made for another lake or by other rules. None if it
/// can.
///
/// # Errors
/// As the engine fails.
pub async fn unfit(
    engine: &Engine,
    settings: &Settings,
    plan: &Plan,
) -> Result<Option<String>, EngineError> {
    if let Some(made_for) = &plan.basis.lake_id {
        let table =
            TABLES.into_iter().find(|table| made_for.starts_with(&format!("{}/", table.name)));
        let now = match table {
            Some(table) => identity_of(engine, table).await?,
            None => None,
        };
        if now.as_ref() != Some(made_for) {
            return Ok(Some(format!("it was made for another lake, {}", plan.basis.lake)));
        }
    }
    if plan.basis.policy != policy_digest(settings) {
        return Ok(Some("the rules or their configuration are others now".to_owned()));
    }
    Ok(None)
}

/// Which lake this is, told by the first of its tables that is there.
async fn lake_id(engine: &Engine) -> Result<Option<String>, EngineError> {
    for table in [&EVENTS, &SUPPRESSION_LIST, &SUPPRESSION_LEDGER] {
        if let Some(id) = identity_of(engine, table).await? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn identity_of(
    engine: &Engine,
    table: &'static Table,
) -> Result<Option<String>, EngineError> {
    let id = engine.table_id(table).await?;
    Ok(id.map(|id| format!("{}/{id}", table.name)))
}

/// Everything that the policy has to say about everybody.
async fn judged(
    engine: &Engine,
    settings: &Settings,
    ledger: &Ledger,
    request: &Request,
    active: Option<ActiveDays>,
) -> Result<(Judged, Basis), EngineError> {
    let fast = request.wish == Wish::Fast;
    let look_back = if fast { FAST_US.min(settings.look_back_us) } else { settings.look_back_us };
    let span = Span { since_us: request.now_us.saturating_sub(look_back), active };
    let gathered = gather::everybody(engine, settings, &span).await?;
    let freeze = Freeze::new(gathered.frozen, &request.thaw);
    let mut judged = Judged::default();
    let mut basis = Basis {
        unattributed: gathered.unattributed,
        active_recipients: gathered.active,
        frozen: freeze
            .hours()
            .iter()
            .map(|hour| {
                let start = jiff::Timestamp::from_microsecond(hour.hour_us).unwrap_or_default();
                format!(
                    "{} {}: {} recipients failed, {} messages were delivered",
                    hour.provider,
                    start.strftime("%Y-%m-%dT%H:00Z"),
                    hour.failed,
                    hour.delivered
                )
            })
            .collect(),
        ..Basis::default()
    };
    for facts in &gathered.facts {
        let pardoned_us = ledger.pardoned_us(&facts.recipient);
        let verdict = judge(facts, settings, &freeze, pardoned_us, request.now_us);
        basis.frozen_failures += verdict.frozen as u64;
        judged.decisions.extend(verdict.decisions);
        if !verdict.cleared.is_empty() {
            judged.cleared.insert(facts.recipient.clone(), verdict.cleared);
        }
        if let Some(fault) = verdict.senders_fault {
            judged.senders_fault.insert(facts.recipient.clone(), fault);
        }
    }
    if !fast {
        for rule in &settings.custom {
            judged.decisions.extend(custom(engine, settings, rule, request.now_us).await?);
        }
    }
    Ok((judged, basis))
}

/// The decisions of a rule in SQL: columns `address`, and if it likes `reason` (BOUNCE without one),
/// `evidence` (a text, or a list of event ids), `evidence_time`, `account_id` and `region`.
///
/// # Errors
/// As the statement fails, with the rule's name.
pub async fn custom(
    engine: &Engine,
    settings: &Settings,
    rule: &CustomRule,
    now_us: i64,
) -> Result<Vec<Decision>, EngineError> {
    let named = |message: String| {
        EngineError::Run {
        message: format!("the rule {} in suppression.rules: {message}", rule.name),
        hint: Some("it has to return address, and may return reason, evidence, evidence_time, account_id, region".to_owned()),
    }
    };
    let statement = engine.plan(&rule.sql).await.map_err(|error| named(error.to_string()))?;
    let schema = statement.schema();
    let has = |name: &str| schema.field_with_name(name).is_ok();
    if !has("address") {
        return Err(named("returns no column address".to_owned()));
    }
    let mut decisions = Vec::new();
    let mut stream = statement.stream().await.map_err(|error| named(error.to_string()))?;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| named(EngineError::running(&error).to_string()))?;
        let addresses = Texts::of(&batch, "address")?;
        let optional = |name: &str| if has(name) { Texts::of(&batch, name).ok() } else { None };
        let (reasons, evidence) = (optional("reason"), optional("evidence"));
        let (accounts, regions) = (optional("account_id"), optional("region"));
        let times =
            if has("evidence_time") { Some(Numbers::of(&batch, "evidence_time")?) } else { None };
        for row in 0..batch.num_rows() {
            let Some(address) = addresses.get(row) else { continue };
            let recipient = folded(address);
            if settings.allow.holds(&recipient) || !recipient.contains('@') {
                continue;
            }
            let reason = match reasons.as_ref().and_then(|reasons| reasons.get(row)) {
                None => Reason::Bounce,
                Some(word) => Reason::parse(word).ok_or_else(|| {
                    named(format!("returns the reason {word:?}; SES knows BOUNCE and COMPLAINT"))
                })?,
            };
            let events: Vec<Evidence> = batch
                .column_by_name("evidence")
                .map_or_else(Vec::new, |column| text_list(column, row))
                .iter()
                .map(|id| Evidence { time_us: None, event_id: event_number(Some(id)), named: None })
                .take(EVIDENCE_SHOWN)
                .collect();
            let words = evidence.as_ref().and_then(|evidence| evidence.get(row));
            let evidence_us = times.as_ref().and_then(|times| times.get(row));
            decisions.push(Decision {
                recipient,
                rule: rule.name.clone(),
                effect: Effect::Suppress(reason),
                scope: rule.scope,
                origin: Arc::new(Origin {
                    account: accounts.as_ref().and_then(|accounts| accounts.owned(row)),
                    region: regions.as_ref().and_then(|regions| regions.owned(row)),
                    tenant: None,
                }),
                evidence: events,
                // Without a time, what an operator lifted stays lifted.
                evidence_us: evidence_us.unwrap_or(0),
                expires_us: rule.expiry_us.map(|expiry| evidence_us.unwrap_or(now_us) + expiry),
                note: Some(words.map_or_else(
                    || format!("the rule {} returns it", rule.name),
                    super::evidence::shortened,
                )),
            });
        }
    }
    Ok(decisions)
}

/// The built-in rules' version with a digest of the configuration: a plan made under other rules is
/// another plan.
fn policy_digest(settings: &Settings) -> String {
    let digest = Sha256::digest(format!("{settings:?}").as_bytes());
    format!("{POLICY_VERSION}+{}", hex(&digest[..4]))
}

/// Keeps the additions of some rules, and counts anew.
fn retain(target: &mut TargetPlan, keep: impl Fn(&str) -> bool) {
    target.keep += target.remove;
    target
        .items
        .retain(|item| item.action == Action::Add && item.actor == "policy" && keep(&item.rule));
    target.remove = 0;
    target.add = target.items.len() as u64;
    target.drift.gone = 0;
    target.conflicts.clear();
}

/// The identity of a plan: the same for the same changes on the same basis.
pub(super) fn plan_id(basis: &Basis, targets: &[TargetPlan]) -> String {
    let mut parts: Vec<String> = vec![format!("{basis:?}")];
    for target in targets {
        parts.push(target.target.clone());
        parts.push(target.list_state.clone());
        for item in &target.items {
            let reason = item.reason.map(Reason::as_str).unwrap_or_default();
            parts.push(format!("{} {} {reason} {}", item.action.as_str(), item.address, item.rule));
        }
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    identity(&parts)
}

/// Lists without a connection: what the configuration says of them, completed by lists that were read
/// before, and by the traffic in the lake.
///
/// # Errors
/// As the engine fails.
pub async fn offline_lists(
    engine: &Engine,
    settings: &Settings,
    known: &[ListId],
) -> Result<Vec<ListId>, EngineError> {
    let mut traffic: Option<Vec<ListId>> = None;
    let mut lists = Vec::new();
    for target in &settings.targets {
        let account = super::connection::known_account(target);
        let fits = |list: &&ListId| {
            target.region.as_ref().is_none_or(|region| *region == list.region)
                && account.as_ref().is_none_or(|account| *account == list.account)
        };
        let read_before =
            || known.iter().filter(|list| list.tenant == target.tenant).find(fits).cloned();
        let list = match (&account, &target.region) {
            (Some(account), Some(region)) => Some(ListId {
                account: account.clone(),
                region: region.clone(),
                tenant: target.tenant.clone(),
            }),
            _ => read_before(),
        };
        let list = match list {
            Some(list) => list,
            None => {
                if traffic.is_none() {
                    traffic = Some(senders(engine).await?);
                }
                let sender = traffic.iter().flatten().find(fits).cloned();
                let sender = sender.unwrap_or_else(|| ListId {
                    account: account.unwrap_or_else(|| "unknown".to_owned()),
                    region: target.region.clone().unwrap_or_else(|| "unknown".to_owned()),
                    tenant: None,
                });
                ListId { tenant: target.tenant.clone(), ..sender }
            }
        };
        if !lists.contains(&list) {
            lists.push(list);
        }
    }
    Ok(lists)
}

/// Accounts and Regions whose traffic is in the lake, the busiest first: those with failures, which are
/// quickly found, and only without them all.
async fn senders(engine: &Engine) -> Result<Vec<ListId>, EngineError> {
    let template = include_str!("../../../sql/suppression/senders.sql");
    let mut senders = Vec::new();
    for only in ["AND event_type IN ('bounce', 'complaint')", ""] {
        for_each(engine, &template.replace("{only}", only), |batch| {
            let accounts = Texts::of(batch, "account_id")?;
            let regions = Texts::of(batch, "region")?;
            for row in 0..batch.num_rows() {
                if let (Some(account), Some(region)) = (accounts.owned(row), regions.owned(row)) {
                    senders.push(ListId { account, region, tenant: None });
                }
            }
            Ok(())
        })
        .await?;
        if !senders.is_empty() {
            break;
        }
    }
    Ok(senders)
}
