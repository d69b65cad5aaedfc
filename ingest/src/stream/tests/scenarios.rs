//! One reader: reshards, failures, gaps, rewinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hearback_schemas::EVENTS;
use hearback_transform::Reject;
use hearback_transform::kpl::{self, UserRecord};

use super::memory_stream::{MemoryStream, RETENTION};
use super::support::*;
use crate::cancel::CancelFlag;
use crate::lake::{GapReason, ReadFrom, SequenceNumber, ShardPosition};
use crate::stream::{
    ApiErrorKind, KeepError, Record, Rewind, Safekeeping, StartAt, StreamError, StreamRequest,
    run_stream,
};

fn after(sequence: &SequenceNumber) -> ShardPosition {
    ShardPosition::From(ReadFrom::After(sequence.clone()))
}

#[tokio::test(start_paused = true)]
async fn every_record_is_one_row_with_its_place_and_a_second_run_reads_on() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    let first = stream.put("shard-0", &event(0));
    for number in 1..35 {
        stream.put("shard-0", &event(number));
    }
    let summary = catch_up(&lake, &stream).await;
    assert_eq!((summary.report.records, summary.report.events), (35, 35));
    assert_holds(&lake, 0..35).await;
    assert_eq!(column(&lake, &EVENTS, "source_name").await[0], "kinesis:feed");
    assert_eq!(column(&lake, &EVENTS, "source_shard").await[0], "shard-0");
    assert!(column(&lake, &EVENTS, "source_sequence").await.contains(&first.to_string()));

    let last = stream.put("shard-0", &event(35));
    let summary = catch_up(&lake, &stream).await;
    assert_eq!((summary.report.records, summary.report.events), (1, 1));
    assert_holds(&lake, 0..36).await;
    let state = state(&lake).await;
    assert_eq!(state.shards["shard-0"].position, after(&last));
    assert_eq!(state.shards["shard-0"].records, 36);
    assert_eq!(state.shards["shard-0"].behind_ms, Some(0));
}

#[tokio::test(start_paused = true)]
async fn splits_and_merges_are_read_through_and_children_from_their_beginning() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    stream.put("shard-0", &event(0));
    catch_up(&lake, &stream).await;
    stream.put("shard-0", &event(1));
    stream.split("shard-0", ["shard-1", "shard-2"]);
    stream.put("shard-1", &event(2));
    stream.put("shard-2", &event(3));
    stream.merge(["shard-1", "shard-2"], "shard-3");
    stream.put("shard-3", &event(4));
    stream.split("shard-3", ["shard-4", "shard-5"]);
    stream.put("shard-5", &event(5));
    catch_up(&lake, &stream).await;
    assert_holds(&lake, 0..6).await;
    let state = state(&lake).await;
    for ended in ["shard-0", "shard-1", "shard-2", "shard-3"] {
        assert_eq!(state.shards[ended].position, ShardPosition::Ended, "{ended}");
    }

    // What the stream forgets is forgotten once it cannot be there any more, and nothing is read again.
    for gone in ["shard-0", "shard-1", "shard-2"] {
        stream.forget(gone);
    }
    stream.put("shard-4", &event(6));
    let summary = catch_up(&lake, &stream).await;
    assert_eq!(summary.report.records, 1);
    assert!(super::support::state(&lake).await.shards.contains_key("shard-0"), "it may be lagging");
    let much_later =
        StreamRequest { clock: Arc::new(|| (NOW_MS + 400 * 86_400_000) * 1000), ..request(&lake) };
    stream.put("shard-4", &event(7));
    run(much_later, &stream).await.expect("it catches up");
    assert!(!super::support::state(&lake).await.shards.contains_key("shard-0"));
    assert_holds(&lake, 0..8).await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_shard_whose_iterators_never_end_is_left_for_its_children() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    stream.never_end();
    stream.put("shard-0", &event(0));
    stream.split("shard-0", ["shard-1", "shard-2"]);
    stream.put("shard-1", &event(1));
    stream.split("shard-1", ["shard-3", "shard-4"]);
    stream.put("shard-4", &event(2));
    catch_up(&lake, &stream).await;
    assert_holds(&lake, 0..3).await;

    // The same while it is read: nothing but the listing says that the shard is closed.
    let cancel = CancelFlag::new();
    let endless =
        StreamRequest { until_caught_up: false, cancel: cancel.clone(), ..request(&lake) };
    let changes = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        stream.put("shard-2", &event(3));
        stream.split("shard-2", ["shard-5", "shard-6"]);
        stream.put("shard-6", &event(4));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_holds(&lake, 0..5).await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(run(endless, &stream), changes);
    ended.expect("a good end");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_begins_with_the_latest_skips_no_child_of_a_split() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    stream.put("shard-0", &event(0));
    stream.set_now(NOW_MS + 10);
    let begin = request(&lake);
    // A clock that stands a little later than the first record's arrival.
    let request =
        StreamRequest { start: StartAt::Latest, clock: Arc::new(|| (NOW_MS + 5) * 1000), ..begin };
    run(request, &stream).await.expect("it catches up");
    assert_holds(&lake, []).await;
    stream.put("shard-0", &event(1));
    stream.split("shard-0", ["shard-1", "shard-2"]);
    stream.put("shard-2", &event(2));
    catch_up(&lake, &stream).await;
    assert_holds(&lake, [1, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn failures_that_pass_are_waited_out_and_iterators_made_from_the_position() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    let mut tenth = None;
    for number in 0..25 {
        let sequence = stream.put("shard-0", &event(number));
        if number == 9 {
            tenth = Some(sequence);
        }
    }
    // The first page comes; then everything goes wrong for a while.
    stream.fail(&[]);
    let failing = stream.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        failing.fail(&[
            ApiErrorKind::Throttled,
            ApiErrorKind::Unavailable,
            ApiErrorKind::IteratorExpired,
            ApiErrorKind::Unreachable,
        ]);
    });
    catch_up(&lake, &stream).await;
    assert_holds(&lake, 0..25).await;
    let tenth = tenth.expect("set above");
    assert_eq!(stream.iterators(), [ReadFrom::TrimHorizon, ReadFrom::After(tenth)]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_never_asked_more_than_five_times_a_second() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    for number in 0..300 {
        stream.put("shard-0", &event(number));
    }
    catch_up(&lake, &stream).await;
    let asked = stream.requests("shard-0");
    assert!(asked.len() >= 30);
    for six in asked.windows(6) {
        assert!(six[5] - six[0] >= Duration::from_secs(1), "six requests within a second");
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_retention_took_are_a_gap_that_is_told_and_recorded() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    stream.put("shard-0", &event(0));
    catch_up(&lake, &stream).await;
    stream.put("shard-0", &event(1));
    let late_ms = NOW_MS + RETENTION.as_millis() as i64 + 3_600_000;
    stream.set_now(late_ms);
    stream.put("shard-0", &event(2));
    let seen = Arc::new(Seen::default());
    let request = StreamRequest { clock: Arc::new(move || late_ms * 1000), ..request(&lake) };
    run_stream(request, Arc::new(stream), Arc::clone(&seen) as _).await.expect("it catches up");
    assert_holds(&lake, [0, 2]).await;
    assert!(seen.has("Gap"), "{:?}", seen.lines());
    let state = state(&lake).await;
    assert_eq!((state.gap_count, state.gaps.len()), (1, 1));
    assert_eq!(state.gaps[0].reason, GapReason::RetentionOutrun);
    assert_eq!(state.gaps[0].until_ms, Some(late_ms - RETENTION.as_millis() as i64));
    assert!(state.gaps[0].after_ms.is_some_and(|ms| ms >= NOW_MS && ms < late_ms));
}

/// A stream that was begun, and left alone before its first record was read.
#[tokio::test(start_paused = true)]
async fn records_that_retention_took_before_the_first_read_are_a_gap_as_well() {
    let retention_ms = RETENTION.as_millis() as i64;
    let hour_ago_ms = NOW_MS - 3_600_000;
    let starts = [
        (StartAt::Latest, NOW_MS),
        (StartAt::Timestamp(hour_ago_ms), hour_ago_ms),
        (StartAt::TrimHorizon, NOW_MS - retention_ms),
    ];
    for (start, after_ms) in starts {
        let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
        stream.fail(&[ApiErrorKind::Throttled; 20]);
        let cancel = CancelFlag::new();
        let first = StreamRequest {
            start,
            until_caught_up: false,
            cancel: cancel.clone(),
            ..request(&lake)
        };
        let stop = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(run(first, &stream), stop);
        ended.expect("a good end");
        assert_eq!(state(&lake).await.gap_count, 0, "{start:?}");

        let late_ms = NOW_MS + retention_ms + 7_200_000;
        stream.set_now(late_ms);
        stream.put("shard-0", &event(1));
        let second = StreamRequest { clock: Arc::new(move || late_ms * 1000), ..request(&lake) };
        run(second, &stream).await.expect("it catches up");
        assert_holds(&lake, [1]).await;
        let state = state(&lake).await;
        assert_eq!(state.gap_count, 1, "{start:?}");
        assert_eq!(state.gaps[0].until_ms, Some(late_ms - retention_ms), "{start:?}");
        let after_ms = after_ms..after_ms + 1000;
        assert!(after_ms.contains(&state.gaps[0].after_ms.expect("known")), "{state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_gone_before_it_was_read_is_a_gap_and_holds_up_nobody() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    stream.put("shard-0", &event(0));
    catch_up(&lake, &stream).await;
    stream.put("shard-0", &event(1));
    stream.split("shard-0", ["shard-1", "shard-2"]);
    stream.put("shard-1", &event(2));
    stream.forget("shard-0");
    catch_up(&lake, &stream).await;
    assert_holds(&lake, [0, 2]).await;
    let state = state(&lake).await;
    assert_eq!(state.gaps[0].reason, GapReason::ShardGone);
    assert_eq!(state.gaps[0].shard, "shard-0");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_rejected_once_for_each_record_and_blocks_nothing() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    let places = [
        stream.put("shard-0", b"garbage"),
        stream.put("shard-0", b"garbage"),
        stream.put("shard-0", &[0x1f, 0x8b, 1, 2, 3]),
        stream.put("shard-0", &[0xff, 0xfe, 0xfd]),
    ];
    stream.put("shard-0", &event(0));
    stream.put("shard-0", b"");
    let summary = catch_up(&lake, &stream).await;
    let report = summary.report;
    assert_eq!((report.records, report.events, report.rejected, report.ignored), (6, 1, 4, 1));
    let wanted = places.iter().map(|place| (place.to_string(), 1)).collect();
    assert_eq!(reject_places(&lake).await, wanted);

    // Read again, they are the same rejects.
    let again = StreamRequest { rewind: Some(Rewind::Timestamp(NOW_MS)), ..request(&lake) };
    let summary = run(again, &stream).await.expect("it catches up");
    assert_eq!((summary.report.records, summary.report.events), (6, 0));
    assert_eq!(summary.report.duplicates, 1);
    assert_eq!(reject_places(&lake).await, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_rewind_to_a_sequence_number_reads_its_shard_and_what_came_after_it_again() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    let mut sequences = Vec::new();
    for number in 0..10 {
        sequences.push(stream.put("shard-0", &event(number)));
    }
    stream.split("shard-0", ["shard-1", "shard-2"]);
    stream.put("shard-1", &event(10));
    catch_up(&lake, &stream).await;
    let rewind = |sequence: &SequenceNumber| StreamRequest {
        rewind: Some(Rewind::Sequence(sequence.clone())),
        ..request(&lake)
    };
    let summary = run(rewind(&sequences[7]), &stream).await.expect("it catches up");
    assert_eq!((summary.report.records, summary.report.duplicates), (4, 4));
    assert_holds(&lake, 0..11).await;

    let nowhere = SequenceNumber::parse("5").expect("digits");
    let error = run(rewind(&nowhere), &stream).await.expect_err("there is no such record");
    assert!(error.to_string().contains("no record on it has the sequence number 5"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_reads_the_same_as_polling_and_is_renewed() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    for number in 0..95 {
        stream.put("shard-0", &event(number));
    }
    stream.split("shard-0", ["shard-1", "shard-2"]);
    stream.put("shard-2", &event(95));
    let request = StreamRequest { fan_out: Some("hearback".to_owned()), ..request(&lake) };
    run(request, &stream).await.expect("it catches up");
    assert_holds(&lake, 0..96).await;
    let renewed =
        stream.iterators().iter().filter(|from| matches!(from, ReadFrom::After(_))).count();
    assert!(renewed >= 3, "{:?}", stream.iterators());
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_ends_without_its_subscription_saying_so_is_found_out() {
    for until_caught_up in [true, false] {
        let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
        stream.end_subscriptions_silently();
        for number in 0..15 {
            stream.put("shard-0", &event(number));
        }
        stream.split("shard-0", ["shard-1", "shard-2"]);
        stream.put("shard-2", &event(15));
        stream.split("shard-1", ["shard-3", "shard-4"]);
        stream.put("shard-4", &event(16));
        let cancel = CancelFlag::new();
        let request = StreamRequest {
            fan_out: Some("hearback".to_owned()),
            until_caught_up,
            cancel: cancel.clone(),
            ..request(&lake)
        };
        let stop = async {
            tokio::time::sleep(Duration::from_secs(120)).await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(run(request, &stream), stop);
        ended.expect("it catches up, or is stopped");
        assert_holds(&lake, 0..17).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_kinesis_refuses_for_good_ends_the_run_with_what_was_committed() {
    for (kind, words) in [
        (ApiErrorKind::CredentialsExpired, "CredentialsExpired"),
        (ApiErrorKind::KeyDenied, "KeyDenied"),
    ] {
        let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
        stream.put("shard-0", &event(0));
        catch_up(&lake, &stream).await;
        stream.fail(&[kind]);
        let error = run(request(&lake), &stream).await.expect_err("refused");
        assert!(matches!(&error, StreamError::Source { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert_holds(&lake, [0]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_created_again_is_another_stream() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    stream.put("shard-0", &event(0));
    catch_up(&lake, &stream).await;
    stream.recreate();
    let summary = catch_up(&lake, &stream).await;
    assert_eq!((summary.report.records, summary.report.duplicates), (1, 1));
    assert_eq!(lake.streams().await.expect("the streams").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_commits_what_is_in_hand_and_is_a_good_end_of_an_endless_run() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    for number in 0..5 {
        stream.put("shard-0", &event(number));
    }
    let cancel = CancelFlag::new();
    let request =
        StreamRequest { until_caught_up: false, cancel: cancel.clone(), ..request(&lake) };
    let running = tokio::spawn({
        let stream = stream.clone();
        async move { run(request, &stream).await }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stopped_at = tokio::time::Instant::now();
    cancel.cancel();
    let summary = running.await.expect("it ends").expect("a good end");
    assert!(stopped_at.elapsed() < Duration::from_secs(10));
    assert_eq!(summary.report.events, 5);
    assert_holds(&lake, 0..5).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_moves_its_position_in_time_for_retention() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    stream.put("shard-0", &event(0));
    let cancel = CancelFlag::new();
    let request =
        StreamRequest { until_caught_up: false, cancel: cancel.clone(), ..request(&lake) };
    let running = tokio::spawn(async move { run(request, &stream).await });
    tokio::time::sleep(Duration::from_secs(3 * 3600 + 60)).await;
    let read_through = state(&lake).await.shards["shard-0"].read_through_ms.expect("known");
    assert!(read_through >= NOW_MS + 3 * 3_600_000 - 300_000, "{}", read_through - NOW_MS);
    cancel.cancel();
    running.await.expect("it ends").expect("a good end");
}

/// Fails twice, then keeps.
#[derive(Debug, Default)]
struct Archive {
    calls: AtomicUsize,
    kept: AtomicUsize,
    rejected: AtomicUsize,
}

#[async_trait]
impl Safekeeping for Archive {
    async fn keep(
        &self,
        _: &str,
        records: &[Record],
        rejects: &[&Reject],
    ) -> Result<(), KeepError> {
        for reject in rejects {
            assert!(records.iter().any(|record| record.sequence.as_str() == reject.place));
        }
        if self.calls.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(KeepError("not now".to_owned()));
        }
        self.kept.fetch_add(records.len(), Ordering::SeqCst);
        Ok(())
    }

    async fn rejected(&self, _: &str, rejects: &[Reject]) -> Result<(), KeepError> {
        self.rejected.fetch_add(rejects.len(), Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_kept_safe_before_its_position_moves() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    for number in 0..5 {
        stream.put("shard-0", &event(number));
    }
    stream.put("shard-0", b"garbage");
    let archive = Arc::new(Archive::default());
    let request = StreamRequest { safekeeping: Some(Arc::clone(&archive) as _), ..request(&lake) };
    run(request, &stream).await.expect("it catches up");
    assert_eq!(archive.kept.load(Ordering::SeqCst), 6);
    assert_eq!(archive.rejected.load(Ordering::SeqCst), 1);
    assert_holds(&lake, 0..5).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_in_the_future_is_refused() {
    let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
    let request = StreamRequest { start: StartAt::Timestamp(NOW_MS + 3_600_000), ..request(&lake) };
    let error = run(request, &stream).await.expect_err("refused");
    assert!(matches!(error, StreamError::Usage(_)), "{error}");
    assert!(!lake.exists().await.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn aggregates_for_another_shard_are_dropped_unless_kinesis_distributes_by_itself() {
    for automatic in [false, true] {
        let (lake, stream) = (lake(), MemoryStream::new(NOW_MS));
        stream.put("shard-0", &event(0));
        stream.split("shard-0", ["shard-1", "shard-2"]);
        if automatic {
            stream.distribute_automatically();
        }
        // MD5("a") belongs to the lower half.
        let aggregate = aggregate("a", &[event(1), event(2)]);
        let right = stream.put("shard-1", &aggregate);
        stream.put("shard-2", &self::aggregate("a", &[event(3), event(4)]));
        let summary = catch_up(&lake, &stream).await;
        let wanted = if automatic { 0..5 } else { 0..3 };
        assert_eq!(summary.report.records, wanted.len() as u64);
        assert_holds(&lake, wanted).await;
        let places = column(&lake, &EVENTS, "source_sequence").await;
        assert!(places.contains(&format!("{right}:0")) && places.contains(&format!("{right}:1")));
    }
}

/// An aggregate as the Kinesis Producer Library makes it, all under one partition key.
fn aggregate(key: &str, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut user_records = Vec::new();
    for payload in payloads {
        user_records.push(UserRecord {
            partition_key: key.to_owned(),
            explicit_hash_key: None,
            data: payload.clone().into(),
        });
    }
    kpl::aggregate(&user_records)
}
