//! Reading protobuf wire format in place.
//!
//! Only what validation needs: fields one after the other, scalars as the decoder would see them.
//! Everything is bounded by the input and nothing panics on hostile bytes.

use super::MAX_DEPTH;

/// The bytes cannot be read as the message they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A field's payload before its type is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The scalar types of the proto language; they differ in wire form and in what a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum,
}

/// A decoded scalar, in the widest type of its family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// The fields of an encoded message, in wire order; groups are skipped.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and payload, or `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>, Malformed> {
        while !self.rest.is_empty() {
            let (number, kind) = self.tag()?;
            let raw = match kind {
                0 => Raw::Varint(self.varint()?),
                1 => Raw::Fixed64(u64::from_le_bytes(self.array()?)),
                2 => Raw::Bytes(self.delimited()?),
                3 => {
                    self.skip_group(number)?;
                    continue;
                }
                5 => Raw::Fixed32(u32::from_le_bytes(self.array()?)),
                _ => return Err(Malformed),
            };
            return Ok(Some((number, raw)));
        }
        Ok(None)
    }

    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        match key >> 3 {
            0 => Err(Malformed),
            number => Ok((number, (key & 7) as u8)),
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte carries the last bit only; more would not fit 64 bits.
            if at == 9 && *byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    fn delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    /// Skips to the end of the group `number`; groups inside it are tracked without recursion.
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(innermost) = open.last() {
            let (number, kind) = self.tag()?;
            match kind {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.delimited()?),
                3 if open.len() < MAX_DEPTH as usize => open.push(number),
                4 if *innermost == number => drop(open.pop()),
                5 => drop(self.array::<4>()?),
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }
}

impl<'a> Raw<'a> {
    /// The bytes of a length-delimited field; nothing else can hold a message.
    pub(super) fn delimited(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }
}

impl Scalar {
    /// Whether several values may share one length-delimited field.
    pub(super) fn packable(self) -> bool {
        !matches!(self, Self::String | Self::Bytes)
    }

    /// What an absent field of this type reads as.
    pub(super) fn zero(self) -> Raw<'static> {
        match self {
            Self::String | Self::Bytes => Raw::Bytes(&[]),
            Self::Double | Self::Fixed64 | Self::Sfixed64 => Raw::Fixed64(0),
            Self::Float | Self::Fixed32 | Self::Sfixed32 => Raw::Fixed32(0),
            _ => Raw::Varint(0),
        }
    }

    /// Reads `raw` as a value of this type, truncating as the generated decoders do.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    #[inline]
    pub(super) fn decode(self, raw: Raw<'_>) -> Result<Value<'_>, Malformed> {
        Ok(match (self, raw) {
            (Self::String, Raw::Bytes(bytes)) => {
                Value::Text(std::str::from_utf8(bytes).map_err(|_| Malformed)?)
            }
            (Self::Bytes, Raw::Bytes(bytes)) => Value::Bytes(bytes),
            (Self::Int32 | Self::Enum, Raw::Varint(bits)) => Value::Signed(i64::from(bits as i32)),
            (Self::Int64, Raw::Varint(bits)) => Value::Signed(bits as i64),
            (Self::Uint32, Raw::Varint(bits)) => Value::Unsigned(u64::from(bits as u32)),
            (Self::Uint64, Raw::Varint(bits)) => Value::Unsigned(bits),
            (Self::Sint32, Raw::Varint(bits)) => {
                let bits = bits as u32;
                Value::Signed(i64::from(((bits >> 1) as i32) ^ -((bits & 1) as i32)))
            }
            (Self::Sint64, Raw::Varint(bits)) => {
                Value::Signed(((bits >> 1) as i64) ^ -((bits & 1) as i64))
            }
            (Self::Bool, Raw::Varint(bits)) => Value::Bool(bits != 0),
            (Self::Fixed32, Raw::Fixed32(bits)) => Value::Unsigned(u64::from(bits)),
            (Self::Fixed64, Raw::Fixed64(bits)) => Value::Unsigned(bits),
            (Self::Sfixed32, Raw::Fixed32(bits)) => Value::Signed(i64::from(bits as i32)),
            (Self::Sfixed64, Raw::Fixed64(bits)) => Value::Signed(bits as i64),
            (Self::Float, Raw::Fixed32(bits)) => Value::Float(f64::from(f32::from_bits(bits))),
            (Self::Double, Raw::Fixed64(bits)) => Value::Float(f64::from_bits(bits)),
            _ => return Err(Malformed),
        })
    }

    /// The values in one occurrence of a repeated field: one, or a packed run of them.
    pub(super) fn elements(self, raw: Raw<'_>) -> Elements<'_> {
        match raw {
            Raw::Bytes(bytes) if self.packable() => Elements {
                scalar: self,
                one: None,
                packed: Fields::new(bytes),
            },
            raw => Elements {
                scalar: self,
                one: Some(raw),
                packed: Fields::new(&[]),
            },
        }
    }

    /// How many values one occurrence of a repeated field holds.
    pub(super) fn count(self, raw: Raw<'_>) -> Result<usize, Malformed> {
        let mut elements = self.elements(raw);
        let mut count = 0;
        while elements.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// See [`Scalar::elements`].
pub(super) struct Elements<'a> {
    scalar: Scalar,
    one: Option<Raw<'a>>,
    packed: Fields<'a>,
}

impl<'a> Elements<'a> {
    pub(super) fn next(&mut self) -> Result<Option<Raw<'a>>, Malformed> {
        if let Some(raw) = self.one.take() {
            return Ok(Some(raw));
        }
        if self.packed.rest.is_empty() {
            return Ok(None);
        }
        Ok(Some(match self.scalar.zero() {
            Raw::Fixed32(_) => Raw::Fixed32(u32::from_le_bytes(self.packed.array()?)),
            Raw::Fixed64(_) => Raw::Fixed64(u64::from_le_bytes(self.packed.array()?)),
            _ => Raw::Varint(self.packed.varint()?),
        }))
    }
}

impl Value<'_> {
    /// Whether this is the value an absent field has. A negative zero is not: it has bits on the wire.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Signed(number) => *number == 0,
            Self::Unsigned(number) => *number == 0,
            Self::Float(number) => number.to_bits() == 0,
            Self::Bool(flag) => !flag,
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }
}
