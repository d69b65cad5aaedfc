//! The views that every session has, each a file of SQL.
//!
//! Invariant: a view is planned only when a statement names it.

use datafusion::common::config::Dialect;

/// A view: its name, and the statement that it stands for.
#[derive(Debug)]
pub struct View {
    /// Name in SQL.
    pub name: &'static str,
    /// The statement.
    pub sql: &'static str,
}

impl View {
    /// What a row of the view is: the first line of the comment at the head of its file.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        let first = self.sql.lines().next().unwrap_or_default();
        first.trim_start_matches("--").trim()
    }
}

/// Every view, in the order in which they are listed.
pub const VIEWS: &[View] = &[
    View { name: "messages", sql: include_str!("../../sql/views/messages.sql") },
    View { name: "recipients", sql: include_str!("../../sql/views/recipients.sql") },
    View { name: "lag", sql: include_str!("../../sql/views/lag.sql") },
    View { name: "endpoints", sql: include_str!("../../sql/views/endpoints.sql") },
    View { name: "suppressions", sql: include_str!("../../sql/views/suppressions.sql") },
    View { name: "email_send", sql: include_str!("../../sql/views/email_send.sql") },
    View { name: "email_delivered", sql: include_str!("../../sql/views/email_delivered.sql") },
    View { name: "email_hardbounce", sql: include_str!("../../sql/views/email_hardbounce.sql") },
    View { name: "email_softbounce", sql: include_str!("../../sql/views/email_softbounce.sql") },
    View { name: "email_complaint", sql: include_str!("../../sql/views/email_complaint.sql") },
    View { name: "email_open", sql: include_str!("../../sql/views/email_open.sql") },
    View { name: "email_click", sql: include_str!("../../sql/views/email_click.sql") },
    View { name: "email_unsubscribe", sql: include_str!("../../sql/views/email_unsubscribe.sql") },
    View { name: "email_rejected", sql: include_str!("../../sql/views/email_rejected.sql") },
    View { name: "campaign_send", sql: include_str!("../../sql/views/campaign_send.sql") },
    View { name: "journey_send", sql: include_str!("../../sql/views/journey_send.sql") },
    View { name: "sms_buffered", sql: include_str!("../../sql/views/sms_buffered.sql") },
    View { name: "sms_success", sql: include_str!("../../sql/views/sms_success.sql") },
    View { name: "sms_failure", sql: include_str!("../../sql/views/sms_failure.sql") },
    View { name: "sms_optout", sql: include_str!("../../sql/views/sms_optout.sql") },
];

/// Finds a view by name.
pub(super) fn view(name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.name == name)
}

/// The dialect of views, and of expressions that a session parses by itself: what the grammar of users'
/// statements ([`super::dialect`]) is built upon.
pub(super) const DIALECT: Dialect = Dialect::PostgreSQL;
