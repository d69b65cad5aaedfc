//! A table as it stands at one version: its data files, with their statistics.
//!
//! Invariant: a snapshot never mixes versions. The first one is built by the Delta library, which
//! knows checkpoints; from then on only the newer versions of the log are read and applied in order,
//! and if they do not follow on without a gap, the table is loaded anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deltalake_core::kernel::EagerSnapshot;
use futures::{StreamExt, TryStreamExt, stream};
use hearback_schemas::Table;
use object_store::ObjectStore;
use object_store::path::Path;

use super::compatibility::{Use, usable};
use super::error::LakeError;
use super::log::{Add, TableLog, Version};
use super::stats::{FileStats, parse_date};

/// Versions of the log that are read at once.
const READ_AHEAD: usize = 8;
/// How often a log that changes under its reader is read from the beginning.
const LOADS: u32 = 10;

/// One data file of a table.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Path within the snapshot's store.
    pub path: Path,
    /// Size, in bytes.
    pub size: u64,
    /// When it was written, in milliseconds since 1970-01-01T00:00:00Z.
    pub modified_ms: i64,
    /// Number of rows, unless its writer did not say.
    pub rows: Option<u64>,
    /// `event_date` of all its rows, in days since 1970-01-01; None in tables without partitions.
    pub partition: Option<i32>,
    /// What the log says of its columns.
    pub stats: FileStats,
}

/// A table as it stands at one version.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    /// The table.
    pub table: &'static Table,
    /// Identity that the table was created with; None if it has not been created yet.
    pub id: Option<Arc<str>>,
    /// Version of the table; None if the table has not been created yet (it has no files then).
    pub version: Option<u64>,
    /// The data files, in no particular order.
    pub files: Vec<Arc<DataFile>>,
    /// The store that the files are in.
    pub store: Arc<dyn ObjectStore>,
    /// Versions recorded by applications, as far as they were asked for or changed since.
    transactions: HashMap<String, i64>,
    /// Why no rows may be added, if another engine has changed the table so.
    read_only: Option<Arc<str>>,
}

impl TableSnapshot {
    /// Number of rows; None if the log does not say it of every file.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Size of all data files, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The version that an application recorded last, if it was loaded with the snapshot.
    pub(crate) fn transaction(&self, app_id: &str) -> Option<i64> {
        self.transactions.get(app_id).copied()
    }

    /// Looks whether rows may be added.
    pub(crate) fn check_writable(&self) -> Result<(), LakeError> {
        match &self.read_only {
            None => Ok(()),
            Some(reason) => {
                Err(LakeError::Unsupported { table: self.table.name, reason: reason.to_string() })
            }
        }
    }

    fn absent(log: &TableLog) -> Self {
        Self {
            table: log.table,
            id: None,
            version: None,
            files: Vec::new(),
            store: Arc::clone(&log.store),
            transactions: HashMap::new(),
            read_only: None,
        }
    }
}

impl TableLog {
    /// Loads the newest version, with the transactions of the given applications.
    pub(crate) async fn load(&self, applications: &[&str]) -> Result<TableSnapshot, LakeError> {
        let mut listed = self.list_after(None).await?;
        let mut tries = 0;
        loop {
            if listed == (Vec::new(), false) {
                return Ok(TableSnapshot::absent(self));
            }
            let error = match self.try_load(applications).await {
                Ok(snapshot) => return Ok(snapshot),
                Err(error @ LakeError::Unsupported { .. }) => return Err(error),
                Err(error) => error,
            };
            // An engine that sums up the log deletes versions that are being read at that moment.
            let newer = self.list_after(None).await?;
            tries += 1;
            if newer == listed || tries == LOADS {
                return Err(error);
            }
            listed = newer;
        }
    }

    async fn try_load(&self, applications: &[&str]) -> Result<TableSnapshot, LakeError> {
        let action = || format!("read the log of {}", self.table.name);
        let log_store = self.delta_log_store();
        let state = EagerSnapshot::try_new(log_store.as_ref(), None)
            .await
            .map_err(|error| LakeError::delta(action(), error))?;
        let read_only = match usable(self.table, &state) {
            Use::Full => None,
            Use::ReadOnly(reason) => Some(reason.into()),
            Use::None(reason) => {
                return Err(LakeError::Unsupported { table: self.table.name, reason });
            }
        };

        let mut files = Vec::new();
        for view in state.log_data().iter() {
            let path = self.file_path(&path_to_url(&view.path()))?;
            let (rows, stats) = match view.stats() {
                Some(text) => FileStats::from_json(self.table, &text),
                None => (None, FileStats::default()),
            };
            files.push(Arc::new(DataFile {
                path,
                size: view.size().unsigned_abs(),
                modified_ms: view.modification_time(),
                rows,
                partition: self.partition_of(&view.partition_values_map()),
                stats,
            }));
        }
        let mut transactions = HashMap::new();
        for application in applications {
            let version = state
                .transaction_version(log_store.as_ref(), application)
                .await
                .map_err(|error| LakeError::delta(action(), error))?;
            if let Some(version) = version {
                transactions.insert((*application).to_owned(), version);
            }
        }
        Ok(TableSnapshot {
            table: self.table,
            id: id_of(&state),
            version: Some(state.version()),
            files,
            store: Arc::clone(&self.store),
            transactions,
            read_only,
        })
    }

    /// Brings a snapshot up to date. Costs one listing if nothing changed, and one small read per
    /// newer version otherwise.
    pub(crate) async fn refresh(&self, old: &TableSnapshot) -> Result<TableSnapshot, LakeError> {
        let applications: Vec<&str> = old.transactions.keys().map(String::as_str).collect();
        self.refresh_with(old, &applications).await
    }

    /// As [`refresh`](Self::refresh), keeping the transactions of the given applications.
    pub(crate) async fn refresh_with(
        &self,
        old: &TableSnapshot,
        applications: &[&str],
    ) -> Result<TableSnapshot, LakeError> {
        let Some(version) = old.version else { return self.load(applications).await };
        let (newer, checkpoint) = self.list_after(Some(version)).await?;
        if newer.is_empty() && !checkpoint {
            return Ok(old.clone());
        }
        let follows_on = newer.iter().copied().eq(version + 1..=version + newer.len() as u64);
        if newer.is_empty() || !follows_on {
            return self.load(applications).await;
        }
        let mut reads = Vec::with_capacity(newer.len());
        for version in &newer {
            reads.push(self.read(*version));
        }
        let entries: Vec<Option<Version>> =
            stream::iter(reads).buffered(READ_AHEAD).try_collect().await?;
        let mut snapshot = old.clone();
        for entry in entries {
            // Cleaned up since it was listed, or a new schema: the library sorts it out.
            let Some(entry) = entry.filter(|entry| !entry.redefines_table) else {
                return self.load(applications).await;
            };
            self.apply(&mut snapshot, &entry)?;
            snapshot.version = snapshot.version.map(|version| version + 1);
        }
        Ok(snapshot)
    }

    /// Applies one version. Within a version no path is both added and removed (Delta protocol,
    /// "Add File and Remove File"); an added path replaces what was known of it.
    pub(crate) fn apply(
        &self,
        snapshot: &mut TableSnapshot,
        entry: &Version,
    ) -> Result<(), LakeError> {
        let mut gone = HashSet::new();
        for relative in &entry.removes {
            gone.insert(self.file_path(relative)?);
        }
        if !entry.adds.is_empty() && !entry.removes.is_empty() {
            self.look_for_copies(snapshot, &gone);
        }
        let mut added = Vec::with_capacity(entry.adds.len());
        for add in &entry.adds {
            let file = self.data_file(add)?;
            gone.insert(file.path.clone());
            added.push(Arc::new(file));
        }
        if !entry.removes.is_empty() || snapshot.files.iter().any(|file| gone.contains(&file.path))
        {
            snapshot.files.retain(|file| !gone.contains(&file.path));
        }
        snapshot.files.extend(added);
        for (application, version) in &entry.transactions {
            snapshot.transactions.insert(application.clone(), *version);
        }
        Ok(())
    }

    /// Two OPTIMIZEs of the Delta library for Rust and Python at once can both commit: the second moves
    /// rows out of files that the first has emptied, and they are there twice. Its conflict check
    /// passes over removals that change no data. Nothing of ours does that, so it can only be said.
    fn look_for_copies(&self, snapshot: &TableSnapshot, removed: &HashSet<Path>) {
        let present = snapshot.files.iter().filter(|file| removed.contains(&file.path)).count();
        let Some(before) = snapshot.version.filter(|_| present < removed.len()) else { return };
        tracing::warn!(
            "{}: version {} moves rows out of files that were gone already, so these rows are there twice (two OPTIMIZEs of another engine at once): stop ingest, restore the table to version {before}, and read again what came since (ingest --rewind)",
            self.table.name,
            before + 1,
        );
    }

    pub(crate) fn data_file(&self, add: &Add) -> Result<DataFile, LakeError> {
        let (rows, stats) = match &add.stats {
            Some(text) => FileStats::from_json(self.table, text),
            None => (None, FileStats::default()),
        };
        Ok(DataFile {
            path: self.file_path(&add.path)?,
            size: add.size,
            modified_ms: add.modification_time,
            rows,
            partition: self.partition_of(&add.partition_values),
            stats,
        })
    }

    fn partition_of(&self, values: &HashMap<String, Option<String>>) -> Option<i32> {
        let column = self.table.partition_columns.first()?;
        parse_date(values.get(*column)?.as_deref()?)
    }
}

/// The library keeps the fields of a table's definition to itself, but writes them out.
fn id_of(state: &EagerSnapshot) -> Option<Arc<str>> {
    let definition = serde_json::to_value(state.metadata()).ok()?;
    Some(definition.get("id")?.as_str()?.into())
}

/// The library gives paths decoded; the log (and so everything here) has them percent-encoded.
fn path_to_url(decoded: &str) -> String {
    decoded.replace('%', "%25")
}
