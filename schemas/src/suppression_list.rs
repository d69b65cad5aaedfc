//! `suppression_list`: what was seen on the suppression lists, as changes.

use crate::table::ColumnKind::{BigInt, String, Timestamp};
use crate::{Column, Table};

/// What was seen on the suppression lists: one row for each entry that was new, different or gone since
/// the list was read before, and one for each reading.
///
/// The newest row of each address is the list as it was last seen, and the rows up to an instant are
/// the list as it was then: a backup that grows only by what changes.
pub const SUPPRESSION_LIST: Table = Table {
    name: "suppression_list",
    meaning: "what was seen on the suppression lists: each entry that was new, different or gone, and each reading",
    columns: COLUMNS,
    partition_columns: &[],
};

const COLUMNS: &[Column] = &[
    Column::required("change_id", String, "32 hex digits; identity of the row"),
    Column::required("changed_time", Timestamp, "when the list was read"),
    Column::required("account_id", String, "12-digit AWS account of the list"),
    Column::required("region", String, "AWS Region of the list"),
    Column::optional("tenant", String, "SES tenant of the list; NULL for the account's list"),
    Column::required(
        "kind",
        String,
        "entry (new or different), gone, full or incremental (a reading that was completed), settings (what makes the list count)",
    ),
    Column::optional("address", String, "the entry, spelled as on the list"),
    Column::optional("recipient", String, "the same address as events spell it"),
    Column::optional("reason", String, "BOUNCE or COMPLAINT"),
    Column::optional("list_time", Timestamp, "LastUpdateTime of the entry"),
    Column::optional("entries", BigInt, "entries of the list after a reading"),
    Column::optional("settings", String, "JSON of what SES says about when the list counts"),
];
