use serde_json::json;

use super::*;

fn one(segment: Value) -> Converted {
    convert(vec![segment]).expect("a segment").remove(0)
}

fn condition(dimensions: &Value) -> (String, Vec<String>) {
    let converted = one(json!({"Id": "s1", "Name": "x", "Dimensions": dimensions}));
    let begin = converted.text.find("<> 'ALL'\n    AND ").expect("a condition");
    let condition = converted.text[begin + 16..].trim_end_matches("\nGROUP BY e.address\n");
    let notes = converted.notes.iter().map(|note| note.kind.word().to_owned()).collect();
    (condition.trim().to_owned(), notes)
}

#[test]
fn dimensions_become_conditions() {
    let cases = [
        (
            json!({"Attributes": {"plan": {"AttributeType": "INCLUSIVE", "Values": ["pro", "it's"]}}}),
            "coalesce(array_has_any(e.attributes['plan'], make_array('pro', 'it''s')), false)",
        ),
        (
            json!({"UserAttributes": {"since": {"AttributeType": "AFTER", "Values": ["2025-01-01"]}}}),
            "coalesce(TRY_CAST(e.user_attributes['since'][1] AS TIMESTAMP) > CAST('2025-01-01T00:00:00Z' AS TIMESTAMP), false)",
        ),
        (
            json!({"Metrics": {"visits": {"ComparisonOperator": "GREATER_THAN_OR_EQUAL", "Value": 3}}}),
            "coalesce(TRY_CAST(e.metrics->>'visits' AS DOUBLE) >= 3.0, false)",
        ),
        (
            json!({"Location": {"Country": {"DimensionType": "INCLUSIVE", "Values": ["JP"]}}, "Attributes": {}, "Behavior": null}),
            "coalesce(e.location->>'Country' IN ('JP'), false)",
        ),
    ];
    for (dimensions, expected) in cases {
        assert_eq!(condition(&dimensions), (expected.to_owned(), Vec::new()));
    }
}

#[test]
fn what_cannot_be_carried_over_lets_nobody_in() {
    let unknown = json!({"Demographic": {"DeviceType": {"Values": ["phone"]}}});
    assert_eq!(condition(&unknown), ("false".to_owned(), vec!["left out".to_owned()]));
    let none = one(json!({"Id": "s", "Name": "n", "SegmentGroups": {"Include": "ALL", "Groups": [
        {"Type": "NONE", "Dimensions": [unknown]},
    ]}}));
    assert!(none.text.contains("AND (NOT (true))"), "{}", none.text);
    let elsewhere = one(
        json!({"Id": "s", "Name": "n", "SegmentGroups": {"Include": "ANY", "Groups": [
            {"SourceType": "ALL", "SourceSegments": [{"Id": "gone"}], "Type": "ALL", "Dimensions": []},
        ]}}),
    );
    assert!(elsewhere.text.contains("(false AND true)"), "{}", elsewhere.text);
    let sooner =
        one(json!({"Id": "s", "Name": "n", "SegmentGroups": {"Groups": [{"Novelty": [1]}]}}));
    assert!(sooner.text.contains("AND false"), "{}", sooner.text);
}

#[test]
fn groups_and_segments_within_segments_are_followed() {
    let plan = |value: &str| json!({"Attributes": {"plan": {"AttributeType": "INCLUSIVE", "Values": [value]}}});
    let answer = json!({"SegmentsResponse": {"Item": [
        {"Id": "a", "Name": "Pro users!", "SegmentType": "DIMENSIONAL", "Dimensions": plan("pro")},
        {"Id": "b", "Name": "pro users", "SegmentGroups": {"Include": "ANY", "Groups": [
            {"SourceType": "ANY", "SourceSegments": [{"Id": "a", "Version": 1}], "Type": "NONE", "Dimensions": [plan("x"), plan("y")]},
            {"Dimensions": [plan("z")]},
        ]}},
        {"Id": "c", "Name": "A list", "SegmentType": "IMPORT", "ImportDefinition": {"S3Url": "s3://b/list.csv", "Format": "CSV"}},
        {"Id": "d", "Name": "loop", "SegmentGroups": {"Groups": [{"SourceSegments": [{"Id": "d"}]}]}},
    ]}});
    let converted = convert(vec![answer]).expect("segments");
    let names: Vec<&str> = converted.iter().map(|segment| segment.name.as_str()).collect();
    assert_eq!(names, ["pro-users", "pro-users-2", "a-list", "loop"]);
    let has = |value: &str| {
        format!("coalesce(array_has_any(e.attributes['plan'], make_array('{value}')), false)")
    };
    let expected =
        format!("AND (({} AND (NOT ({} OR {}))) OR {})", has("pro"), has("x"), has("y"), has("z"));
    assert!(converted[1].text.contains(&expected), "{}", converted[1].text);
    assert!(converted[2].text.contains("import_name = 'c'"), "{}", converted[2].text);
    assert_eq!(converted[2].notes[0].kind, NoteKind::ToDo);
    assert_eq!(converted[3].notes[0].kind, NoteKind::Left);
}

#[test]
fn what_is_no_segment_is_refused() {
    for wrong in [json!({"Name": "x"}), json!(3), json!([{"Id": 1}])] {
        assert!(convert(vec![wrong]).is_err());
    }
}
