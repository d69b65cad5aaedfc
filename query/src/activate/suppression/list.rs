//! What a suppression list is: whose it is, why an address stands on it, and its entries.
//!
//! Invariant: an entry is kept in the exact spelling of the list, because SES compares spellings exactly
//! in every call but sending ("Using the account-level suppression list", Amazon SES developer guide),
//! and is found by the spelling that events use.

use std::collections::BTreeMap;
use std::fmt;

use hearback_transform::address::parse_mailbox;
use sha2::{Digest, Sha256};

/// Which list: an account's in a Region, or one tenant's of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId {
    /// 12-digit AWS account.
    pub account: String,
    /// AWS Region.
    pub region: String,
    /// SES tenant; None for the account's own list.
    pub tenant: Option<String>,
}

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)?;
        match &self.tenant {
            Some(tenant) => write!(f, "/{tenant}"),
            None => Ok(()),
        }
    }
}

/// The two reasons that SES knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Mail bounces.
    Bounce,
    /// The recipient complained: the stronger of the two, never replaced by the other.
    Complaint,
}

impl Reason {
    /// As SES spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "BOUNCE",
            Self::Complaint => "COMPLAINT",
        }
    }

    /// Reads SES's spelling, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            word if word.eq_ignore_ascii_case("BOUNCE") => Some(Self::Bounce),
            word if word.eq_ignore_ascii_case("COMPLAINT") => Some(Self::Complaint),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An address as it stands on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Spelled exactly as on the list.
    pub address: String,
    /// Why it is there.
    pub reason: Reason,
    /// `LastUpdateTime`, in microseconds since 1970-01-01T00:00:00Z.
    pub updated_us: i64,
}

/// A list as it was last seen. Takes about 200 bytes of memory an entry.
#[derive(Clone, Debug, Default)]
pub struct ListState {
    /// Entries by the spelling that events use; several where cases differ.
    pub entries: BTreeMap<String, Vec<Entry>>,
    /// When the list was last read in full, if ever.
    pub full_us: Option<i64>,
    /// When it was last read in any way.
    pub read_us: Option<i64>,
    /// What SES said about when the list counts.
    pub settings: Option<ListSettings>,
}

impl ListState {
    /// The entries of an address, in whatever spelling.
    #[must_use]
    pub fn of(&self, recipient: &str) -> &[Entry] {
        self.entries.get(recipient).map_or(&[], Vec::as_slice)
    }

    /// Puts an entry in, or replaces the one of the same spelling.
    pub fn put(&mut self, entry: Entry) {
        let same = self.entries.entry(folded(&entry.address)).or_default();
        match same.iter_mut().find(|known| known.address == entry.address) {
            Some(known) => *known = entry,
            None => same.push(entry),
        }
    }

    /// Takes an entry out.
    pub fn take(&mut self, address: &str) {
        let key = folded(address);
        if let Some(same) = self.entries.get_mut(&key) {
            same.retain(|known| known.address != address);
            if same.is_empty() {
                self.entries.remove(&key);
            }
        }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.values().map(Vec::len).sum()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A digest of what is on the list: 32 hex digits, the same for the same spellings and reasons.
    /// Times are left out, because SES moves them when an entry is written again unchanged.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for same in self.entries.values() {
            let mut same: Vec<&Entry> = same.iter().collect();
            same.sort_by(|a, b| a.address.cmp(&b.address));
            for entry in same {
                digest.update(entry.address.as_bytes());
                digest.update([0]);
                digest.update(entry.reason.as_str().as_bytes());
                digest.update([0]);
            }
        }
        hex(&digest.finalize()[..16])
    }
}

/// When a list counts, as SES says ("Precedence", Amazon SES developer guide).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ListSettings {
    /// Reasons that the account (or the tenant) is configured to suppress for; None if it was not told.
    pub reasons: Option<Vec<String>>,
    /// ACCOUNT or TENANT, where it is a tenant's list.
    pub scope: Option<String>,
    /// Configuration sets that override the account, with their reasons.
    pub overrides: BTreeMap<String, Vec<String>>,
    /// What could not be asked, with why.
    pub unknown: Vec<String>,
}

/// An address as events spell it: lower case, domain in punycode. What is no address is only trimmed
/// and lower-cased, so that it still has a place.
#[must_use]
pub fn folded(address: &str) -> String {
    match parse_mailbox(address) {
        Some(mailbox) => mailbox.address.into_owned(),
        None => address.trim().to_lowercase(),
    }
}

/// Bytes as lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// 32 hex digits that stand for these texts, in this order.
#[must_use]
pub fn identity(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, reason: Reason) -> Entry {
        Entry { address: address.to_owned(), reason, updated_us: 7 }
    }

    #[test]
    fn spellings_of_one_address_are_entries_of_their_own() {
        let mut list = ListState::default();
        list.put(entry("Jo@Example.com", Reason::Bounce));
        list.put(entry("jo@example.com", Reason::Bounce));
        list.put(entry("jo@example.com", Reason::Complaint));
        assert_eq!(list.len(), 2);
        assert_eq!(list.of("jo@example.com").len(), 2);
        list.take("JO@example.com");
        assert_eq!(list.len(), 2, "a spelling that is not there takes nothing out");
        list.take("Jo@Example.com");
        assert_eq!(list.of("jo@example.com"), [entry("jo@example.com", Reason::Complaint)]);
    }

    #[test]
    fn the_digest_tells_what_is_on_the_list_and_nothing_else() {
        let mut one = ListState::default();
        one.put(entry("a@example.com", Reason::Bounce));
        one.put(entry("b@example.com", Reason::Bounce));
        let mut other = ListState::default();
        other.put(Entry { updated_us: 9, ..entry("b@example.com", Reason::Bounce) });
        other.put(entry("a@example.com", Reason::Bounce));
        assert_eq!(one.digest(), other.digest());
        other.put(entry("a@example.com", Reason::Complaint));
        assert_ne!(one.digest(), other.digest());
    }
}
