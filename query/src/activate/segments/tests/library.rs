use super::*;
use crate::activate::segments::definition::segments_in_folder;
use crate::activate::segments::library::LIBRARY;
use crate::activate::segments::members::Question;

/// The members of a ready segment; `now()` in it is the time of these tests.
async fn members_of(name: &str, documents: &[Value]) -> Vec<String> {
    let lake = TestLake::of(documents).await;
    let ready = LIBRARY.iter().find(|ready| ready.name == name).expect("a ready segment");
    let folder = tempfile::tempdir().expect("a folder");
    let text = ready.text.replace("now()", "TIMESTAMP '2026-11-20T00:00:00Z'");
    std::fs::write(folder.path().join(format!("{name}.sql")), text).expect("a file");
    let segment =
        segments_in_folder(folder.path(), folder.path(), &[]).expect("segments").remove(0);
    members(&lake, &segment).await
}

async fn members(lake: &TestLake, segment: &Segment) -> Vec<String> {
    let opened = lake.open().await;
    let question = Question::plan(&opened.engine, segment).await.expect("a question");
    let mut members = question.ask().await.expect("members");
    let mut found = Vec::new();
    while let Some(member) = members.next().await.expect("a member") {
        found.push(member.key.trim_end_matches("@example.com").to_owned());
    }
    found
}

fn at(who: &str) -> String {
    format!("{who}@example.com")
}

fn clicked(id: &str, address: &str, time: &str, agent: &str) -> Value {
    json!({
        "eventType": "Click",
        "mail": mail(id, address),
        "click": {
            "timestamp": time,
            "link": "https://shop.example.com/",
            "ipAddress": "203.0.113.9",
            "userAgent": agent,
            "isBotEvent": if agent == HUMAN { "Unlikely" } else { "Likely" },
        },
    })
}

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// `count` deliveries to somebody, the first at `first`, then one a second.
fn deliveries(who: &str, count: usize, first: &str) -> Vec<Value> {
    let first: Timestamp = first.parse().expect("an instant");
    (0..count)
        .map(|n| {
            let time = first + jiff::SignedDuration::from_secs(n as i64);
            delivered_at(&format!("{who}-{n}"), &at(who), &time.to_string())
        })
        .collect()
}

#[tokio::test]
async fn engaged_are_people_not_machines_and_only_of_late() {
    let documents = [
        delivered("1", &at("new")),
        clicked("1", &at("new"), "2026-11-10T00:00:00.000Z", HUMAN),
        delivered("2", &at("old")),
        clicked("2", &at("old"), "2026-10-10T00:00:00.000Z", HUMAN),
        delivered("3", &at("bot")),
        clicked("3", &at("bot"), "2026-11-10T00:00:00.000Z", "scanner"),
        delivered("4", &at("angry")),
        clicked("4", &at("angry"), "2026-11-10T00:00:00.000Z", HUMAN),
        complained("4", &at("angry")),
    ];
    assert_eq!(members_of("engaged-30d", &documents).await, ["new"]);
    assert_eq!(members_of("clicked-campaign", &documents).await, ["new", "old"]);
}

#[tokio::test]
async fn at_risk_and_sunset_follow_one_another() {
    let mut documents = Vec::new();
    // Ten deliveries each; the last ones of late, so that they are still written to.
    for (who, first) in [("fresh", "2026-10-01"), ("risk", "2026-07-01"), ("asleep", "2026-04-01")]
    {
        documents.extend(deliveries(who, 9, &format!("{first}T00:00:00Z")));
        documents.push(delivered_at(&format!("{who}-l"), &at(who), "2026-11-01T00:00:00.000Z"));
    }
    documents.extend(deliveries("rarely", 3, "2026-04-01T00:00:00Z"));
    // Asleep for long, but for one click: at risk, not yet asleep.
    documents.extend(deliveries("stirred", 9, "2026-04-01T00:00:00Z"));
    documents.push(delivered_at("stirred-l", &at("stirred"), "2026-11-01T00:00:00.000Z"));
    documents.push(clicked("stirred-0", &at("stirred"), "2026-07-01T00:00:00.000Z", HUMAN));
    assert_eq!(members_of("at-risk", &documents).await, ["risk", "stirred"]);
    assert_eq!(members_of("sunset", &documents).await, ["asleep"]);
    assert_eq!(members_of("never-opened-humanly", &documents).await, ["asleep", "fresh", "risk"]);
}

#[tokio::test]
async fn signups_are_unconfirmed_until_a_person_clicks() {
    let confirmation = |who: &str, time: &str| {
        let mut document = delivered_at(&format!("c-{who}"), &at(who), time);
        document["mail"]["tags"] = json!({"campaign": ["confirmation"]});
        document
    };
    let documents = [
        confirmation("waiting", "2026-11-15T00:00:00.000Z"),
        confirmation("scanned", "2026-11-15T00:00:00.000Z"),
        clicked("c-scanned", &at("scanned"), "2026-11-15T00:00:01.000Z", "scanner"),
        confirmation("confirmed", "2026-11-15T00:00:00.000Z"),
        clicked("c-confirmed", &at("confirmed"), "2026-11-15T01:00:00.000Z", HUMAN),
        confirmation("today", "2026-11-19T12:00:00.000Z"),
        confirmation("long-ago", "2026-10-15T00:00:00.000Z"),
        delivered("other", &at("other")),
    ];
    assert_eq!(members_of("new-signups-unconfirmed", &documents).await, ["scanned", "waiting"]);
}

#[tokio::test]
async fn soft_bounces_count_until_something_arrives() {
    let full = |id: &str, who: &str, time: &str| {
        bounced(id, &at(who), time, "MailboxFull", "smtp; 452 4.2.2 mailbox full")
    };
    let documents = [
        full("1", "full", "2026-11-15T00:00:00.000Z"),
        full("2", "better", "2026-11-15T00:00:00.000Z"),
        delivered_at("3", &at("better"), "2026-11-16T00:00:00.000Z"),
        full("4", "earlier", "2026-10-15T00:00:00.000Z"),
        bounced(
            "5",
            &at("blocked"),
            "2026-11-15T00:00:00.000Z",
            "ContentRejected",
            "smtp; 550 5.7.1 spam",
        ),
    ];
    assert_eq!(members_of("bounced-soft-recently", &documents).await, ["full"]);
}

#[tokio::test]
async fn a_hold_out_is_a_tenth_and_always_the_same() {
    let mut documents = Vec::new();
    for n in 0..400 {
        let (id, who) = (format!("m{n}"), format!("p{n:03}"));
        documents.push(delivered(&id, &at(&who)));
        documents.push(clicked(&id, &at(&who), "2026-11-10T00:00:00.000Z", HUMAN));
    }
    let held_out = members_of("provider-hold-out", &documents).await;
    assert!((20..=60).contains(&held_out.len()), "{} of 400", held_out.len());
    documents.reverse();
    assert_eq!(members_of("provider-hold-out", &documents).await, held_out);
}

#[tokio::test]
async fn whoever_must_not_be_written_to_is_in_no_segment() {
    let gone = "smtp; 550 5.1.1 user unknown";
    let time = "2026-11-03T00:00:00.000Z";
    let mut documents = vec![
        complained("1", &at("complained")),
        subscription("2", &at("left"), time, true, &[]),
        subscription(
            "3",
            &at("left-topics"),
            time,
            false,
            &[("news", "OptOut"), ("offers", "OptOut")],
        ),
        subscription(
            "4",
            &at("left-news"),
            time,
            false,
            &[("news", "OptOut"), ("offers", "OptIn")],
        ),
        subscription("5", &at("back"), time, true, &[]),
        subscription("6", &at("back"), "2026-11-04T00:00:00.000Z", false, &[("news", "OptIn")]),
        bounced("7", &at("unknown"), time, "NoEmail", gone),
        bounced("8", &at("revived"), time, "NoEmail", gone),
        delivered_at("9", &at("revived"), "2026-11-05T00:00:00.000Z"),
        bounced("10", &at("listed"), time, "OnAccountSuppressionList", ""),
        bounced("11", &at("full"), time, "MailboxFull", "smtp; 452 4.2.2 mailbox full"),
    ];
    for (n, who) in [
        "complained",
        "left",
        "left-topics",
        "left-news",
        "back",
        "unknown",
        "revived",
        "listed",
        "full",
        "reader",
    ]
    .iter()
    .enumerate()
    {
        documents.push(delivered(&format!("d{n}"), &at(who)));
    }
    let lake = TestLake::of(&documents).await;
    let everybody = segment(EVERYBODY);
    assert_eq!(
        members(&lake, &everybody).await,
        ["back", "full", "left-news", "reader", "revived"]
    );
    let of_news = Segment { topics: vec!["news".to_owned()], ..everybody.clone() };
    assert_eq!(members(&lake, &of_news).await, ["back", "full", "reader", "revived"]);
    let of_offers = Segment { topics: vec!["offers".to_owned()], ..everybody.clone() };
    assert!(members(&lake, &of_offers).await.contains(&"left-news".to_owned()));
    let about_them = Segment { suppressed: Suppressed::Included, ..everybody };
    assert_eq!(members(&lake, &about_them).await.len(), 10);
}
