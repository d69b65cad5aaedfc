use super::*;
use hearback_tests::S3Server;

#[test]
fn a_bucket_gets_the_set_and_the_differences() {
    let server = S3Server::start("acme-mail");
    let hearback = Hearback::on("s3://acme-mail/lake", server.environment());
    with_people(&hearback, 20);
    everybody_below(&hearback, 15, "{ uri = \"s3://acme-mail/segments\" }");
    assert_eq!(applied(&hearback)["add"], 15);
    everybody_below(&hearback, 18, "{ uri = \"s3://acme-mail/segments\" }");
    let report = applied(&hearback);
    assert_eq!(
        (&report["add"], &report["keep"], &report["members"]),
        (&json!(3), &json!(15), &json!(18))
    );
    let seen = server.boto(
        "import json, io, hashlib, csv\n\
         get = lambda key: s3.get_object(Bucket='acme-mail', Key='segments/everybody/' + key)['Body'].read()\n\
         current = json.loads(get('current.json'))\n\
         manifest = json.loads(get(current['manifest']))\n\
         for file in manifest['files']:\n\
         \x20   body = get(current['folder'] + '/' + file['name'])\n\
         \x20   assert hashlib.sha256(body).hexdigest() == file['sha256'], file\n\
         rows = list(csv.DictReader(io.StringIO(get(current['folder'] + '/members.csv').decode())))\n\
         added = list(csv.DictReader(io.StringIO(get(current['folder'] + '/added.csv').decode())))\n\
         print(len(rows), len(added), rows[0]['address'], added[0]['address'], manifest['rows'])",
    );
    assert_eq!(seen.trim(), "18 3 p0000@example.com p0015@example.com 18");
    assert_settled(&hearback);
}

#[test]
fn a_plan_changes_nothing_and_a_guard_is_exit_3() {
    let hearback = Hearback::new();
    with_people(&hearback, 20);
    everybody_below(&hearback, 20, "{ uri = \"out\" }");
    let plan = hearback.run(["segments", "plan", "-o", "plan.json", "--format", "json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    assert_eq!(plan.json()[0]["add"], 20);
    assert!(!hearback.folder().join("out").exists());
    let unasked = hearback.run(["segments", "apply"]);
    assert_eq!(unasked.code, 2, "nobody is there to be asked: {unasked:?}");
    assert!(!hearback.folder().join("out").exists());
    let by_file = hearback.run(["segments", "apply", "plan.json", "--format", "json", "-q"]);
    assert_eq!(by_file.code, 0, "{by_file:?}");
    assert_eq!(by_file.json()[0]["items"].as_array().map(Vec::len), Some(20));
    let twice = hearback.run(["segments", "apply", "plan.json", "--format", "json", "-q"]);
    assert_eq!((twice.code, &twice.json()[0]["already"]), (0, &json!(true)));

    let current =
        std::fs::read(hearback.folder().join("out/everybody/current.json")).expect("a pointer");
    for count in [0, 9] {
        everybody_below(&hearback, count, "{ uri = \"out\" }");
        let refused = apply(&hearback);
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(refused.stderr.contains("--allow-shrink"), "{refused:?}");
        let still = std::fs::read(hearback.folder().join("out/everybody/current.json"));
        assert_eq!(still.expect("a pointer"), current);
    }
    let allowed = hearback.run(["segments", "apply", "--yes", "--allow-shrink", "-q"]);
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert_settled(&hearback);

    // Stale: the plan's state is two generations back.
    let stale = hearback.run(["segments", "apply", "plan.json"]);
    assert_eq!(stale.code, 3, "{stale:?}");
    let listed = hearback.run(["segments", "list", "--format", "json"]).json();
    assert_eq!(listed["segments"][0]["destinations"][0]["members"], 9);
    let shown = hearback.run(["segments", "show", "everybody", "--format", "json"]).json();
    assert_eq!(shown["destinations"][0]["history"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_renamed_segment_leaves_members_that_can_be_retired() {
    let hearback = Hearback::new();
    with_people(&hearback, 5);
    everybody_below(&hearback, 5, "{ uri = \"out\" }");
    applied(&hearback);
    let config = hearback.folder().join("hearback.toml");
    let text =
        std::fs::read_to_string(&config).expect("a file").replace("everybody", "all-of-them");
    std::fs::write(&config, text).expect("a file");
    let listed = hearback.run(["segments", "list"]);
    assert!(listed.stdout.contains("hearback segments retire everybody"), "{listed:?}");
    let retired = hearback.run(["segments", "retire", "everybody", "--yes", "--format", "json"]);
    assert_eq!(retired.code, 0, "{retired:?}");
    assert_eq!(retired.json()[0]["remove"], 5);
    let listed = hearback.run(["segments", "list"]);
    assert!(!listed.stdout.contains("retire"), "{listed:?}");
    assert_eq!(applied(&hearback)["add"], 5);
}

#[test]
fn whoever_complains_between_plan_and_apply_is_left_out() {
    let hearback = Hearback::new();
    with_people(&hearback, 5);
    everybody_below(&hearback, 5, "{ uri = \"out\" }");
    let plan = hearback.run(["segments", "plan", "-o", "plan.json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let file = hearback.file("complaint.json", complaint(&person(3), "m3"));
    hearback.ingest(&[&file]);
    let outcome = hearback.run(["segments", "apply", "plan.json", "--format", "json", "-q"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let report = outcome.json()[0].clone();
    assert_eq!(
        (&report["add"], &report["skipped"], &report["members"]),
        (&json!(4), &json!(1), &json!(4))
    );
    let members = std::fs::read_dir(hearback.folder().join("out/everybody")).expect("a folder");
    let folder = members.map(|entry| entry.expect("an entry").path()).find(|path| path.is_dir());
    let csv =
        std::fs::read_to_string(folder.expect("a folder").join("members.csv")).expect("a file");
    assert!(!csv.contains(&person(3)), "{csv}");
    assert_settled(&hearback);
}

#[test]
fn an_audience_that_nobody_is_in_yet_is_written_as_an_empty_set_once_somebody_says_so() {
    let hearback = Hearback::new();
    with_people(&hearback, 3);
    everybody_below(&hearback, 0, "{ uri = \"out\" }");
    let pointer = hearback.folder().join("out/everybody/current.json");
    let refused = apply(&hearback);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("--allow-shrink"), "{refused:?}");
    assert!(!pointer.exists());

    let written = hearback.run(["segments", "apply", "--yes", "--allow-shrink"]);
    assert_eq!(written.code, 0, "{written:?}");
    let read = |path| -> Value {
        serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
    };
    let current = read(pointer.clone());
    assert_eq!((&current["version"], &current["rows"]), (&json!(1), &json!(0)));
    let folder = hearback.folder().join("out/everybody");
    let manifest = read(folder.join(current["manifest"].as_str().expect("a name")));
    assert_eq!(manifest["rows"], 0);
    let csv = folder.join(current["folder"].as_str().expect("a name")).join("members.csv");
    assert_eq!(std::fs::read_to_string(csv).expect("a file"), "address,deliveries\n");

    // From then on it is a set like any other: nothing to do, then its first members.
    assert_eq!(applied(&hearback)["members"], 0);
    assert_eq!(read(pointer.clone())["version"], 1);
    everybody_below(&hearback, 3, "{ uri = \"out\" }");
    assert_eq!(applied(&hearback)["add"], 3);
    assert_eq!(read(pointer)["rows"], 3);
    assert_settled(&hearback);
}

#[test]
fn one_segment_that_cannot_be_applied_does_not_stop_the_others() {
    let hearback = Hearback::new();
    with_people(&hearback, 20);
    let segment = |name: &str, sql: &str, destinations: &str| {
        format!("[[segments]]\nname = \"{name}\"\nsql = \"{sql}\"\n{destinations}\n")
    };
    let below = |count| {
        format!("SELECT recipient AS address FROM recipients WHERE recipient < '{}'", person(count))
    };
    let out = "destinations = [{ uri = \"out\" }]";
    let two = "destinations = [{ uri = \"out\" }, { uri = \"new\" }]";
    let both = [segment("whole", &below(20), out), segment("halved", &below(20), out)].concat();
    hearback.file("hearback.toml", both);
    assert_eq!(apply(&hearback).code, 0);

    let all = [
        segment("draft", &below(5), ""),
        segment("broken", "SELECT recipient AS address FROM nowhere", out),
        segment("halved", &below(4), two),
        segment("whole", &below(19), out),
    ];
    hearback.file("hearback.toml", all.concat());
    let plan = hearback.run(["segments", "plan"]);
    assert!(plan.stdout.contains("whole → ") && plan.stdout.contains("REFUSED"), "{plan:?}");
    assert!(plan.stderr.contains("draft: has no destinations"), "{plan:?}");
    assert!(plan.stderr.contains("nowhere"), "{plan:?}");
    let applied = hearback.run(["segments", "apply", "--yes", "--format", "json"]);
    assert_eq!(applied.code, 4, "{applied:?}");
    let segments: Vec<Value> = applied.json().as_array().cloned().unwrap_or_default();
    let segments: Vec<&Value> = segments.iter().map(|report| &report["segment"]).collect();
    assert_eq!(segments, ["whole"], "what a guard refuses goes to no destination at all");
    assert!(!hearback.folder().join("new").exists());
    for said in ["nowhere", "--allow-shrink"] {
        assert!(applied.stderr.contains(said), "{applied:?}");
    }

    // By name, a segment that goes nowhere is an error; a definition that is only that is not one.
    assert_eq!(hearback.run(["segments", "plan", "draft"]).code, 2);
    hearback.file("hearback.toml", [&all[0], &all[3]].map(String::as_str).concat());
    assert_eq!(hearback.run(["segments", "apply", "--yes"]).code, 0);
}
