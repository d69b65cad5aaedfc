//! How far a run is: responsible for telling whoever watches, often enough to be alive and seldom
//! enough to cost nothing. Drawing it is the watcher's own affair.

use std::time::{Duration, Instant};

use crate::lake::Committed;
use crate::source::ObjectFailure;

/// Between two updates, the first and the last apart.
const EVERY: Duration = Duration::from_millis(100);

/// Watches a run. Called from the run's own task: an implementation has to be quick.
pub trait Progress: Send + Sync {
    /// How far the run is, at most ten times a second, and once at the end.
    fn update(&self, so_far: &SoFar);

    /// An object could not be read, or not to its end. Called once for each, as soon as it is known.
    fn failed(&self, failure: &ObjectFailure);

    /// A commit was made, and took so long.
    fn committed(&self, _: &Committed, _: Duration) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn update(&self, _: &SoFar) {}

    fn failed(&self, _: &ObjectFailure) {}
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Bytes read, as stored.
    pub bytes: u64,
    /// Bytes there are to read; `None` as long as the listing goes on, and for streams.
    pub bytes_total: Option<u64>,
    /// Objects read to their end.
    pub objects: u64,
    /// Objects there are to read; `None` as long as the listing goes on.
    pub objects_total: Option<u64>,
    /// Source documents understood or rejected.
    pub records: u64,
    /// Rows decoded; some of them may turn out to be in the lake already.
    pub rows: u64,
    /// Since the run began.
    pub elapsed: Duration,
}

/// Calls a watcher at its pace.
pub(crate) struct Pace<'a> {
    watcher: &'a dyn Progress,
    last: Option<Instant>,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(watcher: &'a dyn Progress) -> Self {
        Self { watcher, last: None }
    }

    /// Calls the watcher if it is time. `so_far` is only made if so.
    pub(crate) fn update(&mut self, so_far: impl FnOnce() -> SoFar) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < EVERY) {
            return;
        }
        self.last = Some(now);
        self.watcher.update(&so_far());
    }

    pub(crate) fn end(&mut self, so_far: &SoFar) {
        self.watcher.update(so_far);
    }

    pub(crate) fn committed(&self, committed: &Committed, took: Duration) {
        self.watcher.committed(committed, took);
    }

    pub(crate) fn failed(&self, failure: &ObjectFailure) {
        self.watcher.failed(failure);
    }
}
