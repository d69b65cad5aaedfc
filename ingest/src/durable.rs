//! Local files that survive a power cut: what was written is on the disk before the caller goes on.
//!
//! Object stores promise that; a file system does not, unless it is told to. Owns the invariant that a
//! write that was answered is there after a power cut, with its name. The lake relies on it: a log entry
//! is only written once the files that it names are answered for.

use std::collections::HashSet;
use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    UploadPart,
};

/// Folders above a file that may have been created for it: its partition, its table, its lake.
const FOLDERS: usize = 3;
/// Folders that are remembered at most.
const MOST_KEPT: usize = 1 << 16;

/// The local file system.
#[derive(Debug, Default)]
pub(crate) struct DurableFiles {
    files: Arc<LocalFileSystem>,
    kept: KeptFolders,
}

/// Folders whose own names are on the disk: those above them need not be asked again.
type KeptFolders = Arc<Mutex<HashSet<PathBuf>>>;

impl DurableFiles {
    async fn keep(&self, location: &Path) -> Result<()> {
        keep(self.files.path_to_filesystem(location)?, Arc::clone(&self.kept)).await
    }
}

/// Reads of at most so many bytes are done where they are asked for. Handing one over to a thread that may
/// block and waiting for it takes longer than the read, if the file is in memory, as it mostly is; if it
/// is not, this is some milliseconds of a slow disk.
const READ_AT_ONCE: u64 = 1 << 20;

fn read_at_once(file: &std::path::Path, ranges: &[Range<u64>]) -> std::io::Result<Vec<Bytes>> {
    let mut file = std::fs::File::open(file)?;
    let mut read = Vec::with_capacity(ranges.len());
    for range in ranges {
        file.seek(SeekFrom::Start(range.start))?;
        let length = usize::try_from(range.end - range.start).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        read.push(bytes.into());
    }
    Ok(read)
}

/// Brings a file and the names that lead to it onto the disk.
async fn keep(file: PathBuf, kept_folders: KeptFolders) -> Result<()> {
    let kept = tokio::task::spawn_blocking(move || {
        std::fs::File::open(&file)?.sync_all()?;
        let folders: Vec<&std::path::Path> = file.ancestors().skip(1).take(FOLDERS).collect();
        let mut synced: usize = 0;
        for folder in &folders {
            sync_folder(folder)?;
            synced += 1;
            if known(&kept_folders).contains(*folder) {
                break;
            }
        }
        // The name of a folder is on the disk once the folder above it is.
        let mut known = known(&kept_folders);
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        known.extend(folders[..synced.saturating_sub(1)].iter().map(|folder| folder.to_path_buf()));
        Ok::<(), std::io::Error>(())
    });
    let kept = kept.await.map_err(|error| failed(Box::new(error)))?;
    kept.map_err(|error| failed(Box::new(error)))
}

fn known(folders: &KeptFolders) -> MutexGuard<'_, HashSet<PathBuf>> {
    // A set that a panic interrupted lacks a folder at most, which is then synced once more.
    folders.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn sync_folder(folder: &std::path::Path) -> std::io::Result<()> {
    match std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        // Folders above the lake need not be ours to open, and some file systems sync no folders.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::InvalidInput
                    | std::io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

/// Elsewhere folders cannot be opened, and their entries are written through.
#[cfg(not(unix))]
fn sync_folder(_: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "local files", source }
}

impl fmt::Display for DurableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for DurableFiles {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let done = self.files.put_opts(location, payload, options).await?;
        self.keep(location).await?;
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.files.put_multipart_opts(location, options).await?;
        let file = self.files.path_to_filesystem(location)?;
        Ok(Box::new(DurableUpload { upload, file, kept: Arc::clone(&self.kept) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        if bytes <= READ_AT_ONCE
            && ranges.iter().all(|range| range.start <= range.end)
            && let Ok(read) = read_at_once(&self.files.path_to_filesystem(location)?, ranges)
        {
            return Ok(read);
        }
        // Whatever went wrong, the store says it in its own words.
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await?;
        self.keep(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await?;
        self.keep(to).await
    }
}

/// A file that is written in parts.
#[derive(Debug)]
struct DurableUpload {
    upload: Box<dyn MultipartUpload>,
    file: PathBuf,
    kept: KeptFolders,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.upload.complete().await?;
        keep(self.file.clone(), Arc::clone(&self.kept)).await?;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt, PutMode};

    use super::*;

    #[tokio::test]
    async fn files_are_written_read_and_never_replaced_as_on_any_store() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = DurableFiles::default();
        let root = Path::from_absolute_path(folder.path()).expect("an absolute path");
        let file = root.clone().join("events").join("event_date=2026-11-23").join("part.parquet");
        let create = || PutOptions { mode: PutMode::Create, ..Default::default() };
        store.put_opts(&file, "rows".into(), create()).await.expect("written");
        let again = store.put_opts(&file, "other".into(), create()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        let mut upload = store.put_multipart(&root.clone().join("parts")).await.expect("begun");
        upload.put_part("one ".into()).await.expect("a part");
        upload.put_part("two".into()).await.expect("another");
        upload.complete().await.expect("complete");
        for (path, content) in [(file, "rows"), (root.join("parts"), "one two")] {
            let found = store.get(&path).await.expect("there").bytes().await.expect("bytes");
            assert_eq!(&*found, content.as_bytes());
        }
    }
}
