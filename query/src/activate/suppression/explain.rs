//! Why an address is, or is not, suppressed: what stands on which list by whose hand, what the lake says of
//! it, what the policy makes of that, and what removing it would do.

use std::collections::BTreeSet;

use serde::Serialize;

use super::change::Change;
use super::columns::{Numbers, Texts};
use super::difference::{Difference, Judged};
use super::freeze::Freeze;
use super::gather;
use super::judge::{Verdict, judge};
use super::ledger::{Ledger, Standing};
use super::list::{ListId, ListState};
use super::mirror::Mirror;
use super::plan::Item;
use super::settings::Settings;
use super::statement::{date, for_each, quoted};
use crate::engine::{Engine, EngineError};

/// Events of the address that are shown, the newest ones.
const EVENTS_SHOWN: usize = 30;

/// Everything about one address.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The address, as events spell it.
    pub recipient: String,
    /// In one sentence.
    pub summary: String,
    /// List by list.
    pub lists: Vec<OnList>,
    /// A pause, if one stands.
    pub pause: Option<Ours>,
    /// Bounces and complaints, newest first.
    pub events: Vec<EventLine>,
    /// What the policy says right now.
    pub policy: Vec<String>,
    /// Whether it is on the allow list.
    pub allowed: bool,
}

/// How it stands on one list.
#[derive(Debug, Serialize)]
pub struct OnList {
    /// `ACCOUNT/REGION`, `ACCOUNT/REGION/TENANT`.
    pub target: String,
    /// Entries, in every spelling.
    pub entries: Vec<ListedEntry>,
    /// When the list was last read.
    pub read: Option<String>,
    /// Our addition, if it stands.
    pub ours: Option<Ours>,
    /// `hearback`, `not ours`, or `not listed`.
    pub owner: String,
    /// When and by whom it was last lifted.
    pub lifted: Option<Lift>,
    /// What removing it, or the next plan, would do.
    pub if_removed: String,
}

/// An entry as SES has it.
#[derive(Debug, Serialize)]
pub struct ListedEntry {
    /// Spelling on the list.
    pub address: String,
    /// BOUNCE or COMPLAINT.
    pub reason: String,
    /// `LastUpdateTime`.
    pub since: String,
}

/// An addition of ours.
#[derive(Debug, Serialize)]
pub struct Ours {
    /// The rule.
    pub rule: String,
    /// Version of the policy.
    pub rule_version: String,
    /// Events that it rests on.
    pub evidence: Vec<String>,
    /// When the newest of them happened.
    pub evidence_time: Option<String>,
    /// Who asked.
    pub actor: String,
    /// When it was done.
    pub since: String,
    /// When it ends.
    pub until: Option<String>,
    /// The plan.
    pub plan_id: String,
    /// AWS's identity of the request or job.
    pub request_id: Option<String>,
    /// Words of an operator or of an import.
    pub note: Option<String>,
}

/// A lift.
#[derive(Debug, Serialize)]
pub struct Lift {
    /// When.
    pub time: String,
    /// By whom.
    pub actor: String,
    /// Why.
    pub note: Option<String>,
}

/// A bounce or complaint.
#[derive(Debug, Serialize)]
pub struct EventLine {
    /// Identity in `events`.
    pub event_id: String,
    /// When it happened.
    pub time: String,
    /// bounce or complaint.
    pub event_type: String,
    /// Cause of a bounce, type of a complaint.
    pub cause: String,
    /// Type that the service gave a bounce.
    pub bounce_type: Option<String>,
    /// Enhanced status code.
    pub status: Option<String>,
    /// SMTP text.
    pub text: Option<String>,
    /// Campaign of the message.
    pub campaign: Option<String>,
    /// The message.
    pub message_id: Option<String>,
    /// Region that it was sent from.
    pub region: Option<String>,
}

/// What the lake holds about one address.
#[derive(Debug)]
pub struct OneAddress {
    /// The address, as events spell it.
    pub recipient: String,
    /// The lists.
    pub lists: Vec<(ListId, ListState)>,
    /// What stands.
    pub ledger: Ledger,
    /// What the policy says, with what was pardoned forgiven.
    pub verdict: Verdict,
    /// What the policy would say without any pardon.
    pub unpardoned: Verdict,
}

/// Asks the lake about one address.
///
/// # Errors
/// As the engine fails.
pub async fn look_up(
    engine: &Engine,
    settings: &Settings,
    recipient: &str,
    now_us: i64,
) -> Result<OneAddress, EngineError> {
    let mirror = Mirror::read(engine, Some(recipient)).await?;
    let ledger = Ledger::read(engine, Some(recipient)).await?;
    let lists = mirror.lists().iter().map(|(list, state)| (list.clone(), state.clone())).collect();
    let since_us = now_us.saturating_sub(settings.look_back_us);
    let gathered = gather::one(engine, settings, recipient, since_us).await?;
    let freeze = Freeze::new(gathered.frozen, &[]);
    let mut verdict = Verdict::default();
    let mut unpardoned = Verdict::default();
    if let Some(facts) = gathered.facts.iter().find(|facts| facts.recipient == recipient) {
        verdict = judge(facts, settings, &freeze, ledger.pardoned_us(recipient), now_us);
        unpardoned = judge(facts, settings, &freeze, None, now_us);
    }
    Ok(OneAddress { recipient: recipient.to_owned(), lists, ledger, verdict, unpardoned })
}

/// Explains one address.
///
/// # Errors
/// As the engine fails.
pub async fn explain(
    engine: &Engine,
    settings: &Settings,
    known: &OneAddress,
    now_us: i64,
) -> Result<Explanation, EngineError> {
    let recipient = &known.recipient;
    let mut judged = Judged { decisions: known.verdict.decisions.clone(), ..Judged::default() };
    for rule in &settings.custom {
        let decisions = super::planner::custom(engine, settings, rule, now_us).await?;
        judged.decisions.extend(decisions.into_iter().filter(|one| one.recipient == *recipient));
    }
    let ids: Vec<ListId> = known.lists.iter().map(|(list, _)| list.clone()).collect();
    let difference = Difference {
        lists: &ids,
        judged: &judged,
        ledger: &known.ledger,
        settings,
        now_us,
        restore: false,
    };
    let mut lists = Vec::new();
    for (list, state) in &known.lists {
        let standing = known.ledger.standing(Some(list), recipient);
        let plan = difference.of(list, state);
        let next = plan.items.iter().find(|item| item.recipient == *recipient);
        lists.push(on_list(list, state, recipient, standing, next, &known.unpardoned));
    }
    let pause = known
        .ledger
        .standing(None, recipient)
        .and_then(|standing| standing.added.as_ref())
        .filter(|pause| pause.expires_us.is_none_or(|expires| expires > now_us))
        .map(ours);
    let policy = policy_words(&known.verdict, &judged);
    let named: BTreeSet<&str> = lists
        .iter()
        .filter_map(|list| list.ours.as_ref())
        .chain(pause.as_ref())
        .flat_map(|ours| ours.evidence.iter().map(String::as_str))
        .collect();
    let events = events(engine, settings, recipient, &named, now_us).await?;
    let allowed = settings.allow.holds(recipient);
    let summary = summary(recipient, &lists, pause.as_ref(), &policy);
    Ok(Explanation { recipient: recipient.clone(), summary, lists, pause, events, policy, allowed })
}

fn on_list(
    list: &ListId,
    state: &ListState,
    recipient: &str,
    standing: Option<&Standing>,
    next: Option<&Item>,
    unpardoned: &Verdict,
) -> OnList {
    let entries: Vec<ListedEntry> = state
        .of(recipient)
        .iter()
        .map(|entry| ListedEntry {
            address: entry.address.clone(),
            reason: entry.reason.to_string(),
            since: instant(entry.updated_us),
        })
        .collect();
    let added = standing.and_then(|standing| standing.added.as_ref());
    let owner = match (entries.is_empty(), added) {
        (true, _) => "not listed",
        (false, Some(_)) => "hearback",
        (false, None) => "not ours",
    };
    let newest = unpardoned.decisions.iter().map(|decision| decision.evidence_us).max();
    let if_removed = match (entries.is_empty(), next, newest) {
        (true, Some(item), _) => {
            format!("the next plan does: {} by the rule {}", item.action.as_str(), item.rule)
        }
        (true, None, _) => "mail goes out from here".to_owned(),
        (false, Some(item), _) if item.action.as_str() == "remove" => {
            format!("the next plan takes it off: {}", item.why)
        }
        (false, _, Some(evidence_us)) => format!(
            "mail goes out again, and the evidence of {} and before is forgiven; newer evidence suppresses anew",
            date(evidence_us)
        ),
        (false, _, None) => {
            "mail goes out again; no evidence in the lake speaks against it".to_owned()
        }
    };
    OnList {
        target: list.to_string(),
        entries,
        read: state.read_us.map(instant),
        ours: added.map(ours),
        owner: owner.to_owned(),
        lifted: standing.and_then(|standing| standing.lifted.as_ref()).map(|lift| Lift {
            time: instant(lift.changed_us),
            actor: lift.actor.clone(),
            note: lift.note.clone(),
        }),
        if_removed,
    }
}

fn ours(change: &Change) -> Ours {
    Ours {
        rule: change.rule.clone(),
        rule_version: change.rule_version.clone(),
        evidence: change.evidence.clone(),
        evidence_time: change.evidence_us.map(instant),
        actor: change.actor.clone(),
        since: instant(change.changed_us),
        until: change.expires_us.map(instant),
        plan_id: change.plan_id.clone(),
        request_id: change.request_id.clone(),
        note: change.note.clone(),
    }
}

fn policy_words(verdict: &Verdict, judged: &Judged) -> Vec<String> {
    let mut words: Vec<String> = judged
        .decisions
        .iter()
        .map(|decision| {
            let until = decision
                .expires_us
                .map_or_else(|| "for ever".to_owned(), |us| format!("until {}", date(us)));
            format!(
                "{}: suppressed {until}, {}, on evidence of {}",
                decision.rule,
                decision.scope.as_str(),
                date(decision.evidence_us)
            )
        })
        .collect();
    for cleared in &verdict.cleared {
        words.push(format!(
            "complaint-not-spam: the recipient took its complaint back on {}",
            date(cleared.time_us)
        ));
    }
    if verdict.frozen > 0 {
        words.push(format!("{} failures fell into an outage and are no evidence", verdict.frozen));
    }
    if let Some((_, time_us)) = verdict.senders_fault {
        words.push(format!(
            "sender-fault: the refusal of {} was about the sender or the message",
            date(time_us)
        ));
    }
    if words.is_empty() {
        words.push("nothing in the lake suppresses it now".to_owned());
    }
    words
}

fn summary(recipient: &str, lists: &[OnList], pause: Option<&Ours>, policy: &[String]) -> String {
    let on: Vec<&OnList> = lists.iter().filter(|list| !list.entries.is_empty()).collect();
    if let Some(first) = on.first() {
        let by = match &first.ours {
            Some(ours) => format!("by the rule {}", ours.rule),
            None => "not ours: somebody else, or SES itself, put it there".to_owned(),
        };
        return format!("{recipient} is on {} of {} lists, {by}", on.len(), lists.len());
    }
    if let Some(pause) = pause {
        let until = pause.until.clone().unwrap_or_else(|| "further notice".to_owned());
        return format!(
            "{recipient} is on no list, and kept out of segments until {until} ({})",
            pause.rule
        );
    }
    format!("{recipient} is on no list that was read; {}", policy.join("; "))
}

/// The newest bounces and complaints of the recipient, and those that entries of ours rest on: a bounce
/// can name the address that mail was forwarded to.
async fn events(
    engine: &Engine,
    settings: &Settings,
    recipient: &str,
    named: &BTreeSet<&str>,
    now_us: i64,
) -> Result<Vec<EventLine>, EngineError> {
    let mut which = format!("recipient = {}", quoted(recipient));
    if !named.is_empty() {
        let named: Vec<String> = named.iter().map(|id| quoted(id)).collect();
        which = format!("({which} OR event_id IN ({}))", named.join(", "));
    }
    let sql = format!(
        "SELECT event_id, event_time, event_type, coalesce(bounce_class, complaint_type, complaint_subtype, 'abuse') AS cause, \
         bounce_type, status_code, diagnostic, campaign, message_id, region FROM events \
         WHERE event_type IN ('bounce', 'complaint') AND event_date >= DATE '{}' AND {which} \
         ORDER BY event_time DESC LIMIT {EVENTS_SHOWN}",
        date(now_us.saturating_sub(settings.look_back_us))
    );
    let mut lines = Vec::new();
    for_each(engine, &sql, |batch| {
        let text = |name: &str| Texts::of(batch, name);
        let (ids, types, causes) = (text("event_id")?, text("event_type")?, text("cause")?);
        let (kinds, status, texts) =
            (text("bounce_type")?, text("status_code")?, text("diagnostic")?);
        let (campaigns, messages, regions) =
            (text("campaign")?, text("message_id")?, text("region")?);
        let times = Numbers::of(batch, "event_time")?;
        for row in 0..batch.num_rows() {
            lines.push(EventLine {
                event_id: ids.owned(row).unwrap_or_default(),
                time: times.get(row).map(instant).unwrap_or_default(),
                event_type: types.owned(row).unwrap_or_default(),
                cause: causes.owned(row).unwrap_or_default(),
                bounce_type: kinds.owned(row),
                status: status.owned(row),
                text: texts.get(row).map(super::evidence::shortened),
                campaign: campaigns.owned(row),
                message_id: messages.owned(row),
                region: regions.owned(row),
            });
        }
        Ok(())
    })
    .await?;
    Ok(lines)
}

fn instant(us: i64) -> String {
    let instant = jiff::Timestamp::from_microsecond(us).unwrap_or_default();
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
