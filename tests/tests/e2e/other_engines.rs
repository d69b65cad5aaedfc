//! Other engines work on the tables while hearback reads into them: Python's `deltalake` deletes,
//! compacts, vacuums and changes the table, and every event is there once.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hearback_tests::{FakeCloud, Hearback, Outcome, python};

use crate::stream::{PATIENCE, TWICE, assert_once, eventually};
use crate::traffic::{events_as_such, ses_lines};

/// What is left when all opens were deleted.
const DELETED: &str = "event_type = 'open'";

/// Lets the other engine do something with `events`.
fn engine(hearback: &Hearback, arguments: &[&str]) -> Outcome {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/other_engine.py");
    let output = Command::new(python()).arg(script).arg(hearback.lake()).args(arguments).output();
    let output = output.expect("python starts");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[track_caller]
fn done(outcome: &Outcome) {
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

/// A lake that holds these events, and no opens.
fn reference(events: &[String]) -> Hearback {
    let reference = Hearback::new();
    let source = reference.file("events.json", events.join("\n"));
    reference.ingest(&[&source]);
    done(&engine(&reference, &["delete", DELETED]));
    reference
}

#[test]
fn files_are_read_while_another_engine_deletes_compacts_vacuums_and_sums_up() {
    let hearback = Hearback::new();
    hearback.file("hearback.toml", "[ingest]\nflush_rows = 400\n");
    let events = ses_lines(&hearback, 3000, 71);
    for (number, events) in events.chunks(events.len() / 60).enumerate() {
        hearback.file(&format!("in/{number:03}.json"), events.join("\n"));
    }
    let first = hearback.folder().join("in/000.json");
    hearback.ingest(&[&first]);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for _ in 0..3 {
                done(&engine(&hearback, &["busy"]));
            }
        });
        // Over and over, so that there is always somebody reading; what was read is not read again.
        while !busy.is_finished() {
            let source = hearback.folder().join("in");
            hearback.ingest(&[&source]);
            let again = hearback.file("again/events.json", events.join("\n"));
            hearback.ingest(&[&again]);
            std::fs::remove_file(again).expect("it is there");
        }
        busy.join().expect("the other engine is done");
    });
    done(&engine(&hearback, &["delete", DELETED]));
    assert_once(&hearback);
    assert!(events_as_such(&hearback) == events_as_such(&reference(&events)), "the rows differ");
}

#[test]
fn a_stream_is_read_while_another_engine_deletes_compacts_vacuums_and_sums_up() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    let hearback = Hearback::with(cloud.environment());
    hearback.file("hearback.toml", "[ingest]\nflush_interval = \"1s\"\nflush_rows = 300\n");
    let events = ses_lines(&hearback, 1500, 72);
    let reading = hearback.start(&["ingest", &stream.source()]);
    let (first, rest) = events.split_at(events.len() / 4);
    stream.put_texts(first);
    assert!(eventually(|| hearback.exists()), "{}", reading.said());
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            done(&engine(&hearback, &["busy"]));
            done(&engine(&hearback, &["add_column", "mine"]));
            done(&engine(&hearback, &["busy"]));
        });
        for events in rest.chunks(rest.len() / 20) {
            stream.put_texts(events);
            std::thread::sleep(Duration::from_millis(200));
        }
        busy.join().expect("the other engine is done");
    });
    // Everything once more, by another way.
    stream.put_texts(&events);
    let outcome = || {
        assert_eq!(reading.wait(Duration::ZERO), None, "{}", reading.said());
        let lag = hearback.query("SELECT max(records_behind) AS n, min(records) AS r FROM lag");
        lag[0]["n"] == 0
    };
    assert!(eventually(outcome), "{}", reading.said());
    assert_eq!(reading.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    let rest = ["ingest", &stream.source(), "--until-caught-up"];
    done(&hearback.run(rest));
    done(&engine(&hearback, &["delete", DELETED]));
    assert_once(&hearback);
    assert!(events_as_such(&hearback) == events_as_such(&reference(&events)), "the rows differ");
}

/// The Delta library lets two OPTIMIZEs at once both commit, and rows are there twice: nothing that
/// hearback does, but it says so, and says how to get out of it.
#[test]
fn two_optimizes_of_another_engine_at_once_are_noticed_and_can_be_repaired() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 1);
    let hearback = Hearback::with(cloud.environment());
    hearback.file("hearback.toml", "[ingest]\nflush_interval = \"1s\"\nflush_rows = 300\n");
    let events = ses_lines(&hearback, 400, 73);
    let source = reference_without_deletion(&events);
    let expected = source.number("SELECT count(*) FROM events");
    let (first, rest) = events.split_at(events.len() / 6 * 3);
    let reading = hearback.start(&["ingest", &stream.source()]);
    let caught_up = |events: &[String]| {
        let expected = reference_without_deletion(events).number("SELECT count(*) FROM events");
        let count = || hearback.number("SELECT count(DISTINCT event_id) FROM events");
        assert!(eventually(|| hearback.exists() && count() == expected), "{}", reading.said());
    };
    // Several files in each partition, so that there is something to compact.
    for end in [first.len() / 3, first.len() * 2 / 3, first.len()] {
        stream.put_texts(&first[end - first.len() / 3..end]);
        caught_up(&first[..end]);
    }
    let twice = engine(&hearback, &["optimize_twice"]);
    done(&twice);
    assert_ne!(hearback.query(TWICE), Vec::<serde_json::Value>::new(), "the library was repaired");
    stream.put_texts(rest);
    assert!(eventually(|| reading.said().contains("there twice")), "{}", reading.said());
    caught_up(&events);
    assert_eq!(reading.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));

    // As it says: back to before, and read again what came since.
    let before: u64 = twice.stdout.trim().parse().expect("a version");
    assert!(reading.said().contains(&format!("to version {}", before + 1)), "{}", reading.said());
    done(&engine(&hearback, &["restore", &(before + 1).to_string()]));
    let rewind = ["--until-caught-up", "--rewind", "2020-01-01T00:00:00Z"];
    done(&hearback.run(["ingest", &stream.source()].into_iter().chain(rewind)));
    assert_once(&hearback);
    assert_eq!(hearback.number("SELECT count(*) FROM events"), expected);
    assert!(events_as_such(&hearback) == events_as_such(&source), "the rows differ");
}

fn reference_without_deletion(events: &[String]) -> Hearback {
    let reference = Hearback::new();
    let source = reference.file("events.json", events.join("\n"));
    reference.ingest(&[&source]);
    reference
}

#[test]
fn a_table_that_another_engine_has_upgraded_is_read_and_not_written() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 1);
    let hearback = Hearback::with(cloud.environment());
    hearback.file("hearback.toml", "[ingest]\nflush_interval = \"1s\"\n");
    let events = ses_lines(&hearback, 50, 74);
    let (first, second) = events.split_at(events.len() / 2);
    let reading = hearback.start(&["ingest", &stream.source()]);
    stream.put_texts(first);
    let rows = || hearback.number("SELECT count(*) FROM events");
    assert!(eventually(|| hearback.exists() && rows() > 0), "{}", reading.said());
    done(&engine(&hearback, &["constrain"]));
    stream.put_texts(second);
    assert_eq!(reading.wait(PATIENCE), Some(1), "{}", reading.said());
    let more = hearback.file("more.json", second.join("\n"));
    let files = hearback.run(["ingest", more.to_str().expect("UTF-8")]);
    assert_eq!(files.code, 1, "{files:?}");
    for said in [&reading.said(), &files.stderr] {
        assert!(said.contains("writer version 3") && said.contains("restore"), "{said}");
        assert!(said.lines().count() <= 6, "{said}");
    }
    assert!(rows() > 0);
}
