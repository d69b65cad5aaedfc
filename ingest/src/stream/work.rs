//! From pages to rows beside the session: responsible for decoding pages off the task that commits, and
//! for offering them to safekeeping until they are taken.
//!
//! Invariant: a batch is done only when everything in it is safe.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use hearback_transform::{DecodeOptions, Decoder, Reject};

use super::consume::Broken;
use super::decode::{DecodedRecords, ShardRecords, decode_records};
use super::observer::{Retried, StreamEvent};
use super::pace::Backoff;
use super::reader::{ShardPage, Shared};
use super::request::DecodeOn;
use super::safekeeping::{KeepError, Safekeeping};

/// Pages whose rows are ready to be staged.
pub(super) struct Batch {
    pub(super) pages: Vec<ShardPage>,
    pub(super) decoded: DecodedRecords,
}

/// A batch on its way.
pub(super) type Job = BoxFuture<'static, Result<Batch, Broken>>;

/// Pages that wait to be decoded, and what that takes.
pub(super) struct Work {
    /// The pages, without their records.
    pub(super) pages: Vec<ShardPage>,
    /// Their records, in the same order.
    pub(super) shards: Vec<ShardRecords>,
    pub(super) keeper: Keeper,
    pub(super) now_us: i64,
    pub(super) decode_on: DecodeOn,
}

impl Work {
    /// Decodes the records, and waits until they are safe.
    pub(super) fn job(self, decoders: Arc<Decoders>) -> Job {
        let Self { pages, shards, keeper, now_us, decode_on } = self;
        Box::pin(async move {
            let shards = Arc::new(shards);
            let decoded = match decode_on {
                DecodeOn::CallingTask => decoders.decode(now_us, &shards),
                DecodeOn::Threads(_) => {
                    let shards = Arc::clone(&shards);
                    tokio::task::spawn_blocking(move || decoders.decode(now_us, &shards))
                        .await
                        .map_err(|error| Broken::Defect(error.to_string()))?
                }
            };
            keeper.keep(&shards, &decoded).await;
            keeper.keep_rejects(&decoded).await;
            Ok(Batch { pages, decoded })
        })
    }
}

/// Decoders that are used again, and renewed so that their idea of the time is not too old.
pub(super) struct Decoders {
    options: DecodeOptions,
    source_name: String,
    idle: Mutex<Vec<Decoder>>,
    made_at_us: Mutex<i64>,
}

impl Decoders {
    /// A decoder judges event times by the time at which it was made.
    const RENEW_AFTER_US: i64 = 60_000_000;

    pub(super) fn new(options: DecodeOptions, source_name: String) -> Self {
        Self { options, source_name, idle: Mutex::default(), made_at_us: Mutex::new(i64::MIN) }
    }

    fn decode(&self, now_us: i64, shards: &[ShardRecords]) -> DecodedRecords {
        let mut decoder = self.take(now_us);
        let options = DecodeOptions { read_time_us: now_us, ..self.options.clone() };
        let decoded = decode_records(&mut decoder, &options, &self.source_name, shards);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
        decoded
    }

    fn take(&self, now_us: i64) -> Decoder {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made_at = self.made_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        if now_us.saturating_sub(*made_at) >= Self::RENEW_AFTER_US {
            idle.clear();
            *made_at = now_us;
        }
        let options = DecodeOptions { read_time_us: *made_at, ..self.options.clone() };
        idle.pop().unwrap_or_else(|| Decoder::new(options))
    }
}

/// Offers records to safekeeping until they are taken.
pub(super) struct Keeper {
    pub(super) safekeeping: Option<Arc<dyn Safekeeping>>,
    pub(super) shared: Arc<Shared>,
}

impl Keeper {
    async fn keep(&self, shards: &[ShardRecords], decoded: &DecodedRecords) {
        let Some(safekeeping) = &self.safekeeping else { return };
        for ShardRecords { shard, records, .. } in shards {
            let of_shard = decoded.rejects.iter().filter(|(rejected, _)| rejected == shard);
            let rejects: Vec<&Reject> = of_shard.flat_map(|(_, rejects)| rejects).collect();
            let mut backoff = self.backoff();
            while let Err(error) = safekeeping.keep(shard, records, &rejects).await {
                self.wait(&mut backoff, &error).await;
            }
        }
    }

    async fn keep_rejects(&self, decoded: &DecodedRecords) {
        let Some(safekeeping) = &self.safekeeping else { return };
        for (shard, rejects) in &decoded.rejects {
            let mut backoff = self.backoff();
            while let Err(error) = safekeeping.rejected(shard, rejects).await {
                self.wait(&mut backoff, &error).await;
            }
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(Duration::from_millis(500), Duration::from_secs(30), &self.shared.jitter)
    }

    async fn wait(&self, backoff: &mut Backoff, error: &KeepError) {
        let pause = backoff.failed();
        self.shared.observer.observe(&StreamEvent::Retry {
            what: Retried::Safekeeping,
            failures: backoff.failures(),
            pause,
            reason: &error.to_string(),
        });
        tokio::time::sleep(pause).await;
    }
}
