//! The events that the function is invoked with, told apart by their shape.

use aws_lambda_events::event::firehose::KinesisFirehoseEventRecord;
use aws_lambda_events::event::kinesis::KinesisEventRecord;
use aws_lambda_events::event::streams::KinesisEventResponse;
use serde::{Deserialize, Serialize};

use super::settings::LambdaSettings;
use super::stream::{StreamFunction, StreamFunctionError};
use super::transform::{TransformAnswer, TransformFunction};
use crate::Clock;

/// What AWS invokes the function with: a batch of a Kinesis event source mapping (`Records`) or of a
/// Firehose transformation (`records` and `deliveryStreamArn`).
#[derive(Debug, Deserialize)]
pub struct Event {
    /// Records of a stream, all of one shard.
    #[serde(rename = "Records", default)]
    stream: Option<Vec<KinesisEventRecord>>,
    /// Records of a Firehose.
    #[serde(rename = "records", default)]
    firehose: Option<Vec<KinesisFirehoseEventRecord>>,
    /// The Firehose that invokes.
    #[serde(rename = "deliveryStreamArn", default)]
    delivery_stream_arn: Option<String>,
}

/// Facts of one invocation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Invocation {
    /// When Lambda ends the invocation, in milliseconds since 1970-01-01T00:00:00Z; `None` if nobody
    /// said.
    pub deadline_ms: Option<i64>,
}

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a batch of a stream.
    Stream(KinesisEventResponse),
    /// To a batch of a Firehose.
    Firehose(TransformAnswer),
}

/// Why an invocation failed as a whole. AWS tries the same batch again.
#[derive(Debug, thiserror::Error)]
pub enum InvocationFailure {
    /// The event is neither of the two: correct what invokes the function.
    #[error(
        "the event has neither Records (a Kinesis event source mapping) nor records (a Firehose transformation); hearback-lambda answers no other events"
    )]
    UnknownEvent,
    /// The function was not told where the lake is: set the variable.
    #[error("HEARBACK_LAKE is not set: set it to the lake's location, such as s3://acme-mail/lake")]
    NoLake,
    /// The batch is not in the lake: remove the cause.
    #[error(transparent)]
    Stream(#[from] StreamFunctionError),
}

/// The function: what is kept from one invocation to the next.
#[derive(Debug)]
pub struct Function {
    stream: Option<StreamFunction>,
    transform: TransformFunction,
}

impl Function {
    /// The function with its settings. `new_run` gives a new random identity each time it is called,
    /// from which names of files are made.
    #[must_use]
    pub fn new(settings: LambdaSettings, clock: Clock, new_run: fn() -> uuid::Uuid) -> Self {
        let transform = TransformFunction::new(settings.decode.clone(), Clock::clone(&clock));
        let stream = settings.lake.is_some().then(|| StreamFunction::new(settings, clock, new_run));
        Self { stream, transform }
    }

    /// Answers one invocation.
    ///
    /// # Errors
    /// [`InvocationFailure`]: AWS invokes again with the same event.
    pub async fn invoke(
        &mut self,
        event: Event,
        invocation: Invocation,
    ) -> Result<Answer, InvocationFailure> {
        if let Some(records) = event.stream {
            let stream = self.stream.as_mut().ok_or(InvocationFailure::NoLake)?;
            return Ok(Answer::Stream(stream.commit(records, invocation).await?));
        }
        if let Some(records) = event.firehose {
            let name = event.delivery_stream_arn.as_deref().unwrap_or_default();
            return Ok(Answer::Firehose(self.transform.transform(records, name)));
        }
        Err(InvocationFailure::UnknownEvent)
    }
}
