//! `suppression_ledger`: every change made to a suppression list, with its evidence.

use crate::table::ColumnKind::{String, StringList, Timestamp};
use crate::{Column, Table};

/// Every change that hearback made to a suppression list, with its evidence.
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
        "32 hex digits; deterministic identity of the change within its plan",
    ),
    Column::required("changed_time", Timestamp, "when the change was acknowledged, or failed"),
    Column::required("account_id", String, "12-digit AWS account of the list"),
    Column::required("region", String, "AWS Region of the list"),
    Column::optional("tenant", String, "SES tenant of the list; NULL for the account's list"),
    Column::required("address", String, "address as it stands on the list"),
    Column::required("action", String, "add or remove"),
    Column::required("outcome", String, "done or failed"),
    Column::optional("reason", String, "BOUNCE or COMPLAINT, as SES records it"),
    Column::required("rule", String, "policy rule that asked for the change"),
    Column::required("rule_version", String, "version of the policy"),
    Column::optional("evidence", StringList, "event_id of each event that the rule rests on"),
    Column::required("actor", String, "who asked: policy, or an operator's name"),
    Column::optional("note", String, "the operator's reason, or what failed"),
    Column::required("plan_id", String, "plan that the change belongs to"),
    Column::optional("request_id", String, "AWS request id, or import job id"),
    Column::optional(
        "expires_time",
        Timestamp,
        "when the policy lifts the suppression; NULL for never",
    ),
];
