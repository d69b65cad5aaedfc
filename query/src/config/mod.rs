//! What the program was told, from flags, environment, file and defaults, each value with where it came from.
//!
//! Invariant: flags > environment > file > default, and a [`Config`] holds only values that were
//! checked; a key or value that is wrong never gets past [`Config::load`].

mod error;
mod file;
mod keys;
mod machine;
mod value;

use std::path::{Path, PathBuf};

use crate::activate::segments::Segment;
pub use error::ConfigError;
pub use keys::{Field, KEYS, Key, Kind};
pub use value::{
    Record, Setting, format_bytes, format_duration, format_share, parse_bytes, parse_duration,
    parse_share, text_of,
};

/// The file that is read when none is named and it is there.
pub const DEFAULT_FILE: &str = "hearback.toml";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line, as spelled there.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of the configuration file, counted from 1.
    File(PathBuf, usize),
    /// Built in.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One setting in effect.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is set.
    pub key: &'static Key,
    /// Its value.
    pub setting: Setting,
    /// Where the value came from.
    pub origin: Origin,
}

/// What came before the file: the two global options, and the environment variables behind them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--lake`.
    pub lake_flag: Option<String>,
    /// `HEARBACK_LAKE`.
    pub lake_environment: Option<String>,
    /// `--config`.
    pub file_flag: Option<PathBuf>,
    /// `HEARBACK_CONFIG`.
    pub file_environment: Option<PathBuf>,
}

/// Every setting in effect, in the order of [`KEYS`].
#[derive(Clone, Debug)]
pub struct Config {
    entries: Vec<Entry>,
    segments: Vec<Segment>,
    folder: PathBuf,
}

impl Config {
    /// Reads the configuration file, if one is named or the default one is there, and lays the
    /// environment and the flags over it.
    ///
    /// # Errors
    /// A named file that cannot be read, text that is not TOML, a key that does not exist, a value
    /// of the wrong shape; each with the file and line.
    pub fn load(given: &Given) -> Result<Self, ConfigError> {
        let Self { mut entries, .. } = Self::built_in();
        let named = given.file_flag.clone().or_else(|| given.file_environment.clone());
        let path = match named {
            Some(path) => Some(path),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.is_file()),
        };
        let mut segments = Vec::new();
        let mut folder = PathBuf::new();
        if let Some(path) = path {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
            let contents = file::read(&path, &text)?;
            segments = contents.segments;
            folder = path.parent().map(PathBuf::from).unwrap_or_default();
            for found in contents.settings {
                let entry = &mut entries[found.index];
                entry.setting = found.setting;
                entry.origin = Origin::File(path.clone(), found.line);
            }
        }

        let lake = &mut entries[keys::LAKE];
        if let Some(uri) = &given.lake_environment {
            lake.setting = Setting::Text(uri.clone());
            lake.origin = Origin::Environment("HEARBACK_LAKE");
        }
        if let Some(uri) = &given.lake_flag {
            lake.setting = Setting::Text(uri.clone());
            lake.origin = Origin::Flag("--lake");
        }
        Ok(Self { entries, segments, folder })
    }

    /// The defaults alone, whatever file or environment there is.
    #[must_use]
    pub fn built_in() -> Self {
        let entries = KEYS
            .iter()
            .map(|key| Entry { key, setting: (key.default)(), origin: Origin::Default })
            .collect();
        Self { entries, segments: Vec::new(), folder: PathBuf::new() }
    }

    /// Every setting in effect.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The segments that the file defines, in its order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The folder of the file, which paths in it are relative to; empty for the working directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The lake's path or URI.
    #[must_use]
    pub fn lake(&self) -> &str {
        self.text("lake")
    }

    /// A setting that is text.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        match self.setting(path) {
            Setting::Text(text) => text,
            other => unreachable!("{path} is text, not {other:?}: KEYS says so"),
        }
    }

    /// A setting that is a number of things, bytes, milliseconds or millionths.
    #[must_use]
    pub fn number(&self, path: &str) -> u64 {
        match self.setting(path) {
            Setting::Count(number)
            | Setting::Bytes(number)
            | Setting::Milliseconds(number)
            | Setting::Share(number) => *number,
            other => unreachable!("{path} is a number, not {other:?}: KEYS says so"),
        }
    }

    /// A setting that is a length of time or never ends (`None`), in milliseconds.
    #[must_use]
    pub fn lifetime(&self, path: &str) -> Option<u64> {
        match self.setting(path) {
            Setting::Milliseconds(milliseconds) => Some(*milliseconds),
            Setting::Never => None,
            other => unreachable!("{path} is a lifetime, not {other:?}: KEYS says so"),
        }
    }

    /// A setting that is true or false.
    #[must_use]
    pub fn flag(&self, path: &str) -> bool {
        match self.setting(path) {
            Setting::Flag(flag) => *flag,
            other => unreachable!("{path} is true or false, not {other:?}: KEYS says so"),
        }
    }

    /// A setting that is a list of tables.
    #[must_use]
    pub fn records(&self, path: &str) -> &[Record] {
        match self.setting(path) {
            Setting::Records(records) => records,
            other => unreachable!("{path} is a list of tables, not {other:?}: KEYS says so"),
        }
    }

    /// A setting that is a list of texts.
    #[must_use]
    pub fn list(&self, path: &str) -> &[String] {
        match self.setting(path) {
            Setting::List(list) => list,
            other => unreachable!("{path} is a list, not {other:?}: KEYS says so"),
        }
    }

    fn setting(&self, path: &str) -> &Setting {
        let index = keys::position(path).unwrap_or_else(|| unreachable!("{path} is not in KEYS"));
        &self.entries[index].setting
    }
}

#[cfg(test)]
mod tests;
