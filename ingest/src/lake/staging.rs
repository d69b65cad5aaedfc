//! Rows on their way into one table: kept out if known, encoded, uploaded; visible to nobody yet.
//!
//! Invariant: no two staged rows have the same identity, and no staged row has the identity of a row
//! in a file that was compared so far. Which files remain to be compared is worked out at the commit
//! (`commit.rs`). What is staged is bounded, see [`WriteSettings`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use hearback_schemas::{Frequency, Table, UNDATED_EVENT_DATE};
use object_store::path::Path;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::encode::FileEncoder;
use super::error::LakeError;
use super::known_ids::{IdSet, KnownIds, PartitionKey};
use super::log::{Add, TableLog};
use super::read_ids::{Visited, visit_ids};
use super::settings::WriteSettings;
use super::slices::{Pending, Slice};
use super::snapshot::{DataFile, TableSnapshot};
use super::unfinished::{Encoding, UnfinishedFile};

/// Copies of one event agree on its time to the second, if not closer (formats differ in precision).
/// Files whose times are further away than this cannot hold a copy.
const TIME_TOLERANCE_US: i64 = 60 * 60 * 1_000_000;
/// A partition with fewer rows may become a file of its own before the commit.
pub(super) const SMALL_FILE_ROWS: usize = 8192;
/// A partition whose rows are at least this part of what may wait is worth a file that is begun before the
/// commit.
const LARGE_PART: usize = 64;
/// Rows of rare types that wait for the ends of their files may take this part of what may wait.
const FEW_RARE: usize = 8;

/// A data file that was uploaded and is in no commit yet.
#[derive(Clone, Debug)]
pub(crate) struct StagedFile {
    pub(crate) add: Add,
    pub(crate) path: Path,
    pub(crate) rows: u64,
}

/// What became of a staged file that rows were to be taken out of.
pub(crate) enum Rewritten {
    /// None of the rows was in it.
    Unchanged,
    /// The file that stands in its place.
    Without(StagedFile),
    /// No rows remain.
    Empty,
}

/// Rows of one partition.
#[derive(Default)]
pub(crate) struct StagedPartition {
    /// Identities of all rows staged.
    pub(crate) ids: IdSet,
    /// Earliest and latest time of the rows, in microseconds.
    pub(crate) times: Option<(i64, i64)>,
    /// Rows that wait to be encoded.
    common: Pending,
    /// Rows of rare types: they wait until the file ends, so that they stand together in it.
    rare: Pending,
    /// Rows that are encoded.
    pub(super) encoder: Option<FileEncoder>,
    /// Files that are complete.
    pub(crate) files: Vec<StagedFile>,
    /// Committed files that were relevant and did not fit into memory.
    deferred: HashSet<Path>,
}

/// Which of the rows that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    All,
    /// Those of common types.
    Common,
}

/// Rows to stage: of one partition, with their identities in the order of the batch.
pub(crate) struct Rows<'a> {
    pub(crate) partition: PartitionKey,
    pub(crate) frequency: Frequency,
    pub(crate) ids: &'a [u128],
    /// Earliest and latest time, in microseconds; everything if the table is not searched by time.
    pub(crate) times: (i64, i64),
    pub(crate) slice: Slice,
}

/// Everything staged for one table since its last commit.
pub(crate) struct Staging {
    pub(crate) log: TableLog,
    /// The table as of the last commit; what was staged is compared with its files.
    pub(crate) snapshot: TableSnapshot,
    pub(crate) partitions: BTreeMap<PartitionKey, StagedPartition>,
    pub(crate) known: KnownIds,
    pub(crate) settings: WriteSettings,
    pub(crate) duplicates: u64,
    pub(crate) names: Names,
    /// Column of the identities.
    pub(crate) id_column: &'static str,
    /// Column by whose statistics files are passed over.
    time_column: Option<&'static str>,
    pub(super) schema: SchemaRef,
    by_partition: HashMap<PartitionKey, Vec<Arc<DataFile>>>,
    pending_bytes: usize,
    /// So many bytes may wait before it is looked again which rows to encode.
    look_again_at: usize,
    /// Rows that are being encoded.
    pub(super) encoding: Option<Encoding>,
}

/// Names that nobody else gives: made of the run's own identity and a count.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    run: Uuid,
    next: u64,
}

impl Names {
    pub(crate) fn new(run: Uuid, table: &Table) -> Self {
        let seed = xxh3_128(format!("{run}/{}", table.name).as_bytes());
        Self { run: Uuid::from_u128(seed), next: 0 }
    }

    pub(crate) fn next(&mut self) -> Uuid {
        self.next += 1;
        let mut seed = [0; 24];
        seed[..16].copy_from_slice(self.run.as_bytes());
        seed[16..].copy_from_slice(&self.next.to_le_bytes());
        uuid::Builder::from_random_bytes(xxh3_128(&seed).to_le_bytes()).into_uuid()
    }
}

/// The column by whose statistics files are passed over, where copies agree on it. Garbage may come
/// again at any time, so `rejects` has none.
fn time_column(table: &Table) -> Option<&'static str> {
    let names = ["event_time", "changed_time"];
    table.columns.iter().map(|column| column.name).find(|name| names.contains(name))
}

impl StagedPartition {
    /// Whether a committed file was left to the commit when rows were staged.
    pub(crate) fn has_deferred(&self, file: &Path) -> bool {
        self.deferred.contains(file)
    }

    /// Whether its rows are few and none of them is encoded.
    fn is_small(&self) -> bool {
        self.encoder.is_none() && self.common.rows() + self.rare.rows() < SMALL_FILE_ROWS
    }

    fn bytes_of(&self, parts: Parts) -> usize {
        match parts {
            Parts::All => self.common.bytes() + self.rare.bytes(),
            Parts::Common => self.common.bytes(),
        }
    }
}

impl Staging {
    pub(crate) fn new(
        log: TableLog,
        snapshot: TableSnapshot,
        settings: WriteSettings,
        dedupe_memory: usize,
        run: Uuid,
    ) -> Self {
        let table = log.table;
        let mut staging = Self {
            names: Names::new(run, table),
            schema: table.file_schema(),
            log,
            snapshot,
            partitions: BTreeMap::new(),
            known: KnownIds::new(dedupe_memory),
            look_again_at: waiting_bytes(&settings),
            encoding: None,
            settings,
            duplicates: 0,
            id_column: table.columns[0].name,
            time_column: time_column(table),
            by_partition: HashMap::new(),
            pending_bytes: 0,
        };
        staging.index_files();
        staging
    }

    /// Takes a newer snapshot as the one to compare with.
    pub(crate) fn set_snapshot(&mut self, snapshot: TableSnapshot) {
        self.snapshot = snapshot;
        self.index_files();
    }

    fn index_files(&mut self) {
        self.by_partition.clear();
        for file in &self.snapshot.files {
            self.by_partition.entry(file.partition).or_default().push(Arc::clone(file));
        }
    }

    /// Rows staged since the last commit.
    pub(crate) fn rows(&self) -> u64 {
        self.partitions.values().map(|partition| partition.ids.len() as u64).sum()
    }

    /// Memory and uploaded bytes of what is staged: an estimate of the size of the commit.
    pub(crate) fn bytes(&self) -> u64 {
        let files: u64 = self
            .partitions
            .values()
            .flat_map(|partition| &partition.files)
            .map(|file| file.add.size)
            .sum();
        files + (self.pending_bytes + self.open_bytes()) as u64
    }

    /// Stages rows; those whose identity is staged or known already are counted and left out.
    pub(crate) async fn stage(&mut self, rows: Rows<'_>) -> Result<(), LakeError> {
        self.compare_with_committed(&rows).await?;
        let fresh = self.claim_ids(&rows);
        let count = fresh
            .as_ref()
            .map_or(rows.ids.len(), |fresh| fresh.iter().filter(|fresh| **fresh).count());
        self.duplicates += (rows.ids.len() - count) as u64;
        if count == 0 {
            return Ok(());
        }
        let slices = match fresh {
            Some(fresh) => rows.slice.keep(fresh)?,
            None => vec![rows.slice],
        };
        let partition = self.partitions.entry(rows.partition).or_default();
        let pending = match rows.frequency {
            Frequency::Common => &mut partition.common,
            Frequency::Rare => &mut partition.rare,
        };
        for slice in slices {
            self.pending_bytes += slice.bytes();
            pending.push(slice);
        }
        self.keep_bounds().await
    }

    /// Loads the identities of the committed files that may hold copies of the rows. A file that does
    /// not fit, or that was left aside once, is left to the commit: rows staged before it was loaded
    /// would not have been compared with it.
    async fn compare_with_committed(&mut self, rows: &Rows<'_>) -> Result<(), LakeError> {
        for key in compared_partitions(rows.partition) {
            self.known.touch(key);
            let Some(files) = self.by_partition.get(&key) else { continue };
            let mut wanted = Vec::new();
            for file in files {
                if self.known.has_loaded(key, &file.path) || !self.may_hold(file, rows.times) {
                    continue;
                }
                let deferred = self
                    .partitions
                    .get(&rows.partition)
                    .is_some_and(|partition| partition.deferred.contains(&file.path));
                if !deferred {
                    wanted.push(Arc::clone(file));
                }
            }
            for file in wanted {
                let count = file.rows.and_then(|rows| usize::try_from(rows).ok());
                // A file that does not say how many rows it has is taken for a large one.
                let fits = count.is_some_and(|count| self.known.make_room(key, count));
                if !fits {
                    let partition = self.partitions.entry(rows.partition).or_default();
                    partition.deferred.insert(file.path.clone());
                    continue;
                }
                let mut ids = IdSet::default();
                ids.reserve(count.unwrap_or_default());
                let visited = visit_ids(&self.snapshot.store, &file, self.id_column, |id| {
                    ids.insert(id);
                });
                if visited.await? == Visited::Gone {
                    // Another engine has moved or deleted its rows; the commit looks at the newest.
                    let partition = self.partitions.entry(rows.partition).or_default();
                    partition.deferred.insert(file.path.clone());
                    continue;
                }
                self.known.add(key, [file.path.clone()], ids);
            }
        }
        Ok(())
    }

    pub(crate) fn may_hold(&self, file: &DataFile, times: (i64, i64)) -> bool {
        let Some(column) = self.time_column else { return true };
        let from = times.0.saturating_sub(TIME_TOLERANCE_US);
        let to = times.1.saturating_add(TIME_TOLERANCE_US);
        file.stats.may_overlap(column, from, to)
    }

    /// Marks the rows' identities as staged. Returns which rows are new, or None if all are.
    fn claim_ids(&mut self, rows: &Rows<'_>) -> Option<Vec<bool>> {
        let known: Vec<&IdSet> = compared_partitions(rows.partition)
            .into_iter()
            .filter_map(|key| self.known.ids(key))
            .collect();
        // Staged rows of the undated partition are looked at too, for rows of any other.
        let undated = Some(UNDATED_EVENT_DATE);
        let mut staged = self.partitions.remove(&rows.partition).unwrap_or_default();
        let staged_undated = self.partitions.get(&undated).map(|partition| &partition.ids);
        let staged_undated =
            staged_undated.filter(|ids| rows.partition.is_some() && !ids.is_empty());
        staged.ids.reserve(rows.ids.len());
        let mut fresh: Option<Vec<bool>> = None;
        for (row, id) in rows.ids.iter().enumerate() {
            let is_known = known.iter().any(|ids| ids.contains(id))
                || staged_undated.is_some_and(|ids| ids.contains(id));
            if is_known || !staged.ids.insert(*id) {
                fresh.get_or_insert_with(|| vec![true; rows.ids.len()])[row] = false;
            }
        }
        let times = staged.times.get_or_insert(rows.times);
        *times = (times.0.min(rows.times.0), times.1.max(rows.times.1));
        self.partitions.insert(rows.partition, staged);
        fresh
    }

    /// Encodes the largest partitions when too many rows wait, and ends the largest files when too
    /// much is open. Where there are many partitions, none of them large, a file begun for each would
    /// take more memory than its rows: they wait on in what memory files may take, and when that is used
    /// up as well, each becomes a file of its own. Rows of rare types wait for the end of their file as long
    /// as they are few.
    async fn keep_bounds(&mut self) -> Result<(), LakeError> {
        let WriteSettings { staged_bytes, open_bytes, .. } = self.settings;
        if self.pending_bytes <= self.look_again_at {
            return Ok(());
        }
        self.end_encoding().await?;
        if self.open_bytes() > open_bytes {
            self.close_largest().await?;
        }
        let waiting_bytes = waiting_bytes(&self.settings);
        let rare: usize = self.partitions.values().map(|partition| partition.rare.bytes()).sum();
        let parts = if rare <= staged_bytes / FEW_RARE { Parts::Common } else { Parts::All };
        let mut sizes: Vec<(usize, PartitionKey)> = self
            .partitions
            .iter()
            .map(|(key, partition)| (partition.bytes_of(parts), *key, partition))
            .filter(|(bytes, _, partition)| {
                partition.encoder.is_some() || *bytes >= staged_bytes / LARGE_PART
            })
            .map(|(bytes, key, _)| (bytes, key))
            .collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = self.pending_bytes;
        let mut chosen = Vec::new();
        for (bytes, key) in sizes {
            if left <= waiting_bytes / 4 {
                break;
            }
            left -= bytes;
            chosen.push(key);
        }
        self.begin_encoding(&chosen, parts);
        if self.pending_bytes + self.open_bytes() > waiting_bytes + open_bytes {
            // What is away comes back, and then what waits is for the same file.
            let is_small = |(key, partition): &(&PartitionKey, &StagedPartition)| {
                partition.is_small() && !chosen.contains(*key)
            };
            let small = self.partitions.iter().filter(is_small).map(|(key, _)| *key).collect();
            self.write_files(small).await?;
        }
        self.look_again_at = waiting_bytes.max(self.pending_bytes + staged_bytes / LARGE_PART);
        Ok(())
    }

    /// Memory of files that are open or away.
    fn open_bytes(&self) -> usize {
        let open = self.partitions.values().filter_map(|partition| partition.encoder.as_ref());
        let away = self.encoding.as_ref().map_or(0, |encoding| encoding.bytes);
        open.map(FileEncoder::memory).sum::<usize>() + away
    }

    async fn close_largest(&mut self) -> Result<(), LakeError> {
        let mut sizes: Vec<(usize, PartitionKey)> = self
            .partitions
            .iter()
            .filter_map(|(key, partition)| Some((partition.encoder.as_ref()?.memory(), *key)))
            .collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut open: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
        let mut chosen = Vec::new();
        for (bytes, key) in sizes {
            if open <= self.settings.open_bytes / 2 {
                break;
            }
            open -= bytes;
            chosen.push(key);
        }
        self.write_files(chosen).await
    }

    /// Encodes and uploads everything that is staged.
    pub(crate) async fn finish_files(&mut self) -> Result<(), LakeError> {
        self.end_encoding().await?;
        self.write_files(self.partitions.keys().copied().collect()).await
    }

    /// Takes what is staged of a partition and not in a complete file yet, if there is any.
    pub(super) fn take_unfinished(
        &mut self,
        key: PartitionKey,
        parts: Parts,
    ) -> Option<UnfinishedFile> {
        let partition = self.partitions.get_mut(&key)?;
        let common = std::mem::take(&mut partition.common);
        let rare = match parts {
            Parts::All => std::mem::take(&mut partition.rare),
            Parts::Common => Pending::default(),
        };
        self.pending_bytes -= common.bytes() + rare.bytes();
        if partition.encoder.is_none() && common.rows() + rare.rows() == 0 {
            return None;
        }
        Some(UnfinishedFile { key, encoder: partition.encoder.take(), common, rare })
    }

    /// Takes over what was committed: its identities are known now, and nothing is staged.
    pub(crate) fn committed(&mut self) {
        self.known.commit_done();
        for (key, partition) in std::mem::take(&mut self.partitions) {
            if partition.ids.is_empty() || !self.known.make_room(key, partition.ids.len()) {
                continue;
            }
            let files = partition.files.into_iter().map(|file| file.path);
            self.known.add(key, files, partition.ids);
        }
        self.known.commit_done();
        self.duplicates = 0;
        self.pending_bytes = 0;
        self.look_again_at = waiting_bytes(&self.settings);
    }
}

/// Memory of rows that may wait to be encoded: half of what is staged, for the other half is being
/// encoded meanwhile, or is held twice while it is brought together.
pub(super) fn waiting_bytes(settings: &WriteSettings) -> usize {
    settings.staged_bytes / 2
}

/// The partitions in which a copy of a row can stand: its own, and the undated one. What cannot have
/// happened yet when it is read first may well have happened when it is read again.
pub(crate) fn compared_partitions(partition: PartitionKey) -> Vec<PartitionKey> {
    let undated = Some(UNDATED_EVENT_DATE);
    if partition.is_none() || partition == undated {
        vec![partition]
    } else {
        vec![partition, undated]
    }
}
