//! One line of lower-case text out of whatever form a receiving server's reply arrives in.
//!
//! Owns two invariants. The same reply gives the same line, whether its continuation lines were kept,
//! joined or escaped on the way. And no address is part of the line: `<over.quota@example.com>` says
//! nothing about a quota.

/// Longer diagnostics are judged by their beginning: replies are at most 512 bytes per line (RFC 5321
/// section 4.5.3.1.5), and what follows a few of those is a copy of the message.
const LONGEST_TEXT: usize = 4096;

/// A reply, ready for the rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The reply code and the text: `550 5.1.1 user unknown`. Lower case, single spaces, continuation
    /// marks taken out, addresses replaced by `@`.
    pub(super) line: String,
    /// The SMTP reply code the text starts with (RFC 5321 section 4.2), if it does.
    pub(super) code: Option<u16>,
}

impl Reply {
    /// Reads a diagnostic as given.
    pub(super) fn of(diagnostic: &str) -> Self {
        let text = beginning(diagnostic);
        let text = strip_type(text.trim());
        let mut line = String::with_capacity(text.len());
        let mut head = Head::default();
        for part in text.split(['\n', '\r']) {
            // Some routes escape line ends twice; what is left then is a backslash and a letter.
            for part in part.split("\\n").flat_map(|part| part.split("\\r")) {
                head.start_line();
                for word in part.split_whitespace() {
                    for word in head.without_mark(word) {
                        push_word(&mut line, word);
                    }
                }
                push_word(&mut line, head.held());
            }
        }
        Self { line, code: head.code }
    }
}

fn beginning(text: &str) -> &str {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let mut end = LONGEST_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Takes the diagnostic type of RFC 3464 section 2.3.6 off: `smtp; 550 …`, `x-unix; …`.
fn strip_type(text: &str) -> &str {
    let Some((kind, rest)) = text.split_once(';') else { return text };
    let known = kind.eq_ignore_ascii_case("smtp")
        || kind.eq_ignore_ascii_case("lmtp")
        || kind.eq_ignore_ascii_case("unknown")
        || kind.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
    let token = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if known && token { rest.trim_start() } else { text }
}

/// How the reply began, so that repetitions of it can be told from its text.
///
/// Line ends are lost on some routes, so `550-5.1.1` or `550 5.1.1` in the middle of a line is a mark too.
#[derive(Default)]
struct Head<'a> {
    words: usize,
    starts_line: bool,
    code: Option<u16>,
    /// The reply code as written; empty if the text starts with none.
    digits: &'a str,
    /// The enhanced code behind it; empty if there is none.
    enhanced: &'a str,
    /// A repeated reply code in the middle of a line: part of a mark only if the enhanced code follows.
    held: &'a str,
    /// A repeated reply code at the start of a line was just taken out.
    after_digits: bool,
}

impl<'a> Head<'a> {
    fn start_line(&mut self) {
        self.starts_line = true;
        self.after_digits = false;
    }

    /// What was held back when the line ended.
    fn held(&mut self) -> &'a str {
        std::mem::take(&mut self.held)
    }

    /// The words to keep in place of this one: empty ones for a mark.
    fn without_mark(&mut self, word: &'a str) -> [&'a str; 2] {
        self.words += 1;
        let starts_line = std::mem::take(&mut self.starts_line);
        let after_digits = std::mem::take(&mut self.after_digits);
        let held = self.held();
        if self.words == 1 {
            self.read_code(word);
            return [word, ""];
        }
        if self.digits.is_empty() {
            return [word, ""];
        }
        if self.words == 2 && self.enhanced.is_empty() && is_status_code(word) {
            self.enhanced = word;
            return [word, ""];
        }
        let repeats_enhanced = !self.enhanced.is_empty() && word == self.enhanced;
        if repeats_enhanced && (after_digits || !held.is_empty()) {
            return ["", ""];
        }
        if word == self.digits {
            if starts_line {
                self.after_digits = true;
            } else {
                self.held = word;
            }
            return [held, ""];
        }
        let rest = word.strip_prefix(self.digits).and_then(|rest| rest.strip_prefix('-'));
        match rest {
            Some(rest) => [held, rest.strip_prefix(self.enhanced).unwrap_or(rest)],
            None => [held, word],
        }
    }

    fn read_code(&mut self, word: &'a str) {
        let Some(digits) = word.get(..3) else { return };
        let mark = word.as_bytes().get(3);
        let is_code = digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.starts_with(['2', '4', '5'])
            && matches!(mark, None | Some(b'-'));
        if !is_code {
            return;
        }
        self.code = digits.parse().ok();
        self.digits = digits;
        if let Some(rest) = word.get(4..)
            && is_status_code(rest)
        {
            self.enhanced = rest;
        }
    }
}

fn is_status_code(word: &str) -> bool {
    super::status::text_code(word) == Some(word)
}

/// Adds a word, with its addresses taken out and, if it is the marked first one, the mark too.
fn push_word(line: &mut String, word: &str) {
    if word.is_empty() {
        return;
    }
    if !line.is_empty() {
        line.push(' ');
    }
    let mut rest = word;
    while let Some(at) = memchr::memchr(b'@', rest.as_bytes()) {
        let start = rest[..at].rfind(is_address_end).map_or(0, |end| end + 1);
        let end = rest[at..].find(is_address_end).map_or(rest.len(), |end| at + end);
        push_lower(line, &rest[..start]);
        line.push('@');
        rest = &rest[end..];
    }
    push_lower(line, rest);
}

fn is_address_end(c: char) -> bool {
    matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | ':' | '"' | '\'' | '=')
}

fn push_lower(line: &mut String, text: &str) {
    // A typographic apostrophe is an apostrophe: `doesn’t`.
    if text.is_ascii() {
        for byte in text.bytes() {
            line.push(char::from(byte.to_ascii_lowercase()));
        }
        return;
    }
    for c in text.chars() {
        match c {
            '\u{2019}' => line.push('\''),
            c => line.extend(c.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reply;
    use proptest::prelude::{any, prop_assert, proptest};

    fn line(diagnostic: &str) -> String {
        Reply::of(diagnostic).line
    }

    #[test]
    fn one_reply_gives_one_line_however_its_lines_were_carried() {
        let expected = "550-5.1.1 the account does not exist. please try double-checking it. https://x.example/?p=a ab1 - gsmtp";
        for text in [
            "smtp; 550-5.1.1 The account does not exist. Please try\n550-5.1.1 double-checking it.\n550 5.1.1  https://x.example/?p=a ab1 - gsmtp",
            "550-5.1.1 The account does not exist. Please try\r\n550-5.1.1 double-checking it.\r\n550 5.1.1 https://x.example/?p=a ab1 - gsmtp\r\n",
            "550-5.1.1 The account does not exist. Please try 550-5.1.1 double-checking it. 550 5.1.1 https://x.example/?p=a ab1 - gsmtp",
            "X-Smtp;550-5.1.1 The account does not exist. Please try\\n550-5.1.1 double-checking it.\\r\\n550 5.1.1 https://x.example/?p=a ab1 - gsmtp",
        ] {
            assert_eq!(line(text), expected);
        }
    }

    #[test]
    fn continuation_lines_without_enhanced_codes_are_joined_too() {
        assert_eq!(
            line("554-No SMTP service\n554-Bad DNS PTR resource record.\n554 See us"),
            "554-no smtp service bad dns ptr resource record. see us"
        );
        assert_eq!(line("550 5.1.1 a\n550 5.1.1 b 550"), "550 5.1.1 a b 550");
    }

    #[test]
    fn addresses_are_no_evidence() {
        assert_eq!(line("550 <over.quota@spam.example>: User unknown"), "550 <@>: user unknown");
        assert_eq!(line("550 to=mailbox-full@x.example,b@y.example gone"), "550 to=@,@ gone");
    }

    #[test]
    fn the_reply_code_is_read() {
        assert_eq!(Reply::of("smtp; 452-4.2.2 full").code, Some(452));
        assert_eq!(Reply::of("552 Message too big").code, Some(552));
        assert_eq!(Reply::of("Connection refused 550").code, None);
        assert_eq!(Reply::of("5500 x").code, None);
        assert_eq!(Reply::of("").code, None);
    }

    #[test]
    fn a_semicolon_in_a_reply_is_not_the_end_of_a_type() {
        assert_eq!(
            line("554 Service unavailable; Client host blocked"),
            "554 service unavailable; client host blocked"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let reply = Reply::of(&text);
            prop_assert!(!reply.line.contains(['\n', '\r']));
        }

        #[test]
        fn long_text_is_cut(text in "[aé]{5000,6000}") {
            prop_assert!(Reply::of(&text).line.len() <= super::LONGEST_TEXT);
        }
    }
}
