//! How far each stream was read, committed together with the rows that were read.
//!
//! A position that is too large for the log stands in a manifest of its own,
//! `_hearback/checkpoints/<stream>/<epoch>.json`, created only if it is not there yet; the commit of
//! the rows records the epoch as the stream's Delta `txn`. So the log points at exactly one manifest,
//! and a manifest that no commit points at never counted. Invariant: the manifest of the epoch that
//! the log records is there, whole, and never changes; if it is missing, that is an error and not a
//! stream that starts again.
//!
//! What is done when another writer moved the stream on depends on what a position is, see
//! [`LostRace`].

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::error::LakeError;
use super::known_ids::{IdHasher, IdSet};
use crate::aws::StoreLocation;

/// A manifest repeats the objects since the last base, up to so many (32 characters each); then all
/// are written into a new base (16 bytes each). So a start reads two objects, whatever the history.
const OBJECTS_PER_MANIFEST: usize = 4096;

/// One version of an object or file: if it changes, it is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// Location, as in the column `source_name`.
    pub name: String,
    /// Size, in bytes.
    pub size: u64,
    /// The store's ETag, or for a file its time of modification; None if nothing is known.
    pub etag: Option<String>,
}

impl ObjectId {
    /// What is remembered of the object: 16 bytes, from which its name cannot be read.
    fn fingerprint(&self) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(&(self.name.len() as u64).to_le_bytes());
        hash.update(self.name.as_bytes());
        hash.update(&self.size.to_le_bytes());
        hash.update(self.etag.as_deref().unwrap_or_default().as_bytes());
        hash.digest128()
    }
}

/// What was read since the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionDelta {
    /// These objects were read to their end. Objects whose rows are only partly in the commit are not
    /// among them; they will be read again, and their rows recognised.
    Objects(Vec<ObjectId>),
}

/// What a writer does that finds its stream moved on by another writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostRace {
    /// Positions are a set: add to what the other has read. Rows that both read are kept once.
    Merge,
    /// Positions are an order: the other owns the stream now, and this writer stops.
    Fence,
}

impl PositionDelta {
    /// How positions of this kind meet those of another writer.
    #[must_use]
    pub fn lost_race(&self) -> LostRace {
        match self {
            Self::Objects(_) => LostRace::Merge,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
struct Manifest {
    epoch: i64,
    parent: Option<i64>,
    attempt: String,
    positions: Positions,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Positions {
    Objects { base: Option<Base>, since: Vec<String> },
}

/// A file of fingerprints, 16 bytes each, little-endian.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Base {
    file: String,
    count: u64,
    checksum: String,
}

/// The positions of one stream of objects, as of one epoch.
#[derive(Debug)]
pub(crate) struct ObjectPositions {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    epoch: Option<i64>,
    read: IdSet,
    base: Option<Base>,
    since_base: Vec<u128>,
    /// A manifest that was claimed but not yet committed, and the epoch it builds upon.
    claimed: Option<(Option<i64>, i64)>,
}

impl ObjectPositions {
    /// The positions of a stream at the epoch that its table records.
    pub(crate) async fn load(
        place: &StoreLocation,
        stream: &str,
        epoch: Option<i64>,
    ) -> Result<Self, LakeError> {
        let folder = place.prefix.clone().join("_hearback").join("checkpoints").join(stream);
        let mut positions = Self {
            store: Arc::clone(&place.store),
            folder,
            epoch: None,
            read: HashSet::with_hasher(BuildHasherDefault::<IdHasher>::default()),
            base: None,
            since_base: Vec::new(),
            claimed: None,
        };
        positions.move_to(epoch).await?;
        Ok(positions)
    }

    pub(crate) fn contains(&self, object: &ObjectId) -> bool {
        self.read.contains(&object.fingerprint())
    }

    /// The epoch that these positions are of; None for a stream that was never read.
    pub(crate) fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    /// Brings the positions to the epoch that the table records now.
    pub(crate) async fn move_to(&mut self, epoch: Option<i64>) -> Result<(), LakeError> {
        if epoch == self.epoch {
            return Ok(());
        }
        self.claimed = None;
        self.read.clear();
        self.since_base.clear();
        self.base = None;
        if let Some(epoch) = epoch {
            self.read_manifest(epoch).await?;
        }
        self.epoch = epoch;
        Ok(())
    }

    async fn read_manifest(&mut self, epoch: i64) -> Result<(), LakeError> {
        let path = self.manifest_path(epoch);
        let bytes = self.read_object(&path).await?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| LakeError::damaged(&path, error))?;
        if manifest.epoch != epoch {
            return Err(LakeError::damaged(&path, "it is the manifest of another epoch"));
        }
        let Positions::Objects { base, since } = manifest.positions;
        if let Some(base) = &base {
            self.read_base(base).await?;
        }
        for hex in since {
            let fingerprint =
                u128::from_str_radix(&hex, 16).map_err(|error| LakeError::damaged(&path, error))?;
            self.read.insert(fingerprint);
            self.since_base.push(fingerprint);
        }
        self.base = base;
        Ok(())
    }

    async fn read_base(&mut self, base: &Base) -> Result<(), LakeError> {
        let path = self.folder.clone().join(base.file.as_str());
        let bytes = self.read_object(&path).await?;
        let (fingerprints, rest) = bytes.as_chunks::<16>();
        let whole = rest.is_empty() && fingerprints.len() as u64 == base.count;
        if !whole || format!("{:032x}", xxh3_128(&bytes)) != base.checksum {
            return Err(LakeError::damaged(&path, "its checksum does not match"));
        }
        self.read.reserve(fingerprints.len());
        self.read.extend(fingerprints.iter().map(|bytes| u128::from_le_bytes(*bytes)));
        Ok(())
    }

    async fn read_object(&self, path: &Path) -> Result<bytes::Bytes, LakeError> {
        let action = || format!("read {path}");
        match self.store.get(path).await {
            Ok(found) => found.bytes().await.map_err(|error| LakeError::store(action(), error)),
            Err(object_store::Error::NotFound { .. }) => {
                Err(LakeError::damaged(path, "it is missing, but the table's log points at it"))
            }
            Err(error) => Err(LakeError::store(action(), error)),
        }
    }

    /// Claims the next epoch: writes its manifest, with `objects` added to what had been read. The
    /// claim counts once a commit records the epoch that is returned.
    pub(crate) async fn claim(
        &mut self,
        objects: &[ObjectId],
        attempt: &str,
    ) -> Result<i64, LakeError> {
        if let Some((parent, epoch)) = self.claimed
            && parent == self.epoch
        {
            return Ok(epoch);
        }
        let mut since = self.since_base.clone();
        let mut added = IdSet::default();
        for object in objects {
            let fingerprint = object.fingerprint();
            if !self.read.contains(&fingerprint) && added.insert(fingerprint) {
                since.push(fingerprint);
            }
        }
        let mut base = self.base.clone();
        if since.len() > OBJECTS_PER_MANIFEST {
            base = Some(self.write_base(&since, attempt).await?);
            since.clear();
        }
        let mut epoch = self.epoch.map_or(1, |epoch| epoch + 1);
        loop {
            let manifest = Manifest {
                epoch,
                parent: self.epoch,
                attempt: attempt.to_owned(),
                positions: Positions::Objects {
                    base: base.clone(),
                    since: since.iter().map(|fingerprint| format!("{fingerprint:032x}")).collect(),
                },
            };
            let bytes = serde_json::to_vec(&manifest).map_err(LakeError::invalid)?;
            let path = self.manifest_path(epoch);
            let options = PutOptions { mode: PutMode::Create, ..Default::default() };
            match self.store.put_opts(&path, bytes.into(), options).await {
                Ok(_) => break,
                // Claimed by a writer that lost, died or is about to commit: epochs need not be
                // consecutive, the parent says what a manifest builds upon.
                Err(object_store::Error::AlreadyExists { .. }) => epoch += 1,
                Err(error) => return Err(LakeError::store(format!("write {path}"), error)),
            }
        }
        self.claimed = Some((self.epoch, epoch));
        Ok(epoch)
    }

    /// Takes over what was claimed, after the commit that records it.
    pub(crate) async fn committed(
        &mut self,
        epoch: i64,
        objects: &[ObjectId],
    ) -> Result<(), LakeError> {
        self.claimed = None;
        if self.since_base.len() + objects.len() > OBJECTS_PER_MANIFEST {
            // The base was rewritten on the way; what the manifest says is simply read back.
            self.epoch = None;
            return self.move_to(Some(epoch)).await;
        }
        for object in objects {
            let fingerprint = object.fingerprint();
            if self.read.insert(fingerprint) {
                self.since_base.push(fingerprint);
            }
        }
        self.epoch = Some(epoch);
        Ok(())
    }

    async fn write_base(&self, since: &[u128], attempt: &str) -> Result<Base, LakeError> {
        let mut all: Vec<u128> = self.read.iter().copied().collect();
        all.extend(since.iter().filter(|fingerprint| !self.read.contains(*fingerprint)));
        all.sort_unstable();
        let mut bytes = Vec::with_capacity(all.len() * 16);
        for fingerprint in &all {
            bytes.extend_from_slice(&fingerprint.to_le_bytes());
        }
        let base = Base {
            file: format!("{attempt}.objects"),
            count: all.len() as u64,
            checksum: format!("{:032x}", xxh3_128(&bytes)),
        };
        let path = self.folder.clone().join(base.file.as_str());
        // Named by the attempt, so that nobody else writes it; written again, it has a new content
        // only if the positions moved, and then no manifest refers to the old one.
        self.store
            .put(&path, bytes.into())
            .await
            .map_err(|error| LakeError::store(format!("write {path}"), error))?;
        Ok(base)
    }

    fn manifest_path(&self, epoch: i64) -> Path {
        self.folder.clone().join(format!("{epoch:020}.json"))
    }
}
