//! Why a segment could not be planned or applied, named by what to do about it.

use hearback_ingest::lake::LakeError;

use crate::engine::EngineError;

/// A segment that was not planned or applied.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The definition has to be changed.
    #[error("segment {segment}: {reason}")]
    Definition {
        /// Name of the segment.
        segment: String,
        /// What is wrong.
        reason: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// The segment's SQL cannot be run.
    #[error("segment {segment}: {source}")]
    Question {
        /// Name of the segment.
        segment: String,
        /// What the engine says.
        source: EngineError,
    },
    /// A guard refuses; nothing was changed.
    #[error("{reason}")]
    Refused {
        /// What is refused and why.
        reason: String,
        /// What lifts it.
        hint: String,
    },
    /// Somebody else applies the same segment to the same destination; nothing was changed by us.
    #[error("{0}")]
    Busy(String),
    /// A plan file that is none, or not for this lake and configuration.
    #[error("{0}")]
    Plan(String),
    /// The lake could not be read or written.
    #[error("the lake does not answer as it should")]
    Lake(#[from] LakeError),
    /// Something beside the tables could not be read or written.
    #[error("cannot {action}: {reason}")]
    Store {
        /// What was being done.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// The destination did not take it.
    #[error(transparent)]
    Destination(#[from] super::destination::DestinationError),
    /// A temporary file could not be written or read.
    #[error("cannot keep the changes in a temporary file: {0}")]
    Spool(#[from] std::io::Error),
}

impl SegmentError {
    /// An error of an object store while doing `action`.
    pub(crate) fn store(action: impl Into<String>, error: &object_store::Error) -> Self {
        Self::Store { action: action.into(), reason: hearback_ingest::aws::explain(error) }
    }

    /// Something stored that cannot be right, while doing `action`.
    pub(crate) fn damaged(action: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Store { action: action.into(), reason: reason.to_string() }
    }
}
