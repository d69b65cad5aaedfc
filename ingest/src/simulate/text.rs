//! Writing JSON, base64 and timestamps into a byte buffer without intermediate values.
//!
//! Owns the invariant that every string that goes into a document is escaped (RFC 8259 section 7).

use std::fmt::Write as _;

/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;
/// Milliseconds of an hour.
pub(super) const HOUR: i64 = 3_600_000;
/// Milliseconds of a minute.
pub(super) const MINUTE: i64 = 60_000;
/// Milliseconds of a second.
pub(super) const SECOND: i64 = 1_000;

/// Writes JSON into a buffer that is reused from document to document.
pub(super) struct Pen<'a> {
    out: &'a mut Vec<u8>,
    /// Everything beyond ASCII as escapes of UTF-16 code units (RFC 8259, section 7), as many serialisers do.
    ascii: bool,
}

impl<'a> Pen<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, ascii: bool) -> Self {
        Self { out, ascii }
    }

    /// Text that is JSON already.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A JSON string.
    pub(super) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        self.escaped(text);
        self.out.push(b'"');
    }

    /// The inside of a JSON string.
    pub(super) fn escaped(&mut self, text: &str) {
        if self.ascii && !text.is_ascii() {
            put_escaped_ascii(self.out, text);
        } else {
            put_escaped(self.out, text.as_bytes());
        }
    }

    /// `"name":"value"`, where `name` needs no escaping.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    /// `"name":`, where `name` needs no escaping.
    pub(super) fn name(&mut self, name: &str) {
        self.out.push(b'"');
        self.raw(name);
        self.raw("\":");
    }

    pub(super) fn number(&mut self, value: i64) {
        put_number(self.out, value);
    }

    /// `"2026-09-01T01:02:03.456Z"` from milliseconds since the epoch.
    pub(super) fn instant(&mut self, millis: i64) {
        self.out.push(b'"');
        put_instant(self.out, millis);
        self.out.push(b'"');
    }

    pub(super) fn hex(&mut self, value: u64, digits: u32) {
        put_hex(self.out, value, digits);
    }

    /// A random-looking UUID, version 4 by its digits, without quotes.
    pub(super) fn uuid(&mut self, high: u64, low: u64) {
        self.hex(high >> 32, 8);
        self.raw("-");
        self.hex((high >> 16) & 0xFFFF, 4);
        self.raw("-4");
        self.hex(high & 0xFFF, 3);
        self.raw("-");
        self.hex(0x8000 | ((low >> 48) & 0x3FFF), 4);
        self.raw("-");
        self.hex(low & 0xFFFF_FFFF_FFFF, 12);
    }
}

pub(super) fn put_number(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The `digits` lowest hexadecimal digits of `value`.
pub(super) fn put_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[((value >> (place * 4)) & 0xF) as usize]);
    }
}

/// Escapes `bytes` (UTF-8) for the inside of a JSON string; a whole document may be put into a
/// string this way.
pub(super) fn put_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| NEEDS_ESCAPE[usize::from(*byte)]) {
        out.extend_from_slice(&rest[..at]);
        put_escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

const NEEDS_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            put_hex(out, u64::from(byte), 2);
        }
    }
}

fn put_escaped_ascii(out: &mut Vec<u8>, text: &str) {
    for letter in text.chars() {
        if letter.is_ascii() {
            if NEEDS_ESCAPE[letter as usize] {
                put_escape(out, letter as u8);
            } else {
                out.push(letter as u8);
            }
            continue;
        }
        let mut units = [0_u16; 2];
        for unit in letter.encode_utf16(&mut units) {
            out.extend_from_slice(b"\\u");
            put_hex(out, u64::from(*unit), 4);
        }
    }
}

/// Base64 with padding (RFC 4648 section 4).
pub(super) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let second = group.get(1).copied().unwrap_or(0);
        let third = group.get(2).copied().unwrap_or(0);
        let bits = u32::from(group[0]) << 16 | u32::from(second) << 8 | u32::from(third);
        let sextet = |shift: u32| ALPHABET[((bits >> shift) & 0x3F) as usize];
        out.push(sextet(18));
        out.push(sextet(12));
        out.push(if group.len() > 1 { sextet(6) } else { b'=' });
        out.push(if group.len() > 2 { sextet(0) } else { b'=' });
    }
}

/// An encoded header value (RFC 2047), as a mail program writes what is not ASCII: words of at most
/// 75 characters, cut between characters.
pub(super) fn encoded_words(text: &str, into: &mut String) {
    let mut bytes = Vec::with_capacity(80);
    let mut start = 0;
    while start < text.len() {
        let mut end = (start + 45).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if start > 0 {
            into.push(' ');
        }
        bytes.clear();
        put_base64(&mut bytes, &text.as_bytes()[start..end]);
        into.push_str("=?UTF-8?B?");
        into.extend(bytes.iter().map(|byte| char::from(*byte)));
        into.push_str("?=");
        start = end;
    }
}

/// Year, month and day of a day number since 1970-01-01, Gregorian calendar.
pub(super) fn civil(day: i64) -> (i64, i64, i64) {
    // Years are counted from March so that the leap day is the last of its year.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

fn put_padded(out: &mut Vec<u8>, value: i64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

fn put_to_the_second(out: &mut Vec<u8>, millis: i64) {
    let (year, month, day) = civil(millis.div_euclid(DAY));
    let of_day = millis.rem_euclid(DAY);
    put_padded(out, year, 4);
    out.push(b'-');
    put_padded(out, month, 2);
    out.push(b'-');
    put_padded(out, day, 2);
    out.push(b'T');
    put_padded(out, of_day / HOUR, 2);
    out.push(b':');
    put_padded(out, of_day / MINUTE % 60, 2);
    out.push(b':');
    put_padded(out, of_day / SECOND % 60, 2);
}

/// `2026-09-01T01:02:03.456Z` from milliseconds since the epoch.
pub(super) fn put_instant(out: &mut Vec<u8>, millis: i64) {
    put_to_the_second(out, millis);
    out.push(b'.');
    put_padded(out, millis.rem_euclid(SECOND), 3);
    out.push(b'Z');
}

/// `2026-09-01T01:02:03Z` from milliseconds since the epoch.
pub(super) fn put_second(out: &mut Vec<u8>, millis: i64) {
    put_to_the_second(out, millis);
    out.push(b'Z');
}

/// `Tue, 1 Sep 2026 01:02:03 +0000`, the Date header of RFC 5322.
pub(super) fn mail_date(millis: i64, into: &mut String) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let day_number = millis.div_euclid(DAY);
    let (year, month, day) = civil(day_number);
    let of_day = millis.rem_euclid(DAY);
    let weekday = DAYS[day_number.rem_euclid(7) as usize];
    let month = MONTHS[(month - 1) as usize];
    let (hour, minute, second) = (of_day / HOUR, of_day / MINUTE % 60, of_day / SECOND % 60);
    // Writing into a String cannot fail.
    let _ = write!(into, "{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_agree_with_the_calendar() {
        assert_eq!(written(|out| put_instant(out, 0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(|out| put_instant(out, 1_788_220_800_123)), "2026-09-01T00:00:00.123Z");
        for millis in [951_782_399_999, 951_868_800_000, 1_709_164_800_000, 4_102_444_799_000] {
            let expected = jiff::Timestamp::from_millisecond(millis).unwrap();
            let text: jiff::Timestamp = written(|out| put_instant(out, millis)).parse().unwrap();
            assert_eq!(text, expected);
        }
        let mut date = String::new();
        mail_date(1_788_220_800_000, &mut date);
        assert_eq!(date, "Tue, 1 Sep 2026 00:00:00 +0000");
    }

    #[test]
    fn strings_come_back_from_a_json_parser_as_they_were() {
        let hard = "quote \" back \\ line\nfeed\r\t\u{1} 日本語 ✈️ 😀 é";
        for ascii in [false, true] {
            let text = written(|out| Pen::new(out, ascii).string(hard));
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hard);
            assert!(!ascii || text.is_ascii());
        }
    }

    #[test]
    fn base64_matches_the_examples_of_rfc_4648() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(written(|out| put_base64(out, plain.as_bytes())), coded);
        }
    }

    #[test]
    fn numbers_have_all_their_digits() {
        for value in [0, 7, -12, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| put_number(out, value)), value.to_string());
        }
    }
}
