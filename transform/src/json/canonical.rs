//! One spelling for every JSON value: no white space, keys in order, each escape in one form.
//!
//! Owns the invariant that a document gives the same text however it was serialised on its way
//! (numbers excepted, which keep their spelling). Reads strictly: what comes out is valid JSON.

use std::borrow::Cow;

use super::reader::{RawString, Reader};
use super::{JsonError, Result, text};

/// Levels of nesting that are followed; what is nested deeper is refused.
pub(crate) const MAX_DEPTH: usize = 100;

/// Appends the value that `raw` holds.
pub(crate) fn write(raw: &str, out: &mut String) -> Result<()> {
    let mut reader = Reader::new(raw);
    write_value(&mut reader, out, 0)
}

// Recursion is bounded by MAX_DEPTH.
fn write_value(reader: &mut Reader<'_>, out: &mut String, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    match reader.peek()? {
        b'"' => {
            let string = reader.string()?;
            write_raw_string(string, out)
        }
        b'{' => write_object(reader, out, depth),
        b'[' => {
            reader.enter_array()?;
            out.push('[');
            let mut first = true;
            while reader.element(&mut first)? {
                if !out.ends_with('[') {
                    out.push(',');
                }
                write_value(reader, out, depth + 1)?;
            }
            out.push(']');
            Ok(())
        }
        _ => {
            out.push_str(reader.skip()?);
            Ok(())
        }
    }
}

fn write_raw_string(string: RawString<'_>, out: &mut String) -> Result<()> {
    if string.escaped {
        text::write_string(&string.decode()?, out);
        return Ok(());
    }
    out.push('"');
    out.push_str(string.inner);
    out.push('"');
    Ok(())
}

fn write_object(reader: &mut Reader<'_>, out: &mut String, depth: usize) -> Result<()> {
    reader.enter_object()?;
    let mut members: Vec<(Cow<'_, str>, usize, usize)> = Vec::new();
    // Values are written one after the other and brought into order afterwards.
    let mut values = String::new();
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        let start = values.len();
        write_value(reader, &mut values, depth + 1)?;
        members.push((key, start, values.len()));
    }
    // The sort is stable, so of equal keys the last stands last; it is the one that counts.
    members.sort_by(|a, b| a.0.cmp(&b.0));
    out.push('{');
    let mut written = false;
    for (i, (key, start, end)) in members.iter().enumerate() {
        if members.get(i + 1).is_some_and(|next| next.0 == *key) {
            continue;
        }
        if written {
            out.push(',');
        }
        text::write_string(key, out);
        out.push(':');
        out.push_str(&values[*start..*end]);
        written = true;
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Result<String> {
        let mut out = String::new();
        write(raw, &mut out).map(|()| out)
    }

    #[test]
    fn spelling_does_not_matter() {
        let plain = r#"{"a":[1,"é",{}],"b":{"x":null,"y":[[],[2]]}}"#;
        let spread =
            "{ \"b\" : {\"y\":[ [ ],[2]],\n\"x\":null} , \"\\u0061\":[1, \"\\u00e9\" ,{ }]}";
        assert_eq!(canonical(plain).unwrap(), plain);
        assert_eq!(canonical(spread).unwrap(), plain);
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        assert_eq!(canonical(r#"{"a":1,"b":2,"a":3}"#).unwrap(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for bad in ["{", "[1,]", "{\"a\" 1}", "{\"a\":1,}", "[1 2]", "[}", "tru", "\"\\q\""] {
            assert!(canonical(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_instead_of_followed() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(canonical(&deep), Err(JsonError::TooDeep));
    }
}
