//! The lake belongs to its owner: independent readers see the same rows.

use std::path::Path;
use std::process::Command;

use hearback_tests::{Hearback, python};

#[test]
fn deltalake_polars_and_duckdb_count_what_hearback_counts() {
    let hearback = Hearback::new();
    let source = hearback.folder().join("mixed");
    let path = source.to_str().expect("UTF-8");
    hearback.run(["simulate", "--messages", "1500", "--seed", "11", "-o", path]);
    hearback.ingest(&[&source]);
    let ours = hearback.run([
        "query",
        "SELECT event_type, count(*) AS n, count(recipient) AS named, min(event_time) AS first, \
         count(DISTINCT event_id) AS ids, max(event_id) AS last_id, \
         count(DISTINCT source_sequence) AS places FROM events GROUP BY event_type ORDER BY event_type",
        "--format",
        "json",
    ]);
    assert_eq!(ours.code, 0, "{ours:?}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/read_lake.py");
    let theirs = Command::new(python())
        .arg(script)
        .arg(hearback.lake())
        .arg(&ours.stdout)
        .output()
        .expect("python starts");
    assert!(
        theirs.status.success(),
        "{}{}",
        String::from_utf8_lossy(&theirs.stdout),
        String::from_utf8_lossy(&theirs.stderr)
    );
    for reader in ["deltalake", "polars", "duckdb"] {
        assert!(String::from_utf8_lossy(&theirs.stdout).contains(&format!("{reader} agrees")));
    }
}
