//! Addresses and user agents of those who open and click.

use std::fmt::Write as _;

use super::dice::Derived;
use super::provider::Market;
use super::traffic::Visitor;

/// Writes the IP address and returns the user agent.
pub(super) fn visit(
    visitor: Visitor,
    market: Market,
    traits: &mut Derived,
    ip: &mut String,
) -> &'static str {
    let (third, fourth) = (traits.below(256), 1 + traits.below(254));
    let (network, agents): (&[&str], &[&'static str]) = match visitor {
        Visitor::Person => (person_networks(market), person_agents(market)),
        Visitor::Prefetch => (&PREFETCH_NETWORKS, &PREFETCH_AGENTS),
        Visitor::GoogleProxy => (&GOOGLE_NETWORKS, &GOOGLE_AGENTS),
        Visitor::YahooProxy => (&YAHOO_NETWORKS, &YAHOO_AGENTS),
        Visitor::Scanner => (&SCANNER_NETWORKS, &SCANNER_AGENTS),
    };
    ip.clear();
    // Writing into a String cannot fail.
    let _ = write!(ip, "{}.{third}.{fourth}", traits.pick(network));
    traits.pick(agents)
}

fn person_networks(market: Market) -> &'static [&'static str] {
    match market {
        Market::Japan => &["126.158", "60.71", "106.73", "153.246", "111.239"],
        Market::West => &["81.92", "93.214", "84.57", "109.255", "178.8"],
    }
}

fn person_agents(market: Market) -> &'static [&'static str] {
    match market {
        Market::Japan => &JAPANESE_AGENTS,
        Market::West => &WESTERN_AGENTS,
    }
}

const JAPANESE_AGENTS: [&str; 5] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; SO-51E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SH-53D) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
];
const WESTERN_AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.12.0",
];
const PREFETCH_NETWORKS: [&str; 4] = ["104.28", "172.224", "172.225", "146.75"];
const PREFETCH_AGENTS: [&str; 4] = [
    "Mozilla/5.0",
    "Mozilla/5.0",
    "Mozilla/5.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
];
const GOOGLE_NETWORKS: [&str; 3] = ["66.249", "74.125", "66.102"];
const GOOGLE_AGENTS: [&str; 2] = [
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (Windows; U; Windows NT 5.1; de; rv:1.9.0.7) Gecko/2009021910 Firefox/3.0.7 (via ggpht.com GoogleImageProxy)",
];
const YAHOO_NETWORKS: [&str; 2] = ["98.137", "87.248"];
const YAHOO_AGENTS: [&str; 1] =
    ["YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"];
const SCANNER_NETWORKS: [&str; 4] = ["40.94", "52.177", "104.47", "148.163"];
const SCANNER_AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36 Edg/119.0.0.0",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0) Microsoft Office Existence Discovery",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; BingPreview/1.0b) Chrome/116.0.0.0 Safari/537.36",
    "",
];
