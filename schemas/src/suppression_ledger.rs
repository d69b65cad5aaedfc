//! `suppression_ledger`: every change made to a suppression list, with its evidence.

use crate::table::ColumnKind::{String, StringList, Timestamp};
use crate::{Column, Table};

/// Every change that hearback made to a suppression list, or was about to make, with its evidence.
///
/// A change is two rows: `pending` before the first request, and what became of it after. So a run that
/// dies between the two leaves a trace, and the list can be compared with it.
pub const SUPPRESSION_LEDGER: Table = Table {
    name: "suppression_ledger",
    meaning: "every change that hearback made to a suppression list, with its evidence",
    columns: COLUMNS,
    partition_columns: &[],
};

const COLUMNS: &[Column] = &[
    Column::required(
        "change_id",
        String,
        "32 hex digits; deterministic identity of the change and its outcome within its plan",
    ),
    Column::required("changed_time", Timestamp, "when the row's outcome was known"),
    Column::optional(
        "account_id",
        String,
        "12-digit AWS account of the list; NULL for a pause, which is on no list",
    ),
    Column::optional("region", String, "AWS Region of the list; NULL for a pause"),
    Column::optional("tenant", String, "SES tenant of the list; NULL for the account's list"),
    Column::required("address", String, "address as it stands on the list, its case included"),
    Column::required("recipient", String, "the same address as events spell it"),
    Column::required(
        "action",
        String,
        "add, remove, pause (kept out of segments, on no list), or import (an import job; address is its object)",
    ),
    Column::required(
        "outcome",
        String,
        "pending (about to be tried), done, failed, or skipped (the entry had changed meanwhile)",
    ),
    Column::optional("reason", String, "BOUNCE or COMPLAINT, as SES records it"),
    Column::required("rule", String, "policy rule that asked for the change"),
    Column::required("rule_version", String, "version of the policy"),
    Column::optional("evidence", StringList, "event_id of each event that the rule rests on"),
    Column::optional("evidence_time", Timestamp, "when the newest of these events happened"),
    Column::required(
        "actor",
        String,
        "who asked: policy, expiry, an operator's name, or outside (found changed by somebody else)",
    ),
    Column::optional(
        "note",
        String,
        "the operator's reason, the origin of an import, what failed, or the plan that was reviewed before this one",
    ),
    Column::required("plan_id", String, "plan that the change belongs to"),
    Column::optional("request_id", String, "AWS request id, or import job id"),
    Column::optional(
        "expires_time",
        Timestamp,
        "when the policy lifts the suppression; NULL for never",
    ),
];
