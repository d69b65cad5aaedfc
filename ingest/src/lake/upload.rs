//! From encoded rows to files in the store, under names that nobody else gives.
//!
//! Invariant: a file is written once, never over another, and is in no commit before it is complete.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use uuid::Uuid;

use super::encode::{EncodedFile, FileEncoder};
use super::error::LakeError;
use super::known_ids::{IdSet, PartitionKey};
use super::log::Add;
use super::read_ids::batch_ids;
use super::staging::{Rewritten, SMALL_FILE_ROWS, StagedFile, Staging};
use super::stats::format_date;
use super::unfinished::blocking;

impl Staging {
    pub(super) async fn upload(
        &mut self,
        key: PartitionKey,
        encoded: EncodedFile,
    ) -> Result<StagedFile, LakeError> {
        let name = self.names.next();
        let (_, file) = self.upload_as(key, encoded, name).await?;
        Ok(file)
    }

    /// Writes a data file. Its name is one that nobody else gives, so an object that is there already
    /// was put by the store's own retry of this very request, whose answer was lost.
    pub(super) async fn upload_as(
        &self,
        key: PartitionKey,
        encoded: EncodedFile,
        name: Uuid,
    ) -> Result<(PartitionKey, StagedFile), LakeError> {
        let mut path = self.log.root.clone();
        let mut relative = format!("part-{name}.parquet");
        let mut partition_values = HashMap::new();
        if let Some(column) = self.log.table.partition_columns.first() {
            let date = key.and_then(format_date);
            let date = date.ok_or_else(|| LakeError::invalid("rows without a valid date"))?;
            let folder = format!("{column}={date}");
            path = path.join(folder.as_str());
            relative = format!("{folder}/{relative}");
            partition_values.insert((*column).to_owned(), Some(date));
        }
        path = path.join(format!("part-{name}.parquet"));
        let size = encoded.bytes.len() as u64;
        let action = || format!("write {path}");
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        match self.log.store.put_opts(&path, encoded.bytes.clone().into(), options).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => {
                let found = self.log.store.head(&path).await;
                let found = found.map_err(|error| LakeError::store(action(), error))?;
                if found.size != size {
                    return Err(LakeError::damaged(&path, "another file has its name"));
                }
            }
            Err(error) => return Err(LakeError::store(action(), error)),
        }
        let add = Add {
            path: relative,
            partition_values,
            size,
            modification_time: 0,
            stats: Some(encoded.stats.to_json(encoded.rows)),
        };
        Ok((key, StagedFile { add, path, rows: encoded.rows }))
    }

    /// Writes a staged file anew without some of its rows.
    pub(crate) async fn rewrite_without(
        &mut self,
        key: PartitionKey,
        file: &StagedFile,
        gone: &IdSet,
    ) -> Result<Rewritten, LakeError> {
        let action = || format!("read {}", file.path);
        let found = self.log.store.get(&file.path).await;
        let found = found.map_err(|error| LakeError::store(action(), error))?;
        let bytes = found.bytes().await.map_err(|error| LakeError::store(action(), error))?;
        let options = ArrowReaderOptions::new().with_schema(Arc::clone(&self.schema));
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)
            .and_then(|builder| builder.with_batch_size(SMALL_FILE_ROWS).build())
            .map_err(|error| LakeError::damaged(&file.path, error))?;
        let expected = usize::try_from(file.rows).unwrap_or(usize::MAX);
        let mut encoder =
            FileEncoder::new(self.log.table, Arc::clone(&self.schema), &self.settings, expected)?;
        let threads = self.settings.encode_threads.max(1);
        let mut kept = 0;
        for batch in reader {
            let batch = batch.map_err(|error| LakeError::damaged(&file.path, error))?;
            let ids = batch_ids(&batch, self.id_column)
                .ok_or_else(|| LakeError::damaged(&file.path, "it has no identities"))?;
            let keep: Vec<bool> =
                ids.iter().map(|id| id.is_none_or(|id| !gone.contains(&id))).collect();
            let batch = filter_record_batch(&batch, &BooleanArray::from(keep))
                .map_err(LakeError::invalid)?;
            kept += batch.num_rows();
            encoder = blocking(move || {
                encoder.encode(&[batch], threads)?;
                Ok(encoder)
            })
            .await?;
        }
        if kept == 0 {
            return Ok(Rewritten::Empty);
        }
        if kept == expected {
            return Ok(Rewritten::Unchanged);
        }
        let encoded = blocking(move || encoder.finish(threads)).await?;
        self.upload(key, encoded).await.map(Rewritten::Without)
    }
}
