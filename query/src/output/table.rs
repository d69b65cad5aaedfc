//! Columns for people, in the manner of psql.

use std::fmt::Write as _;
use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use unicode_width::UnicodeWidthChar;

use super::text::columns;
use super::{OutputError, ResultWriter};

/// Rows that decide the widths of the columns. Later rows are written as they come, so that a long
/// result neither waits for its end nor fills the memory; a wider cell there just sticks out.
const ROWS_MEASURED: usize = 10_000;

/// Which side of its column a cell is flush with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table whose cells are all at hand.
#[derive(Debug)]
pub struct TextTable {
    headers: Vec<String>,
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table with these columns and no rows.
    #[must_use]
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            headers: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; control characters in it are made visible.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| visible(&cell)).collect());
    }

    /// The table as text, each line ended.
    #[must_use]
    pub fn render(&self) -> String {
        let widths = widths(&self.headers, &self.rows);
        let mut out = String::new();
        header(&self.headers, &widths, &mut out);
        for row in &self.rows {
            line(row, &widths, &self.aligns, &mut out);
        }
        out
    }
}

/// Writes a result as a table, with the number of rows below.
pub(super) struct TableWriter<'a> {
    out: Box<dyn Write + Send + 'a>,
    headers: Vec<String>,
    aligns: Vec<Align>,
    widths: Option<Vec<usize>>,
    waiting: Vec<Vec<String>>,
    rows: u64,
}

impl<'a> TableWriter<'a> {
    pub(super) fn new(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>) -> Self {
        let headers: Vec<String> =
            schema.fields().iter().map(|field| visible(field.name())).collect();
        let aligns = vec![Align::Left; headers.len()];
        Self { out, headers, aligns, widths: None, waiting: Vec::new(), rows: 0 }
    }

    fn hand_on(&mut self) -> Result<(), OutputError> {
        let mut out = String::new();
        if self.widths.is_none() {
            let widths = widths(&self.headers, &self.waiting);
            header(&self.headers, &widths, &mut out);
            self.widths = Some(widths);
        }
        let widths = self.widths.as_deref().unwrap_or_default();
        for row in self.waiting.drain(..) {
            line(&row, widths, &self.aligns, &mut out);
        }
        Ok(self.out.write_all(out.as_bytes())?)
    }
}

impl ResultWriter for TableWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = columns(batch)?;
        for (align, column) in self.aligns.iter_mut().zip(&columns) {
            *align = if column.is_number() { Align::Right } else { Align::Left };
        }
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(columns.len());
            for column in &columns {
                let mut cell = String::new();
                column.text(row, &mut cell);
                cells.push(visible(&cell));
            }
            self.waiting.push(cells);
            self.rows += 1;
            if self.widths.is_none() && self.waiting.len() == ROWS_MEASURED {
                self.hand_on()?;
            }
        }
        if self.widths.is_some() {
            self.hand_on()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.hand_on()?;
        let noun = if self.rows == 1 { "row" } else { "rows" };
        writeln!(self.out, "({} {noun})", self.rows)?;
        Ok(self.out.flush()?)
    }
}

fn widths(headers: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = headers.iter().map(|name| width(name)).collect();
    for row in rows {
        for (known, cell) in widths.iter_mut().zip(row) {
            *known = (*known).max(width(cell));
        }
    }
    widths
}

fn header(headers: &[String], widths: &[usize], out: &mut String) {
    let lefts = vec![Align::Left; headers.len()];
    line(headers, widths, &lefts, out);
    for (index, width) in widths.iter().enumerate() {
        out.push_str(if index == 0 { "-" } else { "-+-" });
        out.extend(std::iter::repeat_n('-', *width));
    }
    out.push_str("-\n");
}

fn line(cells: &[String], widths: &[usize], aligns: &[Align], out: &mut String) {
    let start = out.len();
    for (index, cell) in cells.iter().enumerate() {
        out.push_str(if index == 0 { " " } else { " | " });
        let padding = widths[index].saturating_sub(width(cell));
        if aligns[index] == Align::Right {
            out.extend(std::iter::repeat_n(' ', padding));
            out.push_str(cell);
        } else {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', padding));
        }
    }
    let end = out[start..].trim_end().len();
    out.truncate(start + end);
    out.push('\n');
}

/// Columns of a terminal that the text takes; East Asian wide characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The text with control characters spelled out: data must not move the cursor or colour the
/// terminal of whoever reads it.
fn visible(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            control if control.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(control));
            }
            other => shown.push(other),
        }
    }
    shown
}
