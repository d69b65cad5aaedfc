//! Changes of membership, and a file that holds as many of them as there are.
//!
//! Invariant: changes lie in the order of the bytes of their members' keys, each member once.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was not there.
    Add,
    /// Its attributes are others now.
    Change,
    /// It is no longer there.
    Remove,
    /// It is there as it was, but would expire at the destination.
    Refresh,
}

impl Action {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Refresh => "refresh",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What becomes of the member.
    pub action: Action,
    /// Its key.
    pub member: String,
    /// JSON object of its attributes; of a removed member, those that it had.
    pub attributes: String,
}

impl Change {
    /// The attributes, by name.
    #[must_use]
    pub fn values(&self) -> serde_json::Map<String, Value> {
        match serde_json::from_str(&self.attributes) {
            Ok(Value::Object(values)) => values,
            _ => serde_json::Map::new(),
        }
    }

    /// The change as one JSON object, without a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!(
            "{{\"action\":\"{}\",\"member\":{},\"attributes\":{}}}",
            self.action.word(),
            Value::from(self.member.as_str()),
            self.attributes
        )
    }
}

/// A change as it is read back.
#[derive(Debug, Deserialize)]
pub(super) struct ChangeText {
    action: Action,
    member: String,
    attributes: serde_json::Map<String, Value>,
}

impl From<ChangeText> for Change {
    fn from(text: ChangeText) -> Self {
        let attributes = Value::Object(text.attributes).to_string();
        Self { action: text.action, member: text.member, attributes }
    }
}

/// Changes in a temporary file, one JSON object a line.
#[derive(Debug)]
pub struct Changes {
    file: File,
    count: u64,
    digest: String,
}

/// Writes [`Changes`].
#[derive(Debug)]
pub struct ChangesWriter {
    out: BufWriter<File>,
    count: u64,
    digest: Sha256,
}

impl ChangesWriter {
    /// Begins a new temporary file, which goes with the changes.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new() -> std::io::Result<Self> {
        let out = BufWriter::new(tempfile::tempfile()?);
        Ok(Self { out, count: 0, digest: Sha256::new() })
    }

    /// Adds a change.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, change: &Change) -> std::io::Result<()> {
        self.push_line(change.to_json())
    }

    /// Adds a change that says more than one needs to apply it, as one JSON object.
    pub(super) fn push_line(&mut self, mut line: String) -> std::io::Result<()> {
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.digest.update(line.as_bytes());
        self.count += 1;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> std::io::Result<Changes> {
        let file = self.out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(Changes { file, count: self.count, digest: hex(&self.digest.finalize()) })
    }
}

impl Changes {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// SHA-256 of all of them, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Reads them from the first; one reading at a time.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self) -> std::io::Result<ChangesReader> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(ChangesReader { lines: BufReader::new(file), line: String::new() })
    }
}

/// Changes as they are read back.
#[derive(Debug)]
pub struct ChangesReader {
    lines: BufReader<File>,
    line: String,
}

impl ChangesReader {
    /// The next change as the line of JSON that it is.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next_line(&mut self) -> std::io::Result<Option<&str>> {
        self.line.clear();
        if self.lines.read_line(&mut self.line)? == 0 {
            return Ok(None);
        }
        Ok(Some(self.line.trim_end()))
    }
}

impl Iterator for ChangesReader {
    type Item = std::io::Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_line() {
            Ok(None) => None,
            Ok(Some(line)) => Some(
                serde_json::from_str::<ChangeText>(line)
                    .map(Change::from)
                    .map_err(std::io::Error::other),
            ),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
    }
    text
}

/// The first 32 hex digits of the SHA-256 of some texts: an identity.
#[must_use]
pub fn identity_of(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize()[..16])
}
