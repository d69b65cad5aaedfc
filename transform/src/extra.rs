//! The column `extra`: what arrived and has no column of its own, as one JSON object.
//!
//! Owns the invariant that nothing that arrived is thrown away, message headers apart. The object
//! mirrors the structure of the document, and is spelled in one way only: keys in order, no white
//! space.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::json::{Result, canonical, text};
use crate::memory::Memory;

/// Where in the document a field stands: the names of the objects around it, from the outside. A
/// name that ends in `[]` is an array of which this is the only element shown.
pub(crate) type Path = &'static [&'static str];

/// A field that has no column.
#[derive(Clone, Debug)]
pub(crate) struct ExtraField<'a> {
    /// Where it stands.
    pub path: Path,
    /// Its name.
    pub key: Cow<'a, str>,
    /// What it holds.
    pub value: ExtraValue<'a>,
}

/// What a field without a column holds.
#[derive(Clone, Debug)]
pub(crate) enum ExtraValue<'a> {
    /// Any JSON value, as it is written.
    Raw(&'a str),
    /// A text.
    Text(Cow<'a, str>),
    /// A fact of ours: `true`.
    True,
}

impl<'a> ExtraField<'a> {
    /// Appends the field such that no two lists of fields give the same bytes.
    fn append_to(&self, list: &mut Vec<u8>) {
        let (kind, value) = match &self.value {
            ExtraValue::Raw(raw) => (0, *raw),
            ExtraValue::Text(text) => (1, text.as_ref()),
            ExtraValue::True => (2, ""),
        };
        // Paths are constants, told by where they stand.
        let numbers = [self.path.as_ptr() as usize, self.path.len(), self.key.len(), value.len()];
        for number in numbers {
            list.extend_from_slice(&number.to_ne_bytes());
        }
        list.push(kind);
        list.extend_from_slice(self.key.as_bytes());
        list.extend_from_slice(value.as_bytes());
    }

    /// A remark of ours at the top of the object.
    pub(crate) fn note(key: &'static str, value: ExtraValue<'a>) -> Self {
        Self { path: &[], key: Cow::Borrowed(key), value }
    }
}

/// What lists of fields were written as, for most events of a sender have one of a few lists.
#[derive(Debug, Default)]
pub(crate) struct WrittenExtras {
    known: Memory<Result<String>>,
    /// Room for a list of fields as bytes.
    list: Vec<u8>,
}

impl WrittenExtras {
    /// Appends the object that holds `fields`; nothing if there are none. The fields may be put in
    /// order.
    pub(crate) fn write(&mut self, fields: &mut [&ExtraField<'_>], out: &mut String) -> Result<()> {
        if fields.is_empty() {
            return Ok(());
        }
        self.list.clear();
        for field in &*fields {
            field.append_to(&mut self.list);
        }
        let written = self.known.meaning(&self.list, || {
            let mut written = String::new();
            write(fields, &mut written).map(|()| written)
        });
        out.push_str(written.as_ref().map_err(Clone::clone)?);
        Ok(())
    }
}

/// Appends the object that holds `fields`; nothing if there are none. The fields are put in order.
fn write(fields: &mut [&ExtraField<'_>], out: &mut String) -> Result<()> {
    if fields.is_empty() {
        return Ok(());
    }
    // Stable, so of fields with the same place the last stands last; it is the one that counts.
    fields.sort_by(|a, b| order(a, b));
    out.push('{');
    let mut open: Path = &[];
    for (i, field) in fields.iter().enumerate() {
        if fields.get(i + 1).is_some_and(|next| order(field, next) == Ordering::Equal) {
            continue;
        }
        let shared = open.iter().zip(field.path).take_while(|(a, b)| a == b).count();
        for name in open[shared..].iter().rev() {
            out.push_str(if name.ends_with("[]") { "}]" } else { "}" });
        }
        separate(out);
        for name in &field.path[shared..] {
            text::write_string(name.trim_end_matches("[]"), out);
            out.push_str(if name.ends_with("[]") { ":[{" } else { ":{" });
        }
        open = field.path;
        text::write_string(&field.key, out);
        out.push(':');
        match &field.value {
            ExtraValue::Raw(raw) => canonical::write(raw, out)?,
            ExtraValue::Text(value) => text::write_string(value, out),
            ExtraValue::True => out.push_str("true"),
        }
    }
    for name in open.iter().rev() {
        out.push_str(if name.ends_with("[]") { "}]" } else { "}" });
    }
    out.push('}');
    Ok(())
}

fn separate(out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
}

/// The order of fields: by the names on the way, from the outside.
fn order(a: &ExtraField<'_>, b: &ExtraField<'_>) -> Ordering {
    for (i, name) in a.path.iter().enumerate() {
        let name = name.trim_end_matches("[]");
        let other = match b.path.get(i) {
            Some(other) => other.trim_end_matches("[]"),
            None if i == b.path.len() => b.key.as_ref(),
            None => return Ordering::Greater,
        };
        match name.cmp(other) {
            Ordering::Equal => {}
            different => return different,
        }
    }
    match b.path.get(a.path.len()) {
        Some(other) => a.key.as_ref().cmp(other.trim_end_matches("[]")).then(Ordering::Less),
        None if a.path.len() == b.path.len() => a.key.cmp(&b.key),
        None => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(path: Path, key: &'static str, value: &'static str) -> ExtraField<'static> {
        ExtraField { path, key: Cow::Borrowed(key), value: ExtraValue::Raw(value) }
    }

    #[test]
    fn the_structure_of_the_document_is_mirrored_in_order() {
        let fields = [
            raw(&["mail"], "sourceArn", "\"arn\""),
            raw(&["bounce"], "feedbackId", "\"f\""),
            raw(&[], "zebra", "[1, 2]"),
            ExtraField::note("event_type", ExtraValue::Text("x\"y".into())),
            raw(&["bounce", "bouncedRecipients[]"], "action", "\"failed\""),
            raw(&["mail"], "callerIdentity", "\"c\""),
            raw(&[], "alpha", "{ }"),
        ];
        let mut refs: Vec<&ExtraField<'_>> = fields.iter().collect();
        let mut out = String::new();
        write(&mut refs, &mut out).unwrap();
        assert_eq!(
            out,
            r#"{"alpha":{},"bounce":{"bouncedRecipients":[{"action":"failed"}],"feedbackId":"f"},"event_type":"x\"y","mail":{"callerIdentity":"c","sourceArn":"arn"},"zebra":[1,2]}"#
        );
    }

    #[test]
    fn what_was_written_before_makes_no_difference() {
        let kinds = |key: &'static str, value: &'static str| {
            [
                raw(&["mail"], key, value),
                raw(&["bounce"], key, value),
                ExtraField::note(key, ExtraValue::Text(value.into())),
                ExtraField::note(key, ExtraValue::True),
            ]
        };
        let bad = raw(&[], "bad", "{");
        let mut fields = kinds("a", "1").to_vec();
        fields.extend(kinds("b", "1"));
        fields.extend(kinds("a", "2"));
        let mut known = WrittenExtras::default();
        for first in &fields {
            for second in &fields {
                for list in [vec![first], vec![first, second], vec![], vec![second], vec![second]] {
                    let (mut out, mut expected) = (String::new(), String::new());
                    known.write(&mut list.clone(), &mut out).unwrap();
                    write(&mut list.clone(), &mut expected).unwrap();
                    assert_eq!(out, expected);
                }
                assert!(known.write(&mut [&bad], &mut String::new()).is_err());
                assert!(known.write(&mut [&bad], &mut String::new()).is_err());
            }
        }
    }

    #[test]
    fn no_fields_give_nothing() {
        let mut out = String::new();
        write(&mut [], &mut out).unwrap();
        assert_eq!(out, "");
    }
}
