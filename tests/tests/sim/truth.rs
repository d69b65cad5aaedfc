//! What has to hold in a world with a stream when all is over.

use std::collections::{BTreeMap, BTreeSet};

use hearback_ingest::stream::Distribution;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;

use crate::documents::Document;
use crate::lake_rows::{self, ReadFrom};
use crate::producer::Written;
use crate::streams::StreamWorld;

/// Asserts that the lake holds what was put on the stream, each event once, each reject once, and that
/// positions went forwards all the time. Records that were trimmed unread have to be told as a gap,
/// unless the stream had never been read.
pub(crate) async fn check(world: &StreamWorld, was_never_read: bool) {
    let lake = lake_rows::lake_in(&world.cloud);
    let written = world.producer.lock().expect("the producer").written.clone();
    // Which keys a shard owns is in the listing; where that lags behind, it cannot be told.
    let drops_astray =
        world.shared.distribution == Distribution::ByKey && world.shared.trouble.stale_listing == 0;
    let counts = |written: &&Written| !(written.is_astray && drops_astray);
    let now_ms = world.cloud.time.elapsed_ms();
    let horizon_ms = now_ms.saturating_sub(world.shared.lock().retention_ms);

    let mut places: BTreeMap<u64, Vec<&Written>> = BTreeMap::new();
    let mut garbage: BTreeMap<ReadFrom, (&Written, Vec<u8>)> = BTreeMap::new();
    for written in written.iter().filter(counts) {
        for document in &written.documents {
            match document {
                Document::Event(number) => places.entry(*number).or_default().push(written),
                Document::Garbage(_) => {
                    let raw = document.text().into_bytes();
                    garbage.insert(read_from(written), (written, raw));
                }
            }
        }
    }
    let mut lost = BTreeSet::new();

    let rows = lake_rows::events(&lake).await;
    for (number, found) in &rows {
        assert_eq!(found.len(), 1, "event {number} is there more than once: {found:?}");
        let written = places.get(number).unwrap_or_else(|| panic!("event {number} was never put"));
        let is_place = |written: &&Written| {
            let place = found[0].sequence.split(':').next();
            written.shard == found[0].shard && Some(written.sequence.as_str()) == place
        };
        assert!(written.iter().any(is_place), "event {number} was not put at {found:?}");
    }
    for (number, written) in &places {
        if rows.contains_key(number) {
            continue;
        }
        let is_trimmed = written.iter().all(|written| written.arrived_ms < horizon_ms);
        assert!(is_trimmed, "event {number} is missing; it was put: {written:?}");
        lost.extend(written.iter().map(|written| written.shard.clone()));
    }

    let mut kept = BTreeMap::new();
    for reject in lake_rows::rejects(&lake).await {
        let twice = kept.insert(reject.from.clone(), reject.raw);
        assert!(twice.is_none(), "the reject of {:?} is there more than once", reject.from);
    }
    for (place, raw) in &kept {
        let expected = garbage.get(place).map(|(_, raw)| raw);
        assert_eq!(Some(raw), expected, "the reject of {place:?}");
    }
    for (place, (written, _)) in &garbage {
        let is_trimmed = written.arrived_ms < horizon_ms;
        assert!(is_trimmed || kept.contains_key(place), "the reject of {place:?} is missing");
        if !kept.contains_key(place) {
            lost.insert(place.shard.clone());
        }
    }
    if was_never_read {
        lost.clear();
    }
    check_positions(world, &lost).await;
}

/// Whether nothing of the stream is read as far as is committed.
pub(crate) async fn is_never_read(world: &StreamWorld) -> bool {
    let streams = lake_rows::lake_in(&world.cloud).streams().await.unwrap_or_default();
    let mut shards = streams.iter().flat_map(|stream| stream.state.shards.values());
    shards.all(|state| state.read_through_ms.is_none())
}

fn read_from(written: &Written) -> ReadFrom {
    ReadFrom { shard: written.shard.clone(), sequence: written.sequence.clone() }
}

/// Reads all manifests back from the last one, and asserts that every step went forwards, that children
/// waited for their parents, and that a loss was noticed, where there was one, and only there.
async fn check_positions(world: &StreamWorld, lost: &BTreeSet<String>) {
    let was_long_away = world.cloud.time.elapsed_ms() > world.shared.lock().retention_ms;
    let lake = lake_rows::lake_in(&world.cloud);
    let streams = lake.streams().await.expect("positions");
    assert_eq!(streams.len(), 1);
    let mut epoch = streams[0].epoch;
    let mut later: Option<Value> = None;
    loop {
        let path = format!(
            "lake/_hearback/checkpoints/{}/{epoch:020}.json",
            world.shared.identity.positions_name()
        );
        let found = world.cloud.objects.get(&Path::from(path)).await.expect("a manifest");
        let bytes = found.bytes().await.expect("a manifest");
        let manifest: Value = serde_json::from_slice(&bytes).expect("JSON");
        let shards = manifest["positions"]["shards"]["shards"].clone();
        if let Some(later) = &later {
            check_step(&shards, later, was_long_away);
        }
        later = Some(shards);
        match manifest["parent"].as_i64() {
            Some(parent) => epoch = parent,
            None => break,
        }
    }
    let gaps: BTreeSet<String> =
        streams[0].state.gaps.iter().map(|gap| gap.shard.clone()).collect();
    assert!(lost.is_empty() || !gaps.is_empty(), "records were lost without a word on {lost:?}");
    assert!(was_long_away || gaps.is_empty(), "gaps where nothing was trimmed: {gaps:?}");
}

/// From one commit to the next. Where shards were trimmed away whole, nobody knows of them any more.
fn check_step(earlier: &Value, later: &Value, parents_may_be_gone: bool) {
    let position = |shards: &Value, shard: &str| shards[shard]["position"].clone();
    for (shard, state) in later.as_object().expect("shards") {
        let (from, to) = (position(earlier, shard), position(later, shard));
        if from == "ended" {
            assert_eq!(to, "ended", "{shard} went on after its end");
        }
        if let (Some(from), Some(to)) = (sequence(&from), sequence(&to)) {
            assert!(from <= to, "{shard} went back from {from} to {to}");
        }
        if sequence(&from).is_some() {
            assert!(sequence(&to).is_some() || to == "ended", "{shard} forgot its position");
        }
        // A child has a position only if the commit before says that its parents are ended.
        if sequence(&to).is_none() && to != "ended" {
            continue;
        }
        for parent in state["parents"].as_array().into_iter().flatten() {
            let parent = parent.as_str().expect("a name");
            let parent_before = position(earlier, parent);
            assert!(
                parent_before == "ended" || (parents_may_be_gone && parent_before.is_null()),
                "{shard} was read before the end of {parent} was committed"
            );
        }
    }
}

/// The number behind which reading goes on. They all have the same length.
fn sequence(position: &Value) -> Option<&str> {
    position["from"]["after"].as_str()
}
