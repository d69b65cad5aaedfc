//! How a run can fail, named by what whoever started it should do.

use thiserror::Error;

use super::report::IngestSummary;
use crate::lake::LakeError;
use crate::source::SourceError;

/// A run that did not do all it was asked to.
#[derive(Debug, Error)]
pub enum IngestError {
    /// A named source cannot be read at all: name another. Nothing was read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The lake did not take what was read: remove the cause and run the same command again. What
    /// earlier commits of the run brought in stays, and is counted in the summary.
    #[error("{source}")]
    Lake {
        /// What the lake said.
        #[source]
        source: LakeError,
        /// What was done before.
        summary: Box<IngestSummary>,
    },
    /// Some objects could not be read: repair them, or the way to them, and run the same command
    /// again. Everything else is in the lake.
    #[error("{} could not be read to the end; everything else is in the lake, and running the same command again reads only what is missing", objects(.0.failure_count))]
    Partial(Box<IngestSummary>),
    /// The run was asked to stop: run the same command again to finish it.
    #[error(
        "stopped; what was read so far is in the lake, and running the same command again reads the rest"
    )]
    Interrupted(Box<IngestSummary>),
}

fn objects(count: u64) -> String {
    match count {
        1 => "1 source object".to_owned(),
        _ => format!("{count} source objects"),
    }
}

impl IngestError {
    /// What was done all the same; `None` if nothing was begun.
    pub fn summary(&self) -> Option<&IngestSummary> {
        match self {
            Self::Source(_) => None,
            Self::Lake { summary, .. } | Self::Partial(summary) | Self::Interrupted(summary) => {
                Some(summary)
            }
        }
    }
}
