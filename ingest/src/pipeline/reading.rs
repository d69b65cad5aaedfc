//! Objects being read: responsible for opening what was listed, and for handing its content on
//! chunk by chunk together with what has to be known once it is read to its end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::chunk::{ChunkStream, Limits};
use crate::lake::ObjectId;
use crate::source::{
    Content, Listed, ObjectFailure, ObjectName, Pipe, Place, Raw, SourceObject, file_etag,
};

/// Objects up to this size, as stored, are read several at a time.
pub(crate) const SMALL_OBJECT: u64 = 256 * 1024;
/// GETs of small objects in flight at once; each holds at most [`SMALL_OBJECT`] bytes.
const GETS_IN_FLIGHT: usize = 64;

/// Something to read, in the order of the listing.
pub(crate) enum Reading {
    /// One object that nobody has opened yet.
    Unopened(Box<Unopened>),
    /// One object, chunk by chunk.
    Object(Box<OpenObject>),
    /// Small objects, several at a time; the first may be in the middle of being read.
    Run { open: Option<Box<OpenObject>>, waiting: VecDeque<Waiting> },
}

impl Reading {
    /// Whether the next chunk is there at once.
    pub(crate) fn is_quick(&self) -> bool {
        match self {
            Self::Unopened(_) => true,
            Self::Object(object) => !object.stream.is_compressed(),
            Self::Run { .. } => false,
        }
    }
}

/// An object of a run, or what to say about it.
pub(crate) enum Waiting {
    Unopened(Unopened),
    Failed(ObjectFailure),
}

/// An object that can be opened by whichever thread gets there.
pub(crate) struct Unopened {
    name: ObjectName,
    size: Option<u64>,
    etag: Option<String>,
    bytes: Arrival,
}

enum Arrival {
    File(PathBuf),
    Pipe(Pipe),
    Body(JoinHandle<io::Result<Bytes>>),
}

/// Starts what can be started ahead: requests go out, files are opened when it is their turn.
#[derive(Clone, Debug)]
pub(crate) struct Opener {
    runtime: Handle,
    limits: Limits,
    gets: Arc<Semaphore>,
}

impl Opener {
    pub(crate) fn new(runtime: Handle, limits: Limits) -> Self {
        Self { runtime, limits, gets: Arc::new(Semaphore::new(GETS_IN_FLIGHT)) }
    }

    /// For an object of a run: a small one is fetched whole.
    pub(crate) fn wait_for(&self, listed: Listed) -> Waiting {
        match listed {
            Listed::Object(object) => Waiting::Unopened(self.start(object, true)),
            Listed::Failed(failure) => Waiting::Failed(failure),
        }
    }

    pub(crate) fn start(&self, object: SourceObject, whole: bool) -> Unopened {
        let bytes = match object.place {
            Place::File(path) => Arrival::File(path),
            Place::Stream(path) => Arrival::Pipe(Pipe::stream(self.runtime.clone(), &path)),
            Place::Stdin => Arrival::Pipe(Pipe::stdin(self.runtime.clone())),
            Place::Remote(bucket, key) if whole => {
                let etag = object.etag.clone();
                let gets = Arc::clone(&self.gets);
                Arrival::Body(self.runtime.spawn(async move {
                    let _permit = gets.acquire_owned().await.map_err(io::Error::other)?;
                    bucket.fetch(&key, etag.as_deref()).await
                }))
            }
            Place::Remote(bucket, key) => {
                Arrival::Pipe(bucket.open(&key, object.etag.as_deref(), &self.runtime))
            }
        };
        Unopened { name: object.name, size: object.size, etag: object.etag, bytes }
    }

    /// Opens an object; waits for it if it is still on its way.
    pub(crate) fn open(&self, unopened: Unopened) -> Result<OpenObject, ObjectFailure> {
        let Unopened { name, mut size, mut etag, bytes } = unopened;
        let opened: io::Result<Raw> = match bytes {
            Arrival::Pipe(pipe) => Ok(Box::new(pipe)),
            Arrival::Body(body) => match self.runtime.block_on(body) {
                Ok(body) => body.map(|body| Box::new(Cursor::new(body)) as Raw),
                Err(error) => Err(io::Error::other(error)),
            },
            Arrival::File(path) => File::open(&path).and_then(|file| {
                // What is read is what is open now, not what was listed a while ago. A change after
                // this moment shows in the etag of the next listing.
                let metadata = file.metadata()?;
                size = Some(metadata.len());
                etag = Some(file_etag(&metadata));
                Ok(Box::new(file) as Raw)
            }),
        };
        let raw = match opened {
            Ok(raw) => raw,
            Err(error) => {
                let problem = format!("cannot be read: {error}");
                return Err(ObjectFailure { object: name.to_string(), problem });
            }
        };
        let identity = match (size, etag) {
            (Some(size), Some(etag)) => {
                Some(ObjectId { name: name.to_string(), size, etag: Some(etag) })
            }
            _ => None,
        };
        let stream = ChunkStream::new(Content::new(raw), self.limits);
        Ok(OpenObject { name, identity, stream, stored_reported: 0 })
    }
}

/// An object in the middle of being read.
pub(crate) struct OpenObject {
    pub(crate) name: ObjectName,
    /// What marks it as read once its last rows are committed; `None` for what is read only once.
    pub(crate) identity: Option<ObjectId>,
    pub(crate) stream: ChunkStream,
    stored_reported: u64,
}

impl OpenObject {
    /// Bytes taken from the source since this was last asked.
    pub(crate) fn stored_since(&mut self) -> u64 {
        let stored = self.stream.stored();
        stored - std::mem::replace(&mut self.stored_reported, stored)
    }

    /// The end of an object that cannot be read on.
    pub(crate) fn failure(&self, problem: String) -> ObjectFailure {
        ObjectFailure { object: self.name.to_string(), problem }
    }
}
