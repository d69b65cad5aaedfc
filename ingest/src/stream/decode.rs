//! From Kinesis records to rows: aggregates taken apart, compression undone, documents decoded.
//!
//! Invariants: every record gives at least one document that is counted; no record stops its shard,
//! whatever its bytes are, not even by a defect in the decoder. A document is placed at the sequence
//! number of its record; one in an aggregate at `SEQUENCE:INDEX`; second and later documents in one
//! payload get another suffix.

use std::borrow::Cow;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use hearback_transform::kpl::{self, HashRange, UserRecord};
use hearback_transform::{
    Counts, DecodeOptions, Decoded, DecodedPartition, Decoder, Origin, Place, Reject, Shape,
};

use super::api::Record;

/// What one compressed payload may unpack to, in bytes; a record is 10 MiB at most.
const MAX_UNPACKED: u64 = 256 << 20;

/// Records of one shard, in their order.
#[derive(Clone, Debug)]
pub struct ShardRecords {
    /// The shard.
    pub shard: Arc<str>,
    /// Hash keys that the shard owns, so that aggregates for another shard are told; None to take all.
    pub hash_range: Option<HashRange>,
    /// The records.
    pub records: Vec<Record>,
}

/// What records hold.
#[derive(Clone, Debug, Default)]
pub struct DecodedRecords {
    /// Rows of all shards.
    pub partitions: Vec<DecodedPartition>,
    /// Documents that could not be understood, by shard.
    pub rejects: Vec<(Arc<str>, Vec<Reject>)>,
    /// How many documents and rows. A payload without any document counts as one that is ignored.
    pub counts: Counts,
    /// Aggregates that were dropped because they are put again on another shard: the shard, and the
    /// number of their user records, which count nowhere else.
    pub dropped: Vec<(Arc<str>, u64)>,
}

impl DecodedRecords {
    fn reject(&mut self, shard: &Arc<str>, rejects: Vec<Reject>) {
        if rejects.is_empty() {
            return;
        }
        match self.rejects.last_mut().filter(|(last, _)| last == shard) {
            Some((_, list)) => list.extend(rejects),
            None => self.rejects.push((Arc::clone(shard), rejects)),
        }
    }

    fn count(&mut self, counts: &Counts) {
        self.counts.records += counts.records;
        self.counts.accepted += counts.accepted;
        self.counts.ignored += counts.ignored;
        self.counts.rejected += counts.rejected;
        self.counts.rows += counts.rows;
    }

    fn merge(&mut self, other: Self) {
        self.partitions.extend(other.partitions);
        for (shard, rejects) in other.rejects {
            self.reject(&shard, rejects);
        }
        self.count(&other.counts);
        self.dropped.extend(other.dropped);
    }
}

/// Decodes records. `source_name` is that of the rows, `kinesis:NAME`.
///
/// A defect that makes the decoder panic costs the record that brings it about: it is kept as a reject
/// that says so.
#[must_use]
pub fn decode_records(
    decoder: &mut Decoder,
    options: &DecodeOptions,
    source_name: &str,
    shards: &[ShardRecords],
) -> DecodedRecords {
    if let Some(decoded) = try_decode(decoder, source_name, shards) {
        return decoded;
    }
    // The decoder's buffers are in an unknown state, and its rows are lost: all over again, one by one.
    *decoder = Decoder::new(options.clone());
    let mut all = DecodedRecords::default();
    for ShardRecords { shard, hash_range, records } in shards {
        for record in records {
            let single = ShardRecords {
                shard: Arc::clone(shard),
                hash_range: *hash_range,
                records: vec![record.clone()],
            };
            match try_decode(decoder, source_name, std::slice::from_ref(&single)) {
                Some(decoded) => all.merge(decoded),
                None => {
                    *decoder = Decoder::new(options.clone());
                    let reject = Reject {
                        place: record.sequence.to_string(),
                        reason: "a defect of hearback: decoding panicked; please report it"
                            .to_owned(),
                        raw: record.data.to_vec(),
                    };
                    all.reject(shard, vec![reject]);
                    all.count(&Counts { records: 1, rejected: 1, ..Counts::default() });
                }
            }
        }
    }
    all
}

fn try_decode(
    decoder: &mut Decoder,
    source_name: &str,
    shards: &[ShardRecords],
) -> Option<DecodedRecords> {
    let decode = || {
        let mut decoded = DecodedRecords::default();
        for ShardRecords { shard, hash_range, records } in shards {
            for record in records {
                decode_record(
                    decoder,
                    source_name,
                    shard,
                    hash_range.as_ref(),
                    record,
                    &mut decoded,
                );
            }
        }
        decoded.partitions = decoder.take();
        decoded
    };
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

fn decode_record(
    decoder: &mut Decoder,
    source_name: &str,
    shard: &Arc<str>,
    hash_range: Option<&HashRange>,
    record: &Record,
    decoded: &mut DecodedRecords,
) {
    let from = RecordOrigin { source_name, shard: Some(shard), place: record.sequence.as_str() };
    let user_records = kpl::deaggregate(&record.data);
    if let (Some(user_records), Some(range)) = (&user_records, hash_range)
        && !kpl::belongs_to(user_records, range)
    {
        decoded.dropped.push((Arc::clone(shard), user_records.len() as u64));
        return;
    }
    let (rejects, counts) = decode_parts(decoder, from, &record.data, user_records.as_deref());
    decoded.reject(shard, rejects);
    decoded.count(&counts);
}

/// Where a record was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordOrigin<'a> {
    /// As in the column `source_name`.
    pub(crate) source_name: &'a str,
    /// As in the column `source_shard`.
    pub(crate) shard: Option<&'a str>,
    /// Its sequence number, or what else tells it from others.
    pub(crate) place: &'a str,
}

/// Decodes what one record holds, whichever shard it was put for. Its rows stay with the decoder. Unlike
/// [`decode_records`] it lets a panic of the decoder through.
pub(crate) fn decode_data(
    decoder: &mut Decoder,
    from: RecordOrigin<'_>,
    data: &Bytes,
) -> (Vec<Reject>, Counts) {
    decode_parts(decoder, from, data, kpl::deaggregate(data).as_deref())
}

fn decode_parts(
    decoder: &mut Decoder,
    from: RecordOrigin<'_>,
    data: &Bytes,
    user_records: Option<&[UserRecord]>,
) -> (Vec<Reject>, Counts) {
    // What only begins like an aggregate is one plain record.
    let Some(user_records) = user_records else {
        return decode_payload(decoder, from, data);
    };
    if user_records.is_empty() {
        return (Vec::new(), Counts { records: 1, ignored: 1, ..Counts::default() });
    }
    let mut all = DecodedRecords::default();
    let mut rejects = Vec::new();
    for (index, user_record) in user_records.iter().enumerate() {
        let place = format!("{}:{index}", from.place);
        let from = RecordOrigin { place: &place, ..from };
        let (more, counts) = decode_payload(decoder, from, &user_record.data);
        rejects.extend(more);
        all.count(&counts);
    }
    (rejects, all.counts)
}

fn decode_payload(
    decoder: &mut Decoder,
    from: RecordOrigin<'_>,
    bytes: &[u8],
) -> (Vec<Reject>, Counts) {
    let unpacked = match unpack(bytes) {
        Ok(unpacked) => unpacked,
        Err(reason) => {
            let reject = Reject { place: from.place.to_owned(), reason, raw: bytes.to_vec() };
            return (vec![reject], Counts { records: 1, rejected: 1, ..Counts::default() });
        }
    };
    let place = Place::Sequence(from.place);
    let origin = Origin { source_name: from.source_name, shard: from.shard, place };
    let (rejects, mut counts) = decoder.add(&unpacked, &origin, Shape::Documents);
    if counts.records == 0 {
        counts = Counts { records: 1, ignored: 1, ..Counts::default() };
    }
    (rejects, counts)
}

/// Undoes gzip or zstd, if it is that.
fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let reader: Box<dyn Read + '_> = if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::read::MultiGzDecoder::new(bytes))
    } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::Decoder::with_buffer(bytes);
        Box::new(decoder.map_err(|_| "not valid zstd".to_owned())?)
    } else {
        return Ok(Cow::Borrowed(bytes));
    };
    let mut unpacked = Vec::new();
    let mut limited = reader.take(MAX_UNPACKED + 1);
    if limited.read_to_end(&mut unpacked).is_err() {
        return Err("not valid gzip or zstd".to_owned());
    }
    if unpacked.len() as u64 > MAX_UNPACKED {
        return Err("unpacks to more than 256 MiB".to_owned());
    }
    Ok(Cow::Owned(unpacked))
}

/// Rows alone, as the lake's writer takes them.
pub(super) fn rows_of(partitions: Vec<DecodedPartition>) -> Decoded {
    Decoded { partitions, ..Decoded::default() }
}

/// Rejects alone.
pub(super) fn rejects_of(rejects: Vec<Reject>) -> Decoded {
    Decoded { rejects, ..Decoded::default() }
}
