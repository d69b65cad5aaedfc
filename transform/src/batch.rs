//! Column builders for decoded rows, one set per `event_date`.
//!
//! A row only touches the columns it fills: the others catch up when they are next written to, so
//! the work per row does not grow with the number of columns or of days.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_array::{
    ArrayRef, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Fields, Schema, SchemaRef};
use hearback_schemas::EVENTS;

use crate::decode::{DecodedPartition, Origin};
use crate::event::{COLS, Col, Tags, Texts};

static DECODED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let file = EVENTS.file_schema();
    let fields: Vec<_> =
        file.fields().iter().filter(|field| field.name() != "ingest_time").cloned().collect();
    Arc::new(Schema::new(fields))
});

/// The columns of a decoded batch: those of the `events` data files without `ingest_time`, which is
/// only known when the rows are committed.
#[must_use]
pub fn decoded_schema() -> SchemaRef {
    Arc::clone(&DECODED_SCHEMA)
}

/// Text that one batch holds at most, in bytes; a batch that is larger is closed and another one of
/// the same date begun. Arrow's offsets are 32 bits wide.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// The rows of one call, by date.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    open: Vec<Builder>,
    by_date: HashMap<i32, usize>,
    last: usize,
    full: Vec<Builder>,
    /// Where rows come from, one entry for each change of it.
    origins: Vec<RowOrigin>,
    /// How large the largest batch of the call before was.
    expected: Expected,
}

/// Where rows come from: what an [`Origin`] says of all of them.
#[derive(Debug, PartialEq, Eq)]
struct RowOrigin {
    source_name: Box<str>,
    shard: Option<Box<str>>,
}

#[derive(Debug)]
struct Expected {
    rows: usize,
    bytes: [usize; COLS],
}

impl Default for Expected {
    fn default() -> Self {
        Self { rows: 0, bytes: [0; COLS] }
    }
}

impl Batches {
    /// Says where the rows from now on come from.
    pub(crate) fn begin(&mut self, origin: &Origin<'_>) {
        let is_same = |last: &RowOrigin| {
            *last.source_name == *origin.source_name && last.shard.as_deref() == origin.shard
        };
        if !self.origins.last().is_some_and(is_same) {
            let source_name = origin.source_name.into();
            self.origins.push(RowOrigin { source_name, shard: origin.shard.map(Into::into) });
        }
    }

    /// Begins a row.
    pub(crate) fn row(&mut self, event_date: i32, event_time: i64, event_id: u128) -> Row<'_> {
        let index = self.builder(event_date);
        let builder = &mut self.open[index];
        let row = builder.event_ids.len();
        // `begin` comes before every row.
        let origin = self.origins.len() - 1;
        if builder.origins.last().is_none_or(|(_, last)| *last != origin) {
            builder.origins.push((row, origin));
        }
        builder.event_ids.push(event_id);
        builder.event_times.push(event_time);
        Row { builder, row }
    }

    fn builder(&mut self, event_date: i32) -> usize {
        if self.open.get(self.last).is_none_or(|builder| builder.event_date != event_date) {
            self.last = match self.by_date.get(&event_date) {
                Some(index) => *index,
                None => {
                    let index = self.open.len();
                    // Room for a batch like the last one, as long as there are few dates.
                    let expected = (index < 4).then_some(&self.expected);
                    self.open.push(Builder::new(event_date, expected));
                    self.by_date.insert(event_date, index);
                    index
                }
            };
        }
        if self.open[self.last].bytes > MAX_BATCH_BYTES {
            let fresh = Builder::new(event_date, None);
            self.full.push(std::mem::replace(&mut self.open[self.last], fresh));
        }
        self.last
    }

    /// Ends all batches.
    pub(crate) fn finish(&mut self) -> Vec<DecodedPartition> {
        self.by_date.clear();
        self.last = 0;
        let mut expected = Expected::default();
        let mut partitions = Vec::with_capacity(self.full.len() + self.open.len());
        for builder in self.full.drain(..).chain(self.open.drain(..)) {
            if builder.event_ids.len() > expected.rows {
                expected.rows = builder.event_ids.len();
                for (bytes, column) in expected.bytes.iter_mut().zip(&builder.texts) {
                    *bytes = column.bytes.len();
                }
            }
            partitions.push(builder.finish(&self.origins));
        }
        self.origins.clear();
        self.expected = expected;
        partitions
    }
}

/// A row that is being written.
#[derive(Debug)]
pub(crate) struct Row<'b> {
    builder: &'b mut Builder,
    row: usize,
}

impl Row<'_> {
    /// Fills in a column that holds texts. A column is filled at most once.
    #[inline]
    pub(crate) fn text(&mut self, col: Col, text: &str) {
        self.builder.bytes += text.len();
        self.builder.texts[col as usize].set(self.row, text);
    }

    /// Fills in all of these columns.
    #[inline]
    pub(crate) fn texts(&mut self, texts: &Texts<'_>) {
        let (mut filled, values) = texts.filled();
        while filled != 0 {
            let col = filled.trailing_zeros() as usize;
            filled &= filled - 1;
            let text = values[col].as_ref();
            self.builder.bytes += text.len();
            self.builder.texts[col].set(self.row, text);
        }
    }

    pub(crate) fn sent_time(&mut self, time: Option<i64>) {
        if let Some(time) = time {
            self.builder.sent_time.set(self.row, time);
        }
    }

    pub(crate) fn processing_ms(&mut self, millis: Option<i64>) {
        if let Some(millis) = millis {
            self.builder.processing_ms.set(self.row, millis);
        }
    }

    pub(crate) fn recipient_count(&mut self, count: Option<i32>) {
        if let Some(count) = count {
            self.builder.recipient_count.set(self.row, count);
        }
    }

    pub(crate) fn tags(&mut self, tags: &Tags<'_>) {
        if !tags.names.is_empty() {
            self.builder.bytes += self.builder.tags.set(self.row, tags);
        }
    }

    /// Ends the row: writes what only the builder knows.
    pub(crate) fn finish(self) {
        let mut hex = [0; 32];
        write_hex(self.builder.event_ids[self.row], &mut hex);
        let hex = std::str::from_utf8(&hex).unwrap_or_default();
        self.builder.bytes += hex.len();
        self.builder.texts[Col::EventId as usize].set(self.row, hex);
    }
}

fn write_hex(id: u128, out: &mut [u8; 32]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(id.to_be_bytes()) {
        *pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
    }
}

/// The columns of one date.
#[derive(Debug)]
struct Builder {
    event_date: i32,
    /// From which row on rows come from which of the origins.
    origins: Vec<(usize, usize)>,
    event_ids: Vec<u128>,
    event_times: Vec<i64>,
    sent_time: NumberColumn<i64>,
    processing_ms: NumberColumn<i64>,
    recipient_count: NumberColumn<i32>,
    tags: TagsColumn,
    texts: [TextColumn; COLS],
    bytes: usize,
}

impl Builder {
    fn new(event_date: i32, expected: Option<&Expected>) -> Self {
        let mut builder = Self {
            event_date,
            origins: Vec::new(),
            event_ids: Vec::new(),
            event_times: Vec::new(),
            sent_time: NumberColumn::default(),
            processing_ms: NumberColumn::default(),
            recipient_count: NumberColumn::default(),
            tags: TagsColumn::default(),
            texts: [const { TextColumn::EMPTY }; COLS],
            bytes: 0,
        };
        if let Some(expected) = expected {
            builder.event_ids.reserve(expected.rows);
            builder.event_times.reserve(expected.rows);
            for (column, bytes) in builder.texts.iter_mut().zip(expected.bytes) {
                if bytes > 0 {
                    column.bytes.reserve(bytes + bytes / 8);
                    column.offsets.reserve(expected.rows + expected.rows / 8);
                }
            }
        }
        builder
    }

    fn finish(mut self, origins: &[RowOrigin]) -> DecodedPartition {
        let rows = self.event_ids.len();
        let mut earliest = i64::MAX;
        let mut latest = i64::MIN;
        for time in &self.event_times {
            earliest = earliest.min(*time);
            latest = latest.max(*time);
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(COLS + 8);
        for field in DECODED_SCHEMA.fields() {
            let column: ArrayRef = match field.name().as_str() {
                "event_time" => Arc::new(
                    TimestampMicrosecondArray::from(std::mem::take(&mut self.event_times))
                        .with_timezone("UTC"),
                ),
                "sent_time" => {
                    let (values, nulls) = self.sent_time.finish(rows);
                    Arc::new(
                        TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"),
                    )
                }
                "processing_ms" => {
                    let (values, nulls) = self.processing_ms.finish(rows);
                    Arc::new(Int64Array::new(values.into(), nulls))
                }
                "recipient_count" => {
                    let (values, nulls) = self.recipient_count.finish(rows);
                    Arc::new(Int32Array::new(values.into(), nulls))
                }
                "tags" => Arc::new(self.tags.finish(rows, field.data_type())),
                "source_name" => {
                    let name = |origin: usize| Some(&*origins[origin].source_name);
                    Arc::new(repeated(&self.origins, rows, name))
                }
                "source_shard" => {
                    let shard = |origin: usize| origins[origin].shard.as_deref();
                    Arc::new(repeated(&self.origins, rows, shard))
                }
                name => match COLUMN_OF_NAME.get(name) {
                    Some(col) => Arc::new(self.texts[*col].finish(rows)),
                    None => arrow_array::new_null_array(field.data_type(), rows),
                },
            };
            columns.push(column);
        }
        // The columns were just built to the schema, each with as many rows.
        let batch = RecordBatch::try_new(decoded_schema(), columns)
            .expect("columns are built from the schema");
        DecodedPartition {
            event_date: self.event_date,
            event_ids: self.event_ids,
            event_times: (earliest, latest),
            batch,
        }
    }
}

const TEXT_COLUMNS: [(&str, Col); COLS] = [
    ("event_id", Col::EventId),
    ("event_type", Col::EventType),
    ("source", Col::Source),
    ("channel", Col::Channel),
    ("account_id", Col::AccountId),
    ("region", Col::Region),
    ("message_id", Col::MessageId),
    ("sender", Col::Sender),
    ("sender_domain", Col::SenderDomain),
    ("recipient", Col::Recipient),
    ("recipient_domain", Col::RecipientDomain),
    ("mailbox_provider", Col::MailboxProvider),
    ("subject", Col::Subject),
    ("configuration_set", Col::ConfigurationSet),
    ("campaign", Col::Campaign),
    ("template", Col::Template),
    ("tenant", Col::Tenant),
    ("smtp_response", Col::SmtpResponse),
    ("status_code", Col::StatusCode),
    ("diagnostic", Col::Diagnostic),
    ("remote_ip", Col::RemoteIp),
    ("reporting_mta", Col::ReportingMta),
    ("bounce_type", Col::BounceType),
    ("bounce_subtype", Col::BounceSubtype),
    ("bounce_class", Col::BounceClass),
    ("rule_version", Col::RuleVersion),
    ("complaint_type", Col::ComplaintType),
    ("complaint_subtype", Col::ComplaintSubtype),
    ("delay_type", Col::DelayType),
    ("ip_address", Col::IpAddress),
    ("user_agent", Col::UserAgent),
    ("link", Col::Link),
    ("actor", Col::Actor),
    ("actor_reason", Col::ActorReason),
    ("failure_reason", Col::FailureReason),
    ("endpoint_id", Col::EndpointId),
    ("application_id", Col::ApplicationId),
    ("extra", Col::Extra),
    ("source_sequence", Col::SourceSequence),
];

static COLUMN_OF_NAME: LazyLock<HashMap<&str, usize>> =
    LazyLock::new(|| TEXT_COLUMNS.iter().map(|(name, col)| (*name, *col as usize)).collect());

/// Which rows have a value.
#[derive(Debug)]
struct Filled {
    words: Vec<u64>,
    count: usize,
}

impl Filled {
    const EMPTY: Self = Self { words: Vec::new(), count: 0 };

    #[inline]
    fn set(&mut self, row: usize) {
        let word = row / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (row % 64);
        self.count += 1;
    }

    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.count == rows {
            return None;
        }
        self.words.resize(rows.div_ceil(64), 0);
        let words = Buffer::from_vec(std::mem::take(&mut self.words));
        Some(NullBuffer::new(BooleanBuffer::new(words, 0, rows)))
    }
}

/// A column of texts.
#[derive(Debug)]
struct TextColumn {
    /// Where each row's text begins; the last one ends with `bytes`.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    filled: Filled,
}

impl TextColumn {
    const EMPTY: Self = Self { offsets: Vec::new(), bytes: Vec::new(), filled: Filled::EMPTY };

    #[inline]
    fn set(&mut self, row: usize, text: &str) {
        // Batches are closed long before their offsets could overflow (MAX_BATCH_BYTES, MAX_FAN_OUT).
        let start = self.bytes.len() as i32;
        if self.offsets.len() < row {
            self.offsets.resize(row, start);
        }
        self.offsets.push(start);
        append(&mut self.bytes, text.as_bytes());
        self.filled.set(row);
    }

    fn finish(&mut self, rows: usize) -> StringArray {
        let end = self.bytes.len() as i32;
        self.offsets.resize(rows + 1, end);
        let nulls = self.filled.finish(rows);
        let offsets = ScalarBuffer::from(std::mem::take(&mut self.offsets));
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        // SAFETY: `set` is the only one to write. Each offset is the length that `bytes` had when
        // the row was begun, so offsets never fall and lie between whole texts.
        unsafe { StringArray::new_unchecked(OffsetBuffer::new_unchecked(offsets), bytes, nulls) }
    }
}

/// Appends a text. Most are short, and a call of `memcpy` costs more than they do.
#[inline]
fn append(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = text.len();
    if length > 32 {
        bytes.extend_from_slice(text);
        return;
    }
    bytes.reserve(32);
    let end = bytes.len();
    // SAFETY: 32 bytes are reserved behind `end`; each copy reads inside `text` and writes at most
    // `length` bytes. The two copies of a branch overlap and together cover all of `text`.
    unsafe {
        let from = text.as_ptr();
        let to = bytes.as_mut_ptr().add(end);
        if length >= 16 {
            std::ptr::copy_nonoverlapping(from, to, 16);
            std::ptr::copy_nonoverlapping(from.add(length - 16), to.add(length - 16), 16);
        } else if length >= 8 {
            std::ptr::copy_nonoverlapping(from, to, 8);
            std::ptr::copy_nonoverlapping(from.add(length - 8), to.add(length - 8), 8);
        } else if length >= 4 {
            std::ptr::copy_nonoverlapping(from, to, 4);
            std::ptr::copy_nonoverlapping(from.add(length - 4), to.add(length - 4), 4);
        } else {
            for i in 0..length {
                *to.add(i) = *from.add(i);
            }
        }
        bytes.set_len(end + length);
    }
}

/// The same text in every row that comes from the same origin.
fn repeated<'o>(
    runs: &[(usize, usize)],
    rows: usize,
    text_of: impl Fn(usize) -> Option<&'o str>,
) -> StringArray {
    let mut column = TextColumn::EMPTY;
    column.offsets.reserve(rows + 1);
    let ends = runs.iter().skip(1).map(|(start, _)| *start).chain([rows]);
    for ((start, origin), end) in runs.iter().zip(ends) {
        let Some(text) = text_of(*origin) else { continue };
        // A name so long that it does not fit is left out.
        if column.bytes.len() + text.len().saturating_mul(end - start) > MAX_BATCH_BYTES {
            continue;
        }
        for row in *start..end {
            column.set(row, text);
        }
    }
    column.finish(rows)
}

/// A column of numbers.
#[derive(Debug)]
struct NumberColumn<T> {
    values: Vec<T>,
    filled: Filled,
}

impl<T> Default for NumberColumn<T> {
    fn default() -> Self {
        Self { values: Vec::new(), filled: Filled::EMPTY }
    }
}

impl<T: Copy + Default> NumberColumn<T> {
    #[inline]
    fn set(&mut self, row: usize, value: T) {
        self.values.resize(row, T::default());
        self.values.push(value);
        self.filled.set(row);
    }

    fn finish(&mut self, rows: usize) -> (Vec<T>, Option<NullBuffer>) {
        self.values.resize(rows, T::default());
        (std::mem::take(&mut self.values), self.filled.finish(rows))
    }
}

/// The column of message tags: a map from names to lists of values.
#[derive(Debug)]
struct TagsColumn {
    /// Where each row's names begin.
    offsets: Vec<i32>,
    names: TextColumn,
    /// Where each name's values begin.
    list_offsets: Vec<i32>,
    values: TextColumn,
    value_count: usize,
    filled: Filled,
}

impl Default for TagsColumn {
    fn default() -> Self {
        Self {
            offsets: Vec::new(),
            names: TextColumn::EMPTY,
            list_offsets: Vec::new(),
            values: TextColumn::EMPTY,
            value_count: 0,
            filled: Filled::EMPTY,
        }
    }
}

impl TagsColumn {
    /// Gives back the bytes added.
    fn set(&mut self, row: usize, tags: &Tags<'_>) -> usize {
        let before = self.names.bytes.len() + self.values.bytes.len();
        let start = self.list_offsets.len() as i32;
        self.offsets.resize(row, start);
        self.offsets.push(start);
        for (name, first, end) in &tags.names {
            self.names.set(self.list_offsets.len(), name);
            self.list_offsets.push(self.value_count as i32);
            for value in &tags.values[*first as usize..*end as usize] {
                if let Some(value) = value {
                    self.values.set(self.value_count, value);
                }
                self.value_count += 1;
            }
        }
        self.filled.set(row);
        self.names.bytes.len() + self.values.bytes.len() - before
    }

    fn finish(&mut self, rows: usize, data_type: &DataType) -> MapArray {
        let (entries, fields, value) = map_fields(data_type);
        let names = self.list_offsets.len();
        self.offsets.resize(rows + 1, names as i32);
        self.list_offsets.push(self.value_count as i32);
        let values = self.values.finish(self.value_count);
        let lists = ListArray::new(
            value,
            OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.list_offsets))),
            Arc::new(values),
            None,
        );
        let pairs = StructArray::new(
            fields,
            vec![Arc::new(self.names.finish(names)) as ArrayRef, Arc::new(lists)],
            None,
        );
        MapArray::new(
            entries,
            OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.offsets))),
            pairs,
            self.filled.finish(rows),
            false,
        )
    }
}

/// The fields inside the map of the column `tags`: its entries, their two fields, a value's element.
fn map_fields(
    data_type: &DataType,
) -> (Arc<arrow_schema::Field>, Fields, Arc<arrow_schema::Field>) {
    if let DataType::Map(entries, _) = data_type
        && let DataType::Struct(fields) = entries.data_type()
        && let Some(DataType::List(element)) = fields.get(1).map(|field| field.data_type())
    {
        return (Arc::clone(entries), fields.clone(), Arc::clone(element));
    }
    unreachable!("the schema of `events` has a map of lists under `tags`")
}
