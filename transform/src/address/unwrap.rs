//! Takes off what stands around an address: types, display names, brackets, comments, white space.
//!
//! Owns one invariant: quoted text is never cut. `"Doe, <John>" <john@example.com>` is one mailbox.

/// The two halves of an address, as given.
pub(super) struct Spec<'a> {
    /// Before the last `@`.
    pub(super) local: &'a str,
    /// After it.
    pub(super) domain: &'a str,
}

/// White space, and what people paste that looks like none: zero-width characters and byte order marks.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Finds the first address in the text.
pub(super) fn address_spec(given: &str) -> Option<Spec<'_>> {
    let text = strip_type(given.trim_matches(is_space));
    let inside = bracketed(text).unwrap_or(text);
    let spec = strip_route(strip_type(strip_comments(inside)));
    let word = strip_apostrophes(first_with_at(spec));
    let at = last_at(word)?;
    let local = strip_comments(word[..at].trim_matches(is_space));
    let domain = strip_comments(word[at + 1..].trim_matches(is_space));
    (!local.is_empty() && !domain.is_empty()).then_some(Spec { local, domain })
}

/// Takes off the address types of RFC 3464 and RFC 6533, and the URL scheme.
fn strip_type(text: &str) -> &str {
    for kind in ["rfc822;", "utf-8;", "mailto:"] {
        if let Some(head) = text.get(..kind.len())
            && head.eq_ignore_ascii_case(kind)
        {
            return text[kind.len()..].trim_start_matches(is_space);
        }
    }
    text
}

/// Takes off the apostrophes that some mail clients put around an address: no domain can end in one.
fn strip_apostrophes(word: &str) -> &str {
    let inside = word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inside.unwrap_or(word)
}

/// Takes off the source route of RFC 5321 appendix C: `@relay.example,@other.example:user@example.com`.
fn strip_route(text: &str) -> &str {
    if !text.starts_with('@') {
        return text;
    }
    match text.split_once(':') {
        Some((_, spec)) => spec.trim_start_matches(is_space),
        None => text,
    }
}

/// Where in a text a byte stands outside quotes and comments.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    quoted: bool,
    depth: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, quoted: false, depth: 0 }
    }
}

/// Yields the places and bytes outside quotes and comments. Only ASCII bytes steer it, so every
/// place is a character boundary for those.
impl Iterator for Scan<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            let place = self.at;
            self.at += 1;
            match byte {
                b'\\' if self.quoted || self.depth > 0 => self.at += 1,
                b'"' if self.depth == 0 => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'(' => self.depth += 1,
                b')' => self.depth = self.depth.saturating_sub(1),
                _ if self.depth > 0 => {}
                _ => return Some((place, byte)),
            }
        }
        None
    }
}

/// What stands in the first pair of angle brackets. Quotes that never close hide no bracket.
fn bracketed(text: &str) -> Option<&str> {
    let open = Scan::new(text).find(|(_, byte)| *byte == b'<').map(|(place, _)| place);
    let open = match open {
        Some(open) => open,
        None if unbalanced(text) => text.rfind('<')?,
        None => return None,
    };
    let inside = &text[open + 1..];
    let close = Scan::new(inside).find(|(_, byte)| *byte == b'>').map(|(place, _)| place);
    let close = close.or_else(|| inside.find('>')).unwrap_or(inside.len());
    Some(inside[..close].trim_matches(is_space))
}

fn unbalanced(text: &str) -> bool {
    let mut scan = Scan::new(text);
    while scan.next().is_some() {}
    scan.quoted || scan.depth > 0
}

/// Takes comments off both ends: `(work) john@example.com (John)`.
fn strip_comments(text: &str) -> &str {
    let mut rest = text.trim_matches(is_space);
    while rest.starts_with('(') {
        match comment_end(rest) {
            Some(end) => rest = rest[end..].trim_start_matches(is_space),
            None => break,
        }
    }
    while rest.ends_with(')') {
        match last_comment(rest) {
            Some(start) => rest = rest[..start].trim_end_matches(is_space),
            None => break,
        }
    }
    rest
}

/// Where the comment the text starts with ends.
fn comment_end(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(place + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the comment the text ends with starts.
fn last_comment(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, byte) in text.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => {
                depth -= 1;
                if depth == 0 {
                    return Some(place);
                }
            }
            _ => {}
        }
    }
    None
}

/// The first word, between white space and separators outside quotes, that holds an `@`.
fn first_with_at(text: &str) -> &str {
    // A space beside the `@` belongs to the address (RFC 5322 allows it there); anywhere else it ends a word.
    let mut start = 0;
    let mut has_at = false;
    for (place, byte) in Scan::new(text) {
        match byte {
            b'@' => has_at = true,
            b',' | b';' => {
                if has_at {
                    return &text[start..place];
                }
                start = place + 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {
                let before = text[start..place].trim_end_matches(is_space);
                let after = text[place..].trim_start_matches(is_space);
                if before.ends_with('@') || after.starts_with('@') {
                    continue;
                }
                if has_at {
                    return &text[start..place];
                }
                start = place + 1;
            }
            _ => {}
        }
    }
    &text[start..]
}

/// The `@` that separates the domain: the last one outside quotes and comments, or just the last one.
fn last_at(word: &str) -> Option<usize> {
    let mut found = None;
    for (place, byte) in Scan::new(word) {
        if byte == b'@' {
            found = Some(place);
        }
    }
    found.or_else(|| word.rfind('@'))
}
