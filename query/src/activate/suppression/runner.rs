//! Pulls, plans and applies again and again, within the caps: for a process of its own, or a task of one
//! that does other things too.
//!
//! Invariants: a list whose plan exceeds a cap is left alone until somebody applies it by hand, and the
//! other lists go on; whoever is to be alerted is told once until it is mended. What is told holds counts and
//! reasons, never addresses.

use std::time::Duration;

use hearback_ingest::CancelFlag;
use hearback_ingest::causes::in_one_line;
use hearback_schemas::{EVENTS, SUPPRESSION_LEDGER, SUPPRESSION_LIST};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::alert;
use super::apply::{Applier, ApplyError, Clock, TargetReport};
use super::guard::Lifted;
use super::ledger::finished;
use super::list::ListId;
use super::plan::Plan;
use super::planner::{self, Request, Wish};
use super::settings::{Between, Settings};
use super::survey::{Freshness, Place, Survey, SurveyError};
use crate::engine::{Engine, EngineError, EngineSettings};
use crate::ops::Vitals;
use crate::ops::metrics::{SUPPRESSION_CHANGES, SUPPRESSION_LAST_ROUND, SUPPRESSION_ROUNDS};

/// How often the fast lane looks for new events.
const LOOK: Duration = Duration::from_secs(2);
/// Beside a lake that never stops growing, the fast lane rests so many times as long as a look took: a
/// quarter of a processor is the most that it takes.
const RESTS: u32 = 3;
/// Time between two signs of life while a round goes on; its requests have time limits of their own.
const ALIVE: Duration = Duration::from_secs(20);
/// What keeps the runner from being well, where it is not.
const WHAT: &str = "the suppression run";

/// What somebody is told.
#[derive(Debug)]
pub enum Told<'a> {
    /// A round ended: one document.
    Round(&'a Value),
    /// A round, or a look for new events, failed.
    Failed(&'a RoundError),
    /// Somebody has to look.
    Alert(&'a str),
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The lists cannot be surveyed.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// What was done cannot be written down.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// Something is left for the next round.
    Partial,
    /// A cap stopped it at one list or more.
    Stopped,
    /// It failed.
    Failed,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// What somebody has to know of it.
    fn alert(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Stopped => Some(
                "a cap stopped the suppression run: look at `hearback suppression plan` and apply it with the option that it names",
            ),
            Self::Partial => {
                Some("the suppression run was carried out in part; the next round goes on")
            }
            Self::Failed => Some("the suppression run failed"),
        }
    }
}

/// A round that ended.
#[derive(Debug)]
pub struct Round {
    /// What it was made from.
    pub survey: Survey,
    /// What was planned.
    pub plan: Plan,
    /// What was done, list by list.
    pub reports: Vec<TargetReport>,
}

impl Round {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.plan.guards().next().is_some() {
            return Outcome::Stopped;
        }
        if self.survey.lists.is_empty() && !self.survey.unreachable.is_empty() {
            return Outcome::Failed;
        }
        let incomplete = self.reports.iter().any(|report| !report.complete());
        if incomplete || !self.survey.unreachable.is_empty() {
            return Outcome::Partial;
        }
        Outcome::Done
    }

    /// The first thing that went wrong, without addresses.
    fn trouble(&self) -> Option<String> {
        if let Some((target, guard)) = self.plan.guards().next() {
            return Some(format!("{}: {}", target.target, guard.why));
        }
        if let Some(one) = self.survey.unreachable.first() {
            return Some(format!("the list {} cannot be read: {}", one.target, one.why));
        }
        let report = self.reports.iter().find(|report| !report.complete())?;
        let why = match &report.stopped {
            Some(why) => why.clone(),
            None => format!("{} changes were refused", report.failed.len()),
        };
        Some(format!("{}: {why}", report.target))
    }

    /// Counts and reasons, as one document.
    fn document(&self, round: &str) -> Value {
        let report = |name: &str| self.reports.iter().find(|report| report.target == name);
        let targets: Vec<Value> = self
            .plan
            .targets
            .iter()
            .map(|target| {
                let done = report(&target.target);
                json!({
                    "target": target.target,
                    "add": target.add,
                    "remove": target.remove,
                    "keep": target.keep,
                    "added": done.map_or(0, |done| done.added),
                    "removed": done.map_or(0, |done| done.removed),
                    "failed": done.map_or(0, |done| done.failed.len()),
                    "left": done.map_or(0, |done| done.left),
                    "guards": target.guards,
                })
            })
            .collect();
        let unreachable: Vec<Value> = self
            .survey
            .unreachable
            .iter()
            .map(|one| json!({"target": one.target, "why": one.why}))
            .collect();
        json!({
            "round": round,
            "plan_id": self.plan.plan_id,
            "outcome": self.outcome().word(),
            "targets": targets,
            "unreachable": unreachable,
        })
    }
}

/// What the fast lane goes by between two full rounds.
#[derive(Default)]
struct Watch {
    engine: Option<Engine>,
    /// Version of the events that were looked at.
    seen: Option<u64>,
    /// Active recipients, as the full round counted them.
    active: Option<u64>,
    /// The lists that the full round read.
    lists: Vec<ListId>,
    /// The lists and the ledger as they were last read, with the versions of their tables.
    remembered: Option<(Versions, Survey)>,
}

/// Versions of the ledger and of what was seen on the lists.
type Versions = (Option<u64>, Option<u64>);

impl Watch {
    fn after(round: Round) -> Self {
        Self {
            seen: round.plan.basis.events_version,
            active: Some(round.plan.basis.active_recipients),
            lists: round.survey.lists.into_iter().map(|(list, _)| list).collect(),
            ..Self::default()
        }
    }
}

/// Keeps the lists.
pub struct Runner<'a> {
    /// Path or URI of the lake.
    pub lake: &'a str,
    /// What a statement may use.
    pub engine: EngineSettings,
    /// The configuration.
    pub settings: &'a Settings,
    /// The time.
    pub clock: Clock,
    /// Who applies, for the ledger.
    pub actor: &'a str,
    /// Raised to stop in good order.
    pub cancel: &'a CancelFlag,
    /// Where metrics and signs of life go.
    pub vitals: &'a Vitals,
    /// Whom to tell.
    pub told: &'a (dyn Fn(Told<'_>) + Sync),
}

impl std::fmt::Debug for Runner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("lake", &self.lake).finish_non_exhaustive()
    }
}

impl Runner<'_> {
    /// Does a round every so often, until it is stopped. If that was during a round, returns the round.
    ///
    /// # Errors
    /// [`RoundError`] if the round that it was stopped in failed.
    pub async fn run(
        &self,
        every: Duration,
        between: Between,
    ) -> Result<Option<Round>, RoundError> {
        let mut alerted = None;
        loop {
            let begun = Instant::now();
            let round = self.full_round(&mut alerted).await;
            if self.cancel.is_cancelled() {
                return round.map(Some);
            }
            if let Err(error) = &round {
                (self.told)(Told::Failed(error));
            }
            let watch = round.map(Watch::after).unwrap_or_default();
            self.until(begun + every, between, watch).await;
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
        }
    }

    /// Does one round.
    ///
    /// # Errors
    /// [`RoundError`] if it failed, which was told already but for the error itself.
    pub async fn once(&self) -> Result<Round, RoundError> {
        self.full_round(&mut None).await
    }

    /// One round, told and counted; an alert goes out unless it went out before for the same outcome.
    async fn full_round(&self, alerted: &mut Option<Outcome>) -> Result<Round, RoundError> {
        let round = self.alive(self.open_and_round()).await;
        let (outcome, document, trouble) = match &round {
            Ok(round) => (round.outcome(), round.document("full"), round.trouble()),
            Err(error) => {
                let outcome = Outcome::Failed;
                let error = in_one_line(error);
                let document = json!({"round": "full", "outcome": outcome.word(), "error": error});
                (outcome, document, Some(error))
            }
        };
        (self.told)(Told::Round(&document));
        self.count("full", outcome, round.as_ref().ok());
        let Some(what) = outcome.alert() else {
            *alerted = None;
            self.vitals.unblock(WHAT);
            return round;
        };
        let what = match trouble {
            Some(trouble) => format!("{what} ({trouble})"),
            None => what.to_owned(),
        };
        self.vitals.block(WHAT, &what);
        if *alerted != Some(outcome) {
            *alerted = Some(outcome);
            (self.told)(Told::Alert(&what));
            let alert = json!({"alert": "suppression", "what": what, "round": document});
            alert::send(&self.settings.alerts, &alert).await;
        }
        round
    }

    async fn open_and_round(&self) -> Result<Round, RoundError> {
        let engine = Engine::open(self.lake, self.engine).await?;
        self.round(&engine, Wish::Policy, None).await
    }

    /// Waits for the next round; in the fast lane, looks for new events meanwhile. A look that fails is
    /// told, and repeated.
    async fn until(&self, next: Instant, between: Between, mut watch: Watch) {
        let mut pause = LOOK;
        loop {
            self.vitals.sign_of_life("waiting");
            tokio::select! {
                () = sleep_until(next.min(Instant::now() + pause)) => {}
                () = self.cancel.cancelled() => return,
            }
            if Instant::now() >= next {
                return;
            }
            if between == Between::Wait {
                continue;
            }
            let begun = Instant::now();
            if let Err(error) = self.look(&mut watch).await {
                (self.told)(Told::Failed(&error));
            }
            pause = LOOK.max(RESTS * begun.elapsed());
        }
    }

    /// Looks for new events, and acts on those that cannot wait.
    async fn look(&self, watch: &mut Watch) -> Result<(), RoundError> {
        let Watch { engine, seen, active, lists, remembered } = watch;
        let engine = match engine {
            Some(engine) => engine,
            None => engine.insert(Engine::open(self.lake, self.engine).await?),
        };
        let newest = engine.version(&EVENTS).await?;
        if newest == *seen {
            return Ok(());
        }
        *seen = newest;
        if !self.alive(self.is_urgent(engine, *active, lists, remembered)).await? {
            return Ok(());
        }
        let round = self.alive(self.round(engine, Wish::Fast, *active)).await?;
        if !round.plan.is_empty() {
            (self.told)(Told::Round(&round.document("fast")));
            self.count("fast", round.outcome(), Some(&round));
        }
        Ok(())
    }

    /// Whether anything cannot wait, going by the lists as they were last seen: most of what is new is no
    /// reason to ask SES anything. `remembered` is what was last read of them.
    async fn is_urgent(
        &self,
        engine: &Engine,
        active: Option<u64>,
        lists: &[ListId],
        remembered: &mut Option<(Versions, Survey)>,
    ) -> Result<bool, RoundError> {
        if lists.is_empty() {
            return Ok(true);
        }
        let ledger = engine.version(&SUPPRESSION_LEDGER).await?;
        let versions = (ledger, engine.version(&SUPPRESSION_LIST).await?);
        let now_us = (self.clock)();
        let survey = match remembered.take() {
            Some((known, survey)) if known == versions => survey,
            _ => self.place(engine).last_seen(lists, now_us).await?,
        };
        let plan = self.plan(engine, &survey, Wish::Fast, active, now_us).await?;
        *remembered = Some((versions, survey));
        Ok(!plan.is_empty())
    }

    fn place<'e>(&'e self, engine: &'e Engine) -> Place<'e> {
        Place { engine, lake: self.lake, settings: self.settings, run: Uuid::new_v4() }
    }

    async fn plan(
        &self,
        engine: &Engine,
        survey: &Survey,
        wish: Wish,
        active: Option<u64>,
        now_us: i64,
    ) -> Result<Plan, RoundError> {
        let lifted = Lifted::default();
        let request = Request { wish, lifted, restore: false, thaw: Vec::new(), active, now_us };
        let (lists, ledger) = (&survey.lists, &survey.ledger);
        Ok(planner::make(engine, self.lake, self.settings, lists, ledger, &request).await?)
    }

    /// Lists as they are now, a plan, and its application where no cap forbids it.
    async fn round(
        &self,
        engine: &Engine,
        wish: Wish,
        active: Option<u64>,
    ) -> Result<Round, RoundError> {
        let now_us = (self.clock)();
        let place = self.place(engine);
        let survey = place.survey(Freshness::Now, now_us).await?;
        let plan = self.plan(engine, &survey, wish, active, now_us).await?;
        let mut allowed = plan.clone();
        allowed.targets.retain(|target| target.guards.is_empty());
        let mut reports = Vec::new();
        if !allowed.is_empty() || !survey.settled.is_empty() {
            let work = Application { place, clock: self.clock, actor: self.actor.to_owned() };
            reports = work.carry_out(&survey, &allowed, self.cancel.clone()).await?;
        }
        Ok(Round { survey, plan, reports })
    }

    /// Waits, giving signs of life.
    async fn alive<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            self.vitals.sign_of_life("keeping suppression lists");
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(ALIVE) => {}
            }
        }
    }

    fn count(&self, lane: &str, outcome: Outcome, round: Option<&Round>) {
        let labels = [("round", lane), ("outcome", outcome.word())];
        self.vitals.add(&SUPPRESSION_ROUNDS, &labels, 1.0);
        if outcome == Outcome::Done {
            let seconds = (self.clock)() as f64 / 1e6;
            self.vitals.set(&SUPPRESSION_LAST_ROUND, &[("round", lane)], seconds);
        }
        for report in round.iter().flat_map(|round| &round.reports) {
            for (action, count) in [("add", report.added), ("remove", report.removed)] {
                let labels = [("target", report.target.as_str()), ("action", action)];
                self.vitals.add(&SUPPRESSION_CHANGES, &labels, count as f64);
            }
        }
    }
}

/// Carries a plan out, and writes to the lake what the lists are then.
pub struct Application<'a> {
    /// Where.
    pub place: Place<'a>,
    /// The time.
    pub clock: Clock,
    /// Who applies, for the ledger.
    pub actor: String,
}

impl std::fmt::Debug for Application<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("actor", &self.actor).finish_non_exhaustive()
    }
}

impl Application<'_> {
    /// Does it, until it is stopped.
    ///
    /// # Errors
    /// [`RoundError`] as the lake fails; what fails at one list stands in its report.
    pub async fn carry_out(
        &self,
        survey: &Survey,
        plan: &Plan,
        cancel: CancelFlag,
    ) -> Result<Vec<TargetReport>, RoundError> {
        let place = &self.place;
        let done = finished(place.engine, &plan.plan_id).await?;
        let applier = Applier::begin(
            place.lake,
            &survey.connections,
            &survey.ledger,
            cancel,
            self.clock,
            self.actor.clone(),
            place.run,
        )
        .await?;
        if !survey.settled.is_empty() {
            applier.record(&survey.settled).await?;
        }
        let reports = applier.apply(plan, &done).await?;
        for (target, report) in plan.targets.iter().zip(&reports) {
            if let Some(list) = target.list()
                && !report.sights.is_empty()
            {
                place.keep(&list, &report.sights, (self.clock)()).await?;
            }
        }
        Ok(reports)
    }
}
