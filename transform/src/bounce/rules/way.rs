//! Texts about trouble on the way, and texts so general that everything else goes before them.
//!
//! Part of the table in [`super::TEXT_TABLES`], whose rules of order hold here too.

use hearback_schemas::BounceClass::{Expired, InvalidRecipient, RateLimited, Routing};

use super::{TextRule, text};

pub(super) static ON_THE_WAY: &[TextRule] = &[
    // The last answer told nothing better, and time ran out.
    text(
        Expired,
        &[
            r"message expired",
            r"(unable|failed|could not) (to deliver|be delivered|deliver)( it| message)? (in|within|after|for) [0-9]+ ?(minutes|hours|days)",
            r"delivery time expired",
            r"retry time(out)? (exceeded|not reached)",
            r"retry timeout",
            r"too (old|long in queue)",
            r"delivery (expired|timed out)",
            r"queue (lifetime|too long)",
            r"time-?to-?live",
            r"expired (before|after)",
            r"maximum (retry|queue)",
        ],
        "retries ended",
    ),
    // On the way.
    text(
        RateLimited,
        &[r"gr(e|a)y-?(list|lock|trap)"],
        "asked to come back later, and it is the sender who decides when",
    ),
    text(
        Routing,
        &[
            r"(unable|failed|could not|cannot|can't) (to )?(lookup|look up|resolve|find|connect|route|reach|contact|establish)",
            r"(connection|session|host|server|network|conversation|remote|lookup|dns|operation)\b.{0,30}(refused|timed? ?out|reset|lost|dropped|closed|unreachable|failed|failure|aborted|unavailable|not respond|is down)",
            r"no (answer|route|mx|response|mail ?hosts?) ",
            r"no route",
            r"mail(er)? loop",
            r"loops? back",
            r"too many hops",
            r"hop ?count",
            r"routing loop",
            r"loop detected",
            r"name service error",
            r"dns (error|fail|query|lookup|server|problem)",
            r"temporary (lookup|resolution|dns)",
            r"bad connection",
            r"tls handshake",
            r"certificate",
        ],
        "DNS, connection, routing, loops",
    ),
    text(
        Routing,
        &[
            r"(local|internal|temporary|configuration|system|server|software|storage|database|backend|queue file|i/o|ldap) (problem|error|failure|resources?|configuration|overload|trouble|storage|storage space|issue|write)",
            r"insufficient (system|disk|memory)",
            r"service (is )?(temporarily )?(not available|unavailable|shutting down|closing)",
            r"temporarily (unavailable|deferred|rejected|unable)",
            r"try (again )?later",
            r"server (is )?(too )?busy",
            r"system (is )?(too )?busy",
            r"resources (are )?temporarily",
            r"out of memory",
            r"サーバ.*(エラー|障害|混雑)",
        ],
        "trouble of the receiving system",
    ),
    // RFC 5321 gives 550 and 553 this text for a mailbox that is not there; 450 for one that is busy.
    text(
        InvalidRecipient,
        &[
            r"^55[0134][ -].*mailbox (is |was |name |currently )*(unavailable|not available|not allowed|syntax incorrect)",
        ],
        "the standard's own text; Outlook.com, GMX",
    ),
    text(
        Routing,
        &[r"^4[0-9]{2}[ -].*mailbox (is |was |currently )*(unavailable|not available|busy|locked)"],
        "the standard's own text for a busy mailbox",
    ),
];
