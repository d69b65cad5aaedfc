//! What others ask over HTTP: `/metrics` for Prometheus, `/healthz` for whoever restarts us, and `/` for
//! whoever looks in with a browser.
//!
//! Nobody is asked who they are: bind it to an address that only they reach. It tells counts, names of
//! streams and shards, and nothing of what was read.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use super::metrics::{Exposition, exposed};
use super::vitals::{Health, Vitals};

/// Serves the vitals at `address` (`HOST:PORT`) until the runtime ends; gives back where.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(address: &str, vitals: Arc<Vitals>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let routes = Router::new()
        .route("/", get(front))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .with_state(vitals);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(bound)
}

async fn metrics(State(vitals): State<Arc<Vitals>>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let form = Exposition::accepted(accepted.unwrap_or_default());
    match exposed(&vitals, form) {
        Ok(text) => ([(header::CONTENT_TYPE, form.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn front(State(vitals): State<Arc<Vitals>>) -> String {
    let state = match vitals.health() {
        Health::Good(doing) => format!("well: {doing}"),
        Health::Bad(reason) => format!("not well: {reason}"),
    };
    format!("hearback {}\n{state}\n\n/metrics\n/healthz\n", env!("CARGO_PKG_VERSION"))
}

async fn healthz(State(vitals): State<Arc<Vitals>>) -> Response {
    let (status, document) = match vitals.health() {
        Health::Good(doing) => (StatusCode::OK, json!({"status": "ok", "state": doing})),
        Health::Bad(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "failing", "reason": reason}))
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, format!("{document}\n")).into_response()
}
