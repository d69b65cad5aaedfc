//! Files in the making, several of them at a time: so that all cores have work until the last file is up.
//!
//! Files are worked on side by side, each on one thread, as long as there are enough of them; a file
//! that is alone has its columns encoded on all threads. Invariant: what is taken out of a partition
//! comes back as an open file or as a complete one, or the writer has failed.

use std::cmp::Reverse;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::encode::FileEncoder;
use super::error::LakeError;
use super::known_ids::PartitionKey;
use super::slices::{Pending, gather};
use super::staging::{Parts, StagedFile, Staging, waiting_bytes};

/// Data files that are uploaded at once.
const UPLOADS: usize = 8;

/// Rows of one partition that are in no complete file yet.
pub(super) struct UnfinishedFile {
    pub(super) key: PartitionKey,
    /// Those that are encoded.
    pub(super) encoder: Option<FileEncoder>,
    /// Those that are not.
    pub(super) common: Pending,
    /// And those that stand apart, behind them.
    pub(super) rare: Pending,
}

impl UnfinishedFile {
    fn pending_bytes(&self) -> usize {
        self.common.bytes() + self.rare.bytes()
    }

    fn pending_rows(&self) -> usize {
        self.common.rows() + self.rare.rows()
    }

    /// How much is left to do for an encoder.
    fn weight(&self) -> usize {
        self.pending_bytes() + self.encoder.as_ref().map_or(0, FileEncoder::memory)
    }
}

/// Files that are away: the rows that waited for them are being encoded.
pub(super) struct Encoding {
    task: JoinHandle<Result<Vec<(PartitionKey, FileEncoder)>, LakeError>>,
    /// Memory of those rows.
    pub(super) bytes: usize,
}

impl Staging {
    /// Begins to encode the rows that wait in some partitions; more may be staged meanwhile. What was
    /// begun before has to be ended first.
    pub(super) fn begin_encoding(&mut self, keys: &[PartitionKey], parts: Parts) {
        let take = |key: &PartitionKey| self.take_unfinished(*key, parts);
        let files: Vec<UnfinishedFile> = keys.iter().filter_map(take).collect();
        let bytes = files.iter().map(UnfinishedFile::pending_bytes).sum();
        let Shares { at_once, threads } = self.shares(files.len());
        let mut encodings = Vec::with_capacity(files.len());
        for file in files {
            let key = file.key;
            // More rows are likely to come; a Bloom filter folds to what it needs in the end.
            let expected = file.pending_rows().saturating_mul(4);
            let encode = self.encoding(file, expected, threads);
            encodings.push(blocking(move || Ok((key, encode()?))));
        }
        let encoded = stream::iter(encodings).buffer_unordered(at_once).try_collect();
        self.encoding = Some(Encoding { task: tokio::spawn(encoded), bytes });
    }

    /// Waits for what was begun. The files stay open.
    pub(super) async fn end_encoding(&mut self) -> Result<(), LakeError> {
        let Some(Encoding { task, .. }) = self.encoding.take() else { return Ok(()) };
        for (key, encoder) in task.await.map_err(LakeError::invalid)?? {
            self.partitions.entry(key).or_default().encoder = Some(encoder);
        }
        Ok(())
    }

    /// Encodes and uploads all rows of some partitions.
    pub(super) async fn write_files(&mut self, keys: Vec<PartitionKey>) -> Result<(), LakeError> {
        let mut files = Vec::new();
        for key in keys {
            if let Some(file) = self.take_unfinished(key, Parts::All) {
                files.push((file, self.names.next()));
            }
        }
        // The largest first, so that none of them is left to run alone in the end.
        files.sort_by_cached_key(|(file, _)| Reverse(file.weight()));
        let most = waiting_bytes(&self.settings).max(1);
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let mut together = Vec::new();
            let mut bytes = 0;
            while let Some(next) = files.next_if(|_| bytes < most) {
                bytes += next.0.pending_bytes();
                together.push(next);
            }
            self.write_together(together).await?;
        }
        Ok(())
    }

    /// Encodes and uploads some files. What waits for them is held twice for a moment.
    async fn write_together(
        &mut self,
        mut files: Vec<(UnfinishedFile, Uuid)>,
    ) -> Result<(), LakeError> {
        let common = files.iter_mut().map(|(file, _)| std::mem::take(&mut file.common)).collect();
        let rare = files.iter_mut().map(|(file, _)| std::mem::take(&mut file.rare)).collect();
        let (common, rare) = blocking(move || Ok((gather(common)?, gather(rare)?))).await?;
        for ((file, _), (common, rare)) in files.iter_mut().zip(common.into_iter().zip(rare)) {
            (file.common, file.rare) = (common, rare);
        }
        let Shares { at_once, threads } = self.shares(files.len());
        let mut encodings = Vec::with_capacity(files.len());
        for (file, name) in files {
            let key = file.key;
            let expected = file.pending_rows();
            let encode = self.encoding(file, expected, threads);
            encodings.push(blocking(move || Ok((key, encode()?.finish(threads)?, name))));
        }
        let done: Vec<(PartitionKey, StagedFile)> = stream::iter(encodings)
            .buffer_unordered(at_once)
            .map_ok(|(key, encoded, name)| self.upload_as(key, encoded, name))
            .try_buffer_unordered(UPLOADS)
            .try_collect()
            .await?;
        for (key, file) in done {
            self.partitions.entry(key).or_default().files.push(file);
        }
        Ok(())
    }

    fn shares(&self, files: usize) -> Shares {
        let threads = self.settings.encode_threads.max(1);
        // One more, so that no core waits while a file changes hands.
        Shares { at_once: threads + 1, threads: threads.div_ceil(files.max(1)) }
    }

    /// What encodes the rows of a file that wait. If the file is to be begun, it is expected to hold so
    /// many rows.
    fn encoding(
        &self,
        file: UnfinishedFile,
        expected: usize,
        threads: usize,
    ) -> impl FnOnce() -> Result<FileEncoder, LakeError> + Send + use<> {
        let (table, schema) = (self.log.table, Arc::clone(&self.schema));
        let settings = self.settings.clone();
        move || {
            let mut encoder = match file.encoder {
                Some(encoder) => encoder,
                None => FileEncoder::new(table, schema, &settings, expected)?,
            };
            encoder.encode(&file.common.into_batches(), threads)?;
            encoder.encode_apart(&file.rare.into_batches(), threads)?;
            Ok(encoder)
        }
    }
}

/// How the threads that encode are shared.
struct Shares {
    /// Files that are encoded at once.
    at_once: usize,
    /// Threads that each of them has.
    threads: usize,
}

/// Does what keeps a core busy where it holds up nobody who waits for a store.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T, LakeError> {
    tokio::task::spawn_blocking(work).await.map_err(LakeError::invalid)?
}
