//! Keeps two applications of one segment to one destination apart.
//!
//! Beside the states lie `lease/<number>.json`, each saying who holds it and until when; the one with
//! the highest number counts. Holding on, or taking over what has run out, is creating the next number
//! if it is not there yet. What a lease keeps is quiet: that nothing is acknowledged twice is the work
//! of the ledger's fence and of the generations.
//!
//! Invariant: a lease that is held is renewed every [`RENEWAL`] and holds for [`TERM`]; whoever lost it
//! learns so from [`Lease::check`] before the next request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::acknowledged::States;
use super::error::SegmentError;

/// How long a lease holds without being renewed: longer than any request takes.
pub const TERM: Duration = Duration::from_secs(45);
/// How often it is renewed.
pub const RENEWAL: Duration = Duration::from_secs(5);

/// Older numbers that are left lying: somebody who listed them a moment ago must not be able to create
/// one of them anew.
const KEPT: u64 = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// Random identity of the run.
    run: String,
    /// The machine, and the process on it.
    machine: String,
    process: u32,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    until_ms: i64,
}

impl Held {
    fn until(&self) -> Timestamp {
        Timestamp::from_millisecond(self.until_ms).unwrap_or(Timestamp::MAX)
    }
}

/// A lease that is held.
#[derive(Debug)]
pub struct Lease {
    lost: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    chain: Chain,
    renewal: JoinHandle<Chain>,
}

/// The numbered leases of one segment and destination, as one run sees them.
#[derive(Clone, Debug)]
struct Chain {
    states: States,
    held: Held,
    number: u64,
}

impl Lease {
    /// Takes the lease. If it is held by a run that gives no sign of life any more, waits until it has
    /// run out; if its process is known to be gone, does not even wait.
    ///
    /// # Errors
    /// [`SegmentError::Busy`] if another run holds it and is alive.
    pub async fn take(
        states: &States,
        run: &str,
        clock: fn() -> Timestamp,
    ) -> Result<Self, SegmentError> {
        let held = Held {
            run: run.to_owned(),
            machine: machine(),
            process: std::process::id(),
            until_ms: clock().as_millisecond(),
        };
        let mut chain = Chain { states: states.clone(), held, number: 0 };
        let mut watched: Option<(u64, Timestamp)> = None;
        while let Some((number, held)) = chain.newest().await? {
            chain.number = number;
            let now = clock();
            if held.until() <= now || is_gone(&held) {
                break;
            }
            match watched {
                // It was renewed while we looked: it is alive.
                Some((seen, _)) if seen != number => return Err(busy(&held)),
                Some(_) => {}
                None => {
                    tracing::warn!(until = %held.until(), "another run holds this segment and destination: waiting for a sign of life");
                    watched = Some((number, now));
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        chain.renew(clock()).await?;
        let lost = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        let renewal =
            tokio::spawn(renew(chain.clone(), clock, Arc::clone(&lost), Arc::clone(&stop)));
        Ok(Self { lost, stop, chain, renewal })
    }

    /// Fails if the lease is not held any more.
    ///
    /// # Errors
    /// [`SegmentError::Busy`] if another run took over.
    pub fn check(&self) -> Result<(), SegmentError> {
        if self.lost.load(Ordering::Relaxed) { Err(taken_over()) } else { Ok(()) }
    }

    /// Lets go.
    pub async fn release(mut self, now: Timestamp) {
        self.stop.store(true, Ordering::Relaxed);
        self.renewal.abort();
        // The number may have grown since; the newest tells.
        if let Ok(Some((number, held))) = self.chain.newest().await
            && held.run == self.chain.held.run
        {
            self.chain.number = number;
            self.chain.held.until_ms = now.as_millisecond();
            if !matches!(self.chain.create(number + 1).await, Ok(true)) {
                tracing::debug!("a lease was not released; it runs out by itself");
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.renewal.abort();
    }
}

/// Renews until told to stop. A store that does not answer is asked again until the term is over.
async fn renew(
    mut chain: Chain,
    clock: fn() -> Timestamp,
    lost: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> Chain {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if stop.load(Ordering::Relaxed) {
            return chain;
        }
        let now = clock();
        match chain.renew(now).await {
            Ok(()) => {}
            Err(SegmentError::Busy(_)) => {
                lost.store(true, Ordering::Relaxed);
                return chain;
            }
            Err(error) if chain.held.until() <= now => {
                tracing::warn!(%error, "the lease could not be renewed");
                lost.store(true, Ordering::Relaxed);
                return chain;
            }
            Err(error) => tracing::debug!(%error, "the lease could not be renewed yet"),
        }
    }
}

impl Chain {
    async fn renew(&mut self, now: Timestamp) -> Result<(), SegmentError> {
        let term = SignedDuration::try_from(TERM).unwrap_or(SignedDuration::ZERO);
        let before = self.held.until_ms;
        self.held.until_ms = now.checked_add(term).unwrap_or(Timestamp::MAX).as_millisecond();
        let created = self.create(self.number + 1).await;
        if !matches!(created, Ok(true)) {
            self.held.until_ms = before;
        }
        if !created? {
            return Err(taken_over());
        }
        self.number += 1;
        // Higher numbers that were there already: the listing that we went by was old.
        match self.newest().await? {
            Some((number, _)) if number > self.number => Err(taken_over()),
            _ => {
                self.forget().await;
                Ok(())
            }
        }
    }

    async fn create(&self, number: u64) -> Result<bool, SegmentError> {
        let text = serde_json::to_vec(&self.held)
            .map_err(|error| SegmentError::damaged("write the lease", error))?;
        let path = self.path(number);
        if self.states.create(&path, text).await? {
            return Ok(true);
        }
        // The answer to our own first try may have been lost.
        Ok(self.read(&path).await?.is_some_and(|there| there == self.held))
    }

    async fn newest(&self) -> Result<Option<(u64, Held)>, SegmentError> {
        loop {
            let Some(number) = self.numbers().await?.into_iter().max() else { return Ok(None) };
            // Whoever renewed it meanwhile may have cleared it away: look again.
            if let Some(held) = self.read(&self.path(number)).await? {
                return Ok(Some((number, held)));
            }
        }
    }

    async fn numbers(&self) -> Result<Vec<u64>, SegmentError> {
        let folder = self.folder();
        let found: Vec<_> = self
            .states
            .store
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(|error| SegmentError::store(format!("list {folder}"), &error))?;
        let numbers = found.iter().filter_map(|object| {
            object.location.filename()?.strip_suffix(".json")?.parse::<u64>().ok()
        });
        Ok(numbers.collect())
    }

    async fn read(&self, path: &Path) -> Result<Option<Held>, SegmentError> {
        let action = || format!("read {path}");
        let found = match self.states.store.get(path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(SegmentError::store(action(), &error)),
        };
        let bytes = match found.bytes().await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(SegmentError::store(action(), &error)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| SegmentError::damaged(action(), error))
    }

    async fn forget(&self) {
        let Ok(numbers) = self.numbers().await else { return };
        for number in numbers {
            if number + KEPT < self.number {
                // What stays behind is in nobody's way.
                let _ = self.states.store.delete(&self.path(number)).await;
            }
        }
    }

    fn folder(&self) -> Path {
        self.states.folder.clone().join("lease")
    }

    fn path(&self, number: u64) -> Path {
        self.folder().join(format!("{number:020}.json"))
    }
}

fn busy(held: &Held) -> SegmentError {
    SegmentError::Busy(format!(
        "another run is applying this segment to this destination (process {} of {}, until {})",
        held.process,
        held.machine,
        held.until()
    ))
}

fn taken_over() -> SegmentError {
    SegmentError::Busy("another run took over this segment and destination".to_owned())
}

/// The machine's name and the identity of its last start, as far as they can be known: process numbers
/// mean something only within them.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let start = read("/proc/sys/kernel/random/boot_id");
    let name = read("/proc/sys/kernel/hostname");
    if start.is_empty() { String::new() } else { format!("{name} since {start}") }
}

/// Whether the holder was a process of this machine that has ended.
fn is_gone(held: &Held) -> bool {
    !held.machine.is_empty()
        && held.machine == machine()
        && !std::path::Path::new(&format!("/proc/{}", held.process)).exists()
}
