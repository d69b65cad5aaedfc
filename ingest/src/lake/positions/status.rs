//! What the lake knows of the streams that were read into it, for whoever watches.

use hearback_schemas::EVENTS;

use super::manifest::{Manifests, Recorded, root};
use super::shards::StreamState;
use crate::lake::{Lake, LakeError};

/// One stream as of its last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// Name of its positions, see
    /// [`StreamIdentity::positions_name`](super::StreamIdentity::positions_name).
    pub name: String,
    /// The epoch that was committed last.
    pub epoch: i64,
    /// When it was committed, by the store's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub committed_ms: i64,
    /// Its positions.
    pub state: StreamState,
    /// The positions that this commit built upon; None for the first, or if they are gone.
    pub before: Option<StreamState>,
}

impl Lake {
    /// The Kinesis streams that were read into this lake, with their positions as of their last
    /// commits, in the order of their names.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot); [`LakeError::Damaged`] if the log points at positions that
    /// are missing.
    pub async fn streams(&self) -> Result<Vec<StreamStatus>, LakeError> {
        let folder = root(self.place());
        let listed = self.place().store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|error| LakeError::store(format!("list {folder}"), error))?;
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename().map(str::to_owned))
            .filter(|name| name.starts_with("kinesis."))
            .collect();
        names.sort_unstable();
        let applications: Vec<&str> = names.iter().map(String::as_str).collect();
        let snapshot = self.log(&EVENTS)?.load(&applications).await?;
        let mut streams = Vec::with_capacity(names.len());
        for name in &names {
            // A folder without a commit holds claims that never counted.
            let Some(epoch) = snapshot.transaction(name) else { continue };
            let manifests = Manifests::new(self.place(), name);
            let manifest = manifests.read(epoch).await?;
            let Recorded::Shards(state) = manifest.positions else {
                return Err(
                    manifests.damaged(epoch, "it is the manifest of another kind of stream")
                );
            };
            let before = match manifest.parent {
                Some(parent) => manifests.read(parent).await.ok(),
                None => None,
            };
            let before = before.and_then(|manifest| match manifest.positions {
                Recorded::Shards(state) => Some(state),
                Recorded::Objects { .. } => None,
            });
            let committed_ms = manifests.created_ms(epoch).await?;
            streams.push(StreamStatus { name: name.clone(), epoch, committed_ms, state, before });
        }
        Ok(streams)
    }
}
