//! Time in a simulated world: virtual, and never the same for two things that could meet.
//!
//! The runtime's clock is paused and moves on only when everybody waits. Whatever looks at or changes
//! what processes share first takes a turn: a millisecond of its own. What is asked for at one instant
//! is put in order by its keys, not by who came first. So the order in which things happen follows from
//! the seed, and not from how this machine schedules its threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use tokio::time::Instant;

/// When every world begins: 2026-09-01T00:00:00Z, in milliseconds.
pub(crate) const BEGINNING_MS: i64 = 1_788_220_800_000;

/// The clock of one world. Clones are the same clock.
#[derive(Clone, Debug)]
pub(crate) struct Time {
    began: Instant,
    turns: Arc<Mutex<Turns>>,
    thread: ThreadId,
}

#[derive(Debug, Default)]
struct Turns {
    /// Asked for, and not given yet: by key, when that was, and how long it is to take.
    asked: BTreeMap<u64, (u64, u64)>,
    /// Given: by key, the millisecond.
    given: BTreeMap<u64, u64>,
    /// Milliseconds that are somebody's.
    taken: BTreeSet<u64>,
}

impl Turns {
    /// Gives a turn to whoever asked before now, in the order of the keys.
    fn give(&mut self, now: u64) {
        self.taken = self.taken.split_off(&now);
        let (due, later) = std::mem::take(&mut self.asked)
            .into_iter()
            .partition(|(_, (asked_at, _))| *asked_at < now);
        self.asked = later;
        let due: BTreeMap<u64, (u64, u64)> = due;
        for (key, (_, delay_ms)) in due {
            let mut at = now + delay_ms.max(1);
            while !self.taken.insert(at) {
                at += 1;
            }
            self.given.insert(key, at);
        }
    }
}

impl Time {
    /// Begins now. To be called within the paused runtime.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), turns: Arc::default(), thread: std::thread::current().id() }
    }

    /// Milliseconds since the world began.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("worlds are short")
    }

    /// The time of day, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn now_ms(&self) -> i64 {
        BEGINNING_MS + i64::try_from(self.elapsed_ms()).expect("worlds are short")
    }

    /// Waits about so many milliseconds, until a millisecond that is nobody else's. No two keys may be
    /// the same.
    ///
    /// The Delta library reads logs on threads of its own, for which time cannot go on (the world waits
    /// for them): they do not wait, and as nobody else runs meanwhile, they need not.
    pub(crate) async fn turn(&self, key: u64, delay_ms: u64) {
        if !self.is_world() {
            return;
        }
        let asked_at = self.elapsed_ms();
        self.lock().asked.insert(key, (asked_at, delay_ms));
        // Time goes on when everybody waits: then all that is asked for at this instant has been.
        self.sleep_until(asked_at + 1).await;
        let at = {
            let mut turns = self.lock();
            turns.give(self.elapsed_ms());
            turns.given.remove(&key).expect("it was asked for before now")
        };
        self.sleep_until(at).await;
    }

    async fn sleep_until(&self, ms: u64) {
        tokio::time::sleep_until(self.began + Duration::from_millis(ms)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().expect("nobody panics with the turns in hand")
    }

    /// Whether this is the world's thread, and not one that a library started.
    pub(crate) fn is_world(&self) -> bool {
        std::thread::current().id() == self.thread
    }
}
