use super::*;
use hearback_tests::StandIn;

pub(super) const DESTINATION: &str =
    "{ kind = \"customer-profiles\", domain = \"acme\", object_type = \"EmailEngagement\" }";

pub(super) fn environment(service: &StandIn) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL_CUSTOMER_PROFILES", service.endpoint()),
        ("AWS_ENDPOINT_URL", service.endpoint()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The profiles that have the segment's attribute.
pub(super) fn members(service: &StandIn) -> Vec<String> {
    let state = service.state();
    let profiles = state["profiles"].as_object().expect("profiles");
    let members = profiles.iter().filter(|(_, profile)| profile["segment_everybody"] == "in");
    members.map(|(address, _)| address.clone()).collect()
}

fn at(service: &StandIn) -> Hearback {
    Hearback::with(environment(service))
}

fn requests(service: &StandIn, of: &str) -> usize {
    let state = service.state();
    let requests = state["requests"].as_array().expect("requests");
    requests.iter().filter(|request| request.as_str().is_some_and(|it| it.contains(of))).count()
}

#[test]
fn members_are_state_objects_and_leaving_clears_the_attribute() {
    let service = StandIn::start("profiles", None);
    let hearback = at(&service);
    with_people(&hearback, 100);
    everybody_below(&hearback, 95, DESTINATION);
    assert_eq!(applied(&hearback)["add"], 95);
    assert_eq!(members(&service).len(), 95);
    assert_eq!(requests(&service, "batch-put-profile-object"), 10, "batches are full");
    let state = service.state();
    assert_eq!(state["profiles"][person(0)]["deliveries"], "1");
    assert_eq!(state["types"]["EmailEngagement"]["ExpirationDays"], 366);

    applied(&hearback);
    assert_eq!(
        requests(&service, "batch-put-profile-object"),
        10,
        "nothing changed, nothing is sent"
    );
    everybody_below(&hearback, 60, DESTINATION);
    assert_eq!(applied(&hearback)["remove"], 35);
    assert_eq!(members(&service).len(), 60);
    assert_eq!(requests(&service, "POST /domains/acme/segment-definitions"), 1, "defined once");
    assert_eq!(requests(&service, "PUT /domains/acme/object-types"), 1);
    assert_eq!(
        service.state()["objects"].as_object().map(serde_json::Map::len),
        Some(95),
        "one object a profile"
    );
    assert_eq!(service.state()["violations"], json!([]));
    assert_settled(&hearback);
}

#[test]
fn failures_under_http_200_are_tried_again_alone_or_told() {
    let service = StandIn::start("profiles", None);
    let hearback = at(&service);
    with_people(&hearback, 50);
    everybody_below(&hearback, 50, DESTINATION);
    // Two are throttled once; requests five and six meet a busy and a broken service.
    service.script(&json!({"items": {person(3): 429, person(30): 500}, "once": true, "answers": {"6": 429, "7": 503}}));
    assert_eq!(applied(&hearback)["add"], 50);
    assert_eq!(members(&service).len(), 50);
    everybody_below(&hearback, 49, DESTINATION);
    service.script(&json!({"items": {person(49): 400}}));
    let outcome = apply(&hearback);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(!outcome.stderr.contains("example.com"), "{outcome:?}");
    service.script(&json!({}));
    assert_eq!(applied(&hearback)["remove"], 1);
    assert_eq!(service.state()["violations"], json!([]));
    assert_settled(&hearback);
}

#[test]
fn many_come_by_an_upload_job_and_leave_by_batches() {
    let service = StandIn::start("profiles", None);
    let hearback = at(&service);
    with_people(&hearback, 90);
    let destination = DESTINATION.replace(" }", ", upload_above = 30, expiry_days = 60 }");
    everybody_below(&hearback, 80, &destination);
    assert_eq!(applied(&hearback)["add"], 80);
    assert_eq!(members(&service).len(), 80);
    assert_eq!(requests(&service, "batch-put-profile-object"), 0);
    everybody_below(&hearback, 45, &destination);
    assert_eq!(applied(&hearback)["remove"], 35);
    assert_eq!(members(&service).len(), 45, "an empty column of an upload would clear nothing");
    assert_eq!(service.state()["violations"], json!([]));

    // Of a job that fails in part nobody knows who: all come again.
    everybody_below(&hearback, 80, &destination);
    service.script(&json!({"partial_uploads": 2}));
    let outcome = apply(&hearback);
    assert_eq!((outcome.code, &outcome.json()[0]["failed"]), (4, &json!(35)), "{outcome:?}");
    service.script(&json!({}));
    assert_eq!(applied(&hearback)["add"], 35);
    assert_settled(&hearback);
}

#[test]
fn members_are_sent_again_before_they_expire() {
    let service = StandIn::start("profiles", None);
    let hearback = at(&service);
    with_people(&hearback, 10);
    let destination = DESTINATION.replace(" }", ", expiry_days = 60 }");
    everybody_below(&hearback, 10, &destination);
    applied(&hearback);
    let states = std::path::Path::new(hearback.lake()).join("_hearback/segments/everybody");
    let folder =
        std::fs::read_dir(states).expect("states").next().expect("a state").expect("a state");
    let manifest = folder.path().join("00000000000000000001.json");
    let mut generation: Value =
        serde_json::from_slice(&std::fs::read(&manifest).expect("a file")).expect("JSON");
    generation["refreshed_time"] = json!("2026-01-01T00:00:00Z");
    std::fs::write(&manifest, generation.to_string()).expect("a file");
    let report = applied(&hearback);
    assert_eq!((&report["refresh"], &report["keep"]), (&json!(10), &json!(0)), "{report}");
    assert_eq!(applied(&hearback)["refresh"], 0);
}

#[test]
fn a_domain_that_is_gone_is_drift() {
    let service = StandIn::start("profiles", None);
    let hearback = at(&service);
    with_people(&hearback, 10);
    everybody_below(&hearback, 10, DESTINATION);
    applied(&hearback);
    service.script(&json!({"domain": false}));
    let outcome = apply(&hearback);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert!(outcome.stderr.contains("--rebuild"), "{outcome:?}");
    service.script(&json!({"domain": true}));
    let rebuilt =
        hearback.run(["segments", "apply", "--yes", "--rebuild", "--format", "json", "-q"]);
    assert_eq!((rebuilt.code, &rebuilt.json()[0]["add"]), (0, &json!(10)), "{rebuilt:?}");
}
