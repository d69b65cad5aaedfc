//! A change of a list as the ledger records it, and the rows it becomes.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field};
use hearback_schemas::SUPPRESSION_LEDGER;

use super::list::{ListId, Reason, identity};

/// What a change does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Puts an entry on the list, or gives it a stronger reason.
    Add,
    /// Takes an entry off the list.
    Remove,
    /// Keeps an address out of segments.
    Pause,
    /// Marks an import job.
    Import,
}

impl Action {
    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Pause => "pause",
            Self::Import => "import",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Add, Self::Remove, Self::Pause, Self::Import]
            .into_iter()
            .find(|action| action.as_str() == word)
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// About to be tried.
    Pending,
    /// Acknowledged.
    Done,
    /// Refused for good.
    Failed,
    /// Not made, because the entry had changed since the plan.
    Skipped,
}

impl Outcome {
    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Done, Self::Failed, Self::Skipped]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The list; None for a pause.
    pub list: Option<ListId>,
    /// As it stands on the list.
    pub address: String,
    /// As events spell it.
    pub recipient: String,
    /// What was done.
    pub action: Action,
    /// What became of it.
    pub outcome: Outcome,
    /// Reason of the entry.
    pub reason: Option<Reason>,
    /// Rule that asked for it.
    pub rule: String,
    /// Version of the policy.
    pub rule_version: String,
    /// Events it rests on, 32 hex digits each.
    pub evidence: Vec<String>,
    /// When the newest of them happened, in microseconds since 1970.
    pub evidence_us: Option<i64>,
    /// Who asked.
    pub actor: String,
    /// Why, or what failed.
    pub note: Option<String>,
    /// Its plan.
    pub plan_id: String,
    /// AWS's identity of the request or job.
    pub request_id: Option<String>,
    /// When the entry ends, in microseconds since 1970.
    pub expires_us: Option<i64>,
    /// When the outcome was known, in microseconds since 1970.
    pub changed_us: i64,
}

impl Change {
    /// The identity of the row: the same change with the same outcome in the same plan is one row, save
    /// that each beginning is a row of its own, and each import job.
    #[must_use]
    pub fn id(&self) -> String {
        let list = self.list.as_ref().map(ToString::to_string).unwrap_or_default();
        let begun = match self.outcome {
            Outcome::Pending => self.changed_us.to_string(),
            _ => String::new(),
        };
        let job = match self.action {
            Action::Import => self.request_id.as_deref().unwrap_or_default(),
            _ => "",
        };
        identity(&[
            &self.plan_id,
            &list,
            self.action.as_str(),
            &self.address,
            self.outcome.as_str(),
            &begun,
            job,
        ])
    }
}

/// Rows of `suppression_ledger`.
///
/// # Errors
/// If the table's schema has a column that is not known here.
pub fn ledger_rows(changes: &[Change]) -> Result<RecordBatch, ArrowError> {
    let text = |get: &dyn Fn(&Change) -> Option<String>| -> ArrayRef {
        Arc::new(changes.iter().map(get).collect::<StringArray>())
    };
    let list = |get: &dyn Fn(&ListId) -> Option<String>| -> ArrayRef {
        text(&|change| change.list.as_ref().and_then(get))
    };
    let schema = SUPPRESSION_LEDGER.file_schema();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match field.name().as_str() {
            "change_id" => text(&|change| Some(change.id())),
            "changed_time" => instants(changes.iter().map(|change| Some(change.changed_us))),
            "account_id" => list(&|list| Some(list.account.clone())),
            "region" => list(&|list| Some(list.region.clone())),
            "tenant" => list(&|list| list.tenant.clone()),
            "address" => text(&|change| Some(change.address.clone())),
            "recipient" => text(&|change| Some(change.recipient.clone())),
            "action" => text(&|change| Some(change.action.as_str().to_owned())),
            "outcome" => text(&|change| Some(change.outcome.as_str().to_owned())),
            "reason" => text(&|change| change.reason.map(|reason| reason.to_string())),
            "rule" => text(&|change| Some(change.rule.clone())),
            "rule_version" => text(&|change| Some(change.rule_version.clone())),
            "evidence" => evidence(changes),
            "evidence_time" => instants(changes.iter().map(|change| change.evidence_us)),
            "actor" => text(&|change| Some(change.actor.clone())),
            "note" => text(&|change| change.note.clone()),
            "plan_id" => text(&|change| Some(change.plan_id.clone())),
            "request_id" => text(&|change| change.request_id.clone()),
            "expires_time" => instants(changes.iter().map(|change| change.expires_us)),
            other => {
                return Err(ArrowError::SchemaError(format!("the ledger has no column {other}")));
            }
        });
    }
    RecordBatch::try_new(schema, columns)
}

pub(super) fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let array: TimestampMicrosecondArray = values.collect();
    Arc::new(array.with_timezone("UTC"))
}

fn evidence(changes: &[Change]) -> ArrayRef {
    let element = Field::new("element", DataType::Utf8, true);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element);
    for change in changes {
        for event in &change.evidence {
            lists.values().append_value(event);
        }
        lists.append(!change.evidence.is_empty());
    }
    Arc::new(lists.finish())
}
