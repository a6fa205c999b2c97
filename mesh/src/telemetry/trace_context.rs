//! W3C Trace Context: which request a piece of work belongs to, across processes.

use std::{fmt, str::FromStr};

use super::otlp;

/// A `traceparent`: trace id, the id of the current span, and flags; with the span's parent, which the
/// header does not carry, so that whoever ends the span can say below which one it was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    /// The span above; 0 when there is none, or none that anybody records.
    parent_id: u64,
    flags: u8,
    life: Life,
}

/// Whether the span id names a span.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Life {
    /// Somebody records it, or did.
    Span,
    /// The place of a span before the first one of the trace: its children have no parent.
    Unstarted,
}

/// The header is not a valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct InvalidTraceparent;

const SAMPLED: u8 = 1;

impl TraceContext {
    /// The root span of a new trace, recorded as `OTEL_TRACES_SAMPLER` says.
    pub fn generate() -> Self {
        let trace_id = rand::random::<u128>().max(1);
        Self {
            trace_id,
            span_id: rand::random::<u64>().max(1),
            parent_id: 0,
            flags: if otlp::samples_root(trace_id) {
                SAMPLED
            } else {
                0
            },
            life: Life::Span,
        }
    }

    /// A new trace in which nothing has begun yet: its first span will be a root.
    pub fn unstarted() -> Self {
        Self {
            life: Life::Unstarted,
            ..Self::generate()
        }
    }

    /// A new span in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span_id: rand::random::<u64>().max(1),
            parent_id: match self.life {
                Life::Span => self.span_id,
                Life::Unstarted => 0,
            },
            life: Life::Span,
            ..self
        }
    }

    /// The span with which this process answers a request from outside the mesh that came with this
    /// context. The caller's decision to record is taken over unless `OTEL_TRACES_SAMPLER` is one that
    /// decides for itself.
    #[must_use]
    pub fn entered(self) -> Self {
        let sampled = otlp::samples_entry(self.trace_id, self.is_sampled());
        Self {
            flags: if sampled {
                self.flags | SAMPLED
            } else {
                self.flags & !SAMPLED
            },
            ..self.child()
        }
    }

    /// Whether spans of this trace are recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED == SAMPLED
    }

    /// Whether both are of one trace.
    pub fn is_same_trace(&self, other: &Self) -> bool {
        self.trace_id == other.trace_id
    }

    /// The trace id in 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The trace id as a number.
    pub fn trace_number(&self) -> u128 {
        self.trace_id
    }

    /// The span id in 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// The span id as a number.
    pub fn span_number(&self) -> u64 {
        self.span_id
    }

    /// The id of the span above; `None` for a root.
    pub(crate) fn parent_number(&self) -> Option<u64> {
        (self.parent_id != 0).then_some(self.parent_id)
    }

    /// The flags, as in the header.
    pub(crate) fn flags(&self) -> u8 {
        self.flags
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    /// Reads a header by the W3C rules: lower-case hexadecimal, no all-zero ids, and longer headers
    /// only from versions after 00.
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let bytes = text.as_bytes();
        let is_hex = |range: std::ops::Range<usize>| {
            bytes
                .get(range)
                .is_some_and(|part| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        };
        let dash = |at: usize| bytes.get(at) == Some(&b'-');
        let version = &text.get(..2).ok_or(InvalidTraceparent)?;
        let length_fits = match *version {
            "00" => bytes.len() == 55,
            _ => bytes.len() == 55 || dash(55),
        };
        let well_formed = is_hex(0..2)
            && dash(2)
            && is_hex(3..35)
            && dash(35)
            && is_hex(36..52)
            && dash(52)
            && is_hex(53..55)
            && length_fits
            && *version != "ff";
        if !well_formed {
            return Err(InvalidTraceparent);
        }
        let trace_id = u128::from_str_radix(&text[3..35], 16).map_err(|_| InvalidTraceparent)?;
        let span_id = u64::from_str_radix(&text[36..52], 16).map_err(|_| InvalidTraceparent)?;
        let flags = u8::from_str_radix(&text[53..55], 16).map_err(|_| InvalidTraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self {
            trace_id,
            span_id,
            parent_id: 0,
            flags,
            life: Life::Span,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_specification_s_example_round_trips() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!(context.to_string(), EXAMPLE);
        let child = context.child();
        assert_eq!(child.trace_id(), context.trace_id());
        assert_ne!(child.span_id(), context.span_id());
        assert_eq!(child.parent_number(), Some(context.span_number()));
        assert!(child.is_sampled());
    }

    #[test]
    fn the_first_span_of_a_trace_is_a_root() {
        let unstarted = TraceContext::unstarted();
        let root = unstarted.child();
        assert!(root.is_same_trace(&unstarted));
        assert_eq!(root.parent_number(), None);
        assert_eq!(root.child().parent_number(), Some(root.span_number()));
    }

    #[test]
    fn a_caller_who_does_not_record_is_followed() {
        let sent: TraceContext = EXAMPLE.replace("-01", "-00").parse().unwrap();
        let span = sent.entered();
        assert!(!span.is_sampled());
        assert_eq!(span.parent_number(), Some(sent.span_number()));
        assert!(!span.child().is_sampled());
    }

    #[test]
    fn invalid_headers_are_refused() {
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        ] {
            assert!(bad.parse::<TraceContext>().is_err(), "{bad}");
        }
        let future = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert!(future.parse::<TraceContext>().is_ok());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<TraceContext>();
        }

        #[test]
        fn generated_contexts_are_valid(_ in 0..50) {
            let context = TraceContext::generate();
            prop_assert_eq!(context.to_string().parse::<TraceContext>().unwrap(), context);
        }
    }
}
