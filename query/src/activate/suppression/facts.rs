//! What the lake says about one recipient: its failures, its complaints, and when it last worked.

use std::sync::Arc;

use hearback_schemas::BounceClass;

use super::policy::Blame;

/// Whose traffic an event belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Account of the sender, where the event says.
    pub account: Option<String>,
    /// Region of the sender, where the event says.
    pub region: Option<String>,
    /// Tenant, if that tenant has a list of its own: its evidence stays with it.
    pub tenant: Option<String>,
}

/// A bounce of a message to the recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Identity of the event.
    pub event_id: u128,
    /// When it happened, in microseconds since 1970.
    pub time_us: i64,
    /// Identity of the message: bounces of one message count once.
    pub message: u64,
    /// When the message was sent, in microseconds since 1970, where the event says.
    pub sent_us: Option<i64>,
    /// The address that the bounce names, if it is not the recipient: mail was forwarded there.
    pub named: Option<Arc<str>>,
    /// Whose traffic.
    pub origin: Arc<Origin>,
    /// Its cause.
    pub class: BounceClass,
    /// What it is evidence of.
    pub blame: Blame,
}

/// What a report of a complaint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The recipient, or one of those named with it, does not want the mail.
    Accuses,
    /// The recipient says that it is no spam.
    NotSpam,
    /// About the sender's authentication.
    AuthFailure,
}

/// A complaint about a message to the recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Identity of the event.
    pub event_id: u128,
    /// When it happened, in microseconds since 1970.
    pub time_us: i64,
    /// Identity of the message.
    pub message: u64,
    /// Whose traffic.
    pub origin: Arc<Origin>,
    /// What it says.
    pub report: Report,
    /// How many recipients of the same provider it names.
    pub accused: u32,
}

/// All that matters about one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The address, as events spell it.
    pub recipient: String,
    /// Whom an outage is told by: the mailbox provider, or the domain where that is unknown.
    pub provider: String,
    /// The newest delivery, or open or click by a person.
    pub last_success_us: Option<i64>,
    /// Whether a Send event names the recipient: it was really mailed under this address.
    pub mailed: bool,
    /// Bounces, in no order.
    pub bounces: Vec<Bounce>,
    /// Complaints, in no order.
    pub complaints: Vec<Complaint>,
}

impl Facts {
    /// Takes up what an event says of the provider: of several, the first in the order of the alphabet.
    pub(super) fn name_provider(&mut self, provider: Option<&str>) {
        let Some(provider) = provider else { return };
        if self.provider.is_empty() || provider < self.provider.as_str() {
            provider.clone_into(&mut self.provider);
        }
    }
}
