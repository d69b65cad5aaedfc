//! Imports endpoints that were exported from Amazon Pinpoint: NDJSON or CSV as its export jobs wrote
//! them, and what `aws pinpoint get-endpoint` and `get-user-endpoints` print.
//!
//! Invariants: an endpoint that cannot be read is counted with its place and stops nothing; the identity
//! of a row is made of what it says, so importing a file again adds nothing.

mod read;
mod rows;

use std::io::{BufRead, Read};

use hearback_ingest::lake::{Lake, LedgerWriter, WriteSettings};
use hearback_schemas::ENDPOINT_IMPORTS;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::SegmentError;
use read::{Endpoint, Format, Found};
use rows::Rows;

/// Rows that are appended at once.
const ROWS: usize = 20_000;
/// Examples of what could not be read.
const SHOWN: usize = 20;

/// What an import came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Endpoints read.
    pub endpoints: u64,
    /// Rows added; the others were there already.
    pub added: u64,
    /// Records that are no endpoints.
    pub rejected: u64,
    /// Where the first of them are, and why: never what they say.
    pub reasons: Vec<String>,
}

/// Writes endpoints into the lake.
#[derive(Debug)]
pub struct Importer {
    writer: LedgerWriter,
    name: Option<String>,
    clock: fn() -> Timestamp,
    rows: Rows,
    imported: Imported,
}

impl Importer {
    /// Begins. `name` is kept with each row: the id of an imported segment, so that segments converted
    /// from it find their members.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn begin(
        lake: &Lake,
        name: Option<String>,
        clock: fn() -> Timestamp,
        run: Uuid,
    ) -> Result<Self, SegmentError> {
        let settings = WriteSettings::default();
        let writer = LedgerWriter::begin(lake, &ENDPOINT_IMPORTS, settings, None, run).await?;
        Ok(Self { writer, name, clock, rows: Rows::default(), imported: Imported::default() })
    }

    /// Reads one file to its end; `file` is its name in reasons. gzip is recognised by content.
    ///
    /// # Errors
    /// If the input cannot be read at all, or the lake not written.
    pub async fn file(&mut self, file: &str, input: impl Read + Send) -> Result<(), SegmentError> {
        let mut input = plain(input)?;
        let format = Format::of(&mut input)?;
        for found in read::endpoints(format, input) {
            match found {
                Found::Endpoint(endpoint) => self.take(&endpoint).await?,
                Found::Unreadable { place, reason } => {
                    self.imported.rejected += 1;
                    if self.imported.reasons.len() < SHOWN {
                        self.imported.reasons.push(format!("{file}, {place}: {reason}"));
                    }
                }
                Found::Broken(error) => return Err(SegmentError::Spool(error)),
            }
        }
        Ok(())
    }

    async fn take(&mut self, endpoint: &Endpoint) -> Result<(), SegmentError> {
        self.imported.endpoints += 1;
        self.rows.push(endpoint, self.name.as_deref());
        if self.rows.len() < ROWS {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), SegmentError> {
        if self.rows.len() == 0 {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.rows).finish()?;
        self.imported.added += self.writer.append(batch, (self.clock)().as_microsecond()).await?;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub async fn finish(mut self) -> Result<Imported, SegmentError> {
        self.flush().await?;
        Ok(self.imported)
    }
}

/// The input without its compression.
fn plain<'a>(input: impl Read + Send + 'a) -> std::io::Result<Box<dyn BufRead + Send + 'a>> {
    let mut input = std::io::BufReader::new(input);
    let begin = input.fill_buf()?;
    if begin.starts_with(&[0x1f, 0x8b]) {
        let inflated = flate2::read::MultiGzDecoder::new(input);
        return Ok(Box::new(std::io::BufReader::new(inflated)));
    }
    Ok(Box::new(input))
}
