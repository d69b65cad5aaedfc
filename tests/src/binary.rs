//! Runs the `hearback` binary as a user does.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::running::Running;

/// The binary with a lake of its own, in a folder that goes away with it.
pub struct Hearback {
    folder: tempfile::TempDir,
    lake: String,
    environment: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; -1 when a signal ended the run.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Hearback {
    /// A lake in a new temporary folder.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lake = folder.path().join("lake").display().to_string();
        Self { folder, lake, environment: Vec::new() }
    }

    /// The same, with more environment variables.
    #[must_use]
    pub fn with(environment: Vec<(String, String)>) -> Self {
        Self { environment, ..Self::new() }
    }

    /// The same, with the lake somewhere else and more environment variables.
    #[must_use]
    pub fn on(lake: &str, environment: Vec<(String, String)>) -> Self {
        Self { lake: lake.to_owned(), environment, ..Self::new() }
    }

    /// A folder for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The lake's path or URI.
    #[must_use]
    pub fn lake(&self) -> &str {
        &self.lake
    }

    /// Writes a file into the test's folder and returns its path.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// The command, ready to be given arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(path_of_binary());
        command
            .current_dir(self.folder.path())
            .env_remove("HEARBACK_CONFIG")
            .env("HEARBACK_LAKE", &self.lake)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    ///
    /// # Panics
    /// When the binary cannot be started.
    pub fn run<I, S>(&self, arguments: I) -> Outcome
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let output = self.command().args(arguments).output().expect("the binary starts");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs the binary with `input` as its standard input.
    ///
    /// # Panics
    /// When the binary cannot be started.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = input.to_vec();
        // The binary may stop reading early; a broken pipe is then its right.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("the binary ends");
        feeder.join().expect("the feeder ends");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts the binary and leaves it running.
    ///
    /// # Panics
    /// When the binary cannot be started.
    #[must_use]
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command()
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts")
    }

    /// Starts the binary, leaves it running, and keeps what it says on standard error.
    ///
    /// # Panics
    /// When the binary cannot be started.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Running {
        let said = tempfile::NamedTempFile::new().expect("a temporary file");
        let process = self
            .command()
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(said.reopen().expect("a temporary file"))
            .spawn()
            .expect("the binary starts");
        Running::new(process, said)
    }

    /// Whether the lake is there, on this machine.
    #[must_use]
    pub fn exists(&self) -> bool {
        Path::new(&self.lake).join("events/_delta_log/00000000000000000001.json").exists()
    }

    /// Ingests `sources` and returns the JSON report.
    ///
    /// # Panics
    /// When the run fails.
    pub fn ingest(&self, sources: &[&Path]) -> Value {
        let mut arguments: Vec<&OsStr> = vec![OsStr::new("ingest")];
        arguments.extend(sources.iter().map(|source| source.as_os_str()));
        arguments.extend([OsStr::new("--format"), OsStr::new("json")]);
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.json()
    }

    /// Runs one SQL statement and returns its rows as JSON.
    ///
    /// # Panics
    /// When the statement fails.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        let outcome = self.run(["query", sql, "--format", "json"]);
        assert_eq!(outcome.code, 0, "{sql}: {outcome:?}");
        match outcome.json() {
            Value::Array(rows) => rows,
            other => panic!("not rows: {other}"),
        }
    }

    /// Runs a statement that gives one number.
    ///
    /// # Panics
    /// When it does not.
    pub fn number(&self, sql: &str) -> i64 {
        let rows = self.query(sql);
        let row = rows.first().and_then(Value::as_object).expect("one row");
        row.values().next().and_then(Value::as_i64).unwrap_or_else(|| panic!("{sql}: {row:?}"))
    }
}

impl Default for Hearback {
    fn default() -> Self {
        Self::new()
    }
}

impl Outcome {
    /// Standard output as one JSON document.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The binary that was built beside the tests.
fn path_of_binary() -> PathBuf {
    path_of("hearback")
}

/// A program of the workspace that was built beside the tests.
pub(crate) fn path_of(program: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the test binary has a path");
    let folder = tests.parent().and_then(Path::parent).expect("target/PROFILE/deps/test");
    let binary = folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} is not built: run the tests with `cargo test --release --workspace`",
        binary.display()
    );
    binary
}
