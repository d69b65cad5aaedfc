//! What people type who come from Athena, BigQuery, DuckDB and Snowflake.

use super::{EngineError, TestLake, answer, bounce, delivery, send};

async fn lake() -> TestLake {
    let bounced =
        bounce("m2", "b@example.com", ("Permanent", "General"), "5.1.1", "smtp; 550 unknown");
    TestLake::of(&[
        send("m1", "a@example.com"),
        delivery("m1", "a@example.com", "2026-11-01T10:00:03.591Z"),
        send("m2", "b@example.com"),
        bounced,
    ])
    .await
}

#[tokio::test]
async fn a_foreign_name_gives_what_it_gives_at_home() {
    let lake = lake().await;
    for (sql, rows) in [
        ("SELECT count_if(event_type = 'send'), countif(event_type = 'open') FROM events", "2,0"),
        (
            "SELECT count_if(event_type = 'send') FILTER (WHERE recipient LIKE 'a%') FROM events",
            "1",
        ),
        ("SELECT if(1 < 2, 'yes', 'no'), iff(false, 1, 2), if(false, 1) IS NULL", "yes,2,true"),
        (
            "SELECT year(max(event_time)), month(max(event_time)), minute(max(event_time)) FROM events",
            "2026,11,5",
        ),
        (
            "SELECT list(event_type ORDER BY event_time DESC) FROM events WHERE recipient LIKE 'a%'",
            "\"[\"\"delivery\"\",\"\"send\"\"]\"",
        ),
        ("SELECT approx_count_distinct(recipient) FROM events", "2"),
        ("SELECT approx_percentile(x, 0.5) FROM (VALUES (1.0), (2.0), (9.0)) AS t(x)", "2"),
        (
            "SELECT max_by(event_type, event_time), min_by(bounce_type, event_time) IS NULL FROM events",
            "bounce,true",
        ),
        (
            "SELECT arg_max(event_type, event_time) FILTER (WHERE recipient LIKE 'a%') FROM events",
            "delivery",
        ),
        (
            "SELECT regexp_extract('user@example.com', '@(.+)\\.', 1), regexp_extract('a12b', '[0-9]+')",
            "example,12",
        ),
        ("SELECT regexp_extract('abc', '[0-9]+') IS NULL, regexp_matches('abc', 'b')", "true,true"),
        ("SELECT strftime(min(event_time), '%Y/%m') FROM events", "2026/11"),
        (
            "SELECT to_char(max(event_time), 'YYYY-MM-DD HH24:MI'), to_char(max(event_time), '%d') FROM events",
            "2026-11-01 10:05,01",
        ),
        (
            "SELECT time_bucket(INTERVAL '5 minutes', max(event_time)) FROM events",
            "2026-11-01T10:05:00Z",
        ),
        (
            "SELECT listagg(event_type, '+') WITHIN GROUP (ORDER BY event_time DESC) FROM events WHERE recipient LIKE 'a%'",
            "delivery+send",
        ),
    ] {
        assert_eq!(lake.ask(sql).await, [rows], "{sql}");
    }
}

#[tokio::test]
async fn fields_of_json_are_read_by_path_too() {
    let lake = lake().await;
    let arrow = "SELECT extra->'bounce'->>'feedbackId' FROM events WHERE event_type = 'bounce'";
    let wanted = lake.ask(arrow).await;
    assert_eq!(wanted, ["m2-b@example.com-General"]);
    for function in ["json_extract_scalar", "json_extract_string", "json_value"] {
        for path in ["$.bounce.feedbackId", "$[\"bounce\"].feedbackId", "$.bounce[''feedbackId'']"]
        {
            let sql = format!(
                "SELECT {function}(extra, '{path}') FROM events WHERE event_type = 'bounce'"
            );
            assert_eq!(lake.ask(&sql).await, wanted, "{sql}");
        }
    }
    let count = "SELECT count(*) FROM events WHERE json_extract(extra, '$.bounce') IS NOT NULL";
    assert_eq!(lake.ask(count).await, ["1"]);
}

#[tokio::test]
async fn a_sample_is_a_sample() {
    let lake = lake().await;
    // A statement that was read and not done gave all rows.
    let many = "WITH many AS (SELECT e.event_id FROM events e, generate_series(1, 2500)) ";
    for (sample, low, high) in [
        ("TABLESAMPLE BERNOULLI (10)", 800, 1_200),
        ("TABLESAMPLE (10 PERCENT)", 800, 1_200),
        ("AS m TABLESAMPLE SYSTEM (100)", 10_000, 10_000),
    ] {
        let counted = lake.ask(&format!("{many} SELECT count(*) FROM many {sample}")).await;
        let counted: u64 = counted[0].parse().expect("a number");
        assert!((low..=high).contains(&counted), "{sample}: {counted}");
    }
    let some = lake.ask("SELECT events.event_type FROM events TABLESAMPLE (3 ROWS)").await;
    assert_eq!(some.len(), 3);
}

#[tokio::test]
async fn a_sample_of_messages_has_whole_messages() {
    let mut documents = Vec::new();
    for number in 0..400 {
        let (message, recipient) = (format!("m{number}"), format!("r{number}@example.com"));
        documents.push(send(&message, &recipient));
        documents.push(delivery(&message, &recipient, "2026-11-01T10:00:03.591Z"));
    }
    let lake = TestLake::of(&documents).await;
    for sample in [
        "messages WHERE random() < 0.5",
        "messages WHERE random() < 0.5 AND recipient IS NOT NULL",
        "messages TABLESAMPLE (50)",
        "(SELECT message_id, send_seen, delivered_time FROM messages) WHERE random() < 0.5",
    ] {
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE send_seen AND delivered_time IS NOT NULL) FROM {sample}"
        );
        let counted = lake.ask(&sql).await;
        let (all, whole) = counted[0].split_once(',').expect("two numbers");
        assert_eq!(all, whole, "{sample}");
        let all: u64 = all.parse().expect("a number");
        // Ten standard deviations.
        assert!((100..=300).contains(&all), "{sample}: {all}");
    }
}

#[tokio::test]
async fn rows_without_a_partner_are_found_by_an_anti_join() {
    let lake = lake().await;
    let sql = "SELECT message_id FROM (SELECT * FROM events WHERE event_type = 'send') s \
               ANTI JOIN (SELECT * FROM events WHERE event_type = 'delivery') d USING (message_id)";
    assert_eq!(lake.ask(sql).await, ["m2"]);
}

#[tokio::test]
async fn what_cannot_be_done_names_what_can() {
    let lake = lake().await;
    let engine = lake.engine().await;
    for (sql, message, hint) in [
        (
            "SELECT datediff('second', sent_time, event_time) FROM events",
            "line 1, column 8: there is no function datediff",
            "extract(epoch FROM later - earlier)",
        ),
        (
            "SELECT dateadd('day', 1, event_time) FROM events",
            "there is no function dateadd",
            "INTERVAL '1 day'",
        ),
        (
            "SELECT json_value(extra, recipient) FROM events",
            "there is no function json_value",
            "->>'feedbackId'",
        ),
        (
            "SELECT aprox_distinct(recipient) FROM events",
            "there is no function aprox_distinct",
            "did you mean approx_distinct?",
        ),
        (
            "SELECT * FROM events PIVOT (count(*) FOR event_type IN ('send'))",
            "PIVOT is not done",
            "FILTER (WHERE",
        ),
        ("SELECT count(*) FROM events TABLESAMPLE (10) REPEATABLE (1)", "of samples", "random()"),
        (
            "SELECT extra:bounce.feedbackId FROM events",
            "line 1, column 13",
            "extra->'bounce'->>'feedbackId'",
        ),
        (
            "SELECT t.k FROM events CROSS JOIN UNNEST(map_keys(tags)) AS t(k)",
            "cannot be joined",
            "SELECT unnest(",
        ),
    ] {
        let error = answer(&engine, sql).await.expect_err(sql);
        assert!(matches!(error, EngineError::Statement { .. }), "{sql}: {error:?}");
        assert!(error.to_string().contains(message), "{sql}: {error}");
        assert!(error.hint().is_some_and(|said| said.contains(hint)), "{sql}: {:?}", error.hint());
    }
    let error = answer(&engine, "SELECT nosuchthing(1)").await.expect_err("no such function");
    assert_eq!(
        (error.to_string().as_str(), error.hint()),
        ("line 1, column 8: there is no function nosuchthing", None)
    );
}
