//! Manifests: what stands in `_hearback/checkpoints/<stream>/<epoch>.json`, and how one is created.
//!
//! Invariant: a manifest is created only if it is not there yet, and never changes. Creating it claims
//! its epoch; it counts once a commit of the table records that epoch.
//!
//! Growth: manifests older than the last hundred epochs are deleted, a hundred at a time, and with them
//! the files of fingerprints that were replaced. So a stream has about two hundred manifests, however
//! long it is read.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};

use super::objects::Base;
use super::shards::StreamState;
use crate::aws::StoreLocation;
use crate::lake::error::LakeError;

/// Epochs whose manifests are kept. Only the newest counts; the others are for people.
pub(super) const EPOCHS_KEPT: i64 = 100;
/// Other objects that were replaced are kept for so long: a writer may be about to refer to them.
const REPLACED_KEPT_MS: i64 = 86_400_000;

/// The positions of one stream as of one epoch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) epoch: i64,
    /// The epoch that it builds upon; None for the first.
    pub(super) parent: Option<i64>,
    /// The attempt to commit that wrote it.
    pub(super) attempt: String,
    pub(super) positions: Recorded,
}

/// Positions, by kind of stream.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Recorded {
    /// Objects read to their end: fingerprints in a base, and those since.
    Objects { base: Option<Base>, since: Vec<String> },
    /// Shards of a Kinesis stream.
    Shards(StreamState),
}

/// How the names of files of fingerprints end.
pub(super) const FINGERPRINTS: &str = ".objects";

/// The epoch whose manifest has this name.
fn epoch_of(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// The folder of the manifests of one stream.
#[derive(Clone, Debug)]
pub(super) struct Manifests {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// The folder that holds a folder of manifests for each stream.
pub(super) fn root(place: &StoreLocation) -> Path {
    place.prefix.clone().join("_hearback").join("checkpoints")
}

impl Manifests {
    pub(super) fn new(place: &StoreLocation, stream: &str) -> Self {
        Self { store: Arc::clone(&place.store), folder: root(place).join(stream) }
    }

    /// The place of another object in the folder.
    pub(super) fn path(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }

    fn manifest_path(&self, epoch: i64) -> Path {
        self.path(&format!("{epoch:020}.json"))
    }

    /// Reads the manifest of an epoch that the table records. It has to be there.
    pub(super) async fn read(&self, epoch: i64) -> Result<Manifest, LakeError> {
        let bytes = self.read_object(&self.manifest_path(epoch)).await?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| self.damaged(epoch, error))?;
        if manifest.epoch != epoch {
            return Err(self.damaged(epoch, "it is the manifest of another epoch"));
        }
        Ok(manifest)
    }

    /// When a manifest was created, by the store's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) async fn created_ms(&self, epoch: i64) -> Result<i64, LakeError> {
        let path = self.manifest_path(epoch);
        let found = self.store.head(&path).await;
        let found = found.map_err(|error| LakeError::store(format!("look at {path}"), error))?;
        Ok(found.last_modified.timestamp_millis())
    }

    /// Reads an object that the table's log, or a manifest, points at.
    pub(super) async fn read_object(&self, path: &Path) -> Result<Bytes, LakeError> {
        let action = || format!("read {path}");
        match self.store.get(path).await {
            Ok(found) => found.bytes().await.map_err(|error| LakeError::store(action(), error)),
            Err(object_store::Error::NotFound { .. }) => {
                Err(LakeError::damaged(path, "it is missing, but the table's log points at it"))
            }
            Err(error) => Err(LakeError::store(action(), error)),
        }
    }

    pub(super) async fn write_object(&self, name: &str, bytes: Vec<u8>) -> Result<(), LakeError> {
        let path = self.path(name);
        let written = self.store.put(&path, bytes.into()).await;
        written.map(|_| ()).map_err(|error| LakeError::store(format!("write {path}"), error))
    }

    /// Creates a manifest under its epoch, or the next one that is free, which is returned: it may be
    /// claimed by a writer that lost, died or is about to commit. Epochs need not be consecutive, the
    /// parent says what a manifest builds upon.
    pub(super) async fn create(&self, mut manifest: Manifest) -> Result<i64, LakeError> {
        loop {
            let bytes = serde_json::to_vec(&manifest).map_err(LakeError::invalid)?;
            let path = self.manifest_path(manifest.epoch);
            let options = PutOptions { mode: PutMode::Create, ..Default::default() };
            match self.store.put_opts(&path, bytes.into(), options).await {
                Ok(_) => return Ok(manifest.epoch),
                Err(object_store::Error::AlreadyExists { .. }) => manifest.epoch += 1,
                Err(error) => return Err(LakeError::store(format!("write {path}"), error)),
            }
        }
    }

    /// After a commit, now and then deletes what no reader and no writer can need any more. `before` is
    /// the epoch that the commit built upon, `base` the file of fingerprints in use. A failure leaves
    /// objects behind and changes nothing else.
    ///
    /// A claim of an old epoch by a writer that stood still all the while never counts, whether its
    /// manifest is there or not: the epoch that it builds upon is not the recorded one any more.
    pub(super) async fn retire(&self, before: Option<i64>, epoch: i64, base: Option<&str>) {
        let round = |epoch: i64| epoch.div_euclid(EPOCHS_KEPT);
        if before.is_none_or(|before| round(before) == round(epoch)) {
            return;
        }
        if let Err(error) = self.try_retire(epoch, base).await {
            tracing::debug!(%error, folder = %self.folder, "old manifests stay behind");
        }
    }

    async fn try_retire(&self, epoch: i64, base: Option<&str>) -> object_store::Result<()> {
        let objects: Vec<ObjectMeta> = self.store.list(Some(&self.folder)).try_collect().await?;
        let newest_ms = objects.iter().map(|object| object.last_modified.timestamp_millis()).max();
        let replaced_ms = newest_ms.unwrap_or_default() - REPLACED_KEPT_MS;
        let mut old = Vec::new();
        for object in objects {
            let Some(name) = object.location.filename() else { continue };
            let is_old = match (epoch_of(name), name.strip_suffix(FINGERPRINTS)) {
                (Some(found), _) => found < epoch - EPOCHS_KEPT,
                (None, Some(_)) => {
                    base != Some(name) && object.last_modified.timestamp_millis() < replaced_ms
                }
                (None, None) => false,
            };
            if is_old {
                old.push(Ok(object.location));
            }
        }
        self.store.delete_stream(stream::iter(old).boxed()).try_collect::<Vec<Path>>().await?;
        Ok(())
    }

    pub(super) fn damaged(&self, epoch: i64, reason: impl ToString) -> LakeError {
        LakeError::damaged(self.manifest_path(epoch), reason)
    }
}
