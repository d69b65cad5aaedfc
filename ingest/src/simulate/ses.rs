//! SES's two dialects: event publishing (`eventType`) and feedback notifications
//! (`notificationType`). Field names and presence follow the SES developer guide, "Contents of event
//! data in Amazon SES" and "Contents of Amazon SNS notifications for Amazon SES".

use super::dice::Derived;
use super::letter::{Letter, event_traits, particulars};
use super::population::Recipient;
use super::provider::{Provider, Trouble};
use super::reply::{acceptance, deferral, refusal};
use super::sender::{Service, identity};
use super::text::{Pen, SECOND};
use super::traffic::{Message, Occurrence, Visitor, What};
use super::visit::visit;

/// Writes events as SES does; keeps its room from event to event.
pub(super) struct SesDialect {
    seed: u64,
    /// From here on, SES says whether an open or click looks like a machine's (`isBotEvent`).
    labelled_from: i64,
    text: String,
    ip: String,
}

/// How SES files a bounce.
pub(super) const fn bounce_label(trouble: Trouble) -> (&'static str, &'static str) {
    match trouble {
        Trouble::UnknownUser | Trouble::BadDomain | Trouble::Disabled => ("Permanent", "General"),
        Trouble::MailboxFull => ("Transient", "MailboxFull"),
        Trouble::SpamBlock | Trouble::BlockList | Trouble::Policy => ("Transient", "General"),
        Trouble::RateLimited | Trouble::Expired | Trouble::AutoReply => ("Transient", "General"),
        Trouble::TooLarge => ("Transient", "MessageTooLarge"),
        Trouble::Content => ("Transient", "AttachmentRejected"),
        Trouble::SuppressedByAccount => ("Permanent", "OnAccountSuppressionList"),
        Trouble::SuppressedGlobally => ("Permanent", "Suppressed"),
        Trouble::Undetermined => ("Undetermined", "Undetermined"),
    }
}

const fn event_type(what: What) -> &'static str {
    match what {
        // Decisions are Pinpoint's alone.
        What::Send | What::Decision => "Send",
        What::Delivery => "Delivery",
        What::Delay { .. } => "DeliveryDelay",
        What::Bounce(_) => "Bounce",
        What::Complaint(_) => "Complaint",
        What::Reject => "Reject",
        What::RenderingFailure => "Rendering Failure",
        What::Open(_) => "Open",
        What::Click(..) => "Click",
        What::Subscription { .. } => "Subscription",
    }
}

impl SesDialect {
    pub(super) fn new(seed: u64, labelled_from: i64) -> Self {
        Self { seed, labelled_from, text: String::new(), ip: String::new() }
    }

    /// Appends one event without a line end. `letter` is that of `message`.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        letter: &Letter,
        message: &Message,
        occurrence: &Occurrence,
    ) {
        let mut traits = event_traits(self.seed, message, occurrence);
        let mut pen = Pen::new(out, letter.ascii);
        if message.service() == Service::SesFeedback {
            pen.raw("{\"notificationType\":\"");
            pen.raw(event_type(occurrence.what));
            pen.raw("\",");
            self.happening(&mut pen, letter, message, occurrence, &mut traits);
            pen.raw(",\"mail\":");
            mail(&mut pen, letter, message, occurrence);
            pen.raw("}");
            return;
        }
        pen.raw("{\"eventType\":\"");
        pen.raw(event_type(occurrence.what));
        pen.raw("\",\"mail\":");
        mail(&mut pen, letter, message, occurrence);
        pen.raw(",");
        self.happening(&mut pen, letter, message, occurrence, &mut traits);
        pen.raw("}");
    }

    fn happening(
        &mut self,
        pen: &mut Pen<'_>,
        letter: &Letter,
        message: &Message,
        occurrence: &Occurrence,
        traits: &mut Derived,
    ) {
        match occurrence.what {
            What::Send | What::Decision => pen.raw("\"send\":{}"),
            What::Delivery => self.delivery(pen, letter, message, occurrence, traits),
            What::Delay { expires } => {
                self.delay(pen, letter, message, occurrence, expires, traits);
            }
            What::Bounce(trouble) => {
                self.bounce(pen, letter, message, occurrence, trouble, traits);
            }
            What::Complaint(kind) => {
                let provider = provider_of(self.seed, message, occurrence);
                complaint(pen, letter, message, occurrence, provider, kind, traits);
            }
            What::Reject => pen.raw("\"reject\":{\"reason\":\"Bad content\"}"),
            What::RenderingFailure => {
                pen.raw("\"failure\":{\"errorMessage\":\"Attribute 'firstName' is not present in the rendering data.\",");
                pen.field("templateName", message.flow.profile().template);
                pen.raw("}");
            }
            What::Open(visitor) => self.visit(pen, message, occurrence, visitor, None, traits),
            What::Click(visitor, link) => {
                self.visit(pen, message, occurrence, visitor, Some(link), traits);
            }
            What::Subscription { leaves } => subscription(pen, occurrence, leaves),
        }
    }

    fn delivery(
        &mut self,
        pen: &mut Pen<'_>,
        letter: &Letter,
        message: &Message,
        occurrence: &Occurrence,
        traits: &mut Derived,
    ) {
        let provider = provider_of(self.seed, message, occurrence);
        self.text.clear();
        acceptance(provider, traits, occurrence.time.div_euclid(SECOND), &mut self.text);
        pen.raw("\"delivery\":{\"timestamp\":");
        pen.instant(occurrence.time);
        pen.raw(",\"processingTimeMillis\":");
        pen.number(occurrence.time - message.sent);
        pen.raw(",\"recipients\":");
        addresses(pen, letter, message, occurrence);
        pen.raw(",");
        pen.field("smtpResponse", &self.text);
        pen.raw(",\"remoteMtaIp\":\"");
        remote_ip(pen, provider, traits);
        pen.raw("\",\"reportingMTA\":\"");
        reporting_host(pen, message, traits);
        pen.raw("\"}");
    }

    fn delay(
        &mut self,
        pen: &mut Pen<'_>,
        letter: &Letter,
        message: &Message,
        occurrence: &Occurrence,
        expires: i64,
        traits: &mut Derived,
    ) {
        let provider = provider_of(self.seed, message, occurrence);
        self.text.clear();
        let (status, delay_type) = deferral(provider, &letter.outgoing_ip, traits, &mut self.text);
        pen.raw("\"deliveryDelay\":{\"timestamp\":");
        pen.instant(occurrence.time);
        pen.raw(",");
        pen.field("delayType", delay_type);
        pen.raw(",\"expirationTime\":");
        pen.instant(expires);
        pen.raw(",\"delayedRecipients\":[");
        for (number, address) in chosen(letter, message, occurrence).enumerate() {
            pen.raw(if number > 0 { ",{" } else { "{" });
            pen.field("emailAddress", address);
            pen.raw(",");
            pen.field("status", status);
            pen.raw(",");
            pen.field("diagnosticCode", &self.text);
            pen.raw("}");
        }
        pen.raw("],\"reportingMTA\":\"");
        reporting_host(pen, message, traits);
        pen.raw("\"}");
    }

    fn bounce(
        &mut self,
        pen: &mut Pen<'_>,
        letter: &Letter,
        message: &Message,
        occurrence: &Occurrence,
        trouble: Trouble,
        traits: &mut Derived,
    ) {
        let provider = provider_of(self.seed, message, occurrence);
        let (bounce_type, bounce_subtype) = bounce_label(trouble);
        pen.raw("\"bounce\":{\"feedbackId\":\"");
        feedback_id(pen, letter, occurrence, traits);
        pen.raw("\",");
        pen.field("bounceType", bounce_type);
        pen.raw(",");
        pen.field("bounceSubType", bounce_subtype);
        pen.raw(",\"bouncedRecipients\":[");
        for (number, address) in chosen(letter, message, occurrence).enumerate() {
            pen.raw(if number > 0 { ",{" } else { "{" });
            // The bounced address is the Final-Recipient of the report; many servers lower its case.
            if provider != Provider::Outlook
                && address.bytes().any(|byte| byte.is_ascii_uppercase())
            {
                pen.field("emailAddress", &address.to_ascii_lowercase());
            } else {
                pen.field("emailAddress", address);
            }
            self.text.clear();
            let words =
                refusal(provider, trouble, address, &letter.outgoing_ip, traits, &mut self.text);
            if !words.status.is_empty() {
                pen.raw(",");
                pen.field("action", words.action);
                pen.raw(",");
                pen.field("status", words.status);
                pen.raw(",");
                pen.field("diagnosticCode", &self.text);
            }
            pen.raw("}");
        }
        pen.raw("],\"timestamp\":");
        // Feedback notifications know the time of a bounce to the second only.
        let to_the_second = message.service() == Service::SesFeedback;
        let time = occurrence.time;
        pen.instant(if to_the_second { time - time.rem_euclid(SECOND) } else { time });
        match trouble {
            Trouble::SuppressedByAccount | Trouble::SuppressedGlobally => {
                pen.raw(",\"reportingMTA\":\"dns; amazonses.com\"}");
            }
            Trouble::AutoReply | Trouble::Undetermined => pen.raw("}"),
            _ => {
                pen.raw(",\"remoteMtaIp\":\"");
                remote_ip(pen, provider, traits);
                pen.raw("\",\"reportingMTA\":\"dns; ");
                reporting_host(pen, message, traits);
                pen.raw("\"}");
            }
        }
    }

    fn visit(
        &mut self,
        pen: &mut Pen<'_>,
        message: &Message,
        occurrence: &Occurrence,
        visitor: Visitor,
        link: Option<u8>,
        traits: &mut Derived,
    ) {
        let agent = visit(visitor, message.market, traits, &mut self.ip);
        pen.raw(if link.is_some() { "\"click\":{" } else { "\"open\":{" });
        pen.field("ipAddress", &self.ip);
        if let Some(link) = link {
            self.text.clear();
            particulars(self.seed, message).link(
                message.flow,
                message.market,
                usize::from(link),
                &mut self.text,
            );
            pen.raw(",");
            pen.field("link", &self.text);
            if message.flow.profile().marketing && link == 0 {
                pen.raw(",\"linkTags\":{\"area\":[\"hero\"],\"position\":[\"1\"]}");
            } else {
                pen.raw(",\"linkTags\":null");
            }
        }
        pen.raw(",\"timestamp\":");
        pen.instant(occurrence.time);
        pen.raw(",");
        pen.field("userAgent", agent);
        if occurrence.time >= self.labelled_from {
            let machine = matches!(visitor, Visitor::Scanner | Visitor::Prefetch);
            pen.raw(",\"isBotEvent\":\"");
            pen.raw(if machine { "Likely\"" } else { "Unlikely\"" });
        }
        pen.raw("}");
    }
}

/// The `mail` object. Tags belong to event publishing alone; Open and Click lack `sourceArn`;
/// DeliveryDelay comes without headers.
fn mail(pen: &mut Pen<'_>, letter: &Letter, message: &Message, occurrence: &Occurrence) {
    let sender = identity(message.market);
    let feedback = message.service() == Service::SesFeedback;
    let visited = matches!(occurrence.what, What::Open(_) | What::Click(..));
    pen.raw("{\"timestamp\":");
    pen.instant(message.sent);
    pen.raw(",");
    let raw = message.flow.profile().operation == "SendRawEmail";
    pen.field("source", if raw { &letter.from_header } else { &letter.from_address });
    if !visited {
        pen.raw(",\"sourceArn\":\"arn:aws:ses:");
        pen.raw(sender.region);
        pen.raw(":");
        pen.raw(sender.account);
        pen.raw(":identity/");
        pen.raw(sender.domain);
        pen.raw("\"");
    }
    if feedback {
        pen.raw(",");
        pen.field("sourceIp", letter.source_ip);
        pen.raw(",");
        pen.field("callerIdentity", letter.caller);
    }
    pen.raw(",");
    pen.field("sendingAccountId", sender.account);
    pen.raw(",");
    pen.field("messageId", &letter.message_id);
    pen.raw(",\"destination\":");
    strings(pen, letter.addresses.iter());
    if !matches!(occurrence.what, What::Delay { .. }) {
        pen.raw(",\"headersTruncated\":false,\"headers\":[");
        headers(pen, letter, message);
        pen.raw("],\"commonHeaders\":{\"from\":[");
        pen.string(&letter.from);
        pen.raw("],");
        pen.field("date", &letter.date);
        pen.raw(",\"to\":");
        strings(pen, letter.mailboxes.iter().take(1));
        if message.count > 1 {
            pen.raw(",\"cc\":");
            strings(pen, letter.mailboxes.iter().skip(1));
        }
        pen.raw(",");
        pen.field("messageId", if raw { &letter.header_id } else { &letter.message_id });
        pen.raw(",");
        pen.field("subject", &letter.subject);
        pen.raw("}");
    }
    if !feedback {
        tags(pen, letter, message, occurrence);
    }
    pen.raw("}");
}

fn headers(pen: &mut Pen<'_>, letter: &Letter, message: &Message) {
    let sender = identity(message.market);
    let profile = message.flow.profile();
    header(pen, true, "From", &letter.from_header);
    for (place, mailbox) in letter.mailboxes.iter().enumerate() {
        header(pen, false, if place == 0 { "To" } else { "Cc" }, mailbox);
    }
    header(pen, false, "Subject", &letter.subject_header);
    header(pen, false, "MIME-Version", "1.0");
    pen.raw(",{\"name\":\"Content-Type\",\"value\":\"multipart/alternative;  boundary=\\\"");
    pen.escaped(&letter.boundary);
    pen.raw("\\\"\"}");
    if profile.marketing {
        pen.raw(",{\"name\":\"List-Unsubscribe\",\"value\":\"<");
        pen.raw(sender.site);
        pen.raw("/unsubscribe?m=");
        pen.escaped(&letter.message_id);
        pen.raw(">\"}");
        header(pen, false, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    }
    // What the customer's own program wrote; for the other operations SES adds its headers later.
    if profile.operation == "SendRawEmail" {
        header(pen, false, "Date", &letter.date);
        header(pen, false, "Message-ID", &letter.header_id);
        header(pen, false, "X-Mailer", "Example Travel Mailer 4.2");
        header(pen, false, "X-SES-CONFIGURATION-SET", profile.configuration_set);
    }
}

fn header(pen: &mut Pen<'_>, first: bool, name: &str, value: &str) {
    pen.raw(if first { "{\"name\":\"" } else { ",{\"name\":\"" });
    pen.raw(name);
    pen.raw("\",\"value\":");
    pen.string(value);
    pen.raw("}");
}

fn tags(pen: &mut Pen<'_>, letter: &Letter, message: &Message, occurrence: &Occurrence) {
    let sender = identity(message.market);
    let profile = message.flow.profile();
    pen.raw(",\"tags\":{");
    tag(pen, true, "ses:operation", profile.operation);
    tag(pen, false, "ses:configuration-set", profile.configuration_set);
    tag(pen, false, "ses:source-ip", letter.source_ip);
    tag(pen, false, "ses:from-domain", sender.domain);
    tag(pen, false, "ses:caller-identity", letter.caller);
    tag(pen, false, "flow", profile.name);
    tag(pen, false, "template", profile.template);
    if !letter.campaign.is_empty() {
        tag(pen, false, "campaign", &letter.campaign);
    }
    if let Some(tenant) = letter.tenant
        && matches!(occurrence.what, What::Bounce(_) | What::Complaint(_))
    {
        tag(pen, false, "ses:tenant-name", tenant);
    }
    if occurrence.what == What::Delivery {
        tag(pen, false, "ses:outgoing-ip", &letter.outgoing_ip);
        tag(pen, false, "ses:outgoing-tls-version", "TLSv1.3");
    }
    pen.raw("}");
}

fn tag(pen: &mut Pen<'_>, first: bool, name: &str, value: &str) {
    if !first {
        pen.raw(",");
    }
    pen.name(name);
    pen.raw("[");
    pen.string(value);
    pen.raw("]");
}

/// Who complained is redacted by most providers: every recipient at the domain is named.
fn complaint(
    pen: &mut Pen<'_>,
    letter: &Letter,
    message: &Message,
    occurrence: &Occurrence,
    provider: Provider,
    kind: &str,
    traits: &mut Derived,
) {
    pen.raw("\"complaint\":{\"feedbackId\":\"");
    feedback_id(pen, letter, occurrence, traits);
    pen.raw("\",");
    if message.service() == Service::SesEvents {
        pen.raw("\"complaintSubType\":null,");
    }
    pen.raw("\"complainedRecipients\":[");
    for (number, address) in chosen(letter, message, occurrence).enumerate() {
        pen.raw(if number > 0 { ",{" } else { "{" });
        pen.field("emailAddress", address);
        pen.raw("}");
    }
    pen.raw("],\"timestamp\":");
    pen.instant(occurrence.time);
    // Without a report in the Abuse Reporting Format nothing more is known.
    if !kind.is_empty() {
        pen.raw(",");
        pen.field("userAgent", feedback_agent(provider));
        pen.raw(",");
        pen.field("complaintFeedbackType", kind);
        pen.raw(",\"arrivalDate\":");
        pen.instant(occurrence.time - traits.below(90_000) as i64);
    }
    pen.raw("}");
}

/// User agent of the feedback report.
pub(super) const fn feedback_agent(provider: Provider) -> &'static str {
    match provider {
        Provider::Outlook => "Outlook JMRP/1.0",
        Provider::Icloud => "iCloud Mail Feedback/1.2",
        _ => "Yahoo!-Mail-Feedback/2.0",
    }
}

fn subscription(pen: &mut Pen<'_>, occurrence: &Occurrence, leaves: bool) {
    let preferences = |pen: &mut Pen<'_>, out: bool| {
        pen.raw(if out {
            "{\"unsubscribeAll\":true,\"topicSubscriptionStatus\":[{\"topicName\":\"newsletter\",\"subscriptionStatus\":\"OptOut\"},{\"topicName\":\"offers\",\"subscriptionStatus\":\"OptOut\"}]}"
        } else {
            "{\"unsubscribeAll\":false,\"topicSubscriptionStatus\":[{\"topicName\":\"newsletter\",\"subscriptionStatus\":\"OptIn\"},{\"topicName\":\"offers\",\"subscriptionStatus\":\"OptOut\"}]}"
        });
    };
    pen.raw("\"subscription\":{\"contactList\":\"ExampleTravel\",\"timestamp\":");
    pen.instant(occurrence.time);
    pen.raw(",\"source\":\"UnsubscribeHeader\",\"newTopicPreferences\":");
    preferences(pen, leaves);
    pen.raw(",\"oldTopicPreferences\":");
    preferences(pen, !leaves);
    pen.raw("}");
}

fn strings<'a>(pen: &mut Pen<'_>, texts: impl Iterator<Item = &'a String>) {
    pen.raw("[");
    for (number, text) in texts.enumerate() {
        if number > 0 {
            pen.raw(",");
        }
        pen.string(text);
    }
    pen.raw("]");
}

/// Addresses of the destinations that an occurrence concerns.
pub(super) fn chosen<'a>(
    letter: &'a Letter,
    message: &Message,
    occurrence: &Occurrence,
) -> impl Iterator<Item = &'a String> {
    let (who, count) = (occurrence.who, usize::from(message.count));
    let concerned = move |place: &usize| who & (1 << place) != 0;
    (0..count).filter(concerned).map(|place| &letter.addresses[place])
}

fn addresses(pen: &mut Pen<'_>, letter: &Letter, message: &Message, occurrence: &Occurrence) {
    strings(pen, chosen(letter, message, occurrence));
}

/// Provider of the first destination concerned; the others are at the same domain.
pub(super) fn provider_of(seed: u64, message: &Message, occurrence: &Occurrence) -> Provider {
    let first = message.chosen(occurrence.who).next().unwrap_or(message.recipients[0]);
    Recipient::of(seed, first).provider
}

fn remote_ip(pen: &mut Pen<'_>, provider: Provider, traits: &mut Derived) {
    pen.raw(provider.profile().network);
    pen.raw(".");
    pen.number(10 + traits.below(200) as i64);
}

fn reporting_host(pen: &mut Pen<'_>, message: &Message, traits: &mut Derived) {
    pen.raw("a");
    pen.number(4 + traits.below(60) as i64);
    pen.raw("-");
    pen.number(1 + traits.below(200) as i64);
    pen.raw(".smtp-out.");
    pen.raw(identity(message.market).region);
    pen.raw(".amazonses.com");
}

/// Unique per bounce or complaint.
pub(super) fn feedback_id(
    pen: &mut Pen<'_>,
    letter: &Letter,
    occurrence: &Occurrence,
    traits: &mut Derived,
) {
    pen.raw(&letter.message_id[..4]);
    pen.hex(occurrence.time.unsigned_abs(), 12);
    pen.raw("-");
    let (high, low) = (traits.next(), traits.next());
    pen.uuid(high, low);
    pen.raw("-000000");
}
