//! One object of a source: responsible for its name, where its bytes are, and the identity by
//! which a later run knows that it was read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectMeta;

use super::bucket::Bucket;

/// Name of an object as it stands in `source_name` and in messages: an absolute path, an
/// `s3://bucket/key` address, or `stdin`.
pub(crate) type ObjectName = Arc<str>;

/// An object that could not be read, or not to its end. Everything read before the damage is in
/// the lake; the object is not marked as read, so a repaired one is read by the next run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFailure {
    /// Which object (or folder).
    pub object: String,
    /// What happened and what would remedy it, one line.
    pub problem: String,
}

impl std::fmt::Display for ObjectFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.problem)
    }
}

/// Where the bytes of an object are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A regular file.
    File(PathBuf),
    /// Something named on the command line that can be read once: a FIFO, a device, `/dev/fd/63`.
    Stream(PathBuf),
    /// Standard input.
    Stdin,
    /// An object of a bucket.
    Remote(Arc<Bucket>, object_store::path::Path),
}

/// An object as listed, not yet opened.
#[derive(Clone, Debug)]
pub(crate) struct SourceObject {
    pub(crate) name: ObjectName,
    pub(crate) place: Place,
    /// Bytes as stored; `None` where nobody can tell before the end.
    pub(crate) size: Option<u64>,
    /// What changes when the content changes; `None` for what can only be read once.
    pub(crate) etag: Option<String>,
}

/// What a listing gives: an object, or a folder or file it could not look into.
#[derive(Debug)]
pub(crate) enum Listed {
    Object(SourceObject),
    Failed(ObjectFailure),
}

impl SourceObject {
    pub(crate) fn stdin() -> Self {
        Self { name: Arc::from("stdin"), place: Place::Stdin, size: None, etag: None }
    }

    pub(crate) fn stream(path: &Path) -> Self {
        Self { name: name_of(path), place: Place::Stream(path.to_owned()), size: None, etag: None }
    }

    pub(crate) fn file(path: &Path, metadata: &Metadata) -> Self {
        Self {
            name: name_of(path),
            place: Place::File(path.to_owned()),
            size: Some(metadata.len()),
            etag: Some(file_etag(metadata)),
        }
    }

    pub(crate) fn remote(bucket: &Arc<Bucket>, meta: &ObjectMeta) -> Self {
        Self {
            name: Arc::from(format!("{}/{}", bucket.address(), meta.location)),
            place: Place::Remote(Arc::clone(bucket), meta.location.clone()),
            size: Some(meta.size),
            etag: Some(remote_etag(meta)),
        }
    }
}

/// What stands for a local file's ETag: the times of the last change of its content (mtime) and of
/// its inode (ctime), in nanoseconds. mtime alone would miss a file put back by `cp -p`, `tar` or
/// `rsync` with other content of the same length under the old time; nothing can set ctime back.
/// A copy elsewhere, a `chmod` or a restore is read again, which adds nothing: each event is kept once.
pub(crate) fn file_etag(metadata: &Metadata) -> String {
    let mtime = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let ctime = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    format!("m{mtime}-c{ctime}")
}

/// The store's ETag, or the time of the last change where a store has none.
pub(crate) fn remote_etag(meta: &ObjectMeta) -> String {
    match &meta.e_tag {
        Some(etag) => etag.clone(),
        None => format!("m{}", meta.last_modified.timestamp_micros()),
    }
}

fn name_of(path: &Path) -> ObjectName {
    // Lexical only: a link keeps the name the user knows it by.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Arc::from(absolute.to_string_lossy())
}
