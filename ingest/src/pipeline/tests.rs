//! Whole runs over real files into real lakes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use hearback_schemas::{EVENTS, REJECTS, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::cancel::CancelFlag;
use crate::lake::{Lake, WriteSettings};
use crate::source::{ObjectFailure, SourceSpec};

/// 2026-11-01T00:00:00Z.
const NOW_US: i64 = 1_793_491_200_000_000;

/// A folder to put files in, and a lake beside it.
struct Bench {
    folder: TempDir,
    settings: IngestSettings,
}

#[derive(Default)]
struct Watcher {
    failures: Mutex<Vec<ObjectFailure>>,
    last: Mutex<Option<SoFar>>,
}

impl Progress for Watcher {
    fn update(&self, so_far: &SoFar) {
        *self.last.lock().expect("no panic") = Some(*so_far);
    }

    fn failed(&self, failure: &ObjectFailure) {
        self.failures.lock().expect("no panic").push(failure.clone());
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("in")).expect("a folder");
        let settings = IngestSettings {
            threads: NonZeroUsize::new(2),
            chunk_bytes: 64 << 10,
            ..IngestSettings::default()
        };
        Self { folder, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("in").join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    async fn has_lake(&self) -> bool {
        Lake::open(&self.lake().display().to_string()).await.is_ok()
    }

    fn request(&self, source: &Path) -> IngestRequest {
        IngestRequest {
            lake: self.lake().display().to_string(),
            sources: vec![SourceSpec::parse(source.to_str().expect("UTF-8")).expect("a source")],
            settings: self.settings.clone(),
            write: WriteSettings::default(),
            cancel: CancelFlag::new(),
            clock: Arc::new(|| NOW_US),
            run: Uuid::new_v4(),
        }
    }

    /// Ingests the folder.
    async fn ingest(&self) -> Result<IngestSummary, IngestError> {
        run(self.request(&self.path("")), &NoProgress).await
    }

    async fn ingest_all(&self) -> IngestSummary {
        self.ingest().await.expect("everything is read")
    }

    /// Values of a column of a table of the lake, in no particular order.
    async fn column(&self, table: &'static Table, column: &str) -> Vec<Vec<u8>> {
        let lake = Lake::open(&self.lake().display().to_string()).await.expect("a lake");
        let mut values = Vec::new();
        for file in lake.snapshot(table).await.expect("a table").files.iter() {
            let file = File::open(format!("/{}", file.path)).expect("a data file");
            for batch in ParquetRecordBatchReaderBuilder::try_new(file)
                .expect("Parquet")
                .build()
                .expect("Parquet")
            {
                let batch = batch.expect("Parquet");
                let array = batch.column_by_name(column).expect("the column");
                match array.as_binary_opt::<i32>() {
                    Some(array) => {
                        values.extend(array.iter().map(|value| value.expect("not null").to_vec()));
                    }
                    None => values.extend(
                        array
                            .as_string::<i32>()
                            .iter()
                            .map(|value| value.expect("not null").as_bytes().to_vec()),
                    ),
                }
            }
        }
        values.sort();
        values
    }

    async fn events(&self) -> usize {
        let ids = self.column(&EVENTS, "event_id").await;
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "each event once");
        ids.len()
    }

    async fn rejects(&self) -> Vec<Vec<u8>> {
        self.column(&REJECTS, "raw").await
    }
}

/// A delivery of message number `i`.
fn document(i: usize) -> String {
    format!(
        r#"{{"eventType":"Delivery","mail":{{"timestamp":"2026-10-01T00:00:00.000Z","messageId":"m-{i}","source":"a@example.com","destination":["x{i}@example.net"]}},"delivery":{{"timestamp":"2026-10-{:02}T00:00:01.000Z","recipients":["x{i}@example.net"],"smtpResponse":"250 ok }}{{ }}{{","processingTimeMillis":1000}}}}"#,
        i % 3 + 1
    )
}

fn documents(range: std::ops::Range<usize>, between: &str) -> String {
    range.map(document).collect::<Vec<_>>().join(between)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

fn partial(result: Result<IngestSummary, IngestError>) -> Box<IngestSummary> {
    match result {
        Err(IngestError::Partial(summary)) => summary,
        other => panic!("not in part: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_and_compression_of_a_file_is_read() {
    let bench = Bench::new();
    let many = |from: usize, between: &str| documents(from..from + 500, between).into_bytes();
    bench.put("lines.json", many(0, "\n"));
    bench.put("windows.json", [b"\xef\xbb\xbf", &many(500, "\r\n")[..]].concat());
    bench.put("concatenated", many(1000, ""));
    bench.put("array.json", format!("[{}]", documents(1500..2000, ",\n")));
    bench.put(
        "members.gz",
        [gzip(&many(2000, "\n")), gzip(b"\n"), gzip(&many(2500, "\n"))].concat(),
    );
    bench.put("frames", [zstd_of(&many(3000, "")), zstd_of(&many(3500, ""))].concat());
    bench.put("deep/er/lines", many(4000, "\n"));
    bench.put("empty.json", "");
    bench.put("empty.gz", gzip(b""));
    let stored: u64 = walkdir::WalkDir::new(bench.path(""))
        .into_iter()
        .filter_map(|entry| {
            let metadata = entry.expect("an entry").metadata().expect("metadata");
            metadata.is_file().then_some(metadata.len())
        })
        .sum();

    let summary = bench.ingest_all().await;
    assert_eq!(summary.report.records, 4500);
    assert_eq!(summary.report.events, 4500);
    assert_eq!(summary.report.rejected, 0);
    assert_eq!(summary.report.bytes, stored);
    assert_eq!(summary.objects, 9);
    assert_eq!(bench.events().await, 4500);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_again_reads_only_what_is_new_or_changed() {
    let bench = Bench::new();
    bench.put("a", documents(0..100, "\n"));
    bench.put("b", gzip(documents(100..200, "\n").as_bytes()));
    assert_eq!(bench.ingest_all().await.report.events, 200);

    let again = bench.ingest_all().await;
    assert_eq!((again.report.records, again.already_read, again.commits), (0, 2, 0));

    bench.put("a", documents(0..150, "\n"));
    bench.put("c", documents(200..300, "\n"));
    let grown = bench.ingest_all().await;
    assert_eq!(
        (grown.report.events, grown.report.duplicates, grown.already_read),
        (150 - 100 + 100 - 50, 150, 1)
    );
    assert_eq!(bench.events().await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_under_another_name_adds_nothing() {
    let bench = Bench::new();
    let garbage = "{\"no\":\"event\"}\n";
    bench.put("a", documents(0..100, "\n"));
    bench.ingest_all().await;
    bench.put("copy", documents(0..100, ""));
    bench.put("copy.gz", gzip(format!("{garbage}[{}]", documents(0..100, ",")).as_bytes()));
    let again = bench.ingest_all().await;
    assert_eq!((again.report.events, again.report.duplicates, again.report.rejected), (0, 200, 1));
    assert_eq!(bench.events().await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_kept_byte_for_byte_and_everything_around_it_is_read() {
    let bench = Bench::new();
    let deep = "[".repeat(10_000);
    let garbage: [&[u8]; 6] = [
        b"not json at all",
        b"{\"eventType\":\"Send\",\xff\xfe}",
        b"\0\0\0\0",
        b"{\"cut\":\"off",
        b"{\"a\":1}",
        deep.as_bytes(),
    ];
    let mut bytes = Vec::new();
    for (i, garbage) in garbage.iter().enumerate() {
        bytes.extend_from_slice(document(i).as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(garbage);
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(document(garbage.len()).as_bytes());
    bench.put("mixed", &bytes);
    let summary = bench.ingest_all().await;
    assert_eq!(summary.report.events, 7);
    let kept = bench.rejects().await.concat();
    for garbage in garbage {
        assert!(
            memchr::memmem::find(&kept, garbage).is_some(),
            "{:?} is kept",
            String::from_utf8_lossy(&garbage[..garbage.len().min(40)])
        );
    }
    assert_eq!(summary.report.rejected as usize, bench.rejects().await.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_fifty_megabytes_is_read_and_a_longer_one_is_kept_in_parts() {
    let bench = Bench::new();
    let padded = |i: usize, megabytes: usize| {
        document(i).replacen('{', &format!("{{\"padding\":\"{}\",", "x".repeat(megabytes << 20)), 1)
    };
    bench.put("long", format!("{}\n{}\n{}\n", document(0), padded(1, 50), document(2)));
    let summary = bench.ingest_all().await;
    assert_eq!((summary.report.events, summary.report.rejected), (3, 0));

    let longer = padded(3, 70);
    bench.put("longer", format!("{}\n{longer}\n{}\n", document(4), document(5)));
    let summary = bench.ingest_all().await;
    assert_eq!(summary.report.events, 2);
    assert!(summary.report.rejected >= 2);
    let mut kept = bench.rejects().await;
    kept.sort_by_key(|part| usize::from(!part.starts_with(b"{")));
    let kept: usize = kept.iter().map(|part| part.trim_ascii_end().len()).sum();
    assert_eq!(kept, longer.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_file_is_read_up_to_the_damage_and_again_once_it_is_repaired() {
    let bench = Bench::new();
    let whole = gzip(documents(0..20_000, "\n").as_bytes());
    bench.put("a.gz", &whole[..whole.len() / 2]);
    bench.put("b", documents(20_000..20_100, "\n"));
    let watcher = Watcher::default();
    let result = run(bench.request(&bench.path("")), &watcher).await;
    let summary = partial(result);
    let events = summary.report.events;
    assert!(events > 5000 && events < 20_000, "{events}");
    assert_eq!(summary.report.rejected, 0, "the torn document comes again");
    assert_eq!(summary.failures.len(), 1);
    assert!(summary.failures[0].object.ends_with("/a.gz"));
    assert!(
        summary.failures[0].problem.starts_with("its gzip data ends too early"),
        "{}",
        summary.failures[0]
    );
    assert_eq!(*watcher.failures.lock().expect("no panic"), summary.failures);

    bench.put("a.gz", &whole);
    let repaired = bench.ingest_all().await;
    assert_eq!(
        (repaired.report.events, repaired.report.duplicates),
        (20_100 - events, events - 100)
    );
    assert_eq!(bench.events().await, 20_100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let bench = Bench::new();
    bench.put("a", documents(0..100, "\n"));
    bench.put("b.parquet", b"PAR1\x15\x04");
    bench.put("c.zip", b"PK\x03\x04\x14\0");
    std::os::unix::fs::symlink("nowhere", bench.path("d")).expect("a link");
    bench.put("e", documents(100..200, "\n"));
    let summary = partial(bench.ingest().await);
    assert_eq!(summary.report.events, 200);
    let problems: Vec<String> =
        summary.failures.iter().map(|failure| failure.problem.clone()).collect();
    assert_eq!(problems.len(), 3);
    assert!(
        problems[0].contains("Parquet")
            && problems[1].contains("ZIP")
            && problems[2].contains("No such file"),
        "{problems:?}"
    );
    let again = partial(bench.ingest().await);
    assert_eq!((again.already_read, again.failure_count, again.report.records), (2, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_permission_is_named_and_the_rest_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.put("a", documents(0..10, "\n"));
    bench.put("closed/b", documents(10..20, "\n"));
    let closed = bench.path("closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).expect("permissions");
    let is_root = std::fs::read_dir(&closed).is_ok();
    let result = bench.ingest().await;
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    if is_root {
        // Nothing is closed to root.
        assert_eq!(result.expect("everything is read").report.events, 20);
        return;
    }
    let summary = partial(result);
    assert_eq!(summary.report.events, 10);
    assert!(summary.failures[0].problem.contains("Permission denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_is_the_same_with_any_number_of_threads_and_size_of_chunks() {
    let mut reports = Vec::new();
    for (threads, chunk_bytes) in [(1, 1 << 20), (2, 4096), (5, 64 << 10)] {
        let mut bench = Bench::new();
        bench.settings.threads = NonZeroUsize::new(threads);
        bench.settings.chunk_bytes = chunk_bytes;
        for i in 0..40 {
            let text =
                format!("{}\ngarbage {i}\n{}", documents(i * 90..i * 90 + 100, "\n"), document(i));
            match i % 3 {
                0 => bench.put(&format!("{i}"), text),
                1 => bench.put(&format!("{i}.gz"), gzip(text.as_bytes())),
                _ => bench.put(&format!("{i}.zst"), zstd_of(text.as_bytes())),
            };
        }
        bench.put("large", documents(0..5000, "\n"));
        let summary = bench.ingest_all().await;
        let ids = bench.column(&EVENTS, "event_id").await;
        let places = bench.column(&EVENTS, "source_sequence").await;
        let rejects = bench.rejects().await;
        reports.push((IngestReport { elapsed_ms: 0, ..summary.report }, ids, places, rejects));
    }
    assert_eq!(reports[0].0.rejected, 40);
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0], reports[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_committed_when_there_are_many_or_they_have_waited_long() {
    let mut bench = Bench::new();
    bench.settings.flush_rows = 1000;
    bench.put("a", documents(0..5000, "\n"));
    let summary = bench.ingest_all().await;
    assert!(summary.commits >= 3, "{} commits", summary.commits);
    assert_eq!(bench.events().await, 5000);
}

/// Asks to stop as soon as something was committed.
struct StopSoon(CancelFlag);

impl Progress for StopSoon {
    fn update(&self, so_far: &SoFar) {
        if so_far.rows > 0 {
            self.0.cancel();
        }
    }

    fn failed(&self, _: &ObjectFailure) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_keeps_what_it_has_and_the_next_one_finishes_the_job() {
    let mut bench = Bench::new();
    bench.settings.chunk_bytes = 4096;
    for i in 0..20 {
        bench.put(&format!("{i:02}"), documents(i * 2000..(i + 1) * 2000, "\n"));
    }
    let request = bench.request(&bench.path(""));
    let stop = StopSoon(request.cancel.clone());
    let begun = std::time::Instant::now();
    let Err(IngestError::Interrupted(summary)) = run(request, &stop).await else {
        panic!("not interrupted")
    };
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(summary.report.events < 40_000, "{:?}", summary.report);
    let committed = summary.report.events as usize;
    if committed > 0 {
        assert_eq!(bench.events().await, committed);
    }
    let rest = bench.ingest_all().await;
    assert_eq!(rest.report.events as usize, 40_000 - committed);
    assert_eq!(bench.events().await, 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_leaves_nothing_half_visible() {
    let mut bench = Bench::new();
    bench.settings.flush_rows = 3000;
    bench.settings.chunk_bytes = 4096;
    bench.put("a", documents(0..20_000, "\n"));
    bench.put("b", documents(20_000..40_000, "\n"));
    for millis in [1, 10, 30, 60, 100] {
        // Dropped wherever it is, like a process that is killed.
        let _ = tokio::time::timeout(Duration::from_millis(millis), bench.ingest()).await;
        if bench.has_lake().await {
            bench.events().await;
        }
    }
    bench.ingest_all().await;
    assert_eq!(bench.events().await, 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_pipe_is_read_and_what_came_is_committed_while_it_is_quiet() {
    let mut bench = Bench::new();
    bench.settings.flush_interval = Duration::from_millis(50);
    let fifo = bench.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(made.success());
    let request = bench.request(&fifo);
    let running = tokio::spawn(async move { run(request, &NoProgress).await });
    let mut pipe = tokio::task::spawn_blocking(move || File::options().write(true).open(fifo))
        .await
        .expect("no panic")
        .expect("a pipe");
    writeln!(pipe, "{}", documents(0..10, "\n")).expect("written");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !bench.has_lake().await || bench.events().await < 10 {
        assert!(
            std::time::Instant::now() < deadline,
            "what came is committed while the pipe is open"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writeln!(pipe, "{}", documents(10..20, "")).expect("written");
    drop(pipe);
    let summary = running.await.expect("no panic").expect("everything is read");
    assert_eq!((summary.report.records, summary.report.events), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_knows_the_total_and_ends_at_it() {
    let bench = Bench::new();
    bench.put("a", documents(0..100, "\n"));
    bench.put("b", documents(100..200, "\n"));
    let watcher = Watcher::default();
    let summary = run(bench.request(&bench.path("")), &watcher).await.expect("everything is read");
    let last = watcher.last.lock().expect("no panic").expect("an update");
    assert_eq!(last.bytes_total, Some(summary.report.bytes));
    assert_eq!((last.bytes, last.objects, last.objects_total), (summary.report.bytes, 2, Some(2)));
    assert_eq!((last.records, last.rows), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_there_is_refused_before_a_lake_is_made() {
    let bench = Bench::new();
    let mut request = bench.request(&bench.path(""));
    request.sources.push(SourceSpec::Path(bench.path("none")));
    let error = run(request, &NoProgress).await.expect_err("refused");
    assert!(matches!(error, IngestError::Source(_)), "{error}");
    assert!(!bench.lake().exists());
}
