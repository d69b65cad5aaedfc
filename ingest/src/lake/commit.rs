//! The commit protocol: staged rows become visible, once, together with the position they bring.
//!
//! 1. Everything staged is encoded and uploaded. Nobody sees it.
//! 2. The table is read anew. Files that were not compared when the rows were staged (other writers
//!    committed them, or they did not fit into memory) are compared now; a staged file that holds a
//!    copy of a committed row is written anew without it.
//! 3. The next epoch of the stream is claimed on top of the one that this version records.
//! 4. The version after the one that was read is created, if it is not there yet.
//! 5. If another writer created it first, all of 2 to 4 is done again on the newer version. Whether
//!    an error hid a success is seen from the log (`log.rs`), at once and again before the next try,
//!    because a request may be carried out late.
//!
//! Invariants: rows and position are in one version or in none; no identity is committed that is in
//! any file of the version before. Compaction and deletion by others change which files there are,
//! never whether this holds, because what is compared is files, not what others said they did.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::json;

use super::error::LakeError;
use super::known_ids::{IdSet, PartitionKey};
use super::log::{Add, Claim, Entry, Version};
use super::positions::{LostRace, PositionDelta, Positions};
use super::read_ids::{Visited, visit_ids};
use super::snapshot::DataFile;
use super::staging::{Rewritten, StagedFile, Staging, compared_partitions};

/// Other writers may be faster this many times in a row.
const LOST_RACES: u32 = 100;
/// The store may fail this many times in a row, with growing pauses between: about 6 s in all.
const FAILURES: u32 = 6;
/// What is said of a file that the newest version names and that is not there.
const MISSING_FILE: &str = "the table names it, but it is gone (a VACUUM with too short a retention?); put it back, or take it out of the table with FSCK REPAIR TABLE (DeltaTable.repair() in Python)";
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Committed files that are compared at once.
const COMPARISONS: usize = 4;
/// Staged files that are looked at at once.
const LOOKS: usize = 16;

/// What is moved on in the same version as the rows.
pub(crate) enum Advance<'a> {
    /// The position of what is being read.
    Stream { stream: &'a str, positions: &'a mut Positions, delta: &'a PositionDelta },
    /// A counter that whoever moved it last may move again, and nobody else.
    Fence(&'a mut Fence),
}

/// A counter by which one of several writers holds something.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    /// Name of the Delta `txn` that counts.
    pub(crate) name: String,
    /// The count as this writer knows it; None if it has never been moved.
    pub(crate) held: Option<i64>,
}

impl Advance<'_> {
    /// Name of the Delta `txn` that records it.
    fn application(&self) -> &str {
        match self {
            Self::Stream { stream, .. } => stream,
            Self::Fence(fence) => &fence.name,
        }
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableCommit {
    pub(crate) rows: u64,
    pub(crate) duplicates: u64,
    /// None if there was nothing to commit.
    pub(crate) version: Option<u64>,
}

/// A version whose creation failed. It may come to be all the same: a store can carry out a request
/// long after it has told, or not told, its sender.
struct Tried {
    version: u64,
    transaction: Option<(String, i64)>,
}

impl Staging {
    /// Commits what is staged, and the position with it.
    pub(crate) async fn commit(
        &mut self,
        now_us: i64,
        mut advance: Option<Advance<'_>>,
    ) -> Result<TableCommit, LakeError> {
        self.finish_files().await?;
        let attempt = self.names.next().to_string();
        if self.rows() == 0 && advance.is_none() {
            let duplicates = self.duplicates;
            self.committed();
            return Ok(TableCommit { duplicates, ..Default::default() });
        }
        let applications: Vec<String> =
            advance.iter().map(|advance| advance.application().to_owned()).collect();
        let applications: Vec<&str> = applications.iter().map(String::as_str).collect();
        let mut compared = HashSet::new();
        let mut lost = 0;
        let mut failures = 0;
        let mut tried: Option<Tried> = None;
        let mut missing: Option<(u64, Path)> = None;
        loop {
            let current = self.log.refresh_with(&self.snapshot, &applications).await?;
            let Some(current_version) = current.version else {
                let table_id = self.names.next().to_string();
                self.log.create_table(&table_id, now_us).await?;
                self.set_snapshot(self.log.load(&applications).await?);
                continue;
            };
            if let Some(tried) = tried.take_if(|tried| tried.version <= current_version)
                && self.is_ours(tried.version, &attempt).await?
            {
                // It took effect after it had failed and had not been there when it was looked for.
                self.set_snapshot(current);
                return Ok(self.settle(tried.version, tried.transaction, advance).await);
            }
            current.check_writable()?;
            self.set_snapshot(current);
            if let Some((_, path)) = missing.take_if(|(version, _)| *version == current_version) {
                return Err(LakeError::damaged(path, MISSING_FILE));
            }
            if let Some(path) = self.drop_copies(&mut compared).await? {
                // Another engine has moved or deleted its rows since, or the table is damaged.
                missing = Some((current_version, path));
                continue;
            }

            let adds = self.adds(now_us);
            if adds.is_empty() && advance.is_none() {
                break;
            }
            let mut transaction = None;
            if let Some(advance) = &mut advance {
                let epoch = self.claim_epoch(advance, &attempt).await?;
                transaction = Some((advance.application(), epoch));
            }
            let rows: u64 = self.staged_files().map(|file| file.rows).sum();
            let note = match transaction {
                Some((stream, epoch)) => json!({"stream": stream, "epoch": epoch, "rows": rows}),
                None => json!({"rows": rows}),
            };
            self.look_for_staged().await?;
            let entry = Entry { attempt: &attempt, now_us, adds: &adds, transaction, note };
            let version = current_version + 1;
            match self.log.commit(version, &entry).await? {
                Claim::Landed => {
                    let transaction = transaction.map(|(stream, epoch)| (stream.to_owned(), epoch));
                    return self.landed(version, adds, transaction, advance).await;
                }
                Claim::Taken => {
                    lost += 1;
                    if lost >= LOST_RACES {
                        let table = self.log.table.name;
                        return Err(LakeError::Contended { table, attempts: lost });
                    }
                }
                Claim::Failed(error) => {
                    failures += 1;
                    if failures >= FAILURES {
                        let action = format!("commit to {}", self.log.table.name);
                        return Err(LakeError::store(action, error));
                    }
                    let transaction = transaction.map(|(stream, epoch)| (stream.to_owned(), epoch));
                    tried = Some(Tried { version, transaction });
                    tokio::time::sleep(FIRST_PAUSE * (1 << (failures - 1))).await;
                }
            }
        }
        let duplicates = self.duplicates;
        self.committed();
        Ok(TableCommit { duplicates, ..Default::default() })
    }

    async fn claim_epoch(
        &self,
        advance: &mut Advance<'_>,
        attempt: &str,
    ) -> Result<i64, LakeError> {
        let recorded = self.snapshot.transaction(advance.application());
        let fenced = |name: &str| LakeError::Fenced {
            stream: name.to_owned(),
            by: recorded.unwrap_or_default(),
        };
        match advance {
            Advance::Fence(fence) if recorded != fence.held => Err(fenced(&fence.name)),
            Advance::Fence(_) => Ok(recorded.map_or(1, |epoch| epoch + 1)),
            Advance::Stream { stream, positions, delta } => {
                if recorded != positions.epoch() && delta.lost_race() == LostRace::Fence {
                    return Err(fenced(stream));
                }
                positions.move_to(recorded).await?;
                positions.claim(delta, attempt).await
            }
        }
    }

    /// Takes the commit over into what is known, without reading it back.
    async fn landed(
        &mut self,
        version: u64,
        adds: Vec<Add>,
        transaction: Option<(String, i64)>,
        advance: Option<Advance<'_>>,
    ) -> Result<TableCommit, LakeError> {
        let entry = Version {
            adds,
            transactions: transaction.iter().cloned().collect(),
            ..Default::default()
        };
        let mut snapshot = self.snapshot.clone();
        self.log.apply(&mut snapshot, &entry)?;
        snapshot.version = Some(version);
        self.set_snapshot(snapshot);
        Ok(self.settle(version, transaction, advance).await)
    }

    /// Whether this attempt wrote a version.
    async fn is_ours(&self, version: u64, attempt: &str) -> Result<bool, LakeError> {
        let written = self.log.read(version).await?;
        Ok(written.is_some_and(|written| written.attempt.as_deref() == Some(attempt)))
    }

    /// Takes over that what is staged is committed; the snapshot has it.
    async fn settle(
        &mut self,
        version: u64,
        transaction: Option<(String, i64)>,
        advance: Option<Advance<'_>>,
    ) -> TableCommit {
        let rows = self.staged_files().map(|file| file.rows).sum();
        let duplicates = self.duplicates;
        self.committed();
        match (advance, transaction) {
            (Some(Advance::Fence(fence)), Some((_, epoch))) => fence.held = Some(epoch),
            (Some(Advance::Stream { positions, delta, .. }), Some((_, epoch))) => {
                // The commit stands whatever happens now; positions that cannot be read back are
                // read again at the next commit, because their epoch will not match.
                if let Err(error) = positions.committed(epoch, delta).await {
                    tracing::warn!(%error, "positions could not be read back after a commit");
                }
            }
            _ => {}
        }
        self.write_checkpoint(version).await;
        TableCommit { rows, duplicates, version: Some(version) }
    }

    /// Every so many versions, sums up the log, so that it can be read quickly. A failure costs time
    /// at the next start and nothing else.
    async fn write_checkpoint(&self, version: u64) {
        let every = self.settings.checkpoint_every;
        if every == 0 || version == 0 || !version.is_multiple_of(every) {
            return;
        }
        let result = async {
            let mut table = deltalake_core::DeltaTable::new(self.log.delta_log_store());
            table.load_version(version).await?;
            deltalake_core::checkpoints::create_checkpoint(&table, None).await
        };
        if let Err(error) = result.await {
            tracing::warn!(table = self.log.table.name, version, %error, "no checkpoint was written");
        }
    }

    fn staged_files(&self) -> impl Iterator<Item = &StagedFile> {
        self.partitions.values().flat_map(|partition| &partition.files)
    }

    fn adds(&self, now_us: i64) -> Vec<Add> {
        let now_ms = now_us.div_euclid(1000);
        self.staged_files()
            .map(|file| Add { modification_time: now_ms, ..file.add.clone() })
            .collect()
    }

    /// Looks whether everything that is staged is still there. No version names it yet, so that a
    /// VACUUM of another engine takes it if it is told to take files that are a minute old.
    async fn look_for_staged(&self) -> Result<(), LakeError> {
        let mut looks = Vec::new();
        for file in self.staged_files() {
            looks.push(async move {
                match self.log.store.head(&file.path).await {
                    Ok(_) => Ok(()),
                    Err(object_store::Error::NotFound { .. }) => Err(LakeError::Unavailable {
                        action: format!("commit to {}", self.log.table.name),
                        reason: format!(
                            "{} was deleted before it was committed (a VACUUM with a retention of less than an hour?); what it held is to be read again",
                            file.path
                        ),
                        source: None,
                    }),
                    Err(error) => {
                        Err(LakeError::store(format!("look at {}", file.path), error))
                    }
                }
            });
        }
        stream::iter(looks).buffer_unordered(LOOKS).try_collect::<()>().await
    }

    /// Compares the staged rows with the files of the current snapshot that they have not been
    /// compared with, and drops the copies. Returns a file that is not there any more, if there is one;
    /// then nothing was dropped.
    async fn drop_copies(
        &mut self,
        compared: &mut HashSet<Path>,
    ) -> Result<Option<Path>, LakeError> {
        let open = self.files_to_compare(compared);
        if open.is_empty() {
            return Ok(None);
        }
        let mut comparisons = Vec::with_capacity(open.len());
        for (file, partitions) in &open {
            comparisons.push(self.copies_in(file, partitions));
        }
        let found: Vec<Result<Vec<(PartitionKey, u128)>, Path>> =
            stream::iter(comparisons).buffer_unordered(COMPARISONS).try_collect().await?;
        let mut copies = Vec::with_capacity(found.len());
        for found in found {
            match found {
                Ok(found) => copies.push(found),
                Err(gone) => return Ok(Some(gone)),
            }
        }
        compared.extend(open.iter().map(|(file, _)| file.path.clone()));

        let mut gone: BTreeMap<PartitionKey, IdSet> = BTreeMap::new();
        for (key, id) in copies.into_iter().flatten() {
            gone.entry(key).or_default().insert(id);
        }
        for (key, ids) in gone {
            self.drop_rows(key, &ids).await?;
        }
        Ok(None)
    }

    /// The staged identities of some partitions that are in a committed file; its path if it is gone.
    async fn copies_in(
        &self,
        file: &DataFile,
        partitions: &[PartitionKey],
    ) -> Result<Result<Vec<(PartitionKey, u128)>, Path>, LakeError> {
        let mut found = Vec::new();
        let visited = visit_ids(&self.snapshot.store, file, self.id_column, |id| {
            for key in partitions {
                let staged = self.partitions.get(key);
                if staged.is_some_and(|staged| staged.ids.contains(&id)) {
                    found.push((*key, id));
                }
            }
        });
        match visited.await? {
            Visited::All => Ok(Ok(found)),
            Visited::Gone => Ok(Err(file.path.clone())),
        }
    }

    fn files_to_compare(
        &self,
        compared: &HashSet<Path>,
    ) -> Vec<(Arc<DataFile>, Vec<PartitionKey>)> {
        let mut candidates: HashMap<PartitionKey, Vec<PartitionKey>> = HashMap::new();
        for (key, partition) in &self.partitions {
            if !partition.ids.is_empty() {
                for other in compared_partitions(*key) {
                    candidates.entry(other).or_default().push(*key);
                }
            }
        }
        let mut open = Vec::new();
        for file in &self.snapshot.files {
            let Some(keys) = candidates.get(&file.partition) else { continue };
            if compared.contains(&file.path) {
                continue;
            }
            let keys: Vec<PartitionKey> = keys
                .iter()
                .copied()
                .filter(|key| {
                    let Some(partition) = self.partitions.get(key) else { return false };
                    let times = partition.times.unwrap_or((i64::MIN, i64::MAX));
                    let known = self.known.has_loaded(file.partition, &file.path)
                        && !partition.has_deferred(&file.path);
                    !known && self.may_hold(file, times)
                })
                .collect();
            if !keys.is_empty() {
                open.push((Arc::clone(file), keys));
            }
        }
        open
    }

    async fn drop_rows(&mut self, key: PartitionKey, gone: &IdSet) -> Result<(), LakeError> {
        let Some(partition) = self.partitions.get_mut(&key) else { return Ok(()) };
        self.duplicates += gone.len() as u64;
        partition.ids.retain(|id| !gone.contains(id));
        let files = std::mem::take(&mut partition.files);
        let mut kept = Vec::with_capacity(files.len());
        for file in files {
            match self.rewrite_without(key, &file, gone).await? {
                Rewritten::Unchanged => {
                    kept.push(file);
                    continue;
                }
                Rewritten::Without(rewritten) => kept.push(rewritten),
                Rewritten::Empty => {}
            }
            if self.snapshot.files.iter().any(|committed| committed.path == file.path) {
                continue;
            }
            // Never committed, so nobody can be reading it; if it stays, vacuum removes it.
            if let Err(error) = self.log.store.delete(&file.path).await {
                tracing::debug!(path = %file.path, %error, "an uncommitted file stays behind");
            }
        }
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.files = kept;
        }
        Ok(())
    }
}
