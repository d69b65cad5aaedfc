//! An ingest run, watched: responsible for turning what it tells of its progress into vitals, beside
//! showing it.

use hearback_ingest::{ObjectFailure, Progress, SoFar};

use super::metrics::{BYTES, FAILED_OBJECTS, OBJECTS, RECORDS, ROWS};
use super::vitals::Vitals;

/// Shows progress, and keeps the vitals.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    /// Who shows it.
    pub shown: &'a dyn Progress,
    /// Where it is kept.
    pub vitals: &'a Vitals,
}

impl Progress for Watched<'_> {
    fn update(&self, so_far: &SoFar) {
        let Self { shown, vitals } = self;
        vitals.sign_of_life("reading");
        vitals.set(&RECORDS, &[], so_far.records as f64);
        vitals.set(&ROWS, &[], so_far.rows as f64);
        vitals.set(&BYTES, &[], so_far.bytes as f64);
        vitals.set(&OBJECTS, &[], so_far.objects as f64);
        shown.update(so_far);
    }

    fn failed(&self, failure: &ObjectFailure) {
        self.vitals.add(&FAILED_OBJECTS, &[], 1.0);
        self.shown.failed(failure);
    }
}

impl std::fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("vitals", self.vitals).finish_non_exhaustive()
    }
}
