//! `hearback suppression run`.

use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use hearback_ingest::CancelFlag;
use hearback_ingest::causes::in_one_line;

use super::apply::operator;
use super::now_us;
use crate::activate::suppression::runner::{Outcome, Round, Runner, Told};
use crate::activate::suppression::settings::{Between, SHORTEST_ROUND, Settings};
use crate::cli::{CliError, Session, ingest, memory, print};
use crate::config::parse_duration;
use crate::engine::EngineSettings;
use crate::ops::Vitals;

/// Time from one round to the next if nobody says.
const USUAL_ROUND: Duration = Duration::from_mins(5);

/// Pull, plan and apply again and again, within the caps; alerts when a cap stops it
///
/// One line of JSON a round on standard output. A stopped run changes nothing on that round and goes on
/// looking; somebody has to look at the plan and apply it by hand. Alerts go to standard error and to
/// suppression.webhook and suppression.command, once until it is mended. With --once the exit code tells:
/// 3 stopped, 4 left in part.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Time from one round to the next [default: suppression.every, or 5m]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    every: Option<Duration>,
    /// Do one round and end: for cron, systemd timers and schedulers
    #[arg(long)]
    once: bool,
    /// Between rounds, act on complaints and invalid recipients within seconds of their commit
    #[arg(long)]
    fast_lane: bool,
    /// Serve Prometheus metrics and /healthz, such as 127.0.0.1:9466
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
}

fn interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text).map(Duration::from_millis) {
        Some(length) if length >= SHORTEST_ROUND => Ok(length),
        _ => Err("write a length of time such as 5m, at least 1s".to_owned()),
    }
}

pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<(), CliError> {
    let cancel = CancelFlag::new();
    ingest::stop_on_signals(&cancel)?;
    let settings = super::settings(session)?;
    memory::keep_freed();
    let vitals = ingest::watch(session, args.metrics.as_deref()).await?;
    let unprintable: Mutex<Option<CliError>> = Mutex::new(None);
    let told = |told: Told<'_>| match told {
        Told::Round(document) => {
            // Nobody reads what is done any more: it ends.
            if let Err(error) = print(&format!("{document}\n"))
                && let Ok(mut slot) = unprintable.lock()
            {
                *slot = Some(error);
                cancel.cancel();
            }
        }
        Told::Failed(error) => eprintln!("error: {}", in_one_line(error)),
        Told::Alert(what) => eprintln!("alert: {what}"),
    };
    let actor = operator();
    let runner = Runner {
        lake: session.config.lake(),
        engine: session.engine_settings(),
        settings: &settings,
        clock: now_us,
        actor: &actor,
        cancel: &cancel,
        vitals: &vitals,
        told: &told,
    };
    if args.once {
        let round = runner.once().await?;
        return exit(&round);
    }
    let rhythm = settings.rhythm;
    let between = if args.fast_lane { Between::FastLane } else { rhythm.between };
    let every = args.every.or(rhythm.every).unwrap_or(USUAL_ROUND);
    let interrupted = runner.run(every, between).await?;
    if let Some(error) = unprintable.into_inner().unwrap_or_default() {
        return Err(error);
    }
    interrupted.as_ref().map_or(Ok(()), exit)
}

/// Keeps the lists as `suppression.every` says, beside other work; does nothing if it says nothing. What is to
/// be told goes to the log.
pub(in crate::cli) async fn keep(
    session: &Session,
    settings: &Settings,
    engine: EngineSettings,
    vitals: &Vitals,
    cancel: &CancelFlag,
) {
    let Some(every) = settings.rhythm.every else { return };
    let told = |told: Told<'_>| match told {
        Told::Round(round) => tracing::info!(%round, "suppression round"),
        Told::Failed(error) => tracing::error!(error = in_one_line(error), "suppression round"),
        Told::Alert(what) => tracing::warn!(alert = what, "suppression round"),
    };
    let vitals = &vitals.part("suppression");
    let actor = &operator();
    let lake = session.config.lake();
    let runner =
        Runner { lake, engine, settings, clock: now_us, actor, cancel, vitals, told: &told };
    if let Err(error) = runner.run(every, settings.rhythm.between).await {
        tracing::error!(error = in_one_line(&error), "suppression round");
    }
}

/// The exit code of a single round.
fn exit(round: &Round) -> Result<(), CliError> {
    match round.outcome() {
        Outcome::Done => Ok(()),
        Outcome::Stopped => super::plan::refuse(&round.plan),
        Outcome::Partial | Outcome::Failed => {
            super::apply::outcome(&round.reports)?;
            super::partial(&round.survey.unreachable, round.survey.lists.is_empty())
        }
    }
}
