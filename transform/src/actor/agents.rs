//! What user agents say of themselves.
//!
//! Owns one invariant: every list here is matched without regard to case and by names long enough, or bounded
//! enough, not to occur in a phone's model name (`CUBOT` is a phone).

use std::sync::LazyLock;

use regex::bytes::{RegexSet, RegexSetBuilder};

/// Agents that name themselves as machines: security scanners, link previews, crawlers, HTTP libraries, browsers
/// without a screen.
const MACHINES: &[&str] = &[
    // Mail security.
    r"barracuda|proofpoint|mimecast|messagelabs|symantec|ironport|fireeye|trellix|forcepoint|sophos|cloudmark|vade ?secure",
    r"trend ?micro|\btmes\b|\btmase|bitdefender|kaspersky|mcafee|skyhigh|avanan|check ?point|zscaler|area ?1|cyren|spamtitan",
    r"safe ?links|microsoft office (existence|protocol) discovery|ms-office-existence|microsoft-cryptoapi|office 365 url",
    r"urlscan|virustotal|safebrowsing|google-safety|zgrab|censys|netcraft|phish|malware|sandbox|spamassassin|clamav",
    // Previews.
    r"bingpreview|skypeuripreview|facebookexternalhit|facebookcatalog|slackbot|twitterbot|linkedinbot|discordbot|telegrambot|\bwhatsapp/|embedly|\bpreview\b|google-read-aloud|google-pagerenderer",
    // Crawlers. A word that ends in "bot" is one, unless a version of a phone follows.
    r"[a-z](bot|crawler|spider)(/|;|\)|$|\b-)|\b(bot|crawler|spider|slurp|scanner|link ?check(er)?|monitoring|uptime|validator)\b",
    // Libraries and tools.
    r"^(curl|wget|python|java|ruby|perl|php|go-http-client|okhttp|axios|node|undici|got|guzzle|httpx|aiohttp|rest-client|winhttp|reqwest|dart|faraday|postman)\b",
    r"python-requests|python-urllib|libwww-perl|apache-httpclient|go-http-client|guzzlehttp|node-fetch|winhttp|scrapy|headless|phantomjs|puppeteer|playwright|selenium|webdriver|htmlunit|wkhtmlto",
];

/// Clients and browsers people read mail with, the phones of the Japanese operators included.
const CLIENTS: &[&str] = &[
    r"^mozilla/[0-9.]+ \([^)]*(windows|macintosh|mac os|iphone|ipad|ipod|android|linux|x11|cros|bsd|nintendo|playstation|symbian|blackberry|webos|tizen|kaios|harmony|openharmony|compatible; msie|mobile|playbook)",
    r"^(opera|opera mini|docomo|kddi|softbank|vodafone|j-phone|jphone|up\.browser|ddipocket|willcom|emobile|nokia|sonyericsson|samsung|lg|blackberry|ucweb|dalvik)[/ -]",
    r"outlook|microsoft office|thunderbird|apple ?mail|\bairmail|\bspark\b|em client|emclient|the bat!|lotus-notes|hcl ?notes|postbox|evolution|kmail|k-9|mailbird|foxmail|superhuman|canary|newton|becky|shuriken|gmail/|ymail|yahoomobile|zoho|protonmail|fairemail|bluemail|windows mail|mail/[0-9]|mailplane|mimestream|betterbird|sylpheed|claws",
];

static MACHINE: LazyLock<RegexSet> = LazyLock::new(|| compile(MACHINES));
static CLIENT: LazyLock<RegexSet> = LazyLock::new(|| compile(CLIENTS));

/// Compiles the patterns.
pub(super) fn prepare() {
    LazyLock::force(&MACHINE);
    LazyLock::force(&CLIENT);
}

fn compile(patterns: &[&str]) -> RegexSet {
    RegexSetBuilder::new(patterns)
        .unicode(false)
        .case_insensitive(true)
        .build()
        .expect("the patterns are constants, and a test compiles them")
}

/// Longer agents are judged by their beginning.
const LONGEST_AGENT: usize = 1024;

fn beginning(agent: &str) -> &[u8] {
    let bytes = agent.as_bytes();
    &bytes[..bytes.len().min(LONGEST_AGENT)]
}

/// Whether the agent names itself as a machine.
pub(super) fn is_machine(agent: &str) -> bool {
    MACHINE.is_match(beginning(agent))
}

/// Whether the agent is one people read mail with.
pub(super) fn is_client(agent: &str) -> bool {
    // Nearly all agents start like this; the patterns say the same, slower.
    if let Some(platform) = agent.strip_prefix("Mozilla/5.0 (")
        && ["Windows", "Macintosh", "iPhone", "iPad", "Linux", "X11"]
            .iter()
            .any(|name| platform.starts_with(name))
    {
        return true;
    }
    CLIENT.is_match(beginning(agent))
}

/// Whether the agent names no product: what is left when a scanner wants to look like any browser.
pub(super) fn is_generic(agent: &str) -> bool {
    ["mozilla", "mozilla/4.0", "mozilla/5.0", "mozilla/5.0 ()", "-", "null", "none", "unknown"]
        .iter()
        .any(|generic| agent.eq_ignore_ascii_case(generic))
}

/// Whether the agent is Safari's engine without a browser around it: how some of Apple's prefetches (and Apple Mail
/// on a Mac) call themselves. A phone's Mail adds `Mobile/…`, a browser adds `Version/… Safari/…`.
pub(super) fn is_bare_safari(agent: &str) -> bool {
    agent.starts_with("Mozilla/5.0 (")
        && agent.contains("AppleWebKit/")
        && agent.ends_with("(KHTML, like Gecko)")
}

/// The reason code of an image proxy, if the agent is one.
pub(super) fn image_proxy(agent: &str) -> Option<&'static str> {
    // Every proxy known has the word in its name; a plain browser's agent is sent off by one search.
    let bytes = beginning(agent);
    let named = memchr::memmem::find(bytes, b"roxy").is_some()
        || memchr::memmem::find(bytes, b"ggpht").is_some();
    if !named {
        return None;
    }
    let agent = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    if agent.contains("googleimageproxy") || agent.contains("ggpht.com") {
        return Some("google_image_proxy");
    }
    if agent.contains("yahoomailproxy") {
        return Some("yahoo_mail_proxy");
    }
    let proxy = [
        "imageproxy",
        "image proxy",
        "image-proxy",
        "mailproxy",
        "mail proxy",
        "emailproxy",
        "email-proxy",
    ]
    .iter()
    .any(|name| agent.contains(name));
    proxy.then_some("image_proxy")
}

#[cfg(test)]
mod tests {
    use super::{CLIENT, CLIENTS, MACHINE, MACHINES, is_machine};

    #[test]
    fn every_pattern_compiles() {
        assert_eq!((MACHINE.len(), CLIENT.len()), (MACHINES.len(), CLIENTS.len()));
    }

    #[test]
    fn phones_and_people_are_no_machines() {
        for agent in [
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 13; SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Microsoft Office/16.0 (Microsoft Outlook 16.0.17126; Pro)",
            "DoCoMo/2.0 P903i(c100;TB;W24H12)",
        ] {
            assert!(!is_machine(agent), "{agent}");
        }
    }
}
