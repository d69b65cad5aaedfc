//! Asks a segment's question: its members in the order of their keys, at one version of the lake.
//!
//! Invariants: a member comes once (a repeated key is counted, not passed on); nobody who must not be
//! written to comes at all, unless the segment says that it is about them; equal attributes have
//! equal texts.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use hearback_transform::address::parse_mailbox;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::{Segment, Suppressed};
use super::error::SegmentError;
use crate::engine::{Engine, EngineError, Statement};
use crate::nearest::nearest;
use crate::output::Cells;

const UNREACHABLE: &str = include_str!("../../../sql/segments/unreachable.sql");

/// The column whose values are addresses, as a key or beside it.
pub const ADDRESS: &str = "address";

/// Keys that are shown as examples of what is wrong with them.
const EXAMPLES: usize = 3;

/// A column that goes along with each member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeColumn {
    /// Name in the result.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: AttributeKind,
}

/// What the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// Text, and whatever has no kind of its own.
    Text,
    /// True or false.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Numbers with fractions.
    Number,
    /// Instants, RFC 3339 in UTC.
    Timestamp,
    /// Days.
    Date,
}

impl AttributeKind {
    fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Boolean,
            kind if kind.is_integer() => Self::Integer,
            kind if kind.is_numeric() => Self::Number,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::Date32 | DataType::Date64 => Self::Date,
            _ => Self::Text,
        }
    }
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its key.
    pub key: String,
    /// JSON object of its attributes, in the order of their names.
    pub attributes: String,
}

impl Member {
    /// The attributes, by name.
    #[must_use]
    pub fn values(&self) -> serde_json::Map<String, Value> {
        match serde_json::from_str(&self.attributes) {
            Ok(Value::Object(values)) => values,
            _ => serde_json::Map::new(),
        }
    }
}

/// What was seen beside the members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Members passed on.
    pub members: u64,
    /// Rows left out because the person must not be written to, by reason.
    pub excluded: BTreeMap<String, u64>,
    /// Rows whose key is NULL or empty.
    pub missing_keys: u64,
    /// Rows whose address, as the key or beside it, is not spelt as the lake spells addresses: nobody
    /// could tell whether that person may be written to.
    pub invalid_keys: u64,
    /// Rows whose key came before.
    pub duplicate_keys: u64,
    /// Examples of the keys that are invalid or came twice.
    pub examples: Vec<String>,
}

/// A segment's question, planned at one version of the lake.
pub struct Question {
    statement: Statement,
    sql: String,
    attributes: Vec<AttributeColumn>,
    key_is_address: bool,
    checked: bool,
    segment: String,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("segment", &self.segment).finish_non_exhaustive()
    }
}

impl Question {
    /// Plans a segment's question over the newest version of the lake.
    ///
    /// # Errors
    /// [`SegmentError::Question`] if its SQL cannot be planned, [`SegmentError::Definition`] if the
    /// result lacks the key or an attribute, or has no address to check for consent.
    pub async fn plan(engine: &Engine, segment: &Segment) -> Result<Self, SegmentError> {
        let question = |source| SegmentError::Question { segment: segment.name.clone(), source };
        // Alone first: errors then name lines of the statement as it was written.
        let alone = engine.plan(&segment.sql).await.map_err(question)?;
        let schema = alone.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let missing = |column: &str, what: &str| {
            let hint = match nearest(column, names.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("its columns: {}", names.join(", ")),
            };
            SegmentError::Definition {
                segment: segment.name.clone(),
                reason: format!("the statement has no column {column}, which is {what}"),
                hint: Some(hint),
            }
        };
        if !names.contains(&segment.key.as_str()) {
            return Err(missing(&segment.key, "the key"));
        }
        let key_is_address = segment.key == ADDRESS;
        let checked = segment.suppressed == Suppressed::Excluded;
        if checked && !names.contains(&ADDRESS) {
            return Err(SegmentError::Definition {
                segment: segment.name.clone(),
                reason: "without a column address nobody can tell who complained or unsubscribed"
                    .to_owned(),
                hint: Some(
                    "select recipient AS address beside the key, or say suppressed = \"include\""
                        .to_owned(),
                ),
            });
        }
        let mut wanted: Vec<String> = match &segment.attributes {
            Some(attributes) => {
                for attribute in attributes {
                    if !names.contains(&attribute.as_str()) {
                        return Err(missing(attribute, "one of the attributes"));
                    }
                }
                attributes.clone()
            }
            None => names.iter().map(|name| (*name).to_owned()).collect(),
        };
        // Destinations that write to people need the address, whatever else goes along.
        if names.contains(&ADDRESS) {
            wanted.push(ADDRESS.to_owned());
        }
        wanted.retain(|name| *name != segment.key);
        wanted.sort();
        wanted.dedup();
        let mut attributes = Vec::with_capacity(wanted.len());
        for name in wanted {
            let Ok(field) = schema.field_with_name(&name) else { continue };
            attributes.push(AttributeColumn { kind: AttributeKind::of(field.data_type()), name });
        }
        let sql = wrapped(segment, &attributes, checked);
        let statement = engine.plan(&sql).await.map_err(question)?;
        let segment = segment.name.clone();
        Ok(Self { statement, sql, attributes, key_is_address, checked, segment })
    }

    /// The statement that is run: `hearback_key`, then `hearback_reason` (why a row is left out, NULL
    /// for members) where that is asked, then the attributes.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The columns that go along with a member, by name.
    #[must_use]
    pub fn attributes(&self) -> &[AttributeColumn] {
        &self.attributes
    }

    /// The version of `events` that is read; None if it is not read, or not there yet.
    #[must_use]
    pub fn lake_version(&self) -> Option<u64> {
        self.statement.version_of("events")
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`SegmentError::Question`] if it cannot be started.
    pub async fn ask(&self) -> Result<Members, SegmentError> {
        let failed = |source| SegmentError::Question { segment: self.segment.clone(), source };
        let stream = self.statement.stream().await.map_err(failed)?;
        Ok(Members {
            stream,
            rows: None,
            last: None,
            census: Census::default(),
            attributes: self.attributes.clone(),
            key_is_address: self.key_is_address,
            checked: self.checked,
            segment: self.segment.clone(),
        })
    }
}

/// Members as they are found, in the order of the bytes of their keys.
pub struct Members {
    stream: SendableRecordBatchStream,
    rows: Option<Rows>,
    last: Option<String>,
    census: Census,
    attributes: Vec<AttributeColumn>,
    key_is_address: bool,
    checked: bool,
    segment: String,
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("segment", &self.segment).finish_non_exhaustive()
    }
}

/// A batch of the result that is being read.
struct Rows {
    keys: StringArray,
    reasons: Option<StringArray>,
    attributes: Vec<Cells>,
    /// Which of the attributes is the address, where the key is not and it has to be checked.
    address: Option<usize>,
    next: usize,
}

impl Members {
    /// The next member; None after the last.
    ///
    /// # Errors
    /// [`SegmentError::Question`] if the query fails.
    pub async fn next(&mut self) -> Result<Option<Member>, SegmentError> {
        loop {
            if let Some(rows) = &mut self.rows {
                while rows.next < rows.keys.len() {
                    let row = rows.next;
                    rows.next += 1;
                    if let Some(key) =
                        judge(rows, row, &mut self.census, &mut self.last, self.key_is_address)
                    {
                        let attributes = object(&self.attributes, &rows.attributes, row);
                        return Ok(Some(Member { key, attributes }));
                    }
                }
                self.rows = None;
            }
            let Some(batch) = self.stream.next().await else { return Ok(None) };
            let batch = batch.map_err(|error| self.failed(EngineError::running(&error)))?;
            let mut rows = Rows::of(&batch, self.checked).map_err(|error| {
                self.failed(EngineError::Run { message: error.to_string(), hint: None })
            })?;
            if self.checked && !self.key_is_address {
                rows.address = self.attributes.iter().position(|column| column.name == ADDRESS);
            }
            self.rows = Some(rows);
        }
    }

    /// What was seen beside the members; final after the last of them.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.census
    }

    fn failed(&self, source: EngineError) -> SegmentError {
        SegmentError::Question { segment: self.segment.clone(), source }
    }
}

impl Rows {
    fn of(batch: &RecordBatch, checked: bool) -> Result<Self, ArrowError> {
        let text = |column: usize| -> Result<StringArray, ArrowError> {
            Ok(cast(batch.column(column), &DataType::Utf8)?.as_string::<i32>().clone())
        };
        let first = if checked { 2 } else { 1 };
        let mut attributes = Vec::new();
        for column in &batch.columns()[first..] {
            attributes.push(Cells::new(column)?);
        }
        let reasons = if checked { Some(text(1)?) } else { None };
        Ok(Self { keys: text(0)?, reasons, attributes, address: None, next: 0 })
    }
}

/// The key of a row that is a member; None for one that is only counted.
fn judge(
    rows: &Rows,
    row: usize,
    census: &mut Census,
    last: &mut Option<String>,
    key_is_address: bool,
) -> Option<String> {
    if let Some(reasons) = &rows.reasons
        && reasons.is_valid(row)
    {
        *census.excluded.entry(reasons.value(row).to_owned()).or_default() += 1;
        return None;
    }
    if rows.keys.is_null(row) || rows.keys.value(row).is_empty() {
        census.missing_keys += 1;
        return None;
    }
    let key = rows.keys.value(row);
    let mut example = || {
        if census.examples.len() < EXAMPLES {
            census.examples.push(key.to_owned());
        }
    };
    let beside = rows.address.map(|column| {
        let mut text = String::new();
        rows.attributes[column].text(row, &mut text);
        text
    });
    // A row without an address beside its key is a member that nobody can write to.
    let address = if key_is_address { Some(key) } else { beside.as_deref() };
    let misspelt = |address: &str| {
        !address.is_empty()
            && parse_mailbox(address).is_none_or(|mailbox| mailbox.address != address)
    };
    if address.is_some_and(misspelt) {
        example();
        census.invalid_keys += 1;
        return None;
    }
    if last.as_deref() == Some(key) {
        example();
        census.duplicate_keys += 1;
        return None;
    }
    *last = Some(key.to_owned());
    census.members += 1;
    Some(key.to_owned())
}

/// A row's attributes as a JSON object. Fractions are spelt as they will be when they are read back.
fn object(columns: &[AttributeColumn], cells: &[Cells], row: usize) -> String {
    let mut text = String::from("{");
    for (column, cell) in columns.iter().zip(cells) {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&Value::from(column.name.as_str()).to_string());
        text.push(':');
        let begin = text.len();
        cell.json(row, &mut text);
        if column.kind == AttributeKind::Number
            && let Ok(number) = serde_json::from_str::<Value>(&text[begin..])
        {
            text.truncate(begin);
            text.push_str(&number.to_string());
        }
    }
    text.push('}');
    text
}

/// The segment's statement with its key as text, why each person is left out (if that is asked), its
/// attributes, and the order in which members are compared.
fn wrapped(segment: &Segment, attributes: &[AttributeColumn], checked: bool) -> String {
    let mut columns = format!("CAST(s.{} AS VARCHAR) AS hearback_key", quoted(&segment.key));
    if checked {
        columns.push_str(", u.reason AS hearback_reason");
    }
    for attribute in attributes {
        columns.push_str(&format!(", s.{}", quoted(&attribute.name)));
    }
    let join = if checked {
        format!(
            "\nLEFT JOIN (\n{}\n) AS u ON s.{} = u.address",
            unreachable(&segment.topics),
            quoted(ADDRESS)
        )
    } else {
        String::new()
    };
    format!(
        "SELECT {columns}\nFROM (\n{}\n) AS s{join}\nORDER BY hearback_key NULLS FIRST",
        statement(&segment.sql)
    )
}

/// The statement without the semicolon at its end, so that it can stand in brackets.
fn statement(sql: &str) -> &str {
    let mut end = sql.trim_end();
    while let Some(shorter) = end.strip_suffix(';') {
        end = shorter.trim_end();
    }
    end
}

/// The statement that finds who must not be written to.
pub(super) fn unreachable(topics: &[String]) -> String {
    let mut condition = String::from("false");
    for topic in topics {
        // Canonical JSON: keys in the order of the alphabet, no white space.
        let left = format!(
            "{{\"subscriptionStatus\":\"OptOut\",\"topicName\":{}}}",
            Value::from(topic.as_str())
        );
        condition.push_str(&format!(
            " OR coalesce(strpos(extra->'subscription'->'newTopicPreferences'->>'topicSubscriptionStatus', '{}') > 0, false)",
            left.replace('\'', "''")
        ));
    }
    UNREACHABLE.replace("false /* topics */", &condition)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
