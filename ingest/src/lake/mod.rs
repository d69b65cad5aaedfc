//! The lake: Delta tables in one folder or bucket, and the only code that writes to them.
//!
//! - [`Lake`] is the place; [`TableSnapshot`] is one table at one version, for readers.
//! - [`LedgerWriter`] adds rows to the ledgers.
//! - [`LakeWriter`] adds rows: it stages them, keeps out what is there already, and commits rows and
//!   positions together.
//!
//! Invariants: no position is committed without its rows and no rows without their position; an
//! `event_id` stands once in `events`; a reject stands once in `rejects`. How: `commit.rs`.

mod commit;
mod compatibility;
mod encode;
mod error;
mod known_ids;
mod ledger;
mod log;
mod positions;
mod read_ids;
mod rejects;
mod settings;
mod slices;
mod snapshot;
mod staging;
mod stats;
mod store_promise;
mod unfinished;
mod upload;
mod writer;

use hearback_schemas::{TABLES, Table};

pub use encode::has_bloom_filter;
pub use error::LakeError;
pub use ledger::LedgerWriter;
pub use positions::{
    Gap, GapReason, LostRace, ObjectId, PositionDelta, ReadFrom, SequenceNumber, ShardMove,
    ShardPosition, ShardState, StreamDelta, StreamIdentity, StreamState, StreamStatus,
};
pub use settings::WriteSettings;
pub use snapshot::{DataFile, TableSnapshot};
pub use stats::{ColumnStats, FileStats, StatsValue};
pub use writer::{Committed, LakeWriter, Provenance, Staged};

use crate::aws::{LocationError, StoreLocation, open_store};
use log::TableLog;

/// A place with the tables of hearback under it.
#[derive(Clone, Debug)]
pub struct Lake {
    location: String,
    place: StoreLocation,
}

impl Lake {
    /// Opens the lake at a location (see [`open_store`]).
    ///
    /// # Errors
    ///
    /// [`LakeError::Missing`] if none of its tables exists there.
    pub async fn open(location: &str) -> Result<Self, LakeError> {
        let lake = Self::open_or_create(location).await?;
        if lake.exists().await? {
            return Ok(lake);
        }
        Err(LakeError::Missing { location: lake.location })
    }

    /// Opens the lake at a location, whether it is there or not. Nothing is created before the first
    /// row is committed, and then only the tables that are written to.
    ///
    /// # Errors
    ///
    /// [`LakeError::Location`] if the location is none.
    pub async fn open_or_create(location: &str) -> Result<Self, LakeError> {
        let place = open_store(location).await?;
        if has_escape(place.prefix.as_ref()) {
            // The Delta library takes it for an escape when it reads the log, and finds nothing there.
            let reason = "a percent sign before two hexadecimal digits cannot stand in the path of a lake; name the folder otherwise";
            let (location, reason) = (location.to_owned(), reason.to_owned());
            return Err(LocationError::Invalid { location, reason }.into());
        }
        Ok(Self { location: location.to_owned(), place })
    }

    /// The lake in a store that is open already.
    #[must_use]
    pub fn in_store(place: StoreLocation) -> Self {
        Self { location: place.url.to_string(), place }
    }

    /// The location as it was given.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The store and the place of the lake in it.
    #[must_use]
    pub fn place(&self) -> &StoreLocation {
        &self.place
    }

    /// Whether any of the lake's tables has been created.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`] if the store cannot be asked.
    pub async fn exists(&self) -> Result<bool, LakeError> {
        for table in TABLES {
            let (versions, checkpoint) = self.log(table)?.list_after(None).await?;
            if checkpoint || !versions.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A table as it stands now. A table that has not been created yet has no version and no files.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`] if the store cannot be read, [`LakeError::Unsupported`] if the
    /// table has been changed into something that this program does not read.
    pub async fn snapshot(&self, table: &'static Table) -> Result<TableSnapshot, LakeError> {
        self.log(table)?.load(&[]).await
    }

    /// Brings a snapshot of this lake up to date; cheap if little or nothing changed.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub async fn refresh(&self, snapshot: &TableSnapshot) -> Result<TableSnapshot, LakeError> {
        self.log(snapshot.table)?.refresh(snapshot).await
    }

    /// The data files of a table as locations that other programs can open.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub async fn file_locations(&self, table: &'static Table) -> Result<Vec<String>, LakeError> {
        let snapshot = self.snapshot(table).await?;
        Ok(snapshot.files.iter().map(|file| self.file_location(file)).collect())
    }

    fn file_location(&self, file: &DataFile) -> String {
        match self.place.url.scheme() {
            "s3" => {
                format!("s3://{}/{}", self.place.url.host_str().unwrap_or_default(), file.path)
            }
            _ => format!("/{}", file.path),
        }
    }

    pub(crate) fn log(&self, table: &'static Table) -> Result<TableLog, LakeError> {
        TableLog::new(&self.place, table)
    }
}

/// Whether something in a path looks like a percent-encoded byte.
fn has_escape(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.windows(3).any(|window| {
        window[0] == b'%' && window[1].is_ascii_hexdigit() && window[2].is_ascii_hexdigit()
    })
}

#[cfg(test)]
mod tests;
