//! Messages whose JSON is not an object of their fields.

use super::Reader;
use super::fail::{Fail, Read};
use super::object::Inside;
use crate::error::RequestErrorKind::{DuplicateField, UnknownField};
use crate::schema::{Form, Kind, MessageTable};
use crate::wire::{begin_length, end_length, put_bytes, put_varint};
use crate::wkt::{duration, field_mask, timestamp};

/// Tags of the fields of well-known types: field number and wire type.
const FIELD_1_VARINT: u8 = 0x08;
const FIELD_2_VARINT: u8 = 0x10;
const FIELD_1_BYTES: u8 = 0x0a;
const FIELD_2_BYTES: u8 = 0x12;
const VALUE_NULL: u8 = 0x08;
const VALUE_NUMBER: u8 = 0x11;
const VALUE_STRING: u8 = 0x1a;
const VALUE_BOOL: u8 = 0x20;
const VALUE_STRUCT: u8 = 0x2a;
const VALUE_LIST: u8 = 0x32;

impl Reader<'_, '_> {
    /// The content of a message of any form but [`Form::Object`].
    pub(super) fn well_known(&mut self, form: Form, table: &MessageTable) -> Read<()> {
        match form {
            Form::Timestamp | Form::Duration | Form::FieldMask => {
                let text = self.json.string("a string")?.text()?;
                self.text_form(form, &text)
            }
            Form::Wrapper => {
                let field = &table.fields[0];
                let start = self.out.len();
                self.out.extend_from_slice(field.tag.bytes());
                if self.scalar(field.kind)? {
                    self.out.truncate(start);
                }
                Ok(())
            }
            Form::Struct => self.structure(),
            Form::Value => self.json_value(),
            Form::ListValue => self.json_list(),
            Form::Any => self.any(),
            Form::Object | Form::HttpBody => {
                self.json.open(b'{', "an object")?;
                self.members(table, &[], Inside::Message)
            }
        }
    }

    /// The content of a message that is given as text in a path or a query.
    pub(super) fn message_text(&mut self, table: &MessageTable, text: &str) -> Read<()> {
        match table.form {
            form @ (Form::Timestamp | Form::Duration | Form::FieldMask) => {
                self.text_form(form, text.as_bytes())
            }
            Form::Wrapper => {
                let field = &table.fields[0];
                let start = self.out.len();
                self.out.extend_from_slice(field.tag.bytes());
                if self.scalar_text(field.kind, text.as_bytes())? {
                    self.out.truncate(start);
                }
                Ok(())
            }
            _ => Err(Fail::value("cannot be given as text")),
        }
    }

    fn text_form(&mut self, form: Form, text: &[u8]) -> Read<()> {
        let (seconds, nanos) = match form {
            Form::Timestamp => timestamp::parse(text).map_err(|invalid| match invalid {
                timestamp::Invalid::Syntax => {
                    Fail::value("must be an RFC 3339 time such as 2026-11-20T08:30:00Z")
                }
                timestamp::Invalid::Range => {
                    Fail::range("is not a time between the years 1 and 9999")
                }
            })?,
            Form::Duration => duration::parse(text).map_err(|invalid| match invalid {
                duration::Invalid::Syntax => {
                    Fail::value("must be a number of seconds such as 1.5s")
                }
                duration::Invalid::Range => Fail::range("is longer than 10,000 years"),
            })?,
            _ => return self.field_mask(text),
        };
        for (tag, value) in [
            (FIELD_1_VARINT, seconds),
            (FIELD_2_VARINT, i64::from(nanos)),
        ] {
            if value != 0 {
                self.out.push(tag);
                put_varint(value as u64, &mut self.out);
            }
        }
        Ok(())
    }

    fn field_mask(&mut self, text: &[u8]) -> Read<()> {
        let text =
            std::str::from_utf8(text).map_err(|_| Fail::value("must be a list of field paths"))?;
        if text.is_empty() {
            return Ok(());
        }
        for path in text.split(',') {
            if !field_mask::is_path(path) {
                return Err(Fail::value("must be field paths with commas between them"));
            }
            self.out.push(FIELD_1_BYTES);
            let start = begin_length(&mut self.out);
            field_mask::put_snake(path, &mut self.out);
            end_length(start, &mut self.out);
        }
        Ok(())
    }

    fn structure(&mut self) -> Read<()> {
        self.json.open(b'{', "an object")?;
        let mut keys = Vec::new();
        let mut first = true;
        while self.json.next(b'}', first)? {
            first = false;
            let name = self.json.name()?;
            self.out.push(FIELD_1_BYTES);
            let start = begin_length(&mut self.out);
            self.out.push(FIELD_1_BYTES);
            self.string(name)?;
            let key_length = self.out.len() - start;
            self.out.push(FIELD_2_BYTES);
            let value = begin_length(&mut self.out);
            self.json_value().map_err(|fail| fail.in_key(name.bytes))?;
            end_length(value, &mut self.out);
            let start = end_length(start, &mut self.out);
            keys.push(start..start + key_length);
        }
        self.refuse_equal(&keys)
    }

    fn json_list(&mut self) -> Read<()> {
        self.json.open(b'[', "an array")?;
        let mut index = 0;
        while self.json.next(b']', index == 0)? {
            self.out.push(FIELD_1_BYTES);
            let start = begin_length(&mut self.out);
            self.json_value().map_err(|fail| fail.in_element(index))?;
            end_length(start, &mut self.out);
            index += 1;
        }
        Ok(())
    }

    fn json_value(&mut self) -> Read<()> {
        match self.json.peek() {
            Some(b'n') if self.json.null() => self.out.extend_from_slice(&[VALUE_NULL, 0]),
            Some(b't' | b'f') => {
                self.out.push(VALUE_BOOL);
                self.scalar(Kind::Bool)?;
            }
            Some(b'"') => {
                self.out.push(VALUE_STRING);
                self.scalar(Kind::String)?;
            }
            Some(b'{') => {
                self.out.push(VALUE_STRUCT);
                let start = begin_length(&mut self.out);
                self.structure()?;
                end_length(start, &mut self.out);
            }
            Some(b'[') => {
                self.out.push(VALUE_LIST);
                let start = begin_length(&mut self.out);
                self.json_list()?;
                end_length(start, &mut self.out);
            }
            _ => {
                self.out.push(VALUE_NUMBER);
                let text = self.json.number("a JSON value")?;
                self.scalar_text(Kind::Double, text)?;
            }
        }
        Ok(())
    }

    fn any(&mut self) -> Read<()> {
        self.json.open(b'{', "an object")?;
        let start = self.json.position();
        let Some(type_url) = self.type_url()? else {
            return Ok(());
        };
        self.json.rewind(start);
        let url = std::str::from_utf8(&type_url).unwrap_or_default();
        let Some(id) = self.schema.find_url(url) else {
            return Err(Fail::value("is not a known type").in_field("@type"));
        };
        self.out.push(FIELD_1_BYTES);
        put_bytes(&type_url, &mut self.out);
        self.out.push(FIELD_2_BYTES);
        let content = begin_length(&mut self.out);
        let table = self.schema.message(id);
        match table.form {
            Form::Object | Form::HttpBody => self.members(table, &[], Inside::Any)?,
            _ => self.any_value(id)?,
        }
        end_length(content, &mut self.out);
        Ok(())
    }

    /// The type in an object that is open already, which may name it anywhere; `None` when the
    /// object is empty.
    fn type_url(&mut self) -> Read<Option<Vec<u8>>> {
        let mut found = None;
        let mut first = true;
        while self.json.next(b'}', first)? {
            first = false;
            let name = self.json.name()?.text()?;
            if *name != *b"@type" {
                self.json.skip()?;
                continue;
            }
            let url = self
                .json
                .string("a string")
                .map_err(|fail| fail.in_field("@type"))?
                .text()?;
            if found.replace(url.into_owned()).is_some() {
                return Err(Fail::new(DuplicateField, "is given twice").in_field("@type"));
            }
        }
        match found {
            None if !first => Err(Fail::value("must have a member @type")),
            found => Ok(found),
        }
    }

    /// A well-known type in an `Any` is its member `value`.
    fn any_value(&mut self, id: crate::schema::MessageId) -> Read<()> {
        let (mut first, mut found) = (true, false);
        while self.json.next(b'}', first)? {
            first = false;
            let name = self.json.name()?.text()?;
            match &*name {
                b"@type" => self.json.skip()?,
                b"value" if found => {
                    return Err(Fail::new(DuplicateField, "is given twice").in_field("value"));
                }
                b"value" => {
                    found = true;
                    self.message(id, &[])
                        .map_err(|fail| fail.in_field("value"))?;
                }
                name => {
                    return Err(Fail::new(UnknownField, "no such field")
                        .in_field(&String::from_utf8_lossy(name)));
                }
            }
        }
        if found {
            Ok(())
        } else {
            Err(Fail::value("must have a member value"))
        }
    }
}
