//! What a caller may choose. The choices are burnt into the tables when they are compiled, so they
//! cost nothing per message.

/// How a [`Transcoder`](crate::Transcoder) reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The JSON that is written. Reading accepts every style.
    pub style: JsonStyle,
    /// How deep objects and arrays of a request body may nest.
    pub max_json_depth: usize,
    /// How deep messages of a response may nest.
    pub max_wire_depth: usize,
}

impl Default for Options {
    /// The house style, 32 levels of JSON, 100 levels of messages.
    fn default() -> Self {
        Self {
            style: JsonStyle::HOUSE,
            max_json_depth: 32,
            max_wire_depth: 100,
        }
    }
}

/// The dialect of JSON that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonStyle {
    /// How fields are named.
    pub names: Names,
    /// Whether fields that hold their default value are written.
    pub defaults: Defaults,
    /// How enum values are named.
    pub enums: Enums,
    /// How 64-bit integers are written.
    pub int64: Int64,
}

impl JsonStyle {
    /// The REST face of the hub: names as in the proto, defaults present, short enum values and
    /// plain numbers wherever JavaScript can hold them.
    pub const HOUSE: Self = Self {
        names: Names::Proto,
        defaults: Defaults::Present,
        enums: Enums::Short,
        int64: Int64::Number,
    };

    /// The canonical JSON mapping of proto3.
    pub const CANONICAL: Self = Self {
        names: Names::Camel,
        defaults: Defaults::Omitted,
        enums: Enums::Full,
        int64: Int64::String,
    };
}

impl Default for JsonStyle {
    fn default() -> Self {
        Self::HOUSE
    }
}

/// How fields are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// As in the proto file: `unit_price`. Field masks keep that form too.
    Proto,
    /// The descriptor's JSON name: `unitPrice`.
    Camel,
}

/// Whether fields that hold their default value are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// Scalars, enums, lists and maps always appear. Unset messages, `optional` fields and members
    /// of a `oneof` do not, because for them absence means something.
    Present,
    /// Only fields that differ from their default appear.
    Omitted,
}

/// How enum values are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enums {
    /// Without the enum's own prefix and in lower case: `ORDER_STATUS_PROCESSING` is `processing`.
    Short,
    /// As in the proto file.
    Full,
}

/// How 64-bit integers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Int64 {
    /// As a number up to 2^53 in magnitude, which every JSON reader holds exactly; as a string
    /// beyond.
    Number,
    /// Always as a string, as proto3 JSON says.
    String,
}
