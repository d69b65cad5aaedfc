//! `hearback suppression remove`.

use clap::Args;

use super::apply::{carry_out, consent, json_of, operator, outcome, table};
use super::explain::address;
use super::{Desk, Form, now_us, partial};
use crate::activate::suppression::change::Action;
use crate::activate::suppression::explain::look_up;
use crate::activate::suppression::list::{Entry, identity};
use crate::activate::suppression::plan::{Basis, Item, Plan, TargetPlan};
use crate::activate::suppression::policy::{POLICY_VERSION, is_role_address};
use crate::activate::suppression::pull::entry;
use crate::activate::suppression::survey::{Freshness, Survey};
use crate::cli::{CliError, Session, print};

/// Take an address off every list, in every spelling, with a reason for the ledger
///
/// The evidence up to now is forgiven; newer evidence suppresses anew. Refused (exit code 3) while there
/// is evidence that is newer than the entry, because whoever asks may not know of it.
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The address, in any spelling
    address: String,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Remove it although there is evidence newer than the entry
    #[arg(long)]
    despite_evidence: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &RemoveArgs) -> Result<(), CliError> {
    let recipient = address(&args.address)?;
    if args.reason.trim().is_empty() {
        return Err(CliError::usage("--reason says nothing")
            .hint("the ledger keeps it: who asked, and on what ground"));
    }
    let desk = Desk::open(session).await?;
    let now_us = now_us();
    let survey = desk.place().survey(Freshness::Now, now_us).await?;
    guard(&desk, &survey, &recipient, args, now_us).await?;
    let mut targets = Vec::new();
    for (connection, (list, state)) in survey.connections.iter().zip(&survey.lists) {
        let mut target = TargetPlan::new(Some(list));
        let mut entries: Vec<Entry> = state.of(&recipient).to_vec();
        if entries.is_empty() {
            // An entry that was added since the list was read in full would be seen by itself.
            match entry(connection, &recipient).await {
                Ok(found) => entries.extend(found),
                Err(error) => target.notices.push(error.to_string()),
            }
        }
        if entries.is_empty() {
            target.items.push(item(&recipient, &recipient, None, &args.reason));
        }
        for found in &entries {
            target.items.push(item(&recipient, &found.address, Some(found), &args.reason));
        }
        target.remove = target.items.len() as u64;
        target.keep = (state.len() as u64).saturating_sub(entries.len() as u64);
        targets.push(target);
    }
    let time = now_us.to_string();
    let plan = Plan {
        reviewed: None,
        plan_id: identity(&["remove", &recipient, &time]),
        created: Some(now_us),
        basis: Basis {
            lake: desk.lake.clone(),
            policy: POLICY_VERSION.to_owned(),
            ..Basis::default()
        },
        targets,
    };
    if !plan.is_empty() {
        for target in &plan.targets {
            let listed = target.items.iter().filter(|item| item.listed_reason.is_some()).count();
            if !session.quiet {
                eprintln!("{}: {listed} entries to remove", target.target);
            }
        }
        consent(args.yes)?;
    }
    let reports = carry_out(&desk, &survey, &plan).await?;
    match args.format {
        Form::Table => print(&table(&reports))?,
        Form::Json => print(&json_of(&plan, &reports)?)?,
    }
    outcome(&reports)?;
    partial(&survey.unreachable, survey.lists.is_empty())
}

/// Refuses while there is evidence that is newer than what stands.
async fn guard(
    desk: &Desk,
    survey: &Survey,
    recipient: &str,
    args: &RemoveArgs,
    now_us: i64,
) -> Result<(), CliError> {
    if args.despite_evidence {
        return Ok(());
    }
    let known = look_up(&desk.engine, &desk.settings, recipient, now_us).await?;
    let Some(newest_us) = known.verdict.decisions.iter().map(|decision| decision.evidence_us).max()
    else {
        return Ok(());
    };
    let listed = survey.lists.iter().flat_map(|(_, state)| state.of(recipient));
    let Some(since_us) = listed.map(|entry| entry.updated_us).max() else { return Ok(()) };
    if newest_us <= since_us {
        return Ok(());
    }
    let newest = jiff::Timestamp::from_microsecond(newest_us).unwrap_or_default();
    Err(CliError::refused(format!(
        "there is evidence of {} that is newer than the entry",
        newest.strftime("%Y-%m-%d %H:%M:%SZ")
    ))
    .hint("hearback suppression explain ADDRESS shows it; --despite-evidence removes the address all the same"))
}

fn item(recipient: &str, address: &str, found: Option<&Entry>, why: &str) -> Item {
    Item {
        action: Action::Remove,
        address: address.to_owned(),
        recipient: recipient.to_owned(),
        reason: found.map(|entry| entry.reason),
        rule: "operator".to_owned(),
        rule_version: POLICY_VERSION.to_owned(),
        actor: operator(),
        why: why.to_owned(),
        evidence: Vec::new(),
        evidence_time: None,
        expires: None,
        listed_reason: found.map(|entry| entry.reason),
        listed_time: found.map(|entry| entry.updated_us),
        role_address: is_role_address(recipient),
    }
}
