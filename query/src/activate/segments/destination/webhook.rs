//! Signed JSON batches, posted to whatever takes them.
//!
//! Signed after the Standard Webhooks specification (standardwebhooks.com): `webhook-id`,
//! `webhook-timestamp` (seconds since 1970) and `webhook-signature: v1,<base64>` with HMAC-SHA256 over
//! `id.timestamp.body`. The id is made of the plan and the batch, so a batch that comes again has the
//! id it had; `Idempotency-Key` says the same. A secret `whsec_…` is base64, any other is taken as it is.
//!
//! The answer is 2xx; a body `{"failed": [{"member": …, "reason": …}]}` names changes that were not
//! taken. 408, 429 and 5xx are tried again (`Retry-After` is heeded); any other status refuses the batch.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::attempts::Tried;
use super::{
    Attempts, Delivered, Destination, DestinationError, Manner, Publication, Run, without_addresses,
};
use crate::activate::pace::Pace;
use crate::activate::segments::change::{Change, identity_of};
use crate::activate::segments::definition::Secret;

/// Changes of one request.
const BATCH: usize = 500;
const AT_ONCE: usize = 2;
/// Ten requests a second, and no more than the receiver can be expected to take.
const INTERVAL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read.
const ANSWER: usize = 1 << 20;

/// A receiver of batches.
pub(super) struct Webhook {
    identity: String,
    url: reqwest::Url,
    key: Vec<u8>,
    client: reqwest::Client,
    pace: Pace,
    attempts: Attempts,
}

#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    failed: Vec<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    member: String,
    #[serde(default)]
    reason: String,
}

impl Webhook {
    pub(super) fn open(
        identity: String,
        url: &str,
        secret: &Secret,
        attempts: Attempts,
    ) -> Result<Self, DestinationError> {
        let refused =
            |reason: String| DestinationError::Refused { destination: identity.clone(), reason };
        let key = key_of(&secret.value().map_err(refused)?).map_err(refused)?;
        let url = reqwest::Url::parse(url).map_err(|_| refused("its URL is none".to_owned()))?;
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("hearback/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| refused(error.without_url().to_string()))?;
        Ok(Self { identity, url, key, client, pace: Pace::new(INTERVAL, 2), attempts })
    }

    async fn post(&self, id: &str, timestamp: i64, body: &str) -> Tried<(Option<String>, Answer)> {
        let signature = sign(&self.key, id, timestamp, body);
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", id)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", format!("v1,{signature}"))
            .body(body.to_owned());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let reason = without_addresses(&error.without_url().to_string());
                return Tried::Busy { reason, after: None };
            }
        };
        let status = response.status();
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let request_id = header("x-request-id");
        let after =
            header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        if status.is_success() {
            let answer = read(response).await;
            return Tried::Answered((request_id, answer));
        }
        let reason = format!("HTTP {}", status.as_u16());
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Tried::Busy { reason, after };
        }
        let destination = self.identity.clone();
        Tried::Final(match status.as_u16() {
            404 | 410 => DestinationError::Drifted {
                destination,
                reason: format!("nobody takes the batches there any more ({reason})"),
            },
            _ => DestinationError::Refused { destination, reason },
        })
    }
}

/// What the body of a success says; an empty or other body says that all is well.
async fn read(mut response: reqwest::Response) -> Answer {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        if body.len() + piece.len() > ANSWER {
            return Answer::default();
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).unwrap_or_default()
}

fn key_of(secret: &str) -> Result<Vec<u8>, String> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| "the secret begins with whsec_ but is no base64".to_owned()),
        None => Ok(secret.as_bytes().to_vec()),
    }
}

fn sign(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        // HMAC takes keys of any length.
        return String::new();
    };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[async_trait]
impl Destination for Webhook {
    fn manner(&self, _changes: u64) -> Manner {
        Manner::Batches { changes: BATCH, at_once: AT_ONCE }
    }

    async fn prepare(&mut self, _: &Run) -> Result<(), DestinationError> {
        Ok(())
    }

    async fn deliver(
        &self,
        run: &Run,
        batch: &[Change],
    ) -> Result<Vec<Delivered>, DestinationError> {
        let items: Vec<Value> = batch
            .iter()
            .map(|change| {
                json!({
                    "action": change.action,
                    "member": change.member,
                    "attributes": change.values(),
                })
            })
            .collect();
        let document = json!({
            "segment": run.segment,
            "plan_id": run.plan_id,
            "lake_version": run.lake_version,
            "key": run.key,
            "items": items,
        });
        let body = document.to_string();
        let id = identity_of(&[&run.plan_id, &body]);
        let (request_id, answer) = self
            .attempts
            .make(&self.identity, &self.pace, || self.post(&id, (run.clock)().as_second(), &body))
            .await?;
        let receipt = Some(request_id.unwrap_or(id));
        let refused: HashMap<&str, &str> = answer
            .failed
            .iter()
            .map(|refusal| (refusal.member.as_str(), refusal.reason.as_str()))
            .collect();
        let delivered = batch.iter().map(|change| match refused.get(change.member.as_str()) {
            Some(reason) => Delivered::failed(without_addresses(reason), receipt.clone()),
            None => Delivered::done(receipt.clone()),
        });
        Ok(delivered.collect())
    }

    async fn publish(
        &mut self,
        _: &Run,
        _: Publication<'_>,
    ) -> Result<Option<String>, DestinationError> {
        Ok(None)
    }
}
