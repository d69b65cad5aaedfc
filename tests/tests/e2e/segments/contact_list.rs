use super::*;
use hearback_tests::{FakeCloud, StandIn};

pub(super) const DESTINATION: &str = "{ kind = \"ses-contact-list\", list = \"main\", topic = \"engaged\", request_interval = \"10ms\" }";

pub(super) fn with_list() -> FakeCloud {
    let cloud = FakeCloud::start();
    cloud.boto(
        "topic = lambda name, default: {'TopicName': name, 'DisplayName': name, 'DefaultSubscriptionStatus': default}\n\
         sesv2.create_contact_list(ContactListName='main', Topics=[topic('engaged', 'OPT_OUT'), topic('news', 'OPT_OUT'), topic('open', 'OPT_IN')])",
    );
    cloud
}

/// Every contact with what it says of the topics, one a line.
pub(super) fn contacts(cloud: &FakeCloud) -> Vec<String> {
    let listed = cloud.boto(
        "for it in sesv2.list_contacts(ContactListName='main')['Contacts']:\n\
         \x20   topics = sorted(t['TopicName'] + '=' + t['SubscriptionStatus'] for t in it.get('TopicPreferences', []))\n\
         \x20   print(it['EmailAddress'], *topics, 'ALL' if it['UnsubscribeAll'] else '')",
    );
    let mut lines: Vec<String> = listed.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn preferences_are_merged_and_an_opt_out_is_never_overwritten() {
    let cloud = with_list();
    cloud.boto(
        "prefer = lambda **topics: [{'TopicName': t, 'SubscriptionStatus': s} for t, s in topics.items()]\n\
         make = lambda n, **rest: sesv2.create_contact(ContactListName='main', EmailAddress='p%04d@example.com' % n, **rest)\n\
         make(0, TopicPreferences=prefer(news='OPT_IN'), AttributesData='{\"tier\":1}')\n\
         make(1, TopicPreferences=prefer(engaged='OPT_OUT', news='OPT_IN'))\n\
         make(2, TopicPreferences=prefer(news='OPT_IN'), UnsubscribeAll=True)\n\
         make(3, TopicPreferences=prefer(engaged='OPT_IN'))",
    );
    let hearback = Hearback::with(cloud.environment());
    with_people(&hearback, 6);
    everybody_below(&hearback, 5, DESTINATION);
    let report = applied(&hearback);
    assert_eq!((&report["add"], &report["skipped"]), (&json!(3), &json!(2)), "{report}");
    assert_eq!(
        contacts(&cloud),
        [
            "p0000@example.com engaged=OPT_IN news=OPT_IN",
            "p0001@example.com engaged=OPT_OUT news=OPT_IN",
            "p0002@example.com news=OPT_IN ALL",
            "p0003@example.com engaged=OPT_IN",
            "p0004@example.com engaged=OPT_IN",
        ]
    );
    // What they chose is remembered: nobody is asked a second time.
    let plan = hearback.run(["segments", "plan", "--format", "json"]).json()[0].clone();
    assert_eq!((&plan["add"], &plan["keep"], &plan["declined"]), (&json!(0), &json!(3), &json!(2)));
    assert_settled(&hearback);
    let kept = cloud.boto("print(sesv2.get_contact(ContactListName='main', EmailAddress='p0000@example.com')['AttributesData'])");
    assert_eq!(kept.trim(), "{\"tier\":1}");

    // Leaving takes the preference away; opting out is the person's own.
    hearback.file(
        "hearback.toml",
        format!(
            "[[segments]]\nname = \"everybody\"\nmax_shrink = 1.0\n\
             sql = \"SELECT recipient AS address FROM recipients WHERE recipient >= '{}'\"\n\
             destinations = [{DESTINATION}]\n",
            person(3)
        ),
    );
    cloud.boto(
        "sesv2.update_contact(ContactListName='main', EmailAddress='p0003@example.com', TopicPreferences=[{'TopicName': 'engaged', 'SubscriptionStatus': 'OPT_OUT'}])",
    );
    let report = applied(&hearback);
    assert_eq!((&report["remove"], &report["add"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(contacts(&cloud)[0], "p0000@example.com news=OPT_IN");
    assert_eq!(contacts(&cloud)[3], "p0003@example.com engaged=OPT_OUT");
    assert_eq!(contacts(&cloud)[5], "p0005@example.com engaged=OPT_IN");
}

#[test]
fn a_topic_that_everybody_is_on_by_default_is_refused() {
    let cloud = with_list();
    let hearback = Hearback::with(cloud.environment());
    with_people(&hearback, 2);
    everybody_below(&hearback, 2, &DESTINATION.replace("engaged", "open"));
    let outcome = apply(&hearback);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("OPT_OUT"), "{outcome:?}");
    assert!(contacts(&cloud).is_empty());
}

#[test]
fn newcomers_come_by_an_import_job_and_nobody_on_the_list_is_overridden() {
    let cloud = with_list();
    cloud.boto(
        "s3.create_bucket(Bucket='imports')\n\
         sesv2.create_contact(ContactListName='main', EmailAddress='p0001@example.com', TopicPreferences=[{'TopicName': 'engaged', 'SubscriptionStatus': 'OPT_OUT'}])",
    );
    // The emulated SES imports nothing; this does, and passes the rest on.
    let lists = StandIn::start("lists", Some(&cloud.endpoint()));
    let mut environment = cloud.environment();
    environment.push(("AWS_ENDPOINT_URL_SESV2".to_owned(), lists.endpoint()));
    let hearback = Hearback::with(environment);
    with_people(&hearback, 40);
    let destination =
        DESTINATION.replace(" }", ", import_above = 10, import_uri = \"s3://imports/ses\" }");
    everybody_below(&hearback, 40, &destination);
    let report = applied(&hearback);
    assert_eq!((&report["add"], &report["skipped"]), (&json!(39), &json!(1)), "{report}");
    let state = lists.state();
    assert_eq!(state["violations"], json!([]));
    assert_eq!(state["jobs"]["job-1"]["ProcessedRecordsCount"], 39);
    assert_eq!(contacts(&cloud).len(), 40);
    assert_eq!(contacts(&cloud)[1], "p0001@example.com engaged=OPT_OUT");
}
