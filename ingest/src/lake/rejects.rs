//! Rows of `rejects`: the identity of a document that could not be understood, and its batch.
//!
//! Invariant: the same garbage is kept once however often it is read, and as often as it stands in
//! one source. For objects its identity is made of its bytes and of how many times these bytes have
//! come in this source before: reading the source again gives the same identities, and so does reading
//! the same bytes in another file. A stream has no end at which to forget such counts, but every record
//! on it has a number: there identity is made of the bytes and their place.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use hearback_schemas::REJECTS;
use hearback_transform::Reject;
use xxhash_rust::xxh3::{Xxh3, xxh3_128, xxh3_128_with_seed};

use super::error::LakeError;

/// Bytes of documents in one batch; well below the 2 GiB that a binary array can hold.
const BATCH_BYTES: usize = 32 << 20;

/// How often each rejected document has come, for each source that is being read.
///
/// Holds about 40 bytes for every distinct rejected document of a source until the source has been
/// read to its end.
#[derive(Debug, Default)]
pub(crate) struct Occurrences {
    sources: HashMap<String, HashMap<u128, u64>>,
}

impl Occurrences {
    /// The identity of the next occurrence of a document in a source.
    fn identify(&mut self, source_name: &str, raw: &[u8]) -> u128 {
        if !self.sources.contains_key(source_name) {
            self.sources.insert(source_name.to_owned(), HashMap::new());
        }
        let digest = xxh3_128(raw);
        let Some(documents) = self.sources.get_mut(source_name) else { return digest };
        let count = documents.entry(digest).or_insert(0);
        *count += 1;
        xxh3_128_with_seed(raw, *count)
    }

    /// Forgets a source that has been read to its end.
    pub(crate) fn source_ended(&mut self, source_name: &str) {
        self.sources.remove(source_name);
    }
}

/// The identity of what was read from a shard.
fn identity_on_shard(source_name: &str, shard: &str, reject: &Reject) -> u128 {
    let mut hash = Xxh3::new();
    for part in [source_name.as_bytes(), shard.as_bytes(), reject.place.as_bytes(), &reject.raw] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest128()
}

/// Rows of `rejects` with their identities.
pub(crate) struct RejectRows {
    pub(crate) ids: Vec<u128>,
    pub(crate) batch: RecordBatch,
}

/// Makes rows of rejected documents, in batches of bounded size.
pub(crate) fn reject_rows(
    rejects: &[Reject],
    source_name: &str,
    source_shard: Option<&str>,
    now_us: i64,
    occurrences: &mut Occurrences,
) -> Result<Vec<RejectRows>, LakeError> {
    let mut rows = Vec::new();
    let mut start = 0;
    while start < rejects.len() {
        let mut end = start + 1;
        let mut bytes = rejects[start].raw.len();
        while end < rejects.len() && bytes + rejects[end].raw.len() <= BATCH_BYTES {
            bytes += rejects[end].raw.len();
            end += 1;
        }
        let some = &rejects[start..end];
        let ids: Vec<u128> = some
            .iter()
            .map(|reject| match source_shard {
                Some(shard) => identity_on_shard(source_name, shard, reject),
                None => occurrences.identify(source_name, &reject.raw),
            })
            .collect();
        let batch = batch_of(some, &ids, source_name, source_shard, now_us)?;
        rows.push(RejectRows { ids, batch });
        start = end;
    }
    Ok(rows)
}

fn batch_of(
    rejects: &[Reject],
    ids: &[u128],
    source_name: &str,
    source_shard: Option<&str>,
    now_us: i64,
) -> Result<RecordBatch, LakeError> {
    let mut reject_id = StringBuilder::new();
    let mut source = StringBuilder::new();
    let mut shard = StringBuilder::new();
    let mut sequence = StringBuilder::new();
    let mut reason = StringBuilder::new();
    let mut raw = BinaryBuilder::new();
    for (reject, id) in rejects.iter().zip(ids) {
        reject_id.append_value(format!("{id:032x}"));
        source.append_value(source_name);
        shard.append_option(source_shard);
        sequence.append_value(&reject.place);
        reason.append_value(&reject.reason);
        raw.append_value(&reject.raw);
    }
    let ingest_time =
        TimestampMicrosecondArray::from_value(now_us, rejects.len()).with_timezone("UTC");
    let schema = REJECTS.file_schema();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match field.name().as_str() {
            "reject_id" => Arc::new(reject_id.finish()),
            "ingest_time" => Arc::new(ingest_time.clone()),
            "source_name" => Arc::new(source.finish()),
            "source_shard" => Arc::new(shard.finish()),
            "source_sequence" => Arc::new(sequence.finish()),
            "reason" => Arc::new(reason.finish()),
            "raw" => Arc::new(raw.finish()),
            other => return Err(LakeError::invalid(format!("rejects has no column {other}"))),
        });
    }
    RecordBatch::try_new(schema, columns).map_err(LakeError::invalid)
}
