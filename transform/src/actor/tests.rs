//! Opens and clicks as SES hands them on, and who was behind them.

use super::{Fetch, FetchKind, judge};
use hearback_schemas::Actor;
use proptest::option;
use proptest::prelude::{any, prop_assert, proptest};

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
const BARE_SAFARI: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const GOOGLE: &str =
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const YAHOO: &str = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html";

/// An open an hour after the send from an ordinary network.
fn open(user_agent: &str) -> Fetch<'_> {
    Fetch {
        kind: FetchKind::Open,
        bot_event: None,
        user_agent: Some(user_agent),
        ip: Some("198.51.100.7"),
        millis_after_send: Some(3_600_000),
        unsubscribe_link: false,
    }
}

fn click(user_agent: &str) -> Fetch<'_> {
    Fetch { kind: FetchKind::Click, ..open(user_agent) }
}

#[test]
fn people_use_mail_clients_and_browsers() {
    for agent in [
        CHROME,
        IPHONE,
        "Microsoft Office/16.0 (Microsoft Outlook 16.0.17126; Pro)",
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; ms-office; MSOffice 16)",
        "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.6.0",
        "DoCoMo/2.0 P903i(c100;TB;W24H12)",
        "KDDI-CA39 UP.Browser/6.2.0.13.1.5 (GUI) MMP/2.0",
        "SoftBank/1.0/930SH/SHJ001 Browser/NetFront/3.4",
    ] {
        assert_eq!(judge(&open(agent)), (Actor::Human, "client_agent"), "{agent}");
        assert_eq!(judge(&click(agent)), (Actor::Human, "client_agent"), "{agent}");
    }
}

#[test]
fn what_ses_says_comes_first() {
    let said = |word| Fetch { bot_event: Some(word), ..click(CHROME) };
    assert_eq!(judge(&said("Likely")), (Actor::Scanner, "ses_bot_event"));
    assert_eq!(judge(&said("Unlikely")), (Actor::Human, "ses_not_bot"));
    assert_eq!(judge(&said("Perhaps")), (Actor::Human, "client_agent"));
    let at_once = Fetch { millis_after_send: Some(900), ..said("Unlikely") };
    assert_eq!(judge(&at_once), (Actor::Human, "ses_not_bot"));
}

#[test]
fn a_likely_bot_that_is_privacy_protection_is_privacy_protection() {
    let fetch = Fetch { bot_event: Some("Likely"), ip: Some("17.58.10.2"), ..open("Mozilla/5.0") };
    assert_eq!(judge(&fetch), (Actor::Mpp, "apple_mpp_agent"));
    let fetch = Fetch { bot_event: Some("Likely"), ..open(BARE_SAFARI) };
    assert_eq!(judge(&fetch), (Actor::Mpp, "apple_mpp_safari"));
    let fetch = Fetch { bot_event: Some("Likely"), ..open(GOOGLE) };
    assert_eq!(judge(&fetch), (Actor::Scanner, "ses_bot_event"));
}

#[test]
fn an_unlikely_bot_may_still_be_privacy_protection_or_a_proxy() {
    for (agent, actor) in [(BARE_SAFARI, Actor::Mpp), (GOOGLE, Actor::Proxy), (YAHOO, Actor::Proxy)]
    {
        let fetch = Fetch { bot_event: Some("Unlikely"), ..open(agent) };
        assert_eq!(judge(&fetch).0, actor, "{agent}");
    }
}

#[test]
fn privacy_protection_needs_the_bare_agent_and_apples_relay() {
    let fetch = Fetch { ip: Some("172.225.8.9"), ..open("Mozilla/5.0") };
    assert_eq!(judge(&fetch), (Actor::Mpp, "apple_mpp_agent"));
    assert_eq!(judge(&open("Mozilla/5.0")), (Actor::Unknown, "generic_agent"));
    let without_ip = Fetch { ip: None, ..open("Mozilla/5.0") };
    assert_eq!(judge(&without_ip), (Actor::Unknown, "generic_agent"));
    let a_person_at_apple = Fetch { ip: Some("17.1.2.3"), ..open(CHROME) };
    assert_eq!(judge(&a_person_at_apple).0, Actor::Human);
}

#[test]
fn only_pictures_are_prefetched_and_proxied() {
    let fetch = Fetch { ip: Some("17.58.10.2"), ..click("Mozilla/5.0") };
    assert_eq!(judge(&fetch), (Actor::Unknown, "generic_agent"));
    assert_eq!(judge(&click(BARE_SAFARI)), (Actor::Human, "client_agent"));
}

#[test]
fn image_proxies_are_named() {
    assert_eq!(judge(&open(GOOGLE)), (Actor::Proxy, "google_image_proxy"));
    assert_eq!(judge(&open(YAHOO)), (Actor::Proxy, "yahoo_mail_proxy"));
    assert_eq!(judge(&open("SeznamEmailProxy/2.0.195.6")), (Actor::Proxy, "image_proxy"));
    let at_once = Fetch { millis_after_send: Some(800), ..open(GOOGLE) };
    assert_eq!(judge(&at_once), (Actor::Proxy, "google_image_proxy"));
}

#[test]
fn agents_that_name_themselves_as_machines_are_scanners() {
    for agent in [
        "Microsoft Office Existence Discovery",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
        "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.0.0 Safari/537.36",
        "python-requests/2.31.0",
        "Go-http-client/1.1",
        "curl/8.4.0",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Java/17.0.2",
    ] {
        assert_eq!(judge(&click(agent)), (Actor::Scanner, "scanner_agent"), "{agent}");
    }
}

#[test]
fn one_weak_sign_makes_a_doubt_and_two_make_a_scanner() {
    let soon = Fetch { millis_after_send: Some(1_400), ..click(CHROME) };
    assert_eq!(judge(&soon), (Actor::Unknown, "seconds_after_send"));
    assert_eq!(judge(&click("")), (Actor::Unknown, "empty_agent"));
    assert_eq!(judge(&click("Mozilla/5.0")), (Actor::Unknown, "generic_agent"));

    let nameless_and_soon = Fetch { millis_after_send: Some(1_400), ..click(" ") };
    assert_eq!(judge(&nameless_and_soon), (Actor::Scanner, "seconds_after_send"));
    let unsubscribing_soon = Fetch { unsubscribe_link: true, ..soon };
    assert_eq!(judge(&unsubscribing_soon), (Actor::Scanner, "seconds_after_send"));
    let nameless_unsubscribing = Fetch { unsubscribe_link: true, ..click("") };
    assert_eq!(judge(&nameless_unsubscribing), (Actor::Scanner, "empty_agent"));
}

#[test]
fn people_unsubscribe() {
    let fetch = Fetch { unsubscribe_link: true, ..click(CHROME) };
    assert_eq!(judge(&fetch), (Actor::Human, "client_agent"));
}

#[test]
fn five_seconds_are_soon_and_clocks_that_disagree_are_too() {
    let after = |millis| judge(&Fetch { millis_after_send: Some(millis), ..click(CHROME) }).0;
    assert_eq!(after(-300), Actor::Unknown);
    assert_eq!(after(5_000), Actor::Unknown);
    assert_eq!(after(5_001), Actor::Human);
}

#[test]
fn without_anything_to_judge_by_the_actor_is_unknown() {
    let nothing = Fetch {
        kind: FetchKind::Open,
        bot_event: None,
        user_agent: None,
        ip: None,
        millis_after_send: None,
        unsubscribe_link: false,
    };
    assert_eq!(judge(&nothing), (Actor::Unknown, "no_signal"));
    assert_eq!(judge(&open("something else")), (Actor::Unknown, "unknown_agent"));
}

proptest! {
    #[test]
    fn no_text_panics(
        bot_event in option::of(any::<String>()),
        user_agent in option::of(any::<String>()),
        ip in option::of("[0-9a-f.:]{0,20}"),
        millis_after_send in option::of(any::<i64>()),
        clicked in any::<bool>(),
        unsubscribe_link in any::<bool>(),
    ) {
        let (actor, reason) = judge(&Fetch {
            kind: if clicked { FetchKind::Click } else { FetchKind::Open },
            bot_event: bot_event.as_deref(),
            user_agent: user_agent.as_deref(),
            ip: ip.as_deref(),
            millis_after_send,
            unsubscribe_link,
        });
        prop_assert!(Actor::ALL.contains(&actor));
        prop_assert!(reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    }
}
