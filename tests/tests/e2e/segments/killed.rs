use super::*;
use hearback_tests::{FakeCloud, StandIn};

/// Kills are tried at requests 1, 2, 3 … until a run ends before the next; this many at most.
const MOST: u64 = 30;

/// What every kind of destination has to bear.
///
/// Kills applications at each of their requests, some before the request is done and some after, lets
/// the next run finish, and looks whether that made it whole. People come and go by halves, so that
/// there is always something to do. Returns how many kills there were.
fn killed_at_every_request(
    hearback: &Hearback,
    service: &StandIn,
    destination: &str,
    people: usize,
) -> u64 {
    with_people(hearback, people);
    for at in 1..=MOST {
        let expected = if at.is_multiple_of(2) { people / 2 } else { people };
        everybody_below(hearback, expected, destination);
        let performed = at % 4 >= 2;
        service.script(&json!({"hang_at": at, "performed": performed}));
        let killed = killed_while(hearback, || service.state()["hanging"] == true);
        service.script(&json!({}));
        let report = applied(hearback);
        assert_eq!(report["members"], expected, "after a kill at request {at}: {report}");
        if !killed {
            assert_settled(hearback);
            return at - 1;
        }
    }
    panic!("applications have more than {MOST} requests");
}

#[test]
fn a_run_that_is_killed_at_any_request_to_customer_profiles_is_finished_by_the_next() {
    let service = StandIn::start("profiles", None);
    let hearback = Hearback::with(profiles::environment(&service));
    let kills = killed_at_every_request(&hearback, &service, profiles::DESTINATION, 40);
    assert!(kills >= 5, "only {kills} kills: requests are not hung");
    let expected = if kills.is_multiple_of(2) { 40 } else { 20 };
    assert_eq!(profiles::members(&service).len(), expected);
    assert_eq!(service.state()["violations"], json!([]));
}

#[test]
fn a_run_that_is_killed_at_any_request_to_a_webhook_is_finished_by_the_next() {
    let service = StandIn::start("webhook", None);
    let (hearback, destination) = webhook::at(&service);
    let kills = killed_at_every_request(&hearback, &service, &destination, 2_400);
    assert!(kills >= 3, "only {kills} kills: requests are not hung");
    let expected = if kills.is_multiple_of(2) { 2_400 } else { 1_200 };
    let state = service.state();
    assert_eq!(state["members"].as_object().map(serde_json::Map::len), Some(expected));
    assert_eq!(state["violations"], json!([]));
}

#[test]
fn a_run_that_is_killed_at_any_request_to_a_contact_list_is_finished_by_the_next() {
    let cloud = contact_list::with_list();
    let service = StandIn::start("front", Some(&cloud.endpoint()));
    let mut environment = cloud.environment();
    environment.push(("AWS_ENDPOINT_URL_SESV2".to_owned(), service.endpoint()));
    let hearback = Hearback::with(environment);
    let kills = killed_at_every_request(&hearback, &service, contact_list::DESTINATION, 4);
    assert!(kills >= 4, "only {kills} kills: requests are not hung");
    let expected = if kills.is_multiple_of(2) { 4 } else { 2 };
    let contacts = contact_list::contacts(&cloud);
    let members = contacts.iter().filter(|line| line.contains("engaged=OPT_IN"));
    assert_eq!(members.count(), expected, "{contacts:?}");
}

#[test]
fn a_run_that_is_killed_at_any_request_to_pinpoint_is_finished_by_the_next() {
    let cloud = FakeCloud::start();
    let application = pinpoint::application(&cloud);
    let service = StandIn::start("front", Some(&cloud.endpoint()));
    let mut environment = cloud.environment();
    environment.push(("AWS_ENDPOINT_URL_PINPOINT".to_owned(), service.endpoint()));
    let hearback = Hearback::with(environment);
    let destination = format!("{{ kind = \"pinpoint\", application = \"{application}\" }}");
    let kills = killed_at_every_request(&hearback, &service, &destination, 220);
    assert!(kills >= 3, "only {kills} kills: requests are not hung");
    let expected = if kills.is_multiple_of(2) { 220 } else { 110 };
    assert_eq!(pinpoint::members(&cloud, &application, 220), expected);
}

#[test]
fn a_run_that_is_killed_at_any_request_to_a_bucket_leaves_a_whole_set() {
    let cloud = FakeCloud::start();
    cloud.boto("s3.create_bucket(Bucket='out')");
    let service = StandIn::start("front", Some(&cloud.endpoint()));
    let mut environment = cloud.environment();
    environment.push(("AWS_ENDPOINT_URL_S3".to_owned(), service.endpoint()));
    let hearback = Hearback::with(environment);
    let kills = killed_at_every_request(&hearback, &service, "{ uri = \"s3://out/sets\" }", 10);
    assert!(kills >= 10, "only {kills} kills: requests are not hung");
    // Whatever the pointer ever named is whole, and so is what it names now.
    let rows = cloud.boto(
        "get = lambda key: s3.get_object(Bucket='out', Key='sets/everybody/' + key)['Body'].read()\n\
         current = json.loads(get('current.json'))\n\
         manifest = json.loads(get(current['manifest']))\n\
         import hashlib\n\
         for it in manifest['files']:\n\
         \x20   assert hashlib.sha256(get(current['folder'] + '/' + it['name'])).hexdigest() == it['sha256'], it\n\
         print(manifest['rows'], get(current['folder'] + '/members.csv').decode().count('\\n') - 1)",
    );
    let expected = if kills.is_multiple_of(2) { 10 } else { 5 };
    assert_eq!(rows.trim(), format!("{expected} {expected}"));
}

#[test]
fn a_run_that_is_killed_while_it_writes_a_folder_leaves_a_whole_set() {
    let hearback = Hearback::new();
    with_people(&hearback, 2_000);
    for round in 0..6_u64 {
        let count = if round % 2 == 0 { 2_000 } else { 1_500 };
        everybody_below(&hearback, count, "{ uri = \"out\" }");
        let mut child = hearback.spawn(&["segments", "apply", "--yes", "--quiet"]);
        std::thread::sleep(Duration::from_millis(20 + 25 * round));
        let _ = child.kill();
        child.wait().expect("it ended");
        // Whatever the pointer names is whole.
        if let Ok(current) = std::fs::read(hearback.folder().join("out/everybody/current.json")) {
            let current: Value = serde_json::from_slice(&current).expect("JSON");
            let folder = hearback.folder().join("out/everybody");
            let folder = folder.join(current["folder"].as_str().expect("a folder"));
            let csv = std::fs::read_to_string(folder.join("members.csv")).expect("a file");
            assert_eq!(csv.lines().count() as u64, current["rows"].as_u64().expect("rows") + 1);
        }
        assert_eq!(apply(&hearback).code, 0);
    }
    assert_settled(&hearback);
}

#[test]
fn two_runs_at_once_harm_nothing() {
    let service = StandIn::start("profiles", None);
    let hearback = Hearback::with(profiles::environment(&service));
    with_people(&hearback, 300);
    everybody_below(&hearback, 300, profiles::DESTINATION);
    let mut first = hearback.spawn(&["segments", "apply", "--yes", "--quiet"]);
    let begun = Instant::now();
    while service.state()["objects"].as_object().is_none_or(serde_json::Map::is_empty) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the first run sends nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = apply(&hearback);
    let first = first.wait().expect("it ended").code();
    // The second one is told, or came when all was done.
    assert_eq!(first, Some(0));
    assert!(matches!(second.code, 0 | 3), "{second:?}");
    assert_settled(&hearback);
    assert_eq!(profiles::members(&service).len(), 300);
}

#[test]
fn a_run_that_is_asked_to_stop_ends_soon_although_the_destination_is_silent() {
    let service = StandIn::start("profiles", None);
    let hearback = Hearback::with(profiles::environment(&service));
    with_people(&hearback, 100);
    everybody_below(&hearback, 100, profiles::DESTINATION);
    service.script(&json!({"hang_at": 7}));
    let mut child = hearback.spawn(&["segments", "apply", "--yes", "--quiet"]);
    let begun = Instant::now();
    while service.state()["hanging"] != true {
        assert!(begun.elapsed() < Duration::from_secs(30), "it sends nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Instant::now();
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(status.expect("kill runs").success());
    let code = child.wait().expect("it ended").code();
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    assert!(matches!(code, Some(1 | 4)), "{code:?}");
    service.script(&json!({}));
    assert_eq!(applied(&hearback)["members"], 100);
    assert_settled(&hearback);
}
