//! Prints how fast the simulator writes, on one thread, into nothing.
//!
//! `cargo run --release -p hearback-ingest --example simulate_throughput [MESSAGES]`

use std::time::Instant;

use hearback_ingest::simulate::{Envelope, Scenario, write};

fn main() -> std::io::Result<()> {
    let messages = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let ses_only = Scenario::ses_only(messages, 1);
    let report = |name: &str, scenario: &Scenario| -> std::io::Result<()> {
        let begun = Instant::now();
        let tally = write(scenario, &mut std::io::sink(), &mut |_| {})?;
        let seconds = begun.elapsed().as_secs_f64();
        let megabytes = tally.bytes as f64 / 1e6;
        println!(
            "{name:26} {:9} documents {megabytes:8.0} MB {:6.0} bytes each {:7.0} MB/s",
            tally.documents,
            tally.bytes as f64 / tally.documents.max(1) as f64,
            megabytes / seconds,
        );
        Ok(())
    };
    report("ses_only", &ses_only)?;
    for envelope in Envelope::ALL {
        let scenario = Scenario { messages, envelope, ..Scenario::default() };
        report(envelope.as_str(), &scenario)?;
    }
    Ok(())
}
