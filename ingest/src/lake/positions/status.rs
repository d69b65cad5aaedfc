//! What the lake knows of the streams that were read into it, for whoever watches.

use hearback_schemas::EVENTS;

use super::manifest::root;
use super::shards::{ShardPositions, StreamState};
use crate::lake::{Lake, LakeError};

/// One stream as of its last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// Name of its positions, see
    /// [`StreamIdentity::positions_name`](super::StreamIdentity::positions_name).
    pub name: String,
    /// The epoch that was committed last.
    pub epoch: i64,
    /// Its positions.
    pub state: StreamState,
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
            let positions = ShardPositions::load(self.place(), name, Some(epoch)).await?;
            let state = positions.state().clone();
            streams.push(StreamStatus { name: name.clone(), epoch, state });
        }
        Ok(streams)
    }
}
