//! The views `messages` and `recipients`: what they say, in whatever order events arrive.

use serde_json::{Value, json};

use super::{TestLake, bounce, complaint, delivery, open, send, ses};

const PERSON: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15";
const UNKNOWN_USER: (&str, &str, &str) = ("Permanent", "5.1.1", "smtp; 550 5.1.1 user unknown");

const STATES: &str = "SELECT message_id, recipient, state, bounce_class, delivered_time IS NOT NULL, \
     bounced_time IS NOT NULL, complained_time IS NOT NULL FROM messages ORDER BY 1, 2";

fn unknown_user(message: &str, recipient: &str) -> Value {
    bounce(message, recipient, (UNKNOWN_USER.0, "General"), UNKNOWN_USER.1, UNKNOWN_USER.2)
}

/// One of everything that can happen.
fn documents() -> Vec<Value> {
    let to = "reader@example.com";
    vec![
        send("m1", to),
        delivery("m1", to, "2026-11-01T10:00:02.000Z"),
        open("m1", to, "2026-11-01T12:00:00.000Z", PERSON),
        send("m2", to),
        complaint("m2", to, Some("abuse"), None),
        delivery("m2", to, "2026-11-04T10:00:02.000Z"),
        send("m3", to),
        unknown_user("m3", to),
        send("m4", to),
        bounce(
            "m4",
            to,
            ("Permanent", "OnAccountSuppressionList"),
            "5.1.1",
            "Amazon SES did not send the message to this address because it is on the suppression list for your account.",
        ),
        send("m5", to),
        delivery("m5", to, "2026-11-01T10:00:02.000Z"),
        unknown_user("m5", to),
        send("m6", to),
        ses("Reject", "m7", to, json!({"reason": "Bad content"})),
        send("m8", to),
        ses(
            "DeliveryDelay",
            "m8",
            to,
            json!({
                "timestamp": "2026-11-01T10:30:00.000Z", "delayType": "MailboxFull",
                "delayedRecipients": [{"emailAddress": to, "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 full"}],
            }),
        ),
        send("m9", to),
        delivery("m9", to, "2026-11-01T10:00:02.000Z"),
        complaint("m9", to, Some("not-spam"), None),
    ]
}

fn expected() -> Vec<&'static str> {
    vec![
        "m1,reader@example.com,delivered,,true,false,false",
        "m2,reader@example.com,complained,,true,false,true",
        "m3,reader@example.com,bounced,invalid_recipient,false,true,false",
        "m4,reader@example.com,suppressed,suppression_echo,false,true,false",
        "m5,reader@example.com,bounced,invalid_recipient,true,true,false",
        "m6,reader@example.com,sent,,false,false,false",
        "m7,reader@example.com,rejected,,false,false,false",
        "m8,reader@example.com,delayed,,false,false,false",
        "m9,reader@example.com,delivered,,true,false,false",
    ]
}

#[tokio::test]
async fn a_message_has_the_strongest_state_of_its_events() {
    let lake = TestLake::of(&documents()).await;
    assert_eq!(lake.ask(STATES).await, expected());
}

#[tokio::test]
async fn the_order_of_arrival_never_matters() {
    let mut backwards = documents();
    backwards.reverse();
    let mut lake = TestLake::new();
    for document in &backwards {
        lake.add(std::slice::from_ref(document)).await;
    }
    // And once more all together: repeats change nothing either.
    lake.add(&documents()).await;
    assert_eq!(lake.ask(STATES).await, expected());
}

#[tokio::test]
async fn an_automatic_answer_is_no_bounce() {
    let to = "reader@example.com";
    let answer = bounce(
        "m1",
        to,
        ("Transient", "General"),
        "4.0.0",
        "smtp; 450 4.0.0 Out of Office: automatic reply",
    );
    let lake =
        TestLake::of(&[send("m1", to), delivery("m1", to, "2026-11-01T10:00:02Z"), answer]).await;
    assert_eq!(
        lake.ask(STATES).await,
        ["m1,reader@example.com,delivered,auto_reply,true,false,false"]
    );
    assert_eq!(lake.ask("SELECT bounces, auto_replies FROM recipients").await, ["0,1"]);
}

#[tokio::test]
async fn each_recipient_of_a_message_has_a_row_of_its_own() {
    let mut both = send("m1", "one@example.com");
    both["mail"]["destination"] = json!(["one@example.com", "Two <TWO@Example.com>"]);
    let mut opened = open("m1", "one@example.com", "2026-11-01T12:00:00Z", PERSON);
    opened["mail"]["destination"] = both["mail"]["destination"].clone();
    let mut bounced = unknown_user("m1", "two@example.com");
    bounced["mail"]["destination"] = both["mail"]["destination"].clone();
    let lake = TestLake::of(&[both, opened, bounced]).await;
    assert_eq!(
        lake.ask("SELECT recipient, state, opens FROM messages ORDER BY 1").await,
        ["one@example.com,sent,0", "two@example.com,bounced,0"]
    );
    // The open belongs to nobody in particular, and is still there.
    assert_eq!(lake.ask("SELECT count(*) FROM events WHERE recipient IS NULL").await, ["1"]);
}

#[tokio::test]
async fn a_machines_open_is_not_a_persons() {
    let to = "reader@gmail.com";
    let proxy =
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
    let mut robot = open("m1", to, "2026-11-01T11:00:00Z", PERSON);
    robot["open"]["isBotEvent"] = json!("Likely");
    let person = open("m1", to, "2026-11-01T12:00:00Z", proxy);
    let lake = TestLake::of(&[send("m1", to), robot, person]).await;
    assert_eq!(
        lake.ask("SELECT opens, first_open_time, first_human_open_time FROM messages").await,
        ["2,2026-11-01T11:00:00Z,2026-11-01T12:00:00Z"]
    );
    assert_eq!(
        lake.ask("SELECT opens, human_opens, last_human_engagement_time FROM recipients").await,
        ["2,1,2026-11-01T12:00:00Z"]
    );
}
