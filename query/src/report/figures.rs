//! The figures of a report: read from the result of its statement, written for people and programs.
//!
//! Invariant: a rate is written with its numerator and denominator, and with a denominator of zero it
//! is "n/a" (`null` for programs), never zero.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};
use serde_json::{Value, json};

use super::Layout;
use crate::output::{Align, TextTable};

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The numerator, by itself.
    Count,
    /// Numerator over denominator.
    Rate,
    /// A length of time in milliseconds, over so many cases.
    Milliseconds,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Value of the dimension; None where the column is NULL.
    pub group: Option<String>,
    /// Name.
    pub metric: String,
    /// What it is.
    pub kind: Kind,
    /// The count above the line; None if there is nothing to say.
    pub numerator: Option<i64>,
    /// The count below the line.
    pub denominator: i64,
    /// What is counted above the line.
    pub numerator_is: String,
    /// What is counted below the line.
    pub denominator_is: String,
}

impl Figure {
    /// The rate, unless it is none or has nothing below the line.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        if self.kind != Kind::Rate || self.denominator == 0 {
            return None;
        }
        // Counts of messages are far below 2^53.
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        Some(self.numerator? as f64 / self.denominator as f64)
    }

    /// The interval that the true rate lies in, in 95 of 100 cases: the rate is of a sample, and of a
    /// small one it says little (E. B. Wilson, "Probable Inference", 1927).
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        /// Standard deviations on both sides of the mean that 95 % of a normal distribution lie in.
        const DEVIATIONS: f64 = 1.959_964;
        let rate = self.rate()?;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let count = self.denominator as f64;
        let square = DEVIATIONS * DEVIATIONS;
        let middle = rate + square / (2.0 * count);
        let reach =
            DEVIATIONS * (rate * (1.0 - rate) / count + square / (4.0 * count * count)).sqrt();
        let scale = 1.0 + square / count;
        Some((((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0)))
    }

    /// The figure for people: `98.13 %`, `1,204`, `1.2 s`, `n/a`.
    #[must_use]
    pub fn value(&self) -> String {
        match self.kind {
            Kind::Count => self.numerator.map_or_else(na, grouped),
            Kind::Rate => self.rate().map_or_else(na, percent),
            Kind::Milliseconds => self.numerator.map_or_else(na, duration),
        }
    }

    /// The two counts behind a rate: `(981 of 1,000)`.
    #[must_use]
    pub fn basis(&self) -> String {
        match (self.kind, self.numerator) {
            (Kind::Rate, Some(numerator)) => {
                format!("({} of {})", grouped(numerator), grouped(self.denominator))
            }
            (Kind::Milliseconds, Some(_)) => format!("(of {})", grouped(self.denominator)),
            _ => String::new(),
        }
    }
}

/// All figures of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// In the order of the statement.
    pub figures: Vec<Figure>,
}

impl Figures {
    /// Reads the result of a report's statement.
    ///
    /// # Errors
    /// When the statement does not have the columns that every report has.
    pub fn read(batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let mut figures = Vec::new();
        for batch in batches {
            let text = |name: &str| cast(named(batch, name)?, &DataType::Utf8);
            let number = |name: &str| cast(named(batch, name)?, &DataType::Int64);
            let (group, metric, kind) = (text("group")?, text("metric")?, text("kind")?);
            let (numerator, denominator) = (number("numerator")?, number("denominator")?);
            let (above, below) = (text("numerator_is")?, text("denominator_is")?);
            let numerator = numerator.as_primitive::<Int64Type>();
            let denominator = denominator.as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let group = group.as_string::<i32>();
                figures.push(Figure {
                    group: group.is_valid(row).then(|| group.value(row).to_owned()),
                    metric: metric.as_string::<i32>().value(row).to_owned(),
                    kind: match kind.as_string::<i32>().value(row) {
                        "rate" => Kind::Rate,
                        "milliseconds" => Kind::Milliseconds,
                        _ => Kind::Count,
                    },
                    numerator: numerator.is_valid(row).then(|| numerator.value(row)),
                    denominator: if denominator.is_valid(row) { denominator.value(row) } else { 0 },
                    numerator_is: above.as_string::<i32>().value(row).to_owned(),
                    denominator_is: below.as_string::<i32>().value(row).to_owned(),
                });
            }
        }
        Ok(Self { figures })
    }

    /// The figures for people.
    #[must_use]
    pub fn table(&self, layout: Layout, dimension: Option<&str>) -> String {
        match (layout, dimension) {
            (Layout::Grid, Some(dimension)) => self.grid(dimension),
            _ => self.list(dimension, layout == Layout::Estimates),
        }
    }

    fn list(&self, dimension: Option<&str>, intervals: bool) -> String {
        let mut columns = Vec::new();
        if let Some(dimension) = dimension {
            columns.push((dimension, Align::Left));
        }
        columns.push(("metric", Align::Left));
        columns.push(("value", Align::Right));
        if intervals {
            columns.push(("95 % interval", Align::Right));
        }
        for name in ["numerator", "denominator"] {
            columns.push((name, Align::Right));
        }
        columns.push(("numerator is / denominator is", Align::Left));
        let mut table = TextTable::new(&columns);
        for figure in &self.figures {
            let mut row = Vec::new();
            if dimension.is_some() {
                row.push(figure.group.clone().unwrap_or_else(|| "(none)".to_owned()));
            }
            let rate = figure.kind != Kind::Count;
            row.push(figure.metric.clone());
            row.push(figure.value());
            if intervals {
                let interval = figure.interval();
                row.push(interval.map_or_else(String::new, |(low, high)| {
                    format!("{} to {}", percent(low), percent(high))
                }));
            }
            let above = figure.numerator.filter(|_| figure.kind != Kind::Milliseconds);
            row.push(above.map_or_else(String::new, grouped));
            row.push(if rate { grouped(figure.denominator) } else { String::new() });
            row.push(meaning(figure));
            table.row(row);
        }
        table.render()
    }

    fn grid(&self, dimension: &str) -> String {
        let mut metrics: Vec<&Figure> = Vec::new();
        for figure in &self.figures {
            if !metrics.iter().any(|known| known.metric == figure.metric) {
                metrics.push(figure);
            }
        }
        let mut columns = vec![(dimension, Align::Left)];
        columns.extend(metrics.iter().map(|figure| (figure.metric.as_str(), Align::Right)));
        let mut rows: Vec<(Option<&str>, Vec<String>)> = Vec::new();
        for figure in &self.figures {
            let group = figure.group.as_deref();
            if rows.last().is_none_or(|(last, _)| *last != group) {
                rows.push((group, vec![String::new(); metrics.len()]));
            }
            let place = metrics.iter().position(|known| known.metric == figure.metric);
            if let (Some((_, cells)), Some(place)) = (rows.last_mut(), place) {
                let cell = format!("{} {}", figure.value(), figure.basis());
                cell.trim_end().clone_into(&mut cells[place]);
            }
        }
        let mut table = TextTable::new(&columns);
        for (group, cells) in rows {
            let mut row = vec![group.unwrap_or("(none)").to_owned()];
            row.extend(cells);
            table.row(row);
        }
        let mut text = table.render();
        text.push('\n');
        for figure in metrics {
            text.push_str(&format!("{}: {}\n", figure.metric, meaning(figure)));
        }
        text
    }

    /// The figures for programs.
    #[must_use]
    pub fn json(&self, layout: Layout) -> Value {
        let figures = self.figures.iter().map(|figure| {
            let mut members = json!({
                "group": figure.group,
                "metric": figure.metric,
                "kind": kind_name(figure.kind),
                "numerator": figure.numerator,
                "denominator": (figure.kind != Kind::Count).then_some(figure.denominator),
                "rate": figure.rate(),
                "numerator_is": figure.numerator_is,
                "denominator_is": (figure.kind != Kind::Count).then_some(&figure.denominator_is),
            });
            if layout == Layout::Estimates {
                members["interval"] = json!(figure.interval().map(|(low, high)| [low, high]));
            }
            members
        });
        Value::Array(figures.collect())
    }

    /// The figures as comma-separated values.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text =
            "group,metric,kind,numerator,denominator,rate,numerator_is,denominator_is\n".to_owned();
        for figure in &self.figures {
            let rated = figure.kind != Kind::Count;
            let cells = [
                figure.group.clone().unwrap_or_default(),
                figure.metric.clone(),
                kind_name(figure.kind).to_owned(),
                figure.numerator.map(|number| number.to_string()).unwrap_or_default(),
                if rated { figure.denominator.to_string() } else { String::new() },
                figure.rate().map(|rate| rate.to_string()).unwrap_or_default(),
                figure.numerator_is.clone(),
                figure.denominator_is.clone(),
            ];
            let cells = cells.map(|cell| {
                if cell.contains(['"', ',', '\n', '\r']) {
                    format!("\"{}\"", cell.replace('"', "\"\""))
                } else {
                    cell
                }
            });
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        text
    }
}

fn named<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, ArrowError> {
    batch
        .column_by_name(name)
        .map(AsRef::as_ref)
        .ok_or_else(|| ArrowError::SchemaError(format!("a report without the column {name}")))
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Count => "count",
        Kind::Rate => "rate",
        Kind::Milliseconds => "milliseconds",
    }
}

fn meaning(figure: &Figure) -> String {
    if figure.denominator_is.is_empty() {
        figure.numerator_is.clone()
    } else {
        format!("{} / {}", figure.numerator_is, figure.denominator_is)
    }
}

fn na() -> String {
    "n/a".to_owned()
}

fn percent(rate: f64) -> String {
    let percent = rate * 100.0;
    // A complaint rate of 0.0312 % must not read as 0.03 %, nor 99.97 % as 100 %.
    if percent != 0.0 && percent < 1.0 {
        format!("{percent:.4} %")
    } else {
        format!("{percent:.2} %")
    }
}

/// `1,204,000`.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time for people: `850 ms`, `1.2 s`, `3 min 5 s`, `2 h 10 min`.
#[must_use]
pub fn duration(milliseconds: i64) -> String {
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        60_000..3_600_000 => {
            format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1_000)
        }
        _ => format!("{} h {} min", milliseconds / 3_600_000, milliseconds % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Kind};

    fn rate(numerator: i64, denominator: i64) -> Figure {
        Figure {
            group: None,
            metric: "complaint rate".to_owned(),
            kind: Kind::Rate,
            numerator: Some(numerator),
            denominator,
            numerator_is: "complaints".to_owned(),
            denominator_is: "delivered".to_owned(),
        }
    }

    #[test]
    fn nothing_known_is_not_zero() {
        assert_eq!(rate(0, 0).value(), "n/a");
        assert_eq!(rate(0, 0).rate(), None);
        assert_eq!(rate(0, 1200).value(), "0.00 %");
    }

    #[test]
    fn an_interval_is_wide_where_little_is_known() {
        assert_eq!(rate(0, 0).interval(), None);
        let (low, high) = rate(1, 10).interval().expect("a rate");
        // Wilson's interval for 1 of 10, as published in tables.
        assert!((low - 0.0179).abs() < 1e-4 && (high - 0.4042).abs() < 1e-4, "{low} {high}");
        let (low, high) = rate(0, 5000).interval().expect("a rate");
        assert!(low == 0.0 && high < 0.001, "{low} {high}");
        assert_eq!(rate(7, 7).interval().map(|(_, high)| high), Some(1.0));
    }

    #[test]
    fn small_rates_keep_their_digits() {
        assert_eq!(rate(1, 3200).value(), "0.0312 %");
        assert_eq!(rate(981, 1000).value(), "98.10 %");
        assert_eq!(rate(1_234_567, 2_469_134).basis(), "(1,234,567 of 2,469,134)");
    }
}
