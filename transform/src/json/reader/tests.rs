use super::*;

#[test]
fn keys_and_values_are_slices_of_the_input() {
    let mut reader = Reader::new(r#" {"a" : "x", "b":[1, 2.5e3 ,null], "c":{"d":"}"}, "e":7} "#);
    reader.enter_object().unwrap();
    let mut first = true;
    assert_eq!(reader.key(&mut first).unwrap().unwrap(), "a");
    assert_eq!(reader.field().unwrap(), Field::Text("x".into()));
    assert_eq!(reader.key(&mut first).unwrap().unwrap(), "b");
    assert_eq!(reader.field().unwrap(), Field::Nested("[1, 2.5e3 ,null]"));
    assert_eq!(reader.key(&mut first).unwrap().unwrap(), "c");
    assert_eq!(reader.skip().unwrap(), r#"{"d":"}"}"#);
    assert_eq!(reader.key(&mut first).unwrap().unwrap(), "e");
    assert_eq!(reader.field().unwrap(), Field::Text("7".into()));
    assert_eq!(reader.key(&mut first).unwrap(), None);
}

#[test]
fn a_raw_control_character_in_a_string_is_an_error_even_where_it_is_skipped() {
    assert_eq!(Reader::new("\"a\nb\"").string(), Err(JsonError::Control));
    assert_eq!(Reader::new("\"a\0b\"").string(), Err(JsonError::Control));
    assert_eq!(Reader::new("[\"a\nb\"]").skip(), Err(JsonError::Control));
    let long = format!("[\"{}\n\"]", "x".repeat(200));
    assert_eq!(Reader::new(&long).skip(), Err(JsonError::Control));
    assert!(Reader::new("[\"a\",\n\"b\"]").skip().is_ok());
}

#[test]
fn numbers_are_those_of_the_rfc() {
    for good in
        ["0", "-0", "10", "1.5", "1e5", "1E+5", "-12.25e-3", "123456789012345678901234567890"]
    {
        assert!(is_number(good.as_bytes()), "{good}");
    }
    for bad in ["", "-", "01", "1.", ".5", "1e", "+1", "0x10", "NaN", "1.e5", "--1", "1_0"] {
        assert!(!is_number(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn nesting_of_any_depth_is_skipped_without_a_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Reader::new(&deep).skip().unwrap().len(), deep.len());
    let open = "[".repeat(100_000);
    assert_eq!(Reader::new(&open).skip(), Err(JsonError::Truncated));
}

#[test]
fn a_container_ends_where_its_brackets_balance_at_any_offset() {
    for pad in 0..140 {
        let inner = "x".repeat(pad);
        let text = format!(r#"{{"a":"{inner}]}}\"","b":[{{}}]}}{{"next":1}}"#);
        let end = text.find(r#"{"next""#).unwrap();
        assert_eq!(Reader::new(&text).skip().unwrap(), &text[..end], "{pad}");
    }
}
