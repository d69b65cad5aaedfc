//! The column `event_id`: identities as hexadecimal digits, written for all rows of a batch at once.

use arrow_array::StringArray;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

/// Digits of an identity.
pub(super) const ID_DIGITS: usize = 32;

/// The identities in lower-case hexadecimal digits, each with its leading zeros.
pub(super) fn id_column(ids: &[u128]) -> StringArray {
    let mut text: Vec<u8> = Vec::with_capacity(ids.len() * ID_DIGITS);
    for id in ids {
        for quarter in id.to_be_bytes().as_chunks::<4>().0 {
            text.extend_from_slice(&digits(*quarter));
        }
    }
    // Batches are closed long before their offsets could overflow (MAX_BATCH_BYTES).
    let offsets = (0..=ids.len()).map(|row| (row * ID_DIGITS) as i32);
    let offsets = ScalarBuffer::from_iter(offsets);
    // SAFETY: the text is ASCII digits, ID_DIGITS for each row, and the offsets are multiples of that
    // in order, up to its length.
    unsafe {
        let offsets = OffsetBuffer::new_unchecked(offsets);
        StringArray::new_unchecked(offsets, Buffer::from_vec(text), None)
    }
}

/// The eight digits of four bytes, worked out side by side in one register.
#[inline]
fn digits(bytes: [u8; 4]) -> [u8; 8] {
    const LOW_NIBBLES: u64 = 0x000f_000f_000f_000f;
    const EACH: u64 = 0x0101_0101_0101_0101;
    let value = u64::from(u32::from_le_bytes(bytes));
    let pairs = (value | value << 16) & 0x0000_ffff_0000_ffff;
    let single = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (single >> 4 & LOW_NIBBLES) | (single & LOW_NIBBLES) << 8;
    // Six more than a nibble has a fifth bit exactly if the digit is a letter.
    let letters = (nibbles + 6 * EACH) >> 4 & EACH;
    let to_letter = u64::from(b'a' - b'9' - 1);
    (nibbles + u64::from(b'0') * EACH + to_letter * letters).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;

    use super::*;

    #[test]
    fn identities_are_written_as_the_standard_library_writes_them() {
        let mut ids = vec![0, u128::MAX, 1, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210];
        ids.extend((0..128).map(|bit| 1_u128 << bit));
        ids.extend((1..=255).map(|byte: u128| byte * 0x0101_0101_0101_0101_0101_0101_0101_0101));
        let column = id_column(&ids);
        assert_eq!(column.len(), ids.len());
        for (row, id) in ids.iter().enumerate() {
            assert_eq!(column.value(row), format!("{id:032x}"));
        }
        assert_eq!(id_column(&[]).len(), 0);
    }
}
