//! Time in a simulated world: virtual, and never the same for two things that could meet.
//!
//! The runtime's clock is paused and moves on only when everybody waits. Whatever looks at or changes
//! what processes share first takes a turn: a millisecond of its own. So the order in which things
//! happen follows from the seed, not from how threads of this machine are scheduled.

use std::collections::BTreeSet;
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
    taken: Arc<Mutex<BTreeSet<u64>>>,
    thread: ThreadId,
}

impl Time {
    /// Begins now. To be called within the paused runtime.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), taken: Arc::default(), thread: std::thread::current().id() }
    }

    /// Milliseconds since the world began.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("worlds are short")
    }

    /// The time of day, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn now_ms(&self) -> i64 {
        BEGINNING_MS + i64::try_from(self.elapsed_ms()).expect("worlds are short")
    }

    /// Waits about so many milliseconds, until a millisecond that is nobody else's.
    ///
    /// The Delta library reads logs on threads of its own, for which time cannot go on (the world waits
    /// for them): they do not wait, and as nobody else runs meanwhile, they need not.
    pub(crate) async fn turn(&self, delay_ms: u64) {
        if !self.is_world() {
            return;
        }
        let now = self.elapsed_ms();
        let at = {
            let mut taken = self.taken.lock().expect("nobody panics in here");
            *taken = taken.split_off(&now);
            let mut at = now + delay_ms.max(1);
            while !taken.insert(at) {
                at += 1;
            }
            at
        };
        tokio::time::sleep_until(self.began + Duration::from_millis(at)).await;
    }

    /// Whether this is the world's thread, and not one that a library started.
    pub(crate) fn is_world(&self) -> bool {
        std::thread::current().id() == self.thread
    }
}
