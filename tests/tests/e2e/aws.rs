//! The whole journey on an emulated AWS: mail is sent, and its feedback is found in the lake.

use std::collections::BTreeMap;

use hearback_tests::{FakeCloud, Hearback};

/// Mailboxes of SES's simulator, and the events that mail to each brings (SES developer guide,
/// "Using the mailbox simulator"; an out-of-office reply is not emulated).
const MAILBOXES: [(&str, &[&str]); 4] = [
    ("success", &["delivery", "send"]),
    ("bounce", &["bounce", "send"]),
    ("complaint", &["complaint", "delivery", "send"]),
    ("suppressionlist", &["bounce", "send"]),
];
/// Python: a configuration set `main` and a function that sends mail to a list of mailboxes, one
/// message each, through it.
pub(crate) const SENDING: &str = "
sesv2.create_email_identity(EmailIdentity='example.com')
sesv2.create_configuration_set(ConfigurationSetName='main')
def send(mailboxes):
    for mailbox in mailboxes:
        sesv2.send_email(
            FromEmailAddress='Shop <shop@example.com>', ConfigurationSetName='main',
            Destination={'ToAddresses': [mailbox + '@simulator.amazonses.com']},
            EmailTags=[{'Name': 'campaign', 'Value': 'spring'}],
            Content={'Simple': {'Subject': {'Data': 'Hello'}, 'Body': {'Text': {'Data': 'x'}}}})
        if mailbox == 'suppressionlist':
            sesv2.delete_suppressed_destination(EmailAddress=mailbox + '@simulator.amazonses.com')
";

#[test]
fn mail_sent_through_ses_is_found_in_a_lake_on_s3_by_way_of_firehose() {
    let cloud = FakeCloud::start();
    cloud.boto(&format!(
        "{SENDING}
for bucket in ('feedback', 'lake'):
    s3.create_bucket(Bucket=bucket)
role = 'arn:aws:iam::123456789012:role/firehose'
arn = firehose.create_delivery_stream(
    DeliveryStreamName='feedback', DeliveryStreamType='DirectPut',
    ExtendedS3DestinationConfiguration={{
        'RoleARN': role, 'BucketARN': 'arn:aws:s3:::feedback', 'CompressionFormat': 'GZIP'}}
)['DeliveryStreamARN']
sesv2.create_configuration_set_event_destination(
    ConfigurationSetName='main', EventDestinationName='archive', EventDestination={{
        'Enabled': True, 'MatchingEventTypes': ['SEND', 'DELIVERY', 'BOUNCE', 'COMPLAINT'],
        'KinesisFirehoseDestination': {{'IamRoleArn': role, 'DeliveryStreamArn': arn}}}})
send(['success', 'bounce', 'complaint', 'suppressionlist'] * 3)
"
    ));
    let hearback = Hearback::on("s3://lake/mail", cloud.environment());
    // Twice: what was read is not read again.
    for expected in [27, 0] {
        let outcome = hearback.run(["ingest", "s3://feedback/", "--format", "json"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_eq!(outcome.json()["events"], expected, "{outcome:?}");
    }
    assert_feedback_of_simulator(&hearback, 3);
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), 0);
}

/// Asserts that the lake holds what the simulator's mailboxes bring, for so many messages to each.
pub(crate) fn assert_feedback_of_simulator(hearback: &Hearback, messages: i64) {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let rows = hearback.query(
        "SELECT recipient, event_type, count(*) AS events, count(DISTINCT message_id) AS messages
         FROM events WHERE campaign = 'spring' GROUP BY 1, 2 ORDER BY 1, 2",
    );
    for row in rows {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        assert_eq!(row["events"], messages, "{row}");
        assert_eq!(row["messages"], messages, "{row}");
        found.entry(text("recipient")).or_default().push(text("event_type"));
    }
    let expected = MAILBOXES.map(|(mailbox, events)| {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        (format!("{mailbox}@simulator.amazonses.com"), events)
    });
    assert_eq!(found, BTreeMap::from(expected));
}
