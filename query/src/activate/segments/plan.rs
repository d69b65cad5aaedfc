//! Plans: what would have to be done at each destination, found without touching any of them.
//!
//! Invariant: a plan rests on one version of the lake and one acknowledged state per destination, and
//! its id is made of everything that it would do: the same plan has the same id.

use std::time::Duration;

use hearback_ingest::lake::Lake;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::acknowledged::{Generation, States};
use super::change::{Changes, identity_of};
use super::definition::{DestinationSpec, Segment, Suppressed};
use super::diff::{Comparison, Counts};
use super::error::SegmentError;
use super::guards::{self, Facts, Guard, Lifted};
use super::ledger::Ledger;
use super::members::{AttributeColumn, Census, Question};
use crate::engine::{Engine, EngineError};
use crate::output::Cells;

/// What planning and applying work with.
pub struct Bench<'a> {
    /// The lake, open for questions.
    pub engine: &'a Engine,
    /// The lake, for what is written beside the events.
    pub lake: &'a Lake,
    /// The time.
    pub clock: fn() -> Timestamp,
}

impl std::fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// What a plan says of itself; its changes are beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanHeader {
    /// 32 hex digits, made of everything that the plan would do.
    pub plan_id: String,
    /// Name of the segment.
    pub segment: String,
    /// Identity of the destination.
    pub destination: String,
    /// When it was made, RFC 3339.
    pub planned_time: String,
    /// Version of `events` that the query ran on.
    pub lake_version: Option<u64>,
    /// Number of the acknowledged generation that the plan starts from; 0 for none.
    pub state_version: u64,
    /// Whether the acknowledged state was left out of account, to send everybody anew.
    pub rebuild: bool,
    /// Identity of the definition.
    pub definition: String,
    /// Column that identifies a member.
    pub key: String,
    /// Columns that go along with a member.
    pub attributes: Vec<AttributeColumn>,
    /// How many members fare how.
    #[serde(flatten)]
    pub counts: Counts,
    /// Members that the destination has once the plan is applied.
    pub members: u64,
    /// What the query gave beside the members.
    pub census: Census,
    /// Another key by which the destination knows its members.
    pub other_key: Option<String>,
    /// Whether the first set that the destination gets is an empty one.
    #[serde(default)]
    pub publishes_empty: bool,
    /// The guards that the plan ran into.
    pub guards: Vec<Guard>,
}

/// A plan for one destination.
#[derive(Debug)]
pub struct Plan {
    /// What it says of itself.
    pub header: PlanHeader,
    /// What it would do.
    pub changes: Changes,
    /// The destination.
    pub spec: DestinationSpec,
}

impl Plan {
    /// Whether applying it does anything.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.changes.is_empty() || self.header.publishes_empty
    }
}

/// What planning is told beside the definition.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// Guards that are lifted.
    pub lifted: Lifted,
    /// Send everybody anew, as if the destination had acknowledged nobody.
    pub rebuild: bool,
}

/// Plans a segment for its destinations.
///
/// # Errors
/// If the query, the lake or the states fail. A guard is no error here: it stands in the plan.
pub async fn plan(
    bench: &Bench<'_>,
    segment: &Segment,
    options: PlanOptions,
) -> Result<Vec<Plan>, SegmentError> {
    let now = (bench.clock)();
    let question = Question::plan(bench.engine, segment).await?;
    let mut begun = Vec::with_capacity(segment.destinations.len());
    for spec in &segment.destinations {
        let states = States::of(bench.lake, &segment.name, spec);
        let newest = states.newest().await?;
        let generation = newest.as_ref().filter(|_| !options.rebuild);
        let mut since = None;
        if !options.rebuild {
            let ledger = Ledger { engine: bench.engine, segment: &segment.name, spec };
            since = Some(ledger.acknowledged_since(generation, None).await?);
        }
        let acknowledged = states.members(generation, since.as_mut()).await?;
        let refresh = generation.is_some_and(|generation| is_expiring(spec, generation, now));
        let declined = states.declined(generation).await?;
        begun.push((spec, newest, Comparison::new(acknowledged, declined, refresh)?));
    }
    let mut members = question.ask().await?;
    while let Some(member) = members.next().await? {
        for (_, _, comparison) in &mut begun {
            comparison.meet(&member)?;
        }
    }
    let lake_age = lake_age(bench.engine, now).await?;
    let mut plans = Vec::with_capacity(begun.len());
    for (spec, newest, comparison) in begun {
        let (counts, changes) = comparison.end()?;
        let state_version = newest.as_ref().map_or(0, |generation| generation.number);
        let definition = definition_id(segment);
        let publishes_empty = newest.is_none() && counts.members() == 0 && spec.takes_whole_sets();
        let other_key = newest
            .filter(|generation| generation.key != segment.key && generation.members > 0)
            .map(|generation| generation.key);
        let facts = Facts {
            counts: &counts,
            census: members.census(),
            lake_age,
            other_key: other_key.as_deref(),
            publishes_empty,
        };
        let guards = guards::judge(&facts, &segment.guards, options.lifted);
        let mut header = PlanHeader {
            plan_id: String::new(),
            segment: segment.name.clone(),
            destination: spec.identity(),
            planned_time: now.to_string(),
            lake_version: question.lake_version(),
            state_version,
            rebuild: options.rebuild,
            definition,
            key: segment.key.clone(),
            attributes: question.attributes().to_vec(),
            counts,
            members: counts.members(),
            census: members.census().clone(),
            other_key,
            publishes_empty,
            guards,
        };
        header.plan_id = plan_id(&header, &changes);
        plans.push(Plan { header, changes, spec: spec.clone() });
    }
    Ok(plans)
}

/// Plans the removal of everybody from a destination whose segment is defined no longer.
///
/// # Errors
/// If the state cannot be read.
pub async fn plan_retirement(
    bench: &Bench<'_>,
    generation: &Generation,
    lifted: Lifted,
) -> Result<Plan, SegmentError> {
    let spec = &generation.destination;
    let states = States::of(bench.lake, &generation.segment, spec);
    let ledger = Ledger { engine: bench.engine, segment: &generation.segment, spec };
    let mut since = ledger.acknowledged_since(Some(generation), None).await?;
    let acknowledged = states.members(Some(generation), Some(&mut since)).await?;
    let declined = states.declined(None).await?;
    let (counts, changes) = Comparison::new(acknowledged, declined, false)?.end()?;
    let census = Census::default();
    let facts = Facts {
        counts: &counts,
        census: &census,
        lake_age: Some(Duration::ZERO),
        other_key: None,
        publishes_empty: false,
    };
    let guards = guards::judge(&facts, &super::definition::GuardSettings::default(), lifted);
    let mut header = PlanHeader {
        plan_id: String::new(),
        segment: generation.segment.clone(),
        destination: spec.identity(),
        planned_time: (bench.clock)().to_string(),
        lake_version: generation.lake_version,
        state_version: generation.number,
        rebuild: false,
        definition: RETIRED.to_owned(),
        key: generation.key.clone(),
        attributes: generation.attributes.clone(),
        counts,
        members: 0,
        census,
        other_key: None,
        publishes_empty: false,
        guards,
    };
    header.plan_id = plan_id(&header, &changes);
    Ok(Plan { header, changes, spec: spec.clone() })
}

/// The definition of a segment that has none.
pub const RETIRED: &str = "retired";

/// The identity of a plan.
pub(super) fn plan_id(header: &PlanHeader, changes: &Changes) -> String {
    identity_of(&[
        &header.segment,
        &header.destination,
        &header.state_version.to_string(),
        &header.definition,
        match (header.rebuild, header.publishes_empty) {
            (true, _) => "rebuild",
            (false, true) => "empty",
            (false, false) => "",
        },
        changes.digest(),
    ])
}

/// The identity of what a segment asks: changing its words or its guards changes no plan.
#[must_use]
pub fn definition_id(segment: &Segment) -> String {
    let mut parts = vec![segment.sql.as_str(), segment.key.as_str()];
    parts.push(match segment.suppressed {
        Suppressed::Excluded => "exclude",
        Suppressed::Included => "include",
    });
    parts.extend(segment.topics.iter().map(String::as_str));
    parts.push("attributes");
    parts.extend(segment.attributes.iter().flatten().map(String::as_str));
    identity_of(&parts)
}

/// Whether members have to be sent again before the destination forgets them: at half of their time.
fn is_expiring(spec: &DestinationSpec, generation: &Generation, now: Timestamp) -> bool {
    let DestinationSpec::CustomerProfiles(spec) = spec else { return false };
    let Ok(since) = generation.refreshed_time.parse::<Timestamp>() else { return true };
    let half = Duration::from_secs(u64::from(spec.expiry_days) * 86_400 / 2);
    now.duration_since(since).unsigned_abs() >= half
}

/// Age of the lake's newest row; None if there is none.
pub(super) async fn lake_age(
    engine: &Engine,
    now: Timestamp,
) -> Result<Option<Duration>, SegmentError> {
    let failed =
        |source| SegmentError::Question { segment: "(age of the lake)".to_owned(), source };
    let statement = engine.plan("SELECT max(ingest_time) FROM events").await.map_err(failed)?;
    let batches = statement.collect().await.map_err(failed)?;
    let Some(batch) = batches.first().filter(|batch| batch.num_rows() > 0) else { return Ok(None) };
    let cells = Cells::new(batch.column(0))
        .map_err(|error| failed(EngineError::Run { message: error.to_string(), hint: None }))?;
    let mut text = String::new();
    cells.text(0, &mut text);
    let Ok(newest) = text.parse::<Timestamp>() else { return Ok(None) };
    // A clock that is ahead of ours is no reason to call the lake old.
    let age = now.duration_since(newest);
    Ok(Some(if age.is_negative() { Duration::ZERO } else { age.unsigned_abs() }))
}
