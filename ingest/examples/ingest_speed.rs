//! Ingests files into a new lake and prints how fast that was and how much memory it took.
//!
//! `cargo run --release -p hearback-ingest --example ingest_speed -- SOURCE… [--threads N] [--lake FOLDER]
//! [--chunk BYTES] [--staged BYTES]`
//!
//! `--make MESSAGES FILE` writes a file of SES events to try it with, and ends.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hearback_ingest::lake::WriteSettings;
use hearback_ingest::simulate::{Scenario, write};
use hearback_ingest::{CancelFlag, IngestRequest, IngestSettings, NoProgress, SourceSpec};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut settings = IngestSettings::default();
    let mut sources = Vec::new();
    let mut write = WriteSettings::default();
    let mut lake = None;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing");
        match argument.as_str() {
            "--make" => return make(value()?.parse()?, &value()?),
            "--threads" => settings.threads = Some(value()?.parse()?),
            "--chunk" => settings.chunk_bytes = value()?.parse()?,
            "--staged" => write.staged_bytes = value()?.parse()?,
            "--lake" => lake = Some(value()?),
            source => sources.push(SourceSpec::parse(source)?),
        }
    }
    let folder = tempfile::tempdir()?;
    let request = IngestRequest {
        lake: lake.unwrap_or_else(|| folder.path().join("lake").display().to_string()),
        sources,
        settings,
        write,
        cancel: CancelFlag::new(),
        clock: Arc::new(now_us),
        run: uuid::Uuid::new_v4(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let begun = Instant::now();
    let summary = runtime.block_on(hearback_ingest::run(request, &NoProgress))?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string(&summary.report)?);
    println!(
        "{seconds:.3} s  {:.0} MB/s  {:.0} rows/s  peak {:.0} MB",
        summary.report.bytes as f64 / 1e6 / seconds,
        summary.report.events as f64 / seconds,
        peak_memory_kib()? as f64 * 1024.0 / 1e6,
    );
    Ok(())
}

fn make(messages: u64, path: &str) -> Result<(), Failure> {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let tally = write(&Scenario::ses_only(messages, 1), &mut file, &mut |_| {})?;
    println!("{} documents, {:.0} MB", tally.documents, tally.bytes as f64 / 1e6);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: the time comes from here")]
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The most memory this process had in RAM (Linux: VmHWM in /proc/self/status).
fn peak_memory_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
    Ok(number.parse()?)
}
