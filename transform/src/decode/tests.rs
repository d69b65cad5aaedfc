use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Value, json};

use super::*;
use crate::value_at;

mod aggregates;
mod golden;
mod peers;

/// 2026-11-23T00:00:00Z
const NOW: i64 = 1_795_392_000_000_000;

fn options() -> DecodeOptions {
    DecodeOptions {
        campaign_tags: vec!["campaign".into()],
        template_tags: vec!["template".into()],
        tenant_tags: vec!["ses:tenant-name".into()],
        link_parameters: vec!["utm_source".into()],
        read_time_us: NOW,
    }
}

fn decode(text: &str) -> Decoded {
    decode_bytes(text.as_bytes())
}

fn decode_bytes(bytes: &[u8]) -> Decoded {
    let origin = Origin { source_name: "test", shard: None, place: Place::Offset(0) };
    Decoder::new(options()).decode(bytes, &origin)
}

type Columns = BTreeMap<String, Value>;

/// Every row as its columns that are not NULL, in the order of the event ids.
fn rows(decoded: &Decoded) -> Vec<Columns> {
    let mut rows = Vec::new();
    for partition in &decoded.partitions {
        let batch = partition.rows();
        for row in 0..batch.num_rows() {
            let mut columns = columns_of(&batch, row);
            columns.insert("event_date".into(), partition.event_date.into());
            assert_eq!(columns["event_id"], format!("{:032x}", partition.event_ids[row]));
            rows.push(columns);
        }
    }
    assert_eq!(rows.len() as u64, decoded.counts.rows);
    rows.sort_by_key(|row| row["event_id"].to_string());
    rows
}

fn columns_of(batch: &RecordBatch, row: usize) -> Columns {
    let mut columns = Columns::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let Some((column, row)) = value_at(column, row) else { continue };
        let value = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(row).into(),
            DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
            DataType::Timestamp(..) => {
                column.as_primitive::<TimestampMicrosecondType>().value(row).into()
            }
            _ => {
                let entries = column.as_map().value(row);
                let names = entries.column(0).as_string::<i32>();
                let lists = entries.column(1).as_list::<i32>();
                let mut map = serde_json::Map::new();
                for i in 0..names.len() {
                    let list = lists.value(i);
                    let values: Vec<Option<&str>> = list.as_string::<i32>().iter().collect();
                    map.insert(names.value(i).to_owned(), json!(values));
                }
                Value::Object(map)
            }
        };
        columns.insert(field.name().clone(), value);
    }
    columns
}

/// Rows without the columns that tell where they were read.
fn facts(decoded: &Decoded) -> Vec<Columns> {
    let mut rows = rows(decoded);
    for row in &mut rows {
        for column in ["source_name", "source_shard", "source_sequence"] {
            row.remove(column);
        }
    }
    rows
}

fn bounce() -> Value {
    json!({
        "eventType": "Bounce",
        "bounce": {
            "feedbackId": "0100017f-feed",
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [{
                "emailAddress": "Second@Example.COM",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 no such user"
            }],
            "timestamp": "2026-03-05T15:56:00.123Z",
            "reportingMTA": "dns; b.mail.example.net"
        },
        "mail": {
            "timestamp": "2026-03-05T15:55:53.969Z",
            "source": "Acme <news@acme.example>",
            "sourceArn": "arn:aws:ses:eu-west-1:012345678901:identity/acme.example",
            "sendingAccountId": "012345678901",
            "messageId": "0102017f5acb66f1-e509f90c-0000-0000-0000-000000000001-000000",
            "destination": ["first@example.com", "Second@Example.COM", "third@example.org"],
            "headersTruncated": false,
            "headers": [{"name": "Subject", "value": "Hi } there"}],
            "commonHeaders": {"subject": "Hi } there", "to": ["first@example.com"]},
            "tags": {
                "ses:configuration-set": ["main"],
                "campaign": ["spring"],
                "ses:source-ip": ["192.0.2.1"]
            }
        }
    })
}

fn event_bridge(detail: &Value) -> Value {
    json!({
        "version": "0", "id": "11111111-2222", "detail-type": "Email Bounced", "source": "aws.ses",
        "account": "999999999999", "time": "2026-03-05T15:56:01Z", "region": "us-east-1",
        "resources": [], "detail": detail
    })
}

fn sns(message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": "aaaa", "TopicArn": "arn:aws:sns:us-east-1:1:t",
        "Subject": "Amazon SES Email Event Notification", "Message": message,
        "Timestamp": "2026-03-05T15:56:02.000Z", "SignatureVersion": "1"
    })
}

#[test]
fn rows_of_many_dates_are_those_that_each_document_gives_alone() {
    let mut documents = Vec::new();
    for number in 0..300 {
        let mut document = bounce();
        // Dates in no order: some have many rows, most have few.
        let day = (number * number * 7) % 27 + 1;
        let time = format!("2026-03-{day:02}T15:56:{:02}.123Z", number % 60);
        document["bounce"]["timestamp"] = time.into();
        document["bounce"]["feedbackId"] = format!("feedback {number}").into();
        document["mail"]["commonHeaders"]["subject"] = format!("subject {}", number % 7).into();
        document["mail"]["tags"]["campaign"] = json!([format!("campaign {}", number % 5)]);
        documents.push(document.to_string());
    }
    let together = decode(&documents.join("\n"));
    let mut alone: Vec<Columns> =
        documents.iter().flat_map(|document| facts(&decode(document))).collect();
    alone.sort_by_key(|row| row["event_id"].to_string());
    assert_eq!(facts(&together), alone);
    let mut dates: Vec<i32> = together.partitions.iter().map(|rows| rows.event_date).collect();
    let batches: HashSet<*const RecordBatch> =
        together.partitions.iter().map(|rows| Arc::as_ptr(&rows.batch)).collect();
    assert!(batches.len() < dates.len());
    dates.sort_unstable();
    let count = dates.len();
    dates.dedup();
    assert_eq!(dates.len(), count, "each date stands once");
    for partition in &together.partitions {
        let times = partition.rows();
        let times = times.column_by_name("event_time").expect("a column of `events`");
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        let bounds = (times.iter().min().copied(), times.iter().max().copied());
        assert_eq!(bounds, (Some(partition.event_times.0), Some(partition.event_times.1)));
    }
}

#[test]
fn a_bounce_concerns_the_recipients_it_names_and_no_others() {
    let decoded = decode(&bounce().to_string());
    let rows = facts(&decoded);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["event_type"], "bounce");
    assert_eq!(row["event_time"], 1_772_726_160_123_000_i64);
    assert_eq!(row["event_date"], 20_517);
    assert_eq!(row["sent_time"], 1_772_726_153_969_000_i64);
    assert_eq!(row["recipient"], "second@example.com");
    assert_eq!(row["recipient_domain"], "example.com");
    assert_eq!(row["recipient_count"], 3);
    assert_eq!(row["sender"], "news@acme.example");
    assert_eq!(row["account_id"], "012345678901");
    assert_eq!(row["region"], "eu-west-1");
    assert_eq!(row["status_code"], "5.1.1");
    assert_eq!(row["subject"], "Hi } there");
    assert_eq!(row["configuration_set"], "main");
    assert_eq!(row["campaign"], "spring");
    assert_eq!(row["tags"]["ses:source-ip"], json!(["192.0.2.1"]));
    let extra: Value = serde_json::from_str(row["extra"].as_str().unwrap()).unwrap();
    assert_eq!(
        extra,
        json!({
            "bounce": {"bouncedRecipients": [{"action": "failed"}], "feedbackId": "0100017f-feed"},
            "mail": {
                "source": "Acme <news@acme.example>",
                "sourceArn": "arn:aws:ses:eu-west-1:012345678901:identity/acme.example"
            },
            "original_recipient": "Second@Example.COM"
        })
    );
}

#[test]
fn every_envelope_gives_the_same_rows() {
    let plain = facts(&decode(&bounce().to_string()));
    let bridged = event_bridge(&bounce());
    for envelope in [
        bridged.to_string(),
        sns(&format!("{}\n", bounce())).to_string(),
        sns(&bridged.to_string()).to_string(),
        json!([bounce()]).to_string(),
        json!({"Records": [{"messageId": "m", "body": sns(&bounce().to_string()).to_string(),
            "eventSource": "aws:sqs"}]})
        .to_string(),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": sns(&bounce().to_string())}]})
            .to_string(),
        serde_json::to_string_pretty(&bridged).unwrap(),
    ] {
        let decoded = decode(&envelope);
        assert_eq!(decoded.rejects, vec![], "{envelope}");
        assert_eq!(facts(&decoded), plain, "{envelope}");
    }
}

#[test]
fn bad_lines_take_nothing_good_with_them() {
    let good = bounce().to_string();
    let mut text = Vec::new();
    for bad in [
        &b"garbage"[..],
        &good.as_bytes()[..200],
        b"{\"eventType\":\"Bounce\",}",
        b"\xff\xfe{\"a\":1}",
        b"{\"eventType\":\"Bounce\x00\"}",
        b"}}]]",
        b"42",
    ] {
        text.extend_from_slice(bad);
        text.push(b'\n');
        text.extend_from_slice(good.as_bytes());
        text.push(b'\n');
    }
    let decoded = decode_bytes(&text);
    assert_eq!(decoded.counts.accepted, 7, "{:?}", decoded.rejects);
    assert_eq!(decoded.counts.rejected, 7, "{:?}", decoded.rejects);
    for reject in &decoded.rejects {
        let place: usize = reject.place.parse().unwrap();
        assert_eq!(&text[place..place + reject.raw.len()], &reject.raw);
    }
}
