//! What a run tells of itself: responsible for holding the values of all metrics, and for judging from
//! its signs of life whether progress is being made. Everyone who shows or sends them reads them here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::metrics::{HEALTHY, Metric};

/// A run that gave no sign of life for so long is stuck. A commit that has to be tried again takes
/// seconds, and a run gives a sign every second while it waits for its source.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Of so many things that keep a run from being well, the reasons are told.
const TOLD: usize = 10;

/// One value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// Whether progress is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is, or there is nothing to do, or another process does it.
    Good(String),
    /// It is not.
    Bad(String),
}

type Values = BTreeMap<Vec<(&'static str, String)>, f64>;

/// The values of all metrics, and the signs of life of one part of a process.
#[derive(Debug)]
pub struct Vitals {
    /// Name of the part; empty if it is the whole.
    part: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    values: BTreeMap<&'static str, Values>,
    parts: BTreeMap<&'static str, Signs>,
    /// What keeps the run from going on, and why.
    blocked: BTreeMap<String, String>,
}

/// The last sign of life of a part.
#[derive(Debug)]
struct Signs {
    last: Instant,
    doing: String,
    /// Whether silence is no sign of trouble.
    may_be_silent: bool,
}

impl Signs {
    fn now(doing: &str) -> Self {
        Self { last: Instant::now(), doing: doing.to_owned(), may_be_silent: false }
    }
}

impl Default for Vitals {
    fn default() -> Self {
        Self::new()
    }
}

impl Vitals {
    /// Of a run that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { part: "", state: Arc::default() }.started()
    }

    /// The vitals of a part of the run that works beside the others: values are shared, signs of life are its
    /// own. If one part is stuck, the run is not well.
    #[must_use]
    pub fn part(&self, name: &'static str) -> Self {
        Self { part: name, state: Arc::clone(&self.state) }.started()
    }

    fn started(self) -> Self {
        self.state().parts.insert(self.part, Signs::now("starting"));
        self
    }

    /// Sets a value.
    pub fn set(&self, metric: &'static Metric, labels: &[(&'static str, &str)], value: f64) {
        self.state().values.entry(metric.name).or_default().insert(owned(labels), value);
    }

    /// Adds to a value, which begins at 0.
    pub fn add(&self, metric: &'static Metric, labels: &[(&'static str, &str)], more: f64) {
        *self.state().values.entry(metric.name).or_default().entry(owned(labels)).or_default() +=
            more;
    }

    /// Takes the values of a metric away, such as those of a shard that has ended.
    pub fn forget(&self, metric: &'static Metric, labels: &[(&'static str, &str)]) {
        if let Some(values) = self.state().values.get_mut(metric.name) {
            values.remove(&owned(labels));
        }
    }

    /// A sign of life, and what the run is doing, such as `reading`.
    pub fn sign_of_life(&self, doing: &str) {
        self.state().parts.insert(self.part, Signs::now(doing));
    }

    /// Another process does the work; there will be no sign of life until it is this one's turn.
    pub fn stand_by(&self) {
        let mut state = self.state();
        let signs = Signs { may_be_silent: true, ..Signs::now("standing by") };
        state.parts.insert(self.part, signs);
        state.blocked.clear();
    }

    /// The run is alive, but cannot go on because of `what`, for this reason.
    pub fn block(&self, what: &str, reason: &str) {
        let mut state = self.state();
        if let Some(signs) = state.parts.get_mut(self.part) {
            signs.last = Instant::now();
        }
        state.blocked.insert(what.to_owned(), reason.to_owned());
    }

    /// `what` keeps it no longer.
    pub fn unblock(&self, what: &str) {
        self.state().blocked.remove(what);
    }

    /// Whether progress is being made.
    #[must_use]
    pub fn health(&self) -> Health {
        let state = self.state();
        if !state.blocked.is_empty() {
            let told = state.blocked.iter().take(TOLD);
            let told: Vec<String> =
                told.map(|(what, reason)| format!("blocked by {what}: {reason}")).collect();
            let more = match state.blocked.len() - told.len() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            return Health::Bad(format!("{}{more}", told.join("; ")));
        }
        let mut doing = Vec::with_capacity(state.parts.len());
        for (part, signs) in &state.parts {
            let silent = signs.last.elapsed();
            let what = match *part {
                "" => signs.doing.clone(),
                part => format!("{part} {}", signs.doing),
            };
            if silent > STUCK_AFTER && !signs.may_be_silent {
                return Health::Bad(format!(
                    "stuck: no sign of life for {} s while {what}",
                    silent.as_secs(),
                ));
            }
            doing.push(what);
        }
        Health::Good(doing.join(", "))
    }

    /// The values of a metric; none if nobody has set one.
    #[must_use]
    pub fn series(&self, metric: &Metric) -> Vec<Series> {
        if *metric == HEALTHY {
            let value = f64::from(u8::from(matches!(self.health(), Health::Good(_))));
            return vec![Series { labels: Vec::new(), value }];
        }
        let state = self.state();
        let Some(values) = state.values.get(metric.name) else { return Vec::new() };
        values
            .iter()
            .map(|(labels, value)| Series { labels: labels.clone(), value: *value })
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete in itself, so a panic elsewhere leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn owned(labels: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::metrics::RECORDS;
    use super::*;

    #[test]
    fn values_are_kept_by_their_labels() {
        let vitals = Vitals::new();
        vitals.add(&RECORDS, &[("shard", "a")], 2.0);
        vitals.add(&RECORDS, &[("shard", "a")], 3.0);
        vitals.set(&RECORDS, &[("shard", "b")], 1.0);
        let values: Vec<f64> = vitals.series(&RECORDS).iter().map(|series| series.value).collect();
        assert_eq!(values, [5.0, 1.0]);
        vitals.forget(&RECORDS, &[("shard", "a")]);
        assert_eq!(vitals.series(&RECORDS).len(), 1);
    }

    #[test]
    fn a_run_is_well_while_it_gives_signs_and_is_not_blocked() {
        let vitals = Vitals::new();
        vitals.sign_of_life("reading");
        assert_eq!(vitals.health(), Health::Good("reading".to_owned()));
        vitals.block("the lake", "access is denied");
        assert_eq!(
            vitals.health(),
            Health::Bad("blocked by the lake: access is denied".to_owned())
        );
        assert_eq!(vitals.series(&HEALTHY)[0].value, 0.0);
        vitals.block("a segment", "it is refused");
        assert_eq!(
            vitals.health(),
            Health::Bad(
                "blocked by a segment: it is refused; blocked by the lake: access is denied"
                    .to_owned()
            )
        );
        vitals.unblock("a segment");
        vitals.unblock("the lake");
        let age = || {
            let mut state = vitals.state();
            let signs = state.parts.get_mut("").expect("the whole");
            signs.last -= STUCK_AFTER + Duration::from_secs(1);
        };
        vitals.stand_by();
        age();
        assert_eq!(vitals.health(), Health::Good("standing by".to_owned()));
        vitals.sign_of_life("reading");
        age();
        let Health::Bad(reason) = vitals.health() else { panic!("stuck and well") };
        assert!(reason.starts_with("stuck: no sign of life for 61 s"), "{reason}");
    }

    #[test]
    fn one_part_that_is_stuck_makes_the_whole_unwell() {
        let whole = Vitals::new();
        whole.sign_of_life("serving");
        let (one, other) = (whole.part("segments"), whole.part("suppression"));
        one.sign_of_life("waiting");
        assert_eq!(
            other.health(),
            Health::Good("serving, segments waiting, suppression starting".to_owned())
        );
        one.add(&RECORDS, &[], 2.0);
        assert_eq!(whole.series(&RECORDS)[0].value, 2.0);
        whole.state().parts.get_mut("suppression").expect("a part").last -=
            STUCK_AFTER + Duration::from_secs(1);
        one.sign_of_life("applying");
        let Health::Bad(reason) = whole.health() else { panic!("stuck and well") };
        assert!(reason.ends_with("while suppression starting"), "{reason}");
        other.sign_of_life("waiting");
        assert!(matches!(whole.health(), Health::Good(_)));
    }
}
