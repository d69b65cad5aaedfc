//! What went wrong elsewhere must not go wrong here: one test per lesson.

use serde_json::{Value, json};

use super::{NOW, bounce, decode, decode_bytes, facts, rows, sns};

/// A bounce with its own object exchanged for another.
fn event(kind: &str, section: &str, object: Value) -> Value {
    let mut document = bounce();
    let fields = document.as_object_mut().unwrap();
    fields.remove("bounce");
    fields["mail"]["destination"] = json!(["only@example.com"]);
    fields.insert("eventType".into(), kind.into());
    fields.insert(section.into(), object);
    document
}

fn click(link: &str, timestamp: &str) -> Value {
    event(
        "Click",
        "click",
        json!({"link": link, "timestamp": timestamp, "ipAddress": "192.0.2.7", "userAgent": "ua"}),
    )
}

fn ids(text: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        rows(&decode(text)).iter().map(|row| row["event_id"].to_string()).collect();
    ids.dedup();
    ids
}

#[test]
fn each_event_type_has_its_own_time() {
    let own = "2026-03-06T00:00:00.000Z";
    for (kind, section) in [
        ("Open", "open"),
        ("Click", "click"),
        ("DeliveryDelay", "deliveryDelay"),
        ("Subscription", "subscription"),
        ("Bounce", "bounce"),
        ("Complaint", "complaint"),
        ("Delivery", "delivery"),
    ] {
        let decoded = decode(&event(kind, section, json!({"timestamp": own})).to_string());
        assert_eq!(rows(&decoded)[0]["event_time"], 1_772_755_200_000_000_i64, "{kind}");
    }
    for (kind, section) in
        [("Send", "send"), ("Reject", "reject"), ("Rendering Failure", "failure")]
    {
        let decoded = decode(&event(kind, section, json!({})).to_string());
        assert_eq!(rows(&decoded)[0]["event_time"], 1_772_726_153_969_000_i64, "{kind}");
    }
}

#[test]
fn clicks_on_two_links_and_opens_a_millisecond_apart_are_distinct() {
    let when = "2026-03-05T18:00:00.500Z";
    let (a, b) = (click("https://example.com/a", when), click("https://example.com/b", when));
    assert_eq!(ids(&format!("{a}{b}")).len(), 2);
    let secret = click("https://example.com/a?token=1", when);
    assert_eq!(ids(&format!("{a}{secret}")).len(), 2, "links that only differ in what is not kept");
    let later = click("https://example.com/a", "2026-03-05T18:00:00.501Z");
    assert_eq!(ids(&format!("{a}{later}")).len(), 2);
}

#[test]
fn a_message_delivered_forty_six_times_is_one_event() {
    let text = format!("{}\n", sns(&bounce().to_string())).repeat(46);
    assert_eq!(rows(&decode(&text)).len(), 46);
    assert_eq!(ids(&text).len(), 1);
}

#[test]
fn event_types_are_known_by_every_spelling() {
    for name in
        ["Rendering Failure", "RenderingFailure", "RENDERING_FAILURE", "Email Rendering Failed"]
    {
        let document = event(name, "failure", json!({"errorMessage": "no name"}));
        let rows = rows(&decode(&document.to_string()));
        assert_eq!(rows[0]["event_type"], "rendering_failure", "{name}");
        assert_eq!(rows[0]["failure_reason"], "no name", "{name}");
    }
}

#[test]
fn complaints_are_taken_in_both_dialects_and_are_the_same_event() {
    let object = json!({"complainedRecipients": [{"emailAddress": "only@example.com"}],
        "timestamp": "2026-03-06T00:00:00.000Z", "feedbackId": "f"});
    let published = event("Complaint", "complaint", object);
    let mut notified = published.clone();
    let fields = notified.as_object_mut().unwrap();
    fields.remove("eventType");
    fields.insert("notificationType".into(), "Complaint".into());
    fields["complaint"]["timestamp"] = "2026-03-06T00:00:00.700Z".into();
    assert_eq!(ids(&format!("{published}\n{notified}")).len(), 1);
}

#[test]
fn without_a_feedback_id_times_agree_to_the_second() {
    let at = |time: &str| event("Bounce", "bounce", json!({"timestamp": time})).to_string();
    let text = at("2026-03-06T00:00:00.123Z") + &at("2026-03-06T00:00:00.000Z");
    assert_eq!(ids(&text).len(), 1);
    let text = at("2026-03-06T00:00:00.123Z") + &at("2026-03-06T00:00:01.000Z");
    assert_eq!(ids(&text).len(), 2);
}

#[test]
fn an_open_of_a_message_with_several_destinations_names_nobody() {
    let mut document = event("Open", "open", json!({"timestamp": "2026-03-05T18:00:00.500Z"}));
    document["mail"]["destination"] = json!(["a@example.com", "b@example.com"]);
    let rows = rows(&decode(&document.to_string()));
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].contains_key("recipient"));
    assert_eq!(rows[0]["recipient_count"], 2);
}

#[test]
fn a_bounce_that_names_nobody_is_the_only_destinations() {
    for named in [json!([]), json!(null), json!([{}])] {
        let object = json!({"bouncedRecipients": named, "timestamp": "2026-03-06T00:00:00Z"});
        let rows = rows(&decode(&event("Bounce", "bounce", object).to_string()));
        assert_eq!(rows[0]["recipient"], "only@example.com");
    }
}

#[test]
fn raw_delivery_and_envelopes_both_parse() {
    let plain = bounce().to_string();
    assert_eq!(facts(&decode(&plain)), facts(&decode(&sns(&plain).to_string())));
}

#[test]
fn fields_that_aws_adds_survive() {
    let mut document = bounce();
    document["mail"]["newThing"] = json!({"deep": [1, {"a": "\u{e9}"}]});
    document["bounce"]["other"] = json!(7);
    document["top"] = json!("x");
    let rows = rows(&decode(&document.to_string()));
    let extra: Value = serde_json::from_str(rows[0]["extra"].as_str().unwrap()).unwrap();
    assert_eq!(extra["mail"]["newThing"], document["mail"]["newThing"]);
    assert_eq!(extra["bounce"]["other"], 7);
    assert_eq!(extra["top"], "x");
}

#[test]
fn serialising_a_document_anew_changes_nothing() {
    let document = bounce();
    let escaped = document.to_string().replace("Hi } there", "H\\u0069 } there");
    let pretty = serde_json::to_string_pretty(&document).unwrap();
    let plain = facts(&decode(&document.to_string()));
    assert_eq!(facts(&decode(&escaped)), plain);
    assert_eq!(facts(&decode(&pretty)), plain);
}

#[test]
fn impossible_times_are_kept_and_flagged_and_open_no_partition() {
    for (time, micros) in [
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000_i64),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000_000),
        ("2008-12-31T23:59:59Z", 1_230_767_999_000_000),
        ("2026-11-25T00:00:01Z", NOW + 2 * 86_400_000_000 + 1_000_000),
    ] {
        let decoded = decode(&click("https://example.com/", time).to_string());
        let rows = rows(&decoded);
        assert_eq!(rows[0]["event_time"], micros, "{time}");
        assert_eq!(rows[0]["event_date"], 0, "{time}");
        assert!(rows[0]["extra"].as_str().unwrap().contains("\"implausible_time\":true"));
    }
}

#[test]
fn a_time_that_cannot_be_read_is_the_mails_and_says_so() {
    let decoded = decode(&click("https://example.com/", "yesterday").to_string());
    let rows = rows(&decoded);
    assert_eq!(rows[0]["event_time"], rows[0]["sent_time"]);
    let extra: Value = serde_json::from_str(rows[0]["extra"].as_str().unwrap()).unwrap();
    assert_eq!(extra["time_from"], "mail");
    assert_eq!(extra["click"]["timestamp"], "yesterday");
}

#[test]
fn numbers_as_texts_and_texts_as_numbers_are_read() {
    let mut document = event(
        "Delivery",
        "delivery",
        json!({"timestamp": 1_772_755_200_000_i64, "processingTimeMillis": "762",
            "recipients": ["a@example.com"], "smtpResponse": 250}),
    );
    document["mail"]["sendingAccountId"] = json!(123_456_789_012_i64);
    let rows = rows(&decode(&document.to_string()));
    assert_eq!(rows[0]["event_time"], 1_772_755_200_000_000_i64);
    assert_eq!(rows[0]["processing_ms"], 762);
    assert_eq!(rows[0]["smtp_response"], "250");
    assert_eq!(rows[0]["account_id"], "123456789012");
}

#[test]
fn bottomless_nesting_is_one_reject_and_no_crash() {
    let good = bounce().to_string();
    let depth = 10_000;
    for deep in [
        format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
        "[".repeat(depth),
        format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
        "{\"a\":".repeat(depth),
        good.replacen("{", &format!("{{\"x\":{}1{},", "[".repeat(depth), "]".repeat(depth)), 1),
    ] {
        let decoded = decode(&format!("{good}\n{deep}\n{good}\n"));
        assert_eq!(decoded.counts.accepted, 2);
        assert_eq!(decoded.rejects.len(), 1);
        assert_eq!(decoded.rejects[0].raw, deep.as_bytes());
    }
}

#[test]
fn what_a_command_line_prints_of_a_queue_is_read() {
    // aws sqs receive-message --query 'Messages[].Body'
    let (one, bad) = (bounce().to_string(), "{\"eventType\":\"Bounce\"}");
    let printed = json!([one, bad, "a note"]).to_string();
    let decoded = decode(&printed);
    assert_eq!(decoded.counts.accepted, 1);
    let kept: Vec<&[u8]> = decoded.rejects.iter().map(|reject| reject.raw.as_slice()).collect();
    let quoted = [json!(bad).to_string(), json!("a note").to_string()];
    assert_eq!(kept, [quoted[0].as_bytes(), quoted[1].as_bytes()]);
    let places: Vec<usize> =
        decoded.rejects.iter().map(|reject| reject.place.parse().unwrap()).collect();
    assert_eq!(places, quoted.map(|text| printed.find(&text).unwrap()));
    // The same once more as a text: one line of a file of JSON texts.
    assert_eq!(decode(&json!(one).to_string()).counts.accepted, 1);
}

#[test]
fn pages_of_pages_are_read_to_the_last_document() {
    let good = bounce();
    let pages = json!([[good], [[good, 7]], []]).to_string();
    let decoded = decode(&pages);
    assert_eq!(decoded.counts.accepted, 2);
    let kept: Vec<&[u8]> = decoded.rejects.iter().map(|reject| reject.raw.as_slice()).collect();
    assert_eq!(kept, [b"7".as_slice(), b"[]"]);
}

#[test]
fn a_line_of_fifty_megabytes_hides_nothing() {
    let good = bounce().to_string();
    let mut text = format!("{good}\n").into_bytes();
    text.resize(text.len() + 50_000_000, b'x');
    text.extend_from_slice(format!("\n{good}\n").as_bytes());
    let decoded = decode_bytes(&text);
    assert_eq!((decoded.counts.accepted, decoded.counts.rejected), (2, 1));
    let subject = "y".repeat(50_000_000);
    let large = good.replace("Hi } there", &subject);
    assert_eq!(decode(&format!("{good}{large}{good}")).counts.accepted, 3);
}

#[test]
fn beginnings_of_documents_without_end_cost_no_more_than_their_length() {
    let text = "{\"eventType\":[".repeat(300_000);
    let decoded = decode(&text);
    assert_eq!(decoded.counts.accepted, 0);
    let rejected: usize = decoded.rejects.iter().map(|reject| reject.raw.len()).sum();
    assert_eq!(rejected, text.len());
    let lines = "{\"eventType\":[\n".repeat(300_000);
    assert_eq!(decode(&lines).counts.rejected, 300_000);
}

#[test]
fn thousands_of_recipients_of_a_large_document_are_refused() {
    let mut document = bounce();
    let many: Vec<String> = (0..20_000).map(|i| format!("a{i}@example.com")).collect();
    document["eventType"] = "Send".into();
    document["mail"]["destination"] = json!(many);
    let decoded = decode(&document.to_string());
    assert_eq!(decoded.rejects.len(), 1);
}

#[test]
fn concatenated_documents_need_no_line_ends() {
    let good = bounce().to_string();
    let decoded = decode(&format!("\u{feff}{good}{good}  {good}\r\n{good}"));
    assert_eq!((decoded.counts.accepted, decoded.counts.rejected), (4, 0));
}

#[test]
fn only_the_bad_element_of_an_array_or_batch_is_rejected() {
    let good = bounce();
    let text = json!([good, {"a": 1}, 5, good]).to_string();
    let decoded = decode(&text);
    assert_eq!((decoded.counts.accepted, decoded.counts.rejected), (2, 2));
    assert_eq!(decoded.rejects[0].raw, b"{\"a\":1}");
    assert_eq!(decoded.rejects[1].raw, b"5");

    let record = |body: String| json!({"messageId": "m", "body": body, "eventSource": "aws:sqs"});
    let bad = record("hello".into());
    let text = json!({"Records": [record(good.to_string()), bad, record(good.to_string())]});
    let decoded = decode(&text.to_string());
    assert_eq!((decoded.counts.accepted, decoded.counts.rejected), (2, 1));
    assert_eq!(decoded.rejects[0].raw, bad.to_string().as_bytes());
}

#[test]
fn text_messages_are_not_mistaken_for_mail() {
    let document = json!({"eventType": "TEXT_DELIVERED", "eventTimestamp": 1_772_726_154_869_i64,
        "messageId": "t", "destinationPhoneNumber": "+12065550101"});
    let rows = rows(&decode(&document.to_string()));
    assert_eq!(rows[0]["event_type"], "unknown");
    assert_eq!(rows[0]["channel"], "sms");
    assert_eq!(rows[0]["recipient"], "+12065550101");
}

#[test]
fn a_line_cut_inside_a_character_does_not_reach_back_to_one_cut_before_it() {
    let good = bounce().to_string();
    let mut text = format!("{{\"a\":{{\"b\":1,\n{good}\n").into_bytes();
    text.extend_from_slice(b"{\"eventType\":\"\xd0\n");
    text.extend_from_slice(good.as_bytes());
    let decoded = decode_bytes(&text);
    assert_eq!((decoded.counts.accepted, decoded.counts.rejected), (2, 2));
}
