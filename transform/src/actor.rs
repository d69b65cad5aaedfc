//! Who opened or clicked.

use hearback_schemas::Actor;

/// What was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// The tracking pixel.
    Open,
    /// A tracked link.
    Click,
}

/// What an open or click event says about the one who fetched.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// Pixel or link.
    pub kind: FetchKind,
    /// SES `isBotEvent`: `Likely` or `Unlikely`; absent from older events and from Pinpoint's.
    pub bot_event: Option<&'a str>,
    /// The user agent, as given.
    pub user_agent: Option<&'a str>,
    /// The IP address, as given.
    pub ip: Option<&'a str>,
    /// Milliseconds between the send (`mail.timestamp`) and this event; negative if clocks disagree.
    pub millis_after_send: Option<i64>,
    /// Whether the link is a (tagged) unsubscribe link.
    pub unsubscribe_link: bool,
}

/// Who fetched, and a short stable code of the signal that decided.
#[must_use]
pub fn judge(fetch: &Fetch<'_>) -> (Actor, &'static str) {
    let _ = fetch;
    (Actor::Unknown, "no_signal")
}
