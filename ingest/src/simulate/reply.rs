//! The words of mail servers: acceptances, refusals, deferrals.
//!
//! Written after the forms that these providers are known to use, because bounce classification
//! lives on such wording: multi-line replies (`550-5.1.1 …\n550 5.1.1 …`), codes in brackets,
//! Microsoft's `(S3150)`, names of block lists.

use std::fmt::Write as _;

use super::dice::Derived;
use super::provider::{Provider, Trouble};

/// Writes the Delivery event's `smtpResponse`.
pub(super) fn acceptance(
    provider: Provider,
    traits: &mut Derived,
    seconds: i64,
    into: &mut String,
) {
    let token = traits.next();
    let short = token & 0xFFFF_FFFF;
    // Writing into a String cannot fail, here and below.
    let _ = match provider {
        Provider::Gmail => {
            write!(
                into,
                "250 2.0.0 OK  {seconds} {token:016x}-{short:08x}si{}qka.{} - gsmtp",
                short % 90_000_000,
                short % 1000
            )
        }
        Provider::Yahoo => write!(into, "250 ok dirdel"),
        Provider::Outlook | Provider::Corporate => write!(
            into,
            "250 2.6.0 <{token:016x}-{short:08x}-000000@eu-west-1.amazonses.com> [InternalId={}, Hostname=AM{}PR0{}MB{}.eurprd03.prod.outlook.com] {} bytes in 0.{:03}, {}.{:03} KB/sec Queued mail for delivery -> 250 2.1.5",
            token >> 20,
            token % 10,
            token % 7,
            short % 9000,
            21_000 + short % 40_000,
            short % 999,
            80 + short % 300,
            token % 999
        ),
        Provider::Icloud => write!(into, "250 2.0.0 Ok: queued as {:012X}", token >> 16),
        Provider::Gmx => write!(
            into,
            "250 Requested mail action okay, completed: id=1M{short:08x}-00{:06x}",
            token >> 40
        ),
        Provider::Docomo => write!(
            into,
            "250 2.0.0 {seconds}{:06} Message accepted for delivery",
            token % 1_000_000
        ),
        Provider::Au => write!(into, "250 ok:  Message {} accepted", token % 1_000_000_000),
        Provider::Softbank => write!(into, "250 2.0.0 {short:08X} Message accepted for delivery"),
        Provider::YahooJapan => write!(into, "250 ok {seconds} qp {}", token % 100_000),
        Provider::CorporateJapan | Provider::Typo | Provider::International => {
            write!(into, "250 2.0.0 Ok: queued as {:010X}", token >> 24)
        }
    };
}

/// What a bounce or delay says: the enhanced status code and the diagnostic text.
pub(super) struct Words {
    pub(super) status: &'static str,
    pub(super) action: &'static str,
}

/// Writes the diagnostic text of `trouble` at `provider` and returns its status code. `address` is
/// quoted where the provider quotes it, `ip` is the sender's.
pub(super) fn refusal(
    provider: Provider,
    trouble: Trouble,
    address: &str,
    ip: &str,
    traits: &mut Derived,
    into: &mut String,
) -> Words {
    let token = traits.next();
    let domain = address.rsplit('@').next().unwrap_or(address);
    let words = |status| Words { status, action: "failed" };
    let _ = match trouble {
        Trouble::UnknownUser => return unknown_user(provider, address, token, into),
        Trouble::Disabled => return disabled(provider, address, token, into),
        Trouble::MailboxFull => return mailbox_full(provider, address, token, into),
        Trouble::SpamBlock => return spam_block(provider, ip, token, into),
        Trouble::Policy => return policy(provider, token, into),
        Trouble::BadDomain if token.is_multiple_of(3) => {
            let _ = write!(
                into,
                "smtp; 556 5.1.10 <{address}>: Recipient address rejected: Domain {domain} does not accept mail (nullMX)"
            );
            return words("5.1.10");
        }
        Trouble::BadDomain => {
            let _ = write!(
                into,
                "smtp; 550 5.1.2 {domain}: Host unknown (Name server: host not found, NXDOMAIN)"
            );
            return words("5.1.2");
        }
        Trouble::BlockList => {
            let _ = write!(
                into,
                "smtp; 550 5.7.1 Service unavailable, Client host [{ip}] blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/{ip} (AS3130). [{token:016X}.prod.outlook.com]"
            );
            return words("5.7.1");
        }
        Trouble::RateLimited => {
            let _ = match provider {
                Provider::Gmail => write!(
                    into,
                    "smtp; 421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating\n421-4.7.28 from your SPF domain [mail.example.com]. To protect our users from spam, mail\n421-4.7.28 sent from your domain has been temporarily rate limited. gsmtp"
                ),
                _ => write!(
                    into,
                    "smtp; 421 4.7.28 Too many messages from {ip} within one hour; try again later [{:08x}]",
                    token & 0xFFFF_FFFF
                ),
            };
            return words("4.7.28");
        }
        Trouble::TooLarge => {
            let _ = write!(
                into,
                "smtp; 552 5.3.4 Message size exceeds fixed maximum message size (10485760)"
            );
            return words("5.3.4");
        }
        Trouble::Content => {
            let _ = write!(
                into,
                "smtp; 552 5.7.0 This message was blocked because its content presents a potential security issue. 552 5.7.0 Attachment type not allowed (.zip)"
            );
            return words("5.7.0");
        }
        Trouble::Expired => {
            let _ = write!(
                into,
                "smtp; 550 4.4.7 Message expired: unable to deliver in 840 minutes.<421 4.4.0 Unable to lookup DNS for {domain}>"
            );
            return words("4.4.7");
        }
        Trouble::SuppressedByAccount => write!(
            into,
            "Amazon SES did not send the message to this address because it is on the suppression list for your account. For more information about removing addresses from the suppression list, see the Amazon SES Developer Guide at https://docs.aws.amazon.com/ses/latest/DeveloperGuide/sending-email-suppression-list.html"
        ),
        Trouble::SuppressedGlobally => write!(
            into,
            "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address. For more information about how to remove an address from the suppression list, see the Amazon SES Developer Guide: http://docs.aws.amazon.com/ses/latest/DeveloperGuide/remove-from-suppressionlist.html "
        ),
        // Neither has a delivery report behind it: no words at all.
        Trouble::AutoReply | Trouble::Undetermined => Ok(()),
    };
    match trouble {
        Trouble::SuppressedByAccount | Trouble::SuppressedGlobally => words("5.1.1"),
        _ => Words { status: "", action: "" },
    }
}

fn unknown_user(provider: Provider, address: &str, token: u64, into: &mut String) -> Words {
    let mut status = "5.1.1";
    let _ = match provider {
        Provider::Gmail => write!(
            into,
            "smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking the recipient's email address for typos or\n550-5.1.1 unnecessary spaces. For more information, go to\n550 5.1.1  https://support.google.com/mail/?p=NoSuchUser {token:016x}si{}qka.{} - gsmtp",
            token % 90_000_000,
            token % 1000
        ),
        Provider::Yahoo => write!(
            into,
            "smtp; 554 delivery error: dd This user doesn't have a yahoo.com account ({address}) [0] - mta{}.mail.ne1.yahoo.com",
            4000 + token % 300
        ),
        Provider::Outlook => {
            status = "5.5.0";
            write!(
                into,
                "smtp; 550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [{token:016X}.eop-EUR03.prod.protection.outlook.com]"
            )
        }
        Provider::Icloud => write!(into, "smtp; 550 5.1.1 <{address}>: user does not exist"),
        Provider::Gmx => write!(
            into,
            "smtp; 550-Requested action not taken: mailbox unavailable\n550 invalid DNS MX or A/AAAA resource record or no such user: {address}"
        ),
        Provider::Docomo => write!(into, "smtp; 550 Unknown user {address}"),
        Provider::Au => write!(into, "smtp; 550 <{address}>: User unknown"),
        Provider::Softbank => write!(into, "smtp; 550 Invalid recipient: <{address}>"),
        Provider::YahooJapan => write!(
            into,
            "smtp; 553 VS10-RT Possible forgery or deactivated due to abuse or no such user here (#5.1.1) {}",
            token % 1000
        ),
        Provider::Corporate if token.is_multiple_of(2) => {
            status = "5.4.1";
            write!(
                into,
                "smtp; 550 5.4.1 Recipient address rejected: Access denied. [{:016X}.eurprd04.prod.outlook.com {:X}]",
                token,
                token >> 20
            )
        }
        Provider::Corporate
        | Provider::CorporateJapan
        | Provider::Typo
        | Provider::International => {
            write!(
                into,
                "smtp; 550 5.1.1 <{address}>: Recipient address rejected: User unknown in virtual mailbox table"
            )
        }
    };
    Words { status, action: "failed" }
}

fn disabled(provider: Provider, address: &str, token: u64, into: &mut String) -> Words {
    let mut status = "5.2.1";
    let _ = match provider {
        Provider::Gmail if token.is_multiple_of(3) => {
            status = "5.2.2";
            write!(
                into,
                "smtp; 552-5.2.2 The email account that you tried to reach is over quota and\n552-5.2.2 inactive. Please direct the recipient to\n552 5.2.2  https://support.google.com/mail/?p=OverQuotaPerm {token:016x}si{}qka.{} - gsmtp",
                token % 90_000_000,
                token % 1000
            )
        }
        Provider::Gmail => write!(
            into,
            "smtp; 550-5.2.1 The email account that you tried to reach is inactive. For more\n550-5.2.1 information, go to\n550 5.2.1  https://support.google.com/mail/?p=DisabledUser {token:016x}si{}qka.{} - gsmtp",
            token % 90_000_000,
            token % 1000
        ),
        Provider::Yahoo => write!(
            into,
            "smtp; 554 30 Sorry, your message to {address} cannot be delivered. This mailbox is disabled (554.30)."
        ),
        _ => write!(
            into,
            "smtp; 550 5.2.1 <{address}>: Recipient address rejected: this mailbox has been disabled"
        ),
    };
    Words { status, action: "failed" }
}

fn mailbox_full(provider: Provider, address: &str, token: u64, into: &mut String) -> Words {
    let mut status = "5.2.2";
    let _ = match provider {
        Provider::Gmail => {
            status = "4.2.2";
            write!(
                into,
                "smtp; 452-4.2.2 The recipient's inbox is out of storage space. Please direct the\n452-4.2.2 recipient to\n452 4.2.2  https://support.google.com/mail/?p=OverQuotaTemp {token:016x}si{}qka.{} - gsmtp",
                token % 90_000_000,
                token % 1000
            )
        }
        Provider::Icloud => write!(into, "smtp; 552 5.2.2 <{address}>: user is over quota"),
        Provider::Outlook | Provider::Corporate => write!(
            into,
            "smtp; 554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; Failed to process message due to a permanent exception [{:08x}]",
            token & 0xFFFF_FFFF
        ),
        _ => {
            status = "4.2.2";
            write!(into, "smtp; 452 4.2.2 <{address}>: Mailbox full, quota exceeded")
        }
    };
    Words { status, action: "failed" }
}

fn spam_block(provider: Provider, ip: &str, token: u64, into: &mut String) -> Words {
    let _ = match provider {
        Provider::Gmail => write!(
            into,
            "smtp; 550-5.7.1 [{ip}] Gmail has detected that this message is likely\n550-5.7.1 unsolicited mail. To reduce the amount of spam sent to Gmail, this\n550-5.7.1 message has been blocked. For more information, go to\n550 5.7.1  https://support.google.com/mail/?p=UnsolicitedMessageError {token:016x}si{}qka.{} - gsmtp",
            token % 90_000_000,
            token % 1000
        ),
        Provider::Outlook | Provider::Corporate => write!(
            into,
            "smtp; 550 5.7.1 Unfortunately, messages from [{ip}] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors. [{token:016X}.eop-EUR05.prod.protection.outlook.com]"
        ),
        Provider::Yahoo => write!(
            into,
            "smtp; 554 Message not allowed - [PH01] Email not accepted for policy reasons due to spam content. Please visit https://postmaster.yahooinc.com/error-codes"
        ),
        _ => write!(
            into,
            "smtp; 554 5.7.1 Message rejected because it was considered as spam ({:06x})",
            token & 0xFF_FFFF
        ),
    };
    Words { status: "5.7.1", action: "failed" }
}

fn policy(provider: Provider, token: u64, into: &mut String) -> Words {
    let (status, _) = match provider {
        Provider::Gmail => (
            "5.7.26",
            write!(
                into,
                "smtp; 550-5.7.26 Unauthenticated email from mail.example.com is not accepted due to\n550-5.7.26 domain's DMARC policy. Please contact the administrator of\n550-5.7.26 mail.example.com domain if this was a legitimate mail. To learn about the\n550 5.7.26 DMARC initiative, go to https://support.google.com/mail/?p=DmarcRejection {token:016x}si{}qka.{} - gsmtp",
                token % 90_000_000,
                token % 1000
            ),
        ),
        Provider::Outlook => (
            "5.7.515",
            write!(
                into,
                "smtp; 550 5.7.515 Access denied, sending domain MAIL.EXAMPLE.COM does not meet the required authentication level. [{token:016X}.eop-EUR02.prod.protection.outlook.com]"
            ),
        ),
        Provider::Yahoo => (
            "5.7.9",
            write!(
                into,
                "smtp; 554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes"
            ),
        ),
        _ => (
            "5.7.23",
            write!(into, "smtp; 550 5.7.23 SPF validation failed [{:08x}]", token & 0xFFFF_FFFF),
        ),
    };
    Words { status, action: "failed" }
}

/// Writes why delivery is being retried, and returns the status code and SES's delay type.
pub(super) fn deferral(
    provider: Provider,
    ip: &str,
    traits: &mut Derived,
    into: &mut String,
) -> (&'static str, &'static str) {
    let token = traits.next();
    match provider {
        Provider::Yahoo => {
            let _ = write!(
                into,
                "smtp; 421 4.7.0 [TSS04] Messages from {ip} temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes"
            );
            ("4.7.0", "TransientCommunicationFailure")
        }
        Provider::Outlook => {
            let _ = write!(
                into,
                "smtp; 451 4.7.650 The mail server [{ip}] has been temporarily rate limited due to IP reputation. (S775) [{token:016X}.eop-EUR03.prod.protection.outlook.com]"
            );
            ("4.7.650", "IPFailure")
        }
        Provider::Docomo | Provider::Au | Provider::Softbank => {
            let _ = write!(
                into,
                "smtp; 452 4.5.3 Too many recipients received this hour ({:05})",
                token % 100_000
            );
            ("4.5.3", "RecipientServerError")
        }
        Provider::Typo => {
            let _ = write!(into, "smtp; 421 4.4.0 Unable to lookup DNS");
            ("4.4.0", "TransientCommunicationFailure")
        }
        _ => {
            let _ = write!(
                into,
                "smtp; 450 4.2.0 Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/{:08x}.html",
                token & 0xFFFF_FFFF
            );
            ("4.2.0", "General")
        }
    }
}
