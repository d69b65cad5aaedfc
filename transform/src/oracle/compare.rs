//! Both decoders on the same bytes.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Map, Value};

use super::{Row, judge};
use crate::{DecodeOptions, Decoded, Decoder, Origin, Place, value_at};

/// Columns that tell where a row was read, of which the oracle knows nothing.
const PROVENANCE: [&str; 3] = ["source_name", "source_shard", "source_sequence"];

/// Compares the two decoders on `bytes`.
///
/// # Errors
///
/// Says what differs, or which promise of the fast decoder is broken: counts add up, every reject is
/// a part of the source at its place, and what is not white space is not lost.
pub fn compare(bytes: &[u8], options: &DecodeOptions) -> Result<(), String> {
    let origin = Origin { source_name: "compare", shard: None, place: Place::Offset(0) };
    let decoded = Decoder::new(options.clone()).decode(bytes, &origin);
    check_promises(bytes, &decoded)?;
    let Some(verdict) = std::str::from_utf8(bytes).ok().and_then(|text| judge(text, options))
    else {
        return Ok(());
    };
    let counts = decoded.counts;
    let given = (counts.accepted, counts.ignored, counts.rejected);
    let expected = (verdict.accepted, verdict.ignored, verdict.rejected);
    if given != expected {
        return Err(format!(
            "accepted, ignored, rejected: {given:?} instead of {expected:?}; {:?}",
            decoded.rejects.iter().map(|reject| &reject.reason).collect::<Vec<_>>()
        ));
    }
    let mut rows = rows(&decoded);
    let mut expected = verdict.rows;
    for list in [&mut rows, &mut expected] {
        list.sort_by_key(|row| Value::Object(row.clone()).to_string());
    }
    if rows.len() != expected.len() {
        return Err(format!("{} rows instead of {}", rows.len(), expected.len()));
    }
    for (row, expected) in rows.iter().zip(&expected) {
        let names = row.keys().chain(expected.keys());
        for name in names {
            if row.get(name) != expected.get(name) {
                return Err(format!(
                    "{name}: {:?} instead of {:?}",
                    row.get(name),
                    expected.get(name)
                ));
            }
        }
    }
    Ok(())
}

fn check_promises(bytes: &[u8], decoded: &Decoded) -> Result<(), String> {
    let counts = decoded.counts;
    if counts.records != counts.accepted + counts.ignored + counts.rejected {
        return Err(format!("counts do not add up: {counts:?}"));
    }
    if counts.rejected != decoded.rejects.len() as u64 {
        return Err("rejects are not as many as counted".into());
    }
    for reject in &decoded.rejects {
        let place = reject.place.split(':').next().unwrap_or_default();
        let Ok(at) = place.parse::<usize>() else {
            return Err(format!("a reject has no place: {}", reject.place));
        };
        if bytes.get(at..at + reject.raw.len()) != Some(reject.raw.as_slice()) {
            return Err(format!("the reject at {at} is not what stands there"));
        }
    }
    let blank = bytes.trim_ascii().is_empty();
    let brackets = bytes.iter().all(|byte| byte.is_ascii_whitespace() || b"[],".contains(byte));
    let mark = bytes == "\u{feff}".as_bytes();
    if counts.records == 0 && !blank && !brackets && !mark {
        return Err("bytes came to nothing".into());
    }
    Ok(())
}

/// The rows of all batches as the oracle gives them.
#[must_use]
pub fn rows(decoded: &Decoded) -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in &decoded.partitions {
        let batch = partition.rows();
        for row in 0..batch.num_rows() {
            let mut columns = columns_of(&batch, row);
            columns.insert("event_date".into(), partition.event_date.into());
            rows.push(columns);
        }
    }
    rows
}

fn columns_of(batch: &RecordBatch, row: usize) -> Row {
    let mut columns = Map::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if PROVENANCE.contains(&field.name().as_str()) {
            continue;
        }
        let Some((column, row)) = value_at(column, row) else { continue };
        let value = match column.data_type() {
            DataType::Utf8 if field.name() == "extra" => {
                serde_json::from_str(column.as_string::<i32>().value(row)).unwrap_or_default()
            }
            DataType::Utf8 => column.as_string::<i32>().value(row).into(),
            DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
            DataType::Timestamp(..) => {
                column.as_primitive::<TimestampMicrosecondType>().value(row).into()
            }
            _ => {
                let entries = column.as_map().value(row);
                let names = entries.column(0).as_string::<i32>();
                let lists = entries.column(1).as_list::<i32>();
                let mut tags = Map::new();
                for i in 0..names.len() {
                    let list = lists.value(i);
                    let values: Vec<Option<&str>> = list.as_string::<i32>().iter().collect();
                    tags.insert(names.value(i).to_owned(), values.into());
                }
                Value::Object(tags)
            }
        };
        columns.insert(field.name().clone(), value);
    }
    columns
}
