//! `segment_ledger`: membership that destinations acknowledged, and the receipts for it.

use crate::table::ColumnKind::{BigInt, String, Timestamp};
use crate::{Column, Table};

/// What each segment's destination acknowledged, member by member, with the receipts.
pub const SEGMENT_LEDGER: Table = Table {
    name: "segment_ledger",
    meaning: "what each segment's destination acknowledged, member by member, with the receipts",
    columns: COLUMNS,
    partition_columns: &[],
};

const COLUMNS: &[Column] = &[
    Column::required(
        "change_id",
        String,
        "32 hex digits; deterministic identity of the change and its outcome within its plan",
    ),
    Column::required(
        "changed_time",
        Timestamp,
        "when the destination acknowledged the change, or refused it",
    ),
    Column::required("segment", String, "name of the segment"),
    Column::required("destination", String, "kind and place of the destination"),
    Column::required("member", String, "key of the member"),
    Column::required("action", String, "add, change, remove or refresh"),
    Column::required(
        "outcome",
        String,
        "done, failed, or skipped (suppressed or unsubscribed since the plan was made)",
    ),
    Column::optional("attributes", String, "JSON of the attributes sent with the member"),
    Column::required("plan_id", String, "plan that the change belongs to"),
    Column::required(
        "state_version",
        BigInt,
        "number of the acknowledged generation that the plan started from; 0 for none",
    ),
    Column::optional(
        "lake_version",
        BigInt,
        "version of events that the segment's query ran on; NULL if it did not read them",
    ),
    Column::optional("request_id", String, "request or job id of the destination"),
    Column::optional("note", String, "what failed, or why the change was skipped"),
];
