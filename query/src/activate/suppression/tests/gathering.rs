//! What is asked of the lake in a few quick passes is what one slow statement says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::change::Action;
use super::super::columns::{Flags, Numbers, Texts};
use super::super::evidence::describe;
use super::super::gather;
use super::super::plan::{EvidenceLine, Item, TargetPlan};
use super::super::statement::{date, for_each};
use super::super::traffic::{self, Span};
use super::lake::{TestLake, bounce, complaint, delivery, open, send};
use super::{DAY, Facts, NOW, Settings, settings};
use crate::engine::Engine;

const MINUTE: i64 = 60_000_000;
const SINCE: i64 = NOW - 60 * DAY;
const PERSON: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36";
const REPLIES: [[&str; 3]; 9] = [
    ["Permanent", "General", "smtp; 550 5.1.1 user unknown"],
    ["Permanent", "NoEmail", "smtp; 550-5.1.1 no such user\n550 5.1.1 here"],
    ["Transient", "General", "smtp; 450 4.1.1 user unknown, try later"],
    ["Transient", "MailboxFull", "smtp; 452 4.2.2 mailbox full"],
    ["Transient", "General", "smtp; 421 4.4.2 connection timed out"],
    ["Permanent", "General", "smtp; 554 5.7.1 blocked using zen.example"],
    ["Transient", "General", "smtp; 451 4.7.1 blocked using zen.example"],
    ["Undetermined", "Undetermined", "smtp; 5.0.0"],
    ["Permanent", "OnAccountSuppressionList", "Amazon SES did not send"],
];

/// Numbers that look random and are the same in each run (Knuth's MMIX generator).
struct Numbering(u64);

impl Numbering {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Forty days of mail to a hundred people at a few providers, with everything that can come back: failures
/// of every cause, forwarded mail, complaints that name several, test and simulator mail, an outage.
fn traffic_of_forty_days() -> Vec<serde_json::Value> {
    let mut numbers = Numbering(7);
    let domains =
        ["gmail.com", "yahoo.com", "example.com", "docomo.ne.jp", "simulator.amazonses.com"];
    let name = |n: u64| format!("reader{n}@{}", domains[(n % 5) as usize]);
    let mut events = Vec::new();
    for n in 0..3_000 {
        let message = format!("m{n}");
        let recipient = name(numbers.below(100));
        let other = name(numbers.below(100));
        let sent = SINCE + 20 * DAY + numbers.below(40 * 24 * 60) as i64 * MINUTE;
        let at = sent + numbers.below(60 * 60) as i64 * 1_000_000;
        match numbers.below(12) {
            // Its recipient is in no Send: these are believed as they are.
            0 => {}
            1 => events.push(send(&message, &[&recipient, &other], sent)),
            _ => events.push(send(&message, &[&recipient], sent)),
        }
        let reply = REPLIES[numbers.below(9) as usize];
        match numbers.below(10) {
            0..3 => events.push(delivery(&message, &recipient, sent, at)),
            3 => events.push(open(&message, &recipient, sent, at, PERSON)),
            4 => events.push(open(&message, &recipient, sent, at, "Barracuda Sentinel")),
            5 => events.push(complaint(&message, &[&recipient, &other], sent, at)),
            6 => {
                let forwarded = format!("old{}@forward.example", numbers.below(9));
                events.push(bounce(&message, &forwarded, sent, at, reply));
            }
            7 => {
                let mut test = bounce(&message, &recipient, sent, at, reply);
                test["mail"]["tags"]["test"] = json!(["yes"]);
                events.push(test);
            }
            _ => events.push(bounce(&message, &recipient, sent, at, reply)),
        }
    }
    for n in 0..60 {
        let (message, recipient) = (format!("outage{n}"), format!("away{n}@gmail.com"));
        let at = NOW - 5 * DAY + n * MINUTE / 2;
        events.push(send(&message, &[&recipient], at));
        if n % 2 == 0 {
            events.push(bounce(&message, &recipient, at, at + MINUTE, REPLIES[0]));
        } else {
            events.push(delivery(&message, &recipient, at, at + MINUTE));
        }
    }
    events
}

fn filled(template: &str, settings: &Settings) -> String {
    template
        .replace("{since}", &date(SINCE))
        .replace("{test}", "tags['test'] IS NOT NULL")
        .replace("{soft}", &settings.soft.failures.to_string())
        .replace("{full}", &settings.full.failures.to_string())
        .replace("{recipients}", &settings.freeze.recipients.to_string())
        .replace("{share}", &(settings.freeze.share as f64 / 1e6).to_string())
}

/// Each row's texts, in the order of these columns.
async fn rows(engine: &Engine, sql: &str, columns: &[&str]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for_each(engine, sql, |batch| {
        for row in 0..batch.num_rows() {
            let texts: Result<Vec<Option<String>>, _> =
                columns.iter().map(|name| Ok(Texts::of(batch, name)?.owned(row))).collect();
            rows.push(texts?);
        }
        Ok(())
    })
    .await
    .expect("an answer");
    rows
}

/// What one statement says of each recipient: provider, last success, whether it was mailed, whether it
/// is a candidate.
type Known = BTreeMap<String, (String, Option<i64>, bool, bool)>;

async fn known(engine: &Engine, settings: &Settings) -> Known {
    let sql = filled(include_str!("straightforward/candidates.sql"), settings);
    let mut known = Known::new();
    for_each(engine, &sql, |batch| {
        let (names, providers) = (Texts::of(batch, "recipient")?, Texts::of(batch, "provider")?);
        let successes = Numbers::of(batch, "last_success")?;
        let (sends, candidates) = (Numbers::of(batch, "sends")?, Flags::of(batch, "candidate")?);
        for row in 0..batch.num_rows() {
            let mailed = sends.get(row) > Some(0);
            let provider = providers.owned(row).unwrap_or_default();
            let of_one = (provider, successes.get(row), mailed, candidates.get(row));
            known.insert(names.owned(row).unwrap_or_default(), of_one);
        }
        Ok(())
    })
    .await
    .expect("an answer");
    known
}

/// The bounces that count against each recipient, and how many count against nobody.
async fn bounces_of(
    engine: &Engine,
    settings: &Settings,
    known: &Known,
) -> (BTreeMap<String, BTreeSet<String>>, u64) {
    let mut mailed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let sends = "SELECT message_id, recipient FROM events WHERE event_type = 'send'";
    for row in rows(engine, sends, &["message_id", "recipient"]).await {
        let [Some(message), Some(recipient)] = row.as_slice() else { continue };
        mailed.entry(message.clone()).or_default().insert(recipient.clone());
    }
    let sql = filled(include_str!("straightforward/bounces.sql"), settings);
    let (mut bounces, mut unattributed) = (BTreeMap::<String, BTreeSet<String>>::new(), 0);
    for row in rows(engine, &sql, &["event_id", "recipient", "message_id"]).await {
        let [Some(event), Some(recipient), Some(message)] = row.as_slice() else { continue };
        let (_, _, was_mailed, candidate) = &known[recipient];
        if !candidate {
            continue;
        }
        let sent_to = mailed.get(message).filter(|_| !was_mailed);
        match sent_to.map(|names| names.iter().collect::<Vec<_>>()).as_deref() {
            None => bounces.entry(recipient.clone()).or_default().insert(event.clone()),
            // Simulator mail is nobody's.
            Some([only]) if only.ends_with("@simulator.amazonses.com") => true,
            Some([only]) => bounces.entry((*only).clone()).or_default().insert(event.clone()),
            Some(_) => {
                unattributed += 1;
                true
            }
        };
    }
    (bounces, unattributed)
}

#[tokio::test]
async fn a_few_quick_passes_say_what_one_slow_statement_says() {
    let lake = TestLake::of(&traffic_of_forty_days()).await;
    let (engine, settings) = (lake.engine().await, settings(""));
    let days = traffic::active_days(&engine, 30 * DAY, NOW).await.expect("days").expect("events");
    let span = Span { since_us: SINCE, active: Some(days) };
    let gathered = gather::everybody(&engine, &settings, &span).await.expect("facts");

    let known = known(&engine, &settings).await;
    let (mut expected, unattributed) = bounces_of(&engine, &settings, &known).await;
    assert_eq!(gathered.unattributed, unattributed);
    assert!(unattributed > 0, "some forwarded mail had gone to several");
    let candidates = known.values().filter(|(.., candidate)| *candidate).count();
    assert!(candidates > 50 && candidates < known.len(), "{candidates} of {}", known.len());
    for facts in &gathered.facts {
        let (provider, last_success_us, mailed, _) = &known[&facts.recipient];
        assert_eq!(&facts.provider, provider, "{}", facts.recipient);
        assert_eq!(facts.last_success_us, *last_success_us, "{}", facts.recipient);
        assert_eq!(facts.mailed, *mailed, "{}", facts.recipient);
        let ids: BTreeSet<String> =
            facts.bounces.iter().map(|bounce| format!("{:032x}", bounce.event_id)).collect();
        assert_eq!(
            ids,
            expected.remove(&facts.recipient).unwrap_or_default(),
            "{}",
            facts.recipient
        );
    }
    assert!(expected.is_empty(), "{expected:?}");
    let forwarded = gathered.facts.iter().flat_map(|facts| &facts.bounces);
    assert!(forwarded.filter(|bounce| bounce.named.is_some()).count() > 10);

    let complaints = filled(include_str!("straightforward/complaints.sql"), &settings);
    let accused: BTreeMap<String, String> = rows(&engine, &complaints, &["event_id", "accused"])
        .await
        .into_iter()
        .filter_map(|row| Some((row[0].clone()?, row[1].clone()?)))
        .collect();
    let found: BTreeMap<String, String> = gathered
        .facts
        .iter()
        .flat_map(|facts| &facts.complaints)
        .map(|complaint| (format!("{:032x}", complaint.event_id), complaint.accused.to_string()))
        .collect();
    assert_eq!(found, accused);
    assert!(
        accused.values().any(|count| count == "2") && accused.values().any(|count| count == "1")
    );

    let frozen = filled(include_str!("straightforward/frozen.sql"), &settings);
    let frozen = rows(&engine, &frozen, &["provider", "failed", "delivered"]).await;
    let found: Vec<Vec<Option<String>>> = gathered
        .frozen
        .iter()
        .map(|hour| {
            let counts = [hour.failed.to_string(), hour.delivered.to_string()];
            [hour.provider.clone()].into_iter().chain(counts).map(Some).collect()
        })
        .collect();
    assert_eq!(found, frozen);
    assert!(!frozen.is_empty(), "the outage is one");

    let active = include_str!("straightforward/active.sql")
        .replace("{since}", &date(days.first_us))
        .replace("{until}", &date(days.last_us));
    let active = rows(&engine, &active, &["active"]).await;
    assert_eq!(active, [[Some(gathered.active.to_string())]]);
    assert_eq!(traffic::count_active(&engine, days).await.expect("a count"), gathered.active);

    // And of one recipient by itself, the same.
    for facts in
        gathered.facts.iter().filter(|facts| !facts.mailed || !facts.complaints.is_empty()).take(12)
    {
        let one = gather::one(&engine, &settings, &facts.recipient, SINCE).await.expect("facts");
        let alone =
            one.facts.iter().find(|one| one.recipient == facts.recipient).expect("it is there");
        let accused = |facts: &Facts| -> BTreeSet<(u128, u32)> {
            facts.complaints.iter().map(|one| (one.event_id, one.accused)).collect()
        };
        assert_eq!(accused(alone), accused(facts), "{}", facts.recipient);
        assert_eq!(alone.last_success_us, facts.last_success_us, "{}", facts.recipient);
        let of_provider = |hours: &[super::super::freeze::FrozenHour]| {
            hours.iter().filter(|hour| hour.provider == facts.provider).count()
        };
        assert_eq!(of_provider(&one.frozen), of_provider(&gathered.frozen), "{}", facts.recipient);
    }
}

#[tokio::test]
async fn evidence_is_described_by_time_and_by_identity_where_times_are_shared() {
    let (sent, at) = (NOW - 3 * DAY, NOW - 2 * DAY);
    let lake = TestLake::of(&[
        bounce("m1", "alone@example.com", sent, at, REPLIES[0]),
        bounce("m2", "twice@example.com", sent, at, REPLIES[0]),
        bounce("m3", "twice@example.com", sent, at, REPLIES[3]),
        bounce("m4", "old@forward.example", sent, at, REPLIES[5]),
    ])
    .await;
    let engine = lake.engine().await;
    let mut target = TargetPlan::new(None);
    let sql = "SELECT event_id, recipient, diagnostic FROM events ORDER BY message_id";
    let events = rows(&engine, sql, &["event_id", "recipient", "diagnostic"]).await;
    for event in &events {
        let named = event[1].clone().expect("a recipient");
        let forwarded = named.ends_with("@forward.example");
        let recipient = if forwarded { "new@example.com".to_owned() } else { named.clone() };
        target.items.push(Item {
            action: Action::Add,
            address: recipient.clone(),
            recipient,
            reason: None,
            rule: "invalid-recipient".to_owned(),
            rule_version: String::new(),
            actor: "policy".to_owned(),
            why: String::new(),
            evidence: vec![EvidenceLine {
                time: Some(at),
                named: forwarded.then_some(named),
                ..EvidenceLine::of_event(event[0].clone().expect("an identity"))
            }],
            evidence_time: Some(at),
            expires: None,
            listed_reason: None,
            listed_time: None,
            role_address: false,
        });
    }
    // One of which only the identity is known, as the ledger has it.
    let mut remembered = target.items[0].clone();
    remembered.evidence[0].time = None;
    target.items.push(remembered);
    let mut targets = [target];
    describe(&engine, &mut targets).await.expect("words");
    let said = |item: &Item| item.evidence[0].text.clone().unwrap_or_default();
    for (item, event) in targets[0].items.iter().zip(&events) {
        let reply = event[2].clone().expect("a reply");
        assert_eq!(said(item), reply.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(item.evidence[0].campaign.as_deref(), Some("november"));
    }
    let again = &targets[0].items[4];
    assert_eq!((said(again), again.evidence[0].time), (said(&targets[0].items[0]), Some(at)));
}
