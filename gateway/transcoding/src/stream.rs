//! Framing of server streams for HTTP clients: a JSON array, newline-delimited JSON or server-sent
//! events. Everything here is a pure function over JSON that is already written; the gateway decides
//! when to send.
//!
//! JSON from this crate never holds a raw line break, so one line is always one message.

use std::borrow::Cow;

/// How the messages of a stream are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFormat {
    /// One JSON array that grows: readable by any JSON parser once complete.
    JsonArray,
    /// One JSON value per line.
    Ndjson,
    /// `text/event-stream`, for browsers.
    Sse,
}

impl StreamFormat {
    /// The best format for an `Accept` header, by its quality values and then by its order.
    ///
    /// A client that names none of the formats, or has no preference (`*/*`), gets the JSON array.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (Self::JsonArray, 0.0);
        for entry in accept.unwrap_or_default().split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default() {
                kind if kind.eq_ignore_ascii_case("text/event-stream") => Self::Sse,
                kind if kind.eq_ignore_ascii_case("application/x-ndjson")
                    || kind.eq_ignore_ascii_case("application/ndjson")
                    || kind.eq_ignore_ascii_case("application/jsonl")
                    || kind.eq_ignore_ascii_case("application/json-seq") =>
                {
                    Self::Ndjson
                }
                kind if kind.eq_ignore_ascii_case("application/json")
                    || kind.eq_ignore_ascii_case("application/*")
                    || kind == "*/*" =>
                {
                    Self::JsonArray
                }
                _ => continue,
            };
            let quality = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1.0, |quality| quality.trim().parse::<f32>().unwrap_or(0.0));
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }

    /// The content type of the whole response.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::JsonArray => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Sse => "text/event-stream",
        }
    }
}

/// One server-sent event around a JSON value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// What the client sends back as `Last-Event-ID` when it reconnects.
    pub id: Option<Cow<'a, str>>,
    /// The event's type; clients see `message` when absent.
    pub event: Option<Cow<'a, str>>,
    /// The JSON value.
    pub data: &'a [u8],
}

/// Appends `json` as one line.
pub fn ndjson_line(json: &[u8], out: &mut Vec<u8>) {
    append_line(json, out);
    out.push(b'\n');
}

/// Appends `json` as the element `index` of an array that `[` opened.
pub fn array_element(index: usize, json: &[u8], out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    out.extend_from_slice(json);
}

/// Appends one server-sent event. Line breaks in `id` and `event` are dropped: they would end it.
pub fn sse_event(event: &SseEvent<'_>, out: &mut Vec<u8>) {
    for (name, value) in [("id: ", &event.id), ("event: ", &event.event)] {
        if let Some(value) = value {
            out.extend_from_slice(name.as_bytes());
            out.extend(
                value
                    .bytes()
                    .filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)),
            );
            out.push(b'\n');
        }
    }
    out.extend_from_slice(b"data: ");
    append_line(event.data, out);
    out.extend_from_slice(b"\n\n");
}

/// Line breaks can only be insignificant whitespace of JSON from elsewhere: a space stands for them.
fn append_line(json: &[u8], out: &mut Vec<u8>) {
    out.extend(json.iter().map(|&byte| match byte {
        b'\r' | b'\n' => b' ',
        byte => byte,
    }));
}

/// Frames one stream: call [`open`](Self::open), [`item`](Self::item) for each message, and either
/// [`close`](Self::close) or [`failure`](Self::failure). Each appends to the caller's buffer.
#[derive(Debug, Clone)]
pub struct StreamEncoder {
    format: StreamFormat,
    items: usize,
}

impl StreamEncoder {
    /// A stream that has not begun.
    pub fn new(format: StreamFormat) -> Self {
        Self { format, items: 0 }
    }

    /// The format of this stream.
    pub fn format(&self) -> StreamFormat {
        self.format
    }

    /// What comes before the first message.
    pub fn open(&mut self, out: &mut Vec<u8>) {
        if self.format == StreamFormat::JsonArray {
            out.push(b'[');
        }
    }

    /// One message.
    pub fn item(&mut self, json: &[u8], out: &mut Vec<u8>) {
        self.event(
            &SseEvent {
                data: json,
                ..SseEvent::default()
            },
            out,
        );
    }

    /// One message with an id and a type, which only server-sent events carry.
    pub fn event(&mut self, event: &SseEvent<'_>, out: &mut Vec<u8>) {
        match self.format {
            StreamFormat::JsonArray => array_element(self.items, event.data, out),
            StreamFormat::Ndjson => ndjson_line(event.data, out),
            StreamFormat::Sse => sse_event(event, out),
        }
        self.items += 1;
    }

    /// Ends the stream with an error, given as a JSON object: the last element or line, or an event
    /// of type `error`.
    pub fn failure(&mut self, json: &[u8], out: &mut Vec<u8>) {
        self.event(
            &SseEvent {
                event: Some(Cow::Borrowed("error")),
                data: json,
                ..SseEvent::default()
            },
            out,
        );
        self.close(out);
    }

    /// What comes after the last message.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.format == StreamFormat::JsonArray {
            out.push(b']');
        }
    }

    /// Something that keeps an idle connection open and means nothing: a comment for server-sent
    /// events, white space for the others (an empty line for NDJSON, which its readers skip).
    pub fn keep_alive(&self, out: &mut Vec<u8>) {
        match self.format {
            StreamFormat::JsonArray => out.push(b' '),
            StreamFormat::Ndjson => out.push(b'\n'),
            StreamFormat::Sse => out.extend_from_slice(b":\n\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(format: StreamFormat) -> String {
        let mut encoder = StreamEncoder::new(format);
        let mut out = Vec::new();
        encoder.open(&mut out);
        encoder.item(br#"{"a":1}"#, &mut out);
        encoder.event(
            &SseEvent {
                id: Some("7\n8".into()),
                event: Some("OrderCreated".into()),
                data: b"{\n}",
            },
            &mut out,
        );
        encoder.close(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn frames_each_format() {
        assert_eq!(frame(StreamFormat::JsonArray), "[{\"a\":1},{\n}]");
        assert_eq!(frame(StreamFormat::Ndjson), "{\"a\":1}\n{ }\n");
        assert_eq!(
            frame(StreamFormat::Sse),
            "data: {\"a\":1}\n\nid: 78\nevent: OrderCreated\ndata: { }\n\n"
        );
    }

    #[test]
    fn negotiates_by_quality_and_then_order() {
        let negotiate = |accept| StreamFormat::negotiate(Some(accept));
        assert_eq!(StreamFormat::negotiate(None), StreamFormat::JsonArray);
        assert_eq!(negotiate("*/*"), StreamFormat::JsonArray);
        assert_eq!(negotiate("text/event-stream"), StreamFormat::Sse);
        assert_eq!(
            negotiate("application/x-ndjson, text/event-stream"),
            StreamFormat::Ndjson
        );
        assert_eq!(
            negotiate("application/json;q=0.5, text/event-stream;q=0.9"),
            StreamFormat::Sse
        );
        assert_eq!(negotiate("text/event-stream;q=0"), StreamFormat::JsonArray);
    }
}
