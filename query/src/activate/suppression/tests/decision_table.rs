//! Replies as SES hands them on, and what the policy makes of one of each.

use hearback_transform::bounce::{Evidence, classify};

use super::*;

/// Type, subtype, status, diagnostic, and the rule that suppresses; None if nobody is suppressed.
type Case =
    (&'static str, &'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);

const CASES: &[Case] = &[
    // Gmail
    (
        "Permanent",
        "NoEmail",
        Some("5.1.1"),
        Some(
            "smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking the recipient's email address for typos or\n550-5.1.1 unnecessary spaces. For more information, go to\n550 5.1.1  https://support.example/mail/?p=NoSuchUser a1-20020a05 - gsmtp",
        ),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        Some("5.2.1"),
        Some(
            "smtp; 550 5.2.1 The email account that you tried to reach is disabled. For more information, go to https://support.example/mail/?p=DisabledUser - gsmtp",
        ),
        Some("inactive-mailbox"),
    ),
    (
        "Transient",
        "MailboxFull",
        Some("4.2.2"),
        Some(
            "smtp; 452-4.2.2 The recipient's inbox is out of storage space. Please direct the\n452-4.2.2 recipient to\n452 4.2.2  https://support.example/mail/?p=OverQuotaTemp - gsmtp",
        ),
        None,
    ),
    (
        "Permanent",
        "General",
        Some("5.7.26"),
        Some(
            "smtp; 550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM. - gsmtp",
        ),
        None,
    ),
    (
        "Transient",
        "General",
        Some("4.7.28"),
        Some(
            "smtp; 421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating\n421 4.7.28 from your IP address. - gsmtp",
        ),
        None,
    ),
    (
        "Permanent",
        "General",
        Some("5.7.1"),
        Some(
            "smtp; 550-5.7.1 [192.0.2.7] Our system has detected that this message is likely\n550-5.7.1 suspicious due to the very low reputation of the sending domain. - gsmtp",
        ),
        None,
    ),
    // Outlook.com and Exchange Online
    (
        "Permanent",
        "General",
        Some("5.5.0"),
        Some(
            "smtp; 550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [AM7EUR03FT.eop-EUR03.prod.protection.example]",
        ),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        Some("5.7.1"),
        Some(
            "smtp; 550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).",
        ),
        None,
    ),
    (
        "Permanent",
        "General",
        Some("5.7.515"),
        Some(
            "smtp; 550 5.7.515 Access denied, sending domain EXAMPLE.COM doesn't meet the required authentication level.",
        ),
        None,
    ),
    (
        "Permanent",
        "General",
        Some("5.4.1"),
        Some(
            "smtp; 550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB5EUR01FT.eop-EUR01.prod.protection.example]",
        ),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        Some("5.1.10"),
        Some(
            "smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        ),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        Some("5.2.2"),
        Some(
            "smtp; 554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
        ),
        None,
    ),
    // Yahoo
    (
        "Permanent",
        "General",
        Some("5.0.0"),
        Some(
            "smtp; 554 30 Sorry, your message to jo@example.com cannot be delivered. This mailbox is disabled (554.30).",
        ),
        Some("inactive-mailbox"),
    ),
    (
        "Permanent",
        "General",
        Some("5.0.0"),
        Some("smtp; 552 1 Requested mail action aborted, mailbox not found"),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        Some("5.7.9"),
        Some(
            "smtp; 554 5.7.9 Message not accepted for policy reasons. See https://senders.example/error-codes",
        ),
        None,
    ),
    (
        "Transient",
        "General",
        Some("4.7.0"),
        Some(
            "smtp; 421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints",
        ),
        None,
    ),
    // docomo, au, iCloud
    (
        "Permanent",
        "General",
        Some("5.1.1"),
        Some("smtp; 550 Unknown user jo@docomo.example"),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        None,
        Some("smtp; 550 <jo@au.example>: User unknown"),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        Some("5.1.1"),
        Some("smtp; 550 5.1.1 unknown or illegal alias: jo@icloud.example"),
        Some("invalid-recipient"),
    ),
    (
        "Permanent",
        "General",
        Some("5.7.1"),
        Some(
            "smtp; 550 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.example/102322",
        ),
        None,
    ),
    // Domains
    (
        "Permanent",
        "General",
        Some("5.1.2"),
        Some("smtp; 550 5.1.2 Host unknown (Name server: example.invalid: host not found)"),
        Some("bad-domain"),
    ),
    (
        "Permanent",
        "General",
        None,
        Some("smtp; 556 5.1.10 Recipient address has null MX"),
        Some("bad-domain"),
    ),
    // The way, the message, nobody
    (
        "Transient",
        "General",
        Some("4.4.7"),
        Some(
            "smtp; 554 4.4.7 Message expired: unable to deliver in 840 minutes.<421 4.4.0 Unable to lookup DNS for example.com>",
        ),
        None,
    ),
    ("Transient", "CustomTimeoutExceeded", None, None, None),
    (
        "Transient",
        "MessageTooLarge",
        Some("5.3.4"),
        Some("smtp; 552 5.3.4 Message size exceeds fixed limit"),
        None,
    ),
    (
        "Transient",
        "ContentRejected",
        Some("5.6.0"),
        Some("smtp; 554 5.6.0 Message contains invalid content"),
        None,
    ),
    (
        "Transient",
        "AttachmentRejected",
        None,
        Some(
            "smtp; 552 5.7.0 This message was blocked because its content presents a potential security issue",
        ),
        None,
    ),
    ("Transient", "General", None, None, None),
    ("Transient", "General", Some("5.0.0"), Some("I am out of the office until Monday"), None),
    (
        "Transient",
        "General",
        Some("4.1.1"),
        Some(
            "smtp; 450 4.1.1 <jo@example.com>: Recipient address rejected: user unknown in local recipient table",
        ),
        None,
    ),
    ("Undetermined", "Undetermined", None, None, None),
    // SES's own words
    ("Permanent", "General", None, None, Some("permanent-unclassified")),
    ("Permanent", "NoEmail", None, None, Some("invalid-recipient")),
    (
        "Permanent",
        "Suppressed",
        Some("5.1.1"),
        Some(
            "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address.",
        ),
        None,
    ),
    (
        "Permanent",
        "OnAccountSuppressionList",
        Some("5.1.1"),
        Some(
            "Amazon SES did not send the message to this address because it is on the suppression list for your account.",
        ),
        None,
    ),
    ("Permanent", "OnTenantSuppressionList", None, None, None),
    ("Permanent", "EmailValidationSuppressed", None, None, None),
    ("Permanent", "UnsubscribedRecipient", None, None, None),
];

#[test]
fn one_bounce_of_each_kind_does_what_the_decision_table_says() {
    for (kind, subtype, status, diagnostic, expected) in CASES {
        let class = classify(&Evidence {
            bounce_type: Some(kind),
            bounce_subtype: Some(subtype),
            status: *status,
            diagnostic: *diagnostic,
        });
        let verdict = verdict(&facts(vec![bounce(class, kind, 1.0)], vec![]));
        let rules = rules(&verdict.decisions);
        let expected: Vec<&str> = expected.iter().copied().collect();
        assert_eq!(rules, expected, "{kind} {subtype} {status:?} {diagnostic:?} is {class}");
    }
}

#[test]
fn a_sender_fault_that_ses_calls_permanent_is_told_apart() {
    let sender = facts(vec![bounce(BounceClass::SpamBlock, "Permanent", 1.0)], vec![]);
    assert!(verdict(&sender).senders_fault.is_some());
    let both = facts(
        vec![
            bounce(BounceClass::SpamBlock, "Permanent", 1.0),
            bounce(BounceClass::InvalidRecipient, "Permanent", 2.0),
        ],
        vec![],
    );
    assert!(verdict(&both).senders_fault.is_none());
    assert_eq!(rules(&verdict(&both).decisions), ["invalid-recipient"]);
}
