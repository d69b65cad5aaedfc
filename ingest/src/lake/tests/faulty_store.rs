//! A store in memory that fails when told to: before a write, after it took effect, or for good.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

use crate::aws::StoreLocation;

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The write has no effect.
    Refused,
    /// The write takes effect and its answer is lost.
    AnswerLost,
    /// The write fails, and takes effect a moment later all the same.
    Late,
    /// The process is killed before the write: nothing works any more.
    KilledBefore,
    /// The process is killed after the write.
    KilledAfter,
    /// The disk is full.
    Full,
    /// The write takes effect; the store tries it again by itself and finds its own object.
    Repeated,
    /// The write takes effect, and somebody deletes the object at once.
    Vacuumed,
}

/// Fails one write: the `nth` (from 1) whose path contains `path`.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<InMemory>,
    path: &'static str,
    nth: usize,
    failure: Failure,
    seen: AtomicUsize,
    dead: AtomicBool,
}

impl FaultyStore {
    pub(crate) fn new(
        inner: &Arc<InMemory>,
        path: &'static str,
        nth: usize,
        failure: Failure,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            path,
            nth,
            failure,
            seen: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
        })
    }

    /// Whether the write that was to fail has come.
    pub(crate) fn has_failed(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.nth
    }

    fn alive(&self) -> Result<()> {
        if self.dead.load(Ordering::SeqCst) {
            return Err(generic("the process is dead"));
        }
        Ok(())
    }
}

pub(crate) fn place(store: Arc<dyn ObjectStore>) -> StoreLocation {
    StoreLocation {
        store,
        prefix: Path::from("lake"),
        url: Url::parse("memory:///lake/").expect("a URL"),
    }
}

fn generic(text: &str) -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: text.into() }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.alive()?;
        let due = location.as_ref().contains(self.path)
            && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.nth;
        if !due {
            return self.inner.put_opts(location, payload, options).await;
        }
        match self.failure {
            Failure::Refused => Err(generic("refused")),
            Failure::Full => Err(object_store::Error::Generic {
                store: "faulty",
                source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            }),
            Failure::AnswerLost => {
                self.inner.put_opts(location, payload, options).await?;
                Err(generic("the answer was lost"))
            }
            Failure::Repeated => {
                self.inner.put_opts(location, payload, options).await?;
                let path = location.to_string();
                Err(object_store::Error::AlreadyExists { path, source: "it is there".into() })
            }
            Failure::Vacuumed => {
                let result = self.inner.put_opts(location, payload, options).await?;
                self.inner.delete(location).await?;
                Ok(result)
            }
            Failure::Late => {
                let (inner, location) = (Arc::clone(&self.inner), location.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    inner.put_opts(&location, payload, options).await
                });
                Err(generic("no answer"))
            }
            Failure::KilledBefore => {
                self.dead.store(true, Ordering::SeqCst);
                Err(generic("killed"))
            }
            Failure::KilledAfter => {
                self.dead.store(true, Ordering::SeqCst);
                self.inner.put_opts(location, payload, options).await?;
                Err(generic("killed"))
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.alive()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.alive()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.alive()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.alive()?;
        self.inner.copy_opts(from, to, options).await
    }
}
