use super::*;
use hearback_tests::{FakeCloud, StandIn};

pub(super) fn application(cloud: &FakeCloud) -> String {
    let id = cloud.boto(
        "print(pinpoint.create_app(CreateApplicationRequest={'Name': 'acme'})['ApplicationResponse']['Id'])",
    );
    id.trim().to_owned()
}

/// Addresses of the endpoints that have the segment's attribute.
pub(super) fn members(cloud: &FakeCloud, application: &str, count: usize) -> usize {
    // Endpoints can only be asked for by id: ids are the ledger's business, so people are looked up by
    // the id that their address makes.
    let found = cloud.boto(&format!(
        "import hashlib\n\
         def id_of(*parts):\n\
         \x20   digest = hashlib.sha256()\n\
         \x20   for part in parts:\n\
         \x20       digest.update(len(part).to_bytes(8, 'big') + part.encode())\n\
         \x20   return digest.hexdigest()[:32]\n\
         count = 0\n\
         for n in range({count}):\n\
         \x20   address = 'p%04d@example.com' % n\n\
         \x20   try:\n\
         \x20       it = pinpoint.get_endpoint(ApplicationId='{application}', EndpointId=id_of('address', address))['EndpointResponse']\n\
         \x20   except pinpoint.exceptions.NotFoundException:\n\
         \x20       continue\n\
         \x20   assert it['Address'] == address and it['ChannelType'] == 'EMAIL', it\n\
         \x20   count += it['Attributes'].get('segment_everybody') == ['in']\n\
         print(count)"
    ));
    found.trim().parse().expect("a number")
}

#[test]
fn endpoints_carry_the_membership_and_a_dynamic_segment_selects_it() {
    let cloud = FakeCloud::start();
    let application = application(&cloud);
    let hearback = Hearback::with(cloud.environment());
    with_people(&hearback, 250);
    let destination = format!("{{ kind = \"pinpoint\", application = \"{application}\" }}");
    everybody_below(&hearback, 250, &destination);
    assert_eq!(applied(&hearback)["add"], 250);
    assert_eq!(members(&cloud, &application, 250), 250);
    everybody_below(&hearback, 200, &destination);
    assert_eq!(applied(&hearback)["remove"], 50);
    assert_eq!(members(&cloud, &application, 250), 200);
    let segments = cloud.boto(&format!(
        "for it in pinpoint.get_segments(ApplicationId='{application}')['SegmentsResponse']['Item']:\n\
         \x20   print(it['Name'], json.dumps(it['Dimensions']['Attributes']))"
    ));
    assert_eq!(
        segments.trim(),
        "everybody {\"segment_everybody\": {\"AttributeType\": \"INCLUSIVE\", \"Values\": [\"in\"]}}"
    );
    assert_settled(&hearback);

    // Deleted by hand.
    cloud.boto(&format!("pinpoint.delete_app(ApplicationId='{application}')"));
    let gone = apply(&hearback);
    assert_eq!(gone.code, 3, "{gone:?}");
    assert!(gone.stderr.contains("--rebuild"), "{gone:?}");
}

#[test]
fn a_full_load_is_one_import_job_and_what_it_refuses_comes_again_alone() {
    let cloud = FakeCloud::start();
    let application = application(&cloud);
    cloud.boto("s3.create_bucket(Bucket='imports')");
    // The emulated Pinpoint imports nothing; this does, and passes the rest on.
    let jobs = StandIn::start("pinpoint", Some(&cloud.endpoint()));
    let mut environment = cloud.environment();
    environment.push(("AWS_ENDPOINT_URL_PINPOINT".to_owned(), jobs.endpoint()));
    let hearback = Hearback::with(environment);
    with_people(&hearback, 150);
    everybody_below(
        &hearback,
        150,
        &format!(
            "{{ kind = \"pinpoint\", application = \"{application}\", import_above = 100, \
             import_uri = \"s3://imports/pinpoint\", import_role_arn = \"arn:aws:iam::123456789012:role/import\" }}"
        ),
    );
    jobs.script(&json!({"items": {person(7): 400}, "once": true}));
    let outcome = apply(&hearback);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    let report = outcome.json()[0].clone();
    assert_eq!((&report["add"], &report["failed"]), (&json!(149), &json!(1)), "{report}");
    assert_eq!(jobs.state()["jobs"]["job-1"]["TotalProcessed"], 150);
    assert_eq!(members(&cloud, &application, 150), 149);
    // One is no full load: it comes by a batch.
    assert_eq!(applied(&hearback)["add"], 1);
    assert_eq!(members(&cloud, &application, 150), 150);
    assert_eq!(jobs.state()["violations"], json!([]));
    assert_eq!(jobs.state()["jobs"].as_object().map(serde_json::Map::len), Some(1));
    assert_settled(&hearback);
}

#[test]
fn amazon_itself_is_said_to_have_ended() {
    let environment = vec![
        ("AWS_REGION".to_owned(), "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID".to_owned(), "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), "test".to_owned()),
    ];
    let hearback = Hearback::with(environment);
    with_people(&hearback, 2);
    everybody_below(&hearback, 2, "{ kind = \"pinpoint\", application = \"APP\" }");
    let outcome = apply(&hearback);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("2026-10-30"), "{outcome:?}");
    assert!(outcome.stderr.contains("customer-profiles"), "{outcome:?}");
}
