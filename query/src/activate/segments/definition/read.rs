//! Reads definitions: `[[segments]]` of the configuration file, and the header of an SQL file, which
//! has the same keys in the comment at its top.
//!
//! Invariant: a key that does not exist, or a value that makes no sense, is named with its line and
//! with what was probably meant; nothing is guessed.

mod destinations;

use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{GuardSettings, Place, Schedule, Segment, Suppressed};
use crate::config::{ConfigError, parse_duration};
use crate::nearest::closest;

/// Keys of a segment.
const KEYS: [&str; 14] = [
    "name",
    "description",
    "sql",
    "file",
    "key",
    "attributes",
    "destinations",
    "schedule",
    "max_shrink",
    "max_growth",
    "max_adds",
    "max_lake_age",
    "suppressed",
    "topics",
];

/// The segments that a configuration file defines. Paths in it are relative to its folder.
pub(crate) fn segments_in_config(
    path: &Path,
    text: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<Segment>, ConfigError> {
    let file = File { path, text };
    let bad = || file.bad(value.span().start, "segments", "tables, each begun with [[segments]]");
    let list = value.get_ref().as_array().ok_or_else(bad)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut segments: Vec<Segment> = Vec::new();
    for item in list {
        let table = item.get_ref().as_table().ok_or_else(bad)?;
        let fields = Fields { file, table, at: item.span().start, name: "segments" };
        let segment = fields.segment(folder)?;
        if let Some(other) = segments.iter().find(|other| other.name == segment.name) {
            let expected = format!("another name: {} has this one", other.origin);
            return Err(file.bad(item.span().start, "segments.name", &expected));
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// The segment of an SQL file. Its name is the file's, unless the header says another.
pub(crate) fn segment_in_sql(
    path: &Path,
    text: &str,
    folder: &Path,
) -> Result<Segment, ConfigError> {
    let header = header_of(text);
    let file = File { path, text: &header };
    let table = file.parse()?;
    let fields = Fields { file, table: table.get_ref(), at: 0, name: "segment" };
    fields.known(&KEYS)?;
    for key in ["sql", "file"] {
        if let Some((offset, _)) = fields.find(key) {
            return Err(file.bad(offset, key, "left out: the statement is this file"));
        }
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = fields.text("name")?.unwrap_or_else(|| stem.to_owned());
    fields.with_sql(name, text.to_owned(), folder)
}

/// The lines of the leading comment that say `-- key = value`, at their places; every other line is
/// left empty, so that lines are counted as in the file. A value may go on over several lines until
/// its brackets are closed.
fn header_of(text: &str) -> String {
    let mut header = String::new();
    let mut open = 0_i64;
    for line in text.lines() {
        let Some(comment) = line.trim_start().strip_prefix("--") else {
            if line.trim().is_empty() {
                header.push('\n');
                continue;
            }
            break;
        };
        if open > 0 || is_setting(comment) {
            header.push_str(comment.trim_start_matches('-'));
            open += brackets(comment);
        }
        header.push('\n');
    }
    header
}

/// Whether a comment is `name = …`.
fn is_setting(comment: &str) -> bool {
    let Some((name, _)) = comment.split_once('=') else { return false };
    let name = name.trim();
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

/// How many more brackets are opened than closed, outside of quotes.
fn brackets(text: &str) -> i64 {
    let mut quoted = false;
    let mut open = 0;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => open += 1,
            ']' | '}' if !quoted => open -= 1,
            _ => {}
        }
    }
    open
}

/// A file that is being read, for the places of its errors.
#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> File<'a> {
    fn parse(self) -> Result<Spanned<DeTable<'a>>, ConfigError> {
        DeTable::parse(self.text).map_err(|error| ConfigError::Syntax {
            path: self.path.to_owned(),
            line: error.span().map_or(1, |span| self.line(span.start)),
            message: error.message().to_owned(),
        })
    }

    fn line(self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn bad(self, offset: usize, key: &str, expected: &str) -> ConfigError {
        ConfigError::BadValue {
            path: self.path.to_owned(),
            line: self.line(offset),
            key: key.to_owned(),
            expected: expected.to_owned(),
        }
    }
}

/// The keys of one table.
struct Fields<'a> {
    file: File<'a>,
    table: &'a DeTable<'a>,
    /// Where the table begins.
    at: usize,
    /// What the table is called in errors.
    name: &'static str,
}

impl Fields<'_> {
    fn segment(&self, folder: &Path) -> Result<Segment, ConfigError> {
        self.known(&KEYS)?;
        let file = self.text("file")?;
        let sql = self.text("sql")?;
        match (sql, file) {
            (Some(sql), None) => {
                let name = self.required_text("name")?;
                self.with_sql(name, sql, folder)
            }
            (None, Some(file)) => {
                let path = folder.join(file);
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
                let base = segment_in_sql(&path, &text, folder)?;
                self.over(base, folder)
            }
            (Some(_), Some(_)) => Err(self.bad("file", "left out: sql is there already")),
            (None, None) => Err(self.bad("sql", "a statement, or file the path of one")),
        }
    }

    fn with_sql(&self, name: String, sql: String, folder: &Path) -> Result<Segment, ConfigError> {
        let base = Segment {
            name,
            description: None,
            sql,
            key: "address".to_owned(),
            attributes: None,
            destinations: Vec::new(),
            schedule: None,
            guards: GuardSettings::default(),
            suppressed: Suppressed::Excluded,
            topics: Vec::new(),
            origin: Place { path: self.file.path.to_owned(), line: self.file.line(self.at) },
        };
        self.over(base, folder)
    }

    /// Lays what this table says over a segment.
    fn over(&self, base: Segment, folder: &Path) -> Result<Segment, ConfigError> {
        let mut segment = base;
        if let Some(name) = self.text("name")? {
            segment.name = name;
        }
        if !is_name(&segment.name) {
            return Err(self.bad(
                "name",
                "1 to 64 lower-case letters, digits, - and _, the first a letter or digit",
            ));
        }
        if segment.sql.trim().is_empty() {
            return Err(self.bad("sql", "a statement"));
        }
        if let Some(description) = self.text("description")? {
            segment.description = Some(description);
        }
        if let Some(key) = self.text("key")? {
            segment.key = key;
        }
        if let Some(attributes) = self.texts("attributes")? {
            segment.attributes = Some(attributes);
        }
        if let Some(topics) = self.texts("topics")? {
            segment.topics = topics;
        }
        if let Some(text) = self.text("schedule")? {
            let expected = "a rhythm such as \"1h\" (at least a minute), \"daily 06:00\" or a cron pattern \"0 5 * * 1-5\" (UTC)";
            let schedule = Schedule::parse(&text).ok_or_else(|| self.bad("schedule", expected))?;
            segment.schedule = Some(schedule);
        }
        if let Some(word) = self.text("suppressed")? {
            segment.suppressed = match word.as_str() {
                "exclude" => Suppressed::Excluded,
                "include" => Suppressed::Included,
                _ => return Err(self.bad("suppressed", "\"exclude\" or \"include\"")),
            };
        }
        self.guards(&mut segment.guards)?;
        if let Some(destinations) = self.destinations(folder)? {
            segment.destinations = destinations;
        }
        Ok(segment)
    }

    fn guards(&self, guards: &mut GuardSettings) -> Result<(), ConfigError> {
        if let Some(share) = self.number("max_shrink", "a share from 0 to 1, such as 0.3")? {
            if !(0.0..=1.0).contains(&share) {
                return Err(self.bad("max_shrink", "a share from 0 to 1, such as 0.3"));
            }
            guards.max_shrink = share;
        }
        if let Some(share) = self.number("max_growth", "a share such as 1.0")? {
            if share < 0.0 {
                return Err(self.bad("max_growth", "a share such as 1.0"));
            }
            guards.max_growth = share;
        }
        if let Some(most) = self.whole("max_adds", 0)? {
            guards.max_adds = Some(most);
        }
        if let Some(text) = self.text("max_lake_age")? {
            let expected = "a length of time such as \"2 days\"";
            let milliseconds =
                parse_duration(&text).ok_or_else(|| self.bad("max_lake_age", expected))?;
            guards.max_lake_age = Duration::from_millis(milliseconds);
        }
        Ok(())
    }

    fn known(&self, keys: &[&str]) -> Result<(), ConfigError> {
        for (key, _) in self.table {
            let name: &str = key.get_ref().as_ref();
            if keys.contains(&name) {
                continue;
            }
            return Err(ConfigError::UnknownKey {
                path: self.file.path.to_owned(),
                line: self.file.line(key.span().start),
                key: format!("{}.{name}", self.name),
                nearest: closest(name, keys.iter().copied()).unwrap_or("name").to_owned(),
            });
        }
        Ok(())
    }

    fn find(&self, key: &str) -> Option<(usize, &Spanned<DeValue<'_>>)> {
        let (name, value) = self.table.iter().find(|(name, _)| name.get_ref().as_ref() == key)?;
        Some((name.span().start, value))
    }

    fn bad(&self, key: &str, expected: &str) -> ConfigError {
        let offset = self.find(key).map_or(self.at, |(offset, _)| offset);
        self.file.bad(offset, &format!("{}.{key}", self.name), expected)
    }

    fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some((_, value)) = self.find(key) else { return Ok(None) };
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Ok(Some(text.to_owned())),
            _ => Err(self.bad(key, "text in quotes")),
        }
    }

    fn required_text(&self, key: &str) -> Result<String, ConfigError> {
        self.text(key)?.ok_or_else(|| self.bad(key, "given: text in quotes"))
    }

    fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some((_, value)) = self.find(key) else { return Ok(None) };
        let bad = || self.bad(key, "a list of texts such as [\"campaign\"]");
        let mut texts = Vec::new();
        for item in value.get_ref().as_array().ok_or_else(bad)? {
            texts.push(item.get_ref().as_str().ok_or_else(bad)?.to_owned());
        }
        Ok(Some(texts))
    }

    fn number(&self, key: &str, expected: &str) -> Result<Option<f64>, ConfigError> {
        let Some((_, value)) = self.find(key) else { return Ok(None) };
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        match number.filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.bad(key, expected)),
        }
    }

    fn whole(&self, key: &str, least: u64) -> Result<Option<u64>, ConfigError> {
        let Some((_, value)) = self.find(key) else { return Ok(None) };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| *number >= least);
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(self.bad(key, &format!("a whole number, at least {least}"))),
        }
    }
}

/// Whether a name is fit for every destination.
pub(crate) fn is_name(name: &str) -> bool {
    let letters = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(letters)
        && name.bytes().all(|letter| letters(letter) || letter == b'-' || letter == b'_')
}
