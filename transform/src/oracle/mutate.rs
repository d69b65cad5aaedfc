//! Documents that go wrong in the ways documents do: the raw material of comparison.

use serde_json::{Map, Value, json};

/// A small generator of pseudo-random numbers (xorshift64*). The same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator; any seed will do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        (number % limit as u64) as usize
    }
}

/// Texts that fields hold now and then.
const TEXTS: [&str; 22] = [
    "",
    " ",
    "null",
    "a\u{0}b",
    "\u{e9}\u{3042}\u{1f600}",
    "\"quoted\" \\ / \n\t\r\u{8}\u{c}\u{1f}",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "2026-03-05T15:56:00.999999999+09:00",
    "2018-10-08T14:05:45 +0000",
    "1646495753969",
    "yesterday",
    "Someone <Some.One+tag@EXAMPLE.com>",
    "user@b\u{fc}cher.example",
    "not an address",
    "+819012345678",
    "Rendering Failure",
    "DELIVERY_DELAY",
    "Teleport",
    "_email.hardbounce",
    "_custom.thing",
    "https://u:p@example.com/a?token=secret&utm_source=x#frag",
];

/// Changes a document: its structure, mostly, or its bytes; or puts it into an envelope.
#[must_use]
pub fn mutate(document: &str, dice: &mut Dice) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_str::<Value>(document) else {
        return document.as_bytes().to_vec();
    };
    for _ in 0..dice.below(4) {
        change(&mut value, dice);
    }
    for _ in 0..dice.below(3) {
        value = wrap(&value, dice);
    }
    let text = match dice.below(8) {
        0 => serde_json::to_string_pretty(&value).unwrap_or_default(),
        _ => value.to_string(),
    };
    let mut bytes = text.into_bytes();
    if dice.below(4) == 0 {
        for _ in 0..=dice.below(3) {
            damage(&mut bytes, dice);
        }
    }
    bytes
}

/// Changes one value somewhere in the document.
fn change(value: &mut Value, dice: &mut Dice) {
    let stop = dice.below(6) == 0;
    match value {
        Value::Object(object) if !object.is_empty() => {
            let index = dice.below(object.len());
            let Some(key) = object.keys().nth(index).cloned() else { return };
            if stop {
                change_member(object, &key, dice);
            } else {
                change(&mut object[&key], dice);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let index = dice.below(list.len());
            if !stop {
                change(&mut list[index], dice);
                return;
            }
            match dice.below(3) {
                0 => drop(list.remove(index)),
                1 => list.push(list[index].clone()),
                _ => list[index] = any(dice),
            }
        }
        leaf => *leaf = any(dice),
    }
}

fn change_member(object: &mut Map<String, Value>, key: &str, dice: &mut Dice) {
    match dice.below(5) {
        0 => drop(object.remove(key)),
        1 => {
            let value = object.remove(key).unwrap_or_default();
            object.insert(format!("x{key}"), value);
        }
        2 => drop(object.insert("unheardOf".into(), any(dice))),
        3 => {
            let value = object[key].clone();
            object[key] = json!([value]);
        }
        _ => object[key] = any(dice),
    }
}

fn any(dice: &mut Dice) -> Value {
    match dice.below(14) {
        0 => Value::Null,
        1 => true.into(),
        2 => false.into(),
        3 => json!(dice.below(1_000_000)),
        4 => json!(-17),
        5 => json!(1_646_495_753_969_i64),
        6 => json!(12.5),
        7 => json!({}),
        8 => json!([]),
        9 => json!({"emailAddress": "x@example.com", "b": [1, {"a": null}]}),
        10 => json!(["a@example.com", null, 5, "b@example.org"]),
        _ => TEXTS[dice.below(TEXTS.len())].into(),
    }
}

/// Puts a document into an envelope.
fn wrap(value: &Value, dice: &mut Dice) -> Value {
    use base64::Engine as _;
    let text = value.to_string();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
    match dice.below(9) {
        0 => json!({"version": "0", "id": "i", "detail-type": "Email Event", "source": "aws.ses",
            "account": "1", "region": "r", "resources": [], "detail": value}),
        1 => json!({"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": text}),
        2 => json!({"Type": "Notification", "TopicArn": "t", "Message": value}),
        3 => json!({"Records": [{"eventSource": "aws:sqs", "body": text}, {"body": text}]}),
        4 => json!({"Records": [{"kinesis": {"data": encoded}, "eventSource": "aws:kinesis"}]}),
        5 => json!({"records": [{"recordId": "1", "data": encoded}], "invocationId": "i"}),
        6 => json!({"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": text}]}),
        7 => json!({"rawData": encoded, "errorCode": "e"}),
        _ => json!({"Records": [{"Data": encoded, "PartitionKey": "p"}]}),
    }
}

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    let at = dice.below(bytes.len());
    const BYTES: &[u8] = b"{}[]\",:\\\n \x00\xff\xc3u0-.eE1";
    match dice.below(6) {
        0 => bytes[at] = BYTES[dice.below(BYTES.len())],
        1 => bytes.insert(at, BYTES[dice.below(BYTES.len())]),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        4 => {
            let end = (at + dice.below(40)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = dice.below(bytes.len());
            bytes.splice(to..to, copy);
        }
        _ => bytes[at] = bytes[at].wrapping_add(1 + dice.below(255) as u8),
    }
}
