//! Compares the two decoders on golden payloads that went wrong, for as long as one likes.
//!
//! `cargo run --release -p hearback-transform --features oracle --example fuzz -- [--seconds 30]
//! [--seed 1]`. On a difference it writes the input to a file beside, prints its name and ends with
//! an error; the same seed finds it again.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hearback_transform::DecodeOptions;
use hearback_transform::oracle::compare::compare;
use hearback_transform::oracle::mutate::{Dice, mutate};

fn main() -> Result<(), Box<dyn Error>> {
    let mut seconds = 30;
    let mut seed = 1;
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value: u64 = args.next().ok_or("a value is missing")?.parse()?;
        match name.as_str() {
            "--seconds" => seconds = value,
            "--seed" => seed = value,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let mut payloads = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            payloads.push((path.clone(), fs::read_to_string(path)?));
        }
    }
    payloads.sort();
    let options = DecodeOptions {
        campaign_tags: vec!["campaign".into()],
        template_tags: vec!["template".into()],
        tenant_tags: vec!["ses:tenant-name".into()],
        link_parameters: vec!["utm_source".into()],
        // 2026-11-23T00:00:00Z
        read_time_us: 1_795_392_000_000_000,
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut tried = 0;
    while Instant::now() < end {
        let mut dice = Dice::new(seed);
        let (_, text) = &payloads[dice.below(payloads.len())];
        let mut bytes = mutate(text, &mut dice);
        // Sometimes several in one stream: of those the oracle has no opinion, but they must hold
        // the decoder's promises.
        while dice.below(4) == 0 {
            let (_, text) = &payloads[dice.below(payloads.len())];
            bytes.extend_from_slice(["", "\n", " ", ",\n"][dice.below(4)].as_bytes());
            bytes.extend_from_slice(&mutate(text, &mut dice));
        }
        if let Err(difference) = compare(&bytes, &options) {
            let name = format!("fuzz-{seed}.bin");
            fs::write(&name, &bytes)?;
            return Err(format!("seed {seed}: {difference}; the input is in {name}").into());
        }
        tried += 1;
        seed += 1;
    }
    println!("{tried} inputs, no difference; the next seed is {seed}");
    Ok(())
}
