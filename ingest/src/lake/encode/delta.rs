//! Texts behind their lengths rather than each behind its own, as Parquet's `DELTA_LENGTH_BYTE_ARRAY` and
//! `DELTA_BYTE_ARRAY` have them.
//!
//! Lengths that hardly change then take almost nothing, and what is left for the compressor is texts
//! alone.

use super::hybrid;

/// Numbers of a block, and of each of the parts of it that have a width of their own.
const BLOCK: usize = 128;
const MINI_BLOCK: usize = 32;
/// Texts share no more than so many bytes with the one before: who looks for more finds little.
const LONGEST_PREFIX: usize = 255;

/// Appends numbers as `DELTA_BINARY_PACKED`: each as its difference from the one before.
pub(super) fn write_numbers(numbers: &[u32], out: &mut Vec<u8>) {
    hybrid::write_number(BLOCK, out);
    hybrid::write_number(BLOCK / MINI_BLOCK, out);
    hybrid::write_number(numbers.len(), out);
    let (first, rest) = numbers.split_first().unwrap_or((&0, &[]));
    write_signed(i64::from(*first), out);
    let mut before = *first;
    for block in rest.chunks(BLOCK) {
        let mut differences = [0_i64; BLOCK];
        for (difference, number) in differences.iter_mut().zip(block) {
            *difference = i64::from(*number) - i64::from(before);
            before = *number;
        }
        let differences = &differences[..block.len()];
        // No block is empty.
        let least = differences.iter().copied().min().unwrap_or_default();
        write_signed(least, out);
        // Numbers of 31 bits differ by less than 2³².
        let above = |difference: &i64| u32::try_from(difference - least).unwrap_or(u32::MAX);
        let widths = out.len();
        out.resize(widths + BLOCK / MINI_BLOCK, 0);
        for (i, part) in differences.chunks(MINI_BLOCK).enumerate() {
            let mut packed = [0_u32; MINI_BLOCK];
            for (place, difference) in packed.iter_mut().zip(part) {
                *place = above(difference);
            }
            let most = packed.iter().copied().max().unwrap_or_default();
            let width = hybrid::width_of(most as usize + 1);
            out[widths + i] = width;
            hybrid::pack_groups(&packed, width, out);
        }
    }
}

/// Appends texts as `DELTA_LENGTH_BYTE_ARRAY`: all lengths, then all bytes.
pub(super) fn write_texts(lengths: &[u32], bytes: &[u8], out: &mut Vec<u8>) {
    write_numbers(lengths, out);
    out.extend_from_slice(bytes);
}

/// Appends texts as `DELTA_BYTE_ARRAY`: each without what it begins with like the one before.
pub(super) fn write_prefixed_texts(lengths: &[u32], bytes: &[u8], out: &mut Vec<u8>) {
    let mut prefixes = Vec::with_capacity(lengths.len());
    let mut suffixes = Vec::with_capacity(lengths.len());
    let mut ends = Vec::with_capacity(bytes.len() / 2);
    let (mut before, mut rest): (&[u8], &[u8]) = (&[], bytes);
    for length in lengths {
        let text;
        (text, rest) = rest.split_at(*length as usize);
        let pairs = text.iter().zip(before).take(LONGEST_PREFIX);
        let prefix = pairs.take_while(|(this, other)| this == other).count();
        prefixes.push(prefix as u32);
        suffixes.push(length - prefix as u32);
        ends.extend_from_slice(&text[prefix..]);
        before = text;
    }
    write_numbers(&prefixes, out);
    write_texts(&suffixes, &ends, out);
}

/// Appends a signed number, small ones of either sign in few bytes (zigzag).
#[allow(clippy::cast_possible_truncation)] // of 34 bits at most
fn write_signed(number: i64, out: &mut Vec<u8>) {
    hybrid::write_number(((number << 1) ^ (number >> 63)).cast_unsigned() as usize, out);
}
