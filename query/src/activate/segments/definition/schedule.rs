//! When a segment is brought up to date: every so often, or once a day at an hour.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::config::{format_duration, parse_duration};

/// The rhythm of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// So long after the last run began.
    Every(Duration),
    /// Once a day, at this time in UTC.
    Daily(jiff::civil::Time),
}

impl Schedule {
    /// Reads `1h`, `30 min`, `1 day` (at least a minute), or `daily 06:00`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(time) = text.trim().strip_prefix("daily ") {
            return jiff::civil::Time::strptime("%H:%M", time.trim()).ok().map(Self::Daily);
        }
        let milliseconds = parse_duration(text)?;
        (milliseconds >= 60_000).then(|| Self::Every(Duration::from_millis(milliseconds)))
    }

    /// When the next run is due, after one that began at `last`; at once if there was none.
    #[must_use]
    pub fn next(self, last: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let Some(last) = last else { return now };
        match self {
            Self::Every(duration) => {
                let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
                last.checked_add(duration).unwrap_or(Timestamp::MAX)
            }
            Self::Daily(time) => {
                let last: Zoned = last.to_zoned(TimeZone::UTC);
                let today = last.date().to_datetime(time);
                let due = if last.datetime() < today {
                    Ok(today)
                } else {
                    last.date().tomorrow().map(|day| day.to_datetime(time))
                };
                due.and_then(|at| at.to_zoned(TimeZone::UTC))
                    .map_or(Timestamp::MAX, |at| at.timestamp())
            }
        }
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(duration) => {
                let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                write!(f, "every {}", format_duration(milliseconds))
            }
            Self::Daily(time) => write!(f, "daily at {} UTC", time.strftime("%H:%M")),
        }
    }
}
