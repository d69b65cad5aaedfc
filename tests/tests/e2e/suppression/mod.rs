//! Suppression lists, from the events of a lake to what stands in SES: the real binary against a stand-in
//! for SES that is as strict as its documentation.

mod disasters;
mod failing;
mod lists;
mod loop_on_aws;
mod served;

use std::time::{SystemTime, UNIX_EPOCH};

use hearback_tests::ses_list::SesLists;
use hearback_tests::{Hearback, Outcome};
use serde_json::{Value, json};

const TWO_REGIONS: &str = "targets = [{ region = \"us-east-1\" }, { region = \"eu-west-1\" }]\n";

/// A lake with a configuration, beside a SES.
struct Desk {
    hearback: Hearback,
    ses: SesLists,
    files: std::cell::Cell<usize>,
}

impl Desk {
    /// `[suppression]` with these lines, at a pace for tests.
    fn new(lines: &str) -> Self {
        let ses = SesLists::start();
        let lake = tempfile::tempdir().expect("a folder").keep().display().to_string();
        let hearback = Hearback::on(&format!("{lake}/lake"), ses.environment());
        let desk = Self { hearback, ses, files: std::cell::Cell::new(0) };
        desk.configure(lines);
        desk
    }

    fn configure(&self, lines: &str) {
        let pace =
            if lines.contains("request_interval") { "" } else { "request_interval = \"1ms\"" };
        let text = format!("[suppression]\n{pace}\n{lines}\n");
        self.hearback.file("hearback.toml", text);
    }

    /// Ingests events from a file of their own.
    fn ingest(&self, events: &[Value]) {
        self.files.set(self.files.get() + 1);
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let path = self.hearback.file(&format!("{}.json", self.files.get()), lines.join("\n"));
        let report = self.hearback.ingest(&[&path]);
        assert_eq!(report["rejected"], 0, "{report}");
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.hearback.run(["suppression"].iter().chain(arguments))
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let outcome = self.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!(outcome.code, code, "{arguments:?}: {outcome:?}");
        outcome.json()
    }

    fn apply(&self, arguments: &[&str], code: i32) -> Value {
        self.json(&[&["apply", "--yes"], arguments].concat(), code)
    }

    /// Addresses of a Region's list, in order.
    fn listed(&self, region: &str) -> Vec<String> {
        self.ses.list(region).into_keys().collect()
    }

    /// What the ledger says stands on the list of a Region.
    fn standing(&self, region: &str) -> Vec<String> {
        let sql = format!(
            "SELECT address FROM suppressions WHERE region = '{region}' AND owner = 'hearback' ORDER BY 1"
        );
        let rows = self.hearback.query(&sql);
        rows.iter().map(|row| row["address"].as_str().expect("an address").to_owned()).collect()
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "events happened just before the test")]
    let now = SystemTime::now();
    i64::try_from(now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs()).expect("seconds")
}

/// An instant as SES writes it.
fn instant(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    // The civil date of a day number (Howard Hinnant's algorithm, public domain).
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.000Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

fn mail(message: &str, recipients: &[&str], region: &str, seconds_ago: i64) -> Value {
    json!({
        "timestamp": instant(now() - seconds_ago - 2),
        "messageId": message,
        "source": "news@example.com",
        "sourceArn": format!("arn:aws:ses:{region}:111122223333:identity/example.com"),
        "sendingAccountId": "111122223333",
        "destination": recipients,
        "commonHeaders": {"subject": "November"},
        "tags": {"campaign": ["november"]},
    })
}

fn send(message: &str, recipient: &str, seconds_ago: i64) -> Value {
    json!({"eventType": "Send", "mail": mail(message, &[recipient], "us-east-1", seconds_ago), "send": {}})
}

fn delivery(message: &str, recipient: &str, seconds_ago: i64) -> Value {
    json!({
        "eventType": "Delivery",
        "mail": mail(message, &[recipient], "us-east-1", seconds_ago),
        "delivery": {"timestamp": instant(now() - seconds_ago), "recipients": [recipient], "smtpResponse": "250 OK", "processingTimeMillis": 500},
    })
}

/// A bounce with SES's type and subtype, and the reply.
fn bounce(message: &str, recipient: &str, seconds_ago: i64, kind: [&str; 2], reply: &str) -> Value {
    json!({
        "eventType": "Bounce",
        "mail": mail(message, &[recipient], "us-east-1", seconds_ago),
        "bounce": {
            "timestamp": instant(now() - seconds_ago),
            "bounceType": kind[0],
            "bounceSubType": kind[1],
            "feedbackId": format!("{message}-{seconds_ago}"),
            "bouncedRecipients": [{"emailAddress": recipient, "action": "failed", "diagnosticCode": reply}],
        },
    })
}

/// A mailbox that does not exist.
fn unknown_user(message: &str, recipient: &str, seconds_ago: i64) -> Value {
    bounce(
        message,
        recipient,
        seconds_ago,
        ["Permanent", "General"],
        "smtp; 550-5.1.1 The email account that you tried to reach does not exist.\n550 5.1.1 NoSuchUser",
    )
}

fn complaint(message: &str, recipients: &[&str], seconds_ago: i64, kind: &str) -> Value {
    let named: Vec<Value> = recipients.iter().map(|one| json!({"emailAddress": one})).collect();
    json!({
        "eventType": "Complaint",
        "mail": mail(message, recipients, "us-east-1", seconds_ago),
        "complaint": {
            "timestamp": instant(now() - seconds_ago),
            "feedbackId": format!("c-{message}"),
            "complaintFeedbackType": kind,
            "complainedRecipients": named,
        },
    })
}
