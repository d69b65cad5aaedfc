//! `hearback segments run`: applies segments when their schedules say so, until it is stopped.

use clap::Args;
use hearback_ingest::CancelFlag;

use super::plan::going_somewhere;
use super::progress::Shown;
use super::{Opened, attempts, chosen, defined};
use crate::activate::consent::{Answer, ask};
use crate::activate::segments::Segment;
use crate::activate::segments::definition::Schedule;
use crate::activate::segments::runner::{Progress, Runner};
use crate::cli::{CliError, Session, ingest};
use crate::ops::Vitals;

/// Apply segments when their schedules say so, until stopped
///
/// Each segment with a schedule (every so often, daily at an hour, or a cron pattern; UTC) is planned and
/// applied when it is due; one that was never applied is due at once. What a guard refuses is left as it
/// is until the next time, what fails is tried again after five minutes, and neither keeps the others
/// from being applied. Definitions are read when it starts.
///
/// SIGTERM or Ctrl-C ends it within ten seconds; what was begun is finished by the next run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback segments run --yes --metrics 127.0.0.1:9465 --log-format json
  hearback segments run engaged-30d --every 1h --yes")]
pub(super) struct RunArgs {
    /// Names of segments [default: all that have a schedule]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Rhythm of segments without a schedule of their own, such as 1h, 'daily 05:00' or '0 5 * * 1-5'
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule)]
    every: Option<Schedule>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Serve Prometheus metrics and /healthz, such as 127.0.0.1:9465
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
}

fn schedule(text: &str) -> Result<Schedule, String> {
    Schedule::parse(text).ok_or_else(|| {
        "a rhythm such as 1h (at least a minute), 'daily 06:00' or a cron pattern '0 5 * * 1-5', in UTC"
            .to_owned()
    })
}

pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<(), CliError> {
    let cancel = CancelFlag::new();
    ingest::stop_on_signals(&cancel)?;
    let opened = Opened::of(session).await?;
    let mut scheduled = Vec::new();
    let mut segments = chosen(session, &args.names)?;
    going_somewhere(session, &mut segments, &args.names)?;
    for segment in segments {
        let Some(schedule) = segment.schedule.clone().or_else(|| args.every.clone()) else {
            if args.names.is_empty() {
                continue;
            }
            return Err(CliError::usage(format!("{} has no schedule", segment.name))
                .hint("say schedule = \"daily 05:00\" in its definition, or --every 1h"));
        };
        scheduled.push((segment, schedule));
    }
    if scheduled.is_empty() {
        return Err(CliError::usage("no segment has a schedule")
            .hint("say schedule = \"daily 05:00\" in a definition, or --every 1h"));
    }
    agreed(&scheduled, args.yes)?;
    let vitals = ingest::watch(session, args.metrics.as_deref()).await?;
    let progress = |segment: &str| -> Progress {
        let shown = Shown::new(session, segment);
        Box::new(move |done, of| shown.update(done, of))
    };
    let runner = Runner {
        bench: opened.bench(),
        attempts: attempts(),
        cancel: &cancel,
        vitals: &vitals,
        progress: &progress,
    };
    run_jobs(&runner, scheduled).await;
    Ok(())
}

/// The segments that have a schedule and somewhere to go, for [`keep`].
pub(in crate::cli) fn scheduled(session: &Session) -> Result<Vec<(Segment, Schedule)>, CliError> {
    let mut scheduled = Vec::new();
    for segment in defined(session)? {
        let Some(schedule) = segment.schedule.clone() else { continue };
        if segment.destinations.is_empty() {
            session.say(&format!("{}: has no destinations, and is left out", segment.name));
            continue;
        }
        scheduled.push((segment, schedule));
    }
    Ok(scheduled)
}

/// Applies segments when they are due, beside other work; does nothing if there are none.
pub(in crate::cli) async fn keep(
    opened: &Opened,
    scheduled: Vec<(Segment, Schedule)>,
    vitals: &Vitals,
    cancel: &CancelFlag,
) {
    if scheduled.is_empty() {
        return;
    }
    let progress = |_: &str| -> Progress { Box::new(|_, _| {}) };
    let runner = Runner {
        bench: opened.bench(),
        attempts: attempts(),
        cancel,
        vitals: &vitals.part("segments"),
        progress: &progress,
    };
    run_jobs(&runner, scheduled).await;
}

async fn run_jobs(runner: &Runner<'_>, scheduled: Vec<(Segment, Schedule)>) {
    let mut jobs = Vec::with_capacity(scheduled.len());
    for (segment, schedule) in scheduled {
        jobs.push(runner.job(segment, schedule).await);
    }
    runner.run(&mut jobs).await;
}

/// Says what is going to happen without anybody being asked again, and gets the yes.
fn agreed(scheduled: &[(Segment, Schedule)], yes: bool) -> Result<(), CliError> {
    if !yes {
        for (segment, schedule) in scheduled {
            eprintln!("{}: {schedule}", segment.name);
        }
    }
    match ask(yes, "Apply these whenever they are due, without asking again?")? {
        Answer::Yes => Ok(()),
        Answer::No => Err(CliError::refused("it was not agreed to; nothing was changed")),
        Answer::NobodyThere => {
            Err(CliError::usage("nobody is there to be asked").hint("--yes applies without asking"))
        }
    }
}
