//! Sources and lakes on S3, against a server that is not ours.

use hearback_tests::{Hearback, S3Server};

use crate::traffic::{events_as_such, ses_lines};

#[test]
fn objects_under_a_prefix_are_read_once_into_a_lake_on_s3() {
    let server = S3Server::start("acme-mail");
    let local = Hearback::new();
    let events = ses_lines(&local, 500, 31);
    let half = events.len() / 2;
    let first = local.file("a.json", events[..half].join("\n"));
    let second = local.file("b.json", events[half..].join("\n"));
    local.ingest(&[&first, &second]);
    server.boto(&format!(
        "s3.upload_file({first:?}, 'acme-mail', 'firehose/2026/09/01/00/feedback-1')\n\
         s3.upload_file({second:?}, 'acme-mail', 'firehose/2026/09/01/01/feedback-2')\n\
         s3.put_object(Bucket='acme-mail', Key='elsewhere/other', Body=b'not to be read')"
    ));

    let remote = Hearback::on("s3://acme-mail/lake", server.environment());
    let arguments = ["ingest", "s3://acme-mail/firehose/", "--format", "json"];
    let outcome = remote.run(arguments);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let report = outcome.json();
    assert_eq!(report["rejected"], 0, "{report}");
    assert!(
        events_as_such(&remote) == events_as_such(&local),
        "the lake on S3 differs from the lake on disk"
    );

    let again = remote.run(arguments).json();
    assert_eq!((&again["records"], &again["bytes"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn a_key_with_two_slashes_is_named_and_hides_no_other_object() {
    let server = S3Server::start("acme-mail");
    let remote = Hearback::on("s3://acme-mail/lake", server.environment());
    let events = ses_lines(&remote, 20, 31);
    let keys = [
        "firehose/a b+c%20&d=\u{e9}.json",
        "firehose//2026/a.json",
        "firehose/1",
        "firehose/\u{65e5}\u{672c}",
    ];
    for (key, event) in keys.iter().zip(&events) {
        let path = remote.file("event.json", event);
        server.boto(&format!("s3.upload_file({path:?}, 'acme-mail', {key:?})"));
    }
    for _ in 0..2 {
        let outcome = remote.run(["ingest", "s3://acme-mail/firehose/", "--format", "json"]);
        assert_eq!(outcome.code, 4, "{outcome:?}");
        let named =
            "s3://acme-mail/firehose//2026/a.json: cannot be read: its key has an empty segment";
        assert!(outcome.stderr.contains(named), "{outcome:?}");
    }
    let rows =
        remote.run(["query", "SELECT count(DISTINCT source_name) FROM events", "--format", "csv"]);
    assert_eq!(rows.stdout.lines().last(), Some("3"), "{rows:?}");
}

#[test]
fn a_bucket_that_is_not_there_is_one_clear_sentence() {
    let server = S3Server::start("acme-mail");
    let remote = Hearback::on("s3://no-such-bucket/lake", server.environment());
    let outcome = remote.run(["ingest", "s3://no-such-bucket/firehose/"]);
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains("no-such-bucket"), "{outcome:?}");
    assert!(!outcome.stderr.contains("testing"), "a credential is in the message: {outcome:?}");
}
