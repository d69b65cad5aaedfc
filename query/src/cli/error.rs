//! How a command fails: one sentence, its cause, a hint, and an exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use hearback_ingest::causes::causes;

use crate::config::{ConfigError, KEYS};
use crate::engine::EngineError;
use crate::ops::logs::LogFormat;
use crate::output::OutputError;

/// The exit codes of the contract that a failure can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1: it was tried and failed; nothing is half applied.
    Failed,
    /// 2: the command, the configuration or an input named on the command line is wrong.
    Usage,
    /// 3: a guard refused it (a cap, a stale plan, drift); nothing was changed.
    Refused,
    /// 4: done in part; the rest is listed and running the same command again finishes it.
    Partial,
    /// Whoever read our output stopped reading: not a failure, and nothing is said.
    ClosedPipe,
}

/// A command that did not do what it was asked.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    sentence: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
}

impl CliError {
    /// It was tried and failed.
    #[must_use]
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, sentence: sentence.into(), cause: None, hint: None }
    }

    /// The command, the configuration or a named input is wrong.
    #[must_use]
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failed(sentence) }
    }

    /// A guard refused it: a cap, a stale plan, drift. The hint says how to proceed.
    #[must_use]
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, ..Self::failed(sentence) }
    }

    /// It was done in part, and running the same command again finishes it.
    #[must_use]
    pub fn partial(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Partial, ..Self::failed(sentence) }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what it was that failed, in front of the sentence.
    #[must_use]
    pub(super) fn in_front(mut self, what: &str) -> Self {
        self.sentence = format!("{what}: {}", self.sentence);
        self
    }

    /// The same, as one part of something of which other parts were done.
    #[must_use]
    pub(super) fn into_partial(mut self) -> Self {
        self.exit = Exit::Partial;
        self
    }

    /// Whether what was asked is wrong, rather than failed.
    pub(super) fn is_usage(&self) -> bool {
        self.exit == Exit::Usage
    }

    /// Says what happened on stderr.
    pub fn say(&self, format: LogFormat) {
        if self.exit == Exit::ClosedPipe {
            return;
        }
        match format {
            LogFormat::Text => eprint!("{}", self.text()),
            LogFormat::Json => {
                let (exit_code, hint) = (self.code(), self.hint.as_deref());
                let causes = self.causes().join(": ");
                tracing::error!(exit_code, causes, hint, "{}", self.sentence);
            }
        }
    }

    /// The exit code of the contract.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self.exit {
            Exit::ClosedPipe => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::Partial => 4,
        }
    }

    /// What is said: `error: …`, a line for each cause that adds something, `hint: …`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.sentence);
        for cause in self.causes() {
            text.push_str(&format!("cause: {cause}\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        text
    }
}

impl CliError {
    /// The causes that add something, outermost first.
    fn causes(&self) -> Vec<String> {
        causes(&self.sentence, self.cause.as_deref().map(|cause| cause as &dyn Error))
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        let exit =
            if error.kind() == io::ErrorKind::BrokenPipe { Exit::ClosedPipe } else { Exit::Failed };
        Self { exit, ..Self::failed("cannot write the result").because(error) }
    }
}

impl From<OutputError> for CliError {
    fn from(error: OutputError) -> Self {
        if is_broken_pipe(&error) {
            return io::Error::from(io::ErrorKind::BrokenPipe).into();
        }
        let sentence = error.to_string();
        match Error::source(&error).map(ToString::to_string) {
            Some(cause) => Self::failed(sentence).because(cause),
            None => Self::failed(sentence),
        }
    }
}

/// Whether a closed pipe is at the bottom, whatever wrapped it (Parquet and Arrow spell it in text).
fn is_broken_pipe(error: &OutputError) -> bool {
    if let OutputError::Io(error) = error {
        return error.kind() == io::ErrorKind::BrokenPipe;
    }
    Error::source(error).is_some_and(|cause| cause.to_string().contains("Broken pipe"))
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let exit = match &error {
            EngineError::Statement { .. }
            | EngineError::Refused { .. }
            | EngineError::MissingLake { .. } => Exit::Usage,
            EngineError::Lake { .. } | EngineError::Run { .. } => Exit::Failed,
        };
        let hint = error.hint();
        let sentence = error.to_string();
        let cause = match error {
            EngineError::Lake { source, .. } => Some(source),
            _ => None,
        };
        Self { exit, sentence, cause, hint }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let sentence = error.to_string();
        match error {
            ConfigError::UnknownKey { nearest, .. } => {
                Self::usage(sentence).hint(format!("did you mean `{nearest}`?"))
            }
            ConfigError::BadValue { key, .. } => {
                let meaning = KEYS.iter().find(|known| known.path() == key);
                match meaning {
                    Some(known) => {
                        Self::usage(sentence).hint(format!("`{key}`: {}", known.meaning))
                    }
                    None => Self::usage(sentence),
                }
            }
            ConfigError::Unreadable { source, .. } => Self::usage(sentence).because(source),
            ConfigError::Syntax { .. } => Self::usage(sentence),
        }
    }
}
