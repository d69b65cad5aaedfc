//! What bytes a short text is made of, found all at once: most addresses fit into one register.

/// Bytes of a short text at most.
const LANE: usize = 32;

/// Where in a short text the bytes stand that matter; bit `i` is byte `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signs {
    /// `@`
    pub(super) at: u32,
    /// Bytes that may not stand in a plain address (small letters, digits, and what RFC 5322 calls
    /// `atext` besides, with the dot).
    pub(super) other: u32,
}

/// `None` if the text is not short, or if this is not to be had at once on this machine.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
pub(super) fn signs(text: &[u8]) -> Option<Signs> {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    };
    let mut lane = [b'a'; LANE];
    lane.get_mut(..text.len())?.copy_from_slice(text);
    // SAFETY: AVX2 is enabled for the whole compilation (cfg above), and each unaligned load is the 32
    // bytes of an array.
    unsafe {
        let load = |bytes: &[u8; LANE]| _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>());
        let bytes = load(&lane);
        let nibble = _mm256_set1_epi8(0x0f);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
        // A byte above 0x7f finds zero in the first table; of others it takes the low four bits.
        let by_low = _mm256_shuffle_epi8(load(&PLAIN_BY_LOW), bytes);
        let row = _mm256_shuffle_epi8(load(&BIT_OF_HIGH), high);
        let plain = _mm256_and_si256(by_low, row);
        let not_plain = _mm256_cmpeq_epi8(plain, _mm256_setzero_si256());
        let at = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'@'.cast_signed()));
        let at = _mm256_movemask_epi8(at).cast_unsigned();
        let other = _mm256_movemask_epi8(not_plain).cast_unsigned() & !at;
        Some(Signs { at, other })
    }
}

/// `None` if the text is not short, or if this is not to be had at once on this machine.
#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
pub(super) fn signs(_text: &[u8]) -> Option<Signs> {
    None
}

/// For each low half of a byte, the rows (upper halves) in which it is plain, as bits. Twice, because
/// instructions look up in halves of a register.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
static PLAIN_BY_LOW: [u8; LANE] = {
    let mut table = [0; LANE];
    let mut byte = 0;
    while byte < 0x80 {
        if super::BYTE_KIND_TABLE[byte] == 0 {
            table[byte & 15] |= 1 << (byte >> 4);
            table[16 + (byte & 15)] |= 1 << (byte >> 4);
        }
        byte += 1;
    }
    table
};

/// The bit of each row. Bytes above 0x7f are in none.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
static BIT_OF_HIGH: [u8; LANE] = {
    let mut table = [0; LANE];
    let mut row = 0;
    while row < 8 {
        table[row] = 1 << row;
        table[16 + row] = 1 << row;
        row += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::super::{AT, BYTE_KIND};
    use super::*;

    #[test]
    fn every_byte_is_what_the_table_says_wherever_it_stands() {
        for byte in 0..=255_u8 {
            for place in 0..LANE {
                let mut text = vec![b'b'; place + 1];
                text[place] = byte;
                let Some(signs) = signs(&text) else { continue };
                let kind = BYTE_KIND[usize::from(byte)];
                let bit = |set: bool| u32::from(set) << place;
                let expected =
                    Signs { at: bit(kind == AT), other: bit(kind == super::super::OTHER) };
                assert_eq!(signs, expected, "byte {byte:#x} at {place}");
            }
        }
        assert_eq!(signs(&[b'a'; LANE + 1]), None);
    }
}
