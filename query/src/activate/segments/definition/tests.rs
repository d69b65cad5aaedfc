use std::path::Path;
use std::time::Duration;

use super::{DestinationSpec, Schedule, Secret, Segment, Suppressed, segments_in_folder};
use crate::config::{Config, ConfigError, Given};

/// The segments of a configuration file with this text; errors as users see them.
fn load(text: &str) -> Result<Vec<Segment>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hearback.toml");
    std::fs::write(&path, text).expect("a file");
    let given = Given { file_flag: Some(path), ..Given::default() };
    let config = Config::load(&given).map_err(|error| shown(&error, folder.path()))?;
    Ok(config.segments().to_vec())
}

fn shown(error: &ConfigError, folder: &Path) -> String {
    let mut text = error.to_string().replace(&format!("{}/", folder.display()), "");
    if let ConfigError::UnknownKey { nearest, .. } = error {
        text.push_str(&format!(" (near {nearest})"));
    }
    text
}

const WHOLE: &str = r#"
lake = "here"

[[segments]]
name = "engaged-30d"
description = "Who clicked"
sql = "SELECT recipient AS address FROM recipients"
key = "address"
attributes = ["provider"]
schedule = "daily 06:30"
max_shrink = 0.5
max_growth = 2
max_adds = 100_000
max_lake_age = "12h"
topics = ["news"]
destinations = [
  { kind = "s3", uri = "s3://acme-mail/segments" },
  { kind = "customer-profiles", domain = "acme", object_type = "EmailEngagement" },
  { kind = "pinpoint", application = "APP_ID", region = "eu-west-1" },
  { kind = "ses-contact-list", list = "main", topic = "engaged" },
  { kind = "webhook", url = "https://example.com/in?token=s3cret", secret = { env = "HOOK" } },
]

[[segments]]
name = "complainers"
sql = "SELECT 1 AS user_id"
key = "user_id"
suppressed = "include"
"#;

#[test]
fn a_segment_is_read_with_all_it_says() {
    let segments = load(WHOLE).expect("segments");
    let first = &segments[0];
    assert_eq!(first.name, "engaged-30d");
    assert_eq!(
        first.schedule.as_ref().map(ToString::to_string).as_deref(),
        Some("daily at 06:30 UTC")
    );
    assert_eq!(first.guards.max_shrink, 0.5);
    assert_eq!(first.guards.max_growth, 2.0);
    assert_eq!(first.guards.max_adds, Some(100_000));
    assert_eq!(first.guards.max_lake_age, Duration::from_secs(43_200));
    assert_eq!(first.origin.line, 4);
    let places: Vec<String> = first.destinations.iter().map(DestinationSpec::identity).collect();
    assert_eq!(
        places,
        [
            "s3:s3://acme-mail/segments",
            "customer-profiles:acme/EmailEngagement",
            "pinpoint:eu-west-1/APP_ID",
            "ses-contact-list:main/engaged",
            "webhook:https://example.com/in",
        ],
        "a token in a URL is no part of a name"
    );
    let DestinationSpec::Webhook { secret, .. } = &first.destinations[4] else {
        panic!("a webhook")
    };
    assert_eq!(*secret, Secret::Env("HOOK".to_owned()));
    assert_eq!(segments[1].suppressed, Suppressed::Included);
    assert_eq!(segments[1].key, "user_id");
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_what_is_right() {
    let error = |text: &str| load(text).expect_err("an error");
    assert_eq!(
        error("[[segments]]\nname = \"a\"\nsqll = \"SELECT 1\"\n"),
        "hearback.toml:3: there is no key `segments.sqll` (near sql)"
    );
    assert_eq!(
        error("[[segments]]\nname = \"Big Spenders\"\nsql = \"SELECT 1\"\n"),
        "hearback.toml:2: `segments.name` must be 1 to 64 lower-case letters, digits, - and _, the first a letter or digit"
    );
    assert_eq!(
        error("[[segments]]\nname = \"a\"\n"),
        "hearback.toml:1: `segments.sql` must be a statement, or file the path of one"
    );
    let with = |destination: &str| {
        error(&format!(
            "[[segments]]\nname = \"a\"\nsql = \"SELECT 1\"\ndestinations = [\n  {destination},\n]\n"
        ))
    };
    assert_eq!(
        with("{ kind = \"s4\", uri = \"x\" }"),
        "hearback.toml:5: `destinations.kind` must be one of s3, customer-profiles, pinpoint, ses-contact-list, webhook (nearest: s3)"
    );
    assert_eq!(
        with("{ kind = \"pinpoint\", aplication = \"x\" }"),
        "hearback.toml:5: there is no key `destinations.aplication` (near application)"
    );
    assert_eq!(
        with("{ kind = \"webhook\", url = \"https://x.example\", secret = \"in the clear\" }"),
        "hearback.toml:5: `destinations.secret` must be { env = \"NAME\" } or { file = \"PATH\" }: secrets do not stand in the file"
    );
    assert_eq!(
        with(
            "{ kind = \"customer-profiles\", domain = \"d\", object_type = \"o\", expiry_days = 2000 }"
        ),
        "hearback.toml:5: `destinations.expiry_days` must be days from 1 to 1098"
    );
    assert_eq!(
        error(
            "[[segments]]\nname = \"a\"\nsql = \"SELECT 1\"\n\n[[segments]]\nname = \"a\"\nsql = \"SELECT 2\"\n"
        ),
        "hearback.toml:5: `segments.name` must be another name: hearback.toml:1 has this one"
    );
}

#[test]
fn a_file_is_a_segment_and_its_header_says_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let segments = folder.path().join("segments");
    std::fs::create_dir(&segments).expect("a folder");
    let text = "-- Who bought; a = b is no setting when it is prose with spaces.\n\
                -- key = \"user_id\"\n\
                -- destinations = [\n\
                --   { uri = \"out\" },\n\
                -- ]\n\
                SELECT 1 AS user_id -- max_shrink = 0.1\n";
    std::fs::write(segments.join("buyers.sql"), text).expect("a file");
    let found = segments_in_folder(&segments, folder.path(), &[]).expect("segments");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].key.as_str()), ("buyers", "user_id"));
    assert_eq!(found[0].guards.max_shrink, 0.3, "what follows the header is SQL");
    let out = folder.path().join("out").display().to_string();
    assert_eq!(found[0].destinations, [DestinationSpec::S3 { uri: out }]);

    std::fs::write(segments.join("bad.sql"), "-- fine\n-- kee = \"x\"\nSELECT 1").expect("a file");
    let error = segments_in_folder(&segments, folder.path(), &[]).expect_err("an error");
    assert_eq!(
        shown(&error, folder.path()),
        "segments/bad.sql:2: there is no key `segment.kee` (near key)"
    );
    assert!(
        segments_in_folder(&folder.path().join("nowhere"), folder.path(), &[])
            .expect("no folder is no error")
            .is_empty()
    );
}

#[test]
fn a_schedule_knows_when_it_is_due_next() {
    let at = |text: &str| text.parse::<jiff::Timestamp>().expect("an instant");
    let hourly = Schedule::parse("1h").expect("a schedule");
    let daily = Schedule::parse("daily 06:00").expect("a schedule");
    let now = at("2026-11-23T12:00:00Z");
    assert_eq!(hourly.next(None, now), now);
    assert_eq!(hourly.next(Some(at("2026-11-23T11:30:00Z")), now), at("2026-11-23T12:30:00Z"));
    assert_eq!(daily.next(Some(at("2026-11-23T05:59:00Z")), now), at("2026-11-23T06:00:00Z"));
    assert_eq!(daily.next(Some(at("2026-11-23T06:00:00Z")), now), at("2026-11-24T06:00:00Z"));
    let weekdays = Schedule::parse("0 5 * * 1-5").expect("a schedule");
    // 2026-11-27 is a Friday.
    assert_eq!(weekdays.next(Some(at("2026-11-27T04:59:00Z")), now), at("2026-11-27T05:00:00Z"));
    assert_eq!(weekdays.next(Some(at("2026-11-27T05:00:00Z")), now), at("2026-11-30T05:00:00Z"));
    assert_eq!(weekdays.to_string(), "cron 0 5 * * 1-5 UTC");
    for wrong in ["soon", "30s", "daily", "daily 25:00", "", "0 25 * * *", "0 5 * *"] {
        assert_eq!(Schedule::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn every_ready_segment_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    for ready in crate::activate::segments::library::LIBRARY {
        std::fs::write(folder.path().join(format!("{}.sql", ready.name)), ready.text)
            .expect("a file");
        assert!(!ready.description().is_empty(), "{}", ready.name);
    }
    let found = segments_in_folder(folder.path(), folder.path(), &[]).expect("segments");
    assert_eq!(found.len(), crate::activate::segments::library::LIBRARY.len());
}
