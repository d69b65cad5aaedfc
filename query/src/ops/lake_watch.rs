//! The lake, watched: responsible for turning what stands in its tables' logs into vitals, every so often.

use std::time::Duration;

use hearback_ingest::CancelFlag;
use hearback_ingest::causes::in_one_line;
use hearback_ingest::lake::{Lake, LakeError, TableSnapshot};
use hearback_schemas::{EVENTS, REJECTS, SEGMENT_LEDGER, SUPPRESSION_LEDGER, Table};

use super::metrics::{TABLE_BYTES, TABLE_FILES, TABLE_LAST_WRITE, TABLE_ROWS, TABLE_VERSION};
use super::vitals::Vitals;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// What keeps the run from being well while the lake cannot be read.
const WHAT: &str = "the lake";
const TABLES: [&Table; 4] = [&EVENTS, &REJECTS, &SUPPRESSION_LEDGER, &SEGMENT_LEDGER];

/// Looks at the tables of a lake until it is stopped. A lake that cannot be read makes the run unwell until it
/// can. Memory is that of the tables' lists of files.
pub async fn watch_lake(lake: &Lake, vitals: &Vitals, cancel: &CancelFlag) {
    let mut seen: Vec<TableSnapshot> = Vec::new();
    while !cancel.is_cancelled() {
        match look(lake, &seen).await {
            Ok(newest) => {
                vitals.unblock(WHAT);
                vitals.sign_of_life("serving");
                newest.iter().for_each(|table| tell(table, vitals));
                seen = newest;
            }
            Err(error) => vitals.block(WHAT, &in_one_line(&error)),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = cancel.cancelled() => {}
        }
    }
}

async fn look(lake: &Lake, seen: &[TableSnapshot]) -> Result<Vec<TableSnapshot>, LakeError> {
    if !lake.exists().await? {
        return Err(LakeError::Missing { location: lake.location().to_owned() });
    }
    let mut newest = Vec::with_capacity(TABLES.len());
    for (index, table) in TABLES.into_iter().enumerate() {
        newest.push(match seen.get(index) {
            Some(snapshot) => lake.refresh(snapshot).await?,
            None => lake.snapshot(table).await?,
        });
    }
    Ok(newest)
}

fn tell(table: &TableSnapshot, vitals: &Vitals) {
    let Some(version) = table.version else { return };
    let labels = [("table", table.table.name)];
    vitals.set(&TABLE_VERSION, &labels, version as f64);
    vitals.set(&TABLE_FILES, &labels, table.files.len() as f64);
    vitals.set(&TABLE_BYTES, &labels, table.bytes() as f64);
    if let Some(rows) = table.rows() {
        vitals.set(&TABLE_ROWS, &labels, rows as f64);
    }
    if let Some(written) = table.files.iter().map(|file| file.modified_ms).max() {
        vitals.set(&TABLE_LAST_WRITE, &labels, written as f64 / 1e3);
    }
}
