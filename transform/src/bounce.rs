//! Why a message bounced, by cause.

pub mod status;

use hearback_schemas::BounceClass;

pub use status::status_code;

/// What a bounce event says about one recipient, as given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// SES `bounceType`: Permanent, Transient or Undetermined.
    pub bounce_type: Option<&'a str>,
    /// SES `bounceSubType`.
    pub bounce_subtype: Option<&'a str>,
    /// The recipient's `status` field (RFC 3463), if there is one.
    pub status: Option<&'a str>,
    /// The recipient's `diagnosticCode`: the SMTP reply, mostly.
    pub diagnostic: Option<&'a str>,
}

/// The cause of a bounce.
#[must_use]
pub fn classify(evidence: &Evidence<'_>) -> BounceClass {
    let _ = evidence;
    BounceClass::Undetermined
}
