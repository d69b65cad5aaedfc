//! A stand-in for the Lambda service: the Lambda Runtime API as AWS documents it ("Using the Lambda
//! runtime API for custom runtimes"), and a function's process that polls it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::Notify;

use crate::binary::path_of;

/// How an invocation ended: what the function answered, or the error document that it posted.
pub type Invoked = Result<Value, Value>;

/// A running function.
pub struct LambdaFunction {
    process: Child,
    service: Arc<Service>,
    /// Serves the Runtime API as long as it is there.
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Service {
    waiting: Mutex<VecDeque<Invocation>>,
    running: Mutex<Vec<(String, mpsc::Sender<Invoked>)>>,
    arrived: Notify,
}

struct Invocation {
    id: String,
    deadline: SystemTime,
    event: String,
    answer: mpsc::Sender<Invoked>,
}

impl LambdaFunction {
    /// Starts `hearback-lambda` as Lambda would, with these variables in its environment.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(environment: &[(&str, &str)]) -> Self {
        Self::run(Command::new(path_of("hearback-lambda")), environment)
    }

    /// The same on a machine that has no room for files of more than so many KiB.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_without_room(environment: &[(&str, &str)], kib: u32) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; exec \"$2\"", "limited"]);
        command.arg(kib.to_string()).arg(path_of("hearback-lambda"));
        Self::run(command, environment)
    }

    fn run(mut function: Command, environment: &[(&str, &str)]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let service = Arc::new(Service::default());
        let address = runtime.block_on(serve(Arc::clone(&service)));
        let process = function
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "feedback")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the function starts");
        Self { process, service, _runtime: runtime }
    }

    /// Invokes the function and waits for what it says. It is given a minute.
    ///
    /// # Panics
    /// When it says nothing.
    pub fn invoke(&self, event: &Value) -> Invoked {
        self.invoke_within(event, Duration::from_secs(60))
    }

    /// The same, with a timeout of the function.
    ///
    /// # Panics
    /// When it says nothing within it, give or take ten seconds.
    pub fn invoke_within(&self, event: &Value, timeout: Duration) -> Invoked {
        self.begin(event, timeout)
            .recv_timeout(timeout + Duration::from_secs(10))
            .expect("an answer")
    }

    /// Invokes the function and gives back where the answer will come.
    ///
    /// # Panics
    /// When another thread panicked.
    pub fn begin(&self, event: &Value, timeout: Duration) -> mpsc::Receiver<Invoked> {
        let (answer, answered) = mpsc::channel();
        let mut waiting = self.service.waiting.lock().expect("the queue");
        waiting.push_back(Invocation {
            id: uuid::Uuid::new_v4().to_string(),
            deadline: SystemTime::UNIX_EPOCH + since_1970() + timeout,
            event: event.to_string(),
            answer,
        });
        self.service.arrived.notify_one();
        answered
    }
}

impl Drop for LambdaFunction {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn serve(service: Arc<Service>) -> SocketAddr {
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .layer(DefaultBodyLimit::disable())
        .with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn next(State(service): State<Arc<Service>>) -> Response<Body> {
    let invocation = loop {
        let found = service.waiting.lock().expect("the queue").pop_front();
        match found {
            Some(invocation) => break invocation,
            None => service.arrived.notified().await,
        }
    };
    let deadline = invocation.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let answer = Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", &invocation.id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-west-1:999999999999:function:feedback",
        )
        .header("Content-Type", "application/json")
        .body(Body::from(invocation.event))
        .expect("a response");
    service.running.lock().expect("the list").push((invocation.id, invocation.answer));
    answer
}

async fn response(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    // What Lambda refuses: "Invocation payload (request and response): 6 MB".
    if body.len() > 6_291_556 {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    service.finish(&id, Ok(serde_json::from_slice(&body).expect("JSON")))
}

async fn error(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    service.finish(&id, Err(serde_json::from_slice(&body).expect("JSON")))
}

impl Service {
    fn finish(&self, id: &str, invoked: Invoked) -> StatusCode {
        let mut running = self.running.lock().expect("the list");
        let Some(found) = running.iter().position(|(known, _)| known == id) else {
            return StatusCode::NOT_FOUND;
        };
        let (_, answer) = running.swap_remove(found);
        let _ = answer.send(invoked);
        StatusCode::ACCEPTED
    }
}

#[expect(clippy::disallowed_methods, reason = "the deadline that Lambda gives is a time of day")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}
