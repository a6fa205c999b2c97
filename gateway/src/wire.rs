//! The little that the edge reads from messages without decoding them, and the gRPC frame around
//! them.

use bytes::{BufMut, Bytes, BytesMut};

/// A compression flag and the length of the message.
pub const FRAME_PREFIX: usize = 5;

/// `message` as one uncompressed gRPC frame.
pub fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(FRAME_PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

/// A reply that is not gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is compressed, which was not asked for.
    #[error("a compressed frame")]
    Compressed,
    /// The frame is longer than is accepted.
    #[error("a frame of {0} bytes")]
    TooLong(usize),
}

/// The largest message that is taken from a service.
pub const MAX_REPLY: usize = 16 * 1024 * 1024;

/// Takes the first complete message out of `buffer`; `None` when more bytes are needed.
pub fn take_message(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(&[flag, a, b, c, d]) = buffer.first_chunk::<FRAME_PREFIX>() else {
        return Ok(None);
    };
    if flag != 0 {
        return Err(FrameError::Compressed);
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > MAX_REPLY {
        return Err(FrameError::TooLong(length));
    }
    if buffer.len() < FRAME_PREFIX + length {
        buffer.reserve(FRAME_PREFIX + length - buffer.len());
        return Ok(None);
    }
    let mut whole = buffer.split_to(FRAME_PREFIX + length).freeze();
    Ok(Some(whole.split_off(FRAME_PREFIX)))
}

/// The last value of the text field `number` at the top of `message`; `None` when it is absent, empty
/// or the message is malformed.
pub fn text_field(message: &[u8], number: u32) -> Option<&str> {
    let mut rest = message;
    let mut found = None;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let field = tag >> 3;
        match tag & 7 {
            0 => {
                varint(&mut rest)?;
            }
            1 => rest = rest.get(8..)?,
            5 => rest = rest.get(4..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let value = rest.get(..length)?;
                rest = rest.get(length..)?;
                if field == u64::from(number) {
                    found = Some(value);
                }
            }
            _ => return None,
        }
    }
    std::str::from_utf8(found?)
        .ok()
        .filter(|text| !text.is_empty())
}

/// `message` with the text field `number` set to `text`: the last value of a field counts.
pub fn with_text_field(message: &[u8], number: u32, text: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + text.len() + 12);
    out.extend_from_slice(message);
    put_varint(&mut out, u64::from(number) << 3 | 2);
    put_varint(&mut out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
    out.freeze()
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for index in 0..10 {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use contracts::hub::identity::v1::{RefreshSessionRequest, Session};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    #[test]
    fn frames_are_taken_one_by_one_however_they_arrive() {
        let mut bytes = frame(b"one").to_vec();
        bytes.extend_from_slice(&frame(b""));
        bytes.extend_from_slice(&frame(b"three"));
        let mut buffer = BytesMut::new();
        let mut messages = Vec::new();
        for byte in bytes {
            buffer.put_u8(byte);
            while let Some(message) = take_message(&mut buffer).unwrap() {
                messages.push(message);
            }
        }
        assert_eq!(messages, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn what_is_not_a_frame_is_refused() {
        let mut compressed = BytesMut::from(&[1, 0, 0, 0, 0][..]);
        assert_eq!(take_message(&mut compressed), Err(FrameError::Compressed));
        let mut long = BytesMut::from(&[0, 0xff, 0, 0, 0][..]);
        assert!(matches!(
            take_message(&mut long),
            Err(FrameError::TooLong(_))
        ));
    }

    #[test]
    fn a_field_is_found_among_others() {
        let session = Session {
            access_token: "a".into(),
            token_type: "Bearer".into(),
            expires_in: 900,
            refresh_token: "r".into(),
            user: Some(Default::default()),
        }
        .encode_to_vec();
        assert_eq!(text_field(&session, 1), Some("a"));
        assert_eq!(text_field(&session, 4), Some("r"));
        assert_eq!(text_field(&session, 9), None);
        let filled = with_text_field(&[], 1, "token");
        let request = RefreshSessionRequest::decode(filled).unwrap();
        assert_eq!(request.refresh_token, "token");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64), number in 1u32..40) {
            let _ = text_field(&bytes, number);
            let _ = take_message(&mut BytesMut::from(&bytes[..]));
        }

        #[test]
        fn what_is_set_is_read(number in 1u32..1000, text in "[a-z]{1,200}") {
            let message = with_text_field(&with_text_field(&[], 2000, "other"), number, &text);
            prop_assert_eq!(text_field(&message, number), Some(text.as_str()));
        }
    }
}
