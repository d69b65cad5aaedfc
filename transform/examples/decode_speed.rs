//! How fast decoding is, beside what it cannot be faster than.
//!
//! `decode_speed FILE [ROUNDS]` reads a file of SES events, one a line, into memory and prints the
//! median MB/s on one core of: finding the lines; finding the lines and reading each into a struct
//! of twenty text fields with sonic-rs; decoding and building batches.

use std::borrow::Cow;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use hearback_transform::{DecodeOptions, Decoder, Origin, Place};
use serde::Deserialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes decoded in one call, as ingest does it.
const CHUNK: usize = 4 << 20;

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

    let lines = median(rounds, &bytes, || {
        let mut lines = 0;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &bytes) {
            lines += usize::from(end > start);
            start = end + 1;
        }
        black_box(lines);
    });
    let mut failed = 0;
    let sonic = median(rounds, &bytes, || {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &bytes) {
            match sonic_rs::from_slice::<Plain<'_>>(&bytes[start..end]) {
                Ok(plain) => drop(black_box(plain)),
                Err(_) => failed += 1,
            }
            start = end + 1;
        }
    });
    let mut decoder = Decoder::new(DecodeOptions {
        campaign_tags: vec!["campaign".into()],
        template_tags: vec!["template".into()],
        tenant_tags: vec!["ses:tenant-name".into()],
        link_parameters: vec!["utm_source".into()],
        // 2100-01-01: nothing is implausibly late.
        read_time_us: 4_102_444_800_000_000,
    });
    let mut rows = 0;
    let mut counts = (0, 0, 0, 0);
    let decode = median(rounds, &bytes, || {
        rows = 0;
        counts = (0, 0, 0, 0);
        let mut start = 0;
        while start < bytes.len() {
            let limit = bytes.len().min(start + CHUNK);
            let end = match limit == bytes.len() {
                true => limit,
                false => {
                    memchr::memrchr(b'\n', &bytes[start..limit]).map_or(limit, |at| start + at + 1)
                }
            };
            let origin =
                Origin { source_name: "file", shard: None, place: Place::Offset(start as u64) };
            let decoded = black_box(decoder.decode(&bytes[start..end], &origin));
            rows += decoded.counts.rows;
            counts.0 += decoded.counts.records;
            counts.1 += decoded.counts.accepted;
            counts.2 += decoded.counts.ignored;
            counts.3 += decoded.counts.rejected;
            start = end;
        }
    });
    println!("{} MB, {} lines that sonic-rs cannot read", bytes.len() / 1_000_000, failed / rounds);
    println!(
        "{} documents: {} accepted, {} ignored, {} rejected; {rows} rows",
        counts.0, counts.1, counts.2, counts.3
    );
    println!("lines            {lines:8.0} MB/s");
    println!("lines, sonic-rs  {sonic:8.0} MB/s");
    println!("decode           {decode:8.0} MB/s, {:.2} of lines and sonic-rs", decode / sonic);
    Ok(())
}

/// Median MB/s of `rounds` rounds over `bytes`.
fn median(rounds: usize, bytes: &[u8], mut round: impl FnMut()) -> f64 {
    let mut speeds = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        round();
        speeds.push(bytes.len() as f64 / 1e6 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    speeds[rounds / 2]
}
