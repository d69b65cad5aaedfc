//! What the function is told: responsible for reading its environment variables. They are the keys of
//! the configuration file, `HEARBACK_` and the key in capitals with the dots as underscores.
//!
//! Invariant: a variable that begins with `HEARBACK_` and is none of these is an error, so that a
//! misspelt one is not silently without effect.

use std::collections::BTreeMap;

use hearback_transform::DecodeOptions;

use crate::lake::WriteSettings;
use crate::pipeline::IngestSettings;

/// Rows that are committed together at most: what memory a batch takes depends on them. A batch of
/// plain documents has less than 6 MB and some thousand rows; aggregates and compressed records more.
const FLUSH_ROWS: u64 = 50_000;
/// Memory for the identities that keep duplicates out. A function is usually given 512 MB to 1 GB.
const DEDUPE_MEMORY: u64 = 64 << 20;

/// What the function is told.
#[derive(Clone, Debug)]
pub struct LambdaSettings {
    /// `HEARBACK_LAKE`: the lake. Needed for streams, not for transformations.
    pub lake: Option<String>,
    /// How documents are read.
    pub decode: DecodeOptions,
    /// How rows are written.
    pub write: WriteSettings,
    /// Rows that are committed together at most, give or take one record.
    pub flush_rows: u64,
}

/// A variable that makes no sense: correct it. No value is shown, it may be anything.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No such variable.
    #[error("the environment variable {name} is none that hearback-lambda knows; it knows {known}")]
    Unknown {
        /// The variable.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The value cannot be read.
    #[error("the environment variable {name} has to be {expected}")]
    BadValue {
        /// The variable.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
}

const LAKE: &str = "HEARBACK_LAKE";
const CAMPAIGN: &str = "HEARBACK_TAGS_CAMPAIGN";
const TEMPLATE: &str = "HEARBACK_TAGS_TEMPLATE";
const TENANT: &str = "HEARBACK_TAGS_TENANT";
const LINK_PARAMETERS: &str = "HEARBACK_LINKS_ALLOWED_PARAMETERS";
const FLUSH: &str = "HEARBACK_INGEST_FLUSH_ROWS";
const MEMORY: &str = "HEARBACK_INGEST_DEDUPE_MEMORY";
const LEVEL: &str = "HEARBACK_INGEST_COMPRESSION_LEVEL";
const KNOWN: [&str; 8] = [LAKE, CAMPAIGN, TEMPLATE, TENANT, LINK_PARAMETERS, FLUSH, MEMORY, LEVEL];

impl LambdaSettings {
    /// Reads the variables of an environment; those without `HEARBACK_` in front are left alone.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn read(
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut given = BTreeMap::new();
        for (name, value) in environment {
            if !name.starts_with("HEARBACK_") || value.is_empty() {
                continue;
            }
            if !KNOWN.contains(&name.as_str()) {
                return Err(SettingsError::Unknown { name, known: KNOWN.join(", ") });
            }
            given.insert(name, value);
        }
        let defaults = IngestSettings::default();
        let list = |name: &str, default: Vec<String>| match given.get(name) {
            Some(words) => words.split(',').map(|word| word.trim().to_owned()).collect(),
            None => default,
        };
        let decode = DecodeOptions {
            campaign_tags: list(CAMPAIGN, defaults.campaign_tags),
            template_tags: list(TEMPLATE, defaults.template_tags),
            tenant_tags: list(TENANT, defaults.tenant_tags),
            link_parameters: list(LINK_PARAMETERS, defaults.link_parameters),
            read_time_us: 0,
        };
        let size = |name: &'static str, default: u64| match given.get(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(bytes) if bytes > 0 => Ok(bytes),
                _ => Err(SettingsError::BadValue { name, expected: "a whole number above 0" }),
            },
        };
        let level = match given.get(LEVEL).map(|text| text.parse()) {
            None => WriteSettings::default().compression_level,
            Some(Ok(level)) if (1..=22).contains(&level) => level,
            Some(_) => {
                let expected = "a zstd level from 1 to 22";
                return Err(SettingsError::BadValue { name: LEVEL, expected });
            }
        };
        let write = WriteSettings {
            dedupe_memory: usize::try_from(size(MEMORY, DEDUPE_MEMORY)?).unwrap_or(usize::MAX),
            compression_level: level,
            ..WriteSettings::default()
        };
        let flush_rows = size(FLUSH, FLUSH_ROWS)?;
        Ok(Self { lake: given.get(LAKE).cloned(), decode, write, flush_rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<LambdaSettings, SettingsError> {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        LambdaSettings::read(pairs)
    }

    #[test]
    fn variables_are_read_and_others_left_alone() {
        let settings = read(&[
            ("PATH", "/bin"),
            ("HEARBACK_LAKE", "s3://acme-mail/lake"),
            ("HEARBACK_TAGS_CAMPAIGN", "campaign, ses:campaign"),
            ("HEARBACK_INGEST_FLUSH_ROWS", "1000"),
        ])
        .unwrap();
        assert_eq!(settings.lake.as_deref(), Some("s3://acme-mail/lake"));
        assert_eq!(settings.decode.campaign_tags, ["campaign", "ses:campaign"]);
        assert_eq!(settings.decode.tenant_tags, ["ses:tenant-name"]);
        assert_eq!(settings.flush_rows, 1000);
        assert_eq!(read(&[]).unwrap().lake, None);
    }

    #[test]
    fn a_misspelt_variable_and_a_bad_value_are_errors() {
        let unknown = read(&[("HEARBACK_LAKES", "x")]).unwrap_err().to_string();
        assert!(unknown.contains("HEARBACK_LAKES is none"), "{unknown}");
        for (name, value) in [
            ("HEARBACK_INGEST_FLUSH_ROWS", "64 MiB"),
            ("HEARBACK_INGEST_FLUSH_ROWS", "0"),
            ("HEARBACK_INGEST_COMPRESSION_LEVEL", "23"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(matches!(error, SettingsError::BadValue { .. }), "{error}");
        }
    }
}
