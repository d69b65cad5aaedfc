//! `rejects`: what could not be understood, byte for byte.

use crate::table::ColumnKind::{Binary, String, Timestamp};
use crate::{Column, Table};

/// Documents that could not be understood, each exactly once, byte for byte.
pub const REJECTS: Table = Table {
    name: "rejects",
    meaning: "documents that could not be understood, each exactly once, byte for byte",
    columns: COLUMNS,
    partition_columns: &[],
};

const COLUMNS: &[Column] = &[
    Column::required("reject_id", String, "32 hex digits; deterministic identity of the document"),
    Column::required("ingest_time", Timestamp, "when hearback committed the row"),
    Column::optional(
        "source_name",
        String,
        "file, object or stream that the document was read from",
    ),
    Column::optional("source_shard", String, "Kinesis shard that the document was read from"),
    Column::optional("source_sequence", String, "place in the source, as in events"),
    Column::required("reason", String, "why it could not be understood"),
    Column::required("raw", Binary, "the document's exact bytes"),
];
