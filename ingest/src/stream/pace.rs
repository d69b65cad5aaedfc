//! How often a shard is asked, and how long to wait after a failure. Pure: time goes in and comes out.
//!
//! Kinesis allows five `GetRecords` a second for each shard and reader, and 2 MiB/s; AWS advises about
//! one a second at the tip, so that several readers fit. Invariant: never more than four a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Between two requests while there is more to read.
const BEHIND: Duration = Duration::from_millis(250);
/// Between two requests at the tip.
const AT_TIP: Duration = Duration::from_secs(1);
/// Bytes a second that Kinesis gives of one shard.
const SHARD_BYTES_PER_SECOND: u64 = 2 << 20;

/// The pace of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Whether Kinesis has shown that it holds this reader to the bytes a shard may give.
    is_held: bool,
}

impl Pace {
    /// How long after the request that brought a page the next one may go out.
    pub(crate) fn after_page(&self, bytes: u64, behind_ms: Option<i64>) -> Duration {
        if behind_ms == Some(0) {
            return AT_TIP;
        }
        if !self.is_held {
            return BEHIND;
        }
        let paid = Duration::from_micros(bytes.saturating_mul(1_000_000) / SHARD_BYTES_PER_SECOND);
        BEHIND.max(paid)
    }

    /// Kinesis said that it was too much: from now on the pace allows for the size of pages.
    pub(crate) fn throttled(&mut self) {
        self.is_held = true;
    }
}

/// Randomness for pauses, shared by the tasks of a run and seeded by whoever starts it.
#[derive(Clone, Debug)]
pub(crate) struct Jitter {
    random: Arc<Mutex<ChaCha8Rng>>,
}

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))) }
    }

    /// A time from zero to `limit`.
    pub(crate) fn up_to(&self, limit: Duration) -> Duration {
        // A number is taken under the lock and nothing else, so it guards nothing half-changed.
        let drawn = self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u32();
        limit.mul_f64(f64::from(drawn) / f64::from(u32::MAX))
    }
}

/// Growing pauses with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog): of any
/// length up to a limit that doubles with every failure. It never gives up.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    jitter: Jitter,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration, jitter: &Jitter) -> Self {
        Self { first, longest, failures: 0, jitter: jitter.clone() }
    }

    /// For requests to Kinesis.
    pub(crate) fn of_requests(jitter: &Jitter) -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(20), jitter)
    }

    /// How often in a row it has failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause after another failure.
    pub(crate) fn failed(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.jitter.up_to(doubled.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_asked_often_when_behind_and_seldom_at_the_tip() {
        let mut pace = Pace::default();
        assert_eq!(pace.after_page(10 << 20, Some(0)), AT_TIP);
        assert_eq!(pace.after_page(10 << 20, Some(1)), BEHIND);
        assert_eq!(pace.after_page(0, None), BEHIND);
        pace.throttled();
        assert_eq!(pace.after_page(10 << 20, Some(1)), Duration::from_secs(5));
        assert_eq!(pace.after_page(1000, Some(1)), BEHIND);
    }

    #[test]
    fn pauses_grow_are_random_and_stay_in_bounds() {
        let jitter = Jitter::new(7);
        let longest = Duration::from_secs(20);
        let mut backoff = Backoff::new(Duration::from_millis(500), longest, &jitter);
        assert!(backoff.failed() <= Duration::from_millis(500));
        let mut pauses = Vec::new();
        for _ in 0..1000 {
            pauses.push(backoff.failed());
        }
        assert!(pauses.iter().all(|pause| *pause <= longest));
        let late: Duration = pauses[10..].iter().sum::<Duration>() / 990;
        assert!(late > longest / 3 && late < longest * 2 / 3, "{late:?}");
        backoff.succeeded();
        assert!(backoff.failed() <= Duration::from_millis(500));
    }
}
