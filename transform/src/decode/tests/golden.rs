//! The golden payloads of `schemas/golden`, and what becomes of them, as text to be read.
//!
//! `UPDATE_GOLDEN=1 cargo test` writes what is expected anew; read the difference before committing.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{decode, decode_bytes, facts, options};
use crate::oracle::compare::{self, compare};
use crate::oracle::judge;
use crate::oracle::mutate::{Dice, mutate};

fn payloads() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    assert!(paths.len() > 50);
    paths
}

/// What becomes of a payload, one column a line.
fn outcome(text: &str) -> String {
    let decoded = decode(text);
    let counts = decoded.counts;
    let mut out = format!(
        "{} accepted, {} ignored, {} rejected\n",
        counts.accepted, counts.ignored, counts.rejected
    );
    for reject in &decoded.rejects {
        writeln!(out, "rejected at {}: {}", reject.place, reject.reason).unwrap();
    }
    for row in compare::rows(&decoded) {
        out.push('\n');
        for (column, value) in &row {
            writeln!(out, "{column} {value}").unwrap();
        }
    }
    out
}

#[test]
fn golden_payloads_become_the_rows_written_down_for_them() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = Vec::new();
    for path in payloads() {
        let given = outcome(&fs::read_to_string(&path).unwrap());
        let expected = path.with_extension("rows");
        if update {
            fs::write(&expected, &given).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != given {
            different.push(format!("{}:\n{given}", path.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn both_decoders_agree_on_golden_payloads() {
    for path in payloads() {
        let text = fs::read_to_string(&path).unwrap();
        compare(text.as_bytes(), &options()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let name = path.file_name().unwrap().to_string_lossy();
        // Of arrays, of what is compressed and of text messages the oracle has no opinion.
        let silent = name.starts_with("envelope-array")
            || name == "envelope-cloudwatch-logs-lambda.json"
            || name == "messaging-text-delivered.json";
        assert_eq!(judge(&text, &options()).is_none(), silent, "{name}");
    }
}

#[test]
fn one_event_gives_the_same_row_through_every_envelope() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden");
    let plain = facts(&decode(&fs::read_to_string(folder.join("ses-delivery.json")).unwrap()));
    let mut envelopes = 0;
    for path in payloads() {
        if path.file_name().unwrap().to_string_lossy().starts_with("envelope-") {
            let wrapped = facts(&decode(&fs::read_to_string(&path).unwrap()));
            assert_eq!(wrapped, plain, "{path:?}");
            envelopes += 1;
        }
    }
    assert!(envelopes >= 12);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 3000, ..Default::default() })]

    #[test]
    fn both_decoders_agree_on_what_golden_payloads_turn_into(which: usize, seed: u64) {
        let paths = payloads();
        let path = &paths[which % paths.len()];
        let text = fs::read_to_string(path).unwrap();
        let bytes = mutate(&text, &mut Dice::new(seed));
        let compared = compare(&bytes, &options());
        proptest::prop_assert!(
            compared.is_ok(),
            "{:?}: {:?}\n{}", path.file_name(), compared, String::from_utf8_lossy(&bytes)
        );
    }

    #[test]
    fn good_documents_around_damaged_ones_are_all_read(which: usize, seed: u64) {
        let paths = payloads();
        let damaged = &paths[which % paths.len()];
        let mut bytes = Vec::new();
        let good = super::bounce().to_string();
        for i in 0..3 {
            bytes.extend_from_slice(good.as_bytes());
            bytes.push(b'\n');
            let text = fs::read_to_string(damaged).unwrap();
            // On one line: what is cut off can be completed by no line after it.
            let line = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
            let cut = (seed as usize).wrapping_mul(i + 1) % line.len();
            bytes.extend_from_slice(&line.as_bytes()[..cut]);
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(good.as_bytes());
        let decoded = decode_bytes(&bytes);
        let ids: Vec<_> =
            decoded.partitions.iter().flat_map(|partition| &partition.event_ids).collect();
        let wanted = decode(&good).partitions[0].event_ids[0];
        proptest::prop_assert_eq!(ids.iter().filter(|id| ***id == wanted).count(), 4);
    }
}
