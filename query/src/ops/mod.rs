//! How the program is watched while it works: logs, metrics, health, traces.
//!
//! - [`logs`] writes events to stderr, as text or as JSON.
//! - [`Vitals`] holds what a run tells of itself; [`metrics`] is the list of it.
//! - [`server`] shows it to Prometheus, and says whether progress is being made.
//! - [`telemetry`] sends it, and traces, to an OpenTelemetry collector.
//!
//! Invariants: watching never fails or delays the work by more than the bounds written down here; no
//! address and no secret is in any of it.

mod lake_watch;
pub mod logs;
pub mod metrics;
pub mod server;
mod stream_log;
pub mod telemetry;
mod vitals;
mod watch;

pub use lake_watch::watch_lake;
pub use stream_log::LoggedStream;
pub use vitals::{Health, Series, Vitals};
pub use watch::{Watched, WatchedStream};
