//! Instants, lengths of time and zones, as analysts ask for them.

use super::{TestLake, delivery, send};

async fn lake() -> TestLake {
    TestLake::of(&[
        send("m1", "a@example.com"),
        delivery("m1", "a@example.com", "2026-11-01T10:00:03.591Z"),
        delivery("m1", "b@example.com", "2026-11-02T12:30:45.250Z"),
    ])
    .await
}

#[tokio::test]
async fn seconds_between_two_events_keep_their_fraction() {
    let lake = lake().await;
    // 2^31 nanoseconds are 2.1 seconds: beyond that the fraction was lost.
    for sql in [
        "SELECT extract(epoch FROM event_time - sent_time) FROM events WHERE event_type = 'delivery' ORDER BY 1",
        "SELECT date_part('epoch', event_time - sent_time) FROM events WHERE event_type = 'delivery' ORDER BY 1",
        "SELECT extract('epoch' FROM event_time - sent_time) FROM events WHERE event_type = 'delivery' ORDER BY 1",
    ] {
        assert_eq!(lake.ask(sql).await, ["3.591", "95445.25"], "{sql}");
    }
    let parts = "SELECT extract(day FROM d), extract(hour FROM d), extract(minute FROM d), extract(second FROM d), \
                 extract(milliseconds FROM d), extract(microseconds FROM d) FROM (SELECT max(event_time - sent_time) AS d FROM events)";
    assert_eq!(lake.ask(parts).await, ["1,2,30,45,45250,45250000"]);
    let none =
        "SELECT extract(epoch FROM event_time - NULLIF(sent_time, sent_time)) FROM events LIMIT 1";
    assert_eq!(lake.ask(none).await, [""]);
    // What is no length of time is none of this.
    let instants = "SELECT extract(epoch FROM max(event_time)), extract(hour FROM max(event_time)) FROM events";
    assert_eq!(lake.ask(instants).await, ["1793622645.25,12"]);
    let pruned = "SELECT count(*) FROM events WHERE extract(year FROM event_time) = 2026";
    assert_eq!(lake.ask(pruned).await, ["3"]);
}

#[tokio::test]
async fn the_day_in_tokyo_is_shown_as_in_tokyo() {
    let lake = lake().await;
    let sql = "SELECT t AT TIME ZONE 'Asia/Tokyo' AS a, \
               date_trunc('day', t AT TIME ZONE 'Asia/Tokyo') AS b, \
               (t AT TIME ZONE 'Asia/Tokyo')::date AS c, \
               extract(hour FROM t AT TIME ZONE 'Asia/Tokyo') AS d, \
               t AT TIME ZONE '-03:30' AS e, \
               t AT TIME ZONE 'UTC' AS f FROM (SELECT max(event_time) AS t FROM events)";
    assert_eq!(
        lake.ask(sql).await,
        [
            "2026-11-02T21:30:45.250+09:00,2026-11-02T00:00:00+09:00,2026-11-02,21,2026-11-02T09:00:45.250-03:30,2026-11-02T12:30:45.250Z"
        ]
    );
    // A time on a wall somewhere is no instant, and has no Z.
    assert_eq!(lake.ask("SELECT TIMESTAMP '2026-11-01 10:00:00'").await, ["2026-11-01T10:00:00"]);
}

#[tokio::test]
async fn now_is_when_the_statement_was_asked() {
    let lake = lake().await;
    let engine = lake.engine().await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let asked = super::answer(
            &engine,
            "SELECT CAST(now() AS varchar), now() = now() FROM events LIMIT 1",
        );
        told.extend(asked.await.expect("a time"));
    }
    assert!(told[0] < told[1], "{told:?}");
    assert!(told[0].as_str() > "2026" && told[0].ends_with(",true"), "{told:?}");
}
