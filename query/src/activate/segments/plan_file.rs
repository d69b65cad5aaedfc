//! Plans as one JSON document: an array with an object for each destination, a line for each change.
//!
//! Invariant: a plan that was read is the plan that was written; one that was altered is refused. A
//! plan of any size is written and read without being held in memory.

use std::fmt;
use std::io::{Read, Write};

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::change::{Change, ChangeText, Changes, ChangesWriter};
use super::definition::DestinationSpec;
use super::error::SegmentError;
use super::plan::{Plan, PlanHeader, plan_id};

/// Writes plans as one document.
///
/// # Errors
/// If the output or a temporary file fails.
pub fn write_plans(plans: &mut [Plan], out: &mut dyn Write) -> Result<(), SegmentError> {
    out.write_all(b"[")?;
    for (index, plan) in plans.iter_mut().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        let mut header = serde_json::to_value(&plan.header).map_err(std::io::Error::other)?;
        header["spec"] = serde_json::to_value(&plan.spec).map_err(std::io::Error::other)?;
        write_with_items(&header, &mut plan.changes, out)?;
    }
    out.write_all(b"\n]\n")?;
    Ok(())
}

/// Writes an object, with changes as its `items`.
///
/// # Errors
/// If the output or the temporary file fails.
pub fn write_with_items(
    object: &Value,
    changes: &mut Changes,
    out: &mut dyn Write,
) -> Result<(), SegmentError> {
    let text = serde_json::to_string_pretty(object).map_err(std::io::Error::other)?;
    let open = text.trim_end().trim_end_matches('}').trim_end();
    out.write_all(open.as_bytes())?;
    out.write_all(b",\n  \"items\": [")?;
    let mut lines = changes.read()?;
    let mut first = true;
    while let Some(line) = lines.next_line()? {
        out.write_all(if first { b"\n    " } else { b",\n    " })?;
        out.write_all(line.as_bytes())?;
        first = false;
    }
    out.write_all(b"]\n}")?;
    Ok(())
}

/// Reads plans back.
///
/// # Errors
/// [`SegmentError::Plan`] if the text is no plan, or was altered.
pub fn read_plans(input: impl Read) -> Result<Vec<Plan>, SegmentError> {
    let mut reader = serde_json::Deserializer::from_reader(std::io::BufReader::new(input));
    let no_plan = |error: &dyn fmt::Display| {
        SegmentError::Plan(format!("it is not a plan of `hearback segments plan`: {error}"))
    };
    let read = reader.deserialize_seq(PlansVisitor).map_err(|error| no_plan(&error))?;
    reader.end().map_err(|error| no_plan(&error))?;
    let mut plans = Vec::with_capacity(read.len());
    for (mut fields, changes) in read {
        let spec = fields.remove("spec").unwrap_or_default();
        let spec: DestinationSpec =
            serde_json::from_value(spec).map_err(|error| no_plan(&error))?;
        let header: PlanHeader =
            serde_json::from_value(Value::Object(fields)).map_err(|error| no_plan(&error))?;
        let whole = plan_id(&header, &changes) == header.plan_id
            && changes.len() == header.counts.changes()
            && spec.identity() == header.destination;
        if !whole {
            return Err(SegmentError::Plan(format!(
                "the plan {} was altered after it was made",
                header.plan_id
            )));
        }
        plans.push(Plan { header, changes, spec });
    }
    Ok(plans)
}

struct PlansVisitor;

impl<'de> Visitor<'de> for PlansVisitor {
    type Value = Vec<(Map<String, Value>, Changes)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of plans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut plans: A) -> Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(plan) = plans.next_element_seed(PlanSeed)? {
            read.push(plan);
        }
        Ok(read)
    }
}

struct PlanSeed;

impl<'de> DeserializeSeed<'de> for PlanSeed {
    type Value = (Map<String, Value>, Changes);

    fn deserialize<D: Deserializer<'de>>(self, plan: D) -> Result<Self::Value, D::Error> {
        plan.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PlanSeed {
    type Value = (Map<String, Value>, Changes);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut read = Map::new();
        let mut changes = None;
        while let Some(name) = fields.next_key::<String>()? {
            if name == "items" {
                changes = Some(fields.next_value_seed(ItemsSeed)?);
            } else {
                read.insert(name, fields.next_value()?);
            }
        }
        let changes = changes.ok_or_else(|| A::Error::missing_field("items"))?;
        Ok((read, changes))
    }
}

struct ItemsSeed;

impl<'de> DeserializeSeed<'de> for ItemsSeed {
    type Value = Changes;

    fn deserialize<D: Deserializer<'de>>(self, items: D) -> Result<Changes, D::Error> {
        items.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed {
    type Value = Changes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of changes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Changes, A::Error> {
        let mut changes = ChangesWriter::new().map_err(A::Error::custom)?;
        while let Some(change) = items.next_element::<ChangeText>()? {
            changes.push(&Change::from(change)).map_err(A::Error::custom)?;
        }
        changes.finish().map_err(A::Error::custom)
    }
}
