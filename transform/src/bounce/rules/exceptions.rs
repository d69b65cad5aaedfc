//! Texts that use the words of a recipient's fault for something else: they stand first.
//!
//! Mail that was not tried, automatic answers, receivers that count, senders that are refused.
//!
//! Part of the table in [`super::TEXT_TABLES`], whose rules of order hold here too.

use hearback_schemas::BounceClass::{AutoReply, Policy, RateLimited, SuppressionEcho};

use super::{TextRule, coded, text};

pub(super) static EXCEPTIONS: &[TextRule] = &[
    // The service itself did not try.
    text(
        SuppressionEcho,
        &[r"amazon ses (has suppressed|did not send)"],
        "SES account, tenant and global lists",
    ),
    text(
        SuppressionEcho,
        &[r"on (the|your|our) (account |tenant |global )?suppression list"],
        "same, shorter",
    ),
    // Automatic answers come back as bounces without any code.
    text(
        AutoReply,
        &[
            r"out[ -]of[ -](the[ -])?office",
            r"auto(matic|mated|matische)?[- ]?(reply|response|responder|antwort)\b",
        ],
        "English, German",
    ),
    text(
        AutoReply,
        &[
            r"\bauto-submitted: auto-(replied|generated)",
            r"\bx-auto(reply|-response)",
            r"\bon (vacation|annual leave|holiday|maternity leave|parental leave)\b",
        ],
        "headers and phrases of responders",
    ),
    text(
        AutoReply,
        &[r"abwesenheit", r"(nicht im|au(ss|ß)er) (büro|haus)", r"automatische antwort"],
        "German",
    ),
    text(
        AutoReply,
        &[r"absen(t|ce) du bureau", r"réponse automatique", r"message d'absence", r"en congés?\b"],
        "French",
    ),
    text(
        AutoReply,
        &[
            r"fuera de (la )?oficina",
            r"respuesta autom(á|a)tica",
            r"resposta autom(á|a)tica",
            r"de vacaciones",
        ],
        "Spanish, Portuguese",
    ),
    text(
        AutoReply,
        &[
            r"自動(応答|返信|返答)",
            r"不在(通知|の(ため|お知らせ)|にして|です)",
            r"(休暇|出張|夏季休業|年末年始)(中|のため)",
            r"自动回复",
            r"자동 ?(응답|회신)",
        ],
        "Japanese, Chinese, Korean",
    ),
    // The receiver counts our messages or this mailbox's: before quota and spam wording, which these texts use too.
    text(
        RateLimited,
        &[
            r"unusual (rate|amount) of unsolicited",
            r"receiving (mail|email|messages) (too quickly|at a rate)",
            r"p=receivingrate",
        ],
        "Gmail 4.7.28, 4.2.1",
    ),
    text(RateLimited, &[r"unexpected volume", r"\[tss0[0-9]\]"], "Yahoo defers by volume"),
    text(
        RateLimited,
        &[
            r"rate[- ]limit",
            r"limit(ed|ing)? (the )?rate",
            r"\bratelimit",
            r"throttl",
            r"frequency limited",
        ],
        "Outlook 4.7.65x, QQ and others",
    ),
    text(
        RateLimited,
        &[
            r"too many (concurrent |simultaneous |open |smtp |new |invalid |unknown |bad )*(connections?|sessions?|messages?|mails?|e-?mails|recipients?|rcpts?|users?|requests?|errors?)\b",
        ],
        "connections, recipients, messages",
    ),
    text(
        RateLimited,
        &[
            r"trop de connexions",
            r"trop de (messages|destinataires)",
            r"zu viele (verbindungen|nachrichten|empf)",
            r"sehr viele",
        ],
        "Orange and others",
    ),
    text(
        RateLimited,
        &[
            r"exceed(s|ed|ing)?\b.*\b((sending|message|mail|email|connection|delivery) (rate|quota)|(messages?|mails?|emails?|recipients?|connections?) (per|an|in an?) (minute|hour|day|connection|session)|(hourly|daily) (limit|quota|number))",
        ],
        "counted per hour, day or connection",
    ),
    text(
        RateLimited,
        &[
            r"(recipients?|connections?|messages?) (limit|count) (reached|exceeded)",
            r"limit on (connections|recipients)",
            r"thread limit exceeded",
            r"max(imum)? (number of )?(connections|recipients|defers)",
        ],
        "limits",
    ),
    text(
        RateLimited,
        &[r"\b(mi|rp|hl):(cel|qrc|trc|sfq|irc|ccl|rcl|ipr|iso|itc)\b"],
        "NetEase counts per address and hour",
    ),
    text(RateLimited, &[r"送信数の?制限", r"一度に(大量|多数)"], "Japanese"),
    coded(
        RateLimited,
        &["*.7.*"],
        &[r"server (is )?(too )?busy"],
        "Outlook 4.7.500: busy for this host only",
    ),
    // Sender's own address or host: before the recipient's wording, which these texts share.
    text(
        Policy,
        &[
            r"send(er|ing)('s)? (e-?mail )?(address|domain|host|mailbox|id)?( ?<?@?>?:?)? ?(address )?(rejected|denied|refused|does not (exist|resolve)|doesn't (exist|resolve)|not found|is unknown|is invalid|verif|not (exist|verified|allowed|permitted|authori[sz]ed)|unknown)",
        ],
        "the sender's address was refused",
    ),
    text(
        Policy,
        &[
            r"(invalid|unknown|bad|unresolvable|nonexistent|non-existent|forged) (sender|return path|mail from|reverse-path|envelope from)",
            r"verification failed for",
            r"callback setup failed",
            r"return path .*(not|in)valid",
            r"cannot resolve (your|sender) ",
        ],
        "same",
    ),
    text(
        Policy,
        &[
            r"without a valid sender domain",
            r"mail from .* not allowed",
            r"domain of sender",
            r"(sender|from)\b.*null ?mx",
            r"sender('s)? (mail ?)?domain",
        ],
        "same",
    ),
];
