//! The requests of one change of a list.
//!
//! Invariant: nothing is taken off that is not as the plan saw it a moment ago.

use aws_sdk_sesv2::operation::RequestId;
use aws_sdk_sesv2::types::SuppressionListReason;

use super::connection::{CallError, Connection};
use super::list::{Entry, Reason};
use super::plan::Item;
use super::pull;

/// What came of the requests for one change.
pub(super) enum Made {
    /// The list is as the plan wants it; AWS's identity of the request, if one was needed.
    Done(Option<String>),
    /// The entry is not as the plan saw it, and was left alone; says why.
    Skipped(String),
}

/// Puts an entry on the list, or replaces its reason.
pub(super) async fn put(connection: &Connection, item: &Item) -> Result<Made, CallError> {
    let reason = match item.reason {
        Some(Reason::Complaint) => SuppressionListReason::Complaint,
        _ => SuppressionListReason::Bounce,
    };
    let answer = connection
        .call("PutSuppressedDestination", || {
            connection
                .client
                .put_suppressed_destination()
                .email_address(&item.address)
                .reason(reason.clone())
                .set_tenant_name(connection.list.tenant.clone())
                .send()
        })
        .await;
    match answer {
        Ok(answer) => Ok(Made::Done(answer.request_id().map(str::to_owned))),
        Err(CallError::NotFound) => Err(CallError::Denied("the tenant does not exist".to_owned())),
        Err(error) => Err(error),
    }
}

/// Takes an entry off, if it still is what the plan saw: SES has no conditional delete, so it is read
/// right before.
pub(super) async fn delete(connection: &Connection, item: &Item) -> Result<Made, CallError> {
    match pull::entry(connection, &item.address).await? {
        Some(entry) if !as_planned(&entry, item) => return Ok(Made::Skipped(was_changed(&entry))),
        Some(_) => {}
        None if has_slash(&item.address) => {
            return Err(CallError::Refused("SES does not find addresses with a slash by themselves; set import_prefix, so that they are removed by an import job".to_owned()));
        }
        None => return Ok(Made::Done(None)),
    }
    let answer = connection
        .call("DeleteSuppressedDestination", || {
            connection
                .client
                .delete_suppressed_destination()
                .email_address(&item.address)
                .set_tenant_name(connection.list.tenant.clone())
                .send()
        })
        .await;
    match answer {
        Ok(answer) => Ok(Made::Done(answer.request_id().map(str::to_owned))),
        Err(CallError::NotFound) => Ok(Made::Done(None)),
        Err(error) => Err(error),
    }
}

/// Whether an entry is as the plan saw it. SES tells times in whole seconds in some answers and in fractions in others.
pub(super) fn as_planned(entry: &Entry, item: &Item) -> bool {
    let same_reason = item.listed_reason.is_none_or(|reason| reason == entry.reason);
    let same_time = item
        .listed_time
        .is_none_or(|time| entry.updated_us.div_euclid(1_000_000) <= time.div_euclid(1_000_000));
    same_reason && same_time
}

/// Why an entry that is not as the plan saw it is left alone.
pub(super) fn was_changed(entry: &Entry) -> String {
    let time = jiff::Timestamp::from_microsecond(entry.updated_us).unwrap_or_default();
    format!("the entry was changed meanwhile: {} since {time}", entry.reason)
}

/// Whether the address cannot stand in the path of a request (boto3's issue 2870: a slash in the local
/// part is refused by the service however it is escaped).
pub(super) fn has_slash(address: &str) -> bool {
    address.contains('/')
}
