//! `hearback simulate`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use hearback_ingest::simulate::{self, Envelope, Records, Scenario, Tally};
use hearback_ingest::stream::{StreamName, StreamWriter};

use super::stream::unwritable;
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
  hearback simulate --messages 1000 --envelope eventbridge | hearback ingest -
  hearback simulate --messages 1000 -o kinesis:ses-events")]
pub(super) struct SimulateArgs {
    /// Messages that are sent; each causes two to three events
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    messages: u64,
    /// Seed of everything random
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
    /// How documents are wrapped [default: mixed; to a stream: eventbridge]
    #[arg(long, value_name = "SHAPE",
        value_parser = PossibleValuesParser::new(Envelope::ALL.map(Envelope::as_str)))]
    envelope: Option<String>,
    /// Only well-formed SES events, each once: what any JSON reader takes (for comparisons)
    #[arg(long, conflicts_with = "envelope")]
    plain: bool,
    /// Write to a file, or put records into a Kinesis stream (kinesis:NAME, kinesis:ARN), instead of
    /// standard output
    #[arg(short, long, value_name = "FILE|STREAM")]
    output: Option<PathBuf>,
}

/// Where the traffic goes.
enum Output<'a> {
    Standard,
    File(&'a Path),
    Stream(StreamName),
}

impl SimulateArgs {
    fn output(&self) -> Result<Output<'_>, CliError> {
        let Some(path) = &self.output else { return Ok(Output::Standard) };
        let Some(stream) = path.to_str().and_then(|text| text.strip_prefix("kinesis:")) else {
            return Ok(Output::File(path));
        };
        StreamName::parse(stream).map(Output::Stream).map_err(|reason| {
            CliError::usage(format!("{} is no stream", path.display())).because(reason)
        })
    }

    fn scenario(&self, output: &Output<'_>) -> Scenario {
        if self.plain {
            return Scenario::ses_only(self.messages, self.seed);
        }
        let usual = match output {
            Output::Stream(_) => Envelope::EventBridge,
            Output::Standard | Output::File(_) => Envelope::Mixed,
        };
        // The parser accepts the names of envelopes only.
        let envelope = self.envelope.as_deref().and_then(Envelope::named).unwrap_or(usual);
        Scenario { messages: self.messages, seed: self.seed, envelope, ..Scenario::default() }
    }
}

pub(super) async fn run(session: &Session, args: &SimulateArgs) -> Result<(), CliError> {
    let output = args.output()?;
    let scenario = args.scenario(&output);
    let tally = match &output {
        Output::Standard => {
            let mut out = std::io::stdout().lock();
            simulate::write(&scenario, &mut out, &mut |_| {})?
        }
        Output::File(path) => to_file(&scenario, path)?,
        Output::Stream(stream) => to_stream(&scenario, stream).await?,
    };
    if !session.quiet && std::io::stderr().is_terminal() {
        eprintln!("{} documents, {} bytes", tally.documents, tally.bytes);
    }
    Ok(())
}

fn to_file(scenario: &Scenario, path: &Path) -> Result<Tally, CliError> {
    let sentence = || format!("cannot write {}", path.display());
    let file = File::create(path).map_err(|error| CliError::usage(sentence()).because(error))?;
    let mut out = BufWriter::new(file);
    let written = simulate::write(scenario, &mut out, &mut |_| {});
    let tally = written.map_err(|error| CliError::failed(sentence()).because(error))?;
    out.flush().map_err(|error| CliError::failed(sentence()).because(error))?;
    Ok(tally)
}

async fn to_stream(scenario: &Scenario, stream: &StreamName) -> Result<Tally, CliError> {
    let mut writer = StreamWriter::open(stream, scenario.seed).await;
    let mut records = Records::new(scenario);
    for record in records.by_ref() {
        let put = writer.put(record.partition_key, record.data).await;
        put.map_err(|error| unwritable(stream, &error))?;
    }
    writer.flush().await.map_err(|error| unwritable(stream, &error))?;
    Ok(records.into_tally())
}
