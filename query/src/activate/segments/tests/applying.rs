use serde_json::json;

use super::*;
use crate::activate::segments::acknowledged::States;
use crate::activate::segments::lease::Lease;
use crate::activate::segments::plan::plan_retirement;
use crate::activate::segments::plan_file::{read_plans, write_plans};
use crate::activate::segments::receipts::Receipts;

#[tokio::test]
async fn what_was_applied_is_not_sent_again() {
    let mut lake = TestLake::of(&people(25)).await;
    let segment = segment(EVERYBODY);
    let mut place = Scripted::with_batches_of(10);
    let opened = lake.open().await;
    let first = opened.sync(&segment, &mut place).await;
    assert_eq!((first.counts.add, first.members, place.sent()), (25, 25, 25));

    let again = opened.sync(&segment, &mut place).await;
    assert_eq!((again.counts.add, again.counts.keep, place.sent()), (0, 25, 25));

    // One more message to p003, one more person, and p004 complains.
    let more = [
        delivered("x1", "p003@example.com"),
        delivered("x2", "new@example.com"),
        complained("m004", "p004@example.com"),
    ];
    lake.add(&more).await;
    let opened = lake.open().await;
    let applied = opened.sync(&segment, &mut place).await;
    let counts = applied.counts;
    assert_eq!((counts.add, counts.change, counts.remove, counts.keep), (1, 1, 1, 23));
    assert_eq!(place.sent(), 28, "only what changed is sent");
    assert_eq!(place.members().len(), 25);
    assert!(!place.members().contains(&"p004@example.com".to_owned()));
    let rows = opened.count("SELECT count(*) FROM segment_ledger WHERE outcome = 'done'").await;
    assert_eq!(rows, 28);
}

#[tokio::test]
async fn a_run_that_dies_at_any_request_is_finished_by_the_next_and_nothing_is_noted_twice() {
    let lake = TestLake::of(&people(40)).await;
    let segment = segment(EVERYBODY);
    for dies_after in 0..8 {
        let name = format!("dies-{dies_after}");
        let segment = Segment { name: name.clone(), ..segment.clone() };
        let mut place = Scripted::with_batches_of(5);
        place.set(|shared| shared.dies_after = Some(dies_after));
        let opened = lake.open().await;
        let mut plan = opened.plan(&segment).await;
        let died = opened.apply(&segment, &mut plan, &mut place).await;
        match died {
            Err(SegmentError::Destination(DestinationError::Unavailable { .. })) => {
                assert_eq!(dies_after, 0, "what was done is told");
            }
            Ok(applied) => {
                assert!(!applied.is_complete());
                assert_eq!(applied.counts.add, 5 * dies_after as u64);
                assert_eq!(applied.untried, 40 - applied.counts.add);
            }
            Err(error) => panic!("{error}"),
        }
        place.set(|shared| shared.dies_after = None);
        // The same command again: the same plan file finishes what is left.
        let opened = lake.open().await;
        let finished = opened.apply(&segment, &mut plan, &mut place).await.expect("it ends");
        assert!(finished.is_complete(), "{finished:?}");
        assert_eq!(place.members().len(), 40);
        assert_eq!(place.sent(), 40, "nothing acknowledged was sent again");
        let rows = format!("SELECT count(*) FROM segment_ledger WHERE segment = '{name}'");
        assert_eq!(lake.open().await.count(&rows).await, 40);
        let left = lake.open().await.plan(&segment).await;
        assert!(left.changes.is_empty(), "{:?}", left.header);
    }
}

#[tokio::test]
async fn a_run_that_vanished_between_ledger_and_state_is_taken_into_account() {
    let lake = TestLake::of(&people(6)).await;
    let segment = segment(EVERYBODY);
    let opened = lake.open().await;
    let mut plan = opened.plan(&segment).await;
    // As a run that was killed leaves it: some of the changes in the ledger, no generation.
    let run = Run {
        segment: "test".to_owned(),
        description: None,
        plan_id: plan.header.plan_id.clone(),
        key: "address".to_owned(),
        attributes: plan.header.attributes.clone(),
        lake_version: plan.header.lake_version,
        acknowledged: None,
        number: 1,
        counts: plan.header.counts,
        clock,
    };
    let mut receipts = Receipts::begin(&opened.lake, &run, &plan.header, clock, Uuid::new_v4())
        .await
        .expect("rows");
    for change in plan.changes.read().expect("changes").take(4) {
        let change = change.expect("a change");
        receipts.note(&change, &Delivered::done(None)).await.expect("a row");
    }
    receipts.flush().await.expect("a commit");

    let opened = lake.open().await;
    let left = opened.plan(&segment).await;
    assert_eq!((left.header.counts.add, left.header.counts.keep), (2, 4));
    let mut place = Scripted::with_batches_of(10);
    let applied = opened.apply(&segment, &mut plan, &mut place).await.expect("an application");
    assert_eq!((applied.before, applied.counts.add, applied.members), (4, 6, 6));
    assert_eq!(place.sent(), 2);

    // The run that was thought dead wakes up: it cannot write any more.
    let change =
        Change { action: Action::Add, member: "late".to_owned(), attributes: "{}".to_owned() };
    receipts.note(&change, &Delivered::done(None)).await.expect("it is only noted");
    assert!(matches!(receipts.flush().await, Err(SegmentError::Busy(_))));
}

#[tokio::test]
async fn what_the_destination_refuses_comes_again_alone() {
    let lake = TestLake::of(&people(12)).await;
    let segment = segment(EVERYBODY);
    let mut place = Scripted::with_batches_of(5);
    place.set(|shared| {
        shared.refused.insert("p003@example.com".to_owned());
        shared.refused.insert("p007@example.com".to_owned());
    });
    let opened = lake.open().await;
    let mut plan = opened.plan(&segment).await;
    let applied = opened.apply(&segment, &mut plan, &mut place).await.expect("an application");
    assert_eq!((applied.counts.add, applied.failed, applied.members), (10, 2, 10));
    assert!(!applied.is_complete());

    place.set(|shared| shared.refused.clear());
    let opened = lake.open().await;
    let next = opened.plan(&segment).await;
    assert_eq!((next.header.counts.add, next.header.counts.keep), (2, 10));
    let again = opened.apply(&segment, &mut plan, &mut place).await.expect("the same plan again");
    assert!(again.is_complete());
    assert_eq!((place.sent(), place.members().len()), (14, 12));
    let failed = opened.count("SELECT count(*) FROM segment_ledger WHERE outcome = 'failed'").await;
    assert_eq!(failed, 2);
}

#[tokio::test]
async fn of_two_runs_at_once_one_wins_and_the_other_is_told() {
    let lake = TestLake::of(&people(3)).await;
    let segment = segment(EVERYBODY);
    let opened = lake.open().await;
    let states = States::of(&opened.lake, "test", &segment.destinations[0]);
    let held = Lease::take(&states, "the other run", clock).await.expect("a lease");
    let mut plan = opened.plan(&segment).await;
    let mut place = Scripted::with_batches_of(10);
    let refused = opened.apply(&segment, &mut plan, &mut place).await;
    assert!(matches!(refused, Err(SegmentError::Busy(_))), "{refused:?}");
    assert_eq!(place.sent(), 0);
    held.check().expect("the first one keeps it");
    held.release(clock()).await;
    let applied = opened.apply(&segment, &mut plan, &mut place).await.expect("now it is free");
    assert_eq!(applied.counts.add, 3);
}

#[tokio::test]
async fn a_plan_is_stale_once_another_was_applied() {
    let mut lake = TestLake::of(&people(3)).await;
    let segment = segment(EVERYBODY);
    let opened = lake.open().await;
    let mut old = opened.plan(&segment).await;
    lake.add(&[delivered("x", "x@example.com")]).await;
    let opened = lake.open().await;
    let mut place = Scripted::with_batches_of(10);
    opened.sync(&segment, &mut place).await;
    let refused = opened.apply(&segment, &mut old, &mut place).await;
    let Err(SegmentError::Refused { reason, .. }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("stale"), "{reason}");

    // Applying the same plan twice is no error and does nothing.
    let mut plan = opened.plan(&segment).await;
    assert!(plan.changes.is_empty());
    lake.add(&[delivered("y", "y@example.com")]).await;
    let opened = lake.open().await;
    plan = opened.plan(&segment).await;
    opened.apply(&segment, &mut plan, &mut place).await.expect("once");
    let sent = place.sent();
    let twice = opened.apply(&segment, &mut plan, &mut place).await.expect("twice");
    assert!(twice.already);
    assert_eq!(place.sent(), sent);
}

#[tokio::test]
async fn whoever_leaves_between_plan_and_apply_is_not_added() {
    let mut lake = TestLake::of(&people(4)).await;
    let segment = segment(EVERYBODY);
    let opened = lake.open().await;
    let mut plan = opened.plan(&segment).await;
    assert_eq!(plan.header.counts.add, 4);
    lake.add(&[
        complained("m001", "p001@example.com"),
        subscription("m002", "p002@example.com", "2026-11-03T00:00:00.000Z", true, &[]),
    ])
    .await;
    let opened = lake.open().await;
    let mut place = Scripted::with_batches_of(10);
    let applied = opened.apply(&segment, &mut plan, &mut place).await.expect("an application");
    assert_eq!((applied.counts.add, applied.skipped), (2, 2));
    assert!(applied.is_complete(), "leaving people out is no failure");
    assert_eq!(place.members(), ["p000@example.com", "p003@example.com"]);
    let note = "SELECT count(*) FROM segment_ledger WHERE outcome = 'skipped' AND note LIKE 'complained since%'";
    assert_eq!(opened.count(note).await, 1);
}

#[tokio::test]
async fn whoever_opted_out_at_the_destination_is_not_offered_again() {
    let lake = TestLake::of(&people(5)).await;
    let opened = lake.open().await;
    let mut place = Scripted::with_batches_of(10);
    place.set(|shared| {
        shared.declined = ["p001", "p003"].map(|p| format!("{p}@example.com")).into();
    });
    let everybody = segment(EVERYBODY);
    let applied = opened.sync(&everybody, &mut place).await;
    assert_eq!((applied.counts.add, applied.skipped, applied.declined), (3, 2, 2));
    assert!(applied.is_complete());

    let again = opened.plan(&everybody).await;
    assert!(!again.has_work(), "plans converge: {:?}", again.header);
    assert_eq!((again.header.counts.keep, again.header.counts.declined), (3, 2));
    opened.sync(&everybody, &mut place).await;
    assert_eq!(place.sent(), 5, "nobody was asked twice");

    // The next states remember it too; only sending everybody anew asks again.
    let mut fewer = segment("SELECT recipient AS address FROM recipients WHERE recipient > 'p001'");
    fewer.guards.max_shrink = 0.5;
    opened.sync(&fewer, &mut place).await;
    let again = opened.plan(&everybody).await;
    assert_eq!((again.header.counts.add, again.header.counts.declined), (1, 2));
    place.set(|shared| shared.declined.clear());
    let rebuild = PlanOptions { rebuild: true, ..PlanOptions::default() };
    let mut anew = opened.plan_with(&everybody, rebuild).await;
    assert_eq!(anew.header.counts.add, 5);
    let applied = opened.apply(&everybody, &mut anew, &mut place).await.expect("an application");
    assert_eq!((applied.counts.add, applied.members), (5, 5));
    assert_eq!(opened.plan(&everybody).await.header.counts.keep, 5);
}

#[tokio::test]
async fn a_plan_file_is_the_plan_and_an_altered_one_is_refused() {
    let lake = TestLake::of(&people(3)).await;
    let segment =
        segment("SELECT recipient AS address, 0.1 + 0.2 AS share, NULL AS none FROM recipients");
    let opened = lake.open().await;
    let mut plans = [opened.plan(&segment).await];
    let mut text = Vec::new();
    write_plans(&mut plans, &mut text).expect("a document");
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(document[0]["add"], 3);
    assert_eq!(document[0]["destination"], "s3:/nowhere");
    assert_eq!(document[0]["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(document[0]["guards"], json!([]));
    let mut read = read_plans(text.as_slice()).expect("a plan");
    assert_eq!(read[0].header, plans[0].header);
    let mut place = Scripted::with_batches_of(10);
    opened.apply(&segment, &mut read[0], &mut place).await.expect("an application");
    assert!(opened.plan(&segment).await.changes.is_empty(), "what was read is what is planned");

    let text = String::from_utf8(text).expect("text");
    for altered in [
        text.replace("p001@example.com", "q001@example.com"),
        text.replace("\"state_version\": 0", "\"state_version\": 1"),
        text.replace("s3:/nowhere", "s3:/elsewhere"),
        "{}".to_owned(),
        String::new(),
    ] {
        assert!(matches!(read_plans(altered.as_bytes()), Err(SegmentError::Plan(_))), "{altered}");
    }
}

#[tokio::test]
async fn another_key_is_another_population() {
    let lake = TestLake::of(&people(3)).await;
    let by_address =
        segment("SELECT recipient AS address, 'u-' || recipient AS user_id FROM recipients");
    let opened = lake.open().await;
    let mut place = Scripted::with_batches_of(10);
    opened.sync(&by_address, &mut place).await;
    let by_user = Segment { key: "user_id".to_owned(), ..by_address };
    let mut plan = opened.plan(&by_user).await;
    assert_eq!((plan.header.counts.add, plan.header.counts.remove), (3, 3));
    assert_eq!(plan.header.guards.len(), 1, "{:?}", plan.header.guards);
    let refused = opened.apply(&by_user, &mut plan, &mut place).await;
    assert!(matches!(refused, Err(SegmentError::Refused { .. })));
    let lifted = Lifted { shrink: true, ..Lifted::default() };
    opened.apply_with(&by_user, &mut plan, &mut place, lifted).await.expect("it is allowed");
    assert_eq!(place.members()[0], "u-p000@example.com");
    assert_eq!(place.members().len(), 3);
}

#[tokio::test]
async fn a_segment_that_is_defined_no_longer_can_be_retired() {
    let lake = TestLake::of(&people(3)).await;
    let old = segment(EVERYBODY);
    let opened = lake.open().await;
    let mut place = Scripted::with_batches_of(10);
    opened.sync(&old, &mut place).await;

    // Renamed: the new name starts from nothing, the old one keeps its members until it is retired.
    let renamed = Segment { name: "renamed".to_owned(), ..old.clone() };
    assert_eq!(opened.plan(&renamed).await.header.counts.add, 3);
    let known = States::all(&opened.lake).await.expect("states");
    assert_eq!((known.len(), known[0].segment.as_str()), (1, "test"));
    let lifted = Lifted { shrink: true, ..Lifted::default() };
    let mut plan = plan_retirement(&opened.bench(), &known[0], lifted).await.expect("a plan");
    let cancel = CancelFlag::new();
    let options =
        ApplyOptions { lifted, run: Uuid::new_v4(), cancel: &cancel, progress: &|_, _| {} };
    let refused = apply(&opened.bench(), &mut plan, Some(&old), &mut place, &options).await;
    assert!(refused.is_err(), "what is defined is not retired");
    apply(&opened.bench(), &mut plan, None, &mut place, &options).await.expect("an application");
    assert!(place.members().is_empty());
}

#[tokio::test]
async fn a_destination_that_is_gone_is_noticed_and_rebuilt_only_on_demand() {
    let lake = TestLake::of(&people(3)).await;
    let segment = segment(EVERYBODY);
    let opened = lake.open().await;
    let mut place = Scripted::with_batches_of(10);
    opened.sync(&segment, &mut place).await;
    place.set(|shared| {
        shared.gone = true;
        shared.members.clear();
    });
    let mut plan = opened.plan(&segment).await;
    assert!(plan.changes.is_empty(), "the plan does not ask the destination");
    let refused = opened.apply(&segment, &mut plan, &mut place).await;
    let Err(SegmentError::Refused { hint, .. }) = refused else { panic!("{refused:?}") };
    assert!(hint.contains("--rebuild"), "{hint}");

    place.set(|shared| shared.dies_after = Some(1));
    place.set(|shared| (shared.batch, shared.requests) = (2, 0));
    let options = PlanOptions { rebuild: true, ..PlanOptions::default() };
    let mut rebuild = opened.plan_with(&segment, options).await;
    assert_eq!(rebuild.header.counts.add, 3);
    let half = opened.apply(&segment, &mut rebuild, &mut place).await.expect("half of it");
    assert!(!half.is_complete());
    place.set(|shared| (shared.dies_after, shared.gone) = (None, false));
    let opened = lake.open().await;
    opened.apply(&segment, &mut rebuild, &mut place).await.expect("the rest");
    assert_eq!(place.members().len(), 3);
    assert!(opened.plan(&segment).await.changes.is_empty());
}
