//! A query never writes, and a statement that cannot run says why.

use super::{SETTINGS, TestLake, answer, send};
use crate::engine::{Engine, EngineError};

async fn refused(sql: &str) -> String {
    let lake = TestLake::of(&[send("m1", "reader@example.com")]).await;
    match answer(&lake.engine().await, sql).await {
        Err(error @ (EngineError::Refused { .. } | EngineError::Statement { .. })) => {
            format!("{error} ({})", error.hint().unwrap_or_default())
        }
        other => panic!("{sql}: {other:?}"),
    }
}

#[tokio::test]
async fn nothing_but_questions_is_run() {
    for sql in [
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM events",
        "UPDATE events SET recipient = NULL",
        "DROP TABLE events",
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY events TO '/tmp/never.parquet'",
        "SELECT * INTO x FROM events",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO events SELECT * FROM events",
        "BEGIN",
        "SELECT 1; SELECT 2",
        "",
    ] {
        refused(sql).await;
    }
}

#[tokio::test]
async fn an_error_names_the_place_and_the_nearest_name() {
    assert_eq!(
        refused("SELECT count(*), recipeint FROM events GROUP BY 2").await,
        "line 1, column 18: there is no column recipeint (did you mean recipient?)"
    );
    assert_eq!(
        refused("SELECT *\nFROM mesages").await,
        "line 2, column 6: there is no table mesages (did you mean messages?)"
    );
    let unfinished = refused("SELECT 1 +").await;
    assert!(unfinished.contains("expression"), "{unfinished}");
}

#[tokio::test]
async fn a_lake_that_is_not_there_is_said_to_be_missing() {
    let error = Engine::open("/nowhere/lake", SETTINGS).await.expect_err("no lake");
    assert!(matches!(error, EngineError::MissingLake { .. }), "{error:?}");
}

#[tokio::test]
async fn a_table_that_nobody_wrote_yet_is_empty() {
    let lake = TestLake::of(&[send("m1", "reader@example.com")]).await;
    assert_eq!(lake.ask("SELECT count(*) FROM rejects").await, ["0"]);
    assert_eq!(lake.ask("SELECT raw, reason FROM rejects").await, Vec::<String>::new());
}

#[tokio::test]
async fn maps_lists_and_json_can_be_reached_into() {
    let lake = TestLake::of(&[super::complaint("m1", "reader@example.com", None, None)]).await;
    assert_eq!(
        lake.ask(
            "SELECT tags['campaign'][1], tags['nothing'], extra->'complaint'->>'feedbackId' = 'x' \
             FROM events WHERE extra->'complaint'->>'feedbackId' = 'm1-reader@example.com-complaint'"
        )
        .await,
        ["november,,false"]
    );
}
