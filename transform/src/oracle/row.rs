//! What both formats share: from facts to rows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::Row;
use crate::DecodeOptions;
use crate::actor::{self, Fetch, FetchKind};
use crate::address::parse_mailbox;
use crate::bounce::{self, Evidence};
use crate::link::keep_allowed;
use crate::provider::mailbox_provider;
use crate::rules::RULE_VERSION;

/// A scalar as text.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Texts of a list, or of a single text; `None` if anything else is in it.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        Value::Null => return None,
        other => std::slice::from_ref(other),
    };
    if list.iter().any(nested) {
        return None;
    }
    Some(list.iter().filter_map(|element| text(Some(element))).collect())
}

/// JSON with keys in order.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Object(object) => {
            let sorted: BTreeMap<&String, &Value> = object.iter().collect();
            let members: Vec<String> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// One recipient that the event names.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    pub given: Option<String>,
    pub status: Option<String>,
    pub diagnostic: Option<String>,
    pub extra: Map<String, Value>,
}

/// What a document says.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub kind: &'static str,
    pub type_name: Option<String>,
    pub source: &'static str,
    pub channel: Option<&'static str>,
    pub time: Option<i64>,
    pub sent_time: Option<i64>,
    pub columns: Row,
    pub destinations: Option<Vec<String>>,
    pub named: Vec<Named>,
    /// Where in `extra` the fields of a named recipient go.
    pub named_path: Vec<&'static str>,
    pub feedback_id: Option<String>,
    pub link: Option<String>,
    pub contact_list: Option<String>,
    pub bot_event: Option<String>,
    pub unsubscribe_link: bool,
    pub extra: Value,
    pub sender: Option<String>,
    pub sender_path: Vec<&'static str>,
    pub document: Value,
}

impl Facts {
    pub(super) fn keep(&mut self, path: &[&str], key: &str, value: &Value) {
        if !value.is_null() {
            put(&mut self.extra, path, key, value.clone());
        }
    }

    pub(super) fn column(&mut self, name: &str, path: &[&str], key: &str, value: &Value) {
        if nested(value) {
            self.keep(path, key, value);
        } else if let Some(text) = text(Some(value)) {
            self.columns.insert(name.into(), text.into());
        }
    }

    pub(super) fn read_named(&mut self, path: &[&str], key: &'static str, value: &Value) {
        let list = match value {
            Value::Array(list) => list.as_slice(),
            other => std::slice::from_ref(other),
        };
        self.named.clear();
        if list.iter().any(Value::is_array) {
            self.keep(path, key, value);
        }
        for element in list {
            if let Some(object) = element.as_object() {
                let mut named = Named::default();
                for (name, value) in object {
                    let field = match name.as_str() {
                        "emailAddress" | "email_address" => &mut named.given,
                        "status" => &mut named.status,
                        "diagnosticCode" | "diagnostic_code" => &mut named.diagnostic,
                        _ if value.is_null() => continue,
                        _ => {
                            named.extra.insert(name.clone(), value.clone());
                            continue;
                        }
                    };
                    if nested(value) {
                        named.extra.insert(name.clone(), value.clone());
                    } else {
                        *field = text(Some(value));
                    }
                }
                self.named.push(named);
            } else if let Some(given) = text(Some(element)) {
                self.named.push(Named { given: Some(given), ..Named::default() });
            }
        }
    }

    fn get(&self, column: &str) -> Option<&str> {
        self.columns.get(column).and_then(Value::as_str)
    }

    pub(super) fn rows(mut self, options: &DecodeOptions) -> Option<Vec<Row>> {
        let time = self.time.or(self.sent_time)?;
        if self.time.is_none() {
            put(&mut self.extra, &[], "time_from", "mail".into());
        }
        let plausible =
            (1_230_768_000_000_000..=options.read_time_us + 172_800_000_000).contains(&time);
        if !plausible {
            put(&mut self.extra, &[], "implausible_time", true.into());
        }
        let date = if plausible { time.div_euclid(86_400_000_000) } else { 0 };
        if let Some(given) = self.sender.take() {
            let mailbox = parse_mailbox(&given);
            if mailbox.as_ref().is_none_or(|mailbox| mailbox.address != given) {
                let (key, path) = self.sender_path.split_last()?;
                put(&mut self.extra, path, key, given.clone().into());
            }
            if let Some(mailbox) = mailbox {
                self.columns.insert("sender".into(), mailbox.address.as_ref().into());
                self.columns.insert("sender_domain".into(), mailbox.domain().into());
            }
        }
        if self.kind == "open" || self.kind == "click" {
            let (actor, reason) = actor::judge(&Fetch {
                kind: if self.kind == "open" { FetchKind::Open } else { FetchKind::Click },
                bot_event: self.bot_event.as_deref(),
                user_agent: self.get("user_agent"),
                ip: self.get("ip_address"),
                millis_after_send: self.sent_time.map(|sent| time.saturating_sub(sent) / 1000),
                unsubscribe_link: self.unsubscribe_link,
            });
            self.columns.insert("actor".into(), actor.as_str().into());
            self.columns.insert("actor_reason".into(), reason.into());
            self.columns.insert("rule_version".into(), RULE_VERSION.into());
        }
        if let Some(link) = &self.link {
            let kept = keep_allowed(link, &options.link_parameters).into_owned();
            self.columns.insert("link".into(), kept.into());
        }
        self.columns.insert("event_type".into(), self.kind.into());
        self.columns.insert("source".into(), self.source.into());
        if let Some(channel) = self.channel {
            self.columns.insert("channel".into(), channel.into());
        }
        self.columns.insert("event_time".into(), time.into());
        self.columns.insert("event_date".into(), date.into());
        if let Some(sent) = self.sent_time {
            self.columns.insert("sent_time".into(), sent.into());
        }
        if let Some(list) = &self.destinations {
            self.columns.insert("recipient_count".into(), list.len().into());
        }
        let people = self.people();
        Some(people.iter().map(|named| self.row(named, time)).collect())
    }

    fn people(&self) -> Vec<Named> {
        let destinations = self.destinations.clone().unwrap_or_default();
        let mut people = self.named.clone();
        if let [only] = people.as_mut_slice()
            && only.given.is_none()
            && destinations.len() == 1
        {
            only.given = destinations.first().cloned();
        }
        let all = ["send", "reject", "rendering_failure", "delivery"].contains(&self.kind);
        if people.is_empty() && (all || destinations.len() == 1) {
            for given in destinations {
                people.push(Named { given: Some(given), ..Named::default() });
            }
        }
        if people.is_empty() {
            people.push(Named::default());
        }
        people
    }

    fn row(&self, named: &Named, time: i64) -> Row {
        let mut row = self.columns.clone();
        let mut extra = self.extra.clone();
        for (key, value) in &named.extra {
            let mut element = Map::new();
            element.insert(key.clone(), value.clone());
            merge_element(&mut extra, &self.named_path, element);
        }
        let given = named.given.as_deref();
        let mailbox = given.and_then(parse_mailbox);
        let mut identity = mailbox.as_ref().map(|mailbox| mailbox.identity.to_string());
        if let Some(mailbox) = &mailbox {
            row.insert("recipient".into(), mailbox.address.as_ref().into());
            row.insert("recipient_domain".into(), mailbox.domain().into());
            row.insert("mailbox_provider".into(), mailbox_provider(mailbox.domain()).into());
        } else if let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) {
            row.insert("recipient".into(), given.into());
            identity = Some(given.to_owned());
        }
        if let Some(given) = given {
            let digits = given.strip_prefix('+').unwrap_or(given);
            let telephone = mailbox.is_none()
                && (3..=15).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit());
            let same = mailbox.as_ref().is_some_and(|mailbox| mailbox.address == given);
            if !telephone && !same {
                put(&mut extra, &[], "original_recipient", given.into());
            }
        }
        if let Some(diagnostic) = &named.diagnostic {
            row.insert("diagnostic".into(), diagnostic.as_str().into());
        }
        let words = named.diagnostic.as_deref().or(self.get("smtp_response"));
        if let Some(code) = bounce::status_code(named.status.as_deref(), words) {
            row.insert("status_code".into(), code.into_owned().into());
        }
        if self.kind == "bounce" {
            let class = bounce::classify(&Evidence {
                bounce_type: self.get("bounce_type"),
                bounce_subtype: self.get("bounce_subtype"),
                status: named.status.as_deref(),
                diagnostic: named.diagnostic.as_deref(),
            });
            row.insert("bounce_class".into(), class.as_str().into());
            row.insert("rule_version".into(), RULE_VERSION.into());
        }
        if extra.as_object().is_some_and(|extra| !extra.is_empty()) {
            row.insert("extra".into(), extra);
        }
        row.insert("event_id".into(), self.event_id(time, identity.as_deref()).into());
        row
    }

    fn event_id(&self, time: i64, recipient: Option<&str>) -> String {
        let mut facts = vec![1];
        let message_id = self.get("message_id").filter(|id| !id.is_empty());
        fact(&mut facts, message_id);
        let name = match (self.kind, &self.type_name) {
            ("unknown", Some(name)) => name.as_str(),
            (kind, _) => kind,
        };
        fact(&mut facts, Some(name));
        let moment = |facts: &mut Vec<u8>, time: i64| {
            facts.push(2);
            facts.extend(time.to_le_bytes());
        };
        match self.kind {
            "send" | "reject" | "rendering_failure" => {}
            "bounce" | "complaint" => match self.feedback_id.as_deref() {
                Some(id) if !id.is_empty() => fact(&mut facts, Some(id)),
                _ => moment(&mut facts, time.div_euclid(1_000_000)),
            },
            "delivery" => moment(&mut facts, time.div_euclid(1_000_000)),
            "open" | "click" => {
                moment(&mut facts, time);
                fact(&mut facts, self.get("ip_address"));
                fact(&mut facts, self.get("user_agent"));
                fact(&mut facts, self.link.as_deref());
            }
            "subscription" => {
                moment(&mut facts, time);
                fact(&mut facts, self.contact_list.as_deref());
            }
            _ => moment(&mut facts, time),
        }
        if message_id.is_none() {
            fact(&mut facts, Some(&canonical(&self.document)));
        }
        fact(&mut facts, recipient);
        format!("{:032x}", xxh3_128(&facts))
    }
}

fn fact(facts: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => facts.push(0),
        Some(text) => {
            facts.push(1);
            facts.extend((text.len() as u64).to_le_bytes());
            facts.extend(text.as_bytes());
        }
    }
}

/// Puts a value under a path of objects.
pub(super) fn put(target: &mut Value, path: &[&str], key: &str, value: Value) {
    let mut at = target;
    for name in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*name];
    }
    if !at.is_object() {
        *at = json!({});
    }
    at[key] = value;
}

fn merge_element(extra: &mut Value, path: &[&'static str], element: Map<String, Value>) {
    let mut at = extra;
    for name in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*name];
    }
    if !at.as_array().is_some_and(|list| list.len() == 1 && list[0].is_object()) {
        *at = json!([{}]);
    }
    for (key, value) in element {
        at[0][key] = value;
    }
}

/// Tags as the column shows them; `None` if there are none.
pub(super) fn tags(value: &Map<String, Value>) -> Option<Value> {
    let mut tags = Map::new();
    for (name, value) in value {
        let list: Vec<Value> = match value {
            Value::Array(list) => list.iter().map(tag_value).collect(),
            Value::Null => vec![],
            other => vec![tag_value(other)],
        };
        tags.insert(name.clone(), list.into());
    }
    (!tags.is_empty()).then_some(Value::Object(tags))
}

fn tag_value(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        other if nested(other) => canonical(other).into(),
        other => text(Some(other)).into(),
    }
}
