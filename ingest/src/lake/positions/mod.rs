//! How far each stream was read, committed together with the rows that were read.
//!
//! A position that is too large for the log stands in a manifest of its own,
//! `_hearback/checkpoints/<stream>/<epoch>.json`, created only if it is not there yet; the commit of
//! the rows records the epoch as the stream's Delta `txn`. So the log points at exactly one manifest,
//! and a manifest that no commit points at never counted. Invariant: the manifest of the epoch that
//! the log records is there, whole, and never changes; if it is missing, that is an error and not a
//! stream that starts again.
//!
//! There are two kinds of streams: objects, each read once ([`ObjectId`]), and Kinesis streams, whose
//! shards are read in order ([`StreamState`]). What is done when another writer moved the stream on
//! depends on the kind, see [`LostRace`].

mod manifest;
mod objects;
mod shards;
mod status;

pub use objects::ObjectId;
pub use shards::{
    Gap, GapReason, ReadFrom, SequenceNumber, ShardMove, ShardPosition, ShardState, StreamDelta,
    StreamIdentity, StreamState,
};
pub use status::StreamStatus;

pub(crate) use objects::ObjectPositions;
pub(crate) use shards::ShardPositions;

use super::error::LakeError;

/// What was read since the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionDelta {
    /// These objects were read to their end. Objects whose rows are only partly in the commit are not
    /// among them; they will be read again, and their rows recognised.
    Objects(Vec<ObjectId>),
    /// How far the shards of a Kinesis stream were read.
    Stream(StreamDelta),
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
            Self::Stream(_) => LostRace::Fence,
        }
    }

    /// Whether there is nothing to record.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Objects(objects) => objects.is_empty(),
            Self::Stream(delta) => delta.shards.is_empty() && delta.gaps.is_empty(),
        }
    }
}

/// The positions that a writer continues.
#[derive(Debug)]
pub(crate) enum Positions {
    Objects(ObjectPositions),
    Shards(Box<ShardPositions>),
}

impl Positions {
    /// The epoch that these positions are of; None for a stream that was never read.
    pub(crate) fn epoch(&self) -> Option<i64> {
        match self {
            Self::Objects(objects) => objects.epoch(),
            Self::Shards(shards) => shards.epoch(),
        }
    }

    /// Brings the positions to the epoch that the table records now.
    pub(crate) async fn move_to(&mut self, epoch: Option<i64>) -> Result<(), LakeError> {
        match self {
            Self::Objects(objects) => objects.move_to(epoch).await,
            Self::Shards(shards) => shards.move_to(epoch).await,
        }
    }

    /// Claims the next epoch: writes its manifest, with the delta applied. The claim counts once a
    /// commit records the epoch that is returned.
    pub(crate) async fn claim(
        &mut self,
        delta: &PositionDelta,
        attempt: &str,
    ) -> Result<i64, LakeError> {
        match (self, delta) {
            (Self::Objects(positions), PositionDelta::Objects(objects)) => {
                positions.claim(objects, attempt).await
            }
            (Self::Shards(positions), PositionDelta::Stream(delta)) => {
                positions.claim(delta, attempt).await
            }
            _ => Err(wrong_kind()),
        }
    }

    /// Takes over what was claimed, after the commit that records it.
    pub(crate) async fn committed(
        &mut self,
        epoch: i64,
        delta: &PositionDelta,
    ) -> Result<(), LakeError> {
        match (self, delta) {
            (Self::Objects(positions), PositionDelta::Objects(objects)) => {
                positions.committed(epoch, objects).await
            }
            (Self::Shards(positions), PositionDelta::Stream(delta)) => {
                positions.committed(epoch, delta).await;
                Ok(())
            }
            _ => Err(wrong_kind()),
        }
    }
}

fn wrong_kind() -> LakeError {
    LakeError::invalid("positions of one kind of stream were given for another")
}
