//! Which shards may be read: responsible for the order of parents and children across splits and
//! merges. Pure.
//!
//! Invariant: a shard is read only when every shard it came from is ended *and that is committed*, or
//! is gone from the stream and was never ours to read. So the records of one key keep their order, and
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
    listed: bool,
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
    }

    /// Takes in shards that are there, beside those that are known.
    pub(crate) fn add(&mut self, shards: &[Shard]) {
        for shard in shards {
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node {
                parents: Vec::new(),
                hash_range: None,
                committed: None,
                listed: true,
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
        });
        node.committed = Some(state.clone());
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
            if node.parents.iter().all(|parent| self.is_done(parent)) {
                readable.push((shard.clone(), from));
            }
        }
        readable
    }

    /// Whether nothing of a parent remains to be read.
    fn is_done(&self, parent: &str) -> bool {
        self.nodes.get(parent).is_none_or(is_ended)
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

    /// Ended shards that the stream does not list any more, and that no known shard waits for.
    pub(crate) fn forgettable(&self) -> Vec<String> {
        let mut forgettable = Vec::new();
        for (shard, node) in &self.nodes {
            if is_ended(node) && !node.listed {
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
    pub(crate) fn inherited_read_through(&self, shard: &str) -> Option<i64> {
        let mut earliest = None;
        for parent in self.parents(shard) {
            let read_through = self.state(parent)?.read_through_ms?;
            earliest = Some(earliest.map_or(read_through, |known: i64| known.min(read_through)));
        }
        earliest
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
        assert!(tree.forgettable().is_empty());
        tree.listed(&[shard("1", &["0"])]);
        assert_eq!(tree.forgettable(), ["0"]);
        tree.forget("0");
        assert_eq!(names(&tree), ["1"]);
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
