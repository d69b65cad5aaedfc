//! Tells somebody that a run was stopped: a POST to a webhook, or a program with JSON on its input.
//!
//! Invariant: an alert holds counts and reasons, never addresses; one that cannot be delivered is logged and
//! stops nothing.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::settings::Alerts;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends an alert everywhere that is configured.
pub async fn send(alerts: &Alerts, what: &Value) {
    let body = what.to_string();
    if let Some(url) = &alerts.webhook
        && let Err(why) = post(url, body.clone()).await
    {
        tracing::warn!(%why, "the alert did not reach the webhook");
    }
    if let Some((program, arguments)) = alerts.command.split_first() {
        let (name, arguments) = (program.clone(), arguments.to_vec());
        let told = tokio::task::spawn_blocking(move || tell(&name, &arguments, &body)).await;
        if let Ok(Err(why)) = told {
            tracing::warn!(%why, program, "the alert did not reach the command");
        }
    }
}

async fn post(url: &str, body: String) -> Result<(), String> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(|error| error.without_url().to_string())?;
    let request = client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    answer.error_for_status().map(|_| ()).map_err(|error| error.without_url().to_string())
}

/// Runs a program with the alert on its input; blocks for at most [`PATIENCE`].
fn tell(program: &str, arguments: &[String], body: &str) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input has the right not to.
        let _ = stdin.write_all(body.as_bytes());
    }
    let begun = Instant::now();
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("it ended with {status}")),
            None if begun.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("it took too long".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
