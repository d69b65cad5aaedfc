//! Which identities the committed files hold, as far as memory allows.
//!
//! Each partition has a set of the identities in those of its files that were loaded, and the list of
//! those files. Invariant: a file that is listed as loaded has all its identities in the set; a file
//! that is not has to be read before a commit. So forgetting is always safe, and memory is bounded by
//! the budget: sets are dropped, least recently used first, and what does not fit is not loaded.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use object_store::path::Path;

/// Partition of a table: `event_date` in days, or None in tables without partitions.
pub(crate) type PartitionKey = Option<i32>;

/// A set of identities. They are hashes already, so they are not hashed again.
pub(crate) type IdSet = HashSet<u128, BuildHasherDefault<IdHasher>>;

/// Takes the low half of an identity as its hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = id as u64;
    }
}

/// Identities of committed rows.
#[derive(Debug)]
pub(crate) struct KnownIds {
    budget: usize,
    /// Counts uses; the least recently used partition has the lowest.
    clock: u64,
    /// Uses before this one belong to earlier commits: their sets may be dropped.
    current_since: u64,
    partitions: HashMap<PartitionKey, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    ids: IdSet,
    loaded: HashSet<Path>,
    last_use: u64,
}

impl KnownIds {
    /// Knows nothing yet; will take up to `budget` bytes (and half as much again for a moment, while a
    /// set grows).
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, clock: 0, current_since: 0, partitions: HashMap::new() }
    }

    pub(crate) fn has_loaded(&self, key: PartitionKey, file: &Path) -> bool {
        self.partitions.get(&key).is_some_and(|partition| partition.loaded.contains(file))
    }

    /// The identities known of a partition, for many look-ups.
    pub(crate) fn ids(&self, key: PartitionKey) -> Option<&IdSet> {
        self.partitions.get(&key).map(|partition| &partition.ids).filter(|ids| !ids.is_empty())
    }

    /// Notes that a partition is in use, so that it is not dropped before the next commit.
    pub(crate) fn touch(&mut self, key: PartitionKey) {
        self.clock += 1;
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.last_use = self.clock;
        }
    }

    /// Ends the use of all partitions: from now on any may be dropped.
    pub(crate) fn commit_done(&mut self) {
        self.clock += 1;
        self.current_since = self.clock;
    }

    /// Makes room for `more` identities in a partition, dropping partitions that are not in use.
    /// Returns whether there is room; if not, nothing may be added.
    pub(crate) fn make_room(&mut self, key: PartitionKey, more: usize) -> bool {
        let own = self.partitions.get(&key).map_or(0, |partition| partition.ids.len());
        let needed = set_bytes(own.saturating_add(more));
        if needed > self.budget {
            return false;
        }
        while self.memory_of_others(key) + needed > self.budget {
            let oldest = self
                .partitions
                .iter()
                .filter(|(other, partition)| {
                    **other != key && partition.last_use < self.current_since
                })
                .min_by_key(|(_, partition)| partition.last_use)
                .map(|(other, _)| *other);
            let Some(oldest) = oldest else { return false };
            self.partitions.remove(&oldest);
        }
        true
    }

    /// Adds all identities of some files. Room for them has to be made first.
    pub(crate) fn add(
        &mut self,
        key: PartitionKey,
        files: impl IntoIterator<Item = Path>,
        ids: IdSet,
    ) {
        self.clock += 1;
        let partition = self.partitions.entry(key).or_default();
        partition.last_use = self.clock;
        partition.loaded.extend(files);
        if partition.ids.is_empty() {
            partition.ids = ids;
        } else {
            partition.ids.extend(ids);
        }
    }

    fn memory_of_others(&self, key: PartitionKey) -> usize {
        self.partitions
            .iter()
            .filter(|(other, _)| **other != key)
            .map(|(_, partition)| set_bytes(partition.ids.capacity()))
            .sum()
    }
}

/// Memory of a hash set of so many identities: a power of two of slots, at most 7/8 of them in use,
/// 16 bytes and one control byte each.
fn set_bytes(len: usize) -> usize {
    if len == 0 {
        return 0;
    }
    len.saturating_mul(8).div_ceil(7).next_power_of_two().saturating_mul(17)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u128>) -> IdSet {
        range.map(|id| id.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).collect()
    }

    #[test]
    fn the_least_recently_used_partition_makes_room_and_its_files_count_as_unread() {
        let mut known = KnownIds::new(set_bytes(1000) * 2);
        for day in 0..2 {
            assert!(known.make_room(Some(day), 1000));
            known.add(Some(day), [Path::from(format!("{day}"))], ids(0..1000));
        }
        known.commit_done();
        known.touch(Some(0));
        assert!(known.make_room(Some(2), 1000));
        assert!(known.has_loaded(Some(0), &Path::from("0")));
        assert!(!known.has_loaded(Some(1), &Path::from("1")));
        assert!(known.ids(Some(1)).is_none());
    }

    #[test]
    fn what_is_in_use_is_not_dropped_and_what_does_not_fit_is_refused() {
        let mut known = KnownIds::new(set_bytes(1000));
        assert!(known.make_room(Some(0), 1000));
        known.add(Some(0), [Path::from("0")], ids(0..1000));
        assert!(!known.make_room(Some(1), 1000));
        assert!(!known.make_room(Some(0), 100_000));
        assert!(known.has_loaded(Some(0), &Path::from("0")));
    }
}
