//! `--since` and `--until`: instants, days, or so long before now.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::parse_duration;

/// A point in time as given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(Timestamp);

/// What a moment must look like.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a time: use 2026-11-01, 2026-11-01T09:00:00Z, or 7d for seven days ago")]
pub struct PeriodError {
    given: String,
}

impl Moment {
    /// As people write it: nobody who says `7d` means a part of a second.
    fn words(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Reads RFC 3339, a date (its midnight in UTC), or a length of time before `now`.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, PeriodError> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self(instant));
        }
        if let Ok(date) = text.parse::<Date>()
            && let Ok(midnight) = date.to_zoned(TimeZone::UTC)
        {
            return Ok(Self(midnight.timestamp()));
        }
        let ago = parse_duration(text)
            .and_then(|milliseconds| i64::try_from(milliseconds).ok())
            .and_then(|ago| now.checked_sub(SignedDuration::from_millis(ago)).ok());
        ago.map(Self).ok_or_else(|| PeriodError { given: text.to_owned() })
    }
}

/// From one moment, included, to another, excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The first moment; None for since ever.
    pub since: Option<Moment>,
    /// The first moment after; None for until now and beyond.
    pub until: Option<Moment>,
}

impl Period {
    /// The condition that a column of time lies within, in SQL.
    #[must_use]
    pub fn condition(&self, column: &str) -> String {
        let bound = |operator: &str, moment: Moment| {
            format!("{column} {operator} TIMESTAMP '{}'", moment.0)
        };
        match (self.since, self.until) {
            (None, None) => "true".to_owned(),
            (Some(since), None) => bound(">=", since),
            (None, Some(until)) => bound("<", until),
            (Some(since), Some(until)) => {
                format!("{} AND {}", bound(">=", since), bound("<", until))
            }
        }
    }

    /// The period in words.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.since, self.until) {
            (None, None) => "all time".to_owned(),
            (Some(since), None) => format!("since {}", since.words()),
            (None, Some(until)) => format!("until {}", until.words()),
            (Some(since), Some(until)) => format!("from {} until {}", since.words(), until.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Period};

    fn moment(text: &str) -> Option<String> {
        let now = "2026-11-23T12:00:00Z".parse().expect("an instant");
        Moment::parse(text, now).ok().map(|moment| moment.0.to_string())
    }

    #[test]
    fn a_moment_is_an_instant_a_day_or_so_long_ago() {
        assert_eq!(moment("2026-11-01T09:30:00+09:00").as_deref(), Some("2026-11-01T00:30:00Z"));
        assert_eq!(moment("2026-11-01").as_deref(), Some("2026-11-01T00:00:00Z"));
        assert_eq!(moment("7d").as_deref(), Some("2026-11-16T12:00:00Z"));
        assert_eq!(moment("90 minutes").as_deref(), Some("2026-11-23T10:30:00Z"));
        assert_eq!(moment("yesterday"), None);
        assert_eq!(moment("'; DROP TABLE events"), None);
    }

    #[test]
    fn the_end_of_a_period_is_not_in_it() {
        let now = "2026-11-23T12:00:00Z".parse().expect("an instant");
        let period = Period {
            since: Moment::parse("2026-11-01", now).ok(),
            until: Moment::parse("2026-12-01", now).ok(),
        };
        assert_eq!(
            period.condition("sent_time"),
            "sent_time >= TIMESTAMP '2026-11-01T00:00:00Z' AND sent_time < TIMESTAMP '2026-12-01T00:00:00Z'"
        );
    }
}
