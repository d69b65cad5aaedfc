//! The named questions: each a file of SQL, with a period and a dimension put in.
//!
//! Invariant: a report is nothing but the statement that `--sql` prints; whoever runs that in
//! `hearback query` gets the same figures. Only text made here from parsed values goes into it.

mod figures;
mod period;

pub use figures::{Figure, Figures, Kind, duration};
pub use period::{Moment, Period, PeriodError};

use crate::nearest::nearest;

/// What the rows of a report's cohort are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Messages, placed in time by when they were sent.
    Messages,
    /// Events, placed in time by when they happened.
    Events,
}

/// How a report is laid out for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One line per metric, with what it means.
    List,
    /// The same, with the interval that each rate lies in.
    Estimates,
    /// One line per group, one column per metric, the meanings below.
    Grid,
}

/// A named question.
#[derive(Debug)]
pub struct Report {
    /// Its name on the command line.
    pub name: &'static str,
    /// The statement, with `$by`, `$period` and perhaps `$figures` in it.
    sql: &'static str,
    /// What its rows are.
    pub unit: Unit,
    /// How it is laid out.
    pub layout: Layout,
    /// The dimension when none is asked for; empty for all rows in one group.
    by: &'static str,
}

/// What the statements of most reports end with.
const FIGURES: &str = include_str!("../../sql/reports/figures.sql");

/// Every report, in the order in which they are listed.
pub const REPORTS: &[Report] = &[
    Report {
        name: "deliverability",
        sql: include_str!("../../sql/reports/deliverability.sql"),
        unit: Unit::Messages,
        layout: Layout::List,
        by: "",
    },
    Report {
        name: "reputation",
        sql: include_str!("../../sql/reports/reputation.sql"),
        unit: Unit::Messages,
        layout: Layout::Estimates,
        by: "",
    },
    Report {
        name: "providers",
        sql: include_str!("../../sql/reports/providers.sql"),
        unit: Unit::Messages,
        layout: Layout::Grid,
        by: "mailbox_provider",
    },
    Report {
        name: "bounces",
        sql: include_str!("../../sql/reports/bounces.sql"),
        unit: Unit::Messages,
        layout: Layout::List,
        by: "",
    },
    Report {
        name: "complaints",
        sql: include_str!("../../sql/reports/complaints.sql"),
        unit: Unit::Messages,
        layout: Layout::Grid,
        by: "mailbox_provider",
    },
    Report {
        name: "engagement",
        sql: include_str!("../../sql/reports/engagement.sql"),
        unit: Unit::Messages,
        layout: Layout::List,
        by: "",
    },
    Report {
        name: "latency",
        sql: include_str!("../../sql/reports/latency.sql"),
        unit: Unit::Messages,
        layout: Layout::Grid,
        by: "mailbox_provider",
    },
    Report {
        name: "campaigns",
        sql: include_str!("../../sql/reports/campaigns.sql"),
        unit: Unit::Messages,
        layout: Layout::Grid,
        by: "campaign",
    },
    Report {
        name: "signup-funnel",
        sql: include_str!("../../sql/reports/signup-funnel.sql"),
        unit: Unit::Messages,
        layout: Layout::Grid,
        by: "day",
    },
    Report {
        name: "stuck",
        sql: include_str!("../../sql/reports/stuck.sql"),
        unit: Unit::Messages,
        layout: Layout::Grid,
        by: "mailbox_provider",
    },
    Report {
        name: "data-quality",
        sql: include_str!("../../sql/reports/data-quality.sql"),
        unit: Unit::Events,
        layout: Layout::List,
        by: "",
    },
];

/// A column that reports of messages can be split by, and the expression behind it.
const MESSAGE_DIMENSIONS: &[(&str, &str)] = &[
    ("mailbox_provider", "mailbox_provider"),
    ("recipient_domain", "recipient_domain"),
    ("sender", "sender"),
    ("sender_domain", "sender_domain"),
    ("configuration_set", "configuration_set"),
    ("campaign", "campaign"),
    ("template", "template"),
    ("tenant", "tenant"),
    ("account_id", "account_id"),
    ("region", "region"),
    ("source", "source"),
    ("day", "CAST(CAST(sent_time AS DATE) AS VARCHAR)"),
    ("month", "substr(CAST(CAST(sent_time AS DATE) AS VARCHAR), 1, 7)"),
];

/// The same for reports of events.
const EVENT_DIMENSIONS: &[(&str, &str)] = &[
    ("event_type", "event_type"),
    ("source", "source"),
    ("channel", "channel"),
    ("mailbox_provider", "mailbox_provider"),
    ("configuration_set", "configuration_set"),
    ("account_id", "account_id"),
    ("region", "region"),
    ("source_name", "source_name"),
    ("day", "CAST(event_date AS VARCHAR)"),
];

/// Finds a report by name.
#[must_use]
pub fn report(name: &str) -> Option<&'static Report> {
    REPORTS.iter().find(|report| report.name == name)
}

impl Report {
    /// The question that it answers: the first line of its SQL.
    #[must_use]
    pub fn question(&self) -> &'static str {
        self.sql.lines().next().unwrap_or_default().trim_start_matches("--").trim()
    }

    /// What its figures count and leave out: the rest of the comment at the head of its SQL.
    #[must_use]
    pub fn definition(&self) -> String {
        let lines = self.sql.lines().skip(1).take_while(|line| line.starts_with("--"));
        let text: Vec<&str> = lines
            .map(|line| line.trim_start_matches("--").trim())
            .filter(|line| !line.is_empty())
            .collect();
        text.join(" ")
    }

    /// Names of the dimensions that it can be split by.
    pub fn dimensions(&self) -> impl Iterator<Item = &'static str> {
        self.known_dimensions().iter().map(|(name, _)| *name)
    }

    /// The dimension that is nearest to a name that is none.
    #[must_use]
    pub fn nearest_dimension(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.dimensions())
    }

    /// The dimension in effect, if any.
    #[must_use]
    pub fn dimension<'a>(&self, asked: Option<&'a str>) -> Option<&'a str>
    where
        Self: 'a,
    {
        asked.or(Some(self.by).filter(|by| !by.is_empty()))
    }

    /// The statement for a dimension and a period; None if the dimension is none of this report's.
    #[must_use]
    pub fn statement(&self, by: Option<&str>, period: &Period) -> Option<String> {
        let group = match self.dimension(by) {
            None => "'all'",
            Some(name) => self.known_dimensions().iter().find(|(known, _)| *known == name)?.1,
        };
        let time = match self.unit {
            Unit::Messages => "sent_time",
            Unit::Events => "event_time",
        };
        let sql = self.sql.replace("$figures", FIGURES.trim_end());
        Some(sql.replace("$by", group).replace("$period", &period.condition(time)))
    }

    fn known_dimensions(&self) -> &'static [(&'static str, &'static str)] {
        match self.unit {
            Unit::Messages => MESSAGE_DIMENSIONS,
            Unit::Events => EVENT_DIMENSIONS,
        }
    }
}
