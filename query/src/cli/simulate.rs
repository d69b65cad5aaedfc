//! `hearback simulate`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use hearback_ingest::simulate::{self, Envelope, Scenario};

use super::{CliError, Session};

/// Write realistic feedback traffic, the same bytes for the same seed
///
/// A travel company mails sign-up confirmations, receipts and campaigns to people in Japan and in
/// the West; back come deliveries, greylisting, bounces for many causes, prefetches, scanners,
/// automatic answers, late complaints, repeats, disorder and some garbage.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback simulate --messages 100000 --seed 7 -o traffic.json
  hearback simulate --messages 1000 --envelope eventbridge | hearback ingest -")]
pub(super) struct SimulateArgs {
    /// Messages that are sent; each causes two to three events
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    messages: u64,
    /// Seed of everything random
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
    /// How documents are wrapped
    #[arg(long, value_name = "SHAPE", default_value = "mixed",
        value_parser = PossibleValuesParser::new(Envelope::ALL.map(Envelope::as_str)))]
    envelope: String,
    /// Only well-formed SES events, each once: what any JSON reader takes (for comparisons)
    #[arg(long, conflicts_with = "envelope")]
    plain: bool,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(session: &Session, args: &SimulateArgs) -> Result<(), CliError> {
    let scenario = if args.plain {
        Scenario::ses_only(args.messages, args.seed)
    } else {
        Scenario {
            messages: args.messages,
            seed: args.seed,
            // The parser accepts the names of envelopes only.
            envelope: Envelope::named(&args.envelope).unwrap_or_default(),
            ..Scenario::default()
        }
    };
    let tally = match &args.output {
        None => {
            let mut out = std::io::stdout().lock();
            simulate::write(&scenario, &mut out, &mut |_| {})?
        }
        Some(path) => {
            let unwritable = |error: std::io::Error| {
                CliError::failed(format!("cannot write {}", path.display())).because(error)
            };
            let file = File::create(path).map_err(|error| {
                CliError::usage(format!("cannot write {}", path.display())).because(error)
            })?;
            let mut out = BufWriter::new(file);
            let tally = simulate::write(&scenario, &mut out, &mut |_| {}).map_err(unwritable)?;
            out.flush().map_err(unwritable)?;
            tally
        }
    };
    if !session.quiet && std::io::stderr().is_terminal() {
        eprintln!("{} documents, {} bytes", tally.documents, tally.bytes);
    }
    Ok(())
}
