//! Which shards a session reads: responsible for listing them, for starting their readers, and for what
//! becomes of a shard whose reader has failed.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use super::{Broken, FLUSH_AT_END, Session};
use crate::lake::{Gap, GapReason, ShardPosition, StreamIdentity};
use crate::stream::api::{ApiError, ApiErrorKind, Shard};
use crate::stream::observer::{Retried, StreamEvent};
use crate::stream::reader::ShardReader;

/// Shards change only when one ends, and then they are listed at once; this is for the rest, and for ends
/// that nothing but a listing shows.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// Between two listings while an ended shard's children are not listed yet.
const LIST_AGAIN: Duration = Duration::from_secs(3);
/// How often children are looked for before a reader that wants to end gives up on them.
const LISTINGS_FOR_CHILDREN: u32 = 5;
/// Before a shard that Kinesis could not find is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(3);

impl Session<'_> {
    /// Begins to read whatever may be read and is not.
    pub(super) fn start_readers(&mut self) {
        if !self.is_tree_changed || !self.is_listed {
            return;
        }
        self.is_tree_changed = false;
        for (shard, from) in self.tree.readable() {
            let shard: Arc<str> = shard.into();
            let is_known = self.running.contains(&shard)
                || self.ending.contains(&shard)
                || self.at_tip.contains(&shard);
            if is_known {
                continue;
            }
            let moved = self.moved.get(&shard).or_else(|| self.tree.state(&shard));
            let read_through_ms = match moved {
                Some(state) => state.read_through_ms,
                None => self.tree.inherited_read_through(&shard),
            };
            let from = match moved.map(|state| &state.position) {
                Some(ShardPosition::From(from)) => from.clone(),
                _ => from,
            };
            let delay = match self.delayed.remove(&shard) {
                true => ASK_AGAIN,
                false => Duration::ZERO,
            };
            let reader = ShardReader {
                shared: Arc::clone(&self.parts.shared),
                shard: Arc::clone(&shard),
                from,
                read_through_ms,
                delay,
                silent_pages: 0,
            };
            self.readers.spawn(reader.run());
            self.running.insert(shard);
        }
    }

    /// Whether everything that is on the stream was read and committed.
    pub(super) fn is_caught_up(&self) -> bool {
        let waits_for_children =
            self.tree.lacks_children() && self.listings_without_children < LISTINGS_FOR_CHILDREN;
        self.running.is_empty()
            && self.ending.is_empty()
            && self.tree.open_count() == self.at_tip.len()
            && !waits_for_children
    }

    /// Lists the shards, and looks whether the stream is still the same.
    pub(super) async fn list(&mut self) -> Result<(), Broken> {
        let api = Arc::clone(&self.parts.shared.api);
        let cancel = self.parts.request.cancel.clone();
        let asked = async {
            let stream = api.describe().await?;
            Ok::<_, ApiError>((stream, api.list_shards().await?))
        };
        let answer = tokio::select! {
            answer = asked => answer,
            () = cancel.cancelled() => return Ok(()),
        };
        match answer {
            Ok((stream, shards)) => {
                self.check_identity(&stream.identity)?;
                let retention_ms = i64::try_from(stream.retention.as_millis()).unwrap_or(i64::MAX);
                self.parts.shared.retention_ms.store(retention_ms, Ordering::Relaxed);
                self.tree.listed(&shards);
                *self.parts.shared.closed.write().unwrap_or_else(PoisonError::into_inner) =
                    closed(&shards);
                self.list_backoff.succeeded();
                self.is_listed = true;
                self.is_tree_changed = true;
                self.list_at = Instant::now() + LIST_EVERY;
                if self.tree.lacks_children() {
                    self.listings_without_children += 1;
                    self.list_at = Instant::now() + LIST_AGAIN;
                } else {
                    self.listings_without_children = 0;
                }
                Ok(())
            }
            Err(error) if error.kind.passes() => {
                let pause = self.list_backoff.failed();
                self.list_at = Instant::now() + pause;
                self.parts.shared.observer.observe(&StreamEvent::Retry {
                    what: Retried::Stream,
                    failures: self.list_backoff.failures(),
                    pause,
                    reason: &error.to_string(),
                });
                Ok(())
            }
            Err(error) => Err(Broken::Source(error)),
        }
    }

    pub(super) fn check_identity(&self, found: &StreamIdentity) -> Result<(), Broken> {
        match *found == self.parts.stream.identity {
            true => Ok(()),
            false => Err(Broken::Recreated),
        }
    }

    /// A reader has stopped. A shard that is not found may be a shard that is gone, or a whole stream.
    pub(super) async fn take_failure(
        &mut self,
        shard: Arc<str>,
        error: ApiError,
    ) -> Result<(), Broken> {
        self.running.remove(&shard);
        self.is_tree_changed = true;
        if error.kind != ApiErrorKind::NotFound {
            return Err(Broken::Source(error));
        }
        let api = Arc::clone(&self.parts.shared.api);
        let asked = async {
            let stream = api.describe().await?;
            Ok::<_, ApiError>((stream, api.list_shards().await?))
        };
        let cancel = self.parts.request.cancel.clone();
        let answer = tokio::select! {
            answer = asked => answer,
            () = cancel.cancelled() => return Ok(()),
        };
        let shards = match answer {
            Ok((stream, shards)) => {
                self.check_identity(&stream.identity)?;
                shards
            }
            Err(error) if error.kind.passes() => {
                self.delayed.insert(shard);
                return Ok(());
            }
            Err(error) => return Err(Broken::Source(error)),
        };
        if shards.iter().any(|listed| *listed.id == *shard) {
            self.delayed.insert(shard);
            return Ok(());
        }
        // What was read of it and is still on its way comes first.
        self.decode_inbox().await?;
        while let Some(batch) = self.jobs.next().await {
            self.stage(batch?).await?;
        }
        let mut state = self.state_of(&shard);
        let gap = Gap {
            shard: shard.to_string(),
            reason: GapReason::ShardGone,
            after_ms: state.read_through_ms,
            until_ms: None,
            found_ms: self.parts.request.now_ms(),
        };
        state.position = ShardPosition::Ended;
        self.moved.insert(Arc::clone(&shard), state);
        self.ending.insert(shard);
        self.take_gap(gap);
        self.flush_within(FLUSH_AT_END);
        Ok(())
    }
}

/// Shards that take no more records: they have a last number, and shards that came of them.
fn closed(listed: &[Shard]) -> HashSet<String> {
    let parents: HashSet<&String> = listed.iter().flat_map(|shard| &shard.parents).collect();
    let has_last = |shard: &&Shard| matches!(shard.sequences, Some((_, Some(_))));
    let closed = listed.iter().filter(has_last).filter(|shard| parents.contains(&shard.id));
    closed.map(|shard| shard.id.clone()).collect()
}
