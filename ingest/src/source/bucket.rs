//! Objects of a bucket: responsible for listing a key prefix in key order, page by page, and for
//! fetching the version of an object that was listed and no other.
//!
//! Memory: one page of the listing (1,000 keys), and one pipe for each object being fetched.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::object::{Listed, ObjectFailure, SourceObject};
use super::pages::{self, Pages};
use super::pipe::{PIECE_BYTES, Piece, Pipe};
use super::spec::SourceError;
use super::walk::Flow;
use crate::aws;

/// Where an archive of a stream keeps what is too large for Firehose, unless it is told otherwise.
const IN_THE_LAKE: &str = "/_hearback/archive/";

/// A bucket, or anything else that has keys.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// Its keys, if it can give them page by page.
    pages: Option<Pages>,
    /// Without a slash at the end, `s3://bucket`.
    address: String,
    /// Keys below this one are the lake's own and no feedback.
    lake: Option<String>,
}

impl Bucket {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        pages: Option<Pages>,
        address: String,
        lake: Option<String>,
    ) -> Self {
        Self { store, pages, address, lake }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Refuses a prefix under which nothing lies, and a bucket that cannot be listed, before
    /// anything is read.
    pub(crate) async fn check(&self, prefix: &str) -> Result<(), SourceError> {
        let given = format!("{}/{prefix}", self.address);
        let place = match KeyPrefix::parse(prefix) {
            Ok(place) => place,
            Err(problem) => return Err(SourceError::Malformed { given, problem }),
        };
        if self.exact(&place).await.is_some() {
            return Ok(());
        }
        match self.below(&place).next().await {
            Some(Ok(meta)) if place.matches(&meta.location) => Ok(()),
            // There is an object; that it cannot be read is told when it is its turn.
            Some(Err(object_store::Error::InvalidPath { .. })) => Ok(()),
            Some(Err(error)) => Err(SourceError::Store { given, problem: explain(&error) }),
            _ => Err(SourceError::NothingThere {
                given,
                problem: "the bucket has no object whose key starts like that".to_owned(),
            }),
        }
    }

    /// Gives every object whose key starts with `prefix`, in key order. A key that is the prefix
    /// exactly is an object like any other. Must not be called from within the runtime: it waits.
    pub(crate) fn list(
        self: &Arc<Self>,
        prefix: &str,
        runtime: &Handle,
        visit: &mut dyn FnMut(Listed) -> Flow,
    ) -> Flow {
        let Ok(place) = KeyPrefix::parse(prefix) else { return Flow::Continue(()) };
        if let Some(meta) = runtime.block_on(self.exact(&place)) {
            self.give(&meta, visit)?;
        }
        let mut keys = self.below(&place);
        while let Some(listed) = runtime.block_on(keys.next()) {
            let meta = match listed {
                Ok(meta) => meta,
                Err(object_store::Error::InvalidPath { source }) => {
                    let key = pages::key_of(&source).unwrap_or(prefix);
                    let object = format!("{}/{}", self.address, key.escape_debug());
                    let problem =
                        "cannot be read: its key has an empty segment (//), one of dots or a \
                                   control character; copy it to another key"
                            .to_owned();
                    visit(Listed::Failed(ObjectFailure { object, problem }))?;
                    continue;
                }
                Err(error) => {
                    let object = format!("{}/{prefix}", self.address);
                    let problem = format!(
                        "the listing stopped: {}; run the same command again",
                        explain(&error)
                    );
                    return visit(Listed::Failed(ObjectFailure { object, problem }));
                }
            };
            if !place.matches(&meta.location) {
                // Keys come in order: behind the last one that starts like this, no other does.
                return Flow::Continue(());
            }
            self.give(&meta, visit)?;
        }
        Flow::Continue(())
    }

    fn give(self: &Arc<Self>, meta: &ObjectMeta, visit: &mut dyn FnMut(Listed) -> Flow) -> Flow {
        // Empty objects are the folders that consoles draw; there is nothing in them to read.
        if meta.size == 0 || self.is_lake(&meta.location) {
            return Flow::Continue(());
        }
        visit(Listed::Object(SourceObject::remote(self, meta)))
    }

    /// Whether a key is the lake's own. Records of a stream that are kept there are not: they are
    /// feedback.
    fn is_lake(&self, key: &Path) -> bool {
        let Some(lake) = &self.lake else { return false };
        let within = key.as_ref().strip_prefix(lake.as_str());
        within.is_some_and(|rest| rest.starts_with('/') && !rest.starts_with(IN_THE_LAKE))
    }

    async fn exact(&self, place: &KeyPrefix) -> Option<ObjectMeta> {
        if !place.may_be_key {
            return None;
        }
        // A failure to look is told by the listing that follows.
        self.store.head(&place.start).await.ok()
    }

    fn below(
        &self,
        place: &KeyPrefix,
    ) -> futures::stream::BoxStream<'static, object_store::Result<ObjectMeta>> {
        if let Some(pages) = &self.pages {
            let exact = place.start.clone();
            let keys = pages.keys(&place.text);
            // The key that is the prefix exactly has been given already.
            return keys
                .filter(move |key| {
                    let again = key.as_ref().is_ok_and(|meta| meta.location == exact);
                    std::future::ready(!again)
                })
                .boxed();
        }
        match place.may_be_key {
            true => self.store.list_with_offset(place.folder.as_ref(), &place.start),
            false => self.store.list(place.folder.as_ref()),
        }
    }

    /// The whole of a small object, in memory.
    pub(crate) async fn fetch(&self, key: &Path, etag: Option<&str>) -> io::Result<Bytes> {
        let result =
            self.store.get_opts(key, listed_version(etag)).await.map_err(|error| broken(&error))?;
        result.bytes().await.map_err(|error| broken(&error))
    }

    /// A GET in flight, and the pipe it fills.
    pub(crate) fn open(self: &Arc<Self>, key: &Path, etag: Option<&str>, runtime: &Handle) -> Pipe {
        let (pipe, sender) = Pipe::new(runtime.clone());
        let bucket = Arc::clone(self);
        let key = key.clone();
        let options = listed_version(etag);
        runtime.spawn(async move {
            if let Err(error) = bucket.pour(&key, options, &sender).await {
                // Nobody left to tell if the receiver is gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        pipe
    }

    async fn pour(
        &self,
        key: &Path,
        options: GetOptions,
        sender: &mpsc::Sender<Piece>,
    ) -> io::Result<()> {
        let result = self.store.get_opts(key, options).await.map_err(|error| broken(&error))?;
        let mut body = result.into_stream();
        while let Some(piece) = body.next().await {
            let mut piece = piece.map_err(|error| broken(&error))?;
            while !piece.is_empty() {
                let part = piece.split_to(piece.len().min(PIECE_BYTES));
                if sender.send(Ok(part)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A key prefix, in the terms a store can list.
#[derive(Debug)]
struct KeyPrefix {
    text: String,
    /// The whole segments before the last slash.
    folder: Option<Path>,
    /// The prefix as a key.
    start: Path,
    /// Whether a key could end with the prefix: not if it is empty or ends with a slash.
    may_be_key: bool,
}

impl KeyPrefix {
    fn parse(prefix: &str) -> Result<Self, String> {
        let parse = |text: &str| {
            Path::parse(text).map_err(|error| format!("the prefix is no key: {error}"))
        };
        let (folder, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let folder = if folder.is_empty() { None } else { Some(parse(folder)?) };
        Ok(Self {
            text: prefix.to_owned(),
            folder,
            start: parse(prefix)?,
            may_be_key: !name.is_empty(),
        })
    }

    fn matches(&self, key: &Path) -> bool {
        key.as_ref().starts_with(&self.text)
    }
}

/// Asks for the version that was listed, where the store has versions to tell apart.
fn listed_version(etag: Option<&str>) -> GetOptions {
    let if_match = etag.filter(|etag| etag.starts_with('"')).map(str::to_owned);
    GetOptions { if_match, ..GetOptions::default() }
}

fn broken(error: &object_store::Error) -> io::Error {
    io::Error::other(explain(error))
}

/// What a store's error means, where reading an object gives it a meaning of its own.
fn explain(error: &object_store::Error) -> String {
    match error {
        object_store::Error::NotFound { .. } => {
            "it does not exist (or is gone since it was listed)".to_owned()
        }
        object_store::Error::Precondition { .. } => {
            "it changed while it was read; run the same command again".to_owned()
        }
        other => aws::explain(other),
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn bucket(keys: &[&str]) -> Arc<Bucket> {
        let store = InMemory::new();
        for key in keys {
            store.put(&Path::from(*key), key.as_bytes().to_vec().into()).await.expect("memory");
        }
        let lake = Some("mail/lake".to_owned());
        Arc::new(Bucket::new(Arc::new(store), None, "s3://acme".to_owned(), lake))
    }

    async fn keys(bucket: &Arc<Bucket>, prefix: &'static str) -> Vec<String> {
        let bucket = Arc::clone(bucket);
        let runtime = Handle::current();
        let listing = move || {
            let mut keys = Vec::new();
            let flow = bucket.list(prefix, &runtime, &mut |listed| {
                match listed {
                    Listed::Object(object) => {
                        keys.push(object.name.trim_start_matches("s3://acme/").to_owned());
                    }
                    Listed::Failed(failure) => keys.push(format!("! {failure}")),
                }
                Flow::Continue(())
            });
            assert!(flow.is_continue());
            keys
        };
        tokio::task::spawn_blocking(listing).await.expect("no panic")
    }

    #[tokio::test]
    async fn a_prefix_is_a_prefix_of_keys_and_may_be_a_key() {
        let bucket = bucket(&[
            "mail/ses",
            "mail/ses/2026/b",
            "mail/ses/2026/a",
            "mail/ses2026",
            "mail/set",
            "mail/lake/x",
            "mail/lake/_hearback/archive/x",
            "mail/a",
        ])
        .await;
        assert_eq!(
            keys(&bucket, "mail/ses").await,
            ["mail/ses", "mail/ses/2026/a", "mail/ses/2026/b", "mail/ses2026"]
        );
        assert_eq!(keys(&bucket, "mail/ses/").await, ["mail/ses/2026/a", "mail/ses/2026/b"]);
        assert_eq!(keys(&bucket, "mail/ses/2026/b").await, ["mail/ses/2026/b"]);
        assert_eq!(keys(&bucket, "").await.len(), 7, "everything but the lake's own");
        let archived = keys(&bucket, "mail/lake/").await;
        assert_eq!(archived, ["mail/lake/_hearback/archive/x"]);
    }

    #[tokio::test]
    async fn a_prefix_without_objects_is_refused() {
        let bucket = bucket(&["mail/ses/a"]).await;
        assert!(bucket.check("mail/ses").await.is_ok());
        assert!(bucket.check("mail/ses/a").await.is_ok());
        let error = bucket.check("mail/sns").await.expect_err("nothing there").to_string();
        assert_eq!(
            error,
            "cannot read 's3://acme/mail/sns': the bucket has no object whose key starts like that"
        );
    }

    #[tokio::test]
    async fn an_object_is_fetched_whole_or_as_a_stream() {
        let bucket = bucket(&["mail/ses/a"]).await;
        let key = Path::from("mail/ses/a");
        assert_eq!(bucket.fetch(&key, None).await.expect("the object"), "mail/ses/a");
        let mut pipe = bucket.open(&key, None, &Handle::current());
        let text = tokio::task::spawn_blocking(move || io::read_to_string(&mut pipe))
            .await
            .expect("no panic");
        assert_eq!(text.expect("the object"), "mail/ses/a");
        let gone =
            bucket.fetch(&Path::from("mail/none"), None).await.expect_err("not there").to_string();
        assert!(gone.starts_with("it does not exist"), "{gone}");
    }
}
