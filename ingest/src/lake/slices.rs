//! Rows that wait to be encoded, as parts of batches that others may share.
//!
//! Rows that were decoded together may be of many days, a few of each. A batch of fifty columns takes up
//! ten kilobytes however few its rows are, so such days share one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take;

use super::error::LakeError;

/// Batches of fewer rows than this share one.
const FEW_ROWS: usize = 256;

/// A list of slices has few pieces if it has no more than this.
const FEW_PIECES: usize = 4;
/// Pieces with fewer rows than this, on average, are small.
const FEW_ROWS_A_PIECE: usize = 64;

/// Some rows of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    batch: Arc<RecordBatch>,
    start: usize,
    rows: usize,
    /// Its part of the memory of the batch, in bytes.
    bytes: usize,
}

impl Slice {
    /// All rows of a batch.
    pub(crate) fn whole(batch: RecordBatch) -> Self {
        Self { start: 0, rows: batch.num_rows(), bytes: memory_of(&batch), batch: Arc::new(batch) }
    }

    /// All rows of each of some batches, which have one schema, in their order.
    pub(crate) fn all(batches: Vec<RecordBatch>) -> Result<Vec<Self>, LakeError> {
        let is_few = |batch: &&RecordBatch| batch.num_rows() < FEW_ROWS;
        let few: Vec<&RecordBatch> = batches.iter().filter(is_few).collect();
        let (Some(first), true) = (few.first(), few.len() > 1) else {
            return Ok(batches.into_iter().map(Self::whole).collect());
        };
        let shared = concat_batches(first.schema_ref(), few).map_err(LakeError::invalid)?;
        let mut rest = Self::whole(shared);
        let mut slices = Vec::with_capacity(batches.len());
        for batch in batches {
            slices.push(match is_few(&&batch) {
                true => rest.split_off_front(batch.num_rows()),
                false => Self::whole(batch),
            });
        }
        Ok(slices)
    }

    /// All rows of a batch of few rows that wait for long: without the dictionaries that they share with
    /// others.
    pub(crate) fn alone(batch: &RecordBatch) -> Result<Self, LakeError> {
        Ok(Self::whole(without_dictionaries(batch).map_err(LakeError::invalid)?))
    }

    /// Some of the rows; `None` if there are not as many.
    pub(crate) fn part(&self, first: usize, rows: usize) -> Option<Self> {
        let batch = Arc::clone(&self.batch);
        let bytes = self.share(rows);
        let fits = first.checked_add(rows)? <= self.rows;
        fits.then_some(Self { batch, start: self.start + first, rows, bytes })
    }

    fn split_off_front(&mut self, rows: usize) -> Self {
        let bytes = self.share(rows);
        let front = Self { batch: Arc::clone(&self.batch), start: self.start, rows, bytes };
        self.start += rows;
        self.rows -= rows;
        self.bytes -= bytes;
        front
    }

    fn share(&self, rows: usize) -> usize {
        self.bytes * rows / self.rows.max(1)
    }

    /// Memory of the rows, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows.
    fn to_batch(&self) -> RecordBatch {
        self.batch.slice(self.start, self.rows)
    }

    /// The rows that are to be kept, one answer for each. Few rows stay where they are.
    pub(crate) fn keep(mut self, keep: Vec<bool>) -> Result<Vec<Self>, LakeError> {
        if self.rows >= FEW_ROWS {
            let kept = filter_record_batch(&self.to_batch(), &BooleanArray::from(keep));
            return Ok(vec![Self::whole(kept.map_err(LakeError::invalid)?)]);
        }
        let mut kept = Vec::new();
        for run in keep.chunk_by(|this, next| this == next) {
            let slice = self.split_off_front(run.len());
            if run[0] {
                kept.push(slice);
            }
        }
        Ok(kept)
    }
}

/// Puts the rows of each list into one batch that all lists share, if they come in many small pieces:
/// what is done for each column of each piece takes longer than a few rows are worth.
pub(crate) fn gather(lists: Vec<Pending>) -> Result<Vec<Pending>, LakeError> {
    let pieces: usize = lists.iter().map(|list| list.slices.len()).sum();
    let rows: usize = lists.iter().map(Pending::rows).sum();
    if pieces <= lists.len() * FEW_PIECES || rows >= pieces * FEW_ROWS_A_PIECE {
        return Ok(lists);
    }
    let mut places: HashMap<*const RecordBatch, usize> = HashMap::new();
    let mut batches: Vec<Arc<RecordBatch>> = Vec::new();
    let mut wanted = Vec::with_capacity(rows);
    for slice in lists.iter().flat_map(|list| &list.slices) {
        let place = *places.entry(Arc::as_ptr(&slice.batch)).or_insert_with(|| {
            batches.push(Arc::clone(&slice.batch));
            batches.len() - 1
        });
        wanted.extend((slice.start..slice.start + slice.rows).map(|row| (place, row)));
    }
    let batches: Vec<&RecordBatch> = batches.iter().map(Arc::as_ref).collect();
    let gathered = interleave_record_batch(&batches, &wanted).map_err(LakeError::invalid)?;
    let mut rest = Slice::whole(gathered);
    let mut gathered = Vec::with_capacity(lists.len());
    for list in &lists {
        let mut pending = Pending::default();
        if list.rows() > 0 {
            pending.push(rest.split_off_front(list.rows()));
        }
        gathered.push(pending);
    }
    Ok(gathered)
}

/// Rows that wait, in their order.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    slices: Vec<Slice>,
    rows: usize,
    bytes: usize,
}

impl Pending {
    pub(crate) fn push(&mut self, slice: Slice) {
        self.rows += slice.rows;
        self.bytes += slice.bytes;
        self.slices.push(slice);
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory of the rows, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn into_batches(self) -> Vec<RecordBatch> {
        self.slices.iter().map(Slice::to_batch).collect()
    }
}

/// The same rows with the values themselves where there were codes of dictionaries.
fn without_dictionaries(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let Some(coded) = column.as_any_dictionary_opt() else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        };
        let values = take(coded.values(), coded.keys(), None)?;
        fields.push(Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone())));
        columns.push(values);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Memory of a batch, in bytes. Dictionaries are shared by the days that were decoded together; each
/// bears its part.
fn memory_of(batch: &RecordBatch) -> usize {
    let column = |column: &ArrayRef| match column.as_any_dictionary_opt() {
        Some(coded) => {
            let values = coded.values();
            let part = values.get_array_memory_size() / Arc::strong_count(values);
            coded.keys().len() * size_of::<i32>() + part
        }
        None => column.get_array_memory_size(),
    };
    batch.columns().iter().map(column).sum()
}
