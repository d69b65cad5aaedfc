//! Files that cannot hold an answer are not opened.

use serde_json::Value;

use super::{TestLake, answer, delivery, send};

/// A lake of one file for each of the first days of November, and one of the undated.
async fn lake_of_days() -> TestLake {
    let mut documents: Vec<Value> = Vec::new();
    for day in 1..=5 {
        let at = format!("2026-11-{day:02}T10:00:02.000Z");
        documents.push(delivery(&format!("m{day}"), "reader@example.com", &at));
    }
    documents.push(delivery("m9", "reader@example.com", "9999-01-01T00:00:00.000Z"));
    TestLake::of(&documents).await
}

/// The number of files that a statement scans.
async fn files(lake: &TestLake, sql: &str) -> usize {
    let plan = answer(&lake.engine().await, &format!("EXPLAIN {sql}")).await.expect("a plan");
    plan.join("\n").matches(".parquet").count()
}

#[tokio::test]
async fn a_day_opens_the_files_of_that_day() {
    let lake = lake_of_days().await;
    assert_eq!(files(&lake, "SELECT recipient FROM events").await, 6);
    assert_eq!(
        files(&lake, "SELECT recipient FROM events WHERE event_date = '2026-11-02'").await,
        1
    );
    assert_eq!(
        files(
            &lake,
            "SELECT recipient FROM events WHERE event_date BETWEEN '2026-11-02' AND '2026-11-03'"
        )
        .await,
        2
    );
    assert_eq!(
        files(&lake, "SELECT recipient FROM events WHERE event_date = '2025-01-01'").await,
        0
    );
}

#[tokio::test]
async fn a_time_opens_the_files_that_may_hold_it() {
    let lake = lake_of_days().await;
    let sql = "SELECT recipient FROM events WHERE event_time >= '2026-11-04T00:00:00Z'";
    assert_eq!(files(&lake, sql).await, 3);
    assert_eq!(lake.ask(sql).await.len(), 3);
}

#[tokio::test]
async fn a_partition_filter_answers_exactly() {
    let lake = lake_of_days().await;
    assert_eq!(
        lake.ask("SELECT count(*), min(message_id) FROM events WHERE event_date >= '2026-11-04'")
            .await,
        ["2,m4"]
    );
    assert_eq!(
        lake.ask("SELECT message_id FROM events WHERE event_date = '1970-01-01'").await,
        ["m9"]
    );
    assert_eq!(
        lake.ask("SELECT event_date, event_type, count(*) FROM events WHERE event_date < '2026-11-03' AND event_date > '1970-01-01' GROUP BY 1, 2 ORDER BY 1").await,
        ["2026-11-01,delivery,1", "2026-11-02,delivery,1"]
    );
}

#[tokio::test]
async fn a_statement_sees_what_was_committed_before_it() {
    let mut lake = TestLake::of(&[send("m1", "reader@example.com")]).await;
    let engine = lake.engine().await;
    assert_eq!(answer(&engine, "SELECT count(*) FROM events").await.expect("a count"), ["1"]);
    lake.add(&[send("m2", "reader@example.com")]).await;
    assert_eq!(answer(&engine, "SELECT count(*) FROM events").await.expect("a count"), ["2"]);
}
