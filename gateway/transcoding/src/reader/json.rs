//! A scanner over JSON text: it finds where values begin and end and never builds any.

use std::borrow::Cow;

use super::fail::{Fail, Read};
use crate::error::RequestErrorKind::{InvalidUtf8, Syntax, TooDeep};
use crate::scan::plain_prefix;
use crate::template::hex;

/// Reads JSON from the front of a text. What nests is counted against a limit.
#[derive(Debug)]
pub(super) struct Scanner<'j> {
    text: &'j [u8],
    at: usize,
    depth: usize,
    max_depth: usize,
}

/// A string as it stands in the text, without its quotes. It is UTF-8.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawString<'j> {
    pub(super) bytes: &'j [u8],
    pub(super) escaped: bool,
}

impl<'j> Scanner<'j> {
    pub(super) fn new(text: &'j [u8], max_depth: usize) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            max_depth,
        }
    }

    /// The first byte of the next token; `None` at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes the next token if it is this punctuation mark.
    #[inline]
    pub(super) fn take(&mut self, mark: u8) -> bool {
        let found = self.peek() == Some(mark);
        self.at += usize::from(found);
        found
    }

    /// Opens an object or array; `expected` names it in the error.
    pub(super) fn open(&mut self, bracket: u8, expected: &'static str) -> Read<()> {
        if !self.take(bracket) {
            return Err(self.unexpected(expected));
        }
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(Fail::new(
                TooDeep,
                format!("nested more than {} levels deep", self.max_depth),
            ));
        }
        Ok(())
    }

    /// Whether another member follows, in an object or array of which `first` tells whether any has
    /// been read; otherwise it is closed.
    #[inline]
    pub(super) fn next(&mut self, bracket: u8, first: bool) -> Read<bool> {
        match self.peek() {
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                if self.peek() == Some(bracket) {
                    return Err(self.syntax("a comma with nothing after it"));
                }
                Ok(true)
            }
            Some(_) if first => Ok(true),
            Some(_) => Err(self.syntax("expected a comma or the end of the list")),
            None => Err(self.syntax("the JSON ends too early")),
        }
    }

    /// The name of a member and the colon after it.
    #[inline]
    pub(super) fn name(&mut self) -> Read<RawString<'j>> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("expected a name in double quotes"));
        }
        let name = self.string("a name")?;
        if self.take(b':') {
            Ok(name)
        } else {
            Err(self.syntax("expected a colon"))
        }
    }

    /// Takes `null` if it comes next.
    #[inline]
    pub(super) fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.literal(b"null")
    }

    /// Takes a literal if it comes next.
    pub(super) fn literal(&mut self, literal: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(literal)
            && !self
                .text
                .get(self.at + literal.len())
                .is_some_and(u8::is_ascii_alphanumeric);
        if found {
            self.at += literal.len();
        }
        found
    }

    /// A string; `expected` names what the field takes in the error.
    pub(super) fn string(&mut self, expected: &'static str) -> Read<RawString<'j>> {
        if !self.take(b'"') {
            return Err(self.unexpected(expected));
        }
        let start = self.at;
        let (mut escaped, mut ascii) = (false, true);
        loop {
            self.at += plain_prefix(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    // The escaped byte cannot end the string, whatever it is.
                    self.at += 2;
                    if self.at > self.text.len() {
                        return Err(self.syntax("a string does not end"));
                    }
                }
                Some(0x80..) => {
                    ascii = false;
                    self.at += 1;
                }
                Some(_) => return Err(self.syntax("a control character in a string")),
                None => return Err(self.syntax("a string does not end")),
            }
        }
        let bytes = &self.text[start..self.at];
        self.at += 1;
        if !ascii && std::str::from_utf8(bytes).is_err() {
            return Err(Fail::new(InvalidUtf8, "is not valid UTF-8"));
        }
        Ok(RawString { bytes, escaped })
    }

    /// A number, by the grammar of JSON.
    pub(super) fn number(&mut self, expected: &'static str) -> Read<&'j [u8]> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {}
            _ => return Err(self.unexpected(expected)),
        }
        let start = self.at;
        self.at += usize::from(self.text[self.at] == b'-');
        let whole = self.digits();
        let leading_zero = whole > 1 && self.text[self.at - whole] == b'0';
        let mut complete = whole > 0 && !leading_zero;
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            complete &= self.digits() > 0;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            complete &= self.digits() > 0;
        }
        if !complete {
            return Err(self.syntax("a malformed number"));
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> usize {
        let count = self.text[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.at += count;
        count
    }

    /// Skips one value of any kind, checking its syntax.
    pub(super) fn skip(&mut self) -> Read<()> {
        match self.peek() {
            Some(b'{') => {
                self.open(b'{', "an object")?;
                let mut first = true;
                while self.next(b'}', first)? {
                    first = false;
                    self.name()?;
                    self.skip()?;
                }
            }
            Some(b'[') => {
                self.open(b'[', "an array")?;
                let mut first = true;
                while self.next(b']', first)? {
                    first = false;
                    self.skip()?;
                }
            }
            Some(b'"') => drop(self.string("a string")?),
            Some(b't' | b'f' | b'n') => {
                if !(self.literal(b"true") || self.literal(b"false") || self.literal(b"null")) {
                    return Err(self.syntax("not a JSON value"));
                }
            }
            _ => drop(self.number("a JSON value")?),
        }
        Ok(())
    }

    /// Makes sure that nothing follows.
    pub(super) fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax("something follows the JSON value")),
        }
    }

    /// Where the scanner stands, to come back to.
    pub(super) fn position(&self) -> (usize, usize) {
        (self.at, self.depth)
    }

    /// Goes back to a position.
    pub(super) fn rewind(&mut self, (at, depth): (usize, usize)) {
        self.at = at;
        self.depth = depth;
    }

    /// The next token is not what the field takes, or is no token at all.
    #[cold]
    pub(super) fn unexpected(&mut self, expected: &'static str) -> Box<Fail> {
        match self.peek() {
            None => self.syntax("the JSON ends too early"),
            Some(b'"' | b'{' | b'[' | b'-' | b'0'..=b'9') => {
                Fail::value(format!("must be {expected}"))
            }
            Some(_) if self.literal(b"true") || self.literal(b"false") || self.literal(b"null") => {
                Fail::value(format!("must be {expected}"))
            }
            Some(_) => self.syntax("not a JSON value"),
        }
    }

    #[cold]
    pub(super) fn syntax(&self, what: &str) -> Box<Fail> {
        Fail::new(Syntax, format!("{what}, at byte {} of the body", self.at))
    }
}

impl<'j> RawString<'j> {
    /// The string's text.
    pub(super) fn text(self) -> Read<Cow<'j, [u8]>> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.bytes));
        }
        let mut text = Vec::with_capacity(self.bytes.len());
        self.unescape(&mut text)?;
        Ok(Cow::Owned(text))
    }

    /// Appends the string's text.
    pub(super) fn unescape(self, out: &mut Vec<u8>) -> Read<()> {
        let mut rest = self.bytes;
        while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            let Some((&escape, after)) = rest.split_first() else {
                return Err(bad_escape());
            };
            rest = after;
            out.push(match escape {
                b'"' | b'\\' | b'/' => escape,
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'b' => 0x08,
                b'f' => 0x0c,
                b'u' => {
                    let (character, after) = unicode(rest).ok_or_else(bad_escape)?;
                    rest = after;
                    let mut buffer = [0; 4];
                    out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                    continue;
                }
                _ => return Err(bad_escape()),
            });
        }
        out.extend_from_slice(rest);
        Ok(())
    }
}

/// The character after `\u`, which may be a pair of surrogates.
fn unicode(rest: &[u8]) -> Option<(char, &[u8])> {
    let (unit, rest) = code_unit(rest)?;
    if !(0xd800..0xdc00).contains(&unit) {
        return Some((char::from_u32(unit)?, rest));
    }
    let (low, rest) = code_unit(rest.strip_prefix(b"\\u")?)?;
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((
        char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?,
        rest,
    ))
}

fn code_unit(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = rest.split_first_chunk::<4>()?;
    let mut unit = 0;
    for &digit in digits {
        unit = unit << 4 | u32::from(hex(digit)?);
    }
    Some((unit, rest))
}

#[cold]
fn bad_escape() -> Box<Fail> {
    Fail::new(Syntax, "holds an escape that is not valid JSON")
}
