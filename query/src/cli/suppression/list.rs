//! `hearback suppression list`.

use clap::Args;
use serde_json::{Value, json};

use super::{Desk, Form};
use crate::activate::suppression::columns::{Numbers, Texts};
use crate::activate::suppression::statement::{for_each, quoted};
use crate::cli::{CliError, Session, print};
use crate::output::{Align, TextTable};

use super::show::day;

/// List what stands on the lists as they were last seen, with rule and expiry where it is ours
///
/// The same rows as the SQL view `suppressions`, which can be filtered and joined as one likes.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only entries that hearback made
    #[arg(long)]
    ours: bool,
    /// Only entries of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only lists of this Region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    limit: u64,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let desk = Desk::open(session).await?;
    let mut filters = Vec::new();
    if args.ours {
        filters.push("owner = 'hearback'".to_owned());
    }
    if let Some(rule) = &args.rule {
        filters.push(format!("rule = {}", quoted(rule)));
    }
    if let Some(region) = &args.region {
        filters.push(format!("region = {}", quoted(region)));
    }
    let filter =
        if filters.is_empty() { String::new() } else { format!("WHERE {}", filters.join(" AND ")) };
    let sql = format!(
        "SELECT * FROM suppressions {filter} ORDER BY recipient, account_id, region LIMIT {}",
        args.limit
    );
    let left = Align::Left;
    let mut table = TextTable::new(&[
        ("address", left),
        ("list", left),
        ("reason", left),
        ("owner", left),
        ("rule", left),
        ("since", left),
        ("until", left),
    ]);
    let mut documents: Vec<Value> = Vec::new();
    for_each(&desk.engine, &sql, |batch| {
        let text = |name: &str| Texts::of(batch, name);
        let (addresses, recipients, kinds) = (text("address")?, text("recipient")?, text("kind")?);
        let (accounts, regions, tenants) = (text("account_id")?, text("region")?, text("tenant")?);
        let (reasons, owners, rules) = (text("reason")?, text("owner")?, text("rule")?);
        let (actors, listed) = (text("actor")?, text("listed")?);
        let (since, until) = (Numbers::of(batch, "since")?, Numbers::of(batch, "expires_time")?);
        for row in 0..batch.num_rows() {
            let paused = kinds.get(row) == Some("pause");
            let mut list = match (accounts.get(row), regions.get(row)) {
                (Some(account), Some(region)) => format!("{account}/{region}"),
                _ => "paused".to_owned(),
            };
            if let Some(tenant) = tenants.get(row) {
                list = format!("{list}/{tenant}");
            }
            let ends = until.get(row).map(day);
            documents.push(json!({
                "address": addresses.get(row),
                "recipient": recipients.get(row),
                "target": if paused { None } else { Some(&list) },
                "kind": kinds.get(row),
                "reason": reasons.get(row),
                "listed": listed.get(row) == Some("true"),
                "owner": owners.get(row),
                "rule": rules.get(row),
                "actor": actors.get(row),
                "since": since.get(row).and_then(|us| jiff::Timestamp::from_microsecond(us).ok()).map(|at| at.to_string()),
                "until": until.get(row).and_then(|us| jiff::Timestamp::from_microsecond(us).ok()).map(|at| at.to_string()),
            }));
            let ours = owners.get(row) == Some("hearback");
            let forever = if ours { "for ever" } else { "" };
            table.row(vec![
                addresses.owned(row).unwrap_or_default(),
                list,
                reasons.owned(row).unwrap_or_default(),
                owners.owned(row).unwrap_or_default(),
                rules.owned(row).unwrap_or_default(),
                since.get(row).map(day).unwrap_or_default(),
                ends.unwrap_or_else(|| forever.to_owned()),
            ]);
        }
        Ok(())
    })
    .await?;
    match args.format {
        Form::Table => print(&table.render()),
        Form::Json => print(&format!("{:#}\n", Value::Array(documents))),
    }
}
