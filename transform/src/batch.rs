//! Column builders for decoded rows: one set for each of the first `event_date`s of a call, and one
//! for all others, whose rows are put in order in the end. Rows of rare types have one of their own.
//!
//! A row only touches the columns it fills: the others catch up when they are next written to, so
//! the work per row does not grow with the number of columns or of days.

mod coded;
mod columns;
mod ids;
mod tags;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array as _, ArrayRef, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use hearback_schemas::{EVENTS, EventType, Frequency};

use crate::decode::{DecodedPartition, Origin};
use crate::event::{COLS, Col, Texts};
use crate::tags::Tags;
use coded::{CODED, ValueArrays, Values, coded_type, is_coded, repeated};
use columns::{CodeColumn, NumberColumn, TextColumn};
use ids::{ID_DIGITS, id_column};

static DECODED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let file = EVENTS.file_schema();
    let decoded = file.fields().iter().filter(|field| field.name() != "ingest_time");
    let fields: Vec<_> = decoded
        .map(|field| {
            let coded = match COLUMN_OF_NAME.get(field.name().as_str()) {
                Some(col) => CODED >> *col & 1 == 1,
                None => matches!(field.name().as_str(), "tags" | "source_name" | "source_shard"),
            };
            if coded {
                let kind = coded_type(field.data_type());
                return Arc::new(field.as_ref().clone().with_data_type(kind));
            }
            Arc::clone(field)
        })
        .collect();
    Arc::new(Schema::new(fields))
});

/// The columns of a decoded batch: those of the `events` data files without `ingest_time`, which is
/// only known when the rows are committed. Columns whose values repeat are dictionaries of what the
/// files have.
#[must_use]
pub fn decoded_schema() -> SchemaRef {
    Arc::clone(&DECODED_SCHEMA)
}

/// Where the value of a row of a decoded column stands: the dictionary and the place in it, or the
/// column itself. `None` if there is no value.
#[must_use]
pub fn value_at(column: &ArrayRef, row: usize) -> Option<(&ArrayRef, usize)> {
    if column.is_null(row) {
        return None;
    }
    match column.as_dictionary_opt::<Int32Type>() {
        Some(coded) => Some((coded.values(), coded.key(row)?)),
        None => Some((column, row)),
    }
}

/// Text that one batch holds at most, in bytes, and so do the dictionaries of all batches together;
/// what is larger is closed and another one begun. Arrow's offsets are 32 bits wide.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// Dates of one call that have batches of their own; the rows of all others share one.
const OWN_BATCHES: usize = 4;

/// The rows of one call, by date.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// Those of the dates that came first, one each; then the one that all others share.
    open: Vec<Builder>,
    /// The one of rows of rare types, whatever their date.
    rare: Option<Builder>,
    last: usize,
    full: Vec<Builder>,
    /// Values of the columns of codes, of all builders.
    values: Values,
    /// Batches that are complete.
    done: Vec<DecodedPartition>,
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
    /// Of each column of texts.
    bytes: [usize; COLS],
    /// Of each column of codes: whether it has any.
    coded: [bool; COLS],
}

impl Default for Expected {
    fn default() -> Self {
        Self { rows: 0, bytes: [0; COLS], coded: [false; COLS] }
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

    /// Makes room for the rows of an event. Codes that were given out before mean nothing any more.
    pub(crate) fn begin_event(&mut self) {
        if self.values.bytes() > MAX_BATCH_BYTES {
            self.finish_open();
        }
    }

    /// The code of a set of tags, for the rows of the event that was begun.
    pub(crate) fn tags(&mut self, tags: &Tags<'_>) -> Option<i32> {
        self.values.tags(tags)
    }

    /// Begins a row of the event that was begun.
    pub(crate) fn row(
        &mut self,
        kind: EventType,
        event_date: i32,
        event_time: i64,
        event_id: u128,
    ) -> Row<'_> {
        let builder = match kind.frequency() {
            Frequency::Common => {
                let index = self.builder(event_date);
                &mut self.open[index]
            }
            Frequency::Rare => {
                let is_full = |builder: &mut Builder| builder.bytes > MAX_BATCH_BYTES;
                self.full.extend(self.rare.take_if(is_full));
                self.rare.get_or_insert_with(|| Builder::new(None, None).rare())
            }
        };
        let row = builder.event_ids.len();
        // `begin` comes before every row.
        let origin = self.origins.len() - 1;
        if builder.origins.last().is_none_or(|(_, last)| *last != origin) {
            builder.origins.push((row, origin));
        }
        if builder.event_date.is_none() {
            builder.dates.push(event_date);
        }
        builder.event_ids.push(event_id);
        builder.bytes += ID_DIGITS;
        builder.event_times.push(event_time);
        Row { builder, values: &mut self.values, row }
    }

    fn builder(&mut self, event_date: i32) -> usize {
        let is_of_date = |builder: &Builder| builder.event_date == Some(event_date);
        if !self.open.get(self.last).is_some_and(is_of_date) {
            let own = self.open.iter().position(is_of_date);
            self.last = own.unwrap_or_else(|| self.other_builder(event_date));
        }
        let builder = &mut self.open[self.last];
        if builder.bytes > MAX_BATCH_BYTES {
            let fresh = Builder::new(builder.event_date, None);
            self.full.push(std::mem::replace(builder, fresh));
        }
        self.last
    }

    /// A builder for a date that has none of its own yet.
    fn other_builder(&mut self, event_date: i32) -> usize {
        let count = self.open.len();
        if count < OWN_BATCHES {
            self.open.push(Builder::new(Some(event_date), Some(&self.expected)));
        } else if count == OWN_BATCHES {
            self.open.push(Builder::new(None, None));
        }
        count.min(OWN_BATCHES)
    }

    /// Ends all batches.
    pub(crate) fn finish(&mut self) -> Vec<DecodedPartition> {
        self.finish_open();
        self.origins.clear();
        std::mem::take(&mut self.done)
    }

    fn finish_open(&mut self) {
        self.last = 0;
        let mut expected = Expected::default();
        let mut most_rows = 0;
        for builder in self.full.iter().chain(&self.open).chain(&self.rare) {
            most_rows = most_rows.max(builder.event_ids.len());
            if builder.event_ids.len() > expected.rows {
                expected.rows = builder.event_ids.len();
                for (bytes, column) in expected.bytes.iter_mut().zip(&builder.texts) {
                    *bytes = column.bytes.len();
                }
                for (coded, column) in expected.coded.iter_mut().zip(&builder.codes) {
                    *coded = !column.is_empty();
                }
            }
        }
        self.expected = expected;
        if most_rows == 0 {
            return;
        }
        let values = self.values.finish(most_rows, &TAGS_TYPE);
        for builder in self.full.drain(..).chain(self.open.drain(..)).chain(self.rare.take()) {
            builder.finish(&self.origins, &values, &mut self.done);
        }
    }
}

/// A row that is being written.
#[derive(Debug)]
pub(crate) struct Row<'b> {
    builder: &'b mut Builder,
    values: &'b mut Values,
    row: usize,
}

impl Row<'_> {
    /// Fills in a column that holds texts. A column is filled at most once.
    #[inline(always)]
    pub(crate) fn text(&mut self, col: Col, text: &str) {
        if is_coded(col) {
            let code = self.values.text(col, text);
            self.builder.codes[col as usize].set(self.row, code);
            return;
        }
        self.builder.bytes += text.len();
        self.builder.texts[col as usize].set(self.row, text);
    }

    /// Fills in the domain of the recipient and whoever runs its mailboxes.
    #[inline]
    pub(crate) fn recipient_domain(&mut self, domain: &str, ask: fn(&str) -> &'static str) {
        let (domain, provider) = self.values.domain(domain, ask);
        self.builder.codes[Col::RecipientDomain as usize].set(self.row, domain);
        self.builder.codes[Col::MailboxProvider as usize].set(self.row, provider);
    }

    /// Fills in all of these columns.
    #[inline]
    pub(crate) fn texts(&mut self, texts: &Texts<'_>) {
        texts.each(|col, text| self.text(col, text));
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

    /// Fills in the set of tags with a code that [`Batches::tags`] gave for this event.
    pub(crate) fn tags(&mut self, code: Option<i32>) {
        if let Some(code) = code {
            self.builder.tags.set(self.row, code);
        }
    }
}

/// The columns of one date, or of all dates that have no others.
#[derive(Debug)]
struct Builder {
    /// `None` if it is for several.
    event_date: Option<i32>,
    frequency: Frequency,
    /// The date of each row, if they are several.
    dates: Vec<i32>,
    /// From which row on rows come from which of the origins.
    origins: Vec<(usize, usize)>,
    event_ids: Vec<u128>,
    event_times: Vec<i64>,
    sent_time: NumberColumn<i64>,
    processing_ms: NumberColumn<i64>,
    recipient_count: NumberColumn<i32>,
    tags: CodeColumn,
    /// Columns of texts; those of columns of codes stay empty …
    texts: [TextColumn; COLS],
    /// … and the other way round.
    codes: [CodeColumn; COLS],
    bytes: usize,
}

impl Builder {
    fn new(event_date: Option<i32>, expected: Option<&Expected>) -> Self {
        let mut builder = Self {
            event_date,
            frequency: Frequency::Common,
            dates: Vec::new(),
            origins: Vec::new(),
            event_ids: Vec::new(),
            event_times: Vec::new(),
            sent_time: NumberColumn::default(),
            processing_ms: NumberColumn::default(),
            recipient_count: NumberColumn::default(),
            tags: CodeColumn::default(),
            texts: [const { TextColumn::EMPTY }; COLS],
            codes: std::array::from_fn(|_| CodeColumn::default()),
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
            for (column, coded) in builder.codes.iter_mut().zip(expected.coded) {
                if coded {
                    column.codes.reserve(expected.rows + expected.rows / 8);
                }
            }
        }
        builder
    }

    /// The same for rows of rare types.
    fn rare(self) -> Self {
        Self { frequency: Frequency::Rare, ..self }
    }

    /// Adds the rows to `done`, one partition for each date.
    fn finish(
        mut self,
        origins: &[RowOrigin],
        values: &ValueArrays,
        done: &mut Vec<DecodedPartition>,
    ) {
        let event_ids = std::mem::take(&mut self.event_ids);
        let frequency = self.frequency;
        if let Some(event_date) = self.event_date {
            let event_times = bounds(self.event_times.iter().copied());
            let batch = Arc::new(self.into_batch(&event_ids, origins, values));
            done.push(DecodedPartition {
                event_date,
                frequency,
                event_ids,
                event_times,
                batch,
                first_row: 0,
            });
            return;
        }
        let dates = std::mem::take(&mut self.dates);
        let times = self.event_times.clone();
        let batch = self.into_batch(&event_ids, origins, values);
        // Stable: rows of one date keep their order. There are as many as fit into one batch.
        let mut order: Vec<u32> = (0..dates.len() as u32).collect();
        order.sort_by_key(|row| dates[*row as usize]);
        let indices = UInt32Array::from(order);
        // Every row is taken once, so no column outgrows its type.
        let batch = take_record_batch(&batch, &indices).expect("rows of the batch");
        let batch = Arc::new(batch);
        let mut first_row = 0;
        for rows in indices.values().chunk_by(|a, b| dates[*a as usize] == dates[*b as usize]) {
            done.push(DecodedPartition {
                event_date: dates[rows[0] as usize],
                frequency,
                event_ids: rows.iter().map(|row| event_ids[*row as usize]).collect(),
                event_times: bounds(rows.iter().map(|row| times[*row as usize])),
                batch: Arc::clone(&batch),
                first_row,
            });
            first_row += rows.len();
        }
    }

    fn into_batch(
        mut self,
        event_ids: &[u128],
        origins: &[RowOrigin],
        values: &ValueArrays,
    ) -> RecordBatch {
        let rows = event_ids.len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(COLS + 8);
        for field in DECODED_SCHEMA.fields() {
            let column: ArrayRef = match field.name().as_str() {
                "event_id" => Arc::new(id_column(event_ids)),
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
                "tags" => values.tags(&mut self.tags, rows),
                "source_name" => {
                    let runs = self.origins.iter();
                    repeated(runs.map(|(row, at)| (*row, Some(&*origins[*at].source_name))), rows)
                }
                "source_shard" => {
                    let runs = self.origins.iter();
                    repeated(runs.map(|(row, at)| (*row, origins[*at].shard.as_deref())), rows)
                }
                name => match COLUMN_OF_NAME.get(name) {
                    Some(col) if CODED >> *col & 1 == 1 => {
                        values.texts(*col, &mut self.codes[*col], rows)
                    }
                    Some(col) => Arc::new(self.texts[*col].finish(rows)),
                    None => arrow_array::new_null_array(field.data_type(), rows),
                },
            };
            columns.push(column);
        }
        // The columns were just built to the schema, each with as many rows.
        RecordBatch::try_new(decoded_schema(), columns).expect("columns are built from the schema")
    }
}

/// The earliest and the latest of some times.
fn bounds(times: impl Iterator<Item = i64>) -> (i64, i64) {
    times.fold((i64::MAX, i64::MIN), |(first, last), time| (first.min(time), last.max(time)))
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

static TAGS_TYPE: LazyLock<DataType> = LazyLock::new(|| {
    let file = EVENTS.file_schema();
    // A test decodes rows with tags.
    let tags = file.field_with_name("tags").expect("`events` has a column of tags");
    tags.data_type().clone()
});

static COLUMN_OF_NAME: LazyLock<HashMap<&str, usize>> =
    LazyLock::new(|| TEXT_COLUMNS.iter().map(|(name, col)| (*name, *col as usize)).collect());
