//! What a plan is: the changes of each list with the evidence for each, the guards that stop them, and
//! what they rest on. Its JSON is what `--format json` prints and what `--out` writes.

use serde::{Deserialize, Serialize};

use super::change::Action;
use super::list::{ListId, Reason};

/// A change that a plan makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it does.
    pub action: Action,
    /// As it stands, or will stand, on the list.
    pub address: String,
    /// As events spell it.
    pub recipient: String,
    /// Reason of the entry.
    #[serde(default, with = "reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Rule that asks for it.
    pub rule: String,
    /// Version of the policy.
    pub rule_version: String,
    /// Who asks: policy, expiry, outside, or an operator.
    pub actor: String,
    /// In words.
    pub why: String,
    /// The newest events that it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceLine>,
    /// When the newest of them happened.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub evidence_time: Option<i64>,
    /// When the entry ends; absent for never.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// The reason on the list, for a removal or a change of reason.
    #[serde(default, with = "reason", skip_serializing_if = "Option::is_none")]
    pub listed_reason: Option<Reason>,
    /// `LastUpdateTime` of that entry.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub listed_time: Option<i64>,
    /// An address of a function rather than of a person (RFC 2142).
    #[serde(default, skip_serializing_if = "is_false")]
    pub role_address: bool,
}

/// One event that an item rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// Its identity in `events`.
    pub event_id: String,
    /// The address that it names, if mail to the recipient was forwarded there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
    /// When it happened.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Enhanced status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// SMTP text or type of complaint, cut to 300 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Campaign of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
}

impl EvidenceLine {
    /// An event of which nothing is known yet but its identity.
    #[must_use]
    pub fn of_event(event_id: String) -> Self {
        Self { event_id, ..Self::default() }
    }
}

/// Something on the list that contradicts the policy and is not ours to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// As it stands on the list.
    pub address: String,
    /// What contradicts what.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

/// A limit that a plan exceeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// `max-adds`, `max-removals` or `drift`.
    pub guard: String,
    /// What is allowed.
    pub limit: u64,
    /// What is planned.
    pub planned: u64,
    /// In words.
    pub why: String,
    /// The option that lifts it.
    pub lift: String,
}

/// Entries that do nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inert {
    /// Entries of the list that do nothing.
    pub entries: u64,
    /// Additions of this plan that would do nothing.
    pub adds: u64,
    /// Why, and what would change it.
    pub why: String,
}

/// How the list moved away from the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Entries of ours that somebody else took off.
    pub gone: u64,
    /// Entries that are not ours.
    pub not_ours: u64,
}

/// The plan for one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// `ACCOUNT/REGION`, `ACCOUNT/REGION/TENANT`, or `local` for pauses.
    pub target: String,
    /// The list; None for pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Its Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Additions, changes of reason and pauses.
    pub add: u64,
    /// Removals.
    pub remove: u64,
    /// Entries that stay.
    pub keep: u64,
    /// The changes.
    pub items: Vec<Item>,
    /// Limits that are exceeded.
    pub guards: Vec<Guard>,
    /// What contradicts the policy.
    pub conflicts: Vec<Conflict>,
    /// What does nothing.
    pub inert: Vec<Inert>,
    /// How the list moved away from the ledger.
    pub drift: Drift,
    /// What else should be known.
    pub notices: Vec<String>,
    /// Digest of the list that the plan was made for.
    pub list_state: String,
}

impl TargetPlan {
    /// An empty plan for a list.
    #[must_use]
    pub fn new(list: Option<&ListId>) -> Self {
        Self {
            target: list.map_or_else(|| "local".to_owned(), ToString::to_string),
            account_id: list.map(|list| list.account.clone()),
            region: list.map(|list| list.region.clone()),
            tenant: list.and_then(|list| list.tenant.clone()),
            add: 0,
            remove: 0,
            keep: 0,
            items: Vec::new(),
            guards: Vec::new(),
            conflicts: Vec::new(),
            inert: Vec::new(),
            drift: Drift::default(),
            notices: Vec::new(),
            list_state: String::new(),
        }
    }

    /// The list; None for pauses.
    #[must_use]
    pub fn list(&self) -> Option<ListId> {
        Some(ListId {
            account: self.account_id.clone()?,
            region: self.region.clone()?,
            tenant: self.tenant.clone(),
        })
    }
}

/// What a plan rests on besides the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The lake, as it was named.
    pub lake: String,
    /// Which lake that is: a table of it with the identity that it was created with, `TABLE/ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lake_id: Option<String>,
    /// Version of `events`.
    pub events_version: Option<u64>,
    /// Version of `suppression_ledger`.
    pub ledger_version: Option<u64>,
    /// Version of the built-in rules.
    pub policy: String,
    /// Recipients that were active.
    pub active_recipients: u64,
    /// Failures that were set aside because their hour is frozen.
    pub frozen_failures: u64,
    /// The frozen hours, as `PROVIDER HOUR`.
    pub frozen: Vec<String>,
    /// Bounces that accuse nobody, because they name nobody who was mailed.
    pub unattributed: u64,
}

/// Everything that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// 32 hex digits; the same for the same changes on the same basis.
    pub plan_id: String,
    /// The plan that somebody looked at, if this one was made to carry out what still stands of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<String>,
    /// When it was made.
    #[serde(with = "instant")]
    pub created: Option<i64>,
    /// What it rests on.
    pub basis: Basis,
    /// List by list.
    pub targets: Vec<TargetPlan>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.iter().all(|target| target.items.is_empty())
    }

    /// Limits that are exceeded, each with its target.
    pub fn guards(&self) -> impl Iterator<Item = (&TargetPlan, &Guard)> {
        self.targets
            .iter()
            .flat_map(|target| target.guards.iter().map(move |guard| (target, guard)))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Instants as RFC 3339, inside as microseconds since 1970.
mod instant {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(us: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        us.and_then(|us| Timestamp::from_microsecond(us).ok())
            .map(|instant| instant.to_string())
            .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let instant: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Some(instant.as_microsecond()))
    }
}

/// Reasons as SES spells them.
mod reason {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Reason;

    #[expect(clippy::ref_option, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Reason>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Reason::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Reason>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        Reason::parse(&text).map(Some).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is neither BOUNCE nor COMPLAINT"))
        })
    }
}
