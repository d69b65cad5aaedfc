//! Hours at a provider in which so much failed that a failure says nothing about an address: an outage
//! there, a block list, or a mistake of ours.
//!
//! Invariant: a provider that has never taken a message is not frozen. There is no good customer to
//! protect, and a dead domain would be frozen for ever.

use std::collections::HashMap;

use super::settings::FreezeLimits;

pub(super) const HOUR_US: i64 = 3_600_000_000;

/// One hour in which many recipients of a provider failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedHour {
    /// Mailbox provider, or domain.
    pub provider: String,
    /// Start of the hour, in microseconds since 1970.
    pub hour_us: i64,
    /// Recipients that failed in it.
    pub failed: u64,
}

/// One hour that was too bad to be about addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenHour {
    /// Mailbox provider, or domain.
    pub provider: String,
    /// Start of the hour, in microseconds since 1970.
    pub hour_us: i64,
    /// Recipients that failed in it.
    pub failed: u64,
    /// Messages that were delivered in it.
    pub delivered: u64,
}

impl FailedHour {
    /// The same hour with what was delivered in it.
    pub(super) fn with_delivered(self, delivered: u64) -> FrozenHour {
        let Self { provider, hour_us, failed } = self;
        FrozenHour { provider, hour_us, failed, delivered }
    }
}

impl FrozenHour {
    /// Whether more failed than the limits let pass. Numerator: distinct recipients with a failure of any
    /// cause but echoes and automatic answers. Denominator: these and the messages delivered.
    pub(super) fn exceeds(&self, limits: FreezeLimits) -> bool {
        let tried = u128::from(self.failed) + u128::from(self.delivered);
        self.failed >= limits.recipients
            && u128::from(self.failed) * 1_000_000 > u128::from(limits.share) * tried
    }
}

/// Frozen hours, each with the hour before and the hour after: incidents do not keep to the clock.
#[derive(Clone, Debug, Default)]
pub struct Freeze {
    hours: Vec<FrozenHour>,
    starts: HashMap<String, Vec<i64>>,
}

impl Freeze {
    /// Takes the hours up, except those of providers that are thawed by name.
    #[must_use]
    pub fn new(hours: Vec<FrozenHour>, thawed: &[String]) -> Self {
        let hours: Vec<FrozenHour> =
            hours.into_iter().filter(|hour| !thawed.contains(&hour.provider)).collect();
        let mut starts: HashMap<String, Vec<i64>> = HashMap::new();
        for hour in &hours {
            starts.entry(hour.provider.clone()).or_default().push(hour.hour_us);
        }
        for hours in starts.values_mut() {
            hours.sort_unstable();
        }
        Self { hours, starts }
    }

    /// Whether a failure at this time says nothing.
    #[must_use]
    pub fn holds(&self, provider: &str, time_us: i64) -> bool {
        let Some(starts) = self.starts.get(provider) else { return false };
        let first = starts.partition_point(|start| start + 2 * HOUR_US <= time_us);
        starts.get(first).is_some_and(|start| start - HOUR_US <= time_us)
    }

    /// The frozen hours themselves.
    #[must_use]
    pub fn hours(&self) -> &[FrozenHour] {
        &self.hours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_frozen_with_an_hour_before_and_after() {
        let hour = |at: i64| FrozenHour {
            provider: "gmail".to_owned(),
            hour_us: at * HOUR_US,
            failed: 30,
            delivered: 30,
        };
        let freeze = Freeze::new(vec![hour(10), hour(11)], &[]);
        let at = |hours: f64| freeze.holds("gmail", (hours * HOUR_US as f64) as i64);
        assert!(!at(8.9) && at(9.0) && at(10.5) && at(12.9) && !at(13.0));
        assert!(!freeze.holds("outlook", 10 * HOUR_US));
        let thawed = Freeze::new(vec![hour(10)], &["gmail".to_owned()]);
        assert!(!thawed.holds("gmail", 10 * HOUR_US));
    }
}
