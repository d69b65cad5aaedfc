//! The demo's audience: a ready segment, planned and written to a folder.
//!
//! Invariant: the folder lies beside the demo's lake and holds nothing else, so the guards that protect
//! an audience in use are lifted.

use hearback_ingest::CancelFlag;
use hearback_ingest::lake::Lake;
use serde_json::{Value, json};

use super::Counted;
use crate::activate::segments::apply::{Applied, ApplyOptions, apply as carry_out};
use crate::activate::segments::definition::segment_in_sql;
use crate::activate::segments::guards::Lifted;
use crate::activate::segments::library::ready;
use crate::activate::segments::members::{Member, Question};
use crate::activate::segments::plan::{Bench, PlanOptions, plan};
use crate::activate::segments::{DestinationSpec, Segment, SegmentError, destination};
use crate::cli::segments::attempts;
use crate::cli::{CliError, now};
use crate::engine::Engine;
use crate::output::{Align, TextTable};

const NAME: &str = "never-opened-humanly";
/// Members that are shown.
const SAMPLES: usize = 2;

/// What was written.
pub(super) struct Written {
    segment: Segment,
    place: String,
    applied: Applied,
    samples: Vec<Member>,
    /// People found, people left out by reason, members.
    pub(super) figures: Vec<Counted>,
}

/// Plans the segment and writes its members to a folder or bucket.
pub(super) async fn apply(engine: &Engine, lake: &str, place: &str) -> Result<Written, CliError> {
    let segment = segment(place)?;
    let lake = Lake::open(lake).await.map_err(SegmentError::from)?;
    let bench = Bench { engine, lake: &lake, clock: now };
    let lifted = Lifted { shrink: true, max_adds: Some(u64::MAX), stale: true };
    let options = PlanOptions { lifted, ..PlanOptions::default() };
    let mut plans = plan(&bench, &segment, options).await?;
    // One destination, one plan.
    let Some(plan) = plans.first_mut() else {
        return Err(CliError::failed("the segment of the demo goes nowhere"));
    };
    let mut destination = destination::open(&plan.spec, attempts()).await?;
    let cancel = CancelFlag::new();
    let options =
        ApplyOptions { lifted, run: uuid::Uuid::new_v4(), cancel: &cancel, progress: &|_, _| {} };
    let applied = carry_out(&bench, plan, Some(&segment), destination.as_mut(), &options).await?;

    let question = Question::plan(engine, &segment).await?;
    let mut members = question.ask().await?;
    let mut samples = Vec::new();
    while let Some(member) = members.next().await?
        && samples.len() < SAMPLES
    {
        samples.push(member);
    }
    let census = &plan.header.census;
    let asked = question.sql();
    let mut figures = vec![Counted {
        what: "people whom its SQL finds".to_owned(),
        value: census.members + census.excluded.values().sum::<u64>(),
        sql: format!("SELECT count(*) FROM (\n{}\n) AS found", segment.sql.trim_end()),
    }];
    figures.extend(census.excluded.iter().map(|(reason, people)| Counted {
        what: format!("left out: {reason}"),
        value: *people,
        sql: format!(
            "SELECT count(*) FROM (\n{asked}\n) AS asked WHERE hearback_reason = '{reason}'"
        ),
    }));
    figures.push(Counted {
        what: "members, in the files".to_owned(),
        value: applied.members,
        sql: format!("SELECT count(*) FROM (\n{asked}\n) AS asked WHERE hearback_reason IS NULL"),
    });
    Ok(Written { segment, place: place.to_owned(), applied, samples, figures })
}

/// The ready segment, with the folder as its destination.
fn segment(place: &str) -> Result<Segment, CliError> {
    let path = std::path::PathBuf::from(format!("segments/{NAME}.sql"));
    let text = ready(NAME).map_or("", |ready| ready.text);
    let mut segment = segment_in_sql(&path, text, std::path::Path::new(""))?;
    segment.destinations = vec![DestinationSpec::folder_or_bucket(place)];
    Ok(segment)
}

impl Written {
    /// For people.
    pub(super) fn text(&self) -> String {
        let description = self.segment.description.clone().unwrap_or_default();
        let mut text = format!(
            "AN AUDIENCE: {NAME}\n\n{description}: to ask once more, or to leave in peace.\n\n"
        );
        let mut counts = TextTable::new(&[("people", Align::Right), ("what", Align::Left)]);
        for figure in &self.figures {
            counts.row(vec![figure.value.to_string(), figure.what.clone()]);
        }
        text.push_str(&counts.render());
        text.push('\n');
        if !self.samples.is_empty() {
            let mut samples =
                TextTable::new(&[("such as", Align::Left), ("goes along", Align::Left)]);
            for member in &self.samples {
                samples.row(vec![member.key.clone(), member.attributes.clone()]);
            }
            text.push_str(&samples.render());
            text.push('\n');
        }
        let counts = self.applied.counts;
        text.push_str(&format!(
            "* {}/{NAME}/current.json names the newest files: all members, who was added, who was removed.\n",
            self.place
        ));
        text.push_str(&format!(
            "* This run added {}, changed {}, removed {} and kept {}; each change is a row of segment_ledger.\n",
            counts.add, counts.change, counts.remove, counts.keep
        ));
        text
    }

    /// For programs, beside the figures.
    pub(super) fn json(&self) -> Value {
        let samples: Vec<Value> = self
            .samples
            .iter()
            .map(|member| json!({"member": member.key, "attributes": member.values()}))
            .collect();
        let counts = self.applied.counts;
        json!({
            "name": NAME,
            "folder": format!("{}/{NAME}", self.place),
            "add": counts.add,
            "change": counts.change,
            "remove": counts.remove,
            "keep": counts.keep,
            "members": self.applied.members,
            "samples": samples,
        })
    }
}
