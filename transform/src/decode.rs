//! From bytes to rows: what goes into the decoder and what comes out of it.

use std::sync::Arc;

use arrow_array::RecordBatch;
use hearback_schemas::Frequency;

use crate::batch::Batches;
use crate::event::Lists;
use crate::rows::RowWriter;
use crate::ses;
use crate::stream::Reading;

/// What the decoder has to know besides the bytes. The same options give the same rows.
#[derive(Clone, Debug, Default)]
pub struct DecodeOptions {
    /// Names of the message tags that fill the column `campaign`; the first that a message has wins.
    pub campaign_tags: Vec<String>,
    /// Names of the message tags that fill the column `template`; the first that a message has wins.
    pub template_tags: Vec<String>,
    /// Names of the message tags that fill the column `tenant`; the first that a message has wins.
    pub tenant_tags: Vec<String>,
    /// Names of the query parameters that the column `link` keeps.
    pub link_parameters: Vec<String>,
    /// When the bytes were read, in microseconds since 1970-01-01T00:00:00Z. An event more than two
    /// days later than this is put under `UNDATED_EVENT_DATE`.
    pub read_time_us: i64,
}

/// Where a stretch of bytes was read from; it goes into every row and reject.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// File, object or stream.
    pub source_name: &'a str,
    /// Kinesis shard.
    pub shard: Option<&'a str>,
    /// Where in the source the bytes stand.
    pub place: Place<'a>,
}

/// Where in its source a stretch of bytes stands.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Offset of the first byte in the decompressed object. Each document is placed at its own offset.
    Offset(u64),
    /// Sequence number of the record that the bytes are. Every document in it has this place; the
    /// second and later ones are told apart by a suffix (`:1`, `:2`, …).
    Sequence(&'a str),
}

/// What a stretch of bytes begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A stream of JSON values, with or without white space between them.
    #[default]
    Documents,
    /// The inside of an array that was opened in an earlier stretch: elements with commas between
    /// them. Where the array ends, a stream of values follows.
    ArrayElements,
}

/// What a stretch of bytes holds.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// Rows, by `event_date` and by how common their type is, in no particular order. These stand more
    /// than once only if the rows are too large for one batch.
    pub partitions: Vec<DecodedPartition>,
    /// Documents that could not be understood.
    pub rejects: Vec<Reject>,
    /// How many documents and rows.
    pub counts: Counts,
}

/// Rows of one `event_date`, all of common types or all of rare ones. Dates with few rows share a batch, in which those of each stand together:
/// a batch of fifty columns has its price, however few its rows are.
#[derive(Clone, Debug)]
pub struct DecodedPartition {
    /// UTC day of the events, in days since 1970-01-01; `UNDATED_EVENT_DATE` for impossible times.
    pub event_date: i32,
    /// How common the types of the rows are.
    pub frequency: Frequency,
    /// Identity of each row, in their order; the column `event_id` is its 32 hex digits.
    pub event_ids: Vec<u128>,
    /// Earliest and latest `event_time`, in microseconds since 1970-01-01T00:00:00Z.
    pub event_times: (i64, i64),
    /// The batch that the rows are in, with the columns of [`decoded_schema`](crate::decoded_schema).
    /// Columns whose values repeat are codes of dictionaries, which all batches share.
    pub batch: Arc<RecordBatch>,
    /// Which row of the batch is the first.
    pub first_row: usize,
}

impl DecodedPartition {
    /// The rows alone.
    #[must_use]
    pub fn rows(&self) -> RecordBatch {
        self.batch.slice(self.first_row, self.event_ids.len())
    }
}

/// A document that could not be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Place in the source, as in the column `source_sequence`.
    pub place: String,
    /// Why it could not be understood. Holds nothing of the document's values.
    pub reason: String,
    /// The exact bytes of the smallest part of the source that holds the document and stands by
    /// itself: the document, the array element or the element of `Records[]`.
    pub raw: Vec<u8>,
}

/// How many documents and rows there were. A document is the innermost candidate for an event:
/// an array or an envelope with several documents in it counts each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents: `accepted + ignored + rejected`.
    pub records: u64,
    /// Documents that became rows.
    pub accepted: u64,
    /// Documents that are understood and carry no event.
    pub ignored: u64,
    /// Documents that could not be understood.
    pub rejected: u64,
    /// Rows, one per event and recipient.
    pub rows: u64,
}

/// Turns bytes into rows. Holds buffers that are used again: keep one per thread.
#[derive(Debug)]
pub struct Decoder {
    options: DecodeOptions,
    rows: RowWriter,
    batches: Batches,
    ses: ses::Memory,
    lists: Option<Lists>,
}

impl Decoder {
    /// A decoder with these options.
    #[must_use]
    pub fn new(options: DecodeOptions) -> Self {
        Self {
            options,
            rows: RowWriter::default(),
            batches: Batches::default(),
            ses: ses::Memory::default(),
            lists: None,
        }
    }

    /// Decodes a stream of JSON values: documents with or without white space between them, arrays,
    /// envelopes in any nesting. The bytes must end where a document ends ([`crate::framing`]).
    #[must_use]
    pub fn decode(&mut self, bytes: &[u8], origin: &Origin<'_>) -> Decoded {
        self.decode_shaped(bytes, origin, Shape::Documents)
    }

    /// Like [`decode`](Self::decode), for bytes that may begin inside an array.
    #[must_use]
    pub fn decode_shaped(&mut self, bytes: &[u8], origin: &Origin<'_>, shape: Shape) -> Decoded {
        let (rejects, counts) = self.add(bytes, origin, shape);
        Decoded { partitions: self.take(), rejects, counts }
    }

    /// Decodes bytes and keeps the rows, so that those of many small objects come out together:
    /// a batch has its price, however few rows are in it.
    pub fn add(
        &mut self,
        bytes: &[u8],
        origin: &Origin<'_>,
        shape: Shape,
    ) -> (Vec<Reject>, Counts) {
        self.batches.begin(origin);
        let mut reading = Reading::new(
            &self.options,
            &mut self.rows,
            &mut self.batches,
            &mut self.ses,
            &mut self.lists,
            bytes,
            origin.place,
        );
        reading.read_source(bytes, shape);
        reading.finish()
    }

    /// The rows of everything that was added since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<DecodedPartition> {
        self.batches.finish()
    }
}

#[cfg(test)]
mod tests;
