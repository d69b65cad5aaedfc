//! Column builders for decoded rows.

use std::sync::{Arc, LazyLock};

use arrow_schema::{Schema, SchemaRef};
use hearback_schemas::EVENTS;

static DECODED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let file = EVENTS.file_schema();
    let fields: Vec<_> =
        file.fields().iter().filter(|field| field.name() != "ingest_time").cloned().collect();
    Arc::new(Schema::new(fields))
});

/// The columns of a decoded batch: those of the `events` data files without `ingest_time`, which is
/// only known when the rows are committed.
#[must_use]
pub fn decoded_schema() -> SchemaRef {
    Arc::clone(&DECODED_SCHEMA)
}
