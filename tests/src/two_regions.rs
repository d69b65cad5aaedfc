//! One endpoint for two emulated Regions: the emulator has one state for all Regions of an account, so each
//! Region gets an emulator of its own, and the Region of a request's signature tells which is meant.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;

use crate::ses_list::region_of;
use crate::{FakeCloud, ses_list::serve};

/// A running endpoint in front of two emulators; it ends with the test's process.
pub struct TwoRegions {
    address: SocketAddr,
}

#[derive(Clone)]
struct Route {
    here: String,
    region: &'static str,
    there: String,
    client: reqwest::Client,
}

impl TwoRegions {
    /// Sends what is signed for `region` to `there`, and everything else to `here`.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(here: &FakeCloud, region: &'static str, there: &FakeCloud) -> Self {
        let route = Route {
            here: here.endpoint(),
            region,
            there: there.endpoint(),
            client: reqwest::Client::new(),
        };
        let router = Router::new()
            .fallback(forward)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::new(route));
        Self { address: serve(router) }
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn forward(
    State(route): State<Arc<Route>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let host = if region_of(&headers) == route.region { &route.there } else { &route.here };
    headers.remove(header::HOST);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = route.client.request(method, format!("{host}{path}")).headers(headers).body(body);
    let Ok(answer) = request.send().await else {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::BAD_GATEWAY;
        return failed;
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap_or_default()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
