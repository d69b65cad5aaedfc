//! Positions in a stream of objects: the set of those that were read to their end.
//!
//! An object is remembered by a fingerprint of 16 bytes. The manifest repeats the fingerprints since
//! the last base; then all of them are written into a new base, a file beside the manifests.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::manifest::{FINGERPRINTS, Manifest, Manifests, Recorded};
use crate::aws::StoreLocation;
use crate::lake::error::LakeError;
use crate::lake::known_ids::{IdHasher, IdSet};

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

/// A file of fingerprints, 16 bytes each, little-endian.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Base {
    file: String,
    count: u64,
    checksum: String,
}

/// The positions of one stream of objects, as of one epoch.
#[derive(Debug)]
pub(crate) struct ObjectPositions {
    manifests: Manifests,
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
        let mut positions = Self {
            manifests: Manifests::new(place, stream),
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
        let Recorded::Objects { base, since } = self.manifests.read(epoch).await?.positions else {
            return Err(self
                .manifests
                .damaged(epoch, "it is the manifest of another kind of stream"));
        };
        if let Some(base) = &base {
            self.read_base(base).await?;
        }
        for hex in since {
            let fingerprint = u128::from_str_radix(&hex, 16)
                .map_err(|error| self.manifests.damaged(epoch, error))?;
            self.read.insert(fingerprint);
            self.since_base.push(fingerprint);
        }
        self.base = base;
        Ok(())
    }

    async fn read_base(&mut self, base: &Base) -> Result<(), LakeError> {
        let path = self.manifests.path(&base.file);
        let bytes = self.manifests.read_object(&path).await?;
        let (fingerprints, rest) = bytes.as_chunks::<16>();
        let whole = rest.is_empty() && fingerprints.len() as u64 == base.count;
        if !whole || format!("{:032x}", xxh3_128(&bytes)) != base.checksum {
            return Err(LakeError::damaged(&path, "its checksum does not match"));
        }
        self.read.reserve(fingerprints.len());
        self.read.extend(fingerprints.iter().map(|bytes| u128::from_le_bytes(*bytes)));
        Ok(())
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
        let since = since.iter().map(|fingerprint| format!("{fingerprint:032x}")).collect();
        let manifest = Manifest {
            epoch: self.epoch.map_or(1, |epoch| epoch + 1),
            parent: self.epoch,
            attempt: attempt.to_owned(),
            positions: Recorded::Objects { base, since },
        };
        let epoch = self.manifests.create(manifest).await?;
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
        let before = self.epoch;
        self.take_over(epoch, objects).await?;
        let base = self.base.as_ref().map(|base| base.file.as_str());
        self.manifests.retire(before, epoch, base).await;
        Ok(())
    }

    async fn take_over(&mut self, epoch: i64, objects: &[ObjectId]) -> Result<(), LakeError> {
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
            file: format!("{attempt}{FINGERPRINTS}"),
            count: all.len() as u64,
            checksum: format!("{:032x}", xxh3_128(&bytes)),
        };
        // Named by the attempt, so that nobody else writes it; written again, it has a new content
        // only if the positions moved, and then no manifest refers to the old one.
        self.manifests.write_object(&base.file, bytes).await?;
        Ok(base)
    }
}
