//! Reading the configuration file: TOML in, checked settings with their lines out.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::keys::{self, Field, KEYS, Kind};
use super::value::{Record, Setting, expectation, parse_bytes, parse_duration, parse_share};
use crate::activate::segments::{Segment, segments_in_config};
use crate::nearest::closest;

/// A setting that the file makes.
#[derive(Debug)]
pub(super) struct Found {
    /// Index into [`KEYS`].
    pub(super) index: usize,
    /// The checked value.
    pub(super) setting: Setting,
    /// The line it stands on, from 1.
    pub(super) line: usize,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) settings: Vec<Found>,
    pub(super) segments: Vec<Segment>,
}

pub(super) fn read(path: &Path, text: &str) -> Result<Contents, ConfigError> {
    let root = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: error.message().to_owned(),
    })?;
    let reading = Reading { path, text };
    let mut contents = Contents::default();
    let found = &mut contents.settings;
    for (name, value) in root.get_ref() {
        if name.get_ref() == "segments" {
            contents.segments = segments_in_config(path, text, value)?;
            continue;
        }
        let sections = KEYS.iter().any(|key| key.section == name.get_ref().as_ref());
        match value.get_ref() {
            DeValue::Table(section) if sections => {
                for (inner, value) in section {
                    let key = format!("{}.{}", name.get_ref(), inner.get_ref());
                    found.push(reading.setting(&key, inner.span().start, value)?);
                }
            }
            _ => found.push(reading.setting(name.get_ref(), name.span().start, value)?),
        }
    }
    Ok(contents)
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reading<'_> {
    fn setting(
        &self,
        key: &str,
        offset: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Found, ConfigError> {
        let line = line_of(self.text, offset);
        let Some(index) = keys::position(key) else {
            return Err(self.unknown(key, line));
        };
        let kind = KEYS[index].kind;
        if let Kind::Records(fields) = kind
            && let Some(tables) = value.get_ref().as_array()
        {
            let mut records = Vec::new();
            for table in tables {
                records.push(self.record(key, fields, table)?);
            }
            return Ok(Found { index, setting: Setting::Records(records), line });
        }
        match checked(kind, value.get_ref()) {
            Some(setting) => Ok(Found { index, setting, line }),
            None => Err(ConfigError::BadValue {
                path: self.path.to_owned(),
                line,
                key: key.to_owned(),
                expected: expectation(kind),
            }),
        }
    }

    /// One table of a list of tables.
    fn record(
        &self,
        key: &str,
        fields: &'static [Field],
        table: &Spanned<DeValue<'_>>,
    ) -> Result<Record, ConfigError> {
        let bad = |offset: usize, key: &str, expected: String| ConfigError::BadValue {
            path: self.path.to_owned(),
            line: line_of(self.text, offset),
            key: key.to_owned(),
            expected,
        };
        let start = table.span().start;
        let Some(given) = table.get_ref().as_table() else {
            return Err(bad(start, key, expectation(Kind::Records(fields))));
        };
        let mut record = Record::new();
        for (name, value) in given {
            let name_start = name.span().start;
            let Some(field) = fields.iter().find(|field| field.name == name.get_ref().as_ref())
            else {
                let names = fields.iter().map(|field| field.name);
                return Err(ConfigError::UnknownKey {
                    path: self.path.to_owned(),
                    line: line_of(self.text, name_start),
                    key: format!("{key}.{}", name.get_ref()),
                    nearest: closest(name.get_ref(), names).unwrap_or(key).to_owned(),
                });
            };
            let Some(setting) = checked(field.kind, value.get_ref()) else {
                let inner = format!("{key}.{}", field.name);
                return Err(bad(name_start, &inner, expectation(field.kind)));
            };
            record.push((field.name, setting));
        }
        for field in fields.iter().filter(|field| field.required) {
            if !record.iter().any(|(name, _)| *name == field.name) {
                let expected = format!("given in each table of `{key}`");
                return Err(bad(start, &format!("{key}.{}", field.name), expected));
            }
        }
        Ok(record)
    }

    fn unknown(&self, key: &str, line: usize) -> ConfigError {
        let paths: Vec<String> = KEYS.iter().map(keys::Key::path).collect();
        // A section that does not exist is compared with sections: `[tag]` is near `[tags]`.
        let sections = KEYS.iter().filter(|key| !key.section.is_empty()).map(|key| key.section);
        let candidates = paths.iter().map(String::as_str).chain(sections).chain(["segments"]);
        ConfigError::UnknownKey {
            path: self.path.to_owned(),
            line,
            key: key.to_owned(),
            nearest: closest(key, candidates).unwrap_or("lake").to_owned(),
        }
    }
}

fn checked(kind: Kind, value: &DeValue<'_>) -> Option<Setting> {
    match kind {
        Kind::Text => Some(Setting::Text(value.as_str()?.to_owned())),
        Kind::Count { least, most } => {
            let number = whole(value)?;
            (least..=most).contains(&number).then_some(Setting::Count(number))
        }
        Kind::Bytes { least } => {
            let number = match value.as_str() {
                Some(text) => parse_bytes(text)?,
                None => whole(value)?,
            };
            (number >= least).then_some(Setting::Bytes(number))
        }
        Kind::Duration { least } => {
            let number = parse_duration(value.as_str()?)?;
            (number >= least).then_some(Setting::Milliseconds(number))
        }
        Kind::Lifetime => match value.as_str()? {
            "never" => Some(Setting::Never),
            text => parse_duration(text).map(Setting::Milliseconds),
        },
        Kind::Share => {
            let text = match value {
                DeValue::Float(number) => number.as_str(),
                DeValue::Integer(number) => number.as_str(),
                _ => value.as_str()?,
            };
            parse_share(text).map(Setting::Share)
        }
        Kind::Flag => value.as_bool().map(Setting::Flag),
        // Lists of tables are taken apart by `record`; anything else is none.
        Kind::Records(_) => None,
        Kind::List => {
            let mut list = Vec::new();
            for item in value.as_array()? {
                list.push(item.get_ref().as_str()?.to_owned());
            }
            Some(Setting::List(list))
        }
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
