//! An AWS that is not ours: `fakecloud` emulates SES, EventBridge, Kinesis, Firehose, S3, Pinpoint and
//! more behind one loopback port. It is a program that the tests install and start, never linked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::loopback::{answers, free_address};
use crate::{cache, python};

const VERSION: &str = "0.51.0";
/// The account that the harness's keys belong to.
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";

/// A running AWS of one's own, empty at first; it ends when dropped.
///
/// What it does differently from AWS and matters here: nothing is ever throttled or trimmed, SES keeps
/// one state per account for all Regions, and import jobs import nothing.
pub struct FakeCloud {
    process: Child,
    address: SocketAddr,
}

impl FakeCloud {
    /// Starts one; the first time on a machine, installs it (a quarter of an hour on two cores).
    ///
    /// # Panics
    /// When it cannot be installed or does not come up within 30 seconds.
    #[must_use]
    pub fn start() -> Self {
        // Another process may take the free port first: then this one ends at once.
        for _ in 0..5 {
            let address = free_address();
            let process = Command::new(program())
                .args(["--addr", &address.to_string(), "--region", REGION])
                .args(["--account-id", ACCOUNT, "--log-level", "error"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("fakecloud starts");
            let mut cloud = Self { process, address };
            if answers(address, is_healthy) && matches!(cloud.process.try_wait(), Ok(None)) {
                return cloud;
            }
        }
        panic!("fakecloud does not come up");
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables that make any AWS client use it, as root of account 123456789012 in us-east-1.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Runs Python statements with AWS's own clients at hand (`kinesis`, `firehose`, `s3`, `sesv2`,
    /// `events`, `sns`, `sqs`, `sts`, `pinpoint`), and `json` and `boto3` imported. Returns what they
    /// print.
    ///
    /// # Panics
    /// When they fail.
    pub fn boto(&self, statements: &str) -> String {
        let mut program = "import boto3, json\n".to_owned();
        for service in SERVICES {
            // Making a client takes a tenth of a second.
            if statements.contains(&format!("{service}.")) {
                program.push_str(&format!("{service} = boto3.client('{service}')\n"));
            }
        }
        program.push_str(statements);
        python::run(&program, &self.environment())
    }
}

const SERVICES: [&str; 9] =
    ["kinesis", "firehose", "s3", "sesv2", "events", "sns", "sqs", "sts", "pinpoint"];

impl Drop for FakeCloud {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_healthy(mut connection: TcpStream) -> bool {
    let request = "GET /_fakecloud/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let _ = connection.set_read_timeout(Some(Duration::from_secs(2)));
    if connection.write_all(request.as_bytes()).is_err() {
        return false;
    }
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer);
    answer.starts_with("HTTP/1.1 200") && answer.contains(VERSION)
}

/// The program, from the user's cache; compiled into it the first time.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let name = format!("fakecloud-{VERSION}");
        let folder = cache::folder().join(&name);
        let program = folder.join("bin/fakecloud");
        cache::once(&name, &program, || install(&folder));
        program
    })
}

/// Compiles it with cargo, for a short build. Its target folder is its own, because the one of the
/// tests may be locked and holds other features of the same libraries; it is removed afterwards.
fn install(folder: &Path) {
    std::fs::create_dir_all(folder).expect("the cache folder can be written");
    let log = folder.join("install.log");
    say(&format!(
        "compiling fakecloud {VERSION}, the AWS of the tests: once, about a quarter of an hour; see {}",
        log.display()
    ));
    let target = folder.join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo)
        .args(["install", "--locked", "fakecloud", "--version", VERSION, "--root"])
        .arg(folder)
        // Not within the repository, whose settings for the compiler are not meant for this.
        .current_dir(folder)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("the cache folder can be written"))
        .spawn()
        .expect("cargo starts");
    let started = Instant::now();
    let mut said = 0;
    let status = loop {
        if let Some(status) = cargo.try_wait().expect("cargo can be waited for") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(500));
        let minutes = started.elapsed().as_secs() / 60;
        if minutes > said {
            said = minutes;
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let compiled = log.matches("Compiling ").count();
            say(&format!("compiling fakecloud: {minutes} min, {compiled} libraries"));
        }
    };
    let _ = std::fs::remove_dir_all(&target);
    if !status.success() {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(20).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        panic!(
            "fakecloud {VERSION} could not be installed; a network and a C compiler are needed, once:\n{}",
            last.join("\n")
        );
    }
}

/// A line that is seen while the tests run: what tests print is held back until they fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
