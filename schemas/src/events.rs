//! `events`: one row per event and recipient, each event once.

use crate::table::ColumnKind::{BigInt, Date, Int, String, StringListMap, Timestamp};
use crate::{Column, Table};

/// The partition of events whose own clock cannot be right, in days since 1970-01-01: they are kept
/// together under 1970-01-01 instead of opening a partition for every impossible date.
pub const UNDATED_EVENT_DATE: i32 = 0;

/// One row per event and recipient, each event once.
pub const EVENTS: Table = Table {
    name: "events",
    meaning: "one row per event and recipient, each event once",
    columns: COLUMNS,
    partition_columns: &["event_date"],
};

const COLUMNS: &[Column] = &[
    Column::required(
        "event_id",
        String,
        "32 hex digits; deterministic identity of (event, recipient): the same event by another route, or a redelivery, has the same id",
    ),
    Column::required(
        "event_type",
        String,
        "send, delivery, delivery_delay, bounce, complaint, reject, open, click, rendering_failure, subscription, unknown",
    ),
    Column::required(
        "event_time",
        Timestamp,
        "when it happened: the event's own time, not the mail's, not arrival (send, reject and rendering_failure: the mail's; Pinpoint: arrival_timestamp for what came after the send)",
    ),
    Column::required(
        "event_date",
        Date,
        "UTC day of event_time; 1970-01-01 when event_time cannot be right (before 2009, or more than two days after it was read)",
    ),
    Column::required("ingest_time", Timestamp, "when hearback committed the row"),
    Column::required(
        "source",
        String,
        "service whose format the event came in: ses, pinpoint, end_user_messaging",
    ),
    Column::optional("channel", String, "email, sms, push, voice"),
    Column::optional("account_id", String, "12-digit AWS account of the sender"),
    Column::optional("region", String, "AWS Region of the sender, such as eu-west-1"),
    Column::optional(
        "message_id",
        String,
        "the sender service's message id (not the Message-ID header)",
    ),
    Column::optional("sent_time", Timestamp, "when the service accepted the message"),
    Column::optional("sender", String, "address part of From"),
    Column::optional("sender_domain", String, "domain of sender, lower case, punycode"),
    Column::optional(
        "recipient",
        String,
        "address, trimmed, without display name and brackets, lower case, domain in punycode; +tag and dots kept; NULL when it cannot be told (open or click on a message with several destinations)",
    ),
    Column::optional("recipient_domain", String, "domain of recipient"),
    Column::optional(
        "mailbox_provider",
        String,
        "operator of the mailbox, by domain: gmail, yahoo, yahoo_japan, icloud, outlook, docomo, …, other",
    ),
    Column::optional("recipient_count", Int, "destinations of the message"),
    Column::optional("subject", String, "Subject header"),
    Column::optional(
        "configuration_set",
        String,
        "SES configuration set, from the tag ses:configuration-set",
    ),
    Column::optional(
        "campaign",
        String,
        "from the configured campaign tags, or Pinpoint's campaign_id or journey_id",
    ),
    Column::optional(
        "template",
        String,
        "from the configured template tags, or the template that failed to render",
    ),
    Column::optional("tenant", String, "from the configured tenant tags"),
    Column::optional("tags", StringListMap, "all message tags, SES's own included"),
    Column::optional(
        "processing_ms",
        BigInt,
        "milliseconds from accepting the message to the remote server's acceptance",
    ),
    Column::optional("smtp_response", String, "the remote server's reply to a delivery"),
    Column::optional(
        "status_code",
        String,
        "enhanced status code (RFC 3463), parsed out of the text when the field is absent",
    ),
    Column::optional("diagnostic", String, "diagnostic text of a bounce or delay, as given"),
    Column::optional("remote_ip", String, "IP address of the remote mail server"),
    Column::optional("reporting_mta", String, "mail server that reported, as given"),
    Column::optional(
        "bounce_type",
        String,
        "as the service says: Permanent, Transient, Undetermined",
    ),
    Column::optional(
        "bounce_subtype",
        String,
        "as the service says: General, NoEmail, MailboxFull, …",
    ),
    Column::optional(
        "bounce_class",
        String,
        "cause: invalid_recipient, bad_domain, inactive_mailbox, mailbox_full, policy, spam_block, content, too_large, rate_limited, routing, expired, auto_reply, suppression_echo, undetermined",
    ),
    Column::optional(
        "rule_version",
        String,
        "version of the rules that judged bounce_class and actor",
    ),
    Column::optional("complaint_type", String, "feedback type (RFC 5965): abuse, not-spam, …"),
    Column::optional(
        "complaint_subtype",
        String,
        "as the service says, such as OnAccountSuppressionList",
    ),
    Column::optional(
        "delay_type",
        String,
        "as the service says: MailboxFull, TransientCommunicationFailure, …",
    ),
    Column::optional("ip_address", String, "IP address that opened or clicked"),
    Column::optional(
        "user_agent",
        String,
        "user agent that opened or clicked, or that reported a complaint",
    ),
    Column::optional(
        "link",
        String,
        "link that was clicked; its query string only as far as its parameters are allowed by name",
    ),
    Column::optional("actor", String, "who opened or clicked: human, mpp, proxy, scanner, unknown"),
    Column::optional("actor_reason", String, "what the judgement of actor rests on"),
    Column::optional("failure_reason", String, "reason of a reject or rendering failure"),
    Column::optional("endpoint_id", String, "Pinpoint endpoint (client.client_id)"),
    Column::optional("application_id", String, "Pinpoint application"),
    Column::optional(
        "extra",
        String,
        "JSON of everything that arrived and has no column of its own, message headers apart",
    ),
    Column::optional("source_name", String, "file, object or stream that the row was read from"),
    Column::optional("source_shard", String, "Kinesis shard that the row was read from"),
    Column::optional(
        "source_sequence",
        String,
        "place in the source: byte offset of the document in its (decompressed) object, or Kinesis sequence number",
    ),
];
