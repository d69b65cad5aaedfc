//! Measures staging and committing alone: rows that are decoded already, into a lake on disk.
//!
//! `cargo run --release -p hearback-ingest --example lake_throughput -- FOLDER [ROWS [DAYS [BATCH
//! [STAGED_MB [THREADS]]]]]` prints one line for each of: first ingest, the same rows again by another run.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::builder::{ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_cast::cast;
use arrow_schema::{DataType, Field};
use hearback_ingest::lake::{Lake, LakeWriter, ObjectId, PositionDelta, Provenance, WriteSettings};
use hearback_schemas::Frequency;
use hearback_transform::{Decoded, DecodedPartition, decoded_schema};
use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

const DAY_US: i64 = 86_400_000_000;
const NOW_US: i64 = 1_763_877_108_000_000;
const TODAY: i32 = 20_415;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("a folder is needed")?;
    let rows: usize = arguments.next().unwrap_or("540000".to_owned()).parse()?;
    let days: i32 = arguments.next().unwrap_or("1".to_owned()).parse()?;
    let batch_rows: usize = arguments.next().unwrap_or("8192".to_owned()).parse()?;
    let defaults = WriteSettings::default();
    let staged_bytes = match arguments.next() {
        Some(megabytes) => megabytes.parse::<usize>()? << 20,
        None => defaults.staged_bytes,
    };
    let encode_threads = match arguments.next() {
        Some(threads) => threads.parse()?,
        None => defaults.encode_threads,
    };
    let settings = WriteSettings { staged_bytes, encode_threads, ..defaults };

    for name in ["first", "again"] {
        let batches = batches(rows, days, batch_rows);
        let arrow: usize = batches
            .iter()
            .flat_map(|decoded| &decoded.partitions)
            .map(|partition| partition.batch.get_array_memory_size())
            .sum();
        let cpu = cpu_seconds();
        let start = Instant::now();
        let lake = Lake::open_or_create(&folder).await?;
        let mut writer =
            LakeWriter::begin(&lake, settings.clone(), "bench", Uuid::new_v4()).await?;
        for decoded in batches {
            let from = Provenance { source_name: name, source_shard: None, now_us: NOW_US };
            writer.stage(decoded, from).await?;
        }
        let staged = start.elapsed();
        let object = ObjectId { name: name.to_owned(), size: 1, etag: None };
        let committed = writer.commit(PositionDelta::Objects(vec![object]), NOW_US).await?;
        let took = start.elapsed();
        let used = cpu_seconds() - cpu;
        let bytes = writer.events().bytes();
        println!(
            "{name}: {} events, {} duplicates, {} MB of Arrow -> {} MB; {:.3} s ({:.3} s staging), {used:.2} CPU seconds, {:.0} krows/s, peak {} MB",
            committed.events,
            committed.duplicates,
            arrow >> 20,
            bytes >> 20,
            took.as_secs_f64(),
            staged.as_secs_f64(),
            rows as f64 / took.as_secs_f64() / 1000.0,
            peak_memory() >> 10,
        );
    }
    Ok(())
}

fn batches(rows: usize, days: i32, batch_rows: usize) -> Vec<Decoded> {
    let mut batches = Vec::new();
    let mut first = 0;
    while first < rows {
        let count = batch_rows.min(rows - first);
        let mut partitions = Vec::new();
        for day in 0..days {
            let numbers: Vec<u64> = (first..first + count)
                .filter(|number| (number % days as usize) as i32 == day)
                .map(|number| number as u64)
                .collect();
            if !numbers.is_empty() {
                partitions.push(partition(TODAY - day, &numbers));
            }
        }
        batches.push(Decoded { partitions, ..Default::default() });
        first += count;
    }
    batches
}

fn partition(day: i32, numbers: &[u64]) -> DecodedPartition {
    let schema = decoded_schema();
    let random = |number: u64, seed: u64| xxh3_64_with_seed(&number.to_le_bytes(), seed);
    let texts = |make: &dyn Fn(u64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(numbers.iter().map(|number| make(*number))))
    };
    let sometimes = |one_in: u64, make: &dyn Fn(u64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter(
            numbers.iter().map(|number| (random(*number, 99) % one_in == 0).then(|| make(*number))),
        ))
    };
    let ids: Vec<u128> = numbers.iter().map(|number| xxh3_128(&number.to_le_bytes())).collect();
    let times: Vec<i64> = numbers
        .iter()
        .map(|number| i64::from(day) * DAY_US + (random(*number, 1) % 86_400_000) as i64 * 1000)
        .collect();
    let message = |number: u64| number / 3;
    let providers = ["gmail.com", "outlook.com", "yahoo.co.jp", "icloud.com", "example.com"];
    let kinds = ["send", "delivery", "open", "click", "bounce"];
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "event_id" => {
                Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("{id:032x}"))))
            }
            "event_type" => texts(&|n| kinds[(n % 5) as usize].to_owned()),
            "event_time" => Arc::new(
                TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC"),
            ),
            "sent_time" => Arc::new(
                TimestampMicrosecondArray::from_iter_values(times.iter().map(|time| time - 1_000_000))
                    .with_timezone("UTC"),
            ),
            "source" => texts(&|_| "ses".to_owned()),
            "channel" => texts(&|_| "email".to_owned()),
            "account_id" => texts(&|_| "123456789012".to_owned()),
            "region" => texts(&|_| "eu-west-1".to_owned()),
            "message_id" => texts(&|n| {
                format!("0102019a{:016x}-{:08x}-000000", random(message(n), 2), message(n))
            }),
            "sender" => texts(&|n| format!("news{}@example.com", n % 4)),
            "sender_domain" => texts(&|_| "example.com".to_owned()),
            "recipient" => texts(&|n| {
                let r = random(message(n), 3);
                format!("user{}@{}", r % 200_000, providers[(r % 5) as usize])
            }),
            "recipient_domain" => {
                texts(&|n| providers[(random(message(n), 3) % 5) as usize].to_owned())
            }
            "mailbox_provider" => {
                texts(&|n| providers[(random(message(n), 3) % 5) as usize].to_owned())
            }
            "recipient_count" => Arc::new(Int32Array::from_value(1, numbers.len())),
            "subject" => texts(&|n| format!("Your weekly digest, issue {}", n % 50)),
            "configuration_set" => texts(&|_| "marketing".to_owned()),
            "campaign" => texts(&|n| format!("campaign-{}", n % 20)),
            "tags" => tags(numbers),
            "processing_ms" => Arc::new(Int64Array::from_iter(
                numbers.iter().map(|n| (n % 5 == 1).then_some((random(*n, 5) % 5000) as i64)),
            )),
            "smtp_response" => sometimes(3, &|n| {
                format!("250 2.0.0 OK  {} {:016x}si", 1_763_000_000 + n, random(n, 6))
            }),
            "status_code" => sometimes(5, &|_| "5.1.1".to_owned()),
            "diagnostic" => sometimes(10, &|n| {
                format!("smtp; 550 5.1.1 <user{n}@gmail.com>: user unknown")
            }),
            "remote_ip" => sometimes(3, &|n| {
                format!("192.0.2.{}", random(n, 7) % 256)
            }),
            "reporting_mta" => sometimes(3, &|n| format!("a7-{}.smtp-out.eu-west-1.amazonses.com", n % 80)),
            "ip_address" => sometimes(4, &|n| format!("198.51.100.{}", random(n, 8) % 256)),
            "user_agent" => sometimes(4, &|n| {
                format!("Mozilla/5.0 (iPhone; CPU iPhone OS 18_{} like Mac OS X) AppleWebKit/605.1.15", n % 30)
            }),
            "link" => sometimes(8, &|n| format!("https://shop.example.com/offers/{}", n % 5000)),
            "actor" | "actor_reason" => sometimes(4, &|_| "human".to_owned()),
            "extra" => sometimes(2, &|n| {
                format!("{{\"sourceArn\":\"arn:aws:ses:eu-west-1:123456789012:identity/{}.example.com\"}}", n % 3)
            }),
            "source_name" => texts(&|_| "/var/feedback/events-2025-11-23.json".to_owned()),
            "source_sequence" => texts(&|n| (n * 1627).to_string()),
            _ => new_null_array(field.data_type(), numbers.len()),
        } as ArrayRef)
        .zip(schema.fields())
        .map(|(column, field)| coded_as(column, field.data_type()))
        .collect();
    DecodedPartition {
        event_date: day,
        frequency: Frequency::Common,
        event_ids: ids,
        event_times: (
            times.iter().copied().min().unwrap_or_default(),
            times.iter().copied().max().unwrap_or_default(),
        ),
        batch: Arc::new(
            RecordBatch::try_new(schema, columns).expect("the columns are those of the schema"),
        ),
        first_row: 0,
    }
}

/// The same column as a dictionary, where the decoder gives one.
fn coded_as(column: ArrayRef, kind: &DataType) -> ArrayRef {
    match kind {
        DataType::Dictionary(_, values) if matches!(**values, DataType::Map(..)) => {
            let rows = i32::try_from(column.len()).expect("few rows");
            let keys = Int32Array::from_iter_values(0..rows);
            Arc::new(DictionaryArray::<Int32Type>::new(keys, column))
        }
        kind => cast(&column, kind).expect("the same, coded"),
    }
}

fn tags(numbers: &[u64]) -> ArrayRef {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let item = Arc::new(Field::new("element", DataType::Utf8, true));
    let lists = ListBuilder::new(StringBuilder::new()).with_field(item);
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), lists);
    for number in numbers {
        for (key, value) in [
            ("ses:configuration-set", "marketing".to_owned()),
            ("ses:source-ip", "192.0.2.1".to_owned()),
            ("ses:from-domain", "example.com".to_owned()),
            ("campaign", format!("campaign-{}", number % 20)),
        ] {
            builder.keys().append_value(key);
            builder.values().values().append_value(value);
            builder.values().append(true);
        }
        builder.append(true).expect("as many keys as values");
    }
    let map = builder.finish();
    Arc::new(map)
}

/// CPU seconds of this process so far, from `/proc` (100 ticks a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|field| field.parse().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Peak memory of this process, in KiB, from `/proc`.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0)
}
