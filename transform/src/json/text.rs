//! The inside of JSON strings: where they end, what their escapes mean, and how to write them.

use super::{JsonError, Result};

/// The first byte at or after `from` that ends a string, begins an escape or must not stand in a
/// string; the length of `bytes` if there is none.
#[inline]
pub(crate) fn special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(lane) = bytes.get(at..).and_then(|rest| rest.first_chunk::<LANE>()) {
        let found = special_mask(lane);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += LANE;
    }
    while at < bytes.len() && !is_special(bytes[at]) {
        at += 1;
    }
    at.min(bytes.len())
}

/// The length of the string that the bytes are the rest of, if its end is near and nothing special
/// stands before it.
#[inline(always)]
pub(crate) fn short_length(bytes: &[u8]) -> Option<usize> {
    let (lanes, _) = bytes.as_chunks::<LANE>();
    for (i, lane) in lanes.iter().take(SHORT_LANES).enumerate() {
        let found = special_mask(lane);
        if found != 0 {
            let length = i * LANE + found.trailing_zeros() as usize;
            return (bytes[length] == b'"').then_some(length);
        }
    }
    None
}

#[inline]
fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// Bytes looked at in one step.
const LANE: usize = 32;
/// Steps within which a short string ends: identifiers and names of servers are as long.
const SHORT_LANES: usize = 3;

#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
#[inline]
fn special_mask(lane: &[u8; LANE]) -> u32 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };
    // SAFETY: AVX2 is enabled for the whole compilation (cfg above), and the unaligned load stays
    // inside the 32 bytes of `lane`.
    unsafe {
        let bytes = _mm256_loadu_si256(lane.as_ptr().cast::<__m256i>());
        let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"'.cast_signed()));
        let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\'.cast_signed()));
        let control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
        let found = _mm256_or_si256(_mm256_or_si256(quote, backslash), control);
        _mm256_movemask_epi8(found).cast_unsigned()
    }
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
#[inline]
fn special_mask(lane: &[u8; LANE]) -> u32 {
    let mut mask = 0;
    for (i, byte) in lane.iter().enumerate() {
        mask |= u32::from(is_special(*byte)) << i;
    }
    mask
}

/// Appends what the inside of a string means. A surrogate without its partner becomes U+FFFD, as
/// such escapes do occur and the text around them is worth keeping.
///
/// Documents inside SNS messages have an escape every few bytes, so what stands between two escapes
/// is copied in whole lanes, of which only the beginning counts.
pub(crate) fn unescape(inner: &str, out: &mut String) -> Result<()> {
    let bytes = inner.as_bytes();
    // What is written is never longer than what is read; the last lane may reach beyond it.
    out.reserve(bytes.len() + LANE);
    let mut done = 0;
    while let Some(lane) = bytes[done..].first_chunk::<LANE>() {
        let plain = backslash_mask(lane).trailing_zeros() as usize;
        let plain = plain.min(LANE);
        // SAFETY: LANE bytes are reserved behind the end. The first `plain` bytes are whole
        // characters: they begin at a boundary and end before an ASCII byte or, if there is no
        // backslash in the lane, are completed by the next one before anybody looks.
        unsafe {
            let out = out.as_mut_vec();
            let end = out.len();
            std::ptr::copy_nonoverlapping(lane.as_ptr(), out.as_mut_ptr().add(end), LANE);
            out.set_len(end + plain);
        }
        done += plain;
        if plain < LANE {
            match escape(&bytes[done..]) {
                Ok((meaning, length)) => {
                    out.push(meaning);
                    done += length;
                }
                Err(error) => return Err(error),
            }
        }
    }
    while done < bytes.len() {
        if bytes[done] == b'\\' {
            let (meaning, length) = escape(&bytes[done..])?;
            out.push(meaning);
            done += length;
        } else {
            // SAFETY: as above: every byte between two escapes is copied.
            unsafe { out.as_mut_vec().push(bytes[done]) };
            done += 1;
        }
    }
    Ok(())
}

#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
#[inline]
fn backslash_mask(lane: &[u8; LANE]) -> u32 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
    };
    // SAFETY: AVX2 is enabled for the whole compilation (cfg above), and the unaligned load stays
    // inside the 32 bytes of `lane`.
    unsafe {
        let bytes = _mm256_loadu_si256(lane.as_ptr().cast::<__m256i>());
        let found = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\'.cast_signed()));
        _mm256_movemask_epi8(found).cast_unsigned()
    }
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
#[inline]
fn backslash_mask(lane: &[u8; LANE]) -> u32 {
    let mut mask = 0;
    for (i, byte) in lane.iter().enumerate() {
        mask |= u32::from(*byte == b'\\') << i;
    }
    mask
}

/// What the escape at the beginning of `bytes` means, and its length.
#[inline]
fn escape(bytes: &[u8]) -> Result<(char, usize)> {
    let meaning = match bytes.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode_escape(bytes),
        _ => return Err(JsonError::Malformed),
    };
    Ok((meaning, 2))
}

fn unicode_escape(bytes: &[u8]) -> Result<(char, usize)> {
    let unit = code_unit(bytes).ok_or(JsonError::Malformed)?;
    if let Some(meaning) = char::from_u32(unit) {
        return Ok((meaning, 6));
    }
    if unit < 0xdc00
        && let Some(low @ 0xdc00..=0xdfff) = bytes.get(6..).and_then(code_unit)
        && let Some(meaning) = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
    {
        return Ok((meaning, 12));
    }
    Ok((char::REPLACEMENT_CHARACTER, 6))
}

/// The UTF-16 code unit of an escape: `\u` and four hexadecimal digits (RFC 8259, section 7).
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    let mut unit = 0;
    for digit in digits {
        unit = unit << 4 | char::from(*digit).to_digit(16)?;
    }
    Some(unit)
}

/// Appends `text` as a JSON string with as few escapes as JSON allows, each in its shortest form.
pub(crate) fn write_string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let bytes = text.as_bytes();
    let mut done = 0;
    loop {
        let at = special(bytes, done);
        out.push_str(&text[done..at]);
        let Some(byte) = bytes.get(at) else { break };
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            other => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(other >> 4)]));
                out.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
        done = at + 1;
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(inner: &str) -> Result<String> {
        let mut out = String::new();
        unescape(inner, &mut out).map(|()| out)
    }

    #[test]
    fn escapes_mean_what_json_says() {
        assert_eq!(unescaped(r#"a\"b\\c\/d\n\t\r\b\f"#).unwrap(), "a\"b\\c/d\n\t\r\u{8}\u{c}");
        assert_eq!(unescaped(r"\u00e9\u3042\ud83d\ude00!").unwrap(), "éあ😀!");
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        assert_eq!(unescaped(r"a\ud83db").unwrap(), "a\u{fffd}b");
        assert_eq!(unescaped(r"\ude00\ud83d\ud83d\ude00").unwrap(), "\u{fffd}\u{fffd}😀");
        assert_eq!(unescaped(r"\ud83d\n").unwrap(), "\u{fffd}\n");
    }

    #[test]
    fn escapes_are_found_at_every_offset() {
        for before in 0..80 {
            for after in [0, 1, 31, 32, 33, 70] {
                let (before, after) = ("\u{3042}".repeat(before), "x".repeat(after));
                let inner = format!(r#"{before}\"\u00e9\\{after}\n"#);
                assert_eq!(unescaped(&inner).unwrap(), format!("{before}\"\u{e9}\\{after}\n"));
            }
        }
    }

    #[test]
    fn unknown_and_unfinished_escapes_are_errors() {
        for bad in [r"\q", r"\", r"\u12", r"\u12g4", r"a\x41"] {
            assert_eq!(unescaped(bad), Err(JsonError::Malformed), "{bad}");
        }
    }

    #[test]
    fn special_bytes_are_found_at_every_offset() {
        for special_byte in [b'"', b'\\', b'\n', 0] {
            for at in 0..100 {
                let mut bytes = vec![b'a'; 100];
                bytes[at] = special_byte;
                assert_eq!(special(&bytes, 0), at);
                assert_eq!(special(&bytes, at), at);
                assert_eq!(special(&bytes, at + 1), 100);
            }
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let text = "é\"\\\n\u{1}\u{1f}/ あ";
        let mut out = String::new();
        write_string(text, &mut out);
        assert_eq!(out, "\"é\\\"\\\\\\n\\u0001\\u001f/ あ\"");
        assert_eq!(unescaped(&out[1..out.len() - 1]).unwrap(), text);
    }
}
