//! Operators told from domains.

use super::domains::{DOMAINS, PARENTS};
use super::{has_feedback_loop, mailbox_provider};
use proptest::prelude::{any, proptest};

#[test]
fn the_tables_are_sorted_and_name_no_domain_twice() {
    assert!(DOMAINS.is_sorted_by(|a, b| a.0 < b.0));
    assert!(PARENTS.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn every_listed_domain_is_found() {
    for (domain, provider) in DOMAINS {
        assert_eq!(mailbox_provider(domain), provider, "{domain}");
    }
    for (parent, provider) in PARENTS {
        assert_eq!(mailbox_provider(&format!("a.b.{parent}")), provider, "{parent}");
    }
}

#[test]
fn operators_are_told_from_the_domain() {
    for (domain, provider) in [
        ("gmail.com", "gmail"),
        ("googlemail.com", "gmail"),
        ("yahoo.com", "yahoo"),
        ("yahoo.co.uk", "yahoo"),
        ("yahoo.com.tw", "yahoo"),
        ("yahoo.de", "yahoo"),
        ("aol.com", "yahoo"),
        ("ymail.com", "yahoo"),
        ("yahoo.co.jp", "yahoo_japan"),
        ("ybb.ne.jp", "yahoo_japan"),
        ("yahoo.ne.jp", "ymobile"),
        ("icloud.com", "icloud"),
        ("privaterelay.appleid.com", "icloud"),
        ("hotmail.co.uk", "outlook"),
        ("live.com.au", "outlook"),
        ("outlook.jp", "outlook"),
        ("msn.com", "outlook"),
        ("docomo.ne.jp", "docomo"),
        ("ezweb.ne.jp", "au"),
        ("au.com", "au"),
        ("ido.ezweb.ne.jp", "au"),
        ("softbank.ne.jp", "softbank"),
        ("i.softbank.jp", "softbank"),
        ("k.vodafone.ne.jp", "softbank"),
        ("ymobile.ne.jp", "ymobile"),
        ("rakumail.jp", "rakuten"),
        ("kxd.biglobe.ne.jp", "biglobe"),
        ("polka.ocn.ne.jp", "ocn"),
        ("aa2.so-net.ne.jp", "so_net"),
        ("blue.plala.or.jp", "plala"),
        ("nifty.com", "nifty"),
        ("jcom.zaq.ne.jp", "jcom"),
        ("gmx.at", "gmx"),
        ("web.de", "web_de"),
        ("t-online.de", "t_online"),
        ("wanadoo.fr", "orange"),
        ("163.com", "netease"),
        ("qq.com", "qq"),
        ("hanmail.net", "daum"),
        ("bk.ru", "mail_ru"),
        ("yandex.com.tr", "yandex"),
        ("proton.me", "proton"),
        ("verizon.net", "verizon"),
        ("sbcglobal.net", "att"),
        ("seznam.cz", "seznam"),
    ] {
        assert_eq!(mailbox_provider(domain), provider, "{domain}");
    }
}

#[test]
fn look_alikes_are_other() {
    for domain in [
        "",
        "com",
        "gmail.co",
        "mygmail.com",
        "gmail.com.example.net",
        "yahoo.example.com",
        "live.example.org",
        "outlook.office.example.com",
        "notdocomo.ne.jp",
        "example.ne.jp",
        "hotmail.com.evil.example",
    ] {
        assert_eq!(mailbox_provider(domain), "other", "{domain}");
    }
}

#[test]
fn gmail_and_apple_report_no_complaints() {
    for provider in ["gmail", "icloud", "docomo", "yahoo_japan", "other"] {
        assert!(!has_feedback_loop(provider), "{provider}");
    }
    for provider in ["yahoo", "outlook", "comcast"] {
        assert!(has_feedback_loop(provider), "{provider}");
    }
}

#[test]
fn every_operator_with_a_feedback_loop_can_be_told_from_a_domain() {
    let known = |name: &str| DOMAINS.iter().any(|(_, provider)| *provider == name);
    for provider in
        ["yahoo", "outlook", "att", "verizon", "rogers", "cox", "sfr", "free", "laposte"]
    {
        assert!(known(provider) && has_feedback_loop(provider), "{provider}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(domain in any::<String>()) {
        assert!(!mailbox_provider(&domain).is_empty());
    }
}
