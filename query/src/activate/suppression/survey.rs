//! The lists, the ledger and the ways to reach the lists, all as of now: what plans are made from.
//!
//! Invariant: what is seen on a list is in the lake before anybody acts on it.

use hearback_ingest::lake::{Lake, LakeError, LedgerWriter, WriteSettings};
use hearback_schemas::SUPPRESSION_LIST;
use uuid::Uuid;

use super::change::Change;
use super::connection::{Connection, Unreachable, connect_all};
use super::difference::settled;
use super::ledger::Ledger;
use super::list::{ListId, ListState};
use super::mirror::{Mirror, Sight, list_rows};
use super::planner::offline_lists;
use super::pull::{self, Extent};
use super::settings::Settings;
use crate::engine::{Engine, EngineError};

/// How the lists are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Not at all: as they were last seen.
    AsLastSeen,
    /// What changed since; in full when that is due.
    Now,
    /// In full.
    Full,
}

/// Why there is no survey.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The lake cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The lake cannot be written.
    #[error("what was seen on the lists cannot be written to the lake")]
    Lake(#[from] LakeError),
    /// A row cannot be made.
    #[error("what was seen on the lists cannot be put into rows: {0}")]
    Rows(String),
}

/// What was found on one list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Entries that are new or different.
    pub changed: usize,
    /// Entries that are gone.
    pub gone: usize,
    /// Whether the list was read in full.
    pub full: bool,
}

/// Everything that a plan is made from.
#[derive(Debug)]
pub struct Survey {
    /// The lists, each with what is on it.
    pub lists: Vec<(ListId, ListState)>,
    /// The ways to the lists, in the same order; empty without a reading.
    pub connections: Vec<Connection>,
    /// What was found, in the same order; empty without a reading.
    pub seen: Vec<Seen>,
    /// What stands.
    pub ledger: Ledger,
    /// Targets that were left out.
    pub unreachable: Vec<Unreachable>,
    /// Rows that an interrupted run could not write; the ledger here has them already.
    pub settled: Vec<Change>,
}

impl Survey {
    fn with(ledger: Ledger) -> Self {
        Self {
            lists: Vec::new(),
            connections: Vec::new(),
            seen: Vec::new(),
            ledger,
            unreachable: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Takes into the ledger what an interrupted run could not write.
    fn settle(&mut self, now_us: i64) {
        for (list, state) in &self.lists {
            for change in settled(&self.ledger, list, state, now_us) {
                self.settled.push(change.clone());
                self.ledger.take(change);
            }
        }
    }
}

/// Where a survey is made.
pub struct Place<'a> {
    /// Asks the lake.
    pub engine: &'a Engine,
    /// Path or URI of the lake.
    pub lake: &'a str,
    /// The configuration.
    pub settings: &'a Settings,
    /// Random identity of the run.
    pub run: Uuid,
}

impl Place<'_> {
    /// Reads the lists as fresh as asked, and the ledger.
    ///
    /// # Errors
    /// [`SurveyError`]; a list that cannot be read is no error and stands in `unreachable`.
    pub async fn survey(&self, freshness: Freshness, now_us: i64) -> Result<Survey, SurveyError> {
        let mirror = Mirror::read(self.engine, None).await?;
        if freshness == Freshness::AsLastSeen {
            let known: Vec<ListId> = mirror.lists().keys().cloned().collect();
            let lists = offline_lists(self.engine, self.settings, &known).await?;
            return self.as_last_seen(&mirror, &lists, now_us).await;
        }
        let mut survey = Survey::with(Ledger::read(self.engine, None).await?);
        self.read_lists(&mirror, freshness, now_us, &mut survey).await?;
        survey.settle(now_us);
        Ok(survey)
    }

    /// These lists as they were last seen, and the ledger; asks nobody but the lake.
    ///
    /// # Errors
    /// [`SurveyError::Engine`].
    pub async fn last_seen(&self, lists: &[ListId], now_us: i64) -> Result<Survey, SurveyError> {
        let mirror = Mirror::read(self.engine, None).await?;
        self.as_last_seen(&mirror, lists, now_us).await
    }

    async fn as_last_seen(
        &self,
        mirror: &Mirror,
        lists: &[ListId],
        now_us: i64,
    ) -> Result<Survey, SurveyError> {
        let mut survey = Survey::with(Ledger::read(self.engine, None).await?);
        survey.lists = lists.iter().map(|list| (list.clone(), mirror.list(list))).collect();
        survey.settle(now_us);
        Ok(survey)
    }

    async fn read_lists(
        &self,
        mirror: &Mirror,
        freshness: Freshness,
        now_us: i64,
        survey: &mut Survey,
    ) -> Result<(), SurveyError> {
        let (connections, unreachable) = connect_all(self.settings, self.run).await;
        survey.unreachable = unreachable;
        // Accounts and Regions have rates of their own, so the lists are read side by side.
        let readings = connections.into_iter().map(|connection| async move {
            let before = mirror.list(&connection.list);
            let extent = match freshness {
                Freshness::Full => Extent::Full,
                _ => pull::due(&before, self.settings.requests.full_listing_us, now_us),
            };
            let reading =
                pull::read(&connection, &before, extent, &self.settings.transactional, now_us)
                    .await;
            (connection, extent, reading)
        });
        for (connection, extent, reading) in futures::future::join_all(readings).await {
            let reading = match reading {
                Ok(reading) => reading,
                Err(error) => {
                    let target = connection.list.to_string();
                    survey.unreachable.push(Unreachable { target, why: error.to_string() });
                    continue;
                }
            };
            let seen = Seen {
                changed: count(&reading.sights, |sight| matches!(sight, Sight::Entry(_))),
                gone: count(&reading.sights, |sight| matches!(sight, Sight::Gone(_))),
                full: extent == Extent::Full,
            };
            self.keep(&connection.list, &reading.sights, now_us).await?;
            survey.lists.push((connection.list.clone(), reading.state));
            survey.connections.push(connection);
            survey.seen.push(seen);
        }
        Ok(())
    }

    /// Writes what was seen on a list to the lake.
    ///
    /// # Errors
    /// [`SurveyError`] if it cannot be written.
    pub async fn keep(
        &self,
        list: &ListId,
        sights: &[Sight],
        now_us: i64,
    ) -> Result<(), SurveyError> {
        let lake = Lake::open_or_create(self.lake).await?;
        let rows = list_rows(list, sights, now_us)
            .map_err(|error| SurveyError::Rows(error.to_string()))?;
        let settings = WriteSettings { dedupe_memory: 64 << 20, ..WriteSettings::default() };
        let mut writer =
            LedgerWriter::begin(&lake, &SUPPRESSION_LIST, settings, None, Uuid::new_v4()).await?;
        writer.append(rows, now_us).await?;
        Ok(())
    }
}

/// Makes a lake where there is none, so that the first reading of a list has a place.
///
/// # Errors
/// As the store fails.
pub async fn create_lake(lake: &str, run: Uuid, now_us: i64) -> Result<(), LakeError> {
    let lake = Lake::open_or_create(lake).await?;
    if lake.exists().await? {
        return Ok(());
    }
    let settings = WriteSettings::default();
    let fence = Some("suppression/pull");
    LedgerWriter::begin(&lake, &SUPPRESSION_LIST, settings, fence, run).await?.claim(now_us).await
}

fn count(sights: &[Sight], which: impl Fn(&Sight) -> bool) -> usize {
    sights.iter().filter(|sight| which(sight)).count()
}
