use std::path::PathBuf;

use super::{Config, Given, KEYS, Origin, parse_bytes, parse_duration};

/// Loads a file with this text.
fn load(text: &str, lake_flag: Option<&str>, environment: Option<&str>) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hearback.toml");
    std::fs::write(&path, text).expect("a file");
    let given = Given {
        lake_flag: lake_flag.map(str::to_owned),
        lake_environment: environment.map(str::to_owned),
        file_flag: Some(path.clone()),
        file_environment: None,
    };
    let folder = format!("{}/", folder.path().display());
    Config::load(&given).map_err(|error| {
        let mut text = error.to_string().replace(&folder, "");
        if let super::ConfigError::UnknownKey { nearest, .. } = &error {
            text.push_str(&format!(" (near {nearest})"));
        }
        text
    })
}

#[test]
fn a_flag_wins_over_the_environment_the_environment_over_the_file() {
    let file = "lake = \"from-file\"\n";
    let flag = load(file, Some("from-flag"), Some("from-environment")).expect("a configuration");
    assert_eq!(flag.lake(), "from-flag");
    assert_eq!(flag.entries()[0].origin, Origin::Flag("--lake"));
    let environment = load(file, None, Some("from-environment")).expect("a configuration");
    assert_eq!(environment.lake(), "from-environment");
    let plain = load(file, None, None).expect("a configuration");
    assert_eq!(plain.lake(), "from-file");
    assert!(matches!(plain.entries()[0].origin, Origin::File(_, 1)));
}

#[test]
fn sizes_and_times_are_written_for_people() {
    let config = load(
        "[ingest]\nflush_bytes = \"64 MiB\"\nflush_interval = \"2 min\"\n[tags]\ncampaign = [\"c\", \"utm_campaign\"]\n",
        None,
        None,
    )
    .expect("a configuration");
    assert_eq!(config.number("ingest.flush_bytes"), 64 << 20);
    assert_eq!(config.number("ingest.flush_interval"), 120_000);
    assert_eq!(config.list("tags.campaign"), ["c", "utm_campaign"]);
    assert_eq!(parse_bytes("1 GB"), Some(1_000_000_000));
    assert_eq!(parse_bytes("99999999999 GiB"), None);
    assert_eq!(parse_duration("3 days"), Some(259_200_000));
    assert_eq!(parse_duration("3"), None);
}

#[test]
fn a_key_that_does_not_exist_is_named_with_its_line_and_the_nearest_one() {
    let error = |text| load(text, None, None).expect_err("an error");
    assert_eq!(
        error("lake = \"x\"\n\n[ingest]\nflush_row = 7\n"),
        "hearback.toml:4: there is no key `ingest.flush_row` (near ingest.flush_rows)"
    );
    assert_eq!(error("laek = \"x\"\n"), "hearback.toml:1: there is no key `laek` (near lake)");
    assert_eq!(
        error("[tag]\ncampaign = [\"x\"]\n"),
        "hearback.toml:1: there is no key `tag` (near tags)"
    );
}

#[test]
fn a_value_of_the_wrong_shape_is_named_with_its_line_and_what_is_right() {
    let error = |text| load(text, None, None).expect_err("an error");
    assert_eq!(
        error("[ingest]\nflush_interval = 60\n"),
        "hearback.toml:2: `ingest.flush_interval` must be a length of time such as \"60s\" or \"3 days\", at least 100ms"
    );
    assert_eq!(
        error("[ingest]\nthreads = 0\n"),
        "hearback.toml:2: `ingest.threads` must be a whole number from 1 to 1024"
    );
    assert!(error("lake = \n").starts_with("hearback.toml:1: "));
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let given = Given { file_flag: Some(PathBuf::from("/nowhere/x.toml")), ..Given::default() };
    assert!(Config::load(&given).is_err());
}

#[test]
fn every_default_is_a_value_that_a_file_could_hold() {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            text.push_str(&format!("[{section}]\n"));
        }
        text.push_str(&format!("{} = {}\n", key.name, (key.default)().to_toml()));
    }
    let config = load(&text, None, None).expect("a configuration");
    for entry in config.entries() {
        assert_eq!(entry.setting, (entry.key.default)(), "{}", entry.key.path());
    }
}
