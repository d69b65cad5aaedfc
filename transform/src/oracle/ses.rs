//! SES documents.

use serde_json::{Map, Value};

use super::Row;
use super::row::{Facts, nested, tags, text, texts};
use crate::DecodeOptions;
use crate::event::integer;
use crate::instant::parse_timestamp;

const SECTIONS: [(&str, &str); 10] = [
    ("send", "send"),
    ("delivery", "delivery"),
    ("delivery_delay", "deliveryDelay"),
    ("bounce", "bounce"),
    ("complaint", "complaint"),
    ("reject", "reject"),
    ("open", "open"),
    ("click", "click"),
    ("rendering_failure", "failure"),
    ("subscription", "subscription"),
];

pub(super) fn kind_of(name: &str) -> &'static str {
    let letters: String =
        name.to_ascii_lowercase().chars().filter(char::is_ascii_alphabetic).take(32).collect();
    match letters.strip_prefix("email").unwrap_or(&letters) {
        "send" | "sent" => "send",
        "delivery" | "delivered" => "delivery",
        "deliverydelay" | "deliverydelayed" => "delivery_delay",
        "bounce" | "bounced" => "bounce",
        "complaint" | "complaintreceived" | "complained" => "complaint",
        "reject" | "rejected" => "reject",
        "open" | "opened" => "open",
        "click" | "clicked" => "click",
        "renderingfailure" | "renderingfailed" => "rendering_failure",
        "subscription" | "subscribed" | "unsubscribe" | "unsubscribed" => "subscription",
        _ => "unknown",
    }
}

pub(super) fn rows(
    object: &Map<String, Value>,
    name: &str,
    options: &DecodeOptions,
    document: &Map<String, Value>,
) -> Option<Vec<Row>> {
    let kind = kind_of(name);
    let mut facts = Facts {
        kind,
        source: "ses",
        channel: Some("email"),
        document: Value::Object(document.clone()),
        sender_path: vec!["mail", "source"],
        ..Facts::default()
    };
    let own = SECTIONS.iter().find(|section| section.0 == kind).map(|section| section.1);
    let mut template = None;
    for (key, value) in object {
        match key.as_str() {
            "mail" => mail(&mut facts, value.as_object()?),
            "eventType" | "notificationType" if !nested(value) => {}
            key if Some(key) == own && value.is_object() => {
                section(&mut facts, key, value.as_object()?, &mut template);
            }
            key => facts.keep(&[], key, value),
        }
    }
    if let (Some(_), Some(other)) =
        (text(object.get("eventType")), text(object.get("notificationType")))
    {
        facts.keep(&[], "notificationType", &other.into());
    }
    if kind == "unknown" {
        facts.keep(&[], "eventType", &name.into());
        facts.type_name = Some(name.to_owned());
    }
    if ["send", "reject", "rendering_failure"].contains(&kind) {
        facts.time = facts.sent_time;
    }
    let mail = object["mail"].as_object()?;
    if let Some(arn) = text(mail.get("sourceArn")) {
        let parts: Vec<&str> = arn.split(':').collect();
        if let Some(region) = parts.get(3).filter(|part| !part.is_empty()) {
            facts.columns.insert("region".into(), (*region).into());
        }
        let known = facts.columns.get("account_id").is_some_and(|account| account != "");
        if let Some(account) = parts.get(4).filter(|part| !part.is_empty() && !known) {
            facts.columns.insert("account_id".into(), (*account).into());
        }
    }
    if !facts.columns.contains_key("region")
        && let Some(id) = text(mail.get("messageId"))
    {
        for (prefix, region) in [
            ("0100", "us-east-1"),
            ("0101", "us-west-2"),
            ("0102", "eu-west-1"),
            ("0106", "ap-northeast-1"),
            ("0107", "eu-central-1"),
            ("010f", "us-east-2"),
        ] {
            if id.starts_with(prefix) {
                facts.columns.insert("region".into(), region.into());
            }
        }
    }
    tag_columns(&mut facts, options);
    if let Some(name) = template {
        match facts.columns.get("template") {
            Some(tagged) if *tagged == name => {}
            Some(_) => facts.keep(&["failure"], "templateName", &name.into()),
            None => {
                facts.columns.insert("template".into(), name.into());
            }
        }
    }
    facts.rows(options)
}

fn tag_columns(facts: &mut Facts, options: &DecodeOptions) {
    let configuration_set = ["ses:configuration-set".to_owned()];
    for (column, names) in [
        ("campaign", options.campaign_tags.as_slice()),
        ("template", &options.template_tags),
        ("tenant", &options.tenant_tags),
        ("configuration_set", &configuration_set),
    ] {
        let first = names.iter().find_map(|name| {
            facts.columns.get("tags")?.get(name)?.get(0)?.as_str().map(ToOwned::to_owned)
        });
        if let Some(value) = first {
            facts.columns.insert(column.into(), value.into());
        }
    }
}

fn mail(facts: &mut Facts, mail: &Map<String, Value>) {
    for (key, value) in mail {
        match key.as_str() {
            "headers" | "headersTruncated" => {}
            "commonHeaders" => {
                if let Some(subject) = text(value.get("subject")) {
                    facts.columns.insert("subject".into(), subject.into());
                }
            }
            "timestamp" => {
                facts.sent_time = text(Some(value)).and_then(|text| parse_timestamp(&text));
                if facts.sent_time.is_none() {
                    facts.keep(&["mail"], key, value);
                }
            }
            "messageId" => facts.column("message_id", &["mail"], key, value),
            "sendingAccountId" => facts.column("account_id", &["mail"], key, value),
            "source" => {
                facts.sender = text(Some(value));
                if nested(value) {
                    facts.keep(&["mail"], key, value);
                }
            }
            "destination" => {
                facts.destinations = texts(value);
                if facts.destinations.is_none() {
                    facts.keep(&["mail"], key, value);
                }
            }
            "tags" => match value.as_object() {
                Some(object) => {
                    if let Some(value) = tags(object) {
                        facts.columns.insert("tags".into(), value);
                    }
                }
                None => facts.keep(&["mail"], key, value),
            },
            _ => facts.keep(&["mail"], key, value),
        }
    }
    if facts.sender.is_none()
        && let Some(from) = mail.get("commonHeaders").and_then(|headers| headers.get("from"))
    {
        let first = from.as_array().map_or(Some(from), |list| list.first());
        facts.sender = text(first);
        facts.sender_path = vec!["mail", "commonHeaders", "from"];
    }
}

fn section(
    facts: &mut Facts,
    name: &str,
    section: &Map<String, Value>,
    template: &mut Option<String>,
) {
    let path = &[name];
    for (key, value) in section {
        let column = match (name, key.as_str()) {
            ("delivery", "smtpResponse") => "smtp_response",
            ("bounce" | "delivery" | "deliveryDelay", "reportingMTA") => "reporting_mta",
            ("bounce" | "delivery" | "deliveryDelay", "remoteMtaIp") => "remote_ip",
            ("bounce", "bounceType") => "bounce_type",
            ("bounce", "bounceSubType") => "bounce_subtype",
            ("complaint", "complaintFeedbackType") => "complaint_type",
            ("complaint", "complaintSubType") => "complaint_subtype",
            ("complaint" | "open" | "click", "userAgent") => "user_agent",
            ("open" | "click", "ipAddress") => "ip_address",
            ("deliveryDelay", "delayType") => "delay_type",
            ("reject", "reason") | ("failure", "errorMessage") => "failure_reason",
            _ => "",
        };
        if !column.is_empty() {
            facts.column(column, path, key, value);
            continue;
        }
        match (name, key.as_str()) {
            (_, "timestamp") => {
                facts.time = text(Some(value)).and_then(|text| parse_timestamp(&text));
                if facts.time.is_none() {
                    facts.keep(path, key, value);
                }
            }
            ("delivery", "processingTimeMillis") => {
                match text(Some(value)).and_then(|text| integer(&text)) {
                    Some(millis) => {
                        facts.columns.insert("processing_ms".into(), millis.into());
                    }
                    None => facts.keep(path, key, value),
                }
            }
            ("bounce", "bouncedRecipients") => {
                facts.named_path = vec!["bounce", "bouncedRecipients"];
                facts.read_named(path, "bouncedRecipients", value);
            }
            ("complaint", "complainedRecipients") => {
                facts.named_path = vec!["complaint", "complainedRecipients"];
                facts.read_named(path, "complainedRecipients", value);
            }
            ("deliveryDelay", "delayedRecipients") => {
                facts.named_path = vec!["deliveryDelay", "delayedRecipients"];
                facts.read_named(path, "delayedRecipients", value);
            }
            ("delivery", "recipients") => {
                facts.named_path = vec!["delivery", "recipients"];
                facts.read_named(path, "recipients", value);
            }
            ("click", "link" | "url") => {
                facts.link = text(Some(value));
                if nested(value) {
                    facts.keep(path, key, value);
                }
            }
            ("failure", "templateName") => {
                *template = text(Some(value));
                if nested(value) {
                    facts.keep(path, key, value);
                }
            }
            _ => {
                facts.keep(path, key, value);
                match (name, key.as_str()) {
                    ("bounce" | "complaint", "feedbackId") => facts.feedback_id = text(Some(value)),
                    ("open" | "click", "isBotEvent") => facts.bot_event = text(Some(value)),
                    ("subscription", "contactList") => facts.contact_list = text(Some(value)),
                    ("click", "linkTags") => {
                        facts.unsubscribe_link = value.to_string().contains("nsubscribe");
                    }
                    _ => {}
                }
            }
        }
    }
}
