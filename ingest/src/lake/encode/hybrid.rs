//! Levels and dictionary codes as Parquet writes them: runs of one value and groups of eight packed
//! bits, mixed (Parquet format, "Run Length Encoding / Bit-Packing Hybrid").

/// Values of a packed group.
const GROUP: usize = 8;
/// Equal values in a row that are written as a run rather than packed.
const SHORTEST_RUN: usize = 16;
/// The same of values of one bit, in bytes: fewer take no more room packed.
const SHORTEST_BYTES: usize = 4;

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
        // Most groups are of different values, and a whole one is compared at once.
        let differ = rest.first_chunk().is_some_and(|group| *group != [group[0]; GROUP]);
        let run = if differ { 0 } else { run_length(rest) };
        if run < SHORTEST_RUN && (differ || run < rest.len()) {
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

/// How many of the first values are equal.
fn run_length<T: Copy + Eq>(values: &[T]) -> usize {
    let (groups, _) = values.as_chunks::<GROUP>();
    let whole = groups.iter().take_while(|group| **group == [values[0]; GROUP]).count() * GROUP;
    whole + values[whole..].iter().take_while(|value| **value == values[0]).count()
}

/// Appends `count` values of one bit, which stand in `bits` from the lowest bit of the first byte on.
pub(super) fn write_bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    let bits = &bits[..count.div_ceil(GROUP)];
    let mut packed_from = 0;
    let mut at = 0;
    while at < count / GROUP {
        let byte = bits[at];
        let same = &bits[at..count / GROUP];
        let run = match byte {
            0 | 0xff => same.iter().take_while(|next| **next == byte).count(),
            _ => 1,
        };
        if run >= SHORTEST_BYTES {
            append_groups(&bits[packed_from..at], out);
            write_run(u32::from(byte & 1), run * GROUP, 1, out);
            packed_from = at + run;
        }
        at += run;
    }
    append_groups(&bits[packed_from..], out);
}

/// The same, each value in two bits.
pub(super) fn write_bits_wide(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    let bits = &bits[..count.div_ceil(GROUP)];
    if !bits.is_empty() {
        write_number(bits.len() << 1 | 1, out);
        out.extend(bits.iter().flat_map(|byte| spread(*byte).to_le_bytes()));
    }
}

/// Puts a zero above each bit.
fn spread(byte: u8) -> u16 {
    let bits = u16::from(byte);
    let bits = (bits | bits << 4) & 0x0f0f;
    let bits = (bits | bits << 2) & 0x3333;
    (bits | bits << 1) & 0x5555
}

/// Appends groups of eight values of one bit each.
fn append_groups(groups: &[u8], out: &mut Vec<u8>) {
    if !groups.is_empty() {
        write_number(groups.len() << 1 | 1, out);
        out.extend_from_slice(groups);
    }
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
    pack_groups(values, width, out);
}

/// Appends the bits of values, the lowest first; the last group of eight is filled up with zeros.
#[allow(clippy::cast_possible_truncation)] // what is cut off is kept
fn pack_groups<T: Copy + Into<u32>>(values: &[T], width: u8, out: &mut Vec<u8>) {
    let width = usize::from(width);
    let mut at = out.len();
    let end = at + values.len().div_ceil(GROUP) * width;
    // Room for writing words as a whole, whatever is left of them.
    out.resize(end + size_of::<u64>(), 0);
    let mut put = |at: usize, word: u64| {
        out[at..at + size_of::<u64>()].copy_from_slice(&word.to_le_bytes());
    };
    let (mut word, mut used) = (0_u64, 0);
    let mut rest = values;
    if width <= 8 {
        let (groups, broken) = values.as_chunks::<GROUP>();
        for group in groups {
            let bits = |i: usize| u64::from(group[i].into()) << (i * width);
            put(at, (0..GROUP).fold(0, |word, i| word | bits(i)));
            at += width;
        }
        rest = broken;
    }
    for value in rest {
        word |= u64::from((*value).into()) << used;
        used += width;
        if used >= 32 {
            put(at, word);
            at += 4;
            word >>= 32;
            used -= 32;
        }
    }
    if used > 0 {
        put(at, word);
    }
    out.truncate(end);
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
    fn bits_that_are_written_read_the_same() {
        let mut bits = vec![0b1010_0110, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0, 0];
        bits.extend_from_slice(&[0; 300]);
        bits.extend_from_slice(&[0b0001_0000, 0xff, 0xff, 0xff, 0xff, 0b0000_0101]);
        let bit = |i: usize| u32::from(bits[i / 8] >> (i % 8) & 1);
        for count in [0, 1, 8, 9, 47, 48, 49, 100, 2000, bits.len() * 8 - 5, bits.len() * 8] {
            let mut out = Vec::new();
            write_bits(&bits, count, &mut out);
            let expected: Vec<u32> = (0..count).map(bit).collect();
            assert_eq!(read(&out, 1, count), expected, "{count} bits");
            assert!(out.len() < 40, "{count} bits take {} bytes", out.len());
            out.clear();
            write_bits_wide(&bits, count, &mut out);
            assert_eq!(read(&out, 2, count), expected, "{count} bits");
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
