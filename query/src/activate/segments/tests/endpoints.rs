use serde_json::json;

use super::*;
use crate::activate::segments::convert::convert;
use crate::activate::segments::definition::segments_in_folder;
use crate::activate::segments::endpoints::{Imported, Importer};
use crate::activate::segments::members::Question;

const NDJSON: &str = r#"{"Id":"e1","ChannelType":"EMAIL","Address":"Ann@Example.COM","EndpointStatus":"ACTIVE","OptOut":"NONE","EffectiveDate":"2026-01-01T00:00:00.000Z","Attributes":{"plan":["pro","old"]},"Metrics":{"visits":5.0},"Demographic":{"Platform":"iOS"},"Location":{"Country":"JP","Latitude":35.68,"Longitude":139.76},"User":{"UserId":"u1","UserAttributes":{"since":["2025-06-01"]}},"CohortId":"7"}
garbage p@example.com
{"Id":"e2","ChannelType":"EMAIL","Address":"bob@example.com","OptOut":"ALL","Attributes":{"plan":["pro"]}}
{"Id":"e3","ChannelType":"SMS","Address":"+15550100","Attributes":{"plan":["pro"]}}
{"Id":"e1","ChannelType":"EMAIL","Address":"Ann@Example.COM","OptOut":"NONE","EffectiveDate":"2025-01-01T00:00:00.000Z","Attributes":{"plan":["free"]}}
{"ChannelType":"EMAIL"}
"#;
const CSV: &str = "ChannelType,Address,User.UserId,Attributes.plan,Metrics.visits,Location.Country\n\
    EMAIL,carol@example.com,u3,\"[\"\"pro\"\",\"\"new\"\"]\",2,FR\n\
    EMAIL,dave@example.com,u4,free,9,\n";

async fn import(opened: &Opened, name: Option<&str>, text: &[u8]) -> Imported {
    let name = name.map(str::to_owned);
    let mut importer =
        Importer::begin(&opened.lake, name, clock, Uuid::new_v4()).await.expect("an importer");
    importer.file("export", text).await.expect("it can be read");
    importer.finish().await.expect("it is written")
}

/// Members of a converted segment.
async fn members(opened: &Opened, exported: Value) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let converted = convert(vec![exported]).expect("a segment").remove(0);
    std::fs::write(folder.path().join("x.sql"), &converted.text).expect("a file");
    let read = segments_in_folder(folder.path(), folder.path(), &[]).expect("a segment");
    let question = Question::plan(&opened.engine, &read[0]).await;
    let question = question.unwrap_or_else(|error| panic!("{error}: {}", converted.text));
    let mut rows = question.ask().await.expect("it runs");
    let mut found = Vec::new();
    while let Some(member) = rows.next().await.unwrap_or_else(|e| panic!("{e}: {}", converted.text))
    {
        found.push(member.key);
    }
    found
}

fn dimensional(dimensions: &Value) -> Value {
    json!({"Id": "s", "Name": "x", "Dimensions": dimensions})
}

#[tokio::test]
async fn exported_endpoints_are_imported_once_and_what_is_none_stops_nothing() {
    let lake = TestLake::of(&people(1)).await;
    let opened = lake.open().await;
    let first = import(&opened, None, NDJSON.as_bytes()).await;
    assert_eq!((first.endpoints, first.added, first.rejected), (4, 4, 2), "{first:?}");
    assert_eq!(first.reasons[0], "export, line 2: it is no JSON");
    assert_eq!(first.reasons[1], "export, line 6: it has neither Id nor Address");
    let again = import(&opened, None, NDJSON.as_bytes()).await;
    assert_eq!((again.endpoints, again.added), (4, 0));
    let table = import(&opened, None, CSV.as_bytes()).await;
    assert_eq!((table.endpoints, table.added), (2, 2));
    let opened = lake.open().await;
    assert_eq!(opened.count("SELECT count(*) FROM endpoints").await, 5);
    let newest = "SELECT count(*) FROM endpoints WHERE endpoint_id = 'e1' AND address = 'ann@example.com' \
                  AND attributes['plan'][1] = 'pro' AND user_attributes['since'][1] = '2025-06-01' \
                  AND metrics->>'visits' = '5.0' AND extra->>'CohortId' = '7' AND user_id = 'u1'";
    assert_eq!(opened.count(newest).await, 1);
}

#[tokio::test]
async fn a_converted_segment_has_the_members_that_it_had() {
    let lake = TestLake::of(&people(1)).await;
    let opened = lake.open().await;
    import(&opened, None, NDJSON.as_bytes()).await;
    import(&opened, None, CSV.as_bytes()).await;
    let opened = lake.open().await;
    let (ann, carol, dave) = ("ann@example.com", "carol@example.com", "dave@example.com");
    let has = |plan: &str, kind: &str| {
        dimensional(&json!({"Attributes": {"plan": {"AttributeType": kind, "Values": [plan]}}}))
    };
    assert_eq!(members(&opened, has("pro", "INCLUSIVE")).await, [ann, carol]);
    assert_eq!(members(&opened, has("pro", "EXCLUSIVE")).await, [dave]);
    assert_eq!(members(&opened, has("re", "CONTAINS")).await, [dave]);
    let visits =
        json!({"Metrics": {"visits": {"ComparisonOperator": "GREATER_THAN", "Value": 2.0}}});
    assert_eq!(members(&opened, dimensional(&visits)).await, [ann, dave]);
    let since = json!({"UserAttributes": {"since": {"AttributeType": "BETWEEN", "Values": ["2025-01-01", "2025-12-31T00:00:00Z"]}}});
    assert_eq!(members(&opened, dimensional(&since)).await, [ann]);
    let on =
        json!({"UserAttributes": {"since": {"AttributeType": "ON", "Values": ["2025-06-01"]}}});
    assert_eq!(members(&opened, dimensional(&on)).await, [ann]);
    let near = json!({"Location": {"GPSPoint": {"Coordinates": {"Latitude": 35.7, "Longitude": 139.7}, "RangeInKilometers": 10.0}}});
    assert_eq!(members(&opened, dimensional(&near)).await, [ann]);
    let ios = json!({"Demographic": {"Platform": {"DimensionType": "INCLUSIVE", "Values": ["iOS"]}}, "Behavior": {"Recency": {"Duration": "DAY_30", "RecencyType": "INACTIVE"}}});
    assert_eq!(members(&opened, dimensional(&ios)).await, [ann]);

    // An imported segment is the list that was imported under its id.
    import(&opened, Some("list-1"), CSV.as_bytes()).await;
    let opened = lake.open().await;
    let list = json!({"Id": "list-1", "Name": "x", "SegmentType": "IMPORT", "ImportDefinition": {"S3Url": "s3://b/x"}});
    assert_eq!(members(&opened, list).await, [carol, dave]);
}

#[tokio::test]
async fn whoever_opted_out_in_pinpoint_is_in_no_segment() {
    let lake =
        TestLake::of(&[delivered("m1", "bob@example.com"), delivered("m2", "zoe@example.com")])
            .await;
    let opened = lake.open().await;
    import(&opened, None, NDJSON.as_bytes()).await;
    let opened = lake.open().await;
    let plan = opened.plan(&segment(EVERYBODY)).await;
    assert_eq!((plan.header.counts.add, plan.header.census.excluded["unsubscribed"]), (1, 1));
}
