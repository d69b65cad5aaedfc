//! The views of the Digital User Engagement Events Database, over SES and Pinpoint events.

use serde_json::{Value, json};

use super::{TestLake, bounce, complaint, delivery, open, send, ses};
use crate::engine::VIEWS;

#[expect(clippy::needless_pass_by_value, reason = "called with json! literals")]
fn pinpoint(event_type: &str, attributes: Value, facets: Value) -> Value {
    json!({
        "event_type": event_type,
        "event_timestamp": 1_793_527_200_000_i64,
        "arrival_timestamp": 1_793_530_800_000_i64,
        "event_version": "3.1",
        "application": {"app_id": "app1", "sdk": {}},
        "client": {"client_id": "endpoint1"},
        "attributes": attributes,
        "metrics": {"price_in_millicents_usd": 645.0},
        "awsAccountId": "111122223333",
        "facets": facets,
    })
}

fn mail_event(name: &str, section: &Value) -> Value {
    json!({"email_channel": {"mail_event": {
        "mail": {
            "message_id": "p1", "message_send_timestamp": 1_793_527_200_000_i64,
            "from_address": "news@example.com", "destination": ["reader@example.com"],
            "common_headers": {"from": "news@example.com", "to": ["reader@example.com"], "subject": "November"},
        },
        name: section,
    }}})
}

#[tokio::test]
async fn every_view_can_be_asked_whatever_the_lake_holds() {
    let lake = TestLake::of(&[send("m1", "reader@example.com")]).await;
    for view in VIEWS {
        lake.ask(&format!("SELECT * FROM {}", view.name)).await;
        assert!(!view.meaning().is_empty(), "{} says what a row is", view.name);
    }
}

#[tokio::test]
async fn ses_events_appear_in_the_old_views() {
    let to = "reader@example.com";
    let lake = TestLake::of(&[
        send("m1", to),
        delivery("m1", to, "2026-11-01T10:00:02.000Z"),
        open("m1", to, "2026-11-01T12:00:00.000Z", "Mozilla/5.0"),
        bounce("m2", to, ("Permanent", "General"), "5.1.1", "smtp; 550 5.1.1 user unknown"),
        bounce("m3", to, ("Transient", "MailboxFull"), "4.2.2", "smtp; 452 4.2.2 mailbox full"),
        complaint("m4", to, Some("abuse"), None),
        ses("Reject", "m5", to, json!({"reason": "Bad content"})),
        ses("Subscription", "m6", to, json!({
            "contactList": "main", "timestamp": "2026-11-02T00:00:00.000Z", "source": "UnsubscribeHeader",
            "newTopicPreferences": {"unsubscribeAll": true, "topicSubscriptionStatus": []},
            "oldTopicPreferences": {"unsubscribeAll": false, "topicSubscriptionStatus": []},
        })),
    ])
    .await;
    assert_eq!(
        lake.ask("SELECT message_id, event_timestamp, arrival_timestamp, processing_time_millis, message_tags['campaign'] FROM email_delivered").await,
        ["m1,2026-11-01T10:00:00Z,2026-11-01T10:00:02Z,1200,november"]
    );
    assert_eq!(
        lake.ask("SELECT message_id, bounced_recipient_email_address, bounced_recipient_action, feedback_id, destination[1] FROM email_hardbounce").await,
        ["m2,reader@example.com,failed,m2-reader@example.com-General,reader@example.com"]
    );
    assert_eq!(
        lake.ask(
            "SELECT message_id, bounce_sub_type, bounced_recipient_status FROM email_softbounce"
        )
        .await,
        ["m3,MailboxFull,4.2.2"]
    );
    assert_eq!(
        lake.ask("SELECT message_id, complained_email_address, complaint_feedback_type FROM email_complaint").await,
        ["m4,reader@example.com,abuse"]
    );
    assert_eq!(
        lake.ask("SELECT message_id, reject_reason FROM email_rejected").await,
        ["m5,Bad content"]
    );
    assert_eq!(lake.ask("SELECT message_id FROM email_unsubscribe").await, ["m6"]);
    assert_eq!(lake.ask("SELECT message_id, user_agent FROM email_open").await, ["m1,Mozilla/5.0"]);
}

#[tokio::test]
async fn pinpoint_events_keep_their_names_and_times() {
    let campaign = json!({"campaign_id": "c1", "treatment_id": "0", "campaign_activity_id": "a1"});
    let journey = json!({
        "journey_id": "j1", "journey_run_id": "r1", "journey_activity_id": "a1", "journey_send_status": "SUCCESS",
    });
    let sms = json!({
        "message_id": "s1", "destination_phone_number": "+15555550100", "record_status": "DELIVERED",
        "iso_country_code": "US", "number_of_message_parts": "1", "message_type": "Transactional",
        "sender_request_id": "q1", "origination_phone_number": "+15555550199",
    });
    let lake = TestLake::of(&[
        pinpoint(
            "_email.open",
            campaign.clone(),
            mail_event("open", &json!({"ip_address": "192.0.2.1", "user_agent": "x"})),
        ),
        pinpoint("_campaign.send", campaign, json!({})),
        pinpoint("_journey.send", journey, json!({})),
        pinpoint("_SMS.SUCCESS", sms, json!({})),
    ])
    .await;
    assert_eq!(
        lake.ask("SELECT event_timestamp, arrival_timestamp, pinpoint_campaign_id, pinpoint_treatment_id, endpoint_id, message_tags['campaign_activity_id'], message_tags['campaign_id'] FROM email_open").await,
        ["2026-11-01T10:00:00Z,2026-11-01T11:00:00Z,c1,0,endpoint1,a1,c1"]
    );
    assert_eq!(
        lake.ask(
            "SELECT pinpoint_campaign_id, event_timestamp, arrival_timestamp FROM campaign_send"
        )
        .await,
        ["c1,2026-11-01T10:00:00Z,2026-11-01T11:00:00Z"]
    );
    assert_eq!(
        lake.ask("SELECT journey_id, journey_run_id, journey_activity_id, journey_send_status FROM journey_send").await,
        ["j1,r1,a1,SUCCESS"]
    );
    assert_eq!(
        lake.ask("SELECT message_id, destination_phone_number, record_status, price_in_millicents_usd FROM sms_success").await,
        ["s1,+15555550100,DELIVERED,645"]
    );
    // A decision to send is no message: nothing is counted twice.
    assert_eq!(lake.ask("SELECT count(*) FROM messages").await, ["1"]);
}
