//! One cell of a result as text and as JSON, the same in every format.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, ListArray, MapArray, StringArray, StringViewArray,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The cells of one column of one batch.
#[derive(Debug)]
pub struct Cells {
    array: ArrayRef,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Text(StringArray),
    TextView(StringViewArray),
    Boolean(BooleanArray),
    /// Nanoseconds per unit of a timestamp, what follows it (`Z`, if it is an instant), and the instants.
    Timestamp(i64, &'static str, Vec<i64>),
    Date(Vec<i32>),
    /// Whole numbers, which JSON takes as they are.
    Integer,
    Float(Vec<f64>),
    /// Exact fractions, which JSON takes as they are.
    Decimal(i8),
    Bytes,
    List(ListArray, Box<Cells>),
    Map(MapArray, Box<Cells>, Box<Cells>),
    Struct(Vec<(String, Cells)>),
    /// Whatever else Arrow can spell.
    Other,
}

impl Cells {
    /// The cells of a column.
    ///
    /// # Errors
    /// For types that have no text form.
    pub fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let shape = match array.data_type() {
            DataType::Utf8 => Shape::Text(array.as_string::<i32>().clone()),
            DataType::Utf8View => Shape::TextView(array.as_string_view().clone()),
            DataType::LargeUtf8 | DataType::Dictionary(..) | DataType::LargeList(_) => {
                return Self::new(&simpler(array)?);
            }
            DataType::Boolean => Shape::Boolean(array.as_boolean().clone()),
            DataType::Timestamp(unit, None) => timestamps(array, *unit, ""),
            DataType::Timestamp(unit, Some(zone)) if is_utc(zone) => timestamps(array, *unit, "Z"),
            // In another zone that the question asked for: Arrow writes `2026-11-23T14:51:48+09:00`.
            DataType::Timestamp(..) => Shape::Other,
            DataType::Date32 => Shape::Date(array.as_primitive::<Date32Type>().values().to_vec()),
            DataType::Float64 => {
                Shape::Float(array.as_primitive::<Float64Type>().values().to_vec())
            }
            DataType::Float32 => Shape::Float(
                array
                    .as_primitive::<Float32Type>()
                    .values()
                    .iter()
                    .map(|v| f64::from(*v))
                    .collect(),
            ),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64 => Shape::Integer,
            DataType::Decimal128(_, scale) => Shape::Decimal(*scale),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Shape::Bytes,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Shape::List(list.clone(), Box::new(Self::new(list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let keys = Box::new(Self::new(map.keys())?);
                Shape::Map(map.clone(), keys, Box::new(Self::new(map.values())?))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct();
                let mut named = Vec::with_capacity(fields.len());
                for (field, column) in fields.iter().zip(columns.columns()) {
                    named.push((field.name().clone(), Self::new(column)?));
                }
                Shape::Struct(named)
            }
            _ => Shape::Other,
        };
        Ok(Self { array: array.clone(), shape })
    }

    /// Whether the cell is NULL.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        // Logical: an array of the type Null has no null buffer and is NULL throughout.
        *self.array.data_type() == DataType::Null || self.array.is_null(row)
    }

    /// Whether the column is written flush right in a table.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self.shape, Shape::Integer | Shape::Float(_) | Shape::Decimal(..))
    }

    /// Appends the cell as text; nothing for NULL.
    pub fn text(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            return;
        }
        match &self.shape {
            Shape::Text(array) => out.push_str(array.value(row)),
            Shape::TextView(array) => out.push_str(array.value(row)),
            Shape::Float(values) => float(values[row], out),
            Shape::Boolean(_) | Shape::Integer | Shape::Decimal(..) => self.json(row, out),
            Shape::List(..) | Shape::Map(..) | Shape::Struct(..) => self.json(row, out),
            Shape::Timestamp(..) | Shape::Date(_) | Shape::Bytes | Shape::Other => {
                self.spell(row, out);
            }
        }
    }

    /// Appends the cell as JSON.
    pub fn json(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            out.push_str("null");
            return;
        }
        match &self.shape {
            Shape::Text(array) => quote(array.value(row), out),
            Shape::TextView(array) => quote(array.value(row), out),
            Shape::Boolean(array) => out.push_str(if array.value(row) { "true" } else { "false" }),
            Shape::Float(values) if values[row].is_finite() => float(values[row], out),
            // JSON has no infinities.
            Shape::Float(_) => out.push_str("null"),
            Shape::Integer | Shape::Decimal(..) => self.spell(row, out),
            Shape::Timestamp(..) | Shape::Date(_) | Shape::Bytes | Shape::Other => {
                let mut text = String::new();
                self.spell(row, &mut text);
                quote(&text, out);
            }
            Shape::List(list, items) => {
                out.push('[');
                let offsets = list.value_offsets();
                for (index, item) in span(offsets, row).enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    items.json(item, out);
                }
                out.push(']');
            }
            Shape::Map(map, keys, values) => {
                out.push('{');
                for (index, entry) in span(map.value_offsets(), row).enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    let mut key = String::new();
                    keys.text(entry, &mut key);
                    quote(&key, out);
                    out.push(':');
                    values.json(entry, out);
                }
                out.push('}');
            }
            Shape::Struct(fields) => {
                out.push('{');
                for (index, (name, cells)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    cells.json(row, out);
                }
                out.push('}');
            }
        }
    }

    /// Appends a cell that is not NULL and has no quotes or brackets of its own.
    fn spell(&self, row: usize, out: &mut String) {
        match &self.shape {
            Shape::Timestamp(scale, end, instants) => instant(instants[row], *scale, end, out),
            Shape::Date(days) => date(days[row], out),
            Shape::Integer => integer(&self.array, row, out),
            Shape::Decimal(scale) => {
                decimal(self.array.as_primitive::<Decimal128Type>().value(row), *scale, out);
            }
            Shape::Bytes => {
                for byte in bytes(&self.array, row) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{byte:02x}");
                }
            }
            _ => {
                let options = FormatOptions::default();
                // A type Arrow cannot spell was refused in `new`; an empty cell is the fallback.
                if let Ok(formatter) = ArrayFormatter::try_new(self.array.as_ref(), &options) {
                    let _ = write!(out, "{}", formatter.value(row));
                }
            }
        }
    }
}

/// A type with the same values that `Cells` knows.
fn simpler(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let target = match array.data_type() {
        DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::LargeList(item) => DataType::List(item.clone()),
        other => other.clone(),
    };
    arrow_cast::cast(array, &target)
}

fn span(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    // Arrow's offsets are never negative.
    let at = |index: usize| usize::try_from(offsets[index]).unwrap_or_default();
    at(row)..at(row + 1)
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "+00:00" | "Z") || zone.eq_ignore_ascii_case("utc")
}

fn timestamps(array: &ArrayRef, unit: TimeUnit, end: &'static str) -> Shape {
    let (scale, instants) = match unit {
        TimeUnit::Second => {
            (1_000_000_000, array.as_primitive::<TimestampSecondType>().values().to_vec())
        }
        TimeUnit::Millisecond => {
            (1_000_000, array.as_primitive::<TimestampMillisecondType>().values().to_vec())
        }
        TimeUnit::Microsecond => {
            (1_000, array.as_primitive::<TimestampMicrosecondType>().values().to_vec())
        }
        TimeUnit::Nanosecond => {
            (1, array.as_primitive::<TimestampNanosecondType>().values().to_vec())
        }
    };
    Shape::Timestamp(scale, end, instants)
}

fn integer(array: &ArrayRef, row: usize, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match array.data_type() {
        DataType::Int8 => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => write!(out, "{}", array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => write!(out, "{}", array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => write!(out, "{}", array.as_primitive::<UInt32Type>().value(row)),
        _ => write!(out, "{}", array.as_primitive::<UInt64Type>().value(row)),
    };
}

fn float(value: f64, out: &mut String) {
    // Writing to a String cannot fail. Rust's shortest form reads back to the same number.
    let _ = write!(out, "{value}");
}

fn decimal(value: i128, scale: i8, out: &mut String) {
    let Ok(scale) = usize::try_from(scale) else {
        let _ = write!(out, "{value}e{}", -i32::from(scale));
        return;
    };
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    if value < 0 {
        out.push('-');
    }
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.push_str(whole);
    if scale > 0 {
        out.push('.');
        out.push_str(fraction);
    }
}

/// An instant as `2026-11-23T05:51:48.000001Z`, with as many fraction digits as it needs (0, 3, 6 or 9).
/// A time in no zone, as on a wall's clock, has nothing at its end.
fn instant(value: i64, scale: i64, end: &str, out: &mut String) {
    let nanoseconds = i128::from(value) * i128::from(scale);
    let Ok(instant) = Timestamp::from_nanosecond(nanoseconds) else {
        // Beyond the years that have a name; the number itself is better than nothing.
        let _ = write!(out, "{nanoseconds} ns since 1970");
        return;
    };
    let time = instant.to_zoned(TimeZone::UTC).datetime();
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
    );
    let fraction = time.subsec_nanosecond();
    let _ = match fraction {
        0 => Ok(()),
        _ if fraction % 1_000_000 == 0 => write!(out, ".{:03}", fraction / 1_000_000),
        _ if fraction % 1_000 == 0 => write!(out, ".{:06}", fraction / 1_000),
        _ => write!(out, ".{fraction:09}"),
    };
    out.push_str(end);
}

fn date(days: i32, out: &mut String) {
    let epoch = jiff::civil::date(1970, 1, 1);
    let span = jiff::Span::new().try_days(i64::from(days));
    match span.and_then(|span| epoch.checked_add(span)) {
        Ok(date) => {
            let _ = write!(out, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
        }
        Err(_) => {
            let _ = write!(out, "{days} days since 1970");
        }
    }
}

fn bytes(array: &ArrayRef, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        _ => array.as_fixed_size_binary().value(row),
    }
}

/// Appends a JSON string.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut clean = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f | 0x7f => "",
            _ => continue,
        };
        out.push_str(&text[clean..at]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        clean = at + 1;
    }
    out.push_str(&text[clean..]);
    out.push('"');
}
