//! Where consumed records go besides the lake, before their position is committed.

use async_trait::async_trait;
use hearback_transform::Reject;

use super::api::Record;

/// Why records could not be kept safe. It is tried again, and the position waits.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeepError(pub String);

/// A second place for what is consumed, such as an archive. Called with everything that a commit will
/// cover before that commit is made; what could not be kept is offered again until it is, and the
/// position does not move. After a crash the same records are offered again, so that a place gets each
/// of them at least once.
#[async_trait]
pub trait Safekeeping: Send + Sync {
    /// Keeps records of one shard, in their order, as they came. `rejects` are the documents of the
    /// shard that could not be understood, in these records or in others; their places tell.
    ///
    /// # Errors
    ///
    /// [`KeepError`] if not all of them are safe; all of them are offered again.
    async fn keep(
        &self,
        shard: &str,
        records: &[Record],
        rejects: &[&Reject],
    ) -> Result<(), KeepError>;

    /// Keeps documents of one shard that could not be understood.
    ///
    /// # Errors
    ///
    /// As [`keep`](Self::keep).
    async fn rejected(&self, shard: &str, rejects: &[Reject]) -> Result<(), KeepError>;
}
