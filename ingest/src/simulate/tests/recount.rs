//! An independent reader of the simulator's output: serde_json values, envelopes peeled one by one,
//! identities as sets. Slow, and written without a look at the code that writes.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

/// What a reader finds.
#[derive(Default)]
pub(super) struct Recount {
    pub(super) documents: u64,
    pub(super) ignored: u64,
    pub(super) garbage: u64,
    pub(super) duplicate_rows: u64,
    /// Distinct rows by event type.
    pub(super) rows: HashMap<&'static str, u64>,
    pub(super) identities: BTreeSet<String>,
}

impl Recount {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut recount = Self::default();
        recount.read(bytes);
        recount
    }

    /// Reads a stream of JSON values; what is none is garbage up to the end of its line.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at].is_ascii_whitespace() {
                at += 1;
                continue;
            }
            let mut values =
                serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    at += values.byte_offset();
                    self.document(&value);
                }
                _ => {
                    self.documents += 1;
                    self.garbage += 1;
                    let rest = &bytes[at..];
                    at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
            }
        }
    }

    fn document(&mut self, value: &Value) {
        if let Some(items) = value.as_array() {
            items.iter().for_each(|item| self.document(item));
            return;
        }
        if let Some(records) = value["Records"].as_array() {
            for record in records {
                if let Some(text) = record["kinesis"]["data"].as_str() {
                    self.read(&decoded(text));
                } else if record["Sns"].is_object() {
                    self.document(&record["Sns"]);
                } else {
                    self.read(record["body"].as_str().unwrap().as_bytes());
                }
            }
            return;
        }
        if let Some(records) = value["records"].as_array() {
            assert!(value["invocationId"].is_string() || value["requestId"].is_string());
            records.iter().for_each(|record| self.read(&decoded(record["data"].as_str().unwrap())));
            return;
        }
        if let Some(messages) = value["Messages"].as_array() {
            messages.iter().for_each(|message| self.read(text(&message["Body"]).as_bytes()));
            return;
        }
        if value["TopicArn"].is_string() {
            return self.notification(value);
        }
        if value["detail"].is_object() {
            assert_eq!(value["source"], "aws.ses");
            return self.document(&value["detail"]);
        }
        self.documents += 1;
        if value["mail"].is_object() {
            self.ses(value);
        } else if value["event_type"].is_string() {
            self.pinpoint(value);
        } else {
            self.garbage += 1;
        }
    }

    fn notification(&mut self, value: &Value) {
        let message = value["Message"].as_str().unwrap();
        let inner = serde_json::from_str::<Value>(message);
        let control = value["Type"] != "Notification"
            || message.starts_with("Successfully validated")
            || inner
                .as_ref()
                .is_ok_and(|inner| inner["notificationType"] == "AmazonSnsSubscriptionSucceeded");
        if control {
            self.documents += 1;
            self.ignored += 1;
            return;
        }
        assert_eq!(message.ends_with('\n'), inner.as_ref().unwrap()["eventType"].is_string());
        self.document(&inner.unwrap());
    }

    fn ses(&mut self, value: &Value) {
        let dialect = value["eventType"].as_str().or(value["notificationType"].as_str()).unwrap();
        let mail = &value["mail"];
        let id = mail["messageId"].as_str().unwrap();
        let destinations = || strings(&mail["destination"]);
        let (event_type, recipients, own) = match dialect {
            "Send" => ("send", destinations(), String::new()),
            "Reject" => ("reject", destinations(), String::new()),
            "Rendering Failure" => ("rendering_failure", destinations(), String::new()),
            "Delivery" => {
                let delivery = &value["delivery"];
                ("delivery", strings(&delivery["recipients"]), text(&delivery["timestamp"]))
            }
            "DeliveryDelay" => {
                let delay = &value["deliveryDelay"];
                (
                    "delivery_delay",
                    addresses(&delay["delayedRecipients"], "emailAddress"),
                    text(&delay["timestamp"]),
                )
            }
            "Bounce" => {
                let bounce = &value["bounce"];
                (
                    "bounce",
                    addresses(&bounce["bouncedRecipients"], "emailAddress"),
                    text(&bounce["feedbackId"]),
                )
            }
            "Complaint" => {
                let complaint = &value["complaint"];
                (
                    "complaint",
                    addresses(&complaint["complainedRecipients"], "emailAddress"),
                    text(&complaint["feedbackId"]),
                )
            }
            "Subscription" => {
                ("subscription", destinations(), text(&value["subscription"]["timestamp"]))
            }
            "Open" => ("open", vec![String::new()], visit(&value["open"])),
            "Click" => ("click", vec![String::new()], visit(&value["click"])),
            other => panic!("unknown event type {other}"),
        };
        for recipient in recipients {
            self.row(event_type, format!("{id} {event_type} {recipient} {own}"));
        }
    }

    fn pinpoint(&mut self, value: &Value) {
        let given = value["event_type"].as_str().unwrap();
        let event_type = match given {
            "_email.send" => "send",
            "_email.delivered" => "delivery",
            "_email.hardbounce" | "_email.softbounce" => "bounce",
            "_email.complaint" => "complaint",
            "_email.open" => "open",
            "_email.click" => "click",
            "_email.unsubscribe" => "subscription",
            "_email.rejected" => "reject",
            "_email.rendering_failure" => "rendering_failure",
            "_campaign.send" | "_journey.send" => "unknown",
            other => panic!("unknown event type {other}"),
        };
        let event = &value["facets"]["email_channel"]["mail_event"];
        let endpoint: Value =
            serde_json::from_str(value["client_context"]["custom"]["endpoint"].as_str().unwrap())
                .unwrap();
        let id =
            event["mail"]["message_id"].as_str().unwrap_or(endpoint["Address"].as_str().unwrap());
        let arrival = value["arrival_timestamp"].as_i64().unwrap();
        let link = text(&event["click"]["link"]);
        self.row(event_type, format!("{id} {given} {arrival} {link}"));
    }

    fn row(&mut self, event_type: &'static str, identity: String) {
        if self.identities.insert(identity) {
            *self.rows.entry(event_type).or_default() += 1;
        } else {
            self.duplicate_rows += 1;
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

fn addresses(value: &Value, name: &str) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| text(&item[name])).collect()
}

fn visit(value: &Value) -> String {
    ["timestamp", "ipAddress", "userAgent", "link"].map(|name| text(&value[name])).join(" ")
}

fn decoded(base64: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for letter in base64.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
