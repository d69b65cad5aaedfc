//! Reports over documents whose figures can be counted by hand.

use serde_json::{Value, json};

use super::{TestLake, bounce, complaint, delivery, open, send, ses};
use crate::report::{Figure, Figures, Period, REPORTS, report};

const PERSON: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:109.0) Gecko/20100101 Thunderbird/115.0";

async fn figures(lake: &TestLake, name: &str, by: Option<&str>) -> Vec<Figure> {
    let report = report(name).expect(name);
    let sql = report.statement(by, &Period::default()).expect("a statement");
    let engine = lake.engine().await;
    let batches = engine.plan(&sql).await.expect(name).collect().await.expect(name);
    Figures::read(&batches).expect("figures").figures
}

fn counts(figures: &[Figure], group: &str, metric: &str) -> (Option<i64>, i64) {
    let found = figures
        .iter()
        .find(|figure| figure.metric == metric && figure.group.as_deref() == Some(group));
    let found = found.unwrap_or_else(|| panic!("{metric} of {group} in {figures:?}"));
    (found.numerator, found.denominator)
}

/// The same event with the tags of a sign-up.
fn of_sign_up(mut event: Value, person: &str, sent: &str) -> Value {
    event["mail"]["tags"]["flow"] = json!(["sign-up"]);
    event["mail"]["tags"]["signup_id"] = json!([person]);
    event["mail"]["timestamp"] = json!(sent);
    event
}

#[tokio::test]
async fn every_report_answers_in_every_dimension_even_of_an_almost_empty_lake() {
    let lake = TestLake::of(&[send("m1", "reader@example.com")]).await;
    for report in REPORTS {
        for dimension in report.dimensions() {
            figures(&lake, report.name, Some(dimension)).await;
        }
        assert!(report.question().ends_with('?'), "{}", report.name);
        assert!(report.definition().contains("Unit"), "{}", report.name);
    }
}

#[tokio::test]
async fn reputation_counts_hard_bounces_and_complaints_that_can_be_heard_of() {
    let mut documents = Vec::new();
    for (i, domain) in ["yahoo.com", "yahoo.com", "gmail.com", "gmail.com"].iter().enumerate() {
        let (message, to) = (format!("m{i}"), format!("reader{i}@{domain}"));
        documents.push(send(&message, &to));
        documents.push(delivery(&message, &to, "2026-11-01T10:00:02.000Z"));
    }
    // One of yahoo's complains. A complaint at gmail, which tells of none, is in neither count.
    documents.push(complaint("m0", "reader0@yahoo.com", Some("abuse"), None));
    documents.push(complaint("m2", "reader2@gmail.com", Some("abuse"), None));
    for (message, kind) in [
        ("b1", ("Permanent", "General")),
        ("b2", ("Permanent", "Suppressed")),
        ("b3", ("Permanent", "OnAccountSuppressionList")),
        ("b4", ("Transient", "MailboxFull")),
    ] {
        documents.push(send(message, "x@example.com"));
        documents.push(bounce(message, "x@example.com", kind, "", ""));
    }
    // Long before: in the last 30 days no more, but among the last 10,000.
    let mut old = [
        send("o1", "y@example.com"),
        bounce("o1", "y@example.com", ("Permanent", "NoEmail"), "", ""),
    ];
    for event in &mut old {
        event["mail"]["timestamp"] = json!("2026-08-01T10:00:00.000Z");
    }
    documents.extend(old);
    let lake = TestLake::of(&documents).await;
    let figures = figures(&lake, "reputation", None).await;
    for window in ["24 h", "7 d", "30 d"] {
        assert_eq!(counts(&figures, "all", &format!("hard bounce rate, {window}")), (Some(2), 8));
        assert_eq!(counts(&figures, "all", &format!("complaint rate, {window}")), (Some(1), 2));
    }
    assert_eq!(counts(&figures, "all", "hard bounce rate, last 10,000"), (Some(3), 9));
}

#[tokio::test]
async fn the_funnel_counts_people_under_the_day_of_their_first_mail() {
    let day = "2026-11-01";
    let mut documents = Vec::new();
    let mut add = |event: Value, person: &str, sent: &str| {
        documents.push(of_sign_up(event, person, &format!("{sent}.000Z")));
    };
    // Ann needs two mails on two days; the second arrives, and she clicks.
    let ann = "ann@example.com";
    add(send("a1", ann), "ann", "2026-11-01T10:00:00");
    add(send("a2", ann), "ann", "2026-11-02T09:00:00");
    add(delivery("a2", ann, "2026-11-02T09:00:10.000Z"), "ann", "2026-11-02T09:00:00");
    add(open("a2", ann, "2026-11-02T10:00:00.000Z", PERSON), "ann", "2026-11-02T09:00:00");
    let click = json!({
        "timestamp": "2026-11-02T10:00:05.000Z", "ipAddress": "192.0.2.7", "userAgent": PERSON,
        "link": "https://example.com/confirm",
    });
    add(ses("Click", "a2", ann, click), "ann", "2026-11-02T09:00:00");
    // Bob's mail is delivered and opened by a scanner.
    let bob = "bob@example.com";
    add(send("b1", bob), "bob", "2026-11-01T10:00:00");
    add(delivery("b1", bob, "2026-11-01T10:00:20.000Z"), "bob", "2026-11-01T10:00:00");
    add(
        open("b1", bob, "2026-11-01T10:00:21.000Z", "Barracuda Sentinel"),
        "bob",
        "2026-11-01T10:00:00",
    );
    // Cem signed up a day before the last read: too late to judge.
    add(send("c1", "cem@example.com"), "cem", "2026-11-19T00:00:00");
    // No sign-up at all.
    documents.push(send("n1", "news@example.com"));
    let lake = TestLake::of(&documents).await;
    let figures = figures(&lake, "signup-funnel", None).await;
    assert_eq!(counts(&figures, day, "signed up").0, Some(2));
    assert_eq!(counts(&figures, day, "delivered"), (Some(2), 2));
    assert_eq!(counts(&figures, day, "opened"), (Some(1), 2));
    assert_eq!(counts(&figures, day, "clicked"), (Some(1), 2));
    // Ann: 23 h 10 s after her first mail. Bob: 20 s.
    let half = (20_000 + 82_810_000) / 2;
    assert_eq!(counts(&figures, day, "half delivered within"), (Some(half), 2));
    assert_eq!(counts(&figures, "2026-11-19", "signed up").0, Some(1));
    let late = figures
        .iter()
        .find(|figure| figure.group.as_deref() == Some("2026-11-19") && figure.metric == "clicked");
    assert_eq!(late.map(Figure::value).as_deref(), Some("n/a"), "nobody is old enough to judge");
    assert!(figures.iter().all(|figure| figure.group.as_deref() != Some("2026-11-02")));
}

#[tokio::test]
async fn stuck_is_what_has_no_outcome_though_its_time_has_passed() {
    let delayed = json!({
        "timestamp": "2026-11-01T11:00:00.000Z", "delayType": "MailboxFull",
        "delayedRecipients": [{"emailAddress": "b@example.com", "status": "4.2.2", "diagnosticCode": "452 full"}],
    });
    let mut recent = send("m5", "e@example.com");
    recent["mail"]["timestamp"] = json!("2026-11-19T22:00:00.000Z");
    let lake = TestLake::of(&[
        send("m1", "a@example.com"),
        send("m2", "b@example.com"),
        ses("DeliveryDelay", "m2", "b@example.com", delayed),
        send("m3", "c@example.com"),
        delivery("m3", "c@example.com", "2026-11-01T10:00:02.000Z"),
        send("m4", "d@example.com"),
        ses("Reject", "m4", "d@example.com", json!({"reason": "Bad content"})),
        recent,
    ])
    .await;
    let figures = figures(&lake, "stuck", None).await;
    assert_eq!(counts(&figures, "other", "stuck after 1 h"), (Some(3), 4));
    assert_eq!(counts(&figures, "other", "of these delayed"), (Some(1), 3));
    assert_eq!(counts(&figures, "other", "stuck after 14 h"), (Some(2), 3));
    assert_eq!(counts(&figures, "other", "stuck after 3 d"), (Some(2), 3));
    // From 2026-11-01T10:00 to the read at 2026-11-20T00:00.
    assert_eq!(counts(&figures, "other", "oldest"), (Some(18 * 86_400_000 + 14 * 3_600_000), 3));
}
