//! Two readers of one stream, and a lake that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::task::JoinHandle;

use super::memory_stream::MemoryStream;
use super::support::*;
use crate::cancel::CancelFlag;
use crate::lake::Lake;
use crate::pipeline::IngestSummary;
use crate::stream::{StreamError, StreamRequest, run_stream};

struct Reader {
    seen: Arc<Seen>,
    cancel: CancelFlag,
    task: JoinHandle<std::result::Result<IngestSummary, StreamError>>,
}

fn start(lake: &Lake, stream: &MemoryStream) -> Reader {
    let (seen, cancel) = (Arc::new(Seen::default()), CancelFlag::new());
    let request = StreamRequest { until_caught_up: false, cancel: cancel.clone(), ..request(lake) };
    let task = tokio::spawn(run_stream(request, Arc::new(stream.clone()), Arc::clone(&seen) as _));
    Reader { seen, cancel, task }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_reader_stands_by_and_takes_over_within_thirty_seconds_of_a_death() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    let first = start(&lake, &stream);
    seconds(1).await;
    let second = start(&lake, &stream);
    for number in 0..20 {
        stream.put("shard-0", &event(number));
        seconds(7).await;
    }
    assert!(second.seen.has("StandingBy") && !second.seen.has("Reading"));
    assert!(!first.seen.has("StandingBy"));
    assert_holds(&lake, 0..20).await;
    // As a process does that is killed: from one moment to the next.
    first.task.abort();
    stream.put("shard-0", &event(20));
    seconds(30).await;
    assert!(second.seen.has("Reading"), "{:?}", second.seen.lines());
    seconds(11).await;
    assert_holds(&lake, 0..21).await;
    second.cancel.cancel();
    second.task.await.expect("it ends").expect("a good end");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_ends_well_leaves_the_stream_at_once() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    let first = start(&lake, &stream);
    seconds(1).await;
    let second = start(&lake, &stream);
    seconds(10).await;
    assert!(second.seen.has("StandingBy"));
    first.cancel.cancel();
    first.task.await.expect("it ends").expect("a good end");
    seconds(3).await;
    assert!(second.seen.has("Reading"));
    second.task.abort();
}

#[tokio::test(start_paused = true)]
async fn two_readers_that_begin_at_the_same_moment_double_nothing_and_one_stands_by() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    for number in 0..50 {
        stream.put("shard-0", &event(number));
    }
    stream.put("shard-0", b"garbage");
    let readers = [start(&lake, &stream), start(&lake, &stream)];
    for number in 50..70 {
        seconds(5).await;
        stream.put("shard-0", &event(number));
    }
    seconds(30).await;
    assert_holds(&lake, 0..70).await;
    assert_eq!(reject_places(&lake).await.into_values().sum::<usize>(), 1);
    let waiting = readers.iter().filter(|reader| reader.seen.has("StandingBy")).count();
    assert_eq!(waiting, 1, "{:?} {:?}", readers[0].seen.lines(), readers[1].seen.lines());
    for reader in readers {
        reader.cancel.cancel();
        reader.task.await.expect("it ends").expect("a good end");
    }
}

/// A store that takes no writes for as long as it is told not to.
#[derive(Debug)]
struct Blocked {
    inner: InMemory,
    is_blocked: Arc<AtomicBool>,
}

impl std::fmt::Display for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("blocked")
    }
}

#[async_trait]
impl ObjectStore for Blocked {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if self.is_blocked.load(Ordering::SeqCst) {
            return Err(object_store::Error::Generic { store: "blocked", source: "no".into() });
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
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
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lake_that_cannot_be_written_is_waited_for_loudly_and_caught_up_with() {
    let is_blocked = Arc::new(AtomicBool::new(false));
    let store = Blocked { inner: InMemory::new(), is_blocked: Arc::clone(&is_blocked) };
    let (lake, stream) = (lake_in(Arc::new(store)), MemoryStream::new(NOW_MS));
    let reader = start(&lake, &stream);
    stream.put("shard-0", &event(0));
    seconds(20).await;
    is_blocked.store(true, Ordering::SeqCst);
    for number in 1..100 {
        stream.put("shard-0", &event(number));
        seconds(60).await;
    }
    assert!(reader.seen.has("what: Lake"), "{:?}", reader.seen.lines());
    is_blocked.store(false, Ordering::SeqCst);
    seconds(100).await;
    assert_holds(&lake, 0..100).await;
    reader.cancel.cancel();
    reader.task.await.expect("it ends").expect("a good end");
}
