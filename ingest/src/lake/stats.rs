//! Statistics of a data file: how they are written into the Delta log and read back.
//!
//! Invariant: no column whose values can name a person has its values in the log. The log outlives
//! the rows (and their erasure), so only the columns listed here are described in it.

use arrow_schema::DataType;
use hearback_schemas::{EVENTS, Table};
use jiff::Timestamp;
use jiff::tz::TimeZone;
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

/// An instant as `2026-11-23T05:51:48.000001Z`; None beyond the years 0001 to 9999.
pub(crate) fn format_instant(micros: i64) -> Option<String> {
    if !(FIRST_INSTANT..=LAST_INSTANT).contains(&micros) {
        return None;
    }
    let time = Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::UTC);
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.subsec_nanosecond() / 1000,
    ))
}

fn parse_instant(text: &str) -> Option<i64> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_microsecond());
    }
    // Some writers leave the offset out; the protocol says that it is UTC.
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

/// A day since 1970-01-01 as `2026-11-23`, as partition values and folders spell it.
pub(crate) fn format_date(days: i32) -> Option<String> {
    let micros = i64::from(days).checked_mul(86_400_000_000)?;
    format_instant(micros).map(|text| text[..10].to_owned())
}

/// Reads `2026-11-23` as days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let date = text.parse::<jiff::civil::Date>().ok()?;
    let seconds = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    i32::try_from(seconds.div_euclid(86_400)).ok()
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
