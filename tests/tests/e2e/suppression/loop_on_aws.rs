//! The whole loop on an emulated AWS: SES sends, feedback comes by EventBridge and Kinesis into the lake,
//! the lists of two Regions follow by themselves, SES refuses the next message, and takes it
//! again when the entry has ended.
//!
//! The emulator bounces mail to the mailbox simulator alone, which is no evidence about anybody. So the
//! message is sent to a real-looking address, and the bounce that SES would report for it is put on the
//! stream in EventBridge's envelope.

use std::time::{Duration, Instant};

use hearback_tests::{FakeCloud, TwoRegions};

use super::*;
use crate::aws::SENDING;

const RECIPIENT: &str = "gone@example.org";
const LISTS: &str = r#"[ingest]
flush_interval = "1s"

[suppression]
request_interval = "1ms"
invalid_recipient_expiry = "25s"
targets = [
  { region = "us-east-1" },
  { region = "eu-west-1" },
]
"#;

/// Sends to the recipient; prints what SES says.
const SEND: &str = r#"
def verdict(recipient):
    try:
        sesv2.create_email_identity(EmailIdentity='sender@example.com')
    except sesv2.exceptions.AlreadyExistsException:
        pass
    try:
        sent = sesv2.send_email(FromEmailAddress='sender@example.com',
            Destination={'ToAddresses': [recipient]},
            Content={'Simple': {'Subject': {'Data': 'Hello'}, 'Body': {'Text': {'Data': 'Hello'}}}})
        return 'sent ' + sent['MessageId']
    except sesv2.exceptions.MessageRejected:
        return 'refused'

print(verdict(RECIPIENT))
"#;

fn send(clouds: [&FakeCloud; 2]) -> [String; 2] {
    clouds.map(|cloud| cloud.boto(&format!("RECIPIENT = '{RECIPIENT}'\n{SEND}")).trim().to_owned())
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_bounce_stops_the_next_message_everywhere_until_its_time_is_over() {
    let (cloud, elsewhere) = (FakeCloud::start(), FakeCloud::start());
    let clouds = [&cloud, &elsewhere];
    let front = TwoRegions::start(&cloud, "eu-west-1", &elsewhere);
    let stream = cloud.create_stream("feedback", 1);
    cloud.boto(&format!(
        "{SENDING}
sesv2.create_configuration_set_event_destination(
    ConfigurationSetName='main', EventDestinationName='bus', EventDestination={{
        'Enabled': True, 'MatchingEventTypes': ['SEND', 'DELIVERY', 'BOUNCE', 'COMPLAINT'],
        'EventBridgeDestination': {{
            'EventBusArn': 'arn:aws:events:us-east-1:123456789012:event-bus/default'}}}})
events.put_rule(Name='feedback', EventPattern=json.dumps({{'source': ['aws.ses']}}))
events.put_targets(Rule='feedback', Targets=[{{
    'Id': 'stream', 'Arn': '{}', 'RoleArn': 'arn:aws:iam::123456789012:role/events'}}])
send(['success', 'bounce'])
",
        stream.arn()
    ));
    let mut environment = cloud.environment();
    environment.push(("AWS_ENDPOINT_URL".to_owned(), front.endpoint()));
    let hearback = Hearback::with(environment);
    hearback.file("hearback.toml", LISTS);
    let reading = hearback.start(&["ingest", &stream.source()]);
    let before = send(clouds);
    assert!(before.iter().all(|verdict| verdict.starts_with("sent ")), "{before:?}");
    let message = before[0].trim_start_matches("sent ");

    until("the lake is there", || hearback.exists());
    let keeping = hearback.start(&["suppression", "run", "--every", "1s", "--fast-lane"]);
    let mut detail = bounce(
        message,
        RECIPIENT,
        0,
        ["Permanent", "General"],
        "smtp; 550-5.1.1 <gone@example.org>: Recipient address rejected:\n550 5.1.1 User unknown",
    );
    detail["mail"]["sendingAccountId"] = json!("123456789012");
    let envelope = json!({
        "version": "0",
        "id": "5b0c6d2e-0000-4000-8000-000000000001",
        "detail-type": "Email Bounced",
        "source": "aws.ses",
        "account": "123456789012",
        "time": instant(now()),
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    });
    stream.put_texts([&envelope.to_string()]);

    until("SES refuses the next message everywhere", || send(clouds) == ["refused", "refused"]);
    let why = hearback.run(["suppression", "explain", RECIPIENT]);
    assert!(why.stdout.contains("User unknown"), "{why:?}");
    until("the entries end", || send(clouds).iter().all(|said| said.starts_with("sent ")));

    assert_eq!(keeping.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    assert_eq!(reading.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    // The simulator's bounce was read, and suppressed nobody; each list has one entry made and lifted.
    let simulator = "SELECT count(*) FROM events WHERE event_type = 'bounce'
        AND recipient_domain = 'simulator.amazonses.com'";
    assert_eq!(hearback.number(simulator), 1);
    let ledger = "SELECT account_id || ' ' || region || ' ' || action || ' ' || recipient || ' ' || actor AS change
        FROM suppression_ledger WHERE outcome = 'done' ORDER BY region DESC, changed_time";
    let changes: Vec<String> = hearback
        .query(ledger)
        .iter()
        .map(|row| row["change"].as_str().expect("a change").to_owned())
        .collect();
    assert_eq!(
        changes,
        [
            "123456789012 us-east-1 add gone@example.org policy",
            "123456789012 us-east-1 remove gone@example.org expiry",
            "123456789012 eu-west-1 add gone@example.org policy",
            "123456789012 eu-west-1 remove gone@example.org expiry",
        ]
    );
}
