//! The text forms of well-known types, as proto3 JSON defines them.

pub(crate) mod duration;
pub(crate) mod field_mask;
pub(crate) mod timestamp;

/// Appends nanoseconds as a fraction of 3, 6 or 9 digits, or nothing when there are none.
fn put_fraction(nanos: u32, out: &mut Vec<u8>) {
    let (digits, mut value) = match nanos {
        0 => return,
        n if n % 1_000_000 == 0 => (3, n / 1_000_000),
        n if n % 1_000 == 0 => (6, n / 1_000),
        n => (9, n),
    };
    let mut text = [b'0'; 9];
    for slot in text[..digits].iter_mut().rev() {
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.push(b'.');
    out.extend_from_slice(&text[..digits]);
}

/// Reads 1 to 9 digits as a fraction of a second, in nanoseconds.
fn parse_fraction(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits
        .iter()
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some(value * 10_u32.pow(9 - digits.len() as u32))
}
