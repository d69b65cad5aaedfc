//! Pinpoint's event stream: `_email.*` records with snake_case bodies, and the `_campaign.send` and
//! `_journey.send` records that announce a send. Field names follow the Pinpoint developer guide,
//! "Email events" and "Campaign events".

use super::dice::Derived;
use super::letter::{Letter, event_traits, particulars};
use super::reply::{acceptance, refusal};
use super::sender::{Flow, identity};
use super::ses::{bounce_label, feedback_agent, feedback_id, provider_of};
use super::text::{Pen, SECOND};
use super::traffic::{Message, Occurrence, Visitor, What};
use super::visit::visit;

const APPLICATION: &str = "3f2a9c0d81b64e57a0c1d2e3f4a5b6c7";

/// Writes events as Pinpoint does; keeps its room from event to event.
pub(super) struct PinpointDialect {
    seed: u64,
    text: String,
    ip: String,
    endpoint: Vec<u8>,
}

fn event_type(what: What, flow: Flow) -> &'static str {
    match what {
        What::Send => "_email.send",
        What::Delivery => "_email.delivered",
        What::Bounce(trouble) if bounce_label(trouble).0 == "Permanent" => "_email.hardbounce",
        // Pinpoint has no delays: none are planned for its messages.
        What::Bounce(_) | What::Delay { .. } => "_email.softbounce",
        What::Complaint(_) => "_email.complaint",
        What::Reject => "_email.rejected",
        What::RenderingFailure => "_email.rendering_failure",
        What::Open(_) => "_email.open",
        What::Click(..) => "_email.click",
        What::Subscription { .. } => "_email.unsubscribe",
        What::Decision if flow == Flow::Onboarding => "_journey.send",
        What::Decision => "_campaign.send",
    }
}

impl PinpointDialect {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, text: String::new(), ip: String::new(), endpoint: Vec::new() }
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
        let mut stable = Derived::new(self.seed, message.recipients[0], 6);
        let (high, low) = (stable.next(), stable.next());
        let mut pen = Pen::new(out, letter.ascii);
        pen.raw("{");
        pen.field("event_type", event_type(occurrence.what, message.flow));
        // The time of the send, on every event of the message.
        pen.raw(",\"event_timestamp\":");
        pen.number(message.sent);
        pen.raw(",\"arrival_timestamp\":");
        pen.number(occurrence.time);
        pen.raw(",\"event_version\":\"3.1\",\"application\":{\"app_id\":\"");
        pen.raw(APPLICATION);
        pen.raw("\",\"sdk\":{}},\"client\":{\"client_id\":\"");
        pen.uuid(high, low);
        pen.raw("\"},\"device\":{\"platform\":{}},\"session\":{},\"attributes\":{");
        attributes(&mut pen, letter, message, occurrence);
        pen.raw("},\"metrics\":{},\"client_context\":{\"custom\":{\"endpoint\":");
        self.endpoint(&mut pen, letter, message, high);
        pen.raw("}},\"awsAccountId\":\"");
        pen.raw(identity(message.market).account);
        pen.raw("\"");
        if occurrence.what != What::Decision {
            pen.raw(",\"facets\":{\"email_channel\":{\"mail_event\":{\"mail\":");
            mail(&mut pen, letter, message);
            pen.raw(",");
            self.happening(&mut pen, letter, message, occurrence, &mut traits);
            pen.raw("}}}");
        }
        pen.raw("}");
    }

    /// The endpoint is JSON inside a JSON string.
    fn endpoint(&mut self, pen: &mut Pen<'_>, letter: &Letter, message: &Message, user: u64) {
        self.endpoint.clear();
        let mut inner = Pen::new(&mut self.endpoint, letter.ascii);
        inner.raw("{\"ChannelType\":\"EMAIL\",\"EndpointStatus\":\"ACTIVE\",\"OptOut\":\"NONE\",");
        inner.field("Address", &letter.addresses[0]);
        inner.raw(",\"EffectiveDate\":");
        inner.instant(message.sent - 40 * 86_400_000);
        inner.raw(",\"User\":{\"UserId\":\"u-");
        inner.hex(user, 12);
        inner.raw("\"}}");
        // Written as text just above, hence UTF-8.
        pen.string(std::str::from_utf8(&self.endpoint).unwrap_or_default());
    }

    fn happening(
        &mut self,
        pen: &mut Pen<'_>,
        letter: &Letter,
        message: &Message,
        occurrence: &Occurrence,
        traits: &mut Derived,
    ) {
        let provider = provider_of(self.seed, message, occurrence);
        self.text.clear();
        match occurrence.what {
            What::Send | What::Decision | What::Delay { .. } => pen.raw("\"send\":{}"),
            What::Delivery => {
                acceptance(provider, traits, occurrence.time.div_euclid(SECOND), &mut self.text);
                pen.raw("\"delivery\":{");
                pen.field("smtp_response", &self.text);
                pen.raw(",\"reporting_mta\":\"a8-");
                pen.number(10 + traits.below(90) as i64);
                pen.raw(".smtp-out.amazonses.com\",\"recipients\":[");
                pen.string(&letter.addresses[0]);
                pen.raw("],\"processing_time_millis\":");
                pen.number(occurrence.time - message.sent);
                pen.raw("}");
            }
            What::Bounce(trouble) => {
                let (bounce_type, bounce_subtype) = bounce_label(trouble);
                pen.raw("\"bounce\":{");
                pen.field("bounce_type", bounce_type);
                pen.raw(",");
                pen.field("bounce_sub_type", bounce_subtype);
                pen.raw(",\"bounced_recipients\":[{");
                pen.field("email_address", &letter.addresses[0]);
                let address = &letter.addresses[0];
                let ip = &letter.outgoing_ip;
                let words = refusal(provider, trouble, address, ip, traits, &mut self.text);
                if !words.status.is_empty() {
                    pen.raw(",");
                    pen.field("action", words.action);
                    pen.raw(",");
                    pen.field("status", words.status);
                    pen.raw(",");
                    pen.field("diagnostic_code", &self.text);
                }
                pen.raw("}],\"feedback_id\":\"");
                feedback_id(pen, letter, occurrence, traits);
                pen.raw("\"}");
            }
            What::Complaint(kind) => {
                pen.raw("\"complaint\":{\"complained_recipients\":[{");
                pen.field("email_address", &letter.addresses[0]);
                pen.raw("}],\"feedback_id\":\"");
                feedback_id(pen, letter, occurrence, traits);
                pen.raw("\"");
                if !kind.is_empty() {
                    pen.raw(",");
                    pen.field("user_agent", feedback_agent(provider));
                    pen.raw(",");
                    pen.field("complaint_feedback_type", kind);
                }
                pen.raw("}");
            }
            What::Reject => pen.raw("\"reject\":{\"reason\":\"Bad content\"}"),
            What::RenderingFailure => {
                pen.raw("\"rendering_failure\":{\"error_message\":\"Attribute 'seat' is not present in the rendering data.\",");
                pen.field("template_name", message.flow.profile().template);
                pen.raw("}");
            }
            What::Open(visitor) => {
                let agent = visit(visitor, message.market, traits, &mut self.ip);
                pen.raw("\"open\":{");
                pen.field("ip_address", &self.ip);
                pen.raw(",");
                pen.field("user_agent", agent);
                pen.raw("}");
            }
            What::Click(visitor, link) => {
                self.click(pen, message, visitor, usize::from(link), traits);
            }
            What::Subscription { .. } => {
                let last = message.flow.profile().links.len().saturating_sub(1);
                self.click(pen, message, Visitor::Person, last, traits);
            }
        }
    }

    fn click(
        &mut self,
        pen: &mut Pen<'_>,
        message: &Message,
        visitor: Visitor,
        link: usize,
        traits: &mut Derived,
    ) {
        let agent = visit(visitor, message.market, traits, &mut self.ip);
        let parts = particulars(self.seed, message);
        parts.link(message.flow, message.market, link, &mut self.text);
        pen.raw("\"click\":{");
        pen.field("ip_address", &self.ip);
        pen.raw(",");
        pen.field("user_agent", agent);
        pen.raw(",");
        pen.field("link", &self.text);
        if self.text.contains("/unsubscribe") {
            pen.raw(",\"link_tags\":{\"unsubscribeLinkTag\":[\"optout\"]}");
        } else {
            pen.raw(",\"link_tags\":{}");
        }
        pen.raw("}");
    }
}

fn attributes(pen: &mut Pen<'_>, letter: &Letter, message: &Message, occurrence: &Occurrence) {
    let decided = occurrence.what == What::Decision;
    if message.flow == Flow::Onboarding {
        pen.raw("\"journey_id\":\"9d8c7b6a50414e3fb2a1908f7e6d5c4b\",\"journey_run_id\":\"0fe1d2c3b4a5968778695a4b3c2d1e0f\",\"journey_activity_id\":\"a1B2c3D4e5\"");
        if decided {
            pen.raw(",\"journey_activity_type\":\"EMAIL\",\"journey_send_status\":\"SUCCESS\"");
        } else {
            pen.raw(",\"feedback\":\"received\"");
        }
        return;
    }
    pen.field("campaign_id", &letter.campaign);
    pen.raw(",\"treatment_id\":\"0\",\"campaign_activity_id\":\"7c6b5a49382746159f8e7d6c5b4a3928\",\"campaign_type\":null");
    if decided {
        pen.raw(",\"campaign_send_status\":\"SUCCESS\",\"delivery_type\":\"EMAIL\"");
    }
}

fn mail(pen: &mut Pen<'_>, letter: &Letter, message: &Message) {
    pen.raw("{");
    pen.field("message_id", &letter.message_id);
    pen.raw(",\"message_send_timestamp\":");
    pen.number(message.sent);
    pen.raw(",");
    pen.field("from_address", &letter.from);
    pen.raw(",\"destination\":[");
    pen.string(&letter.addresses[0]);
    pen.raw("],\"headers_truncated\":false,\"headers\":[{\"name\":\"From\",\"value\":");
    pen.string(&letter.from_header);
    pen.raw("},{\"name\":\"To\",\"value\":");
    pen.string(&letter.mailboxes[0]);
    pen.raw("},{\"name\":\"Subject\",\"value\":");
    pen.string(&letter.subject_header);
    pen.raw("},{\"name\":\"MIME-Version\",\"value\":\"1.0\"}],\"common_headers\":{");
    // A string here, an array in SES.
    pen.field("from", &letter.from);
    pen.raw(",\"to\":[");
    pen.string(&letter.mailboxes[0]);
    pen.raw("],");
    pen.field("subject", &letter.subject);
    pen.raw(",");
    pen.field("date", &letter.date);
    pen.raw("}}");
}
