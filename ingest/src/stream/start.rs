//! Where reading begins, and where it goes back to: responsible for turning what the user said into
//! positions of shards.
//!
//! Only shards that are there at this moment begin anywhere but at their beginning. Shards that come
//! into being later hold nothing that was not asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{ApiError, ApiErrorKind, KinesisApi, Shard, StreamDescription};
use super::consume::Broken;
use super::request::{Rewind, StartAt, StreamRequest};
use crate::lake::{ReadFrom, SequenceNumber, ShardMove, ShardState, StreamState};

/// Empty pages that are passed over in search of a record.
const EMPTY_PAGES: u32 = 20;
/// How far a time may lie ahead of our clock: clocks differ.
const AHEAD_MS: i64 = 60_000;

/// Looks whether what was asked for makes sense.
pub(super) fn check(request: &StreamRequest, stream: &StreamDescription) -> Result<(), String> {
    let now_ms = request.now_ms();
    let times = [
        match request.start {
            StartAt::Timestamp(ms) => Some(ms),
            StartAt::TrimHorizon | StartAt::Latest => None,
        },
        match &request.rewind {
            Some(Rewind::Timestamp(ms)) => Some(*ms),
            _ => None,
        },
    ];
    for ms in times.into_iter().flatten() {
        if ms > now_ms + AHEAD_MS {
            return Err(format!(
                "{} cannot be read from a time that lies in the future",
                stream.identity.source_name()
            ));
        }
    }
    Ok(())
}

/// Positions of a stream that was never read.
pub(super) fn first_positions(
    request: &StreamRequest,
    stream: &StreamDescription,
    shards: &[Shard],
) -> BTreeMap<String, ShardMove> {
    // A rewind of a stream that was never read begins there.
    let start = match &request.rewind {
        Some(Rewind::Timestamp(ms)) => StartAt::Timestamp(*ms),
        _ => request.start,
    };
    let from = match start {
        StartAt::TrimHorizon => ReadFrom::TrimHorizon,
        StartAt::Latest => ReadFrom::Timestamp(request.now_ms()),
        StartAt::Timestamp(ms) => ReadFrom::Timestamp(ms),
    };
    let oldest_ms = oldest_ms(request.now_ms(), stream);
    let unread =
        |shard: &Shard| ShardMove { from: None, to: Some(unread(shard, from.clone(), oldest_ms)) };
    shards.iter().map(|shard| (shard.id.clone(), unread(shard))).collect()
}

/// The earliest that a record can have arrived which is on the stream now.
pub(super) fn oldest_ms(now_ms: i64, stream: &StreamDescription) -> i64 {
    let retention_ms = i64::try_from(stream.retention.as_millis()).unwrap_or(i64::MAX);
    let created_ms = stream.identity.created_s.saturating_mul(1000);
    created_ms.max(now_ms.saturating_sub(retention_ms)).min(now_ms)
}

/// A shard that is to be read from a place. Whoever comes back to it after the retention has to learn
/// that something is missing, so what need not be read counts as read.
fn unread(shard: &Shard, from: ReadFrom, oldest_ms: i64) -> ShardState {
    let read_through_ms = match from {
        ReadFrom::Timestamp(ms) => ms.max(oldest_ms),
        ReadFrom::TrimHorizon | ReadFrom::At(_) | ReadFrom::After(_) => oldest_ms,
    };
    let state = ShardState::unread(from, shard.parents.clone());
    ShardState { read_through_ms: Some(read_through_ms), ..state }
}

/// Positions to go back to; `oldest_ms` is the earliest that a record on the stream can have arrived.
pub(super) async fn rewind(
    api: &dyn KinesisApi,
    rewind: &Rewind,
    shards: &[Shard],
    state: &StreamState,
    oldest_ms: i64,
) -> Result<BTreeMap<String, ShardMove>, Broken> {
    let step = |shard: &Shard, from: ReadFrom| {
        let known = state.shards.get(&shard.id);
        let records = known.map_or(0, |known| known.records);
        let to = ShardState { records, ..unread(shard, from, oldest_ms) };
        ShardMove { from: known.map(|known| known.position.clone()), to: Some(to) }
    };
    let mut steps = BTreeMap::new();
    match rewind {
        Rewind::Timestamp(ms) => {
            for shard in shards {
                steps.insert(shard.id.clone(), step(shard, ReadFrom::Timestamp(*ms)));
            }
        }
        Rewind::Sequence(sequence) => {
            let Some(holder) = find(api, sequence, shards).await.map_err(Broken::Source)? else {
                return Err(Broken::Usage(format!(
                    "{} cannot be rewound: no record on it has the sequence number {sequence}",
                    state.stream.source_name()
                )));
            };
            steps.insert(holder.id.clone(), step(holder, ReadFrom::At(sequence.clone())));
            for shard in descendants(&holder.id, shards) {
                if state.shards.contains_key(&shard.id) {
                    steps.insert(shard.id.clone(), step(shard, ReadFrom::TrimHorizon));
                }
            }
        }
    }
    Ok(steps)
}

/// The shard that holds a record.
async fn find<'s>(
    api: &dyn KinesisApi,
    sequence: &SequenceNumber,
    shards: &'s [Shard],
) -> Result<Option<&'s Shard>, ApiError> {
    let at = ReadFrom::At(sequence.clone());
    for shard in shards {
        if let Some((first, last)) = &shard.sequences
            && (sequence < first || last.as_ref().is_some_and(|last| sequence > last))
        {
            continue;
        }
        // Kinesis refuses numbers that are not of the shard.
        let mut iterator = match api.shard_iterator(&shard.id, &at).await {
            Ok(iterator) => Some(iterator),
            Err(error) if error.kind == ApiErrorKind::Invalid => continue,
            Err(error) => return Err(error),
        };
        for _ in 0..EMPTY_PAGES {
            let Some(current) = iterator.take() else { break };
            let page = api.get_records(&current, Some(1)).await?;
            if let Some(record) = page.records.first() {
                if record.sequence == *sequence {
                    return Ok(Some(shard));
                }
                break;
            }
            iterator = page.next.filter(|_| page.behind_ms != Some(0));
        }
    }
    Ok(None)
}

/// The shards that came after one, in any generation.
fn descendants<'s>(shard: &str, shards: &'s [Shard]) -> Vec<&'s Shard> {
    let mut names = BTreeSet::from([shard.to_owned()]);
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for candidate in shards {
            if !names.contains(&candidate.id)
                && candidate.parents.iter().any(|parent| names.contains(parent))
            {
                names.insert(candidate.id.clone());
                found.push(candidate);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_of_every_generation_are_found_in_any_order() {
        let shard = |id: &str, parents: &[&str]| Shard {
            id: id.to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            hash_range: None,
            sequences: None,
        };
        let shards = [
            shard("d", &["b", "c"]),
            shard("b", &["a"]),
            shard("c", &[]),
            shard("a", &[]),
            shard("e", &["d"]),
            shard("f", &["c"]),
        ];
        let names: Vec<&str> =
            descendants("a", &shards).iter().map(|shard| shard.id.as_str()).collect();
        assert_eq!(names, ["b", "d", "e"]);
    }
}
