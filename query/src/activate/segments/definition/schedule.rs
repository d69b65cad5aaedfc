//! When a segment is brought up to date: every so often, once a day, or as a cron pattern says.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::config::{format_duration, parse_duration};

/// Fields of a cron pattern: minute, hour, day of the month, month, day of the week.
const CRON_FIELDS: usize = 5;

/// The rhythm of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// So long after the last run began.
    Every(Duration),
    /// Once a day, at this time in UTC.
    Daily(jiff::civil::Time),
    /// When the pattern says, in UTC.
    Cron(Box<Cron>),
}

impl Schedule {
    /// Reads `1h`, `30 min`, `1 day` (at least a minute), `daily 06:00`, or a cron pattern of five fields
    /// such as `0 5 * * 1-5`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(time) = text.strip_prefix("daily ") {
            return jiff::civil::Time::strptime("%H:%M", time.trim()).ok().map(Self::Daily);
        }
        if text.split_whitespace().count() == CRON_FIELDS {
            return Cron::from_str(text).ok().map(|cron| Self::Cron(Box::new(cron)));
        }
        let milliseconds = parse_duration(text)?;
        (milliseconds >= 60_000).then(|| Self::Every(Duration::from_millis(milliseconds)))
    }

    /// When the next run is due, after one that began at `last`; at once if there was none.
    #[must_use]
    pub fn next(&self, last: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let Some(last) = last else { return now };
        match self {
            Self::Every(duration) => {
                let duration = SignedDuration::try_from(*duration).unwrap_or(SignedDuration::MAX);
                last.checked_add(duration).unwrap_or(Timestamp::MAX)
            }
            Self::Daily(time) => {
                let last: Zoned = last.to_zoned(TimeZone::UTC);
                let today = last.date().to_datetime(*time);
                let due = if last.datetime() < today {
                    Ok(today)
                } else {
                    last.date().tomorrow().map(|day| day.to_datetime(*time))
                };
                due.and_then(|at| at.to_zoned(TimeZone::UTC))
                    .map_or(Timestamp::MAX, |at| at.timestamp())
            }
            // A pattern that never comes again, such as 31 February, is never due.
            Self::Cron(cron) => cron
                .find_next_occurrence(&last.to_zoned(TimeZone::UTC), false)
                .map_or(Timestamp::MAX, |at| at.timestamp()),
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
            Self::Cron(cron) => write!(f, "cron {} UTC", cron.as_str()),
        }
    }
}
