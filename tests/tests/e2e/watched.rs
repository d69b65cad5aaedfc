//! How an operator watches hearback: metrics, health, logs, OpenTelemetry.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hearback_tests::{FakeCloud, Hearback, python};
use serde_json::Value;

use crate::traffic::ses_lines;

fn interop(program: &str) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/");
    let mut command = Command::new(python());
    command.arg(format!("{script}{program}"));
    command
}

/// Metrics by name, read by Prometheus's own parsers.
fn scrape(url: &str) -> Value {
    let output = interop("read_metrics.py").arg(url).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_run_that_goes_on_serves_metrics_and_is_healthy() {
    let hearback = Hearback::new();
    let events = ses_lines(&hearback, 20, 51);
    let mut child = hearback
        .command()
        .args(["ingest", "-", "--metrics", "127.0.0.1:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
    stderr.read_line(&mut said).expect("a line");
    let url = said.trim().strip_prefix("metrics at ").expect("where the metrics are");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // What is last may still go on, so it is not a document yet.
    writeln!(stdin, "garbage\n{}\n{{", events.join("\n")).expect("the pipe is open");
    let documents = events.len() as f64 + 1.0;

    let deadline = Instant::now() + Duration::from_secs(30);
    let metrics = loop {
        let metrics = scrape(url);
        if metrics["hearback_ingest_records_total"] == documents {
            break metrics;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(metrics["hearback_healthy"], 1.0);
    assert!(metrics["hearback_ingest_bytes_total"].as_f64() > Some(1000.0), "{metrics}");
    let health = url.replace("/metrics", "/healthz");
    let answer = Command::new(python())
        .args([
            "-c",
            "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())",
        ])
        .arg(health)
        .output()
        .expect("python starts");
    let answer: Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    assert_eq!(answer["status"], "ok", "{answer}");

    write!(stdin, "}}").expect("the pipe is open");
    drop(stdin);
    assert!(child.wait().expect("the run ends").success());
}

/// Starts reading a stream for good, and gives back where its metrics are.
fn read_stream(hearback: &Hearback, source: &str) -> (Child, String) {
    let mut child = hearback
        .command()
        .args(["ingest", source, "--metrics", "127.0.0.1:0", "--log-format", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    let first: Value = serde_json::from_str(&first).expect("JSON");
    let address = first["address"].as_str().expect("where the metrics are").to_owned();
    std::thread::spawn(move || lines.count());
    (child, format!("http://{address}/metrics"))
}

fn wait_for(url: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let metrics = scrape(url);
        if holds(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn metrics_of_a_stream_are_by_shard_and_standing_by_is_healthy() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 1);
    let hearback = Hearback::on("s3://watched-lake/lake", cloud.environment());
    cloud.boto("s3.create_bucket(Bucket='watched-lake')");
    hearback.file("hearback.toml", "[ingest]\nflush_interval = \"1s\"\n");
    let events = ses_lines(&hearback, 10, 54);
    stream.put(events.iter().map(|event| ("a".to_owned(), event.clone().into_bytes())));

    let (mut reader, url) = read_stream(&hearback, &stream.source());
    let labels = "{shard=shardId-000000000000,stream=feedback}";
    let committed = |metrics: &Value| metrics["hearback_commits_total"].as_f64() >= Some(1.0);
    let has_all = |metrics: &Value| {
        metrics[format!("hearback_shard_records_total{labels}")] == events.len() as f64
    };
    let metrics = wait_for(&url, |metrics| committed(metrics) && has_all(metrics));
    assert_eq!(metrics[format!("hearback_shard_behind_seconds{labels}")], 0.0, "{metrics}");
    assert_eq!(metrics["hearback_stream_reading{stream=feedback}"], 1.0, "{metrics}");
    assert_eq!(metrics["hearback_ingest_records_total"], events.len() as f64, "{metrics}");
    assert_eq!(metrics["hearback_healthy"], 1.0);
    let rows = hearback.number("SELECT count(*) FROM events");
    assert_eq!(metrics["hearback_committed_events_total"], rows as f64, "{metrics}");

    let (mut other, other_url) = read_stream(&hearback, &stream.source());
    let stands_by = |metrics: &Value| metrics["hearback_stream_reading{stream=feedback}"] == 0.0;
    let metrics = wait_for(&other_url, stands_by);
    assert_eq!(metrics["hearback_healthy"], 1.0, "{metrics}");
    for child in [&mut other, &mut reader] {
        Command::new("kill").arg(child.id().to_string()).status().expect("kill starts");
        child.wait().expect("it ends");
    }
}

#[test]
fn an_address_that_is_taken_is_named_before_anything_is_read() {
    let hearback = Hearback::new();
    let source = hearback.file("in.json", "{}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound port").to_string();
    let outcome = hearback.run(["ingest", source.to_str().expect("UTF-8"), "--metrics", &address]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("cannot serve metrics at {address}")), "{outcome:?}");
    assert!(!hearback.folder().join("lake").exists());
}

#[test]
fn logs_as_json_are_one_object_a_line_errors_included() {
    let hearback = Hearback::new();
    let good = hearback.file("in/good.json", ses_lines(&hearback, 5, 52).join("\n"));
    hearback.file("in/bad.json.gz", b"\x1f\x8b\x08\x00garbage");
    let folder = good.parent().and_then(std::path::Path::to_str).expect("UTF-8");
    for (arguments, code) in [
        (vec!["ingest", folder, "--log-format", "json", "-vv"], 4),
        (vec!["--log-format", "json", "ingest", "no-such-file"], 2),
        (vec!["query", "SELECT nothing FROM nowhere", "--log-format=json"], 2),
    ] {
        let outcome = hearback.run(&arguments);
        assert_eq!(outcome.code, code, "{outcome:?}");
        let lines: Vec<Value> = outcome
            .stderr
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect();
        let last = lines.last().expect("an error is said");
        assert_eq!(last["level"], "ERROR", "{last}");
        assert_eq!(last["exit_code"], code, "{last}");
        assert!(last["message"].as_str().is_some_and(|text| !text.is_empty()), "{last}");
        assert!(lines.iter().all(|line| line["timestamp"].is_string()), "{lines:?}");
        let addresses = outcome.stderr.contains('@');
        assert!(!addresses, "{}", outcome.stderr);
    }
}

/// A collector and what it was sent so far.
struct Collector {
    process: Child,
    endpoint: String,
}

impl Collector {
    fn start() -> Self {
        let mut process =
            interop("otlp_receiver.py").stdout(Stdio::piped()).spawn().expect("python starts");
        let mut port = String::new();
        let stdout = process.stdout.as_mut().expect("stdout is piped");
        // Byte by byte, so that nothing behind the line is taken.
        let mut byte = [0];
        while std::io::Read::read(stdout, &mut byte).expect("a byte") == 1 && byte[0] != b'\n' {
            port.push(char::from(byte[0]));
        }
        Self { process, endpoint: format!("http://127.0.0.1:{port}") }
    }

    fn received(mut self) -> Vec<Value> {
        self.process.kill().expect("it runs");
        let stdout = self.process.stdout.take().expect("stdout is piped");
        let lines = BufReader::new(stdout).lines();
        let received =
            lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect();
        self.process.wait().expect("it ends");
        received
    }
}

fn ingest_with(hearback: &Hearback, variables: &[(&str, &str)]) -> (String, Duration) {
    let source = hearback.file("in.json", ses_lines(hearback, 50, 53).join("\n"));
    let started = Instant::now();
    let output = hearback
        .command()
        .arg("ingest")
        .arg(source)
        .envs(variables.iter().copied())
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    (said, started.elapsed())
}

#[test]
fn traces_and_metrics_reach_a_collector_when_the_environment_names_one() {
    let hearback = Hearback::new();
    let collector = Collector::start();
    ingest_with(&hearback, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)]);
    let received = collector.received();
    let span = received.iter().find(|one| one["span"] == "command").expect("a span of the command");
    assert_eq!(span["service"], "hearback");
    assert_eq!(span["attributes"]["name"], "ingest");
    assert!(received.iter().any(|one| one["span"] == "commit"), "{received:?}");
    let documents = hearback.number("SELECT count(DISTINCT source_sequence) FROM events");
    let records = received.iter().find(|one| one["metric"] == "hearback_ingest_records");
    assert_eq!(records.expect("a metric")["value"].as_f64(), Some(documents as f64));

    let collector = Collector::start();
    let traces = format!("{}/v1/traces", collector.endpoint);
    ingest_with(
        &hearback,
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces), ("OTEL_SERVICE_NAME", "mail-feedback")],
    );
    let received = collector.received();
    assert!(!received.is_empty());
    assert!(received.iter().all(|one| one["service"] == "mail-feedback"), "{received:?}");
    assert!(received.iter().all(|one| one.get("metric").is_none()), "{received:?}");

    let collector = Collector::start();
    let disabled = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    ingest_with(&hearback, &disabled);
    assert_eq!(collector.received(), Vec::<Value>::new());
}

#[test]
fn a_collector_that_is_away_or_silent_neither_fails_nor_delays_the_work() {
    let hearback = Hearback::new();
    let (_, without) = ingest_with(&hearback, &[]);
    let away = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("a bound port")
    };
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    for address in [away, silent.local_addr().expect("a bound port")] {
        let endpoint = format!("http://{address}");
        let (said, took) = ingest_with(&hearback, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
        assert!(took < without + Duration::from_secs(5), "{took:?} instead of {without:?}");
        assert!(said.matches("telemetry cannot be sent").count() <= 1, "{said}");
    }
}
