//! The decision tables of bounce classification.
//!
//! Owns one invariant: order is meaning. Within each table the first row that matches decides, so a
//! row stands before every row it is an exception to. Patterns are matched against the line that
//! [`super::evidence`] makes: lower case, one line, the reply code first, no addresses. Written from the
//! operators' public error pages and from replies seen in public; change [`crate::rules::RULE_VERSION`]
//! along with any row.

use hearback_schemas::BounceClass;
use hearback_schemas::BounceClass::{
    AutoReply, BadDomain, Content, Expired, InactiveMailbox, InvalidRecipient, MailboxFull, Policy,
    RateLimited, Routing, SpamBlock, SuppressionEcho, TooLarge,
};

/// A row that looks at the text, and perhaps at the enhanced status code.
pub(super) struct TextRule {
    /// What the cause is if the row matches.
    pub(super) class: BounceClass,
    /// Status codes the row is limited to, as in [`code_matches`]; empty for any code, or none.
    pub(super) codes: &'static [&'static str],
    /// Regular expression over bytes, not anchored.
    pub(super) pattern: &'static str,
    /// Why this text means this cause; whose text it is, where that is not plain.
    #[cfg_attr(not(test), allow(dead_code))] // for the reader of the table
    pub(super) why: &'static str,
}

const fn text(class: BounceClass, pattern: &'static str, why: &'static str) -> TextRule {
    TextRule { class, codes: &[], pattern, why }
}

const fn coded(
    class: BounceClass,
    codes: &'static [&'static str],
    pattern: &'static str,
    why: &'static str,
) -> TextRule {
    TextRule { class, codes, pattern, why }
}

/// Texts that tell the cause whatever the codes say. A row of class auto reply is passed over where the service
/// calls the bounce permanent.
pub(super) static TEXT_RULES: &[TextRule] = &[
    // The service itself did not try.
    text(
        SuppressionEcho,
        r"amazon ses (has suppressed|did not send)",
        "SES account, tenant and global lists",
    ),
    text(
        SuppressionEcho,
        r"on (the|your|our) (account |tenant |global )?suppression list",
        "same, shorter",
    ),
    // Automatic answers come back as bounces without any code.
    text(
        AutoReply,
        r"out[ -]of[ -](the[ -])?office|auto(matic|mated|matische)?[- ]?(reply|response|responder|antwort)\b",
        "English, German",
    ),
    text(
        AutoReply,
        r"\bauto-submitted: auto-(replied|generated)|\bx-auto(reply|-response)|\bon (vacation|annual leave|holiday|maternity leave|parental leave)\b",
        "headers and phrases of responders",
    ),
    text(
        AutoReply,
        r"abwesenheit|(nicht im|au(ss|ß)er) (büro|haus)|automatische antwort",
        "German",
    ),
    text(
        AutoReply,
        r"absen(t|ce) du bureau|réponse automatique|message d'absence|en congés?\b",
        "French",
    ),
    text(
        AutoReply,
        r"fuera de (la )?oficina|respuesta autom(á|a)tica|resposta autom(á|a)tica|de vacaciones",
        "Spanish, Portuguese",
    ),
    text(
        AutoReply,
        r"自動(応答|返信|返答)|不在(通知|の(ため|お知らせ)|にして|です)|(休暇|出張|夏季休業|年末年始)(中|のため)|自动回复|자동 ?(응답|회신)",
        "Japanese, Chinese, Korean",
    ),
    // The receiver counts our messages or this mailbox's: before quota and spam wording, which these texts use too.
    text(
        RateLimited,
        r"unusual (rate|amount) of unsolicited|receiving (mail|email|messages) (too quickly|at a rate)|p=receivingrate",
        "Gmail 4.7.28, 4.2.1",
    ),
    text(RateLimited, r"unexpected volume|\[tss0[0-9]\]", "Yahoo defers by volume"),
    text(
        RateLimited,
        r"rate[- ]limit|limit(ed|ing)? (the )?rate|\bratelimit|throttl|frequency limited",
        "Outlook 4.7.65x, QQ and others",
    ),
    text(
        RateLimited,
        r"too many (concurrent |simultaneous |open |smtp |new |invalid |unknown |bad )*(connections?|sessions?|messages?|mails?|e-?mails|recipients?|rcpts?|users?|requests?|errors?)\b",
        "connections, recipients, messages",
    ),
    text(
        RateLimited,
        r"trop de connexions|trop de (messages|destinataires)|zu viele (verbindungen|nachrichten|empf)|sehr viele",
        "Orange and others",
    ),
    text(
        RateLimited,
        r"exceed(s|ed|ing)?\b.*\b((sending|message|mail|email|connection|delivery) (rate|quota)|(messages?|mails?|emails?|recipients?|connections?) (per|an|in an?) (minute|hour|day|connection|session)|(hourly|daily) (limit|quota|number))",
        "counted per hour, day or connection",
    ),
    text(
        RateLimited,
        r"(recipients?|connections?|messages?) (limit|count) (reached|exceeded)|limit on (connections|recipients)|thread limit exceeded|max(imum)? (number of )?(connections|recipients|defers)",
        "limits",
    ),
    text(
        RateLimited,
        r"\b(mi|rp|hl):(cel|qrc|trc|sfq|irc|ccl|rcl|ipr|iso|itc)\b",
        "NetEase counts per address and hour",
    ),
    text(RateLimited, r"送信数の?制限|一度に(大量|多数)", "Japanese"),
    // Sender's own address or host: before the recipient's wording, which these texts share.
    text(
        Policy,
        r"send(er|ing)('s)? (e-?mail )?(address|domain|host|mailbox|id)?( ?<?@?>?:?)? ?(address )?(rejected|denied|refused|does not (exist|resolve)|doesn't (exist|resolve)|not found|is unknown|is invalid|verif|not (exist|verified|allowed|permitted|authori[sz]ed)|unknown)",
        "the sender's address was refused",
    ),
    text(
        Policy,
        r"(invalid|unknown|bad|unresolvable|nonexistent|non-existent|forged) (sender|return path|mail from|reverse-path|envelope from)|verification failed for|callback setup failed|return path .*(not|in)valid|cannot resolve (your|sender) ",
        "same",
    ),
    text(
        Policy,
        r"without a valid sender domain|mail from .* not allowed|domain of sender|sender('s)? (mail ?)?domain",
        "same",
    ),
    // The mailbox is there, but nobody uses it: before full and unknown.
    text(
        InactiveMailbox,
        r"overquotaperm|over ?quota and inactive",
        "Gmail: full for so long that it counts as abandoned",
    ),
    text(
        InactiveMailbox,
        r"p=disableduser|\bdisableduser\b|accountdisabled|mailboxdisabled|mailbox_disabled",
        "Gmail, Exchange",
    ),
    text(
        InactiveMailbox,
        r"(account|mailbox|mail ?box|user|recipient|address|inbox|customer)( <?@?>?)?( has| have| is| was| has been| is currently| is temporarily| currently| temporarily| been| in an?)* ?(disabled|suspended|in-?active|deactivated|de-activated|locked|frozen|closed|terminated|discontinued|dormant|expired|archived|cancell?ed|revoked|not active)\b",
        "disabled, suspended, closed",
    ),
    text(
        InactiveMailbox,
        r"(disabled|suspended|inactive|deactivated|locked|frozen|closed|dormant|expired) (e-?mail |user |mail |recipient )*(account|mailbox|user|recipient|address)\b|blocked (due to|for) inactivity|extended inactivity|not (been )?(active|used|logged|accessed) (for|in|since)",
        "same, the other way round",
    ),
    text(
        InactiveMailbox,
        r"konto (ist )?(gesperrt|deaktiviert)|postfach (ist )?(gesperrt|deaktiviert)|bo(î|i)te .*(archiv|d(é|e)sactiv|suspendu|inacti)|compte .*(suspendu|d(é|e)sactiv|inacti)|cuenta .*(suspendida|desactivada|inactiva)|konto zablokowane|ящик (заблокирован|отключ)|(利用|使用)(停止|制限)|アカウント(は|が)(停止|無効)|(账号|帐号|邮箱)(已)?(被)?(停用|冻结|禁用)",
        "other languages",
    ),
    // The mailbox is full.
    text(
        MailboxFull,
        r"over[- ]?(the |its |his |allotted |disk |storage |allowed )*quota|overquota|quota (is |was |has been )?(exceeded|full|reached)|(exceeded|exceeds|exceeding|beyond|above|out of) (the |its |his |their |your |allowed |disk |user |mail |mailbox |e-?mail |storage )*(quota|storage|allocation)|quotaexceeded",
        "over quota",
    ),
    text(
        MailboxFull,
        r"(mailbox|mail ?box|inbox|maildir|user|account|mail ?folder|recipient)( <?@?>?)?( is| was| are| has| storage)* ?(too |almost |currently |temporarily )?(full|over size|oversize)\b|full mailbox|mailbox (size |storage |quota )(limit |quota )?(is |was |has been )?(exceeded|full|reached)|(size|storage) limit of .*mailbox",
        "mailbox full",
    ),
    text(
        MailboxFull,
        r"(no|not enough|insufficient|out of|lack of) (disk |storage |mailbox |free |more )*(space|storage|room|quota)( left| available)? (for|in|on) (this |the )?(user|mailbox|recipient|account|device for)|not enough storage (space )?available to (deliver|accept)",
        "no room for this user",
    ),
    text(
        MailboxFull,
        r"postfach.*(voll|(ü|ue)berf(ü|ue)llt)|speicherplatz|(bo(î|i)te|bal) .*pleine|quota d(é|e)pass(é|e)|buz(ó|o)n .*lleno|bandeja .*llena|caixa .*(cheia|lotada)|casella .*piena|skrzynka .*(pe(ł|l)na|przepe)|ящик (переполнен|полон)|mailbox vol\b|邮箱(已满|空间不足)|メールボックス.*(いっぱい|満杯|一杯|容量)|容量(が|を)?(いっぱい|超過|オーバー|超え)|受信(箱|ボックス)が(いっぱい|一杯)|편지함.*(가득|초과)",
        "other languages",
    ),
    coded(
        RateLimited,
        &["*.7.*"],
        r"server (is )?(too )?busy",
        "Outlook 4.7.500: busy for this host only",
    ),
    // The name service did not answer: nothing is known about the domain.
    text(
        Routing,
        r"temporary (lookup|name|dns|resolution)|(lookup|resolution|resolve)\b.*\b(temporar|timed? ?out|try again)|host not found, try again|servfail",
        "Postfix and others tell a failed lookup from an absent name",
    ),
    // The domain takes no mail.
    text(
        BadDomain,
        r"null ?mx|domain( \S+)?( that)? (does not|doesn't|do not) (receive|accept) |infodomainnonexistent",
        "RFC 7505; Exchange Online 5.4.312",
    ),
    text(
        BadDomain,
        r"(domain|host)( name)?( <?@?>?| \S+)?( does| do)? ?(not found|not exist|doesn't exist|non-?existent|nonexistent|unknown|is invalid|invalid)\b|(no such|unknown|non-?existent|invalid|bad|bogus|unrouteable|unroutable|unregistered) (mail )?(domain|host|hostname)\b|nxdomain|domain (has |is )?(expired|not registered|no longer|not exist)",
        "the name does not exist",
    ),
    text(
        BadDomain,
        r"host or domain name not found.*host not found\b",
        "Postfix: no such name, or no MX and no address",
    ),
    text(
        BadDomain,
        r"(ドメイン|domain).*(存在しません|見つかりません)|domain unbekannt|domaine (inconnu|inexistant)|dominio (no existe|inexistente)|域名不存在",
        "other languages",
    ),
    // Nobody has this mailbox.
    coded(
        InvalidRecipient,
        &["*.4.1"],
        r"recipient addresse?s? ?rejected ?: ?access denied",
        "Exchange Online's Directory-Based Edge Blocking: not a policy, the mailbox is not in the directory",
    ),
    text(
        InvalidRecipient,
        r"all recipient addresses rejected ?: ?access denied",
        "the same for several recipients",
    ),
    text(
        InvalidRecipient,
        r"p=nosuchuser|recipientnotfound|unknownrecipient|recipient_?not_?exist",
        "Gmail, Exchange",
    ),
    text(
        InvalidRecipient,
        r"(user|recipient|mailbox|mail ?box|account|address|addressee|customer|person|alias|member|subscriber|inbox)( name| id| address| account)?( <?@?>?)?:? ?( is| was| are| has| seems| appears| to be)* ?(an? )?(unknown|not found|not known|invalid|not valid|non-?existent|nonexistent|unrecogni[sz]ed|undefined|no such|not listed|not exist)\b",
        "user unknown and its kin",
    ),
    text(
        InvalidRecipient,
        r"(user|recipient|mailbox|mail ?box|account|address|addressee|person|alias|name|@>?)\b?[^.;]*\b(does not|doesn't|do not|don't|did not|doesnt|no longer|not) (currently )?(exist|exists|existing|valid|in use)\b",
        "does not exist",
    ),
    text(
        InvalidRecipient,
        r"(unknown|invalid|non-?existent|nonexistent|non existing|undefined|unrecogni[sz]ed|no such|not a valid|not a known|bad|wrong|unrouteable|unroutable|undeliverable|non-local|unavailable)( local| email| e-mail| mail| rcpt| destination| to)* ?(users?|recipients?|mailbox|mail ?box|account|address(es)?|addressee|person|alias|rcpt|name)\b",
        "unknown user and its kin",
    ),
    text(
        InvalidRecipient,
        r"no (mailbox|user|account|one|person|recipient|customer)( here)? (here |found |exists |exist )?(by|with|under|at|for|matching) (that|this|the)|(no|not a) mailbox (here|found)|(doesn't|does not) have an? \S* ?(account|mailbox)|not (one of )?our customer|isn't (here|one of)|no longer (here|at this|with (us|the company)|employed|works|an active|available|accepts|accepting)|not (a )?(local|listed|valid) (user|address|mailbox|recipient)|unable to (find|verify|validate) (the )?(user|recipient|mailbox)|could not (find|verify) (the )?(user|recipient|mailbox)",
        "said in other ways",
    ),
    text(
        InvalidRecipient,
        r"unknown in (virtual|local|relay|my)|address unknown|addr(ess)? ?unknown|recipient verify failed|no valid recipients|invalid address|address (rejected|invalid)\.?( \[|\(|$)|not a valid recipient|may contain a non-existent account",
        "Postfix, Cisco, QQ",
    ),
    text(
        InvalidRecipient,
        r"unbekannt(er|e)? (benutzer|empf|adress|nutzer)|(benutzer|empf(ä|ae)nger|adressat|adresse|postfach|nutzer)[^.]*(unbekannt|existiert nicht|nicht (gefunden|vorhanden|bekannt))",
        "German",
    ),
    text(
        InvalidRecipient,
        r"(utilisateur|destinataire|adresse|compte|bo(î|i)te)[^.]*(inconnue?|inexistante?|invalide|n'existe p(as|lus))|(usuario|destinatario|buz(ó|o)n|cuenta|correo|direcci(ó|o)n|usu(á|a)rio|destinat(á|a)rio|conta)[^.]*(desconocid|no existe|inexistente|desconhecid|n(ã|a)o existe|inv(á|a)lid)|(utente|casella|indirizzo)[^.]*(sconosciut|inesistente|non esiste)",
        "French, Spanish, Portuguese, Italian",
    ),
    text(
        InvalidRecipient,
        r"(użytkownik|uzytkownik|adres|skrzynka)[^.]*(nieznany|nie istnieje)|(пользователь|ящик|адрес)[^.]*(не найден|не существует|неизвестен)|нет такого пользователя|uživatel .*neexistuje|(用户|用戶|收件人|邮箱|帐号|账号)(地址)?(不存在|未找到|无效)|(사용자|수신자|메일 ?주소).*(없|존재하지)",
        "Polish, Russian, Czech, Chinese, Korean",
    ),
    text(
        InvalidRecipient,
        r"(宛先|あて先|受信者|ユーザー?|アドレス|メールボックス|アカウント).*(存在しません|存在しない|見つかりません|見つからない|不明|無効|ありません|誤り)|(宛先|ユーザー?|アドレス)不明",
        "Japanese",
    ),
    // Harmful content: before authentication, because signatures of viruses have names like "spoofed domain". A
    // verdict of "spam or virus" is a spam verdict.
    text(
        SpamBlock,
        r"spam or virus|virus or spam|spam/virus|virus/spam",
        "T-Online and others do not tell which",
    ),
    text(Content, r"\bvirus|malware|trojan|\binfected|wirus|ウイルス|ウィルス", "harmful content"),
    // Authentication and host set-up: before spam, because refusals of both kinds say "blocked".
    text(
        Policy,
        r"dmarc|unauthenticated|\bspf\b|\bdkim\b|sender ?id\b|does not (meet|pass) .*authenticat|fail(s|ed|ure)? .*authenticat|authentication (is )?(required|check|failed|information|level|checks)|not authenticated|anti-?spoof|spoof",
        "sender authentication: Gmail 5.7.26, Outlook 5.7.515, Yahoo 5.7.9, Apple",
    ),
    text(
        Policy,
        r"reverse (dns|hostname|host|lookup|name|mapping)|\bptr\b|\brdns\b|helo (command )?(rejected|refused|invalid)|ehlo|(must|need to) (issue|use|support) (a )?(starttls|tls)|starttls|tls (is )?(required|negotiation)|fully-?qualified|generic hostname|dynamic (ip|address|pool|host)",
        "host set-up of the sender",
    ),
    text(
        Policy,
        r"relay(ing)?( mail| access)?( to \S+| for \S+| from \S+)? ?(is |was )?(denied|not (permitted|allowed|supported|authori[sz]ed)|prohibited|refused|disallowed|forbidden)|(unable|not permitted|not allowed|refuse[sd]?|cannot|we do not|not authori[sz]ed) to relay|we do(n't| not) relay|rcpthosts|not (a )?gateway|turn on smtp auth",
        "relaying denied",
    ),
    // What the message carries.
    text(Content, r"phishing|malicious", "harmful links"),
    text(
        Content,
        r"(attachment|file ?type|file ?name|extension|\bzip\b|\bexe(cutable)?\b|macro)s?\b.*(not allowed|not accepted|prohibited|forbidden|reject|refused|block|banned|denied|illegal|encrypted|unsafe)|(prohibited|banned|forbidden|illegal|blocked|unsafe|dangerous|potentially executable|unacceptable|disallowed) (file |mail |message )?(attachment|content type|file|extension)|p=blockedmessage|添付ファイル",
        "attachment refused; Gmail BlockedMessage",
    ),
    text(
        Content,
        r"(not|isn't) rfc ?(2822|5322|822)|rfc ?(2822|5322)[- ]comp|(missing|duplicate|multiple|invalid|malformed|bad|illegal|broken) ((a|the|valid) )*('?(from|to|date|subject|message-id|mime|address)'?:? )?(header|mime|message structure)|(bare|lone) (lf|cr|line ?feed)|message-?id\b.*(missing|invalid|required)|non-?ascii|smtputf8|8bitmime|conversion",
        "form of the message",
    ),
    // Reputation and spam verdicts.
    text(
        SpamBlock,
        r"block(ed|ing)? (using|by|due to|because of|for) (\S+ )?(spam|dnsbl|rbl|\S+\.(org|net|com|de)\b|barracuda|the sender|reputation|black|block|trend|spamhaus|abuse|proofpoint)|blocked using|blocked - see|_is_blocked",
        "block lists by name",
    ),
    text(
        SpamBlock,
        r"black-?list|block-?list|block list|deny ?list|\bdnsbl\b|\brbl\b|\brbl[:=]|\bbl0[0-9]{5}\b|\[bl[0-9]{2}\]|spamhaus|spamcop|sorbs|barracudacentral|barracuda reputation|uceprotect|invaluement|mailspike|senderbase|senderscore|cloudmark|csi\.|sophos|trendmicro|surbl|abusix|abuseat|truncate\.gbudb|ipcheck\.proofpoint|dnsbl-lookup|banned send(er|ing)|on our block|\(s3150\)|\(s3140\)",
        "block lists and reputation services",
    ),
    text(
        SpamBlock,
        r"\bspam(my|ming|mer|s)?\b|antispam|anti-spam|notspam|junk ?mail|\bjunk\b|unsolicited|\bube\b|\buce\b|bulk ?mail|mass ?mail|迷惑メール|スパム|垃圾邮件|спам|pourriel|ind(é|e)sirable|correo no deseado|dt:spm",
        "called spam",
    ),
    text(
        SpamBlock,
        r"(low|poor|bad|negative|no|weak|ip|domain|sender|host|sending|due to|your) reputation|reputation (of|is|score|block|filter|too low|for)|suspicious|user complaints|complaint (rate|level)|too many complaints|abuse (from|reports|detected)|a problem occurred\. \(ask your postmaster|:blocked\)",
        "reputation; T-Online; Barracuda",
    ),
    text(
        SpamBlock,
        r"(message|mail|e-?mail|content|body|subject|link|url)s? (content |body )?(was |has been |is |are |been )*(rejected|blocked|refused|denied|classified|identified|considered|judged|filtered|not accepted|flagged|detected)[^.]* (by|due to|because of|as|for|based on|under) ?(its |the |our |your |a |of |undesirable |inappropriate |objectionable )*(content|filter|heuristic|classification|url|link|fingerprint|cloudmark)|(content|heuristic|keyword|url|body) (filter|filtering|denied|rejected|restriction|scan|block)|mail content denied|content (is |was |has been )?(rejected|blocked|denied|refused|not accepted|unacceptable)",
        "content judged undesirable; SES calls it ContentRejected",
    ),
    text(
        SpamBlock,
        r"(your|client|sending|this|the|source|connecting|remote|mail) (ip|host|server|network|ip address|mail server)[^.]*(blocked|banned|refused|listed|denied|rejected|not welcome)|ip .*\b(is |was |has been )?(blocked|banned|listed)|(blocked|banned|rejected|refused) (ip|host|client|network)|connections? (will )?not (be )?accepted from|all messages from .*(deferred|rejected)|ofr_?5[0-9]{2}|mail (server )?ip .*blocked",
        "the host is blocked",
    ),
    // Size.
    text(
        TooLarge,
        r"(message|mail|e-?mail|content|file|attachment|data|size)( size| file| length)?( is| was| has| of \S+| [0-9]+)* ?(too (large|big|long)|(exceed|larger than|bigger than|over)[a-z]*\b.*\b(limit|maximum|size|max|allowed|kb|mb|bytes))|(exceed|over)[a-z]* (the |fixed |maximum |max |allowed |size |server |server's |recipient |recipient's )*(message |mail |email )?(size|length)|message ?size|size limit|too much (mail )?data|messagetoolarge|(nachricht|mail) (ist )?zu gro|サイズ(が|を|制限)|message trop (gros|volumineux)|demasiado grande",
        "message too large",
    ),
    // Whatever else the receiver refuses on principle.
    text(
        Policy,
        r"polic(y|ies)|prohibit|administrative|not (authori[sz]ed|permitted|allowed)|unauthori[sz]ed|restrict(ed|ion)|permission|access denied|access (to this mail system )?(has been )?(rejected|denied)|denied by|forbidden|refused by|rejected by (recipient|user|administrat|rule)|blocked by (recipient|user|administrat|rule|admin|sender)|only accepts|sendernotauthenticated|受信(を)?拒否|拒否され|指定受信|ポリシー|refus(é|e) par|richtlinie|rechazado por",
        "refused by policy",
    ),
    // The last answer told nothing better, and time ran out.
    text(
        Expired,
        r"message expired|(unable|failed|could not) (to deliver|be delivered|deliver)( it| message)? (in|within|after|for) [0-9]+ ?(minutes|hours|days)|delivery time expired|retry time(out)? (exceeded|not reached)|retry timeout|too (old|long in queue)|delivery (expired|timed out)|queue (lifetime|too long)|time-?to-?live|expired (before|after)|maximum (retry|queue)",
        "retries ended",
    ),
    // On the way.
    text(
        RateLimited,
        r"gr(e|a)y-?(list|lock|trap)",
        "asked to come back later, and it is the sender who decides when",
    ),
    text(
        Routing,
        r"(unable|failed|could not|cannot|can't) (to )?(lookup|look up|resolve|find|connect|route|reach|contact|establish)|(connection|session|host|server|network|conversation|remote|lookup|dns|operation)\b.{0,30}(refused|timed? ?out|reset|lost|dropped|closed|unreachable|failed|failure|aborted|unavailable|not respond|is down)|no (answer|route|mx|response|mail ?hosts?) |no route|mail(er)? loop|loops? back|too many hops|hop ?count|routing loop|loop detected|name service error|dns (error|fail|query|lookup|server|problem)|temporary (lookup|resolution|dns)|bad connection|tls handshake|certificate",
        "DNS, connection, routing, loops",
    ),
    text(
        Routing,
        r"(local|internal|temporary|configuration|system|server|software|storage|database|backend|queue file|i/o|ldap) (problem|error|failure|resources?|configuration|overload|trouble|storage|storage space|issue|write)|insufficient (system|disk|memory)|service (is )?(temporarily )?(not available|unavailable|shutting down|closing)|temporarily (unavailable|deferred|rejected|unable)|try (again )?later|server (is )?(too )?busy|system (is )?(too )?busy|resources (are )?temporarily|out of memory|サーバ.*(エラー|障害|混雑)",
        "trouble of the receiving system",
    ),
    // RFC 5321 gives 550 and 553 this text for a mailbox that is not there; 450 for one that is busy.
    text(
        InvalidRecipient,
        r"^55[0134][ -].*mailbox (is |was |name |currently )*(unavailable|not available|not allowed|syntax incorrect)",
        "the standard's own text; Outlook.com, GMX",
    ),
    text(
        Routing,
        r"^4[0-9]{2}[ -].*mailbox (is |was |currently )*(unavailable|not available|busy|locked)",
        "the standard's own text for a busy mailbox",
    ),
];

/// A row that looks at the enhanced status code alone.
pub(super) struct CodeRule {
    /// The code, as in [`code_matches`].
    pub(super) code: &'static str,
    /// What the cause is if the row matches.
    pub(super) class: BounceClass,
}

const fn code(code: &'static str, class: BounceClass) -> CodeRule {
    CodeRule { code, class }
}

/// Codes that name one cause. Sources: the IANA registry "SMTP Enhanced Status Codes" (RFC 3463, 4954, 5248, 6531,
/// 7293, 7372, 7505), Exchange Online's non-delivery reports, Gmail's "SMTP errors and codes", Yahoo Sender Hub.
pub(super) static EXACT_CODES: &[CodeRule] = &[
    code("5.1.1", InvalidRecipient),
    code("5.1.3", InvalidRecipient),
    code("5.1.4", InvalidRecipient),
    code("5.1.6", InvalidRecipient),
    // Exchange Online: unknown recipient reported by the next server.
    code("5.1.351", InvalidRecipient),
    code("5.1.2", BadDomain),
    code("5.1.10", BadDomain),
    code("5.4.310", BadDomain),
    code("5.7.18", BadDomain),
    // The mailbox changed hands (RFC 7293): whoever asked for the mail is not there any more.
    code("5.7.17", InvalidRecipient),
    code("*.2.1", InactiveMailbox),
    code("*.7.13", InactiveMailbox),
    code("*.2.2", MailboxFull),
    code("*.2.3", TooLarge),
    code("*.3.4", TooLarge),
    code("*.1.7", Policy),
    code("*.1.8", Policy),
    code("*.4.7", Expired),
    code("*.4.300", Expired),
    code("*.5.3", RateLimited),
    code("*.2.122", RateLimited),
    code("*.7.28", RateLimited),
    code("*.7.38", RateLimited),
    code("*.7.511", SpamBlock),
    code("*.7.60?", SpamBlock),
    code("*.7.61?", SpamBlock),
    code("*.7.62?", SpamBlock),
    code("*.7.63?", SpamBlock),
    code("*.7.64?", SpamBlock),
    code("*.7.65?", RateLimited),
    code("*.7.500", RateLimited),
];

/// Codes that name a family of causes: they decide only after a subtype that names one.
pub(super) static FAMILY_CODES: &[CodeRule] = &[
    code("4.1.*", Routing),
    code("*.2.4", Routing),
    code("*.3.1", Routing),
    code("*.3.2", Routing),
    code("*.3.5", Routing),
    code("4.3.*", Routing),
    code("*.4.*", Routing),
    code("*.6.*", Content),
    code("*.7.*", Policy),
];

/// SMTP reply codes that name a cause without an enhanced code (RFC 5321 section 4.2.3; 525 of RFC 5248, 521 and 556 of RFC 7504).
pub(super) static REPLY_CODES: &[(u16, BounceClass)] = &[
    (521, BadDomain),
    (525, InactiveMailbox),
    (552, MailboxFull),
    (556, BadDomain),
    (421, Routing),
    (451, Routing),
];

/// SES subtypes of mail that was not attempted.
pub(super) static ECHO_SUBTYPES: &[&str] = &[
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "Suppressed",
    "EmailValidationSuppressed",
    "UnsubscribedRecipient",
];

/// SES subtypes that name a cause more exactly than a family of codes does.
///
/// `ContentRejected` counts as spam: what receivers refuse for its content without naming an attachment, a virus or a
/// fault of form (the rows above) is refused by a filter's verdict, and the remedy is the same as for spam.
pub(super) static TELLING_SUBTYPES: &[(&str, BounceClass)] = &[
    ("MailboxFull", MailboxFull),
    ("MessageTooLarge", TooLarge),
    ("ContentRejected", SpamBlock),
    ("AttachmentRejected", Content),
    ("CustomTimeoutExceeded", Expired),
];

/// Whether a code fits a pattern: `*` stands for any number, `?` for any digit (`*.7.60?`).
pub(super) fn code_matches(pattern: &str, code: &str) -> bool {
    let mut wanted = pattern.split('.');
    let mut given = code.split('.');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(given)) => {
                if wanted.len() != given.len() {
                    return false;
                }
                for (wanted, given) in wanted.bytes().zip(given.bytes()) {
                    if wanted != given && wanted != b'?' {
                        return false;
                    }
                }
            }
            _ => return false,
        }
    }
}
