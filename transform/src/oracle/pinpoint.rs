//! Pinpoint documents.

use serde_json::{Map, Value};

use super::Row;
use super::row::{Facts, nested, tags, text, texts};
use crate::DecodeOptions;
use crate::event::integer;
use crate::instant::parse_timestamp;
use crate::link::keep_allowed;

const MAIL_EVENT: [&str; 3] = ["facets", "email_channel", "mail_event"];

pub(super) fn rows(
    object: &Map<String, Value>,
    name: &str,
    options: &DecodeOptions,
) -> Option<Vec<Row>> {
    let (kind, channel) = match name {
        "_email.send" => ("send", "email"),
        "_email.delivered" => ("delivery", "email"),
        "_email.softbounce" | "_email.hardbounce" => ("bounce", "email"),
        "_email.complaint" => ("complaint", "email"),
        "_email.open" => ("open", "email"),
        "_email.click" => ("click", "email"),
        "_email.unsubscribe" => ("subscription", "email"),
        "_email.rejected" => ("reject", "email"),
        "_email.rendering_failure" => ("rendering_failure", "email"),
        "_SMS.BUFFERED" | "_sms.send" => ("send", "sms"),
        "_SMS.SUCCESS" | "_sms.success" => ("delivery", "sms"),
        "_SMS.FAILURE" | "_sms.fail" => ("bounce", "sms"),
        "_SMS.OPTOUT" | "_sms.optout" => ("subscription", "sms"),
        "_campaign.opened_notification" => ("open", "push"),
        "_campaign.received_foreground" | "_campaign.received_background" => ("delivery", "push"),
        name if name.starts_with("_email.") => ("unknown", "email"),
        name if name.starts_with("_SMS.") || name.starts_with("_sms.") => ("unknown", "sms"),
        _ => ("unknown", ""),
    };
    let mut facts = Facts {
        kind,
        source: "pinpoint",
        channel: Some(channel).filter(|channel| !channel.is_empty()),
        document: Value::Object(object.clone()),
        sender_path: vec!["facets", "email_channel", "mail_event", "mail", "from_address"],
        type_name: Some(name.to_owned()),
        ..Facts::default()
    };
    for (key, value) in object {
        match (key.as_str(), value.as_object()) {
            ("event_type" | "event_timestamp" | "arrival_timestamp", _) => {}
            ("awsAccountId" | "account_id", _) => facts.column("account_id", &[], key, value),
            ("application", Some(object)) => {
                one(&mut facts, "application", object, "app_id", "application_id");
            }
            ("client", Some(object)) => {
                one(&mut facts, "client", object, "client_id", "endpoint_id");
            }
            ("attributes", Some(object)) => attributes(&mut facts, object, options),
            ("facets", Some(object)) => facets(&mut facts, object),
            _ => facts.keep(&[], key, value),
        }
    }
    times(&mut facts, object);
    if kind == "bounce" && channel == "email" && !facts.columns.contains_key("bounce_type") {
        let hard = name == "_email.hardbounce";
        let by_name = if hard { "Permanent" } else { "Transient" };
        facts.columns.insert("bounce_type".into(), by_name.into());
    }
    facts.keep(&[], "event_type", &name.into());
    facts.rows(options)
}

fn times(facts: &mut Facts, object: &Map<String, Value>) {
    let read = |name| text(object.get(name)).and_then(|text| parse_timestamp(&text));
    let (happened, arrived) = (read("event_timestamp"), read("arrival_timestamp"));
    let message = matches!(facts.channel, Some("email" | "sms"));
    if message && facts.sent_time.is_none() {
        facts.sent_time = happened;
    }
    facts.time = match facts.kind {
        "send" | "reject" | "rendering_failure" => happened.or(facts.sent_time).or(arrived),
        "unknown" => happened.or(arrived),
        _ if message => arrived,
        _ => arrived.or(happened),
    };
    for (key, time) in [("event_timestamp", happened), ("arrival_timestamp", arrived)] {
        if let Some(value) = object.get(key)
            && (time.is_none() || (time != facts.time && time != facts.sent_time))
        {
            facts.keep(&[], key, value);
        }
    }
}

fn one(facts: &mut Facts, path: &str, object: &Map<String, Value>, name: &str, column: &str) {
    for (key, value) in object {
        if key == name {
            facts.column(column, &[path], key, value);
        } else {
            facts.keep(&[path], key, value);
        }
    }
}

fn attributes(facts: &mut Facts, object: &Map<String, Value>, options: &DecodeOptions) {
    let path = &["attributes"];
    let sms = facts.channel == Some("sms");
    for (key, value) in object {
        match key.as_str() {
            "campaign_id" => facts.column("campaign", path, key, value),
            "message_id" if sms => facts.column("message_id", path, key, value),
            "destination_phone_number" if sms && !nested(value) => {
                facts.read_named(path, "destination_phone_number", value);
            }
            "feedback" if !nested(value) => {
                if let Some(feedback) = text(Some(value)) {
                    let kept = if feedback.contains("://") {
                        keep_allowed(&feedback, &options.link_parameters).into_owned()
                    } else {
                        feedback
                    };
                    facts.keep(path, key, &kept.into());
                }
            }
            "journey_id" if !nested(value) => {}
            _ => facts.keep(path, key, value),
        }
    }
    if let Some(journey) = text(object.get("journey_id")) {
        if facts.columns.contains_key("campaign") {
            facts.keep(path, "journey_id", &journey.into());
        } else {
            facts.columns.insert("campaign".into(), journey.into());
        }
    }
}

fn facets(facts: &mut Facts, object: &Map<String, Value>) {
    for (key, value) in object {
        let Some(channel) = value.as_object().filter(|_| key == "email_channel") else {
            facts.keep(&["facets"], key, value);
            continue;
        };
        for (key, value) in channel {
            let Some(event) = value.as_object().filter(|_| key == "mail_event") else {
                facts.keep(&["facets", "email_channel"], key, value);
                continue;
            };
            for (key, value) in event {
                mail_event(facts, key, value);
            }
        }
    }
}

fn mail_event(facts: &mut Facts, key: &str, value: &Value) {
    let own: &[&str] = match facts.kind {
        "subscription" => &["click"],
        "rendering_failure" => &["rendering_failure", "failure"],
        "unknown" => &[],
        ref kind => std::slice::from_ref(kind),
    };
    let own = own.iter().find(|own| **own == key).copied();
    match (value.as_object(), own) {
        (Some(object), _) if key == "mail" => mail(facts, object),
        (Some(object), Some(own)) => section(facts, own, object),
        _ => facts.keep(&MAIL_EVENT, key, value),
    }
}

fn mail(facts: &mut Facts, mail: &Map<String, Value>) {
    let path = &["facets", "email_channel", "mail_event", "mail"];
    for (key, value) in mail {
        match key.as_str() {
            "headers" | "headers_truncated" => {}
            "common_headers" => {
                if let Some(subject) = text(value.get("subject")) {
                    facts.columns.insert("subject".into(), subject.into());
                }
            }
            "message_id" => facts.column("message_id", path, key, value),
            "message_send_timestamp" => {
                facts.sent_time = text(Some(value)).and_then(|text| parse_timestamp(&text));
                if facts.sent_time.is_none() {
                    facts.keep(path, key, value);
                }
            }
            "from_address" => {
                facts.sender = text(Some(value));
                if nested(value) {
                    facts.keep(path, key, value);
                }
            }
            "destination" => {
                facts.destinations = texts(value);
                if facts.destinations.is_none() {
                    facts.keep(path, key, value);
                }
            }
            "tags" => match value.as_object() {
                Some(object) => {
                    if let Some(value) = tags(object) {
                        facts.columns.insert("tags".into(), value);
                    }
                }
                None => facts.keep(path, key, value),
            },
            _ => facts.keep(path, key, value),
        }
    }
}

fn section(facts: &mut Facts, name: &'static str, section: &Map<String, Value>) {
    let path = &["facets", "email_channel", "mail_event", name];
    for (key, value) in section {
        let column = match key.as_str() {
            "smtp_response" => "smtp_response",
            "reporting_mta" => "reporting_mta",
            "remote_mta_ip" => "remote_ip",
            "ip_address" => "ip_address",
            "user_agent" => "user_agent",
            "reason" | "error_message" => "failure_reason",
            "template_name" => "template",
            "bounce_type" => "bounce_type",
            "bounce_sub_type" => "bounce_subtype",
            "complaint_feedback_type" => "complaint_type",
            "complaint_sub_type" => "complaint_subtype",
            _ => "",
        };
        if !column.is_empty() {
            facts.column(column, path, key, value);
            continue;
        }
        let named = match key.as_str() {
            "bounced_recipients" => Some(("bounce", "bounced_recipients")),
            "complained_recipients" => Some(("complaint", "complained_recipients")),
            "recipients" => Some(("delivery", "recipients")),
            _ => None,
        };
        if let Some((place, list)) = named {
            facts.named_path = MAIL_EVENT.iter().copied().chain([place, list]).collect();
            facts.read_named(path, list, value);
            continue;
        }
        match key.as_str() {
            "processing_time_millis" => match text(Some(value)).and_then(|text| integer(&text)) {
                Some(millis) => {
                    facts.columns.insert("processing_ms".into(), millis.into());
                }
                None => facts.keep(path, key, value),
            },
            "link" => {
                facts.link = text(Some(value));
                if nested(value) {
                    facts.keep(path, key, value);
                }
            }
            _ => {
                facts.keep(path, key, value);
                if key == "feedback_id" {
                    facts.feedback_id = text(Some(value));
                }
                if key == "link_tags" {
                    facts.unsubscribe_link = value.to_string().contains("nsubscribe");
                }
            }
        }
    }
}
