//! The lists as they were last seen, kept in the lake's `suppression_list`.
//!
//! Invariant: a reading writes only what differs from the reading before, and its last row says that it
//! was completed; a reading that broke off changes nothing, because all its rows are one commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use hearback_schemas::SUPPRESSION_LIST;

use super::change::instants;
use super::columns::{Numbers, Texts};
use super::list::{Entry, ListId, ListSettings, ListState, Reason, folded, identity};
use super::statement::{for_each, quoted};
use crate::engine::{Engine, EngineError};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// An entry that is new or different.
    Entry(Entry),
    /// An entry that is there no more.
    Gone(String),
    /// A full reading was completed; entries of the list.
    Full(usize),
    /// A reading of what changed was completed; entries of the list as far as known.
    Incremental(usize),
    /// What SES says about when the list counts.
    Settings(ListSettings),
}

/// Every list that was ever read, as it was last seen.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    lists: BTreeMap<ListId, ListState>,
}

impl Mirror {
    /// Reads the mirror, or only what concerns one recipient.
    ///
    /// # Errors
    /// As the engine fails.
    pub async fn read(engine: &Engine, only: Option<&str>) -> Result<Self, EngineError> {
        let filter = only.map(|recipient| {
            format!("WHERE recipient IS NULL OR recipient = {}", quoted(recipient))
        });
        let sql = format!(
            "SELECT changed_time, account_id, region, tenant, kind, address, reason, list_time, settings \
             FROM suppression_list {} ORDER BY changed_time, change_id",
            filter.unwrap_or_default()
        );
        let mut mirror = Self::default();
        for_each(engine, &sql, |batch| mirror.take_rows(batch)).await?;
        Ok(mirror)
    }

    /// A list as it was last seen; empty and never read if it never was.
    #[must_use]
    pub fn list(&self, list: &ListId) -> ListState {
        self.lists.get(list).cloned().unwrap_or_default()
    }

    /// Every list that was ever read.
    #[must_use]
    pub fn lists(&self) -> &BTreeMap<ListId, ListState> {
        &self.lists
    }

    /// Replaces what is known of a list.
    pub fn put(&mut self, list: ListId, state: ListState) {
        self.lists.insert(list, state);
    }

    fn take_rows(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let text = |name: &str| Texts::of(batch, name);
        let (accounts, regions, tenants) = (text("account_id")?, text("region")?, text("tenant")?);
        let (kinds, addresses, reasons) = (text("kind")?, text("address")?, text("reason")?);
        let settings = text("settings")?;
        let times = Numbers::of(batch, "changed_time")?;
        let list_times = Numbers::of(batch, "list_time")?;
        for row in 0..batch.num_rows() {
            let (Some(account), Some(region)) = (accounts.owned(row), regions.owned(row)) else {
                continue;
            };
            let list = ListId { account, region, tenant: tenants.owned(row) };
            let state = self.lists.entry(list).or_default();
            let read_us = times.get(row);
            match (kinds.get(row), addresses.owned(row)) {
                (Some("entry"), Some(address)) => {
                    let Some(reason) = reasons.get(row).and_then(Reason::parse) else { continue };
                    let updated_us = list_times.get(row).unwrap_or(0);
                    state.put(Entry { address, reason, updated_us });
                }
                (Some("gone"), Some(address)) => state.take(&address),
                (Some("full"), _) => {
                    state.full_us = read_us;
                    state.read_us = read_us;
                }
                (Some("incremental"), _) => state.read_us = read_us,
                (Some("settings"), _) => {
                    state.settings = settings
                        .get(row)
                        .and_then(|json| serde_json::from_str::<ListSettings>(json).ok());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What differs between the list as it was and as it is now, as rows to write.
#[must_use]
pub fn differences(before: &ListState, now: &[Entry]) -> Vec<Sight> {
    let mut known: HashMap<&str, &Entry> = HashMap::new();
    for entry in before.entries.values().flatten() {
        known.insert(&entry.address, entry);
    }
    let mut sights = Vec::new();
    for entry in now {
        if known.remove(entry.address.as_str()) != Some(entry) {
            sights.push(Sight::Entry(entry.clone()));
        }
    }
    let mut gone: Vec<&str> = known.into_keys().collect();
    gone.sort_unstable();
    sights.extend(gone.into_iter().map(|address| Sight::Gone(address.to_owned())));
    sights
}

/// Rows of `suppression_list`.
///
/// # Errors
/// If the table's schema has a column that is not known here.
pub fn list_rows(list: &ListId, sights: &[Sight], now_us: i64) -> Result<RecordBatch, ArrowError> {
    let text = |get: &dyn Fn(&Sight) -> Option<String>| -> ArrayRef {
        Arc::new(sights.iter().map(get).collect::<StringArray>())
    };
    let schema = SUPPRESSION_LIST.file_schema();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match field.name().as_str() {
            "change_id" => text(&|sight| {
                let (name, time) = (list.to_string(), now_us.to_string());
                let address = address_of(sight).unwrap_or_default();
                Some(identity(&[&name, &time, kind_of(sight), address]))
            }),
            "changed_time" => instants(sights.iter().map(|_| Some(now_us))),
            "account_id" => text(&|_| Some(list.account.clone())),
            "region" => text(&|_| Some(list.region.clone())),
            "tenant" => text(&|_| list.tenant.clone()),
            "kind" => text(&|sight| Some(kind_of(sight).to_owned())),
            "address" => text(&|sight| address_of(sight).map(str::to_owned)),
            "recipient" => text(&|sight| address_of(sight).map(folded)),
            "reason" => text(&|sight| match sight {
                Sight::Entry(entry) => Some(entry.reason.to_string()),
                _ => None,
            }),
            "list_time" => instants(sights.iter().map(|sight| match sight {
                Sight::Entry(entry) => Some(entry.updated_us),
                _ => None,
            })),
            "entries" => Arc::new(
                sights
                    .iter()
                    .map(|sight| match sight {
                        Sight::Full(entries) | Sight::Incremental(entries) => {
                            i64::try_from(*entries).ok()
                        }
                        _ => None,
                    })
                    .collect::<Int64Array>(),
            ),
            "settings" => text(&|sight| match sight {
                Sight::Settings(settings) => serde_json::to_string(settings).ok(),
                _ => None,
            }),
            other => {
                return Err(ArrowError::SchemaError(format!("the mirror has no column {other}")));
            }
        });
    }
    RecordBatch::try_new(schema, columns)
}

fn kind_of(sight: &Sight) -> &'static str {
    match sight {
        Sight::Entry(_) => "entry",
        Sight::Gone(_) => "gone",
        Sight::Full(_) => "full",
        Sight::Incremental(_) => "incremental",
        Sight::Settings(_) => "settings",
    }
}

fn address_of(sight: &Sight) -> Option<&str> {
    match sight {
        Sight::Entry(entry) => Some(&entry.address),
        Sight::Gone(address) => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_writes_what_differs() {
        let entry = |address: &str, updated_us| Entry {
            address: address.to_owned(),
            reason: Reason::Bounce,
            updated_us,
        };
        let mut before = ListState::default();
        before.put(entry("same@example.com", 1));
        before.put(entry("Again@example.com", 1));
        before.put(entry("gone@example.com", 1));
        let now = [
            entry("same@example.com", 1),
            entry("Again@example.com", 2),
            entry("new@example.com", 2),
        ];
        let sights = differences(&before, &now);
        assert_eq!(
            sights,
            [
                Sight::Entry(entry("Again@example.com", 2)),
                Sight::Entry(entry("new@example.com", 2)),
                Sight::Gone("gone@example.com".to_owned()),
            ]
        );
        assert!(differences(&before, &now[..0]).len() == 3);
    }
}
