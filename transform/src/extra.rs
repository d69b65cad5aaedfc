//! The column `extra`: what arrived and has no column of its own, as one JSON object.
//!
//! Owns the invariant that nothing that arrived is thrown away, message headers apart. The object
//! mirrors the structure of the document, and is spelled in one way only: keys in order, no white
//! space.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::json::{Result, canonical, text};

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
    /// A remark of ours at the top of the object.
    pub(crate) fn note(key: &'static str, value: ExtraValue<'a>) -> Self {
        Self { path: &[], key: Cow::Borrowed(key), value }
    }
}

/// What was written last, for most events of a sender have the same fields without a column.
#[derive(Debug, Default)]
pub(crate) struct LastExtra {
    fields: Vec<KeptField>,
    /// What they gave.
    written: String,
}

#[derive(Debug)]
struct KeptField {
    path: Path,
    key: String,
    value: KeptValue,
}

#[derive(Debug, PartialEq, Eq)]
enum KeptValue {
    Raw(String),
    Text(String),
    True,
}

impl KeptField {
    fn of(field: &ExtraField<'_>) -> Self {
        let value = match &field.value {
            ExtraValue::Raw(raw) => KeptValue::Raw((*raw).to_owned()),
            ExtraValue::Text(text) => KeptValue::Text(text.as_ref().to_owned()),
            ExtraValue::True => KeptValue::True,
        };
        Self { path: field.path, key: field.key.as_ref().to_owned(), value }
    }

    fn is(&self, field: &ExtraField<'_>) -> bool {
        let same_value = match (&self.value, &field.value) {
            (KeptValue::Raw(kept), ExtraValue::Raw(raw)) => kept == raw,
            (KeptValue::Text(kept), ExtraValue::Text(text)) => kept == text,
            (KeptValue::True, ExtraValue::True) => true,
            _ => false,
        };
        same_value && self.key == field.key && self.path == field.path
    }
}

impl LastExtra {
    /// Appends the object that holds `fields`; nothing if there are none. The fields may be put in
    /// order.
    pub(crate) fn write(&mut self, fields: &mut [&ExtraField<'_>], out: &mut String) -> Result<()> {
        let same = self.fields.len() == fields.len()
            && self.fields.iter().zip(&*fields).all(|(kept, field)| kept.is(field));
        if !same {
            self.fields.clear();
            self.written.clear();
            let kept: Vec<KeptField> = fields.iter().map(|field| KeptField::of(field)).collect();
            write(fields, &mut self.written)?;
            self.fields = kept;
        }
        out.push_str(&self.written);
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
        let mut last = LastExtra::default();
        for first in &fields {
            for second in &fields {
                for list in [vec![first], vec![first, second], vec![], vec![second], vec![second]] {
                    let (mut out, mut expected) = (String::new(), String::new());
                    last.write(&mut list.clone(), &mut out).unwrap();
                    write(&mut list.clone(), &mut expected).unwrap();
                    assert_eq!(out, expected);
                }
                assert!(last.write(&mut [&bad], &mut String::new()).is_err());
                assert!(last.write(&mut [&bad], &mut String::new()).is_err());
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
