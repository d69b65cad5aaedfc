//! Aggregated records as the Kinesis Producer Library writes them (its "KPL Aggregated Record Format"),
//! encoded by hand so that the program's own reader is not what it is compared with.

use md5::{Digest, Md5};

/// One Kinesis record that holds several user records, each with its partition key.
#[must_use]
pub fn aggregate(records: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (key, _) in records {
        field(&mut message, 1, key.as_bytes());
    }
    for (index, (_, data)) in records.iter().enumerate() {
        let mut record = vec![1 << 3];
        varint(&mut record, index);
        field(&mut record, 3, data);
        field(&mut message, 3, &record);
    }
    let mut aggregate = vec![0xF3, 0x89, 0x9A, 0xC2];
    aggregate.extend_from_slice(&message);
    aggregate.extend_from_slice(&Md5::digest(&message));
    aggregate
}

/// The hash key of a partition key, by which Kinesis chooses the shard: its MD5 as a number.
#[must_use]
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

/// A field of length-delimited bytes (Protocol Buffers encoding, wire type 2).
fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, bytes.len());
    message.extend_from_slice(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
