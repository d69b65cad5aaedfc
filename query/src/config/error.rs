//! What can be wrong with a configuration file.

use std::path::PathBuf;

/// A configuration that cannot be used. Every variant is the user's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The named file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the TOML parser says.
        message: String,
    },
    /// A key that does not exist.
    #[error("{}:{line}: there is no key `{key}`", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, with its section.
        key: String,
        /// The key that was probably meant.
        nearest: String,
    },
    /// A value of the wrong shape.
    #[error("{}:{line}: `{key}` must be {expected}", path.display())]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, with its section.
        key: String,
        /// What would be right.
        expected: String,
    },
}
