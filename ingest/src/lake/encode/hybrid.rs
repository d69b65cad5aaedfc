//! Levels and dictionary codes as Parquet writes them: runs of one value and groups of eight packed
//! bits, mixed (Parquet format, "Run Length Encoding / Bit-Packing Hybrid").

/// Values of a packed group.
const GROUP: usize = 8;
/// Equal values in a row that are written as a run rather than packed.
const SHORTEST_RUN: usize = 16;

/// Bits that hold every number below `count`.
#[allow(clippy::cast_possible_truncation)] // at most 32
pub(super) fn width_of(count: usize) -> u8 {
    let highest = count.saturating_sub(1);
    (usize::BITS - highest.leading_zeros()) as u8
}

/// Appends `values`, each of at most `width` bits.
pub(super) fn write<T: Copy + Eq + Into<u32>>(values: &[T], width: u8, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < values.len() {
        let rest = &values[at..];
        let run = rest.iter().take_while(|value| **value == rest[0]).count();
        if run < SHORTEST_RUN && run < rest.len() {
            at += GROUP.min(rest.len());
            continue;
        }
        // All that waits to be packed is whole groups, because only the last one may be broken.
        pack(&values[packed_from..at], width, out);
        write_run(rest[0].into(), run, width, out);
        at += run;
        packed_from = at;
    }
    pack(&values[packed_from..], width, out);
}

/// Appends the same value `count` times.
pub(super) fn write_run(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    if count == 0 {
        return;
    }
    write_number(count << 1, out);
    let bytes = usize::from(width).div_ceil(8);
    out.extend_from_slice(&value.to_le_bytes()[..bytes]);
}

/// Appends values in groups of eight; the last group is filled up with zeros.
fn pack<T: Copy + Into<u32>>(values: &[T], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    write_number(values.len().div_ceil(GROUP) << 1 | 1, out);
    let width = usize::from(width);
    out.reserve(values.len().div_ceil(GROUP) * width);
    let (whole_groups, rest) = values.as_chunks::<GROUP>();
    if width <= 8 {
        for group in whole_groups {
            pack_narrow(group, width, out);
        }
        if !rest.is_empty() {
            let mut group = [0_u32; GROUP];
            for (place, value) in group.iter_mut().zip(rest) {
                *place = (*value).into();
            }
            pack_narrow(&group, width, out);
        }
        return;
    }
    for group in values.chunks(GROUP) {
        // Two halves of four, each at most 128 bits; the second begins in the middle of a byte if
        // the width is odd.
        let (mut low, mut high) = (0_u128, 0_u128);
        for (i, value) in group.iter().enumerate() {
            let value = u128::from((*value).into());
            match i {
                0..4 => low |= value << (i * width),
                _ => high |= value << ((i - 4) * width),
            }
        }
        let half = 4 * width;
        if half <= 64 {
            let both = low | high << half;
            out.extend_from_slice(&both.to_le_bytes()[..width]);
            continue;
        }
        let whole = half / 8;
        out.extend_from_slice(&low.to_le_bytes()[..whole]);
        if half % 8 == 0 {
            out.extend_from_slice(&high.to_le_bytes()[..width - whole]);
        } else {
            // An odd width leaves four bits over, and 124 bits at most in the second half.
            let rest = low >> (whole * 8) | high << 4;
            out.extend_from_slice(&rest.to_le_bytes()[..width - whole]);
        }
    }
}

/// Appends a group of values of at most eight bits each.
#[inline]
fn pack_narrow<T: Copy + Into<u32>>(group: &[T; GROUP], width: usize, out: &mut Vec<u8>) {
    let mut bits = 0_u64;
    for (i, value) in group.iter().enumerate() {
        bits |= u64::from((*value).into()) << (i * width);
    }
    out.extend_from_slice(&bits.to_le_bytes()[..width]);
}

/// Appends a number in seven bits a byte, the lowest first (ULEB128).
#[allow(clippy::cast_possible_truncation)] // cut to seven bits
fn write_number(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reader's side, after the words of the format.
    fn read(bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let width = usize::from(width);
        let mut values = Vec::new();
        let mut at = 0;
        while values.len() < count {
            let (mut header, mut shift) = (0_usize, 0);
            loop {
                let byte = bytes[at];
                at += 1;
                header |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let mut value = [0; 4];
                let length = width.div_ceil(8);
                value[..length].copy_from_slice(&bytes[at..at + length]);
                at += length;
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), header >> 1));
                continue;
            }
            let packed = (header >> 1) * GROUP;
            for i in 0..packed {
                let bit = |bit: usize| u32::from(bytes[at + bit / 8] >> (bit % 8) & 1);
                values.push((0..width).fold(0, |value, j| value | bit(i * width + j) << j));
            }
            at += packed * width / 8;
        }
        assert_eq!(at, bytes.len(), "nothing is left over");
        values.truncate(count);
        values
    }

    #[test]
    fn what_is_written_reads_the_same_at_every_width() {
        for width in 0..=32_u8 {
            let most = u32::try_from((1_u64 << width) - 1).unwrap();
            let mut values = Vec::new();
            let mut state = 1_u32;
            for length in [1, 7, 8, 9, 15, 16, 17, 40, 3, 100, 1, 1, 2] {
                for _ in 0..length {
                    values.push(state & most);
                }
                state = state.wrapping_mul(0x9E37_79B1).rotate_left(7) ^ 0xffff_0000;
            }
            for i in 0..100_u32 {
                values.push(i.wrapping_mul(0x9E37_79B1) & most);
            }
            for end in [0, 1, 5, 8, 20, values.len() - 3, values.len()] {
                let mut out = Vec::new();
                write(&values[..end], width, &mut out);
                assert_eq!(read(&out, width, end), &values[..end], "width {width}, {end} values");
            }
        }
    }

    #[test]
    fn a_run_takes_a_few_bytes() {
        let mut out = Vec::new();
        write(&[3_u8; 100_000], 2, &mut out);
        assert_eq!(out.len(), 4);
        assert_eq!(read(&out, 2, 100_000), vec![3; 100_000]);
    }

    #[test]
    fn a_width_holds_every_code_below_the_count() {
        let widths = [0, 1, 2, 3, 4, 5, 256, 257].map(width_of);
        assert_eq!(widths, [0, 0, 1, 2, 2, 3, 8, 9]);
    }
}
