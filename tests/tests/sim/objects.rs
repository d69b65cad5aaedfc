//! Objects that are read into the lake by two processes at once, in bad weather, with kills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hearback_ingest::lake::{Lake, LakeWriter, ObjectId, PositionDelta, Provenance, WriteSettings};
use hearback_transform::{DecodeOptions, Decoder, Origin, Place};
use uuid::Uuid;

use crate::dice::Dice;
use crate::documents::Document;
use crate::lake_rows;
use crate::life::Life;
use crate::store::{Cloud, SimStore};
use crate::world::{self, End};

struct Object {
    name: String,
    documents: Vec<Document>,
}

/// One world. Panics if it does not end as it must. Returns its trace.
pub(crate) async fn world(seed: u64) -> u64 {
    let dice = Dice::new(seed);
    let cloud = world::cloud(&dice);
    let objects: Arc<Vec<Object>> = Arc::new(objects(&dice));
    let slots = (0..dice.among(1..4)).map(|_| {
        let (cloud, objects, dice) = (Arc::clone(&cloud), Arc::clone(&objects), dice.split());
        tokio::spawn(async move {
            for _ in 0..dice.among(1..6) {
                let life = Life::new(dice.number(), world::fate(&dice));
                let longest = Duration::from_millis(dice.among(100..120_000));
                let reads =
                    read(Arc::clone(&cloud), life.clone(), Arc::clone(&objects), dice.split());
                world::run(&life, Some(longest), reads).await;
                tokio::time::sleep(Duration::from_millis(dice.among(0..5000))).await;
            }
        })
    });
    for slot in slots.collect::<Vec<_>>() {
        slot.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }

    world::calm_down(&cloud).await;
    for _ in 0..2 {
        let life = Life::new(dice.number(), None);
        let reads = read(Arc::clone(&cloud), life.clone(), Arc::clone(&objects), dice.split());
        let end = world::run(&life, None, reads).await;
        assert!(matches!(end, End::Done), "in calm weather: {end:?}");
        check(&cloud, &objects).await;
    }
    cloud.trace.value()
}

/// Some events are in several objects, some garbage is in an object twice.
fn objects(dice: &Dice) -> Vec<Object> {
    let all = dice.among(20..300);
    (0..dice.among(2..9))
        .map(|number| {
            let documents = (0..dice.among(1..60))
                .map(|_| match dice.per_mille(40) {
                    true => Document::Garbage(dice.among(0..4)),
                    false => Document::Event(dice.among(0..all)),
                })
                .collect();
            Object { name: format!("object-{number}"), documents }
        })
        .collect()
}

/// A process that reads all objects, and commits when it likes.
async fn read(
    cloud: Arc<Cloud>,
    life: Life,
    objects: Arc<Vec<Object>>,
    dice: Dice,
) -> Result<(), String> {
    let lake = Lake::in_store(world::place(SimStore::new(&cloud, &life)));
    let settings = WriteSettings {
        encode_threads: 1,
        checkpoint_every: dice.one_of(&[0, 2, 100]),
        dedupe_memory: dice.one_of(&[0, 2000, 1 << 20]),
        ..WriteSettings::default()
    };
    let run = Uuid::from_u64_pair(dice.number(), dice.number());
    let said = |error: hearback_ingest::lake::LakeError| error.to_string();
    let mut writer = LakeWriter::begin(&lake, settings, "objects", run).await.map_err(said)?;
    let mut decoder = Decoder::new(DecodeOptions::default());
    let mut finished = Vec::new();
    for object in objects.iter() {
        let id = ObjectId { name: object.name.clone(), size: 1, etag: None };
        if writer.already_read(&id) {
            continue;
        }
        let mut place = 0;
        for documents in object.documents.chunks(dice.among(1..80) as usize) {
            let texts: Vec<String> = documents.iter().map(|document| document.text()).collect();
            let text = texts.join("\n") + "\n";
            let origin =
                Origin { source_name: &object.name, shard: None, place: Place::Offset(place) };
            place += text.len() as u64;
            let decoded = decoder.decode(text.as_bytes(), &origin);
            let now_us = cloud.time.now_ms() * 1000;
            let from = Provenance { source_name: &object.name, source_shard: None, now_us };
            writer.stage(decoded, from).await.map_err(said)?;
            if dice.per_mille(150) {
                let delta = PositionDelta::Objects(std::mem::take(&mut finished));
                writer.commit(delta, now_us).await.map_err(said)?;
            }
        }
        finished.push(id);
    }
    let now_us = cloud.time.now_ms() * 1000;
    writer.commit(PositionDelta::Objects(finished), now_us).await.map_err(said)?;
    Ok(())
}

async fn check(cloud: &Arc<Cloud>, objects: &[Object]) {
    let lake = lake_rows::lake_in(cloud);
    let mut expected = BTreeSet::new();
    let mut garbage: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for object in objects {
        let mut here: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for document in &object.documents {
            match document {
                Document::Event(number) => drop(expected.insert(*number)),
                Document::Garbage(_) => *here.entry(document.text().into_bytes()).or_default() += 1,
            }
        }
        // The same garbage in two objects is one reject; twice in one object, two.
        for (raw, times) in here {
            let most = garbage.entry(raw).or_default();
            *most = times.max(*most);
        }
    }
    let rows = lake_rows::events(&lake).await;
    for (number, places) in &rows {
        assert_eq!(places.len(), 1, "event {number} is there more than once: {places:?}");
    }
    let found: BTreeSet<u64> = rows.keys().copied().collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(missing.is_empty(), "events are missing: {missing:?}");
    assert_eq!(found, expected);
    let mut kept: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for reject in lake_rows::rejects(&lake).await {
        *kept.entry(reject.raw).or_default() += 1;
    }
    assert_eq!(kept, garbage, "rejects");
}
