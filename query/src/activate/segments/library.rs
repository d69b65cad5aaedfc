//! Ready segments, to be copied and changed: one SQL file each, with its header.

/// A ready segment.
#[derive(Debug)]
pub struct Ready {
    /// Name, also of the file.
    pub name: &'static str,
    /// The whole file.
    pub text: &'static str,
}

impl Ready {
    /// What it is for: the description in its header.
    #[must_use]
    pub fn description(&self) -> &'static str {
        let line = self.text.lines().find_map(|line| line.strip_prefix("-- description = \""));
        line.and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
    }
}

/// The ready segment of a name.
#[must_use]
pub fn ready(name: &str) -> Option<&'static Ready> {
    LIBRARY.iter().find(|ready| ready.name == name)
}

/// All of them.
pub const LIBRARY: &[Ready] = &[
    Ready { name: "engaged-30d", text: include_str!("../../../segments/engaged-30d.sql") },
    Ready { name: "at-risk", text: include_str!("../../../segments/at-risk.sql") },
    Ready { name: "sunset", text: include_str!("../../../segments/sunset.sql") },
    Ready {
        name: "never-opened-humanly",
        text: include_str!("../../../segments/never-opened-humanly.sql"),
    },
    Ready {
        name: "new-signups-unconfirmed",
        text: include_str!("../../../segments/new-signups-unconfirmed.sql"),
    },
    Ready {
        name: "clicked-campaign",
        text: include_str!("../../../segments/clicked-campaign.sql"),
    },
    Ready {
        name: "bounced-soft-recently",
        text: include_str!("../../../segments/bounced-soft-recently.sql"),
    },
    Ready {
        name: "provider-hold-out",
        text: include_str!("../../../segments/provider-hold-out.sql"),
    },
];
