//! Reads a live list: in full, or what was added or changed since it was read last.
//!
//! Invariant: only a full reading can tell what is gone, because SES lists entries and never removals.

use std::collections::BTreeMap;

use aws_sdk_sesv2::types::SuppressionListReason;
use aws_smithy_types::DateTime;

use super::connection::{CallError, Connection};
use super::list::{Entry, ListSettings, ListState, Reason};
use super::mirror::{Sight, differences};

/// Entries of one page; SES's model gives no limit, its page of the console has 1,000.
const PAGE: i32 = 1_000;
/// Entries carry SES's clock, and a reading takes a while: what is newer than this before the last
/// reading is read again.
const OVERLAP_US: i64 = 3_600 * 1_000_000;
/// Configuration sets that are asked one by one, at one request a second each.
const SETS_ASKED: usize = 20;

/// How much of a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Full,
    /// What changed since it was read last.
    Changes,
}

/// What a reading found.
#[derive(Debug)]
pub struct Reading {
    /// Rows for the mirror.
    pub sights: Vec<Sight>,
    /// The list as it is now.
    pub state: ListState,
}

/// Which reading is due.
#[must_use]
pub fn due(before: &ListState, full_listing_us: i64, now_us: i64) -> Extent {
    match before.full_us {
        Some(full_us) if now_us - full_us < full_listing_us => Extent::Changes,
        _ => Extent::Full,
    }
}

/// Reads a list. Memory: the entries that are read.
///
/// # Errors
/// As requests fail.
pub async fn read(
    connection: &Connection,
    before: &ListState,
    extent: Extent,
    transactional: &[String],
    now_us: i64,
) -> Result<Reading, CallError> {
    let since_us = match extent {
        Extent::Full => None,
        Extent::Changes => before.read_us.map(|read| read - OVERLAP_US),
    };
    let entries = entries(connection, since_us).await?;
    let mut state = before.clone();
    let mut sights = differences(before, &entries);
    if extent == Extent::Changes {
        // What is not in the listing was not changed: it is not gone.
        sights.retain(|sight| matches!(sight, Sight::Entry(_)));
    } else {
        state.entries = BTreeMap::new();
        state.full_us = Some(now_us);
    }
    state.read_us = Some(now_us);
    for entry in entries {
        state.put(entry);
    }
    sights.push(match extent {
        Extent::Full => Sight::Full(state.len()),
        Extent::Changes => Sight::Incremental(state.len()),
    });
    if extent == Extent::Full || state.settings.is_none() {
        let settings = settings(connection, transactional).await?;
        if state.settings.as_ref() != Some(&settings) {
            sights.push(Sight::Settings(settings.clone()));
            state.settings = Some(settings);
        }
    }
    Ok(Reading { sights, state })
}

async fn entries(connection: &Connection, since_us: Option<i64>) -> Result<Vec<Entry>, CallError> {
    let mut entries = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = connection
            .call("ListSuppressedDestinations", || {
                let mut request = connection
                    .client
                    .list_suppressed_destinations()
                    .page_size(PAGE)
                    .set_tenant_name(connection.list.tenant.clone())
                    .set_next_token(token.clone());
                if let Some(since_us) = since_us {
                    request =
                        request.start_date(DateTime::from_secs(since_us.div_euclid(1_000_000)));
                }
                request.send()
            })
            .await?;
        for summary in page.suppressed_destination_summaries() {
            let Some(reason) = reason_of(summary.reason()) else { continue };
            entries.push(Entry {
                address: summary.email_address().to_owned(),
                reason,
                updated_us: micros(summary.last_update_time()),
            });
        }
        match page.next_token {
            Some(next) if !next.is_empty() && token.as_ref() != Some(&next) => token = Some(next),
            _ => return Ok(entries),
        }
    }
}

/// One entry as it is right now; None if it is not there.
///
/// # Errors
/// As the request fails.
pub async fn entry(connection: &Connection, address: &str) -> Result<Option<Entry>, CallError> {
    let answer = connection
        .call("GetSuppressedDestination", || {
            connection
                .client
                .get_suppressed_destination()
                .email_address(address)
                .set_tenant_name(connection.list.tenant.clone())
                .send()
        })
        .await;
    let answer = match answer {
        Err(CallError::NotFound) => return Ok(None),
        answer => answer?,
    };
    let Some(found) = answer.suppressed_destination else { return Ok(None) };
    let Some(reason) = reason_of(found.reason()) else { return Ok(None) };
    Ok(Some(Entry {
        address: found.email_address().to_owned(),
        reason,
        updated_us: micros(found.last_update_time()),
    }))
}

/// Entries that were added or changed since an instant.
///
/// # Errors
/// As requests fail.
pub async fn changed_since(
    connection: &Connection,
    since_us: i64,
) -> Result<Vec<Entry>, CallError> {
    entries(connection, Some(since_us - OVERLAP_US)).await
}

/// What makes the list count. What may not be asked is noted as unknown and is no failure.
async fn settings(
    connection: &Connection,
    transactional: &[String],
) -> Result<ListSettings, CallError> {
    let mut settings = ListSettings::default();
    let words = |reasons: &[SuppressionListReason]| -> Vec<String> {
        reasons.iter().map(|reason| reason.as_str().to_owned()).collect()
    };
    if let Some(tenant) = &connection.list.tenant {
        let answer = connection
            .call("GetTenant", || connection.client.get_tenant().tenant_name(tenant).send());
        match answer.await {
            Ok(answer) => {
                let attributes = answer
                    .tenant
                    .as_ref()
                    .and_then(|tenant| tenant.suppression_attributes.as_ref());
                if let Some(attributes) = attributes {
                    settings.reasons = attributes.suppressed_reasons.as_deref().map(words);
                    settings.scope = attributes
                        .suppression_scope
                        .as_ref()
                        .map(|scope| scope.as_str().to_owned());
                }
            }
            Err(CallError::Unavailable(why)) => return Err(CallError::Unavailable(why)),
            Err(error) => {
                settings.unknown.push(format!("the tenant's suppression settings ({error})"));
            }
        }
        return Ok(settings);
    }
    let answer = connection.call("GetAccount", || connection.client.get_account().send()).await;
    match answer {
        Ok(answer) => {
            let attributes = answer.suppression_attributes.as_ref();
            settings.reasons = attributes
                .and_then(|attributes| attributes.suppressed_reasons.as_deref())
                .map(words);
        }
        Err(CallError::Unavailable(why)) => return Err(CallError::Unavailable(why)),
        Err(error) => {
            settings.unknown.push(format!("the account's suppression settings ({error})"));
        }
    }
    for set in configuration_sets(connection, transactional, &mut settings).await? {
        let answer = connection
            .call("GetConfigurationSet", || {
                connection.client.get_configuration_set().configuration_set_name(&set).send()
            })
            .await;
        match answer {
            Ok(answer) => {
                let reasons = answer
                    .suppression_options
                    .as_ref()
                    .and_then(|options| options.suppressed_reasons.as_deref());
                if let Some(reasons) = reasons {
                    settings.overrides.insert(set, words(reasons));
                }
            }
            Err(CallError::Unavailable(why)) => return Err(CallError::Unavailable(why)),
            Err(CallError::NotFound) => {
                settings.unknown.push(format!("the configuration set {set}, which does not exist"));
            }
            Err(error) => settings.unknown.push(format!("the configuration set {set} ({error})")),
        }
    }
    Ok(settings)
}

/// The sets to ask: those that are configured as transactional, and the first of the account's.
async fn configuration_sets(
    connection: &Connection,
    transactional: &[String],
    settings: &mut ListSettings,
) -> Result<Vec<String>, CallError> {
    let mut sets: Vec<String> = transactional.to_vec();
    let answer = connection
        .call("ListConfigurationSets", || {
            connection.client.list_configuration_sets().page_size(PAGE).send()
        })
        .await;
    match answer {
        Ok(answer) => {
            for set in answer.configuration_sets() {
                if !sets.contains(set) {
                    sets.push(set.clone());
                }
            }
        }
        Err(CallError::Unavailable(why)) => return Err(CallError::Unavailable(why)),
        Err(error) => settings.unknown.push(format!("the configuration sets ({error})")),
    }
    if sets.len() > SETS_ASKED.max(transactional.len()) {
        let left = sets.len() - SETS_ASKED.max(transactional.len());
        settings.unknown.push(format!("{left} more configuration sets, which were not asked"));
        sets.truncate(SETS_ASKED.max(transactional.len()));
    }
    Ok(sets)
}

fn reason_of(reason: &SuppressionListReason) -> Option<Reason> {
    Reason::parse(reason.as_str())
}

fn micros(instant: &DateTime) -> i64 {
    instant.secs().saturating_mul(1_000_000) + i64::from(instant.subsec_nanos() / 1_000)
}
