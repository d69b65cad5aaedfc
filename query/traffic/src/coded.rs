//! Columns of few different texts: what a text means is looked up once for each text, not for each row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};

/// The column of this name as codes of a dictionary of texts.
pub(crate) fn coded(
    batch: &RecordBatch,
    name: &str,
) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    let column = column(batch, name)?;
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let coded = if *column.data_type() == kind { Arc::clone(column) } else { cast(column, &kind)? };
    Ok(coded.as_dictionary().clone())
}

pub(crate) fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("there is no column {name}"));
    batch.column_by_name(name).ok_or_else(missing)
}

/// What the texts of a small vocabulary mean, row by row. What is NULL means the default.
pub(crate) struct Meanings<T> {
    codes: DictionaryArray<Int32Type>,
    of_code: Vec<T>,
}

impl<T: Copy + Default> Meanings<T> {
    pub(crate) fn of(
        batch: &RecordBatch,
        name: &str,
        meaning: impl Fn(&str) -> T,
    ) -> Result<Self, ArrowError> {
        let codes = coded(batch, name)?;
        let texts = codes.values().as_string::<i32>();
        let of_code = texts.iter().map(|text| text.map_or_else(T::default, &meaning)).collect();
        Ok(Self { codes, of_code })
    }

    #[inline]
    pub(crate) fn at(&self, row: usize) -> T {
        let code = code(&self.codes, row);
        code.and_then(|code| self.of_code.get(code)).copied().unwrap_or_default()
    }
}

#[inline]
fn code(codes: &DictionaryArray<Int32Type>, row: usize) -> Option<usize> {
    codes.is_valid(row).then(|| codes.keys().value(row).cast_unsigned() as usize)
}

/// What the texts of a large vocabulary mean, looked up when a row first has one, and remembered as long as the
/// dictionary is the same.
#[derive(Debug)]
pub(crate) struct Lookup<T> {
    texts: Option<ArrayRef>,
    of_code: Vec<Option<T>>,
}

impl<T> Default for Lookup<T> {
    fn default() -> Self {
        Self { texts: None, of_code: Vec::new() }
    }
}

impl<T: Copy> Lookup<T> {
    /// Prepares for the rows of a batch.
    pub(crate) fn meet(&mut self, codes: &DictionaryArray<Int32Type>) {
        let texts = codes.values();
        if self.texts.as_ref().is_some_and(|known| Arc::ptr_eq(known, texts)) {
            return;
        }
        self.texts = Some(Arc::clone(texts));
        self.of_code.clear();
        self.of_code.resize(texts.len(), None);
    }

    /// What a row of the batch that was met means; None if it is NULL.
    #[inline]
    pub(crate) fn at(
        &mut self,
        codes: &DictionaryArray<Int32Type>,
        row: usize,
        meaning: impl Fn(&str) -> T,
    ) -> Option<T> {
        let code = code(codes, row)?;
        let known = self.of_code.get_mut(code)?;
        if known.is_none() {
            *known = Some(meaning(self.texts.as_ref()?.as_string::<i32>().value(code)));
        }
        *known
    }
}
