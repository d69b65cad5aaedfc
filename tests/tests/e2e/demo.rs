//! The demo tells a story whose every figure is a count in SQL.

use hearback_tests::Hearback;
use serde_json::Value;

#[test]
fn every_figure_of_the_demo_is_what_its_sql_says() {
    let hearback = Hearback::new();
    let outcome = hearback.run([
        "--lake",
        hearback.lake(),
        "demo",
        "--no-serve",
        "--messages",
        "5000",
        "--format",
        "json",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let figures = outcome.json()["figures"].as_array().cloned().unwrap_or_default();
    assert!(figures.len() >= 8, "{outcome:?}");
    for figure in figures {
        let sql = figure["sql"].as_str().unwrap_or_else(|| panic!("no SQL in {figure}"));
        let rows = hearback.query(sql);
        let value = rows[0].as_object().and_then(|row| row.values().next()).cloned();
        assert_eq!(
            value.as_ref().map(Value::to_string),
            Some(figure["value"].to_string()),
            "{figure}"
        );
    }
}

#[test]
fn the_demo_can_be_run_twice_and_prints_the_same_story() {
    let hearback = Hearback::new();
    let first = hearback.run(["demo", "--no-serve", "--messages", "1000"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(hearback.folder().join("hearback-demo/events").exists(), "a lake of its own");
    assert!(!hearback.folder().join("lake").exists(), "the lake of HEARBACK_LAKE is left alone");
    let second = hearback.run(["demo", "--no-serve", "--messages", "1000"]);
    assert_eq!(second.code, 0, "{second:?}");
    let figures = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains('%')).map(str::to_owned).collect()
    };
    assert!(!figures(&first.stdout).is_empty(), "{first:?}");
    assert_eq!(figures(&first.stdout), figures(&second.stdout));
}
