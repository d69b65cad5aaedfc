//! The Delta log of one table: which actions a version holds, and how a version is claimed.
//!
//! Invariant: a version of the log is one object, created whole and only if it is not there yet. Who
//! creates it has committed; there is no other way to add, and no state in between.
//! (Delta protocol, "Delta Log Entries" and "Writer Version Requirements".)

use std::collections::HashMap;

use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::TryStreamExt;
use hearback_schemas::Table;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

use super::error::LakeError;
use super::{stats, store_promise};
use crate::aws::StoreLocation;

/// The highest protocol versions that this program writes and reads; what it creates has just these,
/// because every Delta reader knows them.
pub(crate) const READER_VERSION: i32 = 1;
pub(crate) const WRITER_VERSION: i32 = 2;

/// Key in `commitInfo` by which a commit is recognised as one's own.
const ATTEMPT: &str = "hearbackAttempt";

/// The log of one table.
#[derive(Clone, Debug)]
pub(crate) struct TableLog {
    pub(crate) table: &'static Table,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Folder of the table within the store.
    pub(crate) root: Path,
    pub(crate) url: Url,
}

/// A file that a version adds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    /// Path relative to the table, percent-encoded.
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) partition_values: HashMap<String, Option<String>>,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) modification_time: i64,
    #[serde(default)]
    pub(crate) stats: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Remove {
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    add: Option<Add>,
    remove: Option<Remove>,
    txn: Option<Txn>,
    meta_data: Option<serde::de::IgnoredAny>,
    protocol: Option<serde::de::IgnoredAny>,
    commit_info: Option<Value>,
}

/// What one version of the log says.
#[derive(Debug, Default)]
pub(crate) struct Version {
    pub(crate) adds: Vec<Add>,
    /// Paths relative to the table, percent-encoded.
    pub(crate) removes: Vec<String>,
    /// Application ids and their versions.
    pub(crate) transactions: Vec<(String, i64)>,
    /// Whether the table's schema, properties or protocol changed.
    pub(crate) redefines_table: bool,
    /// The attempt that wrote it, if it was this program.
    pub(crate) attempt: Option<String>,
}

impl Version {
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, LakeError> {
        let mut version = Self::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let action: Action =
                serde_json::from_slice(line).map_err(|error| LakeError::damaged(path, error))?;
            version.adds.extend(action.add);
            version.removes.extend(action.remove.map(|remove| remove.path));
            version.transactions.extend(action.txn.map(|txn| (txn.app_id, txn.version)));
            version.redefines_table |= action.meta_data.is_some() || action.protocol.is_some();
            if let Some(info) = action.commit_info {
                version.attempt = info.get(ATTEMPT).and_then(Value::as_str).map(str::to_owned);
            }
        }
        Ok(version)
    }
}

/// What became of the attempt to create a version.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The version is ours.
    Landed,
    /// The version is somebody else's.
    Taken,
    /// The version is not there; the store said why.
    Failed(object_store::Error),
}

/// Everything that a commit adds to the log.
pub(crate) struct Entry<'a> {
    /// Identity of this commit; no other commit of any process has it.
    pub(crate) attempt: &'a str,
    /// Time of the commit, in microseconds since 1970-01-01T00:00:00Z.
    pub(crate) now_us: i64,
    pub(crate) adds: &'a [Add],
    /// Application id and version to record.
    pub(crate) transaction: Option<(&'a str, i64)>,
    /// Shown in the table's history beside the operation; no positions, no personal data.
    pub(crate) note: Value,
}

impl TableLog {
    pub(crate) fn new(place: &StoreLocation, table: &'static Table) -> Result<Self, LakeError> {
        let url = place
            .url
            .join(&format!("{}/", table.name))
            .map_err(|error| LakeError::damaged(&place.url, error))?;
        let root = place.prefix.clone().join(table.name);
        Ok(Self { table, store: Arc::clone(&place.store), root, url })
    }

    /// The log as the Delta library wants it: the same store, seen from the table's folder.
    pub(crate) fn delta_log_store(&self) -> LogStoreRef {
        let seen_from_table = PrefixStore::new(Arc::clone(&self.store), self.root.clone());
        default_logstore(
            Arc::new(seen_from_table),
            Arc::clone(&self.store),
            &self.url,
            &StorageConfig::default(),
        )
    }

    fn folder(&self) -> Path {
        self.root.clone().join("_delta_log")
    }

    pub(crate) fn version_path(&self, version: u64) -> Path {
        self.folder().join(format!("{version:020}.json"))
    }

    /// The place in the store of a file that an action names.
    pub(crate) fn file_path(&self, relative: &str) -> Result<Path, LakeError> {
        let relative =
            Path::from_url_path(relative).map_err(|error| LakeError::damaged(relative, error))?;
        let mut path = self.root.clone();
        path.extend(relative.parts());
        Ok(path)
    }

    /// Lists what the log holds beyond a version (None: everything): the versions, in order, and
    /// whether there is a checkpoint among it.
    pub(crate) async fn list_after(
        &self,
        version: Option<u64>,
    ) -> Result<(Vec<u64>, bool), LakeError> {
        let folder = self.folder();
        let objects = match version {
            Some(version) => {
                self.store.list_with_offset(Some(&folder), &self.version_path(version))
            }
            None => self.store.list(Some(&folder)),
        };
        let objects: Vec<_> = objects
            .try_collect()
            .await
            .map_err(|error| LakeError::store(format!("list {folder}"), error))?;
        let mut versions = Vec::new();
        let mut checkpoint = false;
        for object in objects {
            let Some(name) = object.location.filename() else { continue };
            if let Some(digits) = name.strip_suffix(".json")
                && digits.len() == 20
                && let Ok(found) = digits.parse()
            {
                versions.push(found);
            }
            // A checkpoint of the version itself sorts before its `.json` and is not listed.
            checkpoint |= name.contains(".checkpoint.") && name.ends_with(".parquet");
        }
        versions.sort_unstable();
        Ok((versions, checkpoint))
    }

    /// Reads one version; None if it is not there.
    pub(crate) async fn read(&self, version: u64) -> Result<Option<Version>, LakeError> {
        let path = self.version_path(version);
        let action = || format!("read {path}");
        let found = match self.store.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(LakeError::store(action(), error)),
        };
        let bytes = found.bytes().await.map_err(|error| LakeError::store(action(), error))?;
        Version::parse(&path, &bytes).map(Some)
    }

    /// Creates version 0: the table with its schema and properties and no rows. Returns whether it
    /// was us; the table exists in either case.
    pub(crate) async fn create_table(
        &self,
        table_id: &str,
        now_us: i64,
    ) -> Result<bool, LakeError> {
        let now_ms = now_us.div_euclid(1000);
        let lines = [
            json!({"commitInfo": {
                "timestamp": now_ms,
                "operation": "CREATE TABLE",
                "operationParameters": {},
                "engineInfo": engine(),
                ATTEMPT: table_id,
            }}),
            json!({"protocol": {
                "minReaderVersion": READER_VERSION,
                "minWriterVersion": WRITER_VERSION,
            }}),
            json!({"metaData": {
                "id": table_id,
                "name": self.table.name,
                "description": self.table.meaning,
                "format": {"provider": "parquet", "options": {}},
                "schemaString": self.table.delta_schema().to_string(),
                "partitionColumns": self.table.partition_columns,
                "configuration": properties(self.table),
                "createdTime": now_ms,
            }}),
        ];
        match self.claim(0, table_id, encode(&lines)).await? {
            Claim::Landed => Ok(true),
            Claim::Taken => Ok(false),
            Claim::Failed(error) => {
                Err(LakeError::store(format!("create the table {}", self.table.name), error))
            }
        }
    }

    /// Tries to commit as `version`.
    ///
    /// # Errors
    ///
    /// Only if it cannot be found out whether the commit landed.
    pub(crate) async fn commit(&self, version: u64, entry: &Entry<'_>) -> Result<Claim, LakeError> {
        let now_ms = entry.now_us.div_euclid(1000);
        let mut info = json!({
            "timestamp": now_ms,
            "operation": "WRITE",
            "operationParameters": {"mode": "Append"},
            "isolationLevel": "WriteSerializable",
            "isBlindAppend": true,
            "engineInfo": engine(),
            ATTEMPT: entry.attempt,
        });
        info["hearback"] = entry.note.clone();
        let mut lines = vec![json!({"commitInfo": info})];
        if let Some((app_id, version)) = entry.transaction {
            lines
                .push(json!({"txn": {"appId": app_id, "version": version, "lastUpdated": now_ms}}));
        }
        for add in entry.adds {
            lines.push(json!({"add": {
                "path": add.path,
                "partitionValues": add.partition_values,
                "size": add.size,
                "modificationTime": add.modification_time,
                "dataChange": true,
                "stats": add.stats,
            }}));
        }
        self.claim(version, entry.attempt, encode(&lines)).await
    }

    /// Creates one version. Any error may hide a success (the store's own retry of a request whose
    /// answer was lost meets the object that the first try created), so whatever the store says, the
    /// object itself is asked whose it is.
    async fn claim(
        &self,
        version: u64,
        attempt: &str,
        bytes: PutPayload,
    ) -> Result<Claim, LakeError> {
        let path = self.version_path(version);
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        let Err(error) = self.store.put_opts(&path, bytes.clone(), options).await else {
            store_promise::try_once(&self.store, &self.url, &path, bytes).await;
            return Ok(Claim::Landed);
        };
        match self.read(version).await? {
            Some(winner) if winner.attempt.as_deref() == Some(attempt) => Ok(Claim::Landed),
            Some(_) => Ok(Claim::Taken),
            None => Ok(Claim::Failed(error)),
        }
    }
}

fn engine() -> &'static str {
    concat!("hearback/", env!("CARGO_PKG_VERSION"))
}

/// Properties of a new table. `writeSerializable` is spelt as the Delta library parses it; other
/// writers ignore case. The transaction retention is left unset: an idle stream must not lose its
/// position.
fn properties(table: &Table) -> Value {
    json!({
        "delta.isolationLevel": "writeSerializable",
        "delta.checkpointInterval": "100",
        "delta.logRetentionDuration": "interval 2 days",
        "delta.deletedFileRetentionDuration": "interval 7 days",
        "delta.dataSkippingStatsColumns": stats::stats_columns(table).join(","),
    })
}

fn encode(lines: &[Value]) -> PutPayload {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line.to_string().as_bytes());
        bytes.push(b'\n');
    }
    bytes.into()
}
