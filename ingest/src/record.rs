//! What one record of a stream carries: responsible for taking aggregates of the Kinesis Producer
//! Library apart and undoing gzip and zstd, by content.
//!
//! Invariant: every byte of the record is in exactly one [`Payload`], or, if it cannot be unpacked, in a
//! reject as it came.

use std::io::Read;

use bytes::Bytes;
use hearback_transform::{Reject, kpl};

/// What a compressed record may unpack to, in bytes. A record is at most 10 MiB.
const MAX_UNPACKED: u64 = 64 << 20;

/// A part of a record that stands by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Documents, uncompressed.
    Documents {
        /// As in the column `source_sequence`: the sequence number, and behind a colon the index in
        /// the aggregate.
        place: String,
        /// One or more documents.
        bytes: Bytes,
    },
    /// What cannot be unpacked.
    Unreadable(Reject),
}

/// Takes a record apart.
pub(crate) fn payloads(sequence: &str, data: &Bytes) -> Vec<Payload> {
    match kpl::deaggregate(data) {
        None => vec![unpack(sequence.to_owned(), data.clone())],
        Some(user_records) => user_records
            .into_iter()
            .enumerate()
            .map(|(index, record)| unpack(format!("{sequence}:{index}"), record.data))
            .collect(),
    }
}

fn unpack(place: String, data: Bytes) -> Payload {
    let mut unpacked = Vec::new();
    let read = if data.starts_with(&[0x1f, 0x8b]) {
        let unpacking = flate2::read::MultiGzDecoder::new(&data[..]);
        unpacking.take(MAX_UNPACKED + 1).read_to_end(&mut unpacked)
    } else if data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        zstd::Decoder::with_buffer(&data[..])
            .and_then(|unpacking| unpacking.take(MAX_UNPACKED + 1).read_to_end(&mut unpacked))
    } else {
        return Payload::Documents { place, bytes: data };
    };
    let reason = match read {
        Ok(_) if unpacked.len() as u64 <= MAX_UNPACKED => {
            return Payload::Documents { place, bytes: unpacked.into() };
        }
        Ok(_) => "compressed record that unpacks to more than 64 MiB",
        Err(_) => "compressed record that is damaged",
    };
    Payload::Unreadable(Reject { place, reason: reason.to_owned(), raw: data.into() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn documents(place: &str, bytes: &[u8]) -> Payload {
        Payload::Documents { place: place.to_owned(), bytes: Bytes::copy_from_slice(bytes) }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_record_is_unpacked_by_its_content() {
        let text = b"{\"eventType\":\"Send\"}\n";
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for record in [text.to_vec(), gzip(text), zstd] {
            assert_eq!(payloads("7", &record.into()), [documents("7", text)]);
        }
    }

    #[test]
    fn damaged_compression_is_kept_as_it_came() {
        let mut damaged = gzip(&b"{}".repeat(1000));
        damaged.truncate(20);
        let [Payload::Unreadable(reject)] = &payloads("7", &damaged.clone().into())[..] else {
            panic!("not unreadable")
        };
        assert_eq!((reject.place.as_str(), &reject.raw), ("7", &damaged));
    }

    #[test]
    fn a_record_cannot_unpack_to_more_than_there_is_memory_for() {
        let bomb = zstd::encode_all(std::io::repeat(b' ').take(MAX_UNPACKED + 1), 1).unwrap();
        assert!(matches!(&payloads("7", &bomb.into())[..], [Payload::Unreadable(_)]));
    }
}
