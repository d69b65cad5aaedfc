//! Who opened or clicked: a person, Apple's privacy protection, an image proxy, a scanner, or nobody can tell.
//!
//! Owns one invariant: nothing is called human without a sign of a mail client or browser, and nothing is called a
//! scanner on one weak sign alone. Signals are taken in this order: what SES says (`isBotEvent`), Apple Mail
//! Privacy Protection, image proxies, agents that name themselves as machines, then weak signs, of which two
//! are needed. Source of the signals: Amazon SES developer guide, "Examples of event data that Amazon SES
//! publishes" (`isBotEvent`), and what the operators' agents say of themselves.

mod agents;
mod relay;

use hearback_schemas::Actor;

/// An event this soon after the send is a weak sign of a machine: the message was hardly delivered.
///
/// Weak, because clocks differ and a person may sit waiting for a confirmation mail; scanners with a sandbox are
/// later than this.
const SOON_AFTER_SEND_MILLIS: i64 = 5_000;

/// Compiles the patterns.
pub(crate) fn prepare() {
    agents::prepare();
}

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

/// What a user agent alone tells. Programs are few and fetches many, so this is worth remembering.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agent {
    /// Safari's engine without a browser around it.
    bare_safari: bool,
    /// What Apple's prefetches call themselves, as does nobody else but scanners.
    bare_mozilla: bool,
    image_proxy: Option<&'static str>,
    machine: bool,
    /// The reason code of a name that is none.
    nameless: Option<&'static str>,
    client: bool,
}

impl Agent {
    /// What a user agent tells, as given.
    pub(crate) fn of(agent: &str) -> Self {
        let agent = agent.trim();
        let nameless = match agent {
            "" => Some("empty_agent"),
            agent if agents::is_generic(agent) => Some("generic_agent"),
            _ => None,
        };
        Self {
            bare_safari: agents::is_bare_safari(agent),
            bare_mozilla: agent == "Mozilla/5.0",
            image_proxy: agents::image_proxy(agent),
            machine: agents::is_machine(agent),
            nameless,
            client: agents::is_client(agent),
        }
    }
}

/// Who fetched, and a short stable code of the signal that decided (docs/classification.md lists them).
#[must_use]
pub fn judge(fetch: &Fetch<'_>) -> (Actor, &'static str) {
    judge_known(fetch, fetch.user_agent.map(Agent::of).as_ref())
}

/// The same, with what the user agent tells.
pub(crate) fn judge_known(fetch: &Fetch<'_>, agent: Option<&Agent>) -> (Actor, &'static str) {
    // Pictures only are prefetched and proxied: whoever follows a link under such a name is another machine.
    let stand_in = match (fetch.kind, agent) {
        (FetchKind::Open, Some(agent)) => prefetch_or_proxy(agent, fetch.ip),
        _ => None,
    };
    let bot_event = fetch.bot_event.map_or("", str::trim);
    if bot_event.eq_ignore_ascii_case("Likely") {
        return match stand_in {
            Some((Actor::Mpp, reason)) => (Actor::Mpp, reason),
            _ => (Actor::Scanner, "ses_bot_event"),
        };
    }
    if let Some(judged) = stand_in {
        return judged;
    }
    if bot_event.eq_ignore_ascii_case("Unlikely") {
        return (Actor::Human, "ses_not_bot");
    }
    if agent.is_some_and(|agent| agent.machine) {
        return (Actor::Scanner, "scanner_agent");
    }
    weigh(fetch, agent)
}

fn prefetch_or_proxy(agent: &Agent, ip: Option<&str>) -> Option<(Actor, &'static str)> {
    if agent.bare_mozilla && ip.is_some_and(relay::is_apple) {
        return Some((Actor::Mpp, "apple_mpp_agent"));
    }
    if agent.bare_safari {
        return Some((Actor::Mpp, "apple_mpp_safari"));
    }
    Some((Actor::Proxy, agent.image_proxy?))
}

/// Judges by the weak signs: two of them make a scanner, one makes a human doubtful.
fn weigh(fetch: &Fetch<'_>, agent: Option<&Agent>) -> (Actor, &'static str) {
    let soon = fetch.millis_after_send.is_some_and(|millis| millis <= SOON_AFTER_SEND_MILLIS);
    let nameless = agent.and_then(|agent| agent.nameless);
    // People do unsubscribe; only together with another sign does it say something.
    let unsubscribing = fetch.unsubscribe_link && fetch.kind == FetchKind::Click;
    match (soon, nameless) {
        (true, Some(_)) => return (Actor::Scanner, "seconds_after_send"),
        (true, None) if unsubscribing => return (Actor::Scanner, "seconds_after_send"),
        (false, Some(reason)) if unsubscribing => return (Actor::Scanner, reason),
        (true, None) => return (Actor::Unknown, "seconds_after_send"),
        (false, Some(reason)) => return (Actor::Unknown, reason),
        (false, None) => {}
    }
    match agent {
        None => (Actor::Unknown, "no_signal"),
        Some(agent) if agent.client => (Actor::Human, "client_agent"),
        Some(_) => (Actor::Unknown, "unknown_agent"),
    }
}

#[cfg(test)]
mod tests;
