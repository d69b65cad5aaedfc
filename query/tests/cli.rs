//! The program as users meet it: its help, its errors, and the answers of a small lake.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// One message, delivered and opened, and one line that is nothing.
const TRAFFIC: &str = r#"{"eventType":"Send","mail":{"timestamp":"2026-11-01T10:00:00.000Z","messageId":"m1","source":"news@example.com","sendingAccountId":"111122223333","destination":["reader@example.com"],"tags":{"campaign":["november"]}},"send":{}}
{"eventType":"Delivery","mail":{"timestamp":"2026-11-01T10:00:00.000Z","messageId":"m1","source":"news@example.com","sendingAccountId":"111122223333","destination":["reader@example.com"],"tags":{"campaign":["november"]}},"delivery":{"timestamp":"2026-11-01T10:00:01.500Z","processingTimeMillis":1500,"recipients":["reader@example.com"],"smtpResponse":"250 2.0.0 OK","reportingMTA":"a1-2.smtp-out.example.net"}}
this is not an event
"#;

/// A folder to run the program in, with no configuration but what a test puts there.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// A place with a lake that holds the traffic above.
    fn with_lake() -> Self {
        let place = Self::new();
        place.write("traffic.json", TRAFFIC);
        let output = place.run(&["ingest", "traffic.json", "--quiet"]);
        assert!(output.status.success(), "{}", shown(&output));
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("a file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearback"));
        command.current_dir(self.path()).args(arguments).stdin(Stdio::null());
        for name in ["HEARBACK_LAKE", "HEARBACK_CONFIG"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    fn shown(&self, arguments: &[&str]) -> String {
        shown(&self.run(arguments))
    }
}

/// What a user sees, with the exit code.
fn shown(output: &Output) -> String {
    format!(
        "exit {}\n{}{}",
        output.status.code().map_or("by signal".to_owned(), |code| code.to_string()),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", shown(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn help_of_every_command() {
    let place = Place::new();
    for command in [
        "",
        "ingest",
        "query",
        "report",
        "trace",
        "schema",
        "config",
        "simulate",
        "demo",
        "segments",
        "segments plan",
        "segments apply",
        "segments show",
        "segments new",
    ] {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let name = if command.is_empty() { "help".to_owned() } else { command.replace(' ', "_") };
        insta::assert_snapshot!(format!("help_{name}"), place.shown(&arguments));
    }
}

#[test]
fn errors_are_one_sentence_with_a_hint_and_a_code() {
    let place = Place::new();
    place.write("unknown.toml", "lake = \"x\"\n[ingest]\nflush_row = 5\n");
    place.write("bad.toml", "[ingest]\nflush_interval = \"soon\"\n");
    let cases: &[&[&str]] = &[
        &["query", "SELECT 1"],
        &["query", "-f", "nowhere.sql"],
        &["report", "delivrability"],
        &["report", "deliverability", "--by", "campain"],
        &["report", "deliverability", "--since", "yesterday"],
        &["schema", "evnts"],
        &["ingest", "nowhere.json"],
        &["ingest", "kinesis:stream"],
        &["--config", "nowhere.toml", "config", "show"],
        &["--config", "unknown.toml", "config", "show"],
        &["--config", "bad.toml", "config", "show"],
        &["simulate", "--envelope", "paper"],
        &["frobnicate"],
    ];
    let mut text = String::new();
    for case in cases {
        text.push_str(&format!("$ hearback {}\n{}\n", case.join(" "), place.shown(case)));
    }
    insta::assert_snapshot!("errors", text);
}

#[test]
fn errors_of_statements_name_place_and_remedy() {
    let place = Place::with_lake();
    let mut text = String::new();
    for sql in [
        "SELECT recipeint FROM events",
        "SELECT * FROM mesages",
        "SELEC 1",
        "SELECT 1; SELECT 2",
        "DELETE FROM events",
        "SELECT 1/0",
    ] {
        text.push_str(&format!("$ hearback query '{sql}'\n{}\n", place.shown(&["query", sql])));
    }
    insta::assert_snapshot!("statement_errors", text);
}

#[test]
fn the_configuration_shows_where_each_value_came_from() {
    let place = Place::new();
    place.write(
        "hearback.toml",
        "lake = \"from-file\"\n\n[ingest]\nthreads = 3\nflush_bytes = \"64 MiB\"\n[query]\nthreads = 4\nmemory_limit = \"2 GiB\"\n",
    );
    insta::assert_snapshot!("config_show", place.shown(&["config", "show"]));
    let mut command = place.command(&["config", "show", "--format", "json"]);
    let output = command.env("HEARBACK_LAKE", "from-environment").output().expect("it starts");
    let settings: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(settings[0]["value"], "from-environment");
    assert_eq!(settings[0]["from"], "environment HEARBACK_LAKE");
}

#[test]
fn an_ingest_reports_what_it_did_and_does_it_once() {
    let place = Place::new();
    place.write("traffic.json", TRAFFIC);
    let report = |output: &Output| -> serde_json::Value {
        serde_json::from_str(&stdout(output)).expect("one JSON document")
    };
    let first = report(&place.run(&["ingest", "traffic.json", "--format", "json"]));
    for (key, count) in
        [("records", 3), ("events", 2), ("duplicates", 0), ("rejected", 1), ("ignored", 0)]
    {
        assert_eq!(first[key], count, "{key} of {first}");
    }
    let again = report(&place.run(&["ingest", "traffic.json", "--format", "json"]));
    assert_eq!(again["events"], 0);
    assert_eq!(
        stdout(&place.run(&["query", "SELECT count(*) n FROM events", "--format", "csv"])),
        "n\n2\n"
    );

    place.write("copy.json", TRAFFIC);
    let strict = place.run(&["ingest", "copy.json", "--strict"]);
    assert_eq!(strict.status.code(), Some(1), "{}", shown(&strict));
}

#[test]
fn every_format_gives_the_same_rows() {
    let place = Place::with_lake();
    let ask = |format: &str| {
        let sql =
            "SELECT event_type, event_time, tags, processing_ms FROM events ORDER BY event_time";
        stdout(&place.run(&["query", sql, "--format", format]))
    };
    insta::assert_snapshot!("table", ask("table"));
    insta::assert_snapshot!("csv", ask("csv"));
    insta::assert_snapshot!("json", ask("json"));
    insta::assert_snapshot!("ndjson", ask("ndjson"));
    for (format, magic) in [("parquet", b"PAR1".as_slice()), ("arrow", b"ARROW1")] {
        let output = place.run(&["query", "SELECT * FROM events", "--format", format, "-o", "out"]);
        assert_eq!(stdout(&output), "");
        assert!(std::fs::read(place.path().join("out")).expect("a file").starts_with(magic));
    }
}

#[test]
fn a_statement_can_come_from_standard_input() {
    let place = Place::with_lake();
    let mut child = place
        .command(&["query", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(b"SELECT 1 + 1 AS two;").expect("written");
    assert_eq!(stdout(&child.wait_with_output().expect("it ends")), "two\n2\n");
}

#[test]
fn a_failed_statement_leaves_the_file_that_was_there() {
    let place = Place::with_lake();
    place.write("out.csv", "precious");
    let failed = place.run(&["query", "SELECT 1/0", "--format", "csv", "-o", "out.csv"]);
    assert_eq!(failed.status.code(), Some(1), "{}", shown(&failed));
    assert_eq!(std::fs::read_to_string(place.path().join("out.csv")).expect("a file"), "precious");
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let place = Place::with_lake();
    let mut child = place
        .command(&["query", "SELECT * FROM generate_series(1, 1000000)", "--format", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(shown(&output), "exit 0\n");
}

#[test]
fn a_report_states_numerators_and_denominators() {
    let place = Place::with_lake();
    insta::assert_snapshot!("report_list", place.shown(&["report"]));
    insta::assert_snapshot!("report_deliverability", place.shown(&["report", "deliverability"]));
    insta::assert_snapshot!("report_providers", place.shown(&["report", "providers"]));
    let json = stdout(&place.run(&["report", "complaints", "--format", "json"]));
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let rate = &report["figures"][1];
    assert_eq!(rate["metric"], "complaint rate");
    assert_eq!(rate["rate"], serde_json::Value::Null, "nothing known is not zero: {rate}");
}

#[test]
fn a_report_is_its_statement() {
    let place = Place::with_lake();
    let reports = stdout(&place.run(&["report", "--format", "json"]));
    let reports: serde_json::Value = serde_json::from_str(&reports).expect("JSON");
    for report in reports.as_array().expect("a list") {
        let name = report["name"].as_str().expect("a name");
        let sql = stdout(&place.run(&["report", name, "--since", "2026-10-01", "--sql"]));
        let rows = stdout(&place.run(&["query", &sql, "--format", "json"]));
        let rows: serde_json::Value = serde_json::from_str(&rows).expect("JSON");
        let figures =
            stdout(&place.run(&["report", name, "--since", "2026-10-01", "--format", "json"]));
        let figures: serde_json::Value = serde_json::from_str(&figures).expect("JSON");
        let counts = |list: &serde_json::Value| -> Vec<(serde_json::Value, serde_json::Value)> {
            let rows = list.as_array().expect("a list").iter();
            rows.map(|row| (row["metric"].clone(), row["numerator"].clone())).collect()
        };
        assert_eq!(counts(&rows), counts(&figures["figures"]), "{name}");
    }
}

#[test]
fn a_timeline_is_found_by_address_and_by_message() {
    let place = Place::with_lake();
    insta::assert_snapshot!(
        "trace_address",
        place.shown(&["trace", "Reader <READER@example.com>"])
    );
    let json = stdout(&place.run(&["trace", "m1", "--format", "json"]));
    let events: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(events[0]["event_type"], "send");
    assert_eq!(events[1]["event_type"], "delivery");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let place = Place::new();
    let bytes = |seed: &str| place.run(&["simulate", "--messages", "200", "--seed", seed]).stdout;
    assert_eq!(bytes("1"), bytes("1"));
    assert_ne!(bytes("1"), bytes("2"));
}

#[test]
fn every_total_of_the_demo_is_what_its_sql_counts() {
    let place = Place::new();
    let story = stdout(&place.run(&["demo", "--no-serve", "--messages", "500", "--quiet"]));
    let mut checked = 0;
    for line in story.lines() {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let &[figure, _, sql] = cells.as_slice() else { continue };
        if !sql.starts_with("SELECT ") {
            continue;
        }
        let sql = format!("SELECT count AS n FROM ({sql}) AS t(count)");
        let output = place.run(&["--lake", "hearback-demo", "query", &sql, "--format", "csv"]);
        assert_eq!(stdout(&output), format!("n\n{figure}\n"), "{sql}");
        checked += 1;
    }
    assert_eq!(checked, 4, "{story}");
}
