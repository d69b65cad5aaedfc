//! Keeps requests within what an API allows: a token bucket, and pauses that grow and differ.
//!
//! SES allows one request a second for each account and Region over every call but sending ("General
//! quotas", Amazon SES developer guide), so whatever asks the same account and Region shares one
//! [`Pace`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// A rate that all clones share. Waiting is fair: who asks first goes first.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    burst: u32,
    /// When the next request would be due if nothing had been saved up.
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    /// One request each `interval`, with up to `burst` at once after a quiet time; a burst of 1 saves
    /// nothing up.
    #[must_use]
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst: burst.max(1), next: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Waits until the next request may be made.
    pub async fn turn(&self) {
        let due = {
            let mut next = self.next.lock().await;
            let saved = self.interval * (self.burst - 1);
            let earliest = Instant::now().checked_sub(saved).unwrap_or_else(Instant::now);
            let due = (*next).max(earliest);
            *next = due + self.interval;
            due
        };
        tokio::time::sleep_until(due).await;
    }

    /// Makes everyone wait, after the API said that it was too much.
    pub async fn hold(&self, pause: Duration) {
        let mut next = self.next.lock().await;
        *next = (*next).max(Instant::now() + pause);
    }
}

/// Pauses between tries: full jitter (each between nothing and a limit that doubles), so that several
/// that failed together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    limit: Duration,
    most: Duration,
}

impl Backoff {
    /// Begins with pauses below `first` and never exceeds `most`.
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { limit: first.min(most), most }
    }

    /// The next pause; `chance` is a random number from 0 to 1.
    pub fn next(&mut self, chance: f64) -> Duration {
        let pause = self.limit.mul_f64(chance.clamp(0.0, 1.0));
        self.limit = (self.limit * 2).min(self.most);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_a_second_is_one_a_second_for_all_that_share_it() {
        let pace = Pace::new(Duration::from_secs(1), 1);
        let begun = Instant::now();
        let others: Vec<_> = (0..5)
            .map(|_| {
                let pace = pace.clone();
                tokio::spawn(async move { pace.turn().await })
            })
            .collect();
        for other in others {
            other.await.expect("it waits and ends");
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(4));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        pace.turn().await;
        pace.turn().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "nothing is saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_saved_up_and_spent_once() {
        let pace = Pace::new(Duration::from_secs(1), 3);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..4 {
            pace.turn().await;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "three at once, the fourth waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_is_for_everyone() {
        let pace = Pace::new(Duration::from_secs(1), 1);
        pace.hold(Duration::from_secs(10)).await;
        let begun = Instant::now();
        pace.clone().turn().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }

    #[test]
    fn pauses_double_up_to_the_most() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let pauses: Vec<u64> = (0..5).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        assert_eq!(backoff.next(0.0), Duration::ZERO);
    }
}
