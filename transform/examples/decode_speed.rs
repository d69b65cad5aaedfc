//! How fast decoding is, beside what it cannot be faster than.
//!
//! `decode_speed FILE [ROUNDS]` reads a file of SES events, one a line, into memory and prints the
//! median MB/s on one core of: finding the lines; finding the lines and reading each into a struct
//! of twenty text fields with sonic-rs; decoding and building batches.

use std::borrow::Cow;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use hearback_transform::{Counts, DecodeOptions, Decoder, Origin, Place};
use serde::Deserialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes decoded in one call, as ingest does it.
const CHUNK: usize = 8 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the fields are what reading them costs")]
struct Plain<'a> {
    #[serde(borrow)]
    event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    mail: Option<PlainMail<'a>>,
    #[serde(borrow)]
    bounce: Option<PlainSection<'a>>,
    #[serde(borrow)]
    complaint: Option<PlainSection<'a>>,
    #[serde(borrow)]
    delivery: Option<PlainSection<'a>>,
    #[serde(borrow)]
    open: Option<PlainSection<'a>>,
    #[serde(borrow)]
    click: Option<PlainSection<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the fields are what reading them costs")]
struct PlainMail<'a> {
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source_arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sending_account_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    destination: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    common_headers: Option<PlainHeaders<'a>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the fields are what reading them costs")]
struct PlainHeaders<'a> {
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the fields are what reading them costs")]
struct PlainSection<'a> {
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    processing_time_millis: Option<i64>,
    #[serde(borrow)]
    smtp_response: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "reportingMTA")]
    reporting_mta: Option<Cow<'a, str>>,
    #[serde(borrow)]
    bounce_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    bounce_sub_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    feedback_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    complaint_feedback_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    ip_address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_agent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    link: Option<Cow<'a, str>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: decode_speed FILE [ROUNDS]")?;
    let rounds: usize = args.next().map_or(Ok(7), |rounds| rounds.parse())?;
    let bytes = std::fs::read(path)?;

    let mut failed = 0;
    let mut decoder = Decoder::new(DecodeOptions {
        campaign_tags: vec!["campaign".into()],
        template_tags: vec!["template".into()],
        tenant_tags: vec!["ses:tenant-name".into()],
        link_parameters: vec!["utm_source".into()],
        // 2100-01-01: nothing is implausibly late.
        read_time_us: 4_102_444_800_000_000,
    });
    let mut counts = Counts::default();
    let mut speeds = [const { Vec::new() }; 3];
    // One after the other in every round, so that a busy machine is as busy for all of them.
    for _ in 0..rounds {
        speeds[0].push(speed(&bytes, || {
            let mut lines = 0;
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', &bytes) {
                lines += usize::from(end > start);
                start = end + 1;
            }
            black_box(lines);
        }));
        speeds[1].push(speed(&bytes, || {
            failed = 0;
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', &bytes) {
                match sonic_rs::from_slice::<Plain<'_>>(&bytes[start..end]) {
                    Ok(plain) => drop(black_box(plain)),
                    Err(_) => failed += 1,
                }
                start = end + 1;
            }
        }));
        speeds[2].push(speed(&bytes, || counts = decode(&mut decoder, &bytes)));
    }
    let [lines, sonic, decode] = speeds.map(median);
    println!("{} MB, {} lines that sonic-rs cannot read", bytes.len() / 1_000_000, failed);
    println!(
        "{} documents: {} accepted, {} ignored, {} rejected; {} rows",
        counts.records, counts.accepted, counts.ignored, counts.rejected, counts.rows
    );
    println!("lines            {lines:8.0} MB/s");
    println!("lines, sonic-rs  {sonic:8.0} MB/s");
    println!("decode           {decode:8.0} MB/s, {:.2} of lines and sonic-rs", decode / sonic);
    Ok(())
}

/// Decodes everything, in pieces that end at line ends.
fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Counts {
    let mut counts = Counts::default();
    let mut start = 0;
    while start < bytes.len() {
        let limit = bytes.len().min(start + CHUNK);
        let end = match limit == bytes.len() {
            true => limit,
            false => {
                memchr::memrchr(b'\n', &bytes[start..limit]).map_or(limit, |at| start + at + 1)
            }
        };
        let place = Place::Offset(start as u64);
        let origin = Origin { source_name: "file", shard: None, place };
        let decoded = black_box(decoder.decode(&bytes[start..end], &origin));
        counts.records += decoded.counts.records;
        counts.accepted += decoded.counts.accepted;
        counts.ignored += decoded.counts.ignored;
        counts.rejected += decoded.counts.rejected;
        counts.rows += decoded.counts.rows;
        start = end;
    }
    counts
}

/// MB/s of one round over `bytes`, by the time that this thread had a processor.
fn speed(bytes: &[u8], round: impl FnOnce()) -> f64 {
    let wall = Instant::now();
    let processor = processor_nanos();
    round();
    let nanos = match (processor, processor_nanos()) {
        (Some(start), Some(end)) => (end - start) as f64,
        _ => wall.elapsed().as_secs_f64() * 1e9,
    };
    bytes.len() as f64 * 1e3 / nanos
}

/// Nanoseconds that this thread has had a processor; only Linux tells.
fn processor_nanos() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok()
}

fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}
