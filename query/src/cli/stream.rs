//! `hearback ingest kinesis:…`: what the command line says of a stream, and what is said of its failures.

mod shown;

use std::sync::Arc;

use clap::Args;
use hearback_ingest::lake::{Lake, SequenceNumber};
use hearback_ingest::stream::{
    ApiError, ApiErrorKind, DecodeOn, Kinesis, ProcessIdentity, Rewind, StartAt, StreamError,
    StreamName, StreamObserver, StreamRequest, run_stream,
};
use hearback_ingest::{CancelFlag, IngestSummary};
use jiff::Timestamp;

use self::shown::Shown;
use super::archive::{NoArchive, archive};
use super::ingest::{Unfinished, settings, write_settings};
use super::{CliError, Session, now};
use crate::ops::logs::LogFormat;
use crate::ops::{LoggedStream, Vitals, WatchedStream};

/// Options for streams alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for kinesis:…")]
pub(super) struct StreamArgs {
    /// Where to begin on a stream that was never read: trim-horizon (the oldest record), latest, or a
    /// time such as 2026-11-01T00:00:00Z [default: trim-horizon]
    #[arg(long, value_name = "WHERE")]
    from: Option<String>,
    /// End when everything that is on the stream has been read
    #[arg(long)]
    until_caught_up: bool,
    /// Go back first: to a time (all shards), or to a record's sequence number (its shard, and what came
    /// after it). What is there already is not added again
    #[arg(long, value_name = "TIMESTAMP|SEQUENCE")]
    rewind: Option<String>,
    /// Be pushed the records, as the registered consumer NAME (enhanced fan-out); it is registered if
    /// need be
    #[arg(long, value_name = "NAME")]
    fan_out: Option<String>,
}

impl StreamArgs {
    /// Refuses options that say something of a stream where there is none.
    pub(super) fn refuse_without_stream(&self) -> Result<(), CliError> {
        let given = [
            ("--from", self.from.is_some()),
            ("--until-caught-up", self.until_caught_up),
            ("--rewind", self.rewind.is_some()),
            ("--fan-out", self.fan_out.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => Err(CliError::usage(format!("{option} is for streams alone"))
                .hint("a stream is named kinesis:NAME")),
        }
    }

    fn start(&self) -> Result<StartAt, CliError> {
        match self.from.as_deref() {
            None | Some("trim-horizon") => Ok(StartAt::TrimHorizon),
            Some("latest") => Ok(StartAt::Latest),
            Some(text) => time(text).map(StartAt::Timestamp).ok_or_else(|| {
                CliError::usage(format!("--from {text} is not a place to begin"))
                    .hint("trim-horizon, latest, or a time with its offset: 2026-11-01T00:00:00Z")
            }),
        }
    }

    fn rewind(&self) -> Result<Option<Rewind>, CliError> {
        let Some(text) = self.rewind.as_deref() else { return Ok(None) };
        if let Some(ms) = time(text) {
            return Ok(Some(Rewind::Timestamp(ms)));
        }
        // As in the column source_sequence, where a place within a record may follow.
        let number = text.split(':').next().unwrap_or_default();
        match SequenceNumber::parse(number) {
            Some(sequence) => Ok(Some(Rewind::Sequence(sequence))),
            None => Err(CliError::usage(format!("--rewind {text} is not a place to go back to"))
                .hint(
                    "a time with its offset (2026-11-01T00:00:00Z), or a sequence number as in the column source_sequence",
                )),
        }
    }
}

fn time(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Reads a stream until the stop, or its tip.
pub(super) async fn run(
    session: &Session,
    name: &StreamName,
    args: &StreamArgs,
    vitals: Arc<Vitals>,
    cancel: CancelFlag,
) -> Result<IngestSummary, Unfinished> {
    let unbegun = |error: CliError| Unfinished { summary: None, error };
    let mut request = request(session, args, cancel).await.map_err(unbegun)?;
    let kinesis = Arc::new(Kinesis::open(name).await);
    let archive = archive(&session.config, &request.lake, kinesis.as_ref()).await;
    request.safekeeping = archive.map_err(|error| match error {
        NoArchive::Configuration(error) => unbegun(error),
        NoArchive::Stream(source) => unbegun(refused(name, &source)),
    })?;
    let shown = Arc::new(Shown::new(session.quiet, session.log_format, name, args.from.is_some()));
    let watched = WatchedStream {
        shown: match session.log_format {
            LogFormat::Text => Arc::clone(&shown) as Arc<dyn StreamObserver>,
            LogFormat::Json => Arc::new(LoggedStream::new(name.to_string())),
        },
        vitals,
        stream: name.to_string(),
        clock: Arc::clone(&request.clock),
    };
    let ended = run_stream(request, kinesis, Arc::new(watched)).await;
    shown.close();
    ended.map_err(|error| Unfinished {
        summary: error.summary().cloned(),
        error: failure(name, &error),
    })
}

async fn request(
    session: &Session,
    args: &StreamArgs,
    cancel: CancelFlag,
) -> Result<StreamRequest, CliError> {
    let (start, rewind) = (args.start()?, args.rewind()?);
    let config = &session.config;
    let lake = Lake::open_or_create(config.lake())
        .await
        .map_err(|error| CliError::usage("the lake cannot be opened").because(error.to_string()))?;
    let threads = usize::try_from(config.number("ingest.threads")).unwrap_or(1);
    let clock = Arc::new(|| now().as_microsecond());
    Ok(StreamRequest {
        settings: settings(config),
        write: write_settings(config),
        start,
        rewind,
        until_caught_up: args.until_caught_up,
        fan_out: args.fan_out.clone(),
        decode_on: DecodeOn::Threads(threads),
        cancel,
        process: ProcessIdentity::of_this_process(),
        ..StreamRequest::new(lake, clock, uuid::Uuid::new_v4())
    })
}

/// Turns the failure of a run into what is said about it.
fn failure(name: &StreamName, error: &StreamError) -> CliError {
    match error {
        StreamError::Usage(sentence) => CliError::usage(sentence),
        StreamError::Refused { source, .. } => refused(name, source),
        StreamError::Source { source, .. } => {
            let sentence = match source.kind {
                ApiErrorKind::NotFound => format!("kinesis:{name} was deleted: {source}"),
                _ => format!("kinesis:{name} cannot be read any further: {source}"),
            };
            hint(CliError::failed(sentence), source)
        }
        StreamError::Recreated { .. } => CliError::failed(error.to_string()),
        StreamError::Lake { source, .. } => {
            CliError::failed("the lake did not take what was read").because(source.to_string())
        }
        StreamError::Interrupted(_) => CliError::partial(error.to_string()),
    }
}

fn refused(name: &StreamName, source: &ApiError) -> CliError {
    cannot("read", name, source)
}

/// A stream that does not take simulated traffic.
pub(super) fn unwritable(name: &StreamName, source: &ApiError) -> CliError {
    cannot("written to", name, source)
}

fn cannot(what: &str, name: &StreamName, source: &ApiError) -> CliError {
    let sentence = format!("kinesis:{name} cannot be {what}: {source}");
    match source.kind {
        ApiErrorKind::NotFound | ApiErrorKind::UnknownHost | ApiErrorKind::Invalid => {
            hint(CliError::usage(sentence), source)
        }
        _ => hint(CliError::failed(sentence), source),
    }
}

fn hint(error: CliError, source: &ApiError) -> CliError {
    match source.kind {
        ApiErrorKind::NotFound => {
            error.hint("check the name, the Region (AWS_REGION) and the account (AWS_PROFILE)")
        }
        ApiErrorKind::UnknownHost => error.hint("check AWS_REGION; a Region looks like eu-west-1"),
        ApiErrorKind::CredentialsExpired => {
            error.hint("renew them (aws sso login), or let a role supply them, and run this again")
        }
        ApiErrorKind::CredentialsRefused => {
            error.hint("check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        }
        ApiErrorKind::AccessDenied | ApiErrorKind::KeyDenied => {
            error.hint("docs/kinesis.md lists the permissions that reading needs")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(from: Option<&str>, rewind: Option<&str>) -> StreamArgs {
        StreamArgs {
            from: from.map(str::to_owned),
            until_caught_up: false,
            rewind: rewind.map(str::to_owned),
            fan_out: None,
        }
    }

    #[test]
    fn places_to_begin_are_read() {
        let start = |text| args(Some(text), None).start();
        assert_eq!(start("latest").expect("a place"), StartAt::Latest);
        assert_eq!(start("trim-horizon").expect("a place"), StartAt::TrimHorizon);
        let time = start("2026-11-01T01:00:00+01:00").expect("a time");
        assert_eq!(time, StartAt::Timestamp(1_793_491_200_000));
        start("yesterday").expect_err("no place");
        assert_eq!(args(None, None).start().expect("the default"), StartAt::TrimHorizon);
    }

    #[test]
    fn places_to_go_back_to_are_times_or_sequence_numbers() {
        let rewind = |text: &str| args(None, Some(text)).rewind();
        let time = rewind("2026-11-01T00:00:00Z").expect("a time");
        assert_eq!(time, Some(Rewind::Timestamp(1_793_491_200_000)));
        let digits = "49590338271490256608559692538361571095921575989136588898";
        for text in [digits.to_owned(), format!("{digits}:3")] {
            let Ok(Some(Rewind::Sequence(sequence))) = rewind(&text) else {
                panic!("{text} is a sequence number");
            };
            assert_eq!(sequence.as_str(), digits);
        }
        rewind("shard-0").expect_err("no place");
    }
}
