//! Turns segments that were exported from Amazon Pinpoint into definitions over the view `endpoints`.
//!
//! Invariant: what cannot be carried over lets nobody in: a condition that has no counterpart is false
//! where it would let people in, and true where it would keep them out. Every such place is reported.

mod condition;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde_json::{Map, Value};

use condition::Writer;

/// A segment in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Name of the new segment, and of its file.
    pub name: String,
    /// Name in Pinpoint.
    pub original: String,
    /// The whole file, header included.
    pub text: String,
    /// What is not as it was.
    pub notes: Vec<Note>,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How it differs.
    pub kind: NoteKind,
    /// What it is about, and what became of it.
    pub text: String,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// Something near it stands for it.
    Approximated,
    /// It could not be carried over and lets nobody in.
    Left,
    /// It needs something else to be done first.
    ToDo,
}

impl NoteKind {
    /// The kind as one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approximated => "approximated",
            Self::Left => "left out",
            Self::ToDo => "to do",
        }
    }
}

/// Converts everything that the documents hold: answers of `aws pinpoint get-segment` and
/// `get-segments`, lists of segments, or segments by themselves. Segments that refer to one another have
/// to be among them.
///
/// # Errors
/// A sentence if a document holds no segment.
pub fn convert(documents: Vec<Value>) -> Result<Vec<Converted>, String> {
    let mut exported = Vec::new();
    for document in documents {
        segments_in(document, &mut exported)?;
    }
    let mut names = HashSet::new();
    Ok(exported.iter().map(|segment| converted(segment, &exported, &mut names)).collect())
}

type Exported = Map<String, Value>;

/// The segments of a document.
fn segments_in(document: Value, found: &mut Vec<Exported>) -> Result<(), String> {
    match document {
        Value::Array(all) => {
            for one in all {
                segments_in(one, found)?;
            }
            Ok(())
        }
        Value::Object(mut fields) => {
            for wrapping in ["SegmentsResponse", "SegmentResponse", "WriteSegmentRequest", "Item"] {
                if let Some(inner @ (Value::Object(_) | Value::Array(_))) = fields.remove(wrapping)
                {
                    return segments_in(inner, found);
                }
            }
            let parts = ["Dimensions", "SegmentGroups", "ImportDefinition"];
            if !parts.iter().any(|part| fields.contains_key(*part)) {
                return Err(
                    "a segment has Dimensions, SegmentGroups or ImportDefinition; this is what \
                            `aws pinpoint get-segment` prints"
                        .to_owned(),
                );
            }
            found.push(fields);
            Ok(())
        }
        _ => Err("it is no JSON object or list".to_owned()),
    }
}

fn converted(segment: &Exported, exported: &[Exported], names: &mut HashSet<String>) -> Converted {
    let text = |name: &str| segment.get(name).and_then(Value::as_str).unwrap_or_default();
    let original = one_line(if text("Name").is_empty() { text("Id") } else { text("Name") });
    let name = unused(&slug(&original), names);
    let mut writer = Writer::new(exported);
    let condition = writer.segment(segment, true);
    let (joins, notes) = writer.finish();

    let mut lines = vec![
        format!("-- description = {}", Value::from(format!("Pinpoint segment {original}"))),
        "-- key = \"address\"".to_owned(),
        "-- attributes = [\"endpoint_id\", \"user_id\"]".to_owned(),
        "--".to_owned(),
        format!(
            "-- Converted from an exported Amazon Pinpoint segment, id {}.",
            one_line(text("Id"))
        ),
        "-- One row an address: of several endpoints the greatest id stands for all.".to_owned(),
    ];
    for note in &notes {
        lines.push(format!("-- ({}) {}", note.kind.word(), note.text));
    }
    lines.push("SELECT".to_owned());
    lines.push("    e.address AS address,".to_owned());
    lines.push("    max(e.endpoint_id) AS endpoint_id,".to_owned());
    lines.push("    max(e.user_id) AS user_id".to_owned());
    lines.push("FROM endpoints AS e".to_owned());
    lines.extend(joins);
    lines.push("WHERE".to_owned());
    lines.push("    e.channel = 'EMAIL'".to_owned());
    lines.push("    AND e.address IS NOT NULL".to_owned());
    lines.push("    AND coalesce(e.endpoint_status, 'ACTIVE') <> 'INACTIVE'".to_owned());
    lines.push("    AND coalesce(e.opt_out, 'NONE') <> 'ALL'".to_owned());
    lines.push(format!("    AND {condition}"));
    lines.push("GROUP BY e.address".to_owned());
    Converted { name, original, text: lines.join("\n") + "\n", notes }
}

/// A name that is fit for a segment.
fn slug(original: &str) -> String {
    let mut name = String::new();
    for letter in original.to_lowercase().chars() {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_matches(['-', '_']);
    let name: String = name.chars().take(60).collect();
    if name.is_empty() { "segment".to_owned() } else { name }
}

fn unused(name: &str, names: &mut HashSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while !names.insert(candidate.clone()) {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    candidate
}

/// A text that can stand in a comment of one line.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
