//! Positions in a Kinesis stream: how far each of its shards was read.
//!
//! Invariants: a commit says for each shard which position it continues, and is refused if that is not
//! the committed one; a position moves forwards, unless the commit is a rewind. So rows of a range of
//! a shard are committed by one commit only.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, Manifests, Recorded};
use crate::aws::StoreLocation;
use crate::lake::error::LakeError;

/// Gaps that a manifest lists; older ones are only counted.
const GAPS_LISTED: usize = 100;

/// A record's number in its shard: a decimal number of up to 128 digits or so, which no machine
/// integer holds. Numbers are compared as numbers.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SequenceNumber(Box<str>);

impl SequenceNumber {
    /// Reads a number; `None` if the text is anything but decimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| Self(text.into()))
    }

    /// The digits, as Kinesis gave them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (self.0.trim_start_matches('0'), other.0.trim_start_matches('0'));
        one.len().cmp(&two.len()).then_with(|| one.cmp(two)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for SequenceNumber {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a sequence number has digits only")
    }
}

impl From<SequenceNumber> for String {
    fn from(number: SequenceNumber) -> Self {
        number.0.into()
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where reading of a shard begins (`ShardIteratorType` of the Kinesis API).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// With the oldest record that is there.
    TrimHorizon,
    /// With the first record that arrived at this time or later, in milliseconds since
    /// 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// With this record.
    At(SequenceNumber),
    /// Behind this record.
    After(SequenceNumber),
}

/// How far a shard was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardPosition {
    /// It goes on from here.
    From(ReadFrom),
    /// To its end: it was split or merged, and all its records are in the lake.
    Ended,
}

impl ShardPosition {
    /// Whether going from here to `next` is going forwards.
    fn leads_to(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Ended, next) => *next == Self::Ended,
            (_, Self::Ended) => true,
            (Self::From(ReadFrom::After(from)), Self::From(ReadFrom::After(to))) => from <= to,
            (Self::From(ReadFrom::At(from)), Self::From(ReadFrom::After(to))) => from <= to,
            (Self::From(_), Self::From(ReadFrom::After(_))) => true,
            (from, to) => from == to,
        }
    }
}

/// What is known of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardState {
    /// How far it was read.
    pub position: ShardPosition,
    /// Shards that it was split off or merged from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// Kinesis records read so far; an aggregate is one.
    #[serde(default)]
    pub records: u64,
    /// When the last record that was read arrived on the stream, in milliseconds since
    /// 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_arrival_ms: Option<i64>,
    /// Everything that arrived up to this time and was asked for was read, or was gone when reading
    /// began, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_through_ms: Option<i64>,
    /// How far behind the newest record reading was (`MillisBehindLatest`), in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<i64>,
}

impl ShardState {
    /// A shard that nothing was read of yet.
    #[must_use]
    pub fn unread(from: ReadFrom, parents: Vec<String>) -> Self {
        Self {
            position: ShardPosition::From(from),
            parents,
            records: 0,
            last_arrival_ms: None,
            read_through_ms: None,
            behind_ms: None,
        }
    }
}

/// Why records may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The stream's retention ran out before they were read.
    RetentionOutrun,
    /// The whole shard is gone from the stream.
    ShardGone,
}

/// A stretch of time whose records may have been lost before they were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The shard.
    pub shard: String,
    /// Why.
    pub reason: GapReason,
    /// Everything up to this arrival time was read, in milliseconds since 1970-01-01T00:00:00Z; None
    /// if nothing was.
    pub after_ms: Option<i64>,
    /// From this arrival time on everything is read again; None if nothing is.
    pub until_ms: Option<i64>,
    /// When it was found, in milliseconds since 1970-01-01T00:00:00Z.
    pub found_ms: i64,
}

/// Which stream it is. A stream that is deleted and created again under its name is another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamIdentity {
    /// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
    pub arn: String,
    /// Name.
    pub name: String,
    /// When it was created, in seconds since 1970-01-01T00:00:00Z.
    pub created_s: i64,
}

impl StreamIdentity {
    /// The name of its positions: the folder of its manifests and the application id of its Delta
    /// `txn`. Stays the same as long as the stream lives.
    #[must_use]
    pub fn positions_name(&self) -> String {
        let mut parts = self.arn.split(':').skip(3);
        let region = parts.next().unwrap_or_default();
        let account = parts.next().unwrap_or_default();
        format!("kinesis.{region}.{account}.{}.{}", self.name, self.created_s)
    }

    /// The value of the column `source_name` for what is read from it.
    #[must_use]
    pub fn source_name(&self) -> String {
        format!("kinesis:{}", self.name)
    }
}

/// The positions of a stream as of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamState {
    /// Which stream it is.
    pub stream: StreamIdentity,
    /// Its shards by name: those being read, and ended ones as long as they are listed. A shard that
    /// is not among them was created later and is read from its beginning.
    pub shards: BTreeMap<String, ShardState>,
    /// The latest gaps, up to 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// How many gaps there ever were.
    #[serde(default)]
    pub gap_count: u64,
}

/// The way of one shard since the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMove {
    /// Where it was; None if it was not known yet.
    pub from: Option<ShardPosition>,
    /// Where it is; None to forget a shard that ended long ago.
    pub to: Option<ShardState>,
}

/// What was read of a stream since the last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamDelta {
    /// Which stream it is.
    pub stream: StreamIdentity,
    /// The shards that moved, by name.
    pub shards: BTreeMap<String, ShardMove>,
    /// Gaps that were found.
    pub gaps: Vec<Gap>,
    /// Whether positions may move backwards, because somebody said so.
    pub rewind: bool,
}

impl StreamState {
    /// Looks whether a delta continues these positions.
    fn check(&self, delta: &StreamDelta) -> Result<(), String> {
        if !self.stream.arn.is_empty() && self.stream != delta.stream {
            return Err(format!("{} is not the stream of these positions", delta.stream.arn));
        }
        for (shard, step) in &delta.shards {
            let committed = self.shards.get(shard).map(|state| &state.position);
            if committed != step.from.as_ref() {
                return Err(format!(
                    "shard {shard}: {:?} is to be continued, but {committed:?} is committed",
                    step.from
                ));
            }
            if delta.rewind {
                continue;
            }
            let forwards = match (&step.from, &step.to) {
                (Some(from), Some(to)) => from.leads_to(&to.position),
                (Some(from), None) => *from == ShardPosition::Ended,
                (None, _) => true,
            };
            if !forwards {
                return Err(format!("shard {shard} would go backwards from {committed:?}"));
            }
        }
        Ok(())
    }

    fn apply(&mut self, delta: &StreamDelta) {
        self.stream = delta.stream.clone();
        for (shard, step) in &delta.shards {
            match &step.to {
                Some(to) => self.shards.insert(shard.clone(), to.clone()),
                None => self.shards.remove(shard),
            };
        }
        self.gap_count += delta.gaps.len() as u64;
        self.gaps.extend(delta.gaps.iter().cloned());
        let excess = self.gaps.len().saturating_sub(GAPS_LISTED);
        self.gaps.drain(..excess);
    }
}

/// The positions of one Kinesis stream, as of one epoch.
#[derive(Debug)]
pub(crate) struct ShardPositions {
    manifests: Manifests,
    epoch: Option<i64>,
    state: StreamState,
    /// A manifest that was claimed but not yet committed, and the epoch it builds upon.
    claimed: Option<(Option<i64>, i64)>,
}

impl ShardPositions {
    /// The positions of a stream at the epoch that its table records.
    pub(crate) async fn load(
        place: &StoreLocation,
        stream: &str,
        epoch: Option<i64>,
    ) -> Result<Self, LakeError> {
        let mut positions = Self {
            manifests: Manifests::new(place, stream),
            epoch: None,
            state: StreamState::default(),
            claimed: None,
        };
        positions.move_to(epoch).await?;
        Ok(positions)
    }

    pub(crate) fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    pub(crate) fn state(&self) -> &StreamState {
        &self.state
    }

    pub(crate) async fn move_to(&mut self, epoch: Option<i64>) -> Result<(), LakeError> {
        if epoch == self.epoch {
            return Ok(());
        }
        self.claimed = None;
        self.state = match epoch {
            None => StreamState::default(),
            Some(epoch) => match self.manifests.read(epoch).await?.positions {
                Recorded::Shards(state) => state,
                Recorded::Objects { .. } => {
                    let reason = "it is the manifest of another kind of stream";
                    return Err(self.manifests.damaged(epoch, reason));
                }
            },
        };
        self.epoch = epoch;
        Ok(())
    }

    pub(crate) async fn claim(
        &mut self,
        delta: &StreamDelta,
        attempt: &str,
    ) -> Result<i64, LakeError> {
        if let Some((parent, epoch)) = self.claimed
            && parent == self.epoch
        {
            return Ok(epoch);
        }
        self.state.check(delta).map_err(LakeError::invalid)?;
        let mut state = self.state.clone();
        state.apply(delta);
        let manifest = Manifest {
            epoch: self.epoch.map_or(0, |epoch| epoch + 1),
            parent: self.epoch,
            attempt: attempt.to_owned(),
            positions: Recorded::Shards(state),
        };
        let epoch = self.manifests.create(manifest).await?;
        self.claimed = Some((self.epoch, epoch));
        Ok(epoch)
    }

    pub(crate) async fn committed(&mut self, epoch: i64, delta: &StreamDelta) {
        self.claimed = None;
        self.state.apply(delta);
        let before = self.epoch.replace(epoch);
        self.manifests.retire(before, epoch, None).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> SequenceNumber {
        SequenceNumber::parse(text).expect("digits")
    }

    fn after(text: &str) -> ShardPosition {
        ShardPosition::From(ReadFrom::After(number(text)))
    }

    #[test]
    fn sequence_numbers_are_compared_as_numbers_of_any_length() {
        assert!(number("9") < number("10"));
        assert!(number("99999999999999999999") < number("100000000000000000000"));
        assert!(number("007") < number("8"));
        assert!(number("49") > number("48"));
        for text in ["", "-1", "1.0", " 1", "x", "١"] {
            assert_eq!(SequenceNumber::parse(text), None, "{text}");
        }
    }

    #[test]
    fn positions_only_move_forwards() {
        let horizon = ShardPosition::From(ReadFrom::TrimHorizon);
        assert!(horizon.leads_to(&after("1")));
        assert!(after("1").leads_to(&after("1")));
        assert!(after("9").leads_to(&after("10")));
        assert!(after("9").leads_to(&ShardPosition::Ended));
        assert!(!after("10").leads_to(&after("9")));
        assert!(!after("10").leads_to(&horizon));
        assert!(!ShardPosition::Ended.leads_to(&after("10")));
    }

    fn step(from: Option<ShardPosition>, to: ShardPosition) -> StreamDelta {
        let state =
            ShardState { position: to, ..ShardState::unread(ReadFrom::TrimHorizon, vec![]) };
        let shards = BTreeMap::from([("s".to_owned(), ShardMove { from, to: Some(state) })]);
        StreamDelta { shards, ..StreamDelta::default() }
    }

    #[test]
    fn a_delta_that_does_not_continue_what_is_committed_is_refused() {
        let mut state = StreamState::default();
        let first = step(None, after("10"));
        state.check(&first).expect("nothing is known yet");
        state.apply(&first);
        state.check(&step(Some(after("10")), after("20"))).expect("it continues");
        state.check(&step(Some(after("9")), after("20"))).expect_err("behind");
        state.check(&step(Some(after("11")), after("20"))).expect_err("ahead");
        state.check(&step(None, after("20"))).expect_err("not new");
        state.check(&step(Some(after("10")), after("5"))).expect_err("backwards");
        let rewind = StreamDelta { rewind: true, ..step(Some(after("10")), after("5")) };
        state.check(&rewind).expect("somebody said so");
    }

    #[test]
    fn gaps_are_kept_in_bounds_and_counted() {
        let mut state = StreamState::default();
        let gap = |found_ms| Gap {
            shard: "s".to_owned(),
            reason: GapReason::RetentionOutrun,
            after_ms: None,
            until_ms: None,
            found_ms,
        };
        for round in 0..130 {
            let gaps = vec![gap(round * 2), gap(round * 2 + 1)];
            state.apply(&StreamDelta { gaps, ..StreamDelta::default() });
        }
        assert_eq!(state.gaps.len(), GAPS_LISTED);
        assert_eq!(state.gaps.last().map(|gap| gap.found_ms), Some(259));
        assert_eq!(state.gap_count, 260);
    }

    #[test]
    fn the_name_of_positions_tells_a_stream_that_was_created_again() {
        let stream = StreamIdentity {
            arn: "arn:aws:kinesis:eu-west-1:123456789012:stream/feed".to_owned(),
            name: "feed".to_owned(),
            created_s: 1_700_000_000,
        };
        assert_eq!(stream.positions_name(), "kinesis.eu-west-1.123456789012.feed.1700000000");
        let again = StreamIdentity { created_s: 1_700_000_001, ..stream.clone() };
        assert_ne!(stream.positions_name(), again.positions_name());
    }
}
