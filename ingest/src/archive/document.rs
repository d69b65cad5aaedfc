//! What stands in an archive: responsible for a form in which every record can be taken apart from its
//! neighbours, whatever Firehose puts between them, and read again as the same record.
//!
//! - A record that was understood, in UTF-8, stands as it came, with a line end behind it if it has none:
//!   readers of JSON find its documents.
//! - Every other record (aggregates of the Kinesis Producer Library, compressed ones, and those with
//!   anything in them that was not understood) would run into its neighbours. It stands as one line of
//!   JSON in the shape in which Lambda delivers records of Kinesis, its exact bytes in base64, with
//!   `"eventName":"hearback:archived"`. Many readers know that shape; this one also finds shard and
//!   sequence number in it again, so that a reject that is read again is the same reject.
//! - A record without content stands for nothing and is left out.
//!
//! A dead letter is one line of JSON in the shape of Firehose's own error records (`errorCode`,
//! `errorMessage`, `rawData`), with where it was read.

use std::collections::HashSet;
use std::panic::catch_unwind;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearback_transform::{DecodeOptions, Decoded, Decoder, Reject};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::lake::StreamIdentity;
use crate::stream::{Record, RecordOrigin, decode_data};

const ARCHIVED: &str = "hearback:archived";
/// How a wrapped record begins.
const WRAPPER_START: &[u8] = b"{\"eventID\":\"";

#[derive(Serialize, Deserialize)]
struct Wrapped<'a> {
    /// `SHARD:SEQUENCE`.
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "eventName")]
    event_name: &'a str,
    #[serde(rename = "eventSource")]
    event_source: &'a str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
    kinesis: WrappedRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrappedRecord {
    partition_key: String,
    sequence_number: String,
    /// In seconds since 1970-01-01T00:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_arrival_timestamp: Option<f64>,
    data: String,
}

/// Sequence numbers of the records that these rejects are of.
pub(super) fn records_with<'r>(rejects: &[&'r Reject]) -> HashSet<&'r str> {
    rejects.iter().map(|reject| reject.place.split(':').next().unwrap_or_default()).collect()
}

/// A record as it stands in the archive; `None` if it has no content. `understood`: nothing of it was
/// rejected.
pub(super) fn of_record(
    stream: &StreamIdentity,
    shard: &str,
    record: &Record,
    understood: bool,
) -> Option<Bytes> {
    let data = &record.data;
    let first = data.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if understood && matches!(first, b'{' | b'[') && std::str::from_utf8(data).is_ok() {
        if data.ends_with(b"\n") {
            return Some(data.clone());
        }
        return Some([data, &b"\n"[..]].concat().into());
    }
    let wrapped = Wrapped {
        event_id: format!("{shard}:{}", record.sequence),
        event_name: ARCHIVED,
        event_source: "aws:kinesis",
        event_source_arn: stream.arn.clone(),
        kinesis: WrappedRecord {
            partition_key: record.partition_key.clone(),
            sequence_number: record.sequence.to_string(),
            approximate_arrival_timestamp: record.arrival_ms.map(|ms| ms as f64 / 1e3),
            data: STANDARD.encode(data),
        },
    };
    // Texts and a finite number: it cannot fail.
    let mut line = serde_json::to_vec(&wrapped).unwrap_or_default();
    line.push(b'\n');
    Some(line.into())
}

/// A reject as it stands among the dead letters.
pub(super) fn of_reject(stream: &StreamIdentity, shard: &str, reject: &Reject) -> Bytes {
    let letter = json!({
        "errorCode": "hearback.Rejected",
        "errorMessage": reject.reason,
        "rawData": STANDARD.encode(&reject.raw),
        "sourceName": stream.source_name(),
        "sourceShard": shard,
        "sourceSequence": reject.place,
    });
    format!("{letter}\n").into()
}

/// A record of an archive, read again as the record of the stream that it was.
pub(crate) struct Reread {
    /// As in the column `source_name`.
    pub(crate) source_name: String,
    /// As in the column `source_shard`.
    pub(crate) shard: String,
    /// What it holds: its rejects; its rows only if it has none, because rows beside rejects were found
    /// by whoever read the archive.
    pub(crate) decoded: Decoded,
}

/// Takes wrapped records out of the rejects of an object, and reads them again.
pub(crate) fn take_archived(rejects: &mut Vec<Reject>, options: &DecodeOptions) -> Vec<Reread> {
    let mut found: Vec<Reread> = Vec::new();
    let mut last = Vec::new();
    rejects.retain_mut(|reject| {
        // A record with several bad documents is there as often as it has them.
        if !last.is_empty() && reject.raw == last {
            return false;
        }
        // Reading it panicked once before, if it was kept because of that.
        let read = catch_unwind(|| reread(reject, &mut Decoder::new(options.clone())));
        let Ok(Some(record)) = read else { return true };
        last = std::mem::take(&mut reject.raw);
        found.push(record);
        false
    });
    found
}

/// Reads a wrapped record again; `None` if the reject is none.
fn reread(reject: &Reject, decoder: &mut Decoder) -> Option<Reread> {
    if !reject.raw.starts_with(WRAPPER_START) {
        return None;
    }
    let wrapped: Wrapped<'_> = serde_json::from_slice(&reject.raw).ok()?;
    if wrapped.event_name != ARCHIVED {
        return None;
    }
    let (shard, sequence) = wrapped.event_id.split_once(':')?;
    let stream = wrapped.event_source_arn.rsplit_once('/')?.1;
    let source_name = format!("kinesis:{stream}");
    let data = Bytes::from(STANDARD.decode(&wrapped.kinesis.data).ok()?);
    let from = RecordOrigin { source_name: &source_name, shard: Some(shard), place: sequence };
    let (rejects, _) = decode_data(decoder, from, &data);
    let rows = decoder.take();
    let partitions = if rejects.is_empty() { rows } else { Vec::new() };
    let decoded = Decoded { partitions, rejects, ..Decoded::default() };
    Some(Reread { shard: shard.to_owned(), source_name, decoded })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::SequenceNumber;

    fn stream() -> StreamIdentity {
        StreamIdentity {
            arn: "arn:aws:kinesis:eu-west-1:999999999999:stream/feedback".to_owned(),
            name: "feedback".to_owned(),
            created_s: 1,
        }
    }

    fn record(data: &[u8]) -> Record {
        Record {
            sequence: SequenceNumber::parse("4959").unwrap(),
            partition_key: "a".to_owned(),
            arrival_ms: Some(1_788_220_800_123),
            data: Bytes::copy_from_slice(data),
        }
    }

    #[test]
    fn understood_documents_stand_as_they_came_one_line_apart() {
        for (data, expected) in [
            (&b"{\"a\":1}"[..], &b"{\"a\":1}\n"[..]),
            (b"{\"a\":1}\n", b"{\"a\":1}\n"),
            (b"[{\"a\":1},{}]", b"[{\"a\":1},{}]\n"),
        ] {
            assert_eq!(of_record(&stream(), "s", &record(data), true).unwrap(), expected);
        }
        assert_eq!(of_record(&stream(), "s", &record(b" \n"), true), None);
    }

    #[test]
    fn anything_else_is_found_again_with_its_shard_sequence_and_exact_bytes() {
        let cases: [&[u8]; 4] = [b"garbage", b"\xff\x00", b"{\"half\":", b"\x1f\x8bnot gzip"];
        for data in cases {
            let line = of_record(&stream(), "shardId-1", &record(data), false).unwrap();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let raw = line.strip_suffix(b"\n").unwrap().to_vec();
            let reject = Reject { place: "0".to_owned(), reason: String::new(), raw };
            let mut decoder = Decoder::new(DecodeOptions::default());
            let reread = reread(&reject, &mut decoder).expect("a wrapped record");
            assert_eq!(
                (reread.source_name.as_str(), reread.shard.as_str()),
                ("kinesis:feedback", "shardId-1")
            );
            let [reject] = &reread.decoded.rejects[..] else { panic!("{:?}", reread.decoded) };
            assert_eq!((reject.place.as_str(), reject.raw.as_slice()), ("4959", data));
        }
        let line = of_record(&stream(), "s", &record(b"{} garbage"), false).unwrap();
        let raw = line.strip_suffix(b"\n").unwrap().to_vec();
        let twice = Reject { place: "0".to_owned(), reason: String::new(), raw };
        let plain = Reject { raw: b"x".to_vec(), ..twice.clone() };
        let mut rejects = vec![plain.clone(), twice.clone(), twice];
        let archived = take_archived(&mut rejects, &DecodeOptions::default());
        assert_eq!(rejects, [plain]);
        let places: Vec<_> = archived
            .iter()
            .flat_map(|record| &record.decoded.rejects)
            .map(|reject| reject.place.as_str())
            .collect();
        assert_eq!(places, ["4959", "4959:1"]);

        let other = Reject { place: "0".to_owned(), reason: String::new(), raw: b"{}".to_vec() };
        assert!(reread(&other, &mut Decoder::new(DecodeOptions::default())).is_none());
    }

    #[test]
    fn the_records_of_rejects_are_told_by_their_places() {
        let at = |place: &str| Reject {
            place: place.to_owned(),
            reason: String::new(),
            raw: Vec::new(),
        };
        let rejects = [at("12"), at("12:1"), at("13:0:2")];
        let rejects: Vec<&Reject> = rejects.iter().collect();
        assert_eq!(records_with(&rejects), HashSet::from(["12", "13"]));
    }
}
