//! `endpoint_imports`: endpoints that were exported from Amazon Pinpoint, so that segments can ask for
//! what was known of people there.

use crate::table::ColumnKind::{String, StringListMap, Timestamp};
use crate::{Column, Table};

/// Endpoints exported from Amazon Pinpoint, each state of each once.
pub const ENDPOINT_IMPORTS: Table = Table {
    name: "endpoint_imports",
    meaning: "endpoints exported from Amazon Pinpoint, each state of each once",
    columns: COLUMNS,
    partition_columns: &[],
};

const COLUMNS: &[Column] = &[
    Column::required(
        "change_id",
        String,
        "32 hex digits; deterministic identity of the endpoint's state and the import's name",
    ),
    Column::required(
        "changed_time",
        Timestamp,
        "since when the endpoint is so: EffectiveDate, else CreationDate, else 1970-01-01",
    ),
    Column::required("endpoint_id", String, "Pinpoint's id of the endpoint"),
    Column::optional("application_id", String, "Pinpoint application (project)"),
    Column::optional(
        "import_name",
        String,
        "name given to the import, such as the id of an imported segment",
    ),
    Column::required("channel", String, "EMAIL, SMS, VOICE, GCM, APNS, …"),
    Column::optional(
        "address",
        String,
        "for e-mail spelt as events.recipient is, else as the export has it",
    ),
    Column::optional("user_id", String, "User.UserId"),
    Column::optional("opt_out", String, "ALL: opted out of every message; NONE"),
    Column::optional("endpoint_status", String, "ACTIVE or INACTIVE"),
    Column::optional("attributes", StringListMap, "custom attributes"),
    Column::optional("user_attributes", StringListMap, "User.UserAttributes"),
    Column::optional("metrics", String, "JSON of the custom metrics, numbers by name"),
    Column::optional("demographic", String, "JSON of Demographic, keys as Pinpoint spells them"),
    Column::optional("location", String, "JSON of Location, keys as Pinpoint spells them"),
    Column::optional("extra", String, "JSON of fields with no column of their own"),
];
