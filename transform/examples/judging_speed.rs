//! Prints nanoseconds per call of the judging functions that run for every row.

use std::hint::black_box;
use std::time::Instant;

use hearback_transform::actor::{Fetch, FetchKind, judge};
use hearback_transform::address::parse_mailbox;
use hearback_transform::bounce::{Evidence, classify, status_code};
use hearback_transform::instant::parse_timestamp;
use hearback_transform::link::keep_allowed;
use hearback_transform::provider::mailbox_provider;

fn main() {
    measure("address, plain", 5_000_000, || {
        parse_mailbox(black_box("first.last+tag@example.com")).is_some()
    });
    measure("address, upper case", 2_000_000, || {
        parse_mailbox(black_box("First.Last@Example.com")).is_some()
    });
    measure("address, display name", 1_000_000, || {
        parse_mailbox(black_box("\"Doe, John\" <john@example.com>")).is_some()
    });
    measure("address, punycode", 500_000, || {
        parse_mailbox(black_box("a@bücher.example")).is_some()
    });
    measure("timestamp, Z", 10_000_000, || {
        parse_timestamp(black_box("2022-03-05T15:55:53.969Z")).is_some()
    });
    measure("timestamp, offset", 5_000_000, || {
        parse_timestamp(black_box("2022-03-05T15:55:53.123456+09:00")).is_some()
    });
    measure("provider, known", 5_000_000, || {
        mailbox_provider(black_box("docomo.ne.jp")) == "docomo"
    });
    measure("provider, other", 5_000_000, || {
        mailbox_provider(black_box("mail.example.com")) == "other"
    });
    let allowed = ["utm_source".to_owned(), "utm_campaign".to_owned()];
    measure("link, two of four kept", 2_000_000, || {
        let link = "https://example.com/confirm?token=abc&utm_source=a&utm_campaign=b&x=1";
        !keep_allowed(black_box(link), &allowed).is_empty()
    });
    let gmail = "smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking the recipient's email address for typos or\n550-5.1.1 unnecessary spaces. For more information, go to\n550 5.1.1  https://support.google.com/mail/?p=NoSuchUser d2e1a72fcca58-7a1b2c3d4e5si1234567b3a.12 - gsmtp";
    measure("status code from text", 2_000_000, || {
        status_code(None, black_box(Some(gmail))).is_some()
    });
    let evidence = Evidence {
        bounce_type: Some("Permanent"),
        bounce_subtype: Some("General"),
        status: Some("5.1.1"),
        diagnostic: Some(gmail),
    };
    measure("bounce, Gmail 316 bytes", 200_000, || {
        classify(black_box(&evidence)).as_str().len() > 1
    });
    let japanese = Evidence {
        diagnostic: Some("smtp; 550 5.1.1 宛先のメールアドレスが存在しません"),
        ..evidence
    };
    measure("bounce, Japanese", 200_000, || classify(black_box(&japanese)).as_str().len() > 1);
    let short = Evidence { diagnostic: Some("smtp; 550 Unknown user a@docomo.ne.jp"), ..evidence };
    measure("bounce, docomo", 200_000, || classify(black_box(&short)).as_str().len() > 1);

    let agents = [
        (
            "actor, Chrome",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        ),
        (
            "actor, GoogleImageProxy",
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        ),
        ("actor, bare Mozilla", "Mozilla/5.0"),
    ];
    for (name, agent) in agents {
        let fetch = Fetch {
            kind: FetchKind::Open,
            bot_event: None,
            user_agent: Some(agent),
            ip: Some("17.58.10.2"),
            millis_after_send: Some(3_600_000),
            unsubscribe_link: false,
        };
        measure(name, 1_000_000, || !judge(black_box(&fetch)).1.is_empty());
    }
}

/// The best of five runs: what the code costs when nothing else runs on the machine.
fn measure(name: &str, calls: u32, call: impl Fn() -> bool) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        let mut kept = 0_u32;
        for _ in 0..calls {
            kept += u32::from(call());
        }
        assert_eq!(kept, calls, "{name} failed");
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    println!("{name:<26} {best:>8.1} ns");
}
