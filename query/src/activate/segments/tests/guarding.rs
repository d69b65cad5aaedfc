use std::time::Duration;

use super::*;
use crate::activate::segments::diff::Counts;
use crate::activate::segments::guards::{Facts, GuardName, judge, refusal};
use crate::activate::segments::members::{Census, Question};

fn names(counts: Counts, census: &Census, age: u64, lifted: Lifted) -> Vec<(GuardName, bool)> {
    let facts = Facts {
        counts: &counts,
        census,
        lake_age: Some(Duration::from_secs(age * 3_600)),
        other_key: None,
        publishes_empty: false,
    };
    let guards = judge(&facts, &GuardSettings::default(), lifted);
    guards.iter().map(|guard| (guard.guard, guard.lifted)).collect()
}

fn counts(add: u64, remove: u64, keep: u64) -> Counts {
    Counts { add, remove, keep, ..Counts::default() }
}

#[test]
fn what_empties_halves_or_floods_is_refused_and_only_its_own_flag_lifts_it() {
    let none = Lifted::default();
    let clean = Census::default();
    let judged = |counts, lifted| names(counts, &clean, 1, lifted);
    assert_eq!(judged(counts(5, 0, 0), none), []);
    assert_eq!(judged(counts(0, 3, 7), none), []);
    assert_eq!(judged(counts(0, 4, 6), none), [(GuardName::Shrink, false)]);
    assert_eq!(judged(counts(9, 5, 5), none), [(GuardName::Shrink, false)], "half is exchanged");
    assert_eq!(judged(counts(0, 1, 0), none), [(GuardName::Empty, false)], "the last member");
    assert_eq!(judged(counts(2_000, 0, 1_500), none), [(GuardName::Growth, false)]);
    assert_eq!(judged(counts(900, 0, 10), none), [], "small segments may grow");
    let shrink = Lifted { shrink: true, ..none };
    assert_eq!(judged(counts(0, 10, 0), shrink), [(GuardName::Empty, true)]);
    assert_eq!(judged(counts(2_000, 0, 1_500), shrink), [(GuardName::Growth, false)]);
    let adds = |most| Lifted { max_adds: Some(most), ..none };
    assert_eq!(judged(counts(2_000, 0, 1_500), adds(2_000)), [(GuardName::Growth, true)]);
    assert_eq!(judged(counts(2_001, 0, 1_500), adds(2_000)), [(GuardName::Growth, false)]);
    assert_eq!(judged(counts(0, 10, 0), adds(9)), [(GuardName::Empty, false)]);
    assert_eq!(
        judged(counts(11, 0, 0), adds(10)),
        [(GuardName::Growth, false)],
        "a named cap counts"
    );
}

#[test]
fn keys_that_cannot_be_and_a_lake_that_sleeps_are_refused() {
    let none = Lifted::default();
    let census =
        Census { duplicate_keys: 1, missing_keys: 2, invalid_keys: 3, ..Census::default() };
    assert_eq!(
        names(counts(1, 0, 0), &census, 1, none),
        [
            (GuardName::DuplicateKey, false),
            (GuardName::MissingKey, false),
            (GuardName::InvalidKey, false)
        ]
    );
    let clean = Census::default();
    assert_eq!(names(counts(1, 0, 0), &clean, 49, none), [(GuardName::StaleLake, false)]);
    let stale = Lifted { stale: true, ..none };
    assert_eq!(names(counts(1, 0, 0), &clean, 49, stale), [(GuardName::StaleLake, true)]);
}

#[tokio::test]
async fn a_query_that_gives_nothing_or_half_changes_nothing() {
    let lake = TestLake::of(&people(10)).await;
    let whole = segment(EVERYBODY);
    let opened = lake.open().await;
    let mut place = Scripted::with_batches_of(10);
    opened.sync(&whole, &mut place).await;
    for condition in ["false", "recipient < 'p005'"] {
        let sql =
            format!("SELECT recipient AS address, deliveries FROM recipients WHERE {condition}");
        let shrunken = segment(&sql);
        let mut plan = opened.plan(&shrunken).await;
        assert!(refusal(&plan.header.guards).is_some());
        let refused = opened.apply(&shrunken, &mut plan, &mut place).await;
        assert!(matches!(refused, Err(SegmentError::Refused { .. })), "{refused:?}");
        assert_eq!((place.members().len(), place.sent()), (10, 10));
    }
    // Guards of a plan cannot be talked away by planning with the flag and applying without it.
    let none = segment("SELECT recipient AS address FROM recipients WHERE false");
    let lifted = Lifted { shrink: true, ..Lifted::default() };
    let mut plan = opened.plan_with(&none, PlanOptions { lifted, rebuild: false }).await;
    assert!(opened.apply(&none, &mut plan, &mut place).await.is_err());
    opened.apply_with(&none, &mut plan, &mut place, lifted).await.expect("it is allowed");
    assert!(place.members().is_empty(), "the last member is removed where that is allowed");
}

#[tokio::test]
async fn the_census_counts_what_is_no_member() {
    let lake = TestLake::of(&people(1)).await;
    let opened = lake.open().await;
    let sql = "SELECT column1 AS address FROM (VALUES ('a@example.com'), ('a@example.com'), (NULL), (''), ('B@Example.com'), ('no address')) AS t";
    let question = Question::plan(&opened.engine, &segment(sql)).await.expect("a question");
    let mut members = question.ask().await.expect("members");
    let mut keys = Vec::new();
    while let Some(member) = members.next().await.expect("a member") {
        keys.push(member.key);
    }
    assert_eq!(keys, ["a@example.com"]);
    let census = members.census();
    assert_eq!((census.duplicate_keys, census.missing_keys, census.invalid_keys), (1, 2, 2));
}

#[tokio::test]
async fn a_statement_that_cannot_be_a_segment_says_why() {
    let lake = TestLake::of(&people(1)).await;
    let opened = lake.open().await;
    let error = |segment: Segment| {
        let engine = &opened.engine;
        async move {
            match Question::plan(engine, &segment).await {
                Err(SegmentError::Definition { reason, hint, .. }) => {
                    format!("{reason} ({})", hint.unwrap_or_default())
                }
                Err(other) => other.to_string(),
                Ok(_) => panic!("{} is no segment", segment.sql),
            }
        }
    };
    assert_eq!(
        error(segment("SELECT recipient AS adress FROM recipients")).await,
        "the statement has no column address, which is the key (did you mean adress?)"
    );
    let by_user = Segment { key: "user_id".to_owned(), ..segment("SELECT 'u' AS user_id") };
    assert!(error(by_user).await.starts_with("without a column address nobody can tell"));
    assert_eq!(
        error(segment("SELECT recipeint AS address FROM recipients")).await,
        "segment test: line 1, column 8: there is no column recipeint"
    );
    assert_eq!(
        error(segment("DELETE FROM events")).await,
        "segment test: only statements that read are run here"
    );
}
