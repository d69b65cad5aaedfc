//! Sixty-four bytes at a time: where quotes, backslashes, brackets and control characters stand.
//!
//! Each mask has bit `i` set when byte `i` of the block is of the class. The technique is that of
//! Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019).

/// Bytes in a block.
pub(crate) const BLOCK: usize = 64;

/// Where the characters that matter to structure stand in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masks {
    /// `"`
    pub quote: u64,
    /// `\`
    pub backslash: u64,
    /// `{` and `[`
    pub open: u64,
    /// `}` and `]`
    pub close: u64,
    /// Bytes below 0x20.
    pub control: u64,
}

/// What has to be known of the blocks before: whether they end inside a string or after a backslash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carry {
    escape: u64,
    string: u64,
}

impl Carry {
    /// The state after these bytes seen so far.
    pub(crate) fn new(in_string: bool, after_backslash: bool) -> Self {
        Self { escape: u64::from(after_backslash), string: if in_string { !0 } else { 0 } }
    }

    /// Whether the bytes so far end inside a string.
    pub(crate) fn in_string(self) -> bool {
        self.string != 0
    }

    /// Whether the bytes so far end with a backslash that escapes what follows.
    pub(crate) fn after_backslash(self) -> bool {
        self.escape != 0
    }

    /// The bytes of the next block that belong to strings (opening quotes included, closing quotes
    /// not).
    #[inline]
    pub(crate) fn string_mask(&mut self, masks: &Masks) -> u64 {
        self.string_mask_by::<Plain>(masks)
    }

    /// The same, by a machine.
    #[inline(always)]
    pub(crate) fn string_mask_by<M: Machine>(&mut self, masks: &Masks) -> u64 {
        let escaped = self.escaped(masks.backslash);
        let string = M::prefix_xor(masks.quote & !escaped) ^ self.string;
        self.string = if string >> 63 == 1 { !0 } else { 0 };
        string
    }

    /// The bytes of the next block that a backslash before them escapes.
    #[inline]
    fn escaped(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslash == 0 {
            return std::mem::take(&mut self.escape);
        }
        let backslash = backslash & !self.escape;
        let follows = backslash << 1 | self.escape;
        let odd_starts = backslash & !EVEN & !follows;
        let (even_sequences, overflow) = odd_starts.overflowing_add(backslash);
        self.escape = u64::from(overflow);
        (EVEN ^ (even_sequences << 1)) & follows
    }
}

/// Bit `i` of the result is the parity of bits `0..=i`.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    bits
}

/// What blocks are looked at with.
pub(crate) trait Machine {
    /// Classifies a block.
    fn masks(block: &[u8; BLOCK]) -> Masks;

    /// Bit `i` of the result is the parity of bits `0..=i`.
    fn prefix_xor(bits: u64) -> u64;
}

/// What every machine has that this is compiled for.
pub(crate) enum Plain {}

impl Machine for Plain {
    #[inline(always)]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        masks(block)
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        prefix_xor(bits)
    }
}

/// Whether this machine is a [`Wide`] one.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn machine_is_wide() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("pclmulqdq")
}

/// AVX-512 (a whole block at once) and carry-less multiplication (all parities at once). To be used
/// only in functions that are compiled for both, on a machine that has them: see [`machine_is_wide`].
#[cfg(target_arch = "x86_64")]
pub(crate) enum Wide {}

#[cfg(target_arch = "x86_64")]
impl Machine for Wide {
    #[inline(always)]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        use std::arch::x86_64::{
            __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512,
            _mm512_or_si512, _mm512_set1_epi8,
        };
        // SAFETY: the machine has AVX-512 (see `Wide`), and the unaligned load is the 64 bytes of `block`.
        unsafe {
            let bytes = _mm512_loadu_si512(block.as_ptr().cast::<__m512i>());
            let folded = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
            let all = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
            Masks {
                quote: _mm512_cmpeq_epi8_mask(bytes, all(b'"')),
                backslash: _mm512_cmpeq_epi8_mask(bytes, all(b'\\')),
                open: _mm512_cmpeq_epi8_mask(folded, all(b'{')),
                close: _mm512_cmpeq_epi8_mask(folded, all(b'}')),
                control: _mm512_cmplt_epu8_mask(bytes, all(0x20)),
            }
        }
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        use std::arch::x86_64::{
            _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8,
        };
        // SAFETY: the machine has carry-less multiplication (see `Wide`).
        unsafe {
            let bits = _mm_cvtsi64_si128(bits.cast_signed());
            _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(bits, _mm_set1_epi8(-1))).cast_unsigned()
        }
    }
}

/// Classifies a block.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
#[inline]
pub(crate) fn masks(block: &[u8; BLOCK]) -> Masks {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };
    // SAFETY: AVX2 is enabled for the whole compilation (cfg above), and both unaligned loads stay
    // inside the 64 bytes of `block`.
    unsafe {
        let low = _mm256_loadu_si256(block.as_ptr().cast::<__m256i>());
        let high = _mm256_loadu_si256(block.as_ptr().add(32).cast::<__m256i>());
        let both = |low: __m256i, high: __m256i| {
            u64::from(_mm256_movemask_epi8(low).cast_unsigned())
                | u64::from(_mm256_movemask_epi8(high).cast_unsigned()) << 32
        };
        let equal = |byte: u8, low: __m256i, high: __m256i| {
            let wanted = _mm256_set1_epi8(byte.cast_signed());
            both(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted))
        };
        // '[' | 0x20 is '{' and ']' | 0x20 is '}', so one comparison finds both brackets.
        let bit = _mm256_set1_epi8(0x20);
        let (low_folded, high_folded) = (_mm256_or_si256(low, bit), _mm256_or_si256(high, bit));
        let last_control = _mm256_set1_epi8(0x1f);
        Masks {
            quote: equal(b'"', low, high),
            backslash: equal(b'\\', low, high),
            open: equal(b'{', low_folded, high_folded),
            close: equal(b'}', low_folded, high_folded),
            control: both(
                _mm256_cmpeq_epi8(_mm256_min_epu8(low, last_control), low),
                _mm256_cmpeq_epi8(_mm256_min_epu8(high, last_control), high),
            ),
        }
    }
}

/// Classifies a block.
#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
#[inline]
pub(crate) fn masks(block: &[u8; BLOCK]) -> Masks {
    portable_masks(block)
}

#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "avx2"))))]
fn portable_masks(block: &[u8; BLOCK]) -> Masks {
    let mut masks = Masks { quote: 0, backslash: 0, open: 0, close: 0, control: 0 };
    for (i, byte) in block.iter().enumerate() {
        masks.quote |= u64::from(*byte == b'"') << i;
        masks.backslash |= u64::from(*byte == b'\\') << i;
        masks.open |= u64::from(*byte | 0x20 == b'{') << i;
        masks.close |= u64::from(*byte | 0x20 == b'}') << i;
        masks.control |= u64::from(*byte < 0x20) << i;
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_classified_as_by_the_portable_path() {
        for start in 0..=192u8 {
            let block: [u8; BLOCK] =
                std::array::from_fn(|i| start.wrapping_add(u8::try_from(i).expect("below 64")));
            let fast = masks(&block);
            let plain = portable_masks(&block);
            assert_eq!(
                (fast.quote, fast.backslash, fast.open, fast.close, fast.control),
                (plain.quote, plain.backslash, plain.open, plain.close, plain.control)
            );
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_wide_machine_sees_what_any_other_sees() {
        #[target_feature(enable = "avx512f,avx512bw,pclmulqdq")]
        fn wide(block: &[u8; BLOCK]) -> ([u64; 5], u64) {
            let Masks { quote, backslash, open, close, control } = Wide::masks(block);
            ([quote, backslash, open, close, control], Wide::prefix_xor(quote | open << 1))
        }
        if !machine_is_wide() {
            return;
        }
        for start in 0..=192u8 {
            for stride in [1, 3, 7, 33] {
                let block: [u8; BLOCK] = std::array::from_fn(|i| {
                    start.wrapping_add(u8::try_from(i).expect("below 64").wrapping_mul(stride))
                });
                let Masks { quote, backslash, open, close, control } = portable_masks(&block);
                let plain = [quote, backslash, open, close, control];
                // SAFETY: the machine was asked.
                let found = unsafe { wide(&block) };
                assert_eq!(found, (plain, prefix_xor(quote | open << 1)));
            }
        }
    }

    #[test]
    fn strings_are_found_across_blocks_whatever_the_run_of_backslashes() {
        for run in 0..70 {
            for lead in 0..70 {
                let mut text = vec![b' '; lead];
                text.push(b'"');
                text.extend(std::iter::repeat_n(b'\\', run));
                text.push(b'"');
                text.resize(256, b'x');
                let mut carry = Carry::default();
                let mut found = Vec::new();
                for block in text.as_chunks::<BLOCK>().0 {
                    let string = carry.string_mask(&masks(block));
                    found.extend((0..BLOCK).map(|i| string >> i & 1 == 1));
                }
                let mut expected = Vec::new();
                let (mut inside, mut escape) = (false, false);
                for byte in &text {
                    if inside {
                        match byte {
                            _ if escape => escape = false,
                            b'\\' => escape = true,
                            b'"' => inside = false,
                            _ => {}
                        }
                    } else if *byte == b'"' {
                        inside = true;
                    }
                    expected.push(inside);
                }
                assert_eq!(found, expected, "{lead} blanks, {run} backslashes");
            }
        }
    }
}
