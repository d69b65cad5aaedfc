//! The grammar: PostgreSQL's, and the short forms of DuckDB and Snowflake.

use super::{TestLake, bounce, send};

async fn lake() -> TestLake {
    let bounced =
        bounce("m2", "b@example.com", ("Permanent", "General"), "5.1.1", "smtp; 550 unknown");
    TestLake::of(&[send("m1", "a@example.com"), bounced]).await
}

#[tokio::test]
async fn columns_can_be_left_out_of_all_or_replaced() {
    let lake = lake().await;
    let engine = lake.engine().await;
    let all = engine.plan("SELECT * FROM events").await.expect("a plan").schema();
    for sql in [
        "SELECT * EXCLUDE (tags, extra) FROM events",
        "SELECT * EXCEPT (tags, extra) FROM events",
        "SELECT e.* EXCLUDE (tags, extra) FROM events AS e",
    ] {
        let schema = engine.plan(sql).await.expect(sql).schema();
        assert_eq!(schema.fields().len(), all.fields().len() - 2, "{sql}");
        assert!(schema.field_with_name("extra").is_err(), "{sql}");
    }
    let one = engine.plan("SELECT * EXCLUDE tags FROM events").await.expect("a plan").schema();
    assert_eq!(one.fields().len(), all.fields().len() - 1);
    let replaced = "SELECT r.recipient FROM (SELECT * REPLACE (upper(recipient) AS recipient) FROM events) r ORDER BY 1";
    assert_eq!(lake.ask(replaced).await, ["A@EXAMPLE.COM", "B@EXAMPLE.COM"]);
}

#[tokio::test]
async fn short_forms_stand_for_their_long_ones() {
    let lake = lake().await;
    let long =
        lake.ask("SELECT event_type, count(*) AS n FROM events GROUP BY 1 ORDER BY 1, 2").await;
    assert_eq!(long, ["bounce,1", "send,1"]);
    for short in [
        "SELECT event_type, count(*) AS n FROM events GROUP BY ALL ORDER BY ALL",
        "SELECT event_type, count(*) AS n, FROM events GROUP BY event_type, ORDER BY 1,",
        "FROM events SELECT event_type, count(*) AS n GROUP BY 1 ORDER BY ALL ASC",
        "SELECT * FROM (FROM events SELECT event_type, count(*) AS n GROUP BY ALL) ORDER BY 1",
        "WITH e AS (FROM events) SELECT event_type, count(*) FROM e GROUP BY ALL ORDER BY ALL",
    ] {
        assert_eq!(lake.ask(short).await, long, "{short}");
    }
    let down = "SELECT event_type, count(*) FROM events GROUP BY ALL ORDER BY ALL DESC";
    assert_eq!(lake.ask(down).await, ["send,1", "bounce,1"]);
    assert_eq!(lake.ask("FROM events").await, lake.ask("SELECT * FROM events").await);
}

#[tokio::test]
async fn what_postgres_reads_is_read_as_before() {
    let lake = lake().await;
    let bounces = "SELECT count(*) FROM events WHERE extra->'bounce'->>'feedbackId' = 'm2-b@example.com-General'";
    assert_eq!(lake.ask(bounces).await, ["1"]);
    let minus = "SELECT recipient FROM events EXCEPT SELECT recipient FROM events WHERE event_type = 'send'";
    assert_eq!(lake.ask(minus).await, ["b@example.com"]);
    let words = r#"SELECT count(*), left(min(recipient), 1), right('xyz', 1) AS "end", 'a' || 'b' FROM events"#;
    assert_eq!(lake.ask(words).await, ["2,a,z,ab"]);
    let casts =
        "SELECT '7'::INT + 1, E'a\\tb' = 'a' || chr(9) || 'b', 5 BETWEEN 1 AND 9 AND NOT FALSE";
    assert_eq!(lake.ask(casts).await, ["8,true,true"]);
}

#[tokio::test]
async fn describe_names_types_as_the_schema_does() {
    let lake = TestLake::of(&[send("m1", "reader@example.com")]).await;
    let described = lake.ask("DESCRIBE events").await;
    let wanted = hearback_schemas::EVENTS.columns.iter().map(|column| {
        let nullable = if column.required { "NO" } else { "YES" };
        let kind = column.kind.sql();
        let kind = if kind.contains(',') { format!("\"{kind}\"") } else { kind.to_owned() };
        format!("{},{kind},{nullable}", column.name)
    });
    assert_eq!(described, wanted.collect::<Vec<_>>());
    assert!(lake.ask("DESCRIBE messages").await.contains(&"sent_time,timestamp,YES".to_owned()));
}
