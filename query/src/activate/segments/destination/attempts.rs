//! Tries a request again when the other side says that it is busy or does not answer.

use std::sync::Arc;
use std::time::Duration;

use super::DestinationError;
use crate::activate::pace::{Backoff, Pace};

/// Tries of one request, the first included: with the pauses below, about two minutes.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How requests are tried again.
#[derive(Clone)]
pub struct Attempts {
    chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    first_pause: Duration,
    longest_pause: Duration,
}

impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts").field("first_pause", &self.first_pause).finish_non_exhaustive()
    }
}

/// What a request came to.
#[derive(Debug)]
pub(super) enum Tried<T> {
    /// It was answered.
    Answered(T),
    /// The other side is busy, broken or silent: worth another try, after so long if it said so.
    Busy {
        /// What it said.
        reason: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// It will never be answered otherwise.
    Final(DestinationError),
}

impl Attempts {
    /// With pauses of at most half a second at first, 30 seconds later; `chance` gives a random number
    /// from 0 to 1 each time.
    #[must_use]
    pub fn new(chance: Arc<dyn Fn() -> f64 + Send + Sync>) -> Self {
        Self { chance, first_pause: FIRST_PAUSE, longest_pause: LONGEST_PAUSE }
    }

    /// The same with other pauses.
    #[must_use]
    pub fn with_pauses(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_pause, self.longest_pause) = (first, longest);
        self
    }

    /// Rests before a further round.
    pub(super) async fn rest(&self, round: u32) {
        let limit = (self.first_pause * 2_u32.saturating_pow(round)).min(self.longest_pause);
        tokio::time::sleep(limit.mul_f64((self.chance)().clamp(0.0, 1.0))).await;
    }

    /// How far apart requests are: as given, or nearer where pauses are short altogether.
    pub(super) fn request_interval(&self, usual: Duration) -> Duration {
        usual.min(self.longest_pause)
    }

    /// How often a job is asked after: as given, or sooner where pauses are short altogether.
    pub(super) fn poll_interval(&self, usual: Duration) -> Duration {
        usual.min(self.longest_pause)
    }

    /// Makes a request until it is answered; each try waits for its turn.
    pub(super) async fn make<T, F>(
        &self,
        destination: &str,
        pace: &Pace,
        mut request: impl FnMut() -> F,
    ) -> Result<T, DestinationError>
    where
        F: Future<Output = Tried<T>>,
    {
        let mut backoff = Backoff::new(self.first_pause, self.longest_pause);
        let mut last = String::new();
        for attempt in 0..TRIES {
            pace.turn().await;
            match request().await {
                Tried::Answered(answer) => return Ok(answer),
                Tried::Final(error) => return Err(error),
                Tried::Busy { reason, after } => {
                    tracing::debug!(destination, attempt, reason, "a request is tried again");
                    last = reason;
                    if attempt + 1 < TRIES {
                        let pause = backoff.next((self.chance)());
                        // A service that says an hour is not waited for.
                        let asked = after.unwrap_or_default().min(self.longest_pause);
                        pace.hold(pause.max(asked)).await;
                    }
                }
            }
        }
        Err(DestinationError::Unavailable {
            destination: destination.to_owned(),
            reason: format!("{last} (tried {TRIES} times)"),
        })
    }
}
