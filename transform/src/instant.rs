//! Timestamps as the services spell them, as microseconds since 1970-01-01 UTC.
//!
//! Owns one invariant: one instant gives one number, whatever its spelling, so identities made of
//! times agree across dialects. Fractions finer than a microsecond are cut off, never rounded up
//! into the next second (or day, or partition).

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// 9999-12-31T23:59:59 UTC in seconds: nothing later has a four-digit year.
const LAST_SECOND: i64 = 253_402_300_799;

/// Numbers from here on are milliseconds: as seconds they would lie after the year 5138, as
/// milliseconds they start in March 1973.
const FIRST_MILLIS: i64 = 100_000_000_000;

/// Reads a timestamp; `None` if the text isn't one.
///
/// Understood are RFC 3339 with any number of fraction digits, with a space for the `T` and small
/// letters, ISO 8601 offsets without a colon or without minutes or behind a space (`+0000`, as some SES
/// feedback documentation has it), the same without an offset (taken as UTC), RFC 5322 dates
/// (`Fri, 05 Mar 2022 15:55:53 +0000`), and epoch seconds or milliseconds in digits, whole or with
/// a fraction. Years run from 0001 to 9999. A leap second becomes the last microsecond before it.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if let Some(micros) = parse_utc_millis(bytes) {
        return Some(micros);
    }
    let bytes = bytes.trim_ascii();
    let first = *bytes.first()?;
    if first.is_ascii_alphabetic() {
        return parse_rfc5322(bytes);
    }
    if bytes.get(4) == Some(&b'-') {
        return parse_iso(bytes);
    }
    if bytes.contains(&b':') {
        return parse_rfc5322(bytes);
    }
    parse_epoch(bytes)
}

/// `2022-03-05T15:55:53.969Z`, which is nearly every timestamp there is: eight bytes at a time.
fn parse_utc_millis(bytes: &[u8]) -> Option<i64> {
    const YEAR_MONTH: Form = Form::of(b"0000-00-");
    const DAY_MINUTE: Form = Form::of(b"00T00:00");
    const SECOND_MILLI: Form = Form::of(b":00.000Z");
    let (words, []) = bytes.as_chunks::<8>() else { return None };
    let [first, second, third] = words else { return None };
    let year_month = YEAR_MONTH.digits(first)?;
    let day_minute = DAY_MINUTE.digits(second)?;
    let second_milli = SECOND_MILLI.digits(third)?;
    let year_month_pairs = pairs(year_month);
    let day_minute = pairs(day_minute);
    let second_milli_pairs = pairs(second_milli);
    let civil = Civil {
        year: byte(year_month_pairs, 0) * 100 + byte(year_month_pairs, 2),
        month: byte(year_month_pairs, 5),
        day: byte(day_minute, 0),
        hour: byte(day_minute, 3),
        minute: byte(day_minute, 6),
        second: byte(second_milli_pairs, 1),
        micros: (byte(second_milli_pairs, 4) * 10 + byte(second_milli, 6)) * 1000,
    };
    instant(civil, 0)
}

/// What eight bytes have to look like.
struct Form {
    /// The bytes, with `0` for any digit.
    bytes: u64,
    /// Six where a digit stands.
    six: u64,
    /// Bits that must not be set: where a digit stands, those of sixteen and more.
    never: u64,
}

impl Form {
    const fn of(form: &[u8; 8]) -> Self {
        let (mut six, mut never) = ([0; 8], [0xff; 8]);
        let mut place = 0;
        while place < 8 {
            if form[place] == b'0' {
                (six[place], never[place]) = (6, 0xf0);
            }
            place += 1;
        }
        Self {
            bytes: u64::from_le_bytes(*form),
            six: u64::from_le_bytes(six),
            never: u64::from_le_bytes(never),
        }
    }

    /// The values of the digits, each in its byte; all other bytes are zero.
    #[inline]
    fn digits(&self, bytes: &[u8; 8]) -> Option<u64> {
        // A digit differs from `0` by its value, and six more than that is still below sixteen.
        let digits = u64::from_le_bytes(*bytes) ^ self.bytes;
        let beyond = digits | digits.wrapping_add(self.six);
        (beyond & self.never == 0).then_some(digits)
    }
}

/// For each byte of digits the number of two digits that begins there.
#[inline]
fn pairs(digits: u64) -> u64 {
    // No byte is above nine, so none reaches into the next.
    digits * 10 + (digits >> 8)
}

#[inline]
fn byte(word: u64, place: u32) -> u32 {
    (word >> (8 * place)) as u32 & 0xff
}

/// A date and a time of day as written, not yet checked.
#[derive(Clone, Copy)]
struct Civil {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
}

/// Checks the fields against the calendar and takes the offset (seconds east of UTC) off.
#[inline]
fn instant(civil: Civil, offset_seconds: i64) -> Option<i64> {
    let Civil { year, month, day, hour, minute, mut second, mut micros } = civil;
    if year == 0 || year > 9999 || !(1..=12).contains(&month) || day == 0 || day > 31 {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if day > 28 && day > days_in_month(year, month) {
        return None;
    }
    if second == 60 {
        second = 59;
        micros = 999_999;
    }
    let days = days_since_epoch(year, month, day);
    let seconds =
        days * SECONDS_PER_DAY + i64::from(hour * 3600 + minute * 60 + second) - offset_seconds;
    Some(seconds * MICROS_PER_SECOND + i64::from(micros))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days between 1970-01-01 and a date of the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year.
fn days_since_epoch(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    i64::from(days) - 719_468
}

/// A cursor over ASCII text.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    /// Exactly `width` digits (at most nine, so the number fits).
    fn digits(&mut self, width: usize) -> Option<u32> {
        let (number, rest) = self.rest.split_at_checked(width)?;
        self.rest = rest;
        let mut value = 0;
        for byte in number {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u32::from(byte - b'0');
        }
        Some(value)
    }

    fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn word(&mut self) -> &[u8] {
        let end = self
            .rest
            .iter()
            .position(|byte| !byte.is_ascii_alphabetic())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// The digits after a decimal point, cut to microseconds. At least one is required.
    fn fraction(&mut self) -> Option<u32> {
        let end =
            self.rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest.len());
        if end == 0 {
            return None;
        }
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        let mut micros = 0;
        for place in 0..6 {
            let digit = digits.get(place).map_or(0, |byte| u32::from(byte - b'0'));
            micros = micros * 10 + digit;
        }
        Some(micros)
    }

    /// `+09:00`, `-0700`, `+09`: seconds east of UTC.
    fn numeric_offset(&mut self) -> Option<i64> {
        let sign = if self.eat(b'+') {
            1
        } else if self.eat(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.digits(2)?;
        let colon = self.eat(b':');
        let more = colon || self.rest.first().is_some_and(u8::is_ascii_digit);
        let minutes = if more { self.digits(2)? } else { 0 };
        if hours > 23 || minutes > 59 {
            return None;
        }
        Some(sign * i64::from(hours * 3600 + minutes * 60))
    }
}

fn parse_iso(bytes: &[u8]) -> Option<i64> {
    let mut cursor = Cursor { rest: bytes };
    let year = cursor.digits(4)?;
    let dashed = cursor.eat(b'-');
    let month = cursor.digits(2)?;
    let dashed = dashed && cursor.eat(b'-');
    let day = cursor.digits(2)?;
    if !dashed || !(cursor.eat(b'T') || cursor.eat(b't') || cursor.eat(b' ')) {
        return None;
    }
    let (hour, minute, second) = clock(&mut cursor)?;
    let micros = if cursor.eat(b'.') || cursor.eat(b',') { cursor.fraction()? } else { 0 };
    cursor.skip_spaces();
    let offset = if cursor.rest.is_empty() || cursor.eat(b'Z') || cursor.eat(b'z') {
        0
    } else if cursor.rest.eq_ignore_ascii_case(b"utc") {
        cursor.rest = &[];
        0
    } else {
        cursor.numeric_offset()?
    };
    if !cursor.rest.is_empty() {
        return None;
    }
    instant(Civil { year, month, day, hour, minute, second, micros }, offset)
}

/// `15:55:53`, or `15:55`, which both standards allow.
fn clock(cursor: &mut Cursor<'_>) -> Option<(u32, u32, u32)> {
    let hour = cursor.digits(2)?;
    if !cursor.eat(b':') {
        return None;
    }
    let minute = cursor.digits(2)?;
    let second = if cursor.eat(b':') { cursor.digits(2)? } else { 0 };
    Some((hour, minute, second))
}

/// `Fri, 05 Mar 2022 15:55:53 +0000 (UTC)`: RFC 5322 section 3.3, with the zone names of 4.3.
///
/// The day of the week is read over: where it contradicts the date, the date is right.
fn parse_rfc5322(bytes: &[u8]) -> Option<i64> {
    let mut cursor = Cursor { rest: bytes };
    if !cursor.word().is_empty() {
        cursor.eat(b',');
        cursor.skip_spaces();
    }
    let width = if cursor.rest.get(1).is_some_and(u8::is_ascii_digit) { 2 } else { 1 };
    let day = cursor.digits(width)?;
    cursor.skip_spaces();
    let month = month_number(cursor.word())?;
    cursor.skip_spaces();
    let year = cursor.digits(4)?;
    cursor.skip_spaces();
    let (hour, minute, second) = clock(&mut cursor)?;
    cursor.skip_spaces();
    let offset = if matches!(cursor.rest.first(), Some(b'+' | b'-')) {
        cursor.numeric_offset()?
    } else {
        named_zone(cursor.word())?
    };
    cursor.skip_spaces();
    let comment = cursor.rest.starts_with(b"(") && cursor.rest.ends_with(b")");
    if !cursor.rest.is_empty() && !comment {
        return None;
    }
    instant(Civil { year, month, day, hour, minute, second, micros: 0 }, offset)
}

fn month_number(name: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let mut number = 0;
    for month in NAMES {
        number += 1;
        if name.eq_ignore_ascii_case(month) {
            return Some(number);
        }
    }
    None
}

/// Seconds east of UTC of the zones RFC 5322 section 4.3 names.
fn named_zone(name: &[u8]) -> Option<i64> {
    let hours = match name.to_ascii_uppercase().as_slice() {
        b"GMT" | b"UT" | b"UTC" | b"Z" => 0,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => return None,
    };
    Some(hours * 3600)
}

/// Epoch seconds or milliseconds: `1646495753`, `1646495753.969`, `1646495753969`, `1.646E9`.
fn parse_epoch(bytes: &[u8]) -> Option<i64> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at(end);
    // More digits than this are no instant before the year 10000, in milliseconds either.
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut cursor = Cursor { rest };
    let fraction = if cursor.eat(b'.') { cursor.fraction()? } else { 0 };
    if !cursor.rest.is_empty() {
        return parse_exponent(bytes);
    }
    let mut whole = 0_i64;
    for byte in digits {
        whole = whole * 10 + i64::from(byte - b'0');
    }
    if whole < FIRST_MILLIS {
        return Some(whole * MICROS_PER_SECOND + i64::from(fraction));
    }
    if whole / 1000 > LAST_SECOND {
        return None;
    }
    Some(whole * 1000 + i64::from(fraction / 1000))
}

/// Numbers some JSON writers put in scientific notation.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // bounded right before
fn parse_exponent(bytes: &[u8]) -> Option<i64> {
    if !bytes.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return None;
    }
    let number: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    if !(0.0..LAST_SECOND as f64 * 1000.0).contains(&number) {
        return None;
    }
    if number < FIRST_MILLIS as f64 {
        Some((number * 1e6) as i64)
    } else {
        Some((number * 1e3) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_iso, parse_timestamp, parse_utc_millis};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    /// 2022-03-05T15:55:53Z.
    const SECOND: i64 = 1_646_495_753_000_000;

    #[test]
    fn every_spelling_of_one_instant_gives_one_number() {
        for text in [
            "2022-03-05T15:55:53.969Z",
            "2022-03-05t15:55:53.969z",
            "2022-03-05 15:55:53.969Z",
            "2022-03-05T15:55:53.969",
            "2022-03-05 15:55:53.969 UTC",
            "2022-03-05T15:55:53.969000Z",
            "2022-03-05T15:55:53.96900000000000Z",
            "2022-03-05T15:55:53,969Z",
            "2022-03-06T00:55:53.969+09:00",
            "2022-03-05T08:55:53.969-0700",
            "2022-03-05T08:55:53.969-07",
            "2022-03-05T15:55:53.969 +0000",
            " 2022-03-05T15:55:53.969Z\n",
            "1646495753969",
            "1646495753.969",
            "1646495753969.0",
        ] {
            assert_eq!(parse_timestamp(text), Some(SECOND + 969_000), "{text}");
        }
    }

    #[test]
    fn spellings_without_a_fraction() {
        for text in [
            "2022-03-05T15:55:53Z",
            "2022-03-05T15:55:53 +0000",
            "2022-03-05T18:55:53+03:00",
            "Fri, 05 Mar 2022 15:55:53 +0000",
            "Sat, 5 Mar 2022 15:55:53 GMT",
            "5 Mar 2022 10:55:53 EST",
            "Sat, 05 Mar 2022 07:55:53 -0800 (PST)",
            "Sat,  5 Mar 2022 15:55:53 +0000 (Coordinated Universal Time)",
            "1646495753",
            "1646495753000",
            "1.646495753E9",
            "1.646495753e12",
        ] {
            assert_eq!(parse_timestamp(text), Some(SECOND), "{text}");
        }
        assert_eq!(parse_timestamp("2022-03-05T15:55Z"), Some(SECOND - 53_000_000));
    }

    #[test]
    fn fractions_finer_than_a_microsecond_are_cut_not_rounded() {
        assert_eq!(parse_timestamp("2022-03-05T15:55:53.9999999Z"), Some(SECOND + 999_999));
        assert_eq!(parse_timestamp("2022-03-05T15:55:53.1Z"), Some(SECOND + 100_000));
        assert_eq!(parse_timestamp("2022-03-05T18:55:53.12345+03:00"), Some(SECOND + 123_450));
        assert_eq!(parse_timestamp("1646495753969.9999"), Some(SECOND + 969_999));
    }

    #[test]
    fn the_first_and_the_last_year_are_valid() {
        assert_eq!(parse_timestamp("0001-01-01T00:00:00.000Z"), Some(-62_135_596_800_000_000));
        assert_eq!(parse_timestamp("9999-12-31T23:59:59.999Z"), Some(253_402_300_799_999_000));
        assert_eq!(parse_timestamp("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_timestamp("0"), Some(0));
        assert_eq!(parse_timestamp("0000-01-01T00:00:00.000Z"), None);
    }

    #[test]
    fn leap_days_exist_only_in_leap_years() {
        assert!(parse_timestamp("2024-02-29T00:00:00.000Z").is_some());
        assert!(parse_timestamp("2000-02-29T00:00:00.000Z").is_some());
        assert_eq!(parse_timestamp("2023-02-29T00:00:00.000Z"), None);
        assert_eq!(parse_timestamp("1900-02-29T00:00:00.000Z"), None);
        assert_eq!(parse_timestamp("2023-04-31T00:00:00.000Z"), None);
    }

    #[test]
    fn a_leap_second_stays_in_its_minute() {
        assert_eq!(parse_timestamp("2016-12-31T23:59:60.500Z"), Some(1_483_228_800_000_000 - 1));
        assert_eq!(parse_timestamp("2016-12-31T23:59:61.000Z"), None);
    }

    #[test]
    fn the_usual_spelling_is_read_as_any_other() {
        for usual in ["2022-03-05T15:55:53.969Z", "0999-12-31T23:59:59.090Z"] {
            for place in 0..usual.len() {
                for byte in 0..=255 {
                    let mut bytes = usual.as_bytes().to_vec();
                    bytes[place] = byte;
                    let is_digit = usual.as_bytes()[place].is_ascii_digit();
                    let is_usual =
                        if is_digit { byte.is_ascii_digit() } else { usual == as_text(&bytes) };
                    let expected = is_usual.then(|| parse_iso(&bytes)).flatten();
                    assert_eq!(parse_utc_millis(&bytes), expected, "{byte:#x} at {place}");
                }
            }
        }
        assert_eq!(parse_utc_millis(b"2022-03-05T15:55:53.9690Z"), None);
    }

    fn as_text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn garbage_is_no_timestamp() {
        for text in [
            "",
            " ",
            "null",
            "yesterday",
            "2022-03-05",
            "2022-03-05T",
            "2022-03-05T15:55:53.Z",
            "2022-03-05T15:55:53.969ZZ",
            "2022-03-05T15:55:53.969+9:00",
            "2022-03-05T15:55:53.969+24:00",
            "2022-13-05T15:55:53.969Z",
            "2022-00-05T15:55:53.969Z",
            "2022-03-00T15:55:53.969Z",
            "2022-03-05T24:00:00.000Z",
            "2022-03-05T15:60:00.000Z",
            "2O22-03-05T15:55:53.969Z",
            "２０２２-03-05T15:55:53.969Z",
            "-1646495753",
            "1646495753s",
            "1646495753.",
            "99999999999999999999",
            "999999999999999",
            "1e400",
            "NaN",
            "Infinity",
            "[2025,7,24,12,44,28,995000000]",
            "05 Foo 2022 15:55:53 +0000",
            "Fri, 05 Mar 2022 15:55:53 LMT",
            "Fri, 05 Mar 2022 15:55:53 +0000 or so",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_timestamp(&text);
        }

        #[test]
        fn no_date_like_text_panics(text in "[0-9TZ:.+, -]{0,40}") {
            let _ = parse_timestamp(&text);
        }

        #[test]
        fn days_follow_each_other(day in -719_162_i64..2_932_896) {
            let (year, month, date) = civil_by_counting(day);
            let text = format!("{year:04}-{month:02}-{date:02}T00:00:00.000Z");
            prop_assert_eq!(parse_timestamp(&text), Some(day * 86_400_000_000));
        }
    }

    /// The calendar by its definition: slow, and not the way the parser goes.
    fn civil_by_counting(day: i64) -> (u32, u32, u32) {
        let mut rest = day + 719_162;
        let (mut year, mut month) = (1, 1);
        // 146,097 days make 400 years, so whole cycles can be jumped over.
        year += u32::try_from(rest / 146_097).expect("in range") * 400;
        rest %= 146_097;
        loop {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            if rest < days {
                return (year, month, u32::try_from(rest).expect("in range") + 1);
            }
            rest -= days;
            month += 1;
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
