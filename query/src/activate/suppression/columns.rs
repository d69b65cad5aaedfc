//! Reads the columns of a result by name, whatever Arrow type the engine chose for them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringViewArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use crate::engine::EngineError;

/// A column of text, as views: what the scan gives is not copied.
pub(crate) struct Texts(StringViewArray);

/// A column of whole numbers, or of instants in microseconds since 1970.
pub(crate) struct Numbers(Int64Array);

/// A column of truths; what is unknown is not true.
pub(crate) struct Flags(BooleanArray);

impl Texts {
    pub(crate) fn of(batch: &RecordBatch, name: &str) -> Result<Self, EngineError> {
        let column = cast_to(batch, name, &DataType::Utf8View)?;
        Ok(Self(column.as_string_view().clone()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }

    pub(crate) fn owned(&self, row: usize) -> Option<String> {
        self.get(row).map(str::to_owned)
    }
}

impl Numbers {
    pub(crate) fn of(batch: &RecordBatch, name: &str) -> Result<Self, EngineError> {
        let column = match batch.column_by_name(name).map(|column| column.data_type().clone()) {
            Some(DataType::Timestamp(_, zone)) => {
                let instant = DataType::Timestamp(TimeUnit::Microsecond, zone);
                let column = cast_to(batch, name, &instant)?;
                cast(&column, &DataType::Int64).map_err(|error| failed(name, &error))?
            }
            _ => cast_to(batch, name, &DataType::Int64)?,
        };
        Ok(Self(column.as_primitive::<Int64Type>().clone()))
    }

    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

impl Flags {
    pub(crate) fn of(batch: &RecordBatch, name: &str) -> Result<Self, EngineError> {
        let column = cast_to(batch, name, &DataType::Boolean)?;
        Ok(Self(column.as_boolean().clone()))
    }

    pub(crate) fn get(&self, row: usize) -> bool {
        self.0.is_valid(row) && self.0.value(row)
    }
}

/// A column of lists of texts.
pub(crate) fn text_list(column: &ArrayRef, row: usize) -> Vec<String> {
    let Some(lists) = column.as_list_opt::<i32>() else { return Vec::new() };
    if lists.is_null(row) {
        return Vec::new();
    }
    let Ok(texts) = cast(&lists.value(row), &DataType::Utf8) else { return Vec::new() };
    texts.as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

fn cast_to(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, EngineError> {
    let Some(column) = batch.column_by_name(name) else {
        return Err(EngineError::Run {
            message: format!("the result has no column {name}"),
            hint: None,
        });
    };
    if column.data_type() == kind {
        return Ok(Arc::clone(column));
    }
    cast(column, kind).map_err(|error| failed(name, &error))
}

fn failed(name: &str, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Run { message: format!("cannot read the column {name}: {error}"), hint: None }
}
