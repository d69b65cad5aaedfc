//! Who reads a stream: responsible for keeping several processes on one stream quiet.
//!
//! Whoever reads writes a small object every few seconds, `owner.json` beside the manifests. Another
//! process that finds it changing stands by, and takes over when it has stopped changing. Invariant:
//! nothing rests on it. If it lies, two processes read the same stream; the table lets one of them
//! commit, and the other's work is wasted.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::aws::StoreLocation;
use crate::cancel::CancelFlag;
use crate::pipeline::Clock;

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(5);
/// Between two looks of a process that stands by.
const LOOK: Duration = Duration::from_secs(2);
/// An owner that gave no sign of life for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(15);
/// A sign of life that is older than this by the clock is no sign of life.
const STALE_MS: i64 = 60_000;

/// A process, where it can be told apart from every other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The boot of the machine, and the namespace that numbers its processes.
    pub machine: String,
    /// Number of the process.
    pub pid: u32,
}

impl ProcessIdentity {
    /// This process; None where the system does not tell (Linux does).
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        Some(Self { machine: machine()?, pid: std::process::id() })
    }

    /// Whether it is known to have ended: it ran on this machine, and does not any more.
    fn has_ended(&self) -> bool {
        machine().as_deref() == Some(&self.machine)
            && !std::path::Path::new(&format!("/proc/{}", self.pid)).exists()
    }
}

fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Beat {
    run: String,
    count: u64,
    at_ms: i64,
    process: Option<ProcessIdentity>,
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Nobody reads the stream, as far as can be told.
    Free,
    /// A stop was asked for.
    Stopped,
}

/// The place where the owner of one stream gives signs of life.
#[derive(Clone)]
pub(super) struct Owner {
    store: Arc<dyn ObjectStore>,
    path: Path,
    run: String,
    process: Option<ProcessIdentity>,
    clock: Clock,
}

impl Owner {
    pub(super) fn new(
        place: &StoreLocation,
        positions_name: &str,
        run: uuid::Uuid,
        process: Option<ProcessIdentity>,
        clock: Clock,
    ) -> Self {
        let folder = place.prefix.clone().join("_hearback").join("checkpoints");
        let path = folder.join(positions_name).join("owner.json");
        Self { store: Arc::clone(&place.store), path, run: run.to_string(), process, clock }
    }

    /// Gives signs of life for as long as it is polled.
    pub(super) async fn stay_alive(self) {
        let mut count = 0;
        loop {
            count += 1;
            let beat = Beat {
                run: self.run.clone(),
                count,
                at_ms: self.now_ms(),
                process: self.process.clone(),
            };
            // It keeps things quiet and nothing else: whoever cannot write here will fail to commit.
            if let Ok(bytes) = serde_json::to_vec(&beat)
                && let Err(error) = self.store.put(&self.path, bytes.into()).await
            {
                tracing::debug!(%error, "no sign of life could be written");
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Says that the stream is free.
    pub(super) async fn release(&self) {
        if self.read().await.is_some_and(|beat| beat.run == self.run)
            && let Err(error) = self.store.delete(&self.path).await
        {
            tracing::debug!(%error, "the sign of life could not be taken away");
        }
    }

    /// Returns when nobody else reads the stream; at once if that can be told at once. `on_wait` is
    /// called if it has to be waited for.
    pub(super) async fn wait_until_free(&self, cancel: &CancelFlag, on_wait: impl Fn()) -> Waited {
        let Some(beat) = self.read().await else { return Waited::Free };
        let is_over = beat.run == self.run
            || self.now_ms() - beat.at_ms > STALE_MS
            || beat.process.as_ref().is_some_and(ProcessIdentity::has_ended);
        if is_over {
            return Waited::Free;
        }
        on_wait();
        self.watch(cancel, Some(beat)).await
    }

    /// Returns when the process that has taken the stream away gives no more signs of life.
    pub(super) async fn wait_after_losing(&self, cancel: &CancelFlag) -> Waited {
        let last = self.read().await;
        // The winner may not have given its first sign yet: the object's absence tells nothing.
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = cancel.cancelled() => return Waited::Stopped,
        }
        self.watch(cancel, last).await
    }

    async fn watch(&self, cancel: &CancelFlag, mut last: Option<Beat>) -> Waited {
        let mut heard_at = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = cancel.cancelled() => return Waited::Stopped,
            }
            let beat = self.read().await;
            if beat.is_none() {
                return Waited::Free;
            }
            if beat
                .as_ref()
                .and_then(|beat| beat.process.as_ref())
                .is_some_and(ProcessIdentity::has_ended)
            {
                return Waited::Free;
            }
            if beat != last {
                last = beat;
                heard_at = Instant::now();
            } else if heard_at.elapsed() >= SILENCE {
                return Waited::Free;
            }
        }
    }

    /// The last sign of life; None if there is none, or none that can be read.
    async fn read(&self) -> Option<Beat> {
        let found = self.store.get(&self.path).await.ok()?;
        serde_json::from_slice(&found.bytes().await.ok()?).ok()
    }

    fn now_ms(&self) -> i64 {
        (self.clock)().div_euclid(1000)
    }
}
