//! The envelopes that events travel in, and the control messages of the topics on the way.
//!
//! Signatures, certificates and digests are made up: they have the right form, nothing verifies.

use super::dice::Dice;
use super::provider::Market;
use super::sender::{Service, identity};
use super::text::{Pen, put_base64, put_escaped, put_instant, put_second};
use super::traffic::{Message, Occurrence, What};

/// How one document is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As the service wrote it.
    Bare,
    EventBridge,
    /// As SNS hands it to Firehose: one line, no signature.
    SnsLine,
    /// As SNS posts it over HTTP: spread over lines, signed.
    SnsPost,
    /// Batches: an object or array that holds several documents.
    SnsLambda,
    SqsLambda,
    SqsMessages,
    KinesisLambda,
    FirehoseTransform,
    FirehoseHttp,
    Array,
}

impl Shape {
    /// Whether several documents share one outer document.
    pub(super) const fn is_batch(self) -> bool {
        matches!(
            self,
            Self::SnsLambda
                | Self::SqsLambda
                | Self::SqsMessages
                | Self::KinesisLambda
                | Self::FirehoseTransform
                | Self::FirehoseHttp
                | Self::Array
        )
    }

    /// Most documents that one batch holds, after the services' defaults.
    pub(super) const fn batch_limit(self) -> u64 {
        match self {
            Self::SnsLambda => 1,
            Self::SqsLambda | Self::SqsMessages => 10,
            _ => 100,
        }
    }

    /// What this becomes for a document of `service`: EventBridge knows event publishing alone,
    /// and Pinpoint does not publish to topics.
    pub(super) const fn for_service(self, service: Service) -> Self {
        match (self, service) {
            (Self::EventBridge, Service::SesFeedback | Service::Pinpoint)
            | (
                Self::SnsLine
                | Self::SnsPost
                | Self::SnsLambda
                | Self::SqsLambda
                | Self::SqsMessages,
                Service::Pinpoint,
            ) => Self::Bare,
            _ => self,
        }
    }
}

/// Begins a batch.
pub(super) fn open_batch(out: &mut Vec<u8>, shape: Shape, at: i64, dice: &mut Dice) {
    let mut pen = Pen::new(out, true);
    match shape {
        Shape::Array => pen.raw("["),
        Shape::FirehoseTransform => {
            pen.raw("{\"invocationId\":\"");
            uuid(&mut pen, dice);
            pen.raw("\",\"deliveryStreamArn\":\"arn:aws:firehose:eu-west-1:111122223333:deliverystream/email-feedback\",\"region\":\"eu-west-1\",\"records\":[");
        }
        Shape::FirehoseHttp => {
            pen.raw("{\"requestId\":\"");
            uuid(&mut pen, dice);
            pen.raw("\",\"timestamp\":");
            pen.number(at);
            pen.raw(",\"records\":[");
        }
        Shape::SqsMessages => pen.raw("{\"Messages\":["),
        _ => pen.raw("{\"Records\":["),
    }
}

/// Ends a batch.
pub(super) fn close_batch(out: &mut Vec<u8>, shape: Shape) {
    out.extend_from_slice(if shape == Shape::Array { b"]" } else { b"]}" });
}

/// Wraps documents; keeps its room from document to document.
#[derive(Default)]
pub(super) struct Wrapper {
    inner: Vec<u8>,
}

impl Wrapper {
    /// Appends `body` in an envelope of `shape`. Batches must be open.
    pub(super) fn wrap(
        &mut self,
        out: &mut Vec<u8>,
        shape: Shape,
        body: &[u8],
        message: &Message,
        occurrence: &Occurrence,
        dice: &mut Dice,
    ) {
        let market = message.market;
        let at = occurrence.arrival;
        // Event publishing ends the Message of a notification with a line feed.
        let feed = message.service() == Service::SesEvents;
        match shape {
            Shape::Bare | Shape::Array => out.extend_from_slice(body),
            Shape::EventBridge => event_bridge(out, body, message, occurrence, dice),
            Shape::SnsLine => notification(out, body, feed, market, at, Form::Line, dice),
            Shape::SnsPost => notification(out, body, feed, market, at, Form::Post, dice),
            Shape::SnsLambda => {
                out.extend_from_slice(b"{\"EventSource\":\"aws:sns\",\"EventVersion\":\"1.0\",\"EventSubscriptionArn\":\"arn:aws:sns:eu-west-1:111122223333:ses-events:5be4a1c8-7a0f-4a39-9f0f-0a1b2c3d4e5f\",\"Sns\":");
                notification(out, body, feed, market, at, Form::Lambda, dice);
                out.push(b'}');
            }
            Shape::SqsLambda => self.sqs(out, body, feed, market, at, dice),
            Shape::SqsMessages => self.sqs_message(out, body, feed, market, at, dice),
            Shape::FirehoseHttp => {
                out.extend_from_slice(b"{\"data\":\"");
                put_base64(out, body);
                out.extend_from_slice(b"\"}");
            }
            Shape::KinesisLambda => self.kinesis(out, body, message, occurrence, dice),
            Shape::FirehoseTransform => self.firehose(out, body, at, dice),
        }
    }

    fn sqs(
        &mut self,
        out: &mut Vec<u8>,
        body: &[u8],
        feed: bool,
        market: Market,
        at: i64,
        dice: &mut Dice,
    ) {
        self.inner.clear();
        notification(&mut self.inner, body, feed, market, at, Form::Post, dice);
        let mut pen = Pen::new(out, true);
        pen.raw("{\"messageId\":\"");
        uuid(&mut pen, dice);
        pen.raw("\",\"receiptHandle\":\"AQEB");
        pen.hex(dice.below(u64::MAX), 16);
        pen.hex(dice.below(u64::MAX), 16);
        pen.raw("==\",\"body\":\"");
        put_escaped(out, &self.inner);
        let mut pen = Pen::new(out, true);
        pen.raw("\",\"attributes\":{\"ApproximateReceiveCount\":\"1\",\"SentTimestamp\":\"");
        pen.number(at);
        pen.raw(
            "\",\"SenderId\":\"AIDAIENQZJOLO23YVJ4VO\",\"ApproximateFirstReceiveTimestamp\":\"",
        );
        pen.number(at + 40);
        pen.raw("\"},\"messageAttributes\":{},\"md5OfBody\":\"");
        pen.hex(dice.below(u64::MAX), 16);
        pen.hex(dice.below(u64::MAX), 16);
        pen.raw("\",\"eventSource\":\"aws:sqs\",\"eventSourceARN\":\"arn:aws:sqs:eu-west-1:111122223333:email-feedback\",\"awsRegion\":\"eu-west-1\"}");
    }

    fn sqs_message(
        &mut self,
        out: &mut Vec<u8>,
        body: &[u8],
        feed: bool,
        market: Market,
        at: i64,
        dice: &mut Dice,
    ) {
        self.inner.clear();
        notification(&mut self.inner, body, feed, market, at, Form::Post, dice);
        let mut pen = Pen::new(out, true);
        pen.raw("{\"MessageId\":\"");
        uuid(&mut pen, dice);
        pen.raw("\",\"ReceiptHandle\":\"AQEB");
        pen.hex(dice.below(u64::MAX), 16);
        pen.raw("==\",\"MD5OfBody\":\"");
        pen.hex(dice.below(u64::MAX), 16);
        pen.hex(dice.below(u64::MAX), 16);
        pen.raw("\",\"Body\":\"");
        put_escaped(out, &self.inner);
        out.extend_from_slice(b"\"}");
    }

    /// A stream that EventBridge, topics and Pinpoint share.
    fn kinesis(
        &mut self,
        out: &mut Vec<u8>,
        body: &[u8],
        message: &Message,
        occurrence: &Occurrence,
        dice: &mut Dice,
    ) {
        let at = occurrence.arrival;
        self.inner.clear();
        match message.service() {
            Service::SesEvents => event_bridge(&mut self.inner, body, message, occurrence, dice),
            Service::SesFeedback => {
                notification(&mut self.inner, body, false, message.market, at, Form::Line, dice);
            }
            Service::Pinpoint => {
                self.inner.extend_from_slice(body);
                self.inner.push(b'\n');
            }
        }
        let shard = dice.below(4) as i64;
        // Sequence numbers are longer than 64 bits; the front part is the same for years.
        let sequence = at * 1_000 + dice.below(1_000) as i64;
        let mut pen = Pen::new(out, true);
        pen.raw("{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"");
        uuid(&mut pen, dice);
        pen.raw("\",\"sequenceNumber\":\"4966");
        pen.number(5_000_000_000_000_000_000 + shard);
        pen.number(sequence);
        pen.raw("\",\"data\":\"");
        put_base64(out, &self.inner);
        let mut pen = Pen::new(out, true);
        pen.raw("\",\"approximateArrivalTimestamp\":");
        pen.number(at.div_euclid(1_000));
        pen.raw(".");
        pen.number(100 + at.rem_euclid(900));
        pen.raw("},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\"shardId-00000000000");
        pen.number(shard);
        pen.raw(":4966");
        pen.number(5_000_000_000_000_000_000 + shard);
        pen.number(sequence);
        pen.raw("\",\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::111122223333:role/feedback-reader\",\"awsRegion\":\"eu-west-1\",\"eventSourceARN\":\"arn:aws:kinesis:eu-west-1:111122223333:stream/email-feedback\"}");
    }

    fn firehose(&mut self, out: &mut Vec<u8>, body: &[u8], at: i64, dice: &mut Dice) {
        self.inner.clear();
        self.inner.extend_from_slice(body);
        self.inner.push(b'\n');
        let mut pen = Pen::new(out, true);
        pen.raw("{\"recordId\":\"4966");
        pen.number(at * 1_000 + dice.below(1_000) as i64);
        pen.raw("000000\",\"approximateArrivalTimestamp\":");
        pen.number(at);
        pen.raw(",\"data\":\"");
        put_base64(out, &self.inner);
        out.extend_from_slice(b"\"}");
    }
}

fn event_bridge(
    out: &mut Vec<u8>,
    body: &[u8],
    message: &Message,
    occurrence: &Occurrence,
    dice: &mut Dice,
) {
    let sender = identity(message.market);
    let mut pen = Pen::new(out, true);
    pen.raw("{\"version\":\"0\",\"id\":\"");
    uuid(&mut pen, dice);
    pen.raw("\",\"detail-type\":\"");
    pen.raw(detail_type(occurrence.what));
    pen.raw("\",\"source\":\"aws.ses\",\"account\":\"");
    pen.raw(sender.account);
    pen.raw("\",\"time\":\"");
    put_second(out, occurrence.time);
    let mut pen = Pen::new(out, true);
    pen.raw("\",\"region\":\"");
    pen.raw(sender.region);
    pen.raw("\",\"resources\":[\"arn:aws:ses:");
    pen.raw(sender.region);
    pen.raw(":");
    pen.raw(sender.account);
    pen.raw(":configuration-set/");
    pen.raw(message.flow.profile().configuration_set);
    pen.raw("\"],\"detail\":");
    out.extend_from_slice(body);
    out.push(b'}');
}

const fn detail_type(what: What) -> &'static str {
    match what {
        What::Send | What::Decision => "Email Sent",
        What::Delivery => "Email Delivered",
        What::Delay { .. } => "Email Delivery Delayed",
        What::Bounce(_) => "Email Bounced",
        What::Complaint(_) => "Email Complaint Received",
        What::Reject => "Email Rejected",
        What::RenderingFailure => "Email Rendering Failed",
        What::Open(_) => "Email Opened",
        What::Click(..) => "Email Clicked",
        What::Subscription { .. } => "Email Subscribed",
    }
}

/// The spellings of one SNS notification.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Line,
    Post,
    Lambda,
}

fn notification(
    out: &mut Vec<u8>,
    body: &[u8],
    feed: bool,
    market: Market,
    at: i64,
    form: Form,
    dice: &mut Dice,
) {
    let post = form == Form::Post;
    let key = |out: &mut Vec<u8>, first: bool, name: &str| {
        let mut pen = Pen::new(out, true);
        if !first {
            pen.raw(if post { ",\n" } else { "," });
        }
        pen.raw(if post { "  \"" } else { "\"" });
        pen.raw(name);
        pen.raw(if post { "\" : " } else { "\":" });
    };
    out.extend_from_slice(if post { b"{\n" } else { b"{" });
    key(out, true, "Type");
    out.extend_from_slice(b"\"Notification\"");
    key(out, false, "MessageId");
    out.push(b'"');
    uuid(&mut Pen::new(out, true), dice);
    out.push(b'"');
    key(out, false, "TopicArn");
    topic(&mut Pen::new(out, true), market);
    if feed {
        key(out, false, "Subject");
        out.extend_from_slice(b"\"Amazon SES Email Event Notification\"");
    } else if form == Form::Lambda {
        key(out, false, "Subject");
        out.extend_from_slice(b"null");
    }
    key(out, false, "Message");
    out.push(b'"');
    put_escaped(out, body);
    out.extend_from_slice(if feed { b"\\n\"" } else { b"\"" });
    key(out, false, "Timestamp");
    out.push(b'"');
    put_instant(out, at);
    out.push(b'"');
    if form != Form::Line {
        let lambda = form == Form::Lambda;
        key(out, false, "SignatureVersion");
        out.extend_from_slice(b"\"1\"");
        key(out, false, "Signature");
        let mut pen = Pen::new(out, true);
        pen.raw("\"");
        for _ in 0..5 {
            pen.hex(dice.below(u64::MAX), 16);
        }
        pen.raw("==\"");
        key(out, false, if lambda { "SigningCertUrl" } else { "SigningCertURL" });
        out.extend_from_slice(b"\"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem\"");
        key(out, false, if lambda { "UnsubscribeUrl" } else { "UnsubscribeURL" });
        out.extend_from_slice(b"\"https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:eu-west-1:111122223333:ses-events:5be4a1c8-7a0f-4a39-9f0f-0a1b2c3d4e5f\"");
        if lambda {
            key(out, false, "MessageAttributes");
            out.extend_from_slice(b"{}");
        }
    }
    out.extend_from_slice(if post { b"\n}" } else { b"}" });
}

fn topic(pen: &mut Pen<'_>, market: Market) {
    let sender = identity(market);
    pen.raw("\"arn:aws:sns:");
    pen.raw(sender.region);
    pen.raw(":");
    pen.raw(sender.account);
    pen.raw(":ses-events\"");
}

fn uuid(pen: &mut Pen<'_>, dice: &mut Dice) {
    let (high, low) = (dice.below(u64::MAX), dice.below(u64::MAX));
    pen.uuid(high, low);
}

/// Kinds of control messages: documents that are understood and carry no event.
pub(super) const CONTROLS: u64 = 4;

/// Writes the `which`-th kind of control message at the time `at`, without a line end.
pub(super) fn control(out: &mut Vec<u8>, which: u64, at: i64, dice: &mut Dice) {
    let market = if dice.chance(500_000) { Market::Japan } else { Market::West };
    match which {
        0 => confirmation(out, "SubscriptionConfirmation", market, at, dice),
        1 => {
            let text = b"Successfully validated SNS topic for Amazon SES event publishing.";
            notification(out, text, false, market, at, Form::Line, dice);
        }
        2 => {
            let text = b"{\"notificationType\":\"AmazonSnsSubscriptionSucceeded\",\"message\":\"You have successfully subscribed your Amazon SNS topic 'ses-events' to receive 'Bounce' notifications from Amazon SES for identity 'mail.example.com'.\"}\n";
            notification(out, text, false, market, at, Form::Line, dice);
        }
        _ => confirmation(out, "UnsubscribeConfirmation", market, at, dice),
    }
}

fn confirmation(out: &mut Vec<u8>, kind: &str, market: Market, at: i64, dice: &mut Dice) {
    let mut pen = Pen::new(out, true);
    pen.raw("{\"Type\":\"");
    pen.raw(kind);
    pen.raw("\",\"MessageId\":\"");
    uuid(&mut pen, dice);
    pen.raw("\",\"Token\":\"2336412f37fb687f5d51e6e2425f004a");
    pen.hex(dice.below(u64::MAX), 16);
    pen.raw("\",\"TopicArn\":");
    topic(&mut pen, market);
    pen.raw(",\"Message\":\"You have chosen to change a subscription to the topic.\\nTo go on, visit the SubscribeURL included in this message.\",\"SubscribeURL\":\"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription\",\"Timestamp\":");
    pen.instant(at);
    pen.raw(",\"SignatureVersion\":\"1\",\"Signature\":\"");
    pen.hex(dice.below(u64::MAX), 16);
    pen.raw("==\",\"SigningCertURL\":\"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem\"}");
}
