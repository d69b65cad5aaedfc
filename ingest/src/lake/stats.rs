//! Statistics of a data file: how they are written into the Delta log and read back.
//!
//! Invariant: no column whose values can name a person has its values in the log. The log outlives
//! the rows (and their erasure), so only the columns listed here are described in it.

use arrow_schema::DataType;
use hearback_schemas::{EVENTS, Table};
use serde_json::{Map, Value, json};

/// Columns of `events` with statistics in the log: times and closed vocabularies, no personal data.
const EVENT_COLUMNS: &[&str] = &[
    "event_type",
    "event_time",
    "ingest_time",
    "source",
    "channel",
    "account_id",
    "region",
    "sent_time",
    "mailbox_provider",
    "bounce_class",
    "actor",
];

/// Longest text of which a minimum or maximum is kept, in bytes; vocabularies are shorter.
const LONGEST_TEXT: usize = 64;

/// First and last instant that ISO 8601 writes with four digits of year, in microseconds since 1970.
/// Statistics beyond them are left out: other readers of the log may not parse them.
const FIRST_INSTANT: i64 = -62_135_596_800_000_000;
const LAST_INSTANT: i64 = 253_402_300_799_999_999;

/// The columns of `table` that the Delta log has statistics of.
pub(crate) fn stats_columns(table: &Table) -> Vec<&'static str> {
    if table.name == EVENTS.name {
        return EVENT_COLUMNS.to_vec();
    }
    table
        .columns
        .iter()
        .filter(|column| column.kind == hearback_schemas::ColumnKind::Timestamp)
        .map(|column| column.name)
        .collect()
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatsValue {
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
}

/// What is known of one column of a data file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnStats {
    /// A lower bound of the values that are not NULL.
    pub min: Option<StatsValue>,
    /// An upper bound of the values that are not NULL.
    pub max: Option<StatsValue>,
    /// Number of NULLs.
    pub nulls: Option<u64>,
}

/// What the Delta log says of the columns of a data file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStats {
    columns: Vec<(&'static str, ColumnStats)>,
}

impl FileStats {
    /// What is known of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnStats> {
        self.columns.iter().find(|(column, _)| *column == name).map(|(_, stats)| stats)
    }

    /// All columns of which something is known.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &ColumnStats)> {
        self.columns.iter().map(|(name, stats)| (*name, stats))
    }

    /// Sets what is known of a column.
    pub(crate) fn set(&mut self, name: &'static str, stats: ColumnStats) {
        self.columns.retain(|(column, _)| *column != name);
        self.columns.push((name, stats));
    }

    /// Whether a row at an instant in `from..=to` (microseconds) may be in the file. Files without
    /// statistics of the column may hold anything.
    pub(crate) fn may_overlap(&self, time_column: &str, from: i64, to: i64) -> bool {
        let Some(stats) = self.column(time_column) else { return true };
        let starts_later = matches!(stats.min, Some(StatsValue::Timestamp(min)) if min > to);
        let ends_earlier = matches!(stats.max, Some(StatsValue::Timestamp(max)) if max < from);
        !starts_later && !ends_earlier
    }

    /// The statistics as the `stats` text of an `add` action (Delta protocol, "Per-file Statistics").
    pub(crate) fn to_json(&self, rows: u64) -> String {
        let mut min_values = Map::new();
        let mut max_values = Map::new();
        let mut null_count = Map::new();
        for (name, stats) in &self.columns {
            // One bound without the other is allowed, but half-known columns trip some readers.
            if let (Some(min), Some(max)) = (&stats.min, &stats.max)
                && let (Some(min), Some(max)) = (value_json(min), value_json(max))
            {
                min_values.insert((*name).to_owned(), min);
                max_values.insert((*name).to_owned(), max);
            }
            if let Some(nulls) = stats.nulls {
                null_count.insert((*name).to_owned(), json!(nulls));
            }
        }
        json!({
            "numRecords": rows,
            "minValues": min_values,
            "maxValues": max_values,
            "nullCount": null_count,
        })
        .to_string()
    }

    /// Reads the `stats` text of an `add` action. What cannot be understood is left out: statistics
    /// only ever allow to skip a file. Returns the number of rows too, if given.
    pub(crate) fn from_json(table: &Table, text: &str) -> (Option<u64>, Self) {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return (None, Self::default());
        };
        let rows = value.get("numRecords").and_then(Value::as_u64);
        let mut stats = Self::default();
        for column in table.columns {
            let part = |key: &str| value.get(key).and_then(|values| values.get(column.name));
            let kind = column.kind.arrow();
            let known = ColumnStats {
                min: part("minValues").and_then(|value| parse_value(value, &kind)),
                // Some writers cut timestamps to milliseconds; the maximum may be up to one more.
                max: part("maxValues").and_then(|value| parse_value(value, &kind)).map(round_up),
                nulls: part("nullCount").and_then(Value::as_u64),
            };
            if known != ColumnStats::default() {
                stats.columns.push((column.name, known));
            }
        }
        (rows, stats)
    }
}

fn value_json(value: &StatsValue) -> Option<Value> {
    match value {
        StatsValue::Timestamp(micros) => format_instant(*micros).map(Value::String),
        StatsValue::Integer(number) => Some(json!(number)),
        StatsValue::Text(text) => (text.len() <= LONGEST_TEXT).then(|| json!(text)),
    }
}

fn parse_value(value: &Value, kind: &DataType) -> Option<StatsValue> {
    match kind {
        DataType::Timestamp(..) => parse_instant(value.as_str()?).map(StatsValue::Timestamp),
        DataType::Int32 | DataType::Int64 => value.as_i64().map(StatsValue::Integer),
        DataType::Utf8 => value.as_str().map(|text| StatsValue::Text(text.to_owned())),
        _ => None,
    }
}

fn round_up(value: StatsValue) -> StatsValue {
    match value {
        StatsValue::Timestamp(micros) if micros % 1000 == 0 => {
            StatsValue::Timestamp(micros.saturating_add(999))
        }
        other => other,
    }
}

const DAY_US: i64 = 86_400_000_000;

/// An instant as `2026-11-23T05:51:48.000001Z`; None beyond the years 0001 to 9999.
///
/// Written out here because the calendar of the time library ends on 9999-12-30.
pub(crate) fn format_instant(micros: i64) -> Option<String> {
    if !(FIRST_INSTANT..=LAST_INSTANT).contains(&micros) {
        return None;
    }
    let (year, month, day) = civil_from_days(micros.div_euclid(DAY_US));
    let of_day = micros.rem_euclid(DAY_US);
    let seconds = of_day / 1_000_000;
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        of_day % 1_000_000,
    ))
}

/// Reads an instant as the protocol and the usual writers spell it: date and time with `T` or a space
/// between, any number of decimals (cut to microseconds), and `Z`, an offset, or nothing for UTC.
fn parse_instant(text: &str) -> Option<i64> {
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return None;
    }
    let days = i64::from(parse_date(date)?);
    let zone = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    let offset = match zone.as_bytes() {
        [] | [b'Z' | b'z'] => 0,
        [sign, hours_tens, hours, minutes @ ..] => {
            let minutes = minutes.strip_prefix(b":").unwrap_or(minutes);
            let hours = two_digits(&[*hours_tens, *hours])?;
            let minutes = if minutes.is_empty() { 0 } else { two_digits(minutes)? };
            let offset = (hours * 60 + minutes) * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let (clock, decimals) = time.split_once('.').unwrap_or((time, ""));
    let [h1, h2, b':', m1, m2, b':', s1, s2] = clock.as_bytes() else { return None };
    let (hour, minute) = (two_digits(&[*h1, *h2])?, two_digits(&[*m1, *m2])?);
    let second = two_digits(&[*s1, *s2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut micros = 0;
    for place in 0..6 {
        let digit = decimals.as_bytes().get(place).copied().unwrap_or(b'0');
        micros = micros * 10 + i64::from(char::from(digit).to_digit(10)?);
    }
    Some(days * DAY_US + (hour * 3600 + minute * 60 + second - offset) * 1_000_000 + micros)
}

fn two_digits(text: &[u8]) -> Option<i64> {
    let [tens, ones] = text else { return None };
    let digits = (char::from(*tens).to_digit(10)?, char::from(*ones).to_digit(10)?);
    Some(i64::from(digits.0 * 10 + digits.1))
}

/// A day since 1970-01-01 as `2026-11-23`, as partition values and folders spell it.
pub(crate) fn format_date(days: i32) -> Option<String> {
    let micros = i64::from(days).checked_mul(DAY_US)?;
    format_instant(micros).map(|text| text[..10].to_owned())
}

/// Reads `2026-11-23` as days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let year = two_digits(&[*y1, *y2])? * 100 + two_digits(&[*y3, *y4])?;
    let (month, day) = (two_digits(&[*m1, *m2])?, two_digits(&[*d1, *d2])?);
    let days = days_from_civil(year, month, day);
    // A day that does not exist, such as 30 February, comes back as another one.
    (civil_from_days(days) == (year, month, day)).then(|| i32::try_from(days).ok())?
}

/// Year, month and day of a day since 1970-01-01 in the proleptic Gregorian calendar. Counts in years
/// that begin in March, so that the leap day comes last, and in eras of 400 years (146,097 days).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_log_over_all_years_it_can_write() {
        for micros in [0, 1, -1, FIRST_INSTANT, LAST_INSTANT, 1_763_877_108_000_001] {
            let text = format_instant(micros).expect("within the years 0001 to 9999");
            assert_eq!(parse_instant(&text), Some(micros), "{text}");
        }
        assert_eq!(format_instant(FIRST_INSTANT).as_deref(), Some("0001-01-01T00:00:00.000000Z"));
        assert_eq!(format_instant(FIRST_INSTANT - 1), None);
        assert_eq!(format_instant(LAST_INSTANT + 1), None);
    }

    #[test]
    fn days_survive_their_spelling() {
        for days in [-719_162, -1, 0, 20_415, 2_932_896] {
            let text = format_date(days).expect("within the years 0001 to 9999");
            assert_eq!(parse_date(&text), Some(days), "{text}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_is_its_own() {
        let mut previous = String::new();
        for days in -719_162..=2_932_896 {
            let text = format_date(days).expect("within the years 0001 to 9999");
            assert!(text > previous, "{text} follows {previous}");
            assert_eq!(parse_date(&text), Some(days));
            previous = text;
        }
        assert_eq!(previous, "9999-12-31");
        assert_eq!(format_date(20_415).as_deref(), Some("2025-11-23"));
        for text in ["2025-02-29", "2025-13-01", "2025-00-10", "2025-1-1", ""] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn other_spellings_of_an_instant_are_read() {
        let instant = parse_instant("2025-11-23T05:51:48.120Z");
        for text in [
            "2025-11-23T05:51:48.12Z",
            "2025-11-23 05:51:48.12",
            "2025-11-23T14:51:48.120000+09:00",
            "2025-11-23T00:21:48.120000000-0530",
        ] {
            assert_eq!(parse_instant(text), instant, "{text}");
        }
        assert!(instant.is_some());
        for text in ["2025-11-23", "2025-11-23T05:51", "2025-11-23T25:00:00Z", "né-11-23T05:51:48Z"]
        {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_maximum_cut_to_milliseconds_still_covers_its_row() {
        let text = r#"{"numRecords":1,"minValues":{"event_time":"2026-01-01T00:00:00.123Z"},
            "maxValues":{"event_time":"2026-01-01T00:00:00.123Z"}}"#;
        let (rows, stats) = FileStats::from_json(&EVENTS, text);
        assert_eq!(rows, Some(1));
        let row = parse_instant("2026-01-01T00:00:00.123456Z").expect("an instant");
        assert!(stats.may_overlap("event_time", row, row));
        assert!(!stats.may_overlap("event_time", row + 1000, row + 2000));
    }

    #[test]
    fn statistics_that_cannot_be_read_skip_nothing() {
        for text in ["", "null", "[]", r#"{"minValues":{"event_time":7}}"#] {
            let (_, stats) = FileStats::from_json(&EVENTS, text);
            assert!(stats.may_overlap("event_time", i64::MIN, i64::MAX), "{text}");
        }
    }
}
