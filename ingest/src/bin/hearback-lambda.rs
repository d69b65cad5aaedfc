//! `hearback-lambda`: the Lambda function. It polls the Lambda Runtime API, hands each event to
//! [`Function`], and logs to stderr, one JSON object a line.
//!
//! Configured by its environment: see [`LambdaSettings`].

use std::process::ExitCode;
use std::sync::Arc;

use hearback_ingest::lambda::{Event, Function, Invocation, LambdaSettings};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use tokio::sync::Mutex;

fn main() -> ExitCode {
    start_logging();
    let settings = match LambdaSettings::read(variables()) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::from(2);
        }
    };
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME"] {
        if std::env::var_os(name).is_none() {
            eprintln!("error: {name} is not set: hearback-lambda is run by AWS Lambda");
            eprintln!("hint: to read a stream from here, use: hearback ingest kinesis:NAME");
            return ExitCode::from(2);
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the worker threads");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the Lambda Runtime API cannot be reached");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: LambdaSettings) -> Result<(), lambda_runtime::Error> {
    let function = Function::new(settings, Arc::new(now_us), uuid::Uuid::new_v4);
    let function = Arc::new(Mutex::new(function));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| {
        let function = Arc::clone(&function);
        async move {
            let invocation = Invocation { deadline_ms: i64::try_from(event.context.deadline).ok() };
            let answered = function.lock().await.invoke(event.payload, invocation).await;
            answered.map_err(|error| {
                tracing::error!(%error, "invocation failed");
                Diagnostic {
                    error_type: "hearback::InvocationFailure".to_owned(),
                    error_message: error.to_string(),
                }
            })
        }
    }))
    .await
}

fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn start_logging() {
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    // AWS_LAMBDA_LOG_LEVEL is what Lambda's advanced logging controls set.
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(LevelFilter::INFO);
    let targets = Targets::new().with_target("hearback", level);
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_filter(targets);
    tracing_subscriber::registry().with(layer).init();
    // The message of a panic can quote what was being read; the place cannot.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// The time: the only place that asks the clock.
#[expect(clippy::disallowed_methods, reason = "the edge of the program, where time comes in")]
fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
