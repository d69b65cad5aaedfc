//! When rows are chosen before their other columns are decoded; which changes no answer.

use super::{TestLake, answer, bounce, complaint, delivery, send};

async fn lake() -> TestLake {
    TestLake::of(&[
        send("m1", "a@example.com"),
        delivery("m1", "a@example.com", "2026-11-01T10:00:02.000Z"),
        send("m2", "b@example.com"),
        bounce("m2", "b@example.com", ("Permanent", "General"), "5.1.1", "user unknown"),
        send("m3", "c@example.com"),
        complaint("m3", "c@example.com", Some("abuse"), None),
    ])
    .await
}

/// Whether the scan itself drops the rows that the condition drops.
async fn chooses_first(lake: &TestLake, condition: &str) -> bool {
    let sql = format!("EXPLAIN SELECT recipient FROM events WHERE {condition}");
    let plan = answer(&lake.engine().await, &sql).await.expect("a plan").join("\n");
    assert!(plan.contains("DataSourceExec"), "{plan}");
    !plan.contains("FilterExec")
}

#[tokio::test]
async fn rows_of_rare_types_are_chosen_first() {
    let lake = lake().await;
    for (condition, recipients) in [
        ("event_type = 'bounce'", &["b@example.com"][..]),
        ("'complaint' = event_type", &["c@example.com"]),
        ("event_type IN ('bounce', 'complaint')", &["b@example.com", "c@example.com"]),
        (
            "event_type IN ('bounce', 'complaint', 'reject', 'delivery_delay', 'unknown')",
            &["b@example.com", "c@example.com"],
        ),
        ("event_type = 'bounce' AND bounce_type = 'Permanent'", &["b@example.com"]),
    ] {
        assert!(chooses_first(&lake, condition).await, "{condition}");
        let sql = format!("SELECT recipient FROM events WHERE {condition} ORDER BY 1");
        assert_eq!(lake.ask(&sql).await, recipients, "{condition}");
    }
}

#[tokio::test]
async fn for_common_types_a_few_columns_are_decoded_whole() {
    let lake = lake().await;
    for (condition, recipients) in [
        ("event_type = 'delivery'", &["a@example.com"][..]),
        ("event_type IN ('delivery', 'bounce')", &["a@example.com", "b@example.com"]),
        ("event_type NOT IN ('bounce', 'send')", &["a@example.com", "c@example.com"]),
        ("event_type <> 'send' AND event_type <> 'bounce'", &["a@example.com", "c@example.com"]),
        (
            "event_type = 'bounce' OR recipient = 'c@example.com' AND event_type <> 'send'",
            &["b@example.com", "c@example.com"],
        ),
    ] {
        assert!(!chooses_first(&lake, condition).await, "{condition}");
        let sql = format!("SELECT recipient FROM events WHERE {condition} ORDER BY 1");
        assert_eq!(lake.ask(&sql).await, recipients, "{condition}");
    }
}

#[tokio::test]
async fn look_ups_ask_the_bloom_filters() {
    let lake = lake().await;
    // Between the smallest and the largest recipient, so that statistics do not tell.
    for sql in [
        "SELECT message_id FROM events WHERE recipient = 'b2@example.com'",
        "SELECT message_id FROM events JOIN (VALUES ('b2@example.com'), ('b3@example.com')) AS r(who) ON recipient = who",
    ] {
        let plan = answer(&lake.engine().await, &format!("EXPLAIN ANALYZE {sql}")).await;
        let plan = plan.expect("a plan").join("\n");
        assert!(plan.contains("row_groups_pruned_bloom_filter=1 total → 0 matched"), "{plan}");
    }
}
