//! The demo tells a story whose every figure is a count in SQL.

use std::collections::HashMap;

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
        "12000",
        "--format",
        "json",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let document = outcome.json();
    let figures = document["figures"].as_array().cloned().unwrap_or_default();
    let mut values = HashMap::new();
    for figure in figures {
        let sql = figure["sql"].as_str().unwrap_or_else(|| panic!("no SQL in {figure}"));
        let rows = hearback.query(sql);
        let value = rows[0].as_object().and_then(|row| row.values().next()).cloned();
        assert_eq!(
            value.as_ref().map(Value::to_string),
            Some(figure["value"].to_string()),
            "{figure}"
        );
        let what = figure["what"].as_str().unwrap_or_default().to_owned();
        values.insert(what, figure["value"].as_u64().unwrap_or(0));
    }
    // The policy, the audience and their reasons are told, not only the report.
    for what in [
        "rows of feedback in the lake",
        "people whom the policy would keep from getting mail",
        "of these by the rule invalid-recipient",
        "of these by the rule complaint",
        "people whom its SQL finds",
        "left out: unsubscribed",
        "members, in the files",
    ] {
        assert!(values.get(what).is_some_and(|value| *value > 0), "{what}: {values:?}");
    }
    let samples = document["suppression"]["samples"].as_array().map_or(0, Vec::len);
    assert!(samples >= 4, "{document}");
    the_files_hold(&hearback, values["members, in the files"]);
}

/// The newest files of the audience hold so many members, none of whom complained.
fn the_files_hold(hearback: &Hearback, members: u64) {
    let folder = hearback.folder().join("lake-segments/never-opened-humanly");
    let read = |path| std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}"));
    let current: Value =
        serde_json::from_str(&read(folder.join("current.json"))).expect("a pointer");
    let newest = folder.join(current["folder"].as_str().expect("a folder"));
    let csv = read(newest.join("members.csv"));
    let addresses: Vec<&str> =
        csv.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(addresses.len() as u64, members);
    let rows =
        hearback.query("SELECT DISTINCT recipient FROM messages WHERE complained_time IS NOT NULL");
    for row in rows {
        let complained = row["recipient"].as_str().unwrap_or_default();
        assert!(!addresses.contains(&complained), "{complained} complained");
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
    let story = |text: &str| -> Vec<String> {
        // But for what this very run read and wrote.
        text.lines().filter(|line| !line.contains("his run")).map(str::to_owned).collect()
    };
    assert!(story(&first.stdout).len() > 30, "{first:?}");
    assert_eq!(story(&first.stdout), story(&second.stdout));
    assert!(second.stdout.contains("added 0, changed 0, removed 0 and kept"), "{second:?}");
    let written = hearback.folder().join("hearback-demo-segments/never-opened-humanly");
    let sets = std::fs::read_dir(written).expect("the audience").flatten();
    let sets = sets.filter(|entry| entry.path().is_dir()).count();
    assert_eq!(sets, 1, "an audience that is unchanged is not written again");
}

#[test]
fn the_demo_asks_nobody_on_the_network() {
    // Any request of the AWS SDK would go to a port that nobody listens at, and fail.
    let hearback = Hearback::with(vec![
        ("AWS_ENDPOINT_URL".to_owned(), "http://127.0.0.1:9".to_owned()),
        ("AWS_ACCESS_KEY_ID".to_owned(), String::new()),
        ("HTTPS_PROXY".to_owned(), "http://127.0.0.1:9".to_owned()),
        ("HTTP_PROXY".to_owned(), "http://127.0.0.1:9".to_owned()),
    ]);
    let outcome = hearback.run(["demo", "--no-serve", "--messages", "300", "--quiet"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.stderr, "", "nothing to warn of");
}
