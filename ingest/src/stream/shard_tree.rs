//! Which shards may be read: responsible for the order of parents and children across splits and
//! merges. Pure.
//!
//! Invariant: a shard is read only when every shard it came from is ended *and that is committed*, or is
//! drained, or is gone from the stream and was never ours to read. Drained is a closed shard that has given
//! nothing for a while and does not say that it has ended, as on services that speak Kinesis's protocol; it
//! is read on beside its children, and drained anew by every session. So the records of one key keep their order, and
//! a crash never leaves a child read whose parent was not. What is found after the first listing is
//! read from its beginning, whatever reading began with: nothing can be skipped at a split.

use std::collections::{BTreeMap, HashSet};

use hearback_transform::kpl::HashRange;

use super::api::Shard;
use crate::lake::{ReadFrom, ShardPosition, ShardState, StreamState};

#[derive(Clone, Debug)]
struct Node {
    parents: Vec<String>,
    hash_range: Option<HashRange>,
    /// As committed; None if nothing is.
    committed: Option<ShardState>,
    /// Whether the stream has it, as far as was told last.
    listed: bool,
    /// Whether a listing has shown it: only then a parent that is unknown is one that is gone.
    is_settled: bool,
    is_drained: bool,
}

/// The shards of a stream, with their lineage and how far they are committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardTree {
    nodes: BTreeMap<String, Node>,
}

impl ShardTree {
    /// The tree as of a commit.
    pub(crate) fn new(state: &StreamState) -> Self {
        let mut tree = Self::default();
        for (shard, state) in &state.shards {
            tree.committed(shard, state);
        }
        tree
    }

    /// Takes in a whole listing.
    pub(crate) fn listed(&mut self, shards: &[Shard]) {
        for node in self.nodes.values_mut() {
            node.listed = false;
        }
        self.add(shards);
        for shard in shards {
            if let Some(node) = self.nodes.get_mut(&shard.id) {
                node.is_settled = true;
            }
        }
    }

    /// Takes in shards that are there, beside those that are known.
    pub(crate) fn add(&mut self, shards: &[Shard]) {
        for shard in shards {
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node {
                parents: Vec::new(),
                hash_range: None,
                committed: None,
                listed: true,
                is_settled: false,
                is_drained: false,
            });
            node.listed = true;
            node.parents.clone_from(&shard.parents);
            node.hash_range = shard.hash_range.or(node.hash_range);
        }
    }

    /// Takes over what was committed of a shard.
    pub(crate) fn committed(&mut self, shard: &str, state: &ShardState) {
        let node = self.nodes.entry(shard.to_owned()).or_insert_with(|| Node {
            parents: state.parents.clone(),
            hash_range: None,
            committed: None,
            listed: false,
            is_settled: false,
            is_drained: false,
        });
        node.committed = Some(state.clone());
    }

    /// Takes a closed shard for one that has nothing to give any more. Returns whether that is news.
    pub(crate) fn drained(&mut self, shard: &str) -> bool {
        let Some(node) = self.nodes.get_mut(shard) else { return false };
        !std::mem::replace(&mut node.is_drained, true)
    }

    /// Forgets a shard.
    pub(crate) fn forget(&mut self, shard: &str) {
        self.nodes.remove(shard);
    }

    /// The shards that may be read now, with where reading goes on.
    pub(crate) fn readable(&self) -> Vec<(String, ReadFrom)> {
        let mut readable = Vec::new();
        for (shard, node) in &self.nodes {
            let from = match node.committed.as_ref().map(|state| &state.position) {
                Some(ShardPosition::Ended) => continue,
                Some(ShardPosition::From(from)) => from.clone(),
                None => ReadFrom::TrimHorizon,
            };
            // Shards that an ended one names may be younger than the last listing, and so may be
            // another parent of theirs, which then is unknown but not gone.
            let is_done = |parent: &String| match self.nodes.get(parent) {
                Some(parent) => is_ended(parent) || parent.is_drained,
                None => node.is_settled || node.committed.is_some(),
            };
            if node.parents.iter().all(is_done) {
                readable.push((shard.clone(), from));
            }
        }
        readable
    }

    /// Shards that are not ended, readable or not.
    pub(crate) fn open_count(&self) -> usize {
        self.nodes.values().filter(|node| !is_ended(node)).count()
    }

    /// Whether a shard has ended and the shards that come after it are not known yet.
    pub(crate) fn lacks_children(&self) -> bool {
        let parents: HashSet<&str> =
            self.nodes.values().flat_map(|node| node.parents.iter().map(String::as_str)).collect();
        let mut ended = self.nodes.iter().filter(|(_, node)| is_ended(node) && node.listed);
        ended.any(|(shard, _)| !parents.contains(shard.as_str()))
    }

    /// Ended shards that the stream does not list any more, because all they held is older than
    /// `oldest_ms`, and that no child needs in order to know its past.
    pub(crate) fn forgettable(&self, oldest_ms: i64) -> Vec<String> {
        let mut needed = HashSet::new();
        for node in self.nodes.values().filter(|node| node.committed.is_none()) {
            needed.extend(node.parents.iter().map(String::as_str));
        }
        let mut forgettable = Vec::new();
        for (shard, node) in &self.nodes {
            let Some(state) = node.committed.as_ref().filter(|_| is_ended(node)) else { continue };
            // A listing that lags behind does not show a young shard.
            let is_old = state.read_through_ms.is_none_or(|time_ms| time_ms < oldest_ms);
            if is_old && !node.listed && !needed.contains(shard.as_str()) {
                forgettable.push(shard.clone());
            }
        }
        forgettable
    }

    /// What is committed of a shard.
    pub(crate) fn state(&self, shard: &str) -> Option<&ShardState> {
        self.nodes.get(shard)?.committed.as_ref()
    }

    /// Where a shard came from.
    pub(crate) fn parents(&self, shard: &str) -> &[String] {
        self.nodes.get(shard).map_or(&[], |node| &node.parents)
    }

    /// Hash keys that a shard owns.
    pub(crate) fn hash_range(&self, shard: &str) -> Option<HashRange> {
        self.nodes.get(shard)?.hash_range
    }

    /// Up to when everything that could be on a shard was read before it existed: its parents held it.
    /// Parents that came and went while nobody read came out of what was read last.
    pub(crate) fn inherited_read_through(&self, shard: &str) -> Option<i64> {
        let mut earliest = None;
        for parent in self.parents(shard) {
            let read_through = match self.nodes.get(parent) {
                Some(_) => self.state(parent)?.read_through_ms?,
                None => self.earliest_read_through()?,
            };
            earliest = Some(earliest.map_or(read_through, |known: i64| known.min(read_through)));
        }
        earliest
    }

    fn earliest_read_through(&self) -> Option<i64> {
        let committed = self.nodes.values().filter_map(|node| node.committed.as_ref());
        committed.filter_map(|state| state.read_through_ms).min()
    }
}

fn is_ended(node: &Node) -> bool {
    node.committed.as_ref().is_some_and(|state| state.position == ShardPosition::Ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::SequenceNumber;

    fn shard(id: &str, parents: &[&str]) -> Shard {
        let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
        Shard { id: id.to_owned(), parents, hash_range: None, sequences: None }
    }

    fn state(position: ShardPosition) -> ShardState {
        ShardState { position, ..ShardState::unread(ReadFrom::TrimHorizon, Vec::new()) }
    }

    fn ended() -> ShardState {
        state(ShardPosition::Ended)
    }

    fn after(number: &str) -> ReadFrom {
        ReadFrom::After(SequenceNumber::parse(number).expect("digits"))
    }

    fn names(tree: &ShardTree) -> Vec<String> {
        tree.readable().into_iter().map(|(shard, _)| shard).collect()
    }

    #[test]
    fn children_of_a_split_wait_until_the_end_of_their_parent_is_committed() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[]), shard("1", &["0"]), shard("2", &["0"])]);
        assert_eq!(names(&tree), ["0"]);
        tree.committed("0", &state(ShardPosition::From(after("7"))));
        assert_eq!(tree.readable(), [("0".to_owned(), after("7"))]);
        tree.committed("0", &ended());
        assert_eq!(names(&tree), ["1", "2"]);
        assert!(tree.readable().iter().all(|(_, from)| *from == ReadFrom::TrimHorizon));
    }

    #[test]
    fn the_child_of_a_merge_waits_for_both_parents() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[]), shard("1", &[]), shard("2", &["0", "1"])]);
        assert_eq!(names(&tree), ["0", "1"]);
        tree.committed("1", &ended());
        assert_eq!(names(&tree), ["0"]);
        tree.committed("0", &ended());
        assert_eq!(names(&tree), ["2"]);
    }

    #[test]
    fn the_children_of_a_drained_shard_are_read_beside_it() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[]), shard("1", &["0"])]);
        assert!(tree.drained("0"));
        assert!(!tree.drained("0"));
        assert_eq!(names(&tree), ["0", "1"]);
        assert_eq!(tree.open_count(), 2);
    }

    #[test]
    fn generations_are_read_one_after_the_other() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[]), shard("1", &["0"]), shard("2", &["1"])]);
        assert_eq!(names(&tree), ["0"]);
        tree.committed("0", &ended());
        assert_eq!(names(&tree), ["1"]);
    }

    #[test]
    fn a_parent_that_was_trimmed_away_before_anybody_read_it_holds_up_nobody() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("5", &["3", "4"])]);
        assert_eq!(names(&tree), ["5"]);
    }

    #[test]
    fn a_parent_that_is_ours_and_unfinished_holds_up_its_children_even_if_it_is_gone() {
        let mut tree = ShardTree::default();
        tree.committed("0", &state(ShardPosition::From(after("7"))));
        tree.listed(&[shard("1", &["0"])]);
        // Reading it will tell that it is gone, and a gap will be recorded.
        assert_eq!(names(&tree), ["0"]);
        tree.committed("0", &ended());
        assert_eq!(names(&tree), ["1"]);
    }

    #[test]
    fn a_listing_that_lags_behind_is_noticed() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[])]);
        assert!(!tree.lacks_children());
        tree.committed("0", &ended());
        assert!(tree.lacks_children());
        tree.add(&[shard("1", &["0"])]);
        assert!(!tree.lacks_children());
    }

    #[test]
    fn ended_shards_are_forgotten_when_the_stream_has_forgotten_them() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[]), shard("1", &["0"])]);
        tree.committed("0", &ended());
        assert!(tree.forgettable(10).is_empty());
        tree.listed(&[shard("1", &["0"])]);
        assert!(tree.forgettable(10).is_empty(), "what its child inherits is not committed yet");
        tree.committed("1", &state(ShardPosition::From(after("7"))));
        assert_eq!(tree.forgettable(10), ["0"]);
        tree.committed("0", &ShardState { read_through_ms: Some(11), ..ended() });
        assert!(tree.forgettable(11).is_empty(), "it is too young to be gone");
        assert_eq!(tree.forgettable(12), ["0"]);
        tree.forget("0");
        assert_eq!(names(&tree), ["1"]);
    }

    #[test]
    fn a_child_that_is_named_before_it_is_listed_waits_for_a_parent_that_is_as_young() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[])]);
        tree.committed("0", &ended());
        tree.add(&[shard("2", &["0", "1"])]);
        assert!(names(&tree).is_empty());
        tree.listed(&[shard("0", &[]), shard("1", &[]), shard("2", &["0", "1"])]);
        assert_eq!(names(&tree), ["1"]);
    }

    #[test]
    fn generations_that_came_and_went_unread_are_noticed() {
        let mut tree = ShardTree::default();
        tree.committed("0", &ShardState { read_through_ms: Some(5), ..ended() });
        tree.listed(&[shard("3", &["2"])]);
        assert_eq!(names(&tree), ["3"]);
        assert_eq!(tree.inherited_read_through("3"), Some(5));
    }

    #[test]
    fn what_was_read_of_the_parents_was_read_of_the_child() {
        let mut tree = ShardTree::default();
        tree.listed(&[shard("0", &[]), shard("1", &[]), shard("2", &["0", "1"])]);
        tree.committed("0", &ShardState { read_through_ms: Some(5), ..ended() });
        assert_eq!(tree.inherited_read_through("2"), None);
        tree.committed("1", &ShardState { read_through_ms: Some(3), ..ended() });
        assert_eq!(tree.inherited_read_through("2"), Some(3));
        assert_eq!(tree.inherited_read_through("0"), None);
    }
}
