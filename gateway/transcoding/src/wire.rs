//! Protobuf wire format: just enough to walk it and to write it.

/// What is wrong with bytes that are not wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// How deep groups that nobody knows may nest while they are skipped.
const MAX_GROUPS: usize = 100;

/// A wire type that this crate reads as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// One value as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads wire format from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is not read yet.
    pub(crate) fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field number and wire type.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).unwrap_or(0);
        if number == 0 || number > 0x1fff_ffff {
            return Err(Malformed("field number out of range"));
        }
        Ok((number, (key & 7) as u8))
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    return Err(Malformed("varint is longer than 64 bits"));
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed(if self.rest.len() < 10 {
            "truncated varint"
        } else {
            "varint is longer than 64 bits"
        }))
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.varint()?;
        let (bytes, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
            .ok_or(Malformed("truncated field"))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, Malformed> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Malformed("truncated field"))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Malformed("truncated field"))?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// The value after a tag.
    #[inline]
    pub(crate) fn value(&mut self, wire_type: u8) -> Result<Raw<'a>, Malformed> {
        match wire_type {
            0 => self.varint().map(Raw::Varint),
            2 => self.bytes().map(Raw::Bytes),
            1 => self.fixed64().map(Raw::Fixed64),
            5 => self.fixed32().map(Raw::Fixed32),
            3 | 4 => Err(Malformed("groups are not part of proto3")),
            _ => Err(Malformed("unknown wire type")),
        }
    }

    /// Skips the value after the tag of a field that nobody knows.
    pub(crate) fn skip(&mut self, number: u32, wire_type: u8) -> Result<(), Malformed> {
        if wire_type != 3 {
            return self.value(wire_type).map(drop);
        }
        let mut open = vec![number];
        while let Some(&group) = open.last() {
            let (number, wire_type) = self.tag()?;
            match wire_type {
                3 if open.len() == MAX_GROUPS => return Err(Malformed("groups nest too deep")),
                3 => open.push(number),
                4 if number == group => drop(open.pop()),
                4 => return Err(Malformed("unbalanced group")),
                _ => drop(self.value(wire_type)?),
            }
        }
        Ok(())
    }

    /// Takes the next tag only if it is of field `number`.
    #[inline]
    pub(crate) fn tag_of(&mut self, number: u32) -> Result<Option<u8>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut ahead = *self;
        let (next, wire_type) = ahead.tag()?;
        if next != number {
            return Ok(None);
        }
        *self = ahead;
        Ok(Some(wire_type))
    }
}

/// The bytes of a tag, made once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    bytes: [u8; 5],
    length: u8,
}

impl Tag {
    pub(crate) fn new(number: u32, wire_type: WireType) -> Self {
        let mut bytes = [0; 5];
        let mut key = number << 3 | wire_type as u32;
        let mut length = 0;
        while key >= 0x80 {
            bytes[length] = key as u8 | 0x80;
            key >>= 7;
            length += 1;
        }
        bytes[length] = key as u8;
        Self {
            bytes,
            length: length as u8 + 1,
        }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[inline]
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Makes room for the length of what follows; [`end_length`] fills it in.
#[inline]
pub(crate) fn begin_length(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of everything since [`begin_length`] and returns where that content now starts.
///
/// One byte was reserved, which is enough for most messages; content of 128 bytes and more is moved.
#[inline]
pub(crate) fn end_length(start: usize, out: &mut Vec<u8>) -> usize {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return start;
    }
    let mut prefix = [0; 10];
    let mut used = 0;
    let mut left = length;
    while left >= 0x80 {
        prefix[used] = left as u8 | 0x80;
        left >>= 7;
        used += 1;
    }
    prefix[used] = left as u8;
    out.extend_from_slice(&prefix[..used]);
    out.copy_within(start..start + length, start + used);
    out[start - 1..start + used].copy_from_slice(&prefix[..=used]);
    start + used
}

#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn varints_round_trip_and_end() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let mut out = Vec::new();
            put_varint(value, &mut out);
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.varint(), Ok(value));
            assert!(cursor.is_empty());
            assert!(Cursor::new(&out[..out.len() - 1]).varint().is_err());
        }
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
        assert!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])
                .varint()
                .is_err()
        );
    }

    #[test]
    fn lengths_grow_as_needed() {
        for length in [0, 1, 127, 128, 20_000, 3_000_000] {
            let mut out = vec![9];
            let start = begin_length(&mut out);
            out.resize(start + length, 7);
            let content = end_length(start, &mut out);
            let mut cursor = Cursor::new(&out[1..]);
            assert_eq!(cursor.bytes().unwrap(), vec![7; length]);
            assert!(cursor.is_empty());
            assert_eq!(out.len() - content, length);
        }
    }

    #[test]
    fn skips_groups_and_refuses_broken_ones() {
        // Group 2 { field 1: varint; group 3 { } }, then field 1.
        let mut cursor = Cursor::new(&[0x08, 0x05, 0x1b, 0x1c, 0x14, 0x08, 0x01]);
        cursor.skip(2, 3).unwrap();
        assert_eq!(cursor.tag(), Ok((1, 0)));
        assert!(Cursor::new(&[0x1c]).skip(2, 3).is_err());
        assert!(Cursor::new(&[0x08, 0x05]).skip(2, 3).is_err());
        assert!(Cursor::new(&[0x1b; 200]).skip(2, 3).is_err());
    }

    #[test]
    fn zigzag_round_trips() {
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
