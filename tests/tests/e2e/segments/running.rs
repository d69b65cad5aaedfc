use super::*;

#[test]
fn segments_are_applied_when_they_are_due_and_one_that_is_refused_keeps_no_other_from_it() {
    let hearback = Hearback::new();
    with_people(&hearback, 20);
    hearback.file(
        "hearback.toml",
        "[[segments]]\nname = \"twice\"\nschedule = \"daily 05:00\"\ndestinations = [{ uri = \"out\" }]\n\
         sql = \"SELECT 'same@example.com' AS address FROM recipients\"\n\
         [[segments]]\nname = \"everybody\"\nschedule = \"*/5 * * * *\"\ndestinations = [{ uri = \"out\" }]\n\
         sql = \"SELECT recipient AS address FROM recipients\"\n\
         [[segments]]\nname = \"nobody\"\nschedule = \"1h\"\ndestinations = [{ uri = \"out\" }]\n\
         sql = \"SELECT recipient AS address FROM recipients WHERE false\"\n\
         [[segments]]\nname = \"by-hand\"\ndestinations = [{ uri = \"out\" }]\n\
         sql = \"SELECT recipient AS address FROM recipients\"\n",
    );
    // Nobody is there to be asked.
    let outcome = hearback.run(["segments", "run"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("--yes"), "{outcome:?}");

    let running = hearback.start(&["segments", "run", "--yes", "--metrics", "127.0.0.1:0"]);
    let begun = Instant::now();
    let metrics = loop {
        let metrics = running.get("/metrics");
        if ["hearback_segment_members", "refused", "empty"].iter().all(|it| metrics.contains(it)) {
            break metrics;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{metrics}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let members = metrics.lines().find(|line| line.starts_with("hearback_segment_members{"));
    assert!(members.is_some_and(|line| line.ends_with(" 20.0")), "{metrics}");
    assert!(
        metrics.contains("action=\"add\"") && metrics.contains("outcome=\"applied\""),
        "{metrics}"
    );
    let health = running.get("/healthz");
    assert!(health.contains(" 503 ") && health.contains("twice"), "{health}");
    // Nobody was ever in it: that is no failure, and nothing is written yet.
    assert!(!health.contains("nobody"), "{health}");
    assert_eq!(running.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    assert!(!running.said().contains("same@example.com"), "{}", running.said());

    let out = hearback.folder().join("out");
    assert!(out.join("everybody/current.json").is_file());
    assert!(!out.join("nobody").exists());
    assert!(!out.join("twice").exists() && !out.join("by-hand").exists());
    assert_settled_for(&hearback, "everybody");
}

#[test]
fn what_pinpoint_knew_is_imported_and_its_segments_become_sql() {
    let hearback = Hearback::new();
    let endpoint = |n: usize, plan: &str| {
        json!({"Id": format!("e{n}"), "ChannelType": "EMAIL", "Address": person(n), "Attributes": {"plan": [plan]}})
            .to_string()
    };
    let lines = [endpoint(1, "pro"), endpoint(2, "free"), "no endpoint".to_owned()].join("\n");
    let export = hearback.file("export.ndjson", lines);
    let compressed = std::process::Command::new("gzip").arg(&export).status();
    assert!(compressed.expect("gzip starts").success());
    let export = format!("{}.gz", export.display());
    let report = hearback.run(["segments", "import", &export, "--format", "json"]);
    assert_eq!(report.code, 0, "{report:?}");
    assert_eq!(report.json(), json!({"endpoints": 2, "added": 2, "known": 0, "rejected": 1}));
    assert!(report.stderr.contains("line 3"), "{report:?}");

    let dimensions =
        json!({"Attributes": {"plan": {"AttributeType": "INCLUSIVE", "Values": ["pro"]}}});
    let segment =
        json!({"SegmentResponse": {"Id": "s1", "Name": "Pro users", "Dimensions": dimensions}});
    let file = hearback.file("segment.json", segment.to_string());
    let file = file.display().to_string();
    let converted = hearback.run(["segments", "convert", &file, "--format", "json"]);
    assert_eq!(converted.code, 0, "{converted:?}");
    assert_eq!(converted.json()[0]["segment"], "pro-users");
    let shown = hearback.run(["segments", "show", "pro-users", "--format", "json"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert_eq!(shown.json()["sample"][0]["member"], person(1));
    assert_eq!(shown.json()["members"], 1);
    // Never over a file that is there.
    let again = hearback.run(["segments", "convert", &file]);
    assert_eq!(again.code, 2, "{again:?}");
}
