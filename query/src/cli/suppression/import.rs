//! `hearback suppression import`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::apply::{carry_out, consent, json_of, outcome, table};
use super::plan::{Choices, make, refuse};
use super::{Desk, Form, now_us, partial, show};
use crate::activate::suppression::facts::Origin;
use crate::activate::suppression::foreign::{ForeignList, Format, read};
use crate::activate::suppression::judge::{Decision, Effect};
use crate::activate::suppression::plan::Plan;
use crate::activate::suppression::planner::Wish;
use crate::activate::suppression::policy::Scope;
use crate::cli::{CliError, Session, print};

/// Put the addresses of a file on every list: another sender's export, or a list of your own
///
/// Each entry keeps where it came from in the ledger. Blocks and unsubscribes of other senders are left out.
/// The caps of a plan hold here too, and what is on the allow list is not added.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// CSV or NDJSON file; `-` for standard input
    file: PathBuf,
    /// Whose form the file has
    #[arg(long, value_enum, default_value_t = Format::Generic)]
    from: Format,
    /// Show what would be added, and add nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    choices: Choices,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ImportArgs) -> Result<(), CliError> {
    let list = list_of(args)?;
    if !session.quiet {
        eprintln!(
            "{} addresses, {} entries that stop no mail are left out, {} lines hold no address",
            list.entries.len(),
            list.left_out,
            list.unreadable
        );
        if let Some(first) = list.first_unreadable {
            eprintln!("warning: the first line without an address is line {first}");
        }
    }
    let desk = Desk::open(session).await?;
    let decisions = decisions(&desk, list, args.from);
    let choices = Choices { no_pull: args.choices.no_pull && args.dry_run, ..args.choices.clone() };
    let (survey, plan) = make(&desk, &choices, Wish::Only(decisions)).await?;
    if args.dry_run || plan.is_empty() {
        report(&plan, args.format, &[])?;
        return refuse(&plan);
    }
    if !session.quiet {
        eprint!("{}", show::text(&plan));
    }
    refuse(&plan)?;
    consent(args.yes)?;
    let reports = carry_out(&desk, &survey, &plan).await?;
    report(&plan, args.format, &reports)?;
    outcome(&reports)?;
    partial(&survey.unreachable, survey.lists.is_empty())
}

fn report(
    plan: &Plan,
    form: Form,
    reports: &[crate::activate::suppression::apply::TargetReport],
) -> Result<(), CliError> {
    match form {
        Form::Json => print(&json_of(plan, reports)?),
        Form::Table if reports.is_empty() => print(&show::text(plan)),
        Form::Table => print(&table(reports)),
    }
}

fn list_of(args: &ImportArgs) -> Result<ForeignList, CliError> {
    let name = args.file.display().to_string();
    let result = if name == "-" {
        read(std::io::stdin().lock(), args.from, "")
    } else {
        let file = std::fs::File::open(&args.file)
            .map_err(|error| CliError::usage(format!("{name} cannot be opened")).because(error))?;
        let short = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
        read(std::io::BufReader::new(file), args.from, &short.unwrap_or_default())
    };
    result.map_err(|error| {
        CliError::usage(format!("{name} {error}"))
            .hint("--from says whose form it has: ses, generic, sendgrid, mailgun, postmark")
    })
}

fn decisions(desk: &Desk, list: ForeignList, from: Format) -> Vec<Decision> {
    let now_us = now_us();
    let origin = Arc::new(Origin::default());
    let mut decisions = Vec::with_capacity(list.entries.len());
    for entry in list.entries {
        if desk.settings.allow.holds(&entry.recipient) {
            continue;
        }
        decisions.push(Decision {
            recipient: entry.recipient,
            rule: format!("import-{}", from.as_str()),
            effect: Effect::Suppress(entry.reason),
            scope: Scope::Everywhere,
            origin: Arc::clone(&origin),
            evidence: Vec::new(),
            // An operator asks now, whatever was lifted before.
            evidence_us: now_us,
            expires_us: None,
            note: Some(entry.provenance),
        });
    }
    decisions
}
