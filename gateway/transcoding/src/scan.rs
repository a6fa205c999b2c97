//! The inner loop of both directions: how much of a string is plain.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Length of the longest prefix that is ASCII and needs no escape in JSON: no control character, no
/// quote, no backslash.
///
/// Eight bytes at a time, with the usual tests for "a byte is zero" and "a byte is less than n"
/// (Hacker's Delight, 6-1); a borrow can only spoil bytes above the first hit, which is all we need.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
        let special = (control | quote | backslash | word) & HIGHS;
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let done = chunks.len() * 8;
    done + bytes[done..]
        .iter()
        .take_while(|&&byte| is_plain(byte))
        .count()
}

#[inline]
fn is_plain(byte: u8) -> bool {
    (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_first_special_byte_wherever_it_is() {
        for length in 0..40 {
            let plain = vec![b'x'; length];
            assert_eq!(plain_prefix(&plain), length);
            for at in 0..length {
                for byte in 0..=255 {
                    let mut bytes = plain.clone();
                    bytes[at] = byte;
                    let expected = if is_plain(byte) { length } else { at };
                    assert_eq!(
                        plain_prefix(&bytes),
                        expected,
                        "{byte:#x} at {at} of {length}"
                    );
                }
            }
        }
    }
}
