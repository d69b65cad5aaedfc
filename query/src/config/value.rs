//! Values of settings, and the human spellings of sizes and lengths of time.

use std::fmt::Write;

use super::keys::Kind;

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Text.
    Text(String),
    /// A number of things.
    Count(u64),
    /// A size in bytes.
    Bytes(u64),
    /// A length of time in milliseconds.
    Milliseconds(u64),
    /// A length of time without an end.
    Never,
    /// A share, in millionths.
    Share(u64),
    /// A list of texts.
    List(Vec<String>),
    /// Yes or no.
    Flag(bool),
    /// A list of tables, each with the fields that were given.
    Records(Vec<Record>),
}

/// One table of a list: names of fields and their values.
pub type Record = Vec<(&'static str, Setting)>;

/// The text of a field, if the table has it.
#[must_use]
pub fn text_of<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.iter().find_map(|(field, value)| match value {
        Setting::Text(text) if *field == name => Some(text.as_str()),
        _ => None,
    })
}

impl Setting {
    /// The value as it would stand in a configuration file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Count(number) => number.to_string(),
            Self::Bytes(bytes) => quoted(&format_bytes(*bytes)),
            Self::Milliseconds(milliseconds) => quoted(&format_duration(*milliseconds)),
            Self::List(list) => {
                let items: Vec<String> = list.iter().map(|item| quoted(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Never => quoted("never"),
            Self::Flag(flag) => flag.to_string(),
            Self::Share(millionths) => quoted(&format_share(*millionths)),
            Self::Records(records) => {
                let tables: Vec<String> = records
                    .iter()
                    .map(|record| {
                        let fields: Vec<String> = record
                            .iter()
                            .map(|(name, value)| format!("{name} = {}", value.to_toml()))
                            .collect();
                        format!("{{ {} }}", fields.join(", "))
                    })
                    .collect();
                format!("[{}]", tables.join(", "))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            control if control.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// What a kind of value looks like, for errors.
pub(super) fn expectation(kind: Kind) -> String {
    match kind {
        Kind::Text => "text in quotes".to_owned(),
        Kind::Count { least, most } => format!("a whole number from {least} to {most}"),
        Kind::Bytes { least } => {
            format!("a size such as \"64 MiB\", at least {}", format_bytes(least))
        }
        Kind::Duration { least } => {
            format!(
                "a length of time such as \"60s\" or \"3 days\", at least {}",
                format_duration(least)
            )
        }
        Kind::Lifetime => "a length of time such as \"180 days\", or \"never\"".to_owned(),
        Kind::Share => "a share such as \"2%\", from 0% to 100%".to_owned(),
        Kind::List => "a list of texts such as [\"campaign\"]".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Records(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            format!("a list of tables with the fields {}", names.join(", "))
        }
    }
}

const SIZES: [(&str, u64); 9] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("bytes", 1),
    ("byte", 1),
    ("b", 1),
];

/// Reads a size: digits with or without a unit (`B`, `KB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`).
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// Writes a size with the largest unit that leaves a whole number.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    for (name, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{} {name}", bytes / factor);
        }
    }
    format!("{bytes} B")
}

const TIMES: [(&str, u64); 18] = [
    ("ms", 1),
    ("millisecond", 1),
    ("milliseconds", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("seconds", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("d", 86_400_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("w", 604_800_000),
];

/// Reads a length of time, in milliseconds: digits with a unit (`ms`, `s`, `min`, `h`, `days`, `w`).
#[must_use]
pub fn parse_duration(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// Writes a length of time, given in milliseconds, with the largest unit that leaves a whole number.
#[must_use]
pub fn format_duration(milliseconds: u64) -> String {
    for (name, factor) in [("d", 86_400_000_u64), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if milliseconds >= factor && milliseconds.is_multiple_of(factor) {
            // A minute is clearer as 60s, the way the documentation spells it.
            if name == "min" && milliseconds == factor {
                return "60s".to_owned();
            }
            return format!("{}{name}", milliseconds / factor);
        }
    }
    format!("{milliseconds}ms")
}

/// Reads a share as millionths: `2%`, `0.5 %`, or a fraction such as `0.02`.
#[must_use]
pub fn parse_share(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 10_000.0),
        None => (text, 1_000_000.0),
    };
    let share: f64 = number.parse().ok()?;
    let millionths = (share * whole).round();
    // Within 0 to a million, so the conversion is exact.
    (0.0..=1_000_000.0).contains(&millionths).then_some(millionths as u64)
}

/// Writes a share given in millionths as a percentage.
#[must_use]
pub fn format_share(millionths: u64) -> String {
    let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim().to_ascii_lowercase()))
}
