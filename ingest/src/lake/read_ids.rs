//! Reads the identities out of committed data files: one column, nothing else.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::error::LakeError;
use super::snapshot::DataFile;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 32 * 1024;

/// Bytes at the end of a file that are fetched first; most footers are within.
const FOOTER_BYTES: usize = 64 * 1024;

/// Whether a file's identities were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Visited {
    /// All of them.
    All,
    /// The file is not there; what was visited of it does not count.
    Gone,
}

/// Calls `visit` with every identity in a file, whichever engine wrote it. Texts that are no identity
/// (rows that another program wrote) cannot equal one and are passed over.
pub(crate) async fn visit_ids(
    store: &Arc<dyn ObjectStore>,
    file: &DataFile,
    column: &str,
    mut visit: impl FnMut(u128),
) -> Result<Visited, LakeError> {
    match try_visit(store, file, column, &mut visit).await {
        Ok(()) => Ok(Visited::All),
        Err(Unread::Gone) => Ok(Visited::Gone),
        Err(Unread::Failed(error)) => Err(error),
    }
}

enum Unread {
    Gone,
    Failed(LakeError),
}

async fn try_visit(
    store: &Arc<dyn ObjectStore>,
    file: &DataFile,
    column: &str,
    visit: &mut impl FnMut(u128),
) -> Result<(), Unread> {
    let damaged = |error: String| Unread::Failed(LakeError::damaged(&file.path, error));
    let unreadable = |error: ParquetError| match error {
        ParquetError::External(source) => match source.downcast::<object_store::Error>() {
            Ok(error) if matches!(*error, object_store::Error::NotFound { .. }) => Unread::Gone,
            Ok(error) => Unread::Failed(LakeError::store(format!("read {}", file.path), *error)),
            Err(error) => damaged(error.to_string()),
        },
        error => damaged(error.to_string()),
    };
    let reader = StoredFile { store: Arc::clone(store), path: file.path.clone(), size: file.size };
    // Which kind of text an engine held in memory (views, dictionaries, 64-bit offsets) stands in the
    // file beside the schema; the column itself is always the same.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options);
    let builder = builder.await.map_err(unreadable)?;
    if builder.schema().field_with_name(column).is_err() {
        // Columns that a file lacks are NULL in it (Delta protocol, "Add File").
        return Ok(());
    }
    let projection = ProjectionMask::columns(builder.parquet_schema(), [column]);
    let mut batches = builder
        .with_projection(projection)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(unreadable)?;
    while let Some(batch) = batches.try_next().await.map_err(unreadable)? {
        let Some(ids) = batch.column_by_name(column).and_then(|ids| ids.as_string_opt::<i32>())
        else {
            return Err(damaged(format!("its column {column} is no text")));
        };
        visit_texts(ids, visit);
    }
    Ok(())
}

/// A data file as the Parquet reader asks for it: by ranges, out of the store.
struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { self.store.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let metadata = ParquetMetaDataReader::new()
                .with_prefetch_hint(Some(FOOTER_BYTES))
                .load_and_finish(self, size)
                .await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// The identities in a batch, in its order; None where the text is none.
pub(crate) fn batch_ids(batch: &RecordBatch, column: &str) -> Option<Vec<Option<u128>>> {
    let texts = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    Some(texts.iter().map(|text| parse_id(text?.as_bytes())).collect())
}

fn visit_texts(texts: &StringArray, visit: &mut impl FnMut(u128)) {
    for row in 0..texts.len() {
        if texts.is_valid(row)
            && let Some(id) = parse_id(texts.value(row).as_bytes())
        {
            visit(id);
        }
    }
}

/// Reads 32 lower-case hex digits.
pub(crate) fn parse_id(text: &[u8]) -> Option<u128> {
    let digits: &[u8; 32] = text.try_into().ok()?;
    let mut id = 0_u128;
    let mut bad = 0_u8;
    for digit in digits {
        let value = HEX[usize::from(*digit)];
        bad |= value;
        id = id << 4 | u128::from(value & 0x0f);
    }
    (bad & 0x80 == 0).then_some(id)
}

/// Value of each hex digit; 0x80 for everything else.
const HEX: [u8; 256] = {
    let mut table = [0x80; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_spelling_and_nothing_else_is_taken_for_one() {
        for id in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            assert_eq!(parse_id(format!("{id:032x}").as_bytes()), Some(id));
        }
        for text in
            ["", "0", "0123456789abcdef0123456789abcdeg", "0123456789ABCDEF0123456789ABCDEF"]
        {
            assert_eq!(parse_id(text.as_bytes()), None, "{text}");
        }
    }
}
