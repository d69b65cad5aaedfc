//! Texts about the mailbox or its domain: unused, full, not there.
//!
//! Part of the table in [`super::TEXT_TABLES`], whose rules of order hold here too.

use hearback_schemas::BounceClass::{
    BadDomain, InactiveMailbox, InvalidRecipient, MailboxFull, Routing,
};

use super::{TextRule, coded, text};

pub(super) static RECIPIENT: &[TextRule] = &[
    // The mailbox is there, but nobody uses it: before full and unknown.
    text(
        InactiveMailbox,
        &[r"overquotaperm", r"over ?quota and inactive"],
        "Gmail: full for so long that it counts as abandoned",
    ),
    text(
        InactiveMailbox,
        &[
            r"p=disableduser",
            r"\bdisableduser\b",
            r"accountdisabled",
            r"mailboxdisabled",
            r"mailbox_disabled",
        ],
        "Gmail, Exchange",
    ),
    text(
        InactiveMailbox,
        &[
            r"(account|mailbox|mail ?box|user|recipient|address|inbox|customer)( <?@?>?)?( has| have| is| was| has been| is currently| is temporarily| currently| temporarily| been| in an?)* ?(disabled|suspended|in-?active|deactivated|de-activated|locked|frozen|closed|terminated|discontinued|dormant|expired|archived|cancell?ed|revoked|not active)\b",
        ],
        "disabled, suspended, closed",
    ),
    text(
        InactiveMailbox,
        &[
            r"(disabled|suspended|inactive|deactivated|locked|frozen|closed|dormant|expired) (e-?mail |user |mail |recipient )*(account|mailbox|user|recipient|address)\b",
            r"blocked (due to|for) inactivity",
            r"extended inactivity",
            r"not (been )?(active|used|logged|accessed) (for|in|since)",
        ],
        "same, the other way round",
    ),
    text(
        InactiveMailbox,
        &[
            r"konto (ist )?(gesperrt|deaktiviert)",
            r"postfach (ist )?(gesperrt|deaktiviert)",
            r"bo(î|i)te .*(archiv|d(é|e)sactiv|suspendu|inacti)",
            r"compte .*(suspendu|d(é|e)sactiv|inacti)",
            r"cuenta .*(suspendida|desactivada|inactiva)",
            r"konto zablokowane",
            r"ящик (заблокирован|отключ)",
            r"(利用|使用)(停止|制限)",
            r"アカウント(は|が)(停止|無効)",
            r"(账号|帐号|邮箱)(已)?(被)?(停用|冻结|禁用)",
        ],
        "other languages",
    ),
    // The mailbox is full.
    text(
        MailboxFull,
        &[
            r"over[- ]?(the |its |his |allotted |disk |storage |allowed )*quota",
            r"overquota",
            r"quota (is |was |has been )?(exceeded|full|reached)",
            r"(exceeded|exceeds|exceeding|beyond|above|out of) (the |its |his |their |your |allowed |disk |user |mail |mailbox |e-?mail |storage )*(quota|storage|allocation)",
            r"quotaexceeded",
        ],
        "over quota",
    ),
    text(
        MailboxFull,
        &[
            r"(mailbox|mail ?box|inbox|maildir|user|account|mail ?folder|recipient)( <?@?>?)?( is| was| are| has| storage)* ?(too |almost |currently |temporarily )?(full|over size|oversize)\b",
            r"full mailbox",
            r"mailbox (size |storage |quota )(limit |quota )?(is |was |has been )?(exceeded|full|reached)",
            r"(size|storage) limit of .*mailbox",
        ],
        "mailbox full",
    ),
    text(
        MailboxFull,
        &[
            r"(no|not enough|insufficient|out of|lack of) (disk |storage |mailbox |free |more )*(space|storage|room|quota)( left| available)? (for|in|on) (this |the )?(user|mailbox|recipient|account|device for)",
            r"not enough storage (space )?available to (deliver|accept)",
        ],
        "no room for this user",
    ),
    text(
        MailboxFull,
        &[
            r"postfach.*(voll|(ü|ue)berf(ü|ue)llt)",
            r"speicherplatz",
            r"(bo(î|i)te|bal) .*pleine",
            r"quota d(é|e)pass(é|e)",
            r"buz(ó|o)n .*lleno",
            r"bandeja .*llena",
            r"caixa .*(cheia|lotada)",
            r"casella .*piena",
            r"skrzynka .*(pe(ł|l)na|przepe)",
            r"ящик (переполнен|полон)",
            r"mailbox vol\b",
            r"邮箱(已满|空间不足)",
            r"メールボックス.*(いっぱい|満杯|一杯|容量)",
            r"容量(が|を)?(いっぱい|超過|オーバー|超え)",
            r"受信(箱|ボックス)が(いっぱい|一杯)",
            r"편지함.*(가득|초과)",
        ],
        "other languages",
    ),
    // The name service did not answer: nothing is known about the domain.
    text(
        Routing,
        &[
            r"temporary (lookup|name|dns|resolution)",
            r"(lookup|resolution|resolve)\b.*\b(temporar|timed? ?out|try again)",
            r"host not found, try again",
            r"servfail",
        ],
        "Postfix and others tell a failed lookup from an absent name",
    ),
    // The domain takes no mail.
    text(
        BadDomain,
        &[
            r"null ?mx",
            r"domain( \S+)?( that)? (does not|doesn't|do not) (receive|accept) ",
            r"infodomainnonexistent",
        ],
        "RFC 7505; Exchange Online 5.4.312",
    ),
    text(
        BadDomain,
        &[
            r"(domain|host)( name)?( <?@?>?| \S+)?( does| do)? ?(not found|not exist|doesn't exist|non-?existent|nonexistent|unknown|is invalid|invalid)\b",
            r"(no such|unknown|non-?existent|invalid|bad|bogus|unrouteable|unroutable|unregistered) (mail )?(domain|host|hostname)\b",
            r"nxdomain",
            r"domain (has |is )?(expired|not registered|no longer|not exist)",
        ],
        "the name does not exist",
    ),
    text(
        BadDomain,
        &[r"host or domain name not found.*host not found\b"],
        "Postfix: no such name, or no MX and no address",
    ),
    text(
        BadDomain,
        &[
            r"(ドメイン|domain).*(存在しません|見つかりません)",
            r"domain unbekannt",
            r"domaine (inconnu|inexistant)",
            r"dominio (no existe|inexistente)",
            r"域名不存在",
        ],
        "other languages",
    ),
    // Nobody has this mailbox.
    coded(
        InvalidRecipient,
        &["*.4.1"],
        &[r"recipient addresse?s? ?rejected ?: ?access denied"],
        "Exchange Online's Directory-Based Edge Blocking: not a policy, the mailbox is not in the directory",
    ),
    text(
        InvalidRecipient,
        &[r"all recipient addresses rejected ?: ?access denied"],
        "the same for several recipients",
    ),
    text(
        InvalidRecipient,
        &[r"p=nosuchuser", r"recipientnotfound", r"unknownrecipient", r"recipient_?not_?exist"],
        "Gmail, Exchange",
    ),
    text(
        InvalidRecipient,
        &[
            r"(user|recipient|mailbox|mail ?box|account|address|addressee|customer|person|alias|member|subscriber|inbox)( name| id| address| account)?( <?@?>?)?:? ?( is| was| are| has| seems| appears| to be)* ?(an? )?(unknown|not found|not known|invalid|not valid|non-?existent|nonexistent|unrecogni[sz]ed|undefined|no such|not listed|not exist)\b",
        ],
        "user unknown and its kin",
    ),
    text(
        InvalidRecipient,
        &[
            r"(user|recipient|mailbox|mail ?box|account|address|addressee|person|alias|name|@>?)\b?[^.;]*\b(does not|doesn't|do not|don't|did not|doesnt|no longer|not) (currently )?(exist|exists|existing|valid|in use)\b",
        ],
        "does not exist",
    ),
    text(
        InvalidRecipient,
        &[
            r"(unknown|invalid|non-?existent|nonexistent|non existing|undefined|unrecogni[sz]ed|no such|not a valid|not a known|bad|wrong|unrouteable|unroutable|undeliverable|non-local|unavailable)( local| email| e-mail| mail| rcpt| destination| to)* ?(users?|recipients?|mailbox|mail ?box|account|address(es)?|addressee|person|alias|rcpt|name)\b",
        ],
        "unknown user and its kin",
    ),
    text(
        InvalidRecipient,
        &[
            r"no (mailbox|user|account|one|person|recipient|customer)( here)? (here |found |exists |exist )?(by|with|under|at|for|matching) (that|this|the)",
            r"(no|not a) mailbox (here|found)",
            r"(doesn't|does not) have an? \S* ?(account|mailbox)",
            r"not (one of )?our customer",
            r"isn't (here|one of)",
            r"no longer (here|at this|with (us|the company)|employed|works|an active|available|accepts|accepting)",
            r"not (a )?(local|listed|valid) (user|address|mailbox|recipient)",
            r"unable to (find|verify|validate) (the )?(user|recipient|mailbox)",
            r"could not (find|verify) (the )?(user|recipient|mailbox)",
        ],
        "said in other ways",
    ),
    text(
        InvalidRecipient,
        &[
            r"unknown in (virtual|local|relay|my)",
            r"address unknown",
            r"addr(ess)? ?unknown",
            r"recipient verify failed",
            r"no valid recipients",
            r"invalid address",
            r"address (rejected|invalid)\.?( \[|\(|$)",
            r"not a valid recipient",
            r"may contain a non-existent account",
        ],
        "Postfix, Cisco, QQ",
    ),
    text(
        InvalidRecipient,
        &[
            r"unbekannt(er|e)? (benutzer|empf|adress|nutzer)",
            r"(benutzer|empf(ä|ae)nger|adressat|adresse|postfach|nutzer)[^.]*(unbekannt|existiert nicht|nicht (gefunden|vorhanden|bekannt))",
        ],
        "German",
    ),
    text(
        InvalidRecipient,
        &[
            r"(utilisateur|destinataire|adresse|compte|bo(î|i)te)[^.]*(inconnue?|inexistante?|invalide|n'existe p(as|lus))",
            r"(usuario|destinatario|buz(ó|o)n|cuenta|correo|direcci(ó|o)n|usu(á|a)rio|destinat(á|a)rio|conta)[^.]*(desconocid|no existe|inexistente|desconhecid|n(ã|a)o existe|inv(á|a)lid)",
            r"(utente|casella|indirizzo)[^.]*(sconosciut|inesistente|non esiste)",
        ],
        "French, Spanish, Portuguese, Italian",
    ),
    text(
        InvalidRecipient,
        &[
            r"(użytkownik|uzytkownik|adres|skrzynka)[^.]*(nieznany|nie istnieje)",
            r"(пользователь|ящик|адрес)[^.]*(не найден|не существует|неизвестен)",
            r"нет такого пользователя",
            r"uživatel .*neexistuje",
            r"(用户|用戶|收件人|邮箱|帐号|账号)(地址)?(不存在|未找到|无效)",
            r"(사용자|수신자|메일 ?주소).*(없|존재하지)",
        ],
        "Polish, Russian, Czech, Chinese, Korean",
    ),
    text(
        InvalidRecipient,
        &[
            r"(宛先|あて先|受信者|ユーザー?|アドレス|メールボックス|アカウント).*(存在しません|存在しない|見つかりません|見つからない|不明|無効|ありません|誤り)",
            r"(宛先|ユーザー?|アドレス)不明",
        ],
        "Japanese",
    ),
];
