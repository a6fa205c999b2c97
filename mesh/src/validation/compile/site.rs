//! Reading rules messages, strictly: every field that is set must be one this version knows, or the
//! process does not start. `example` is documentation and skipped.

use prost_reflect::{DynamicMessage, Value};

use super::super::{RuleError, pattern};

/// Whose rules are being read, for errors: the field and the way into its rules.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) subject: String,
    path: String,
}

impl Site {
    pub(super) fn new(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            path: String::new(),
        }
    }

    pub(super) fn child(&self, name: &str) -> Self {
        Self {
            subject: self.subject.clone(),
            path: self.rule(name),
        }
    }

    fn rule(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            (path, "") => path.to_owned(),
            ("", name) => name.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }

    pub(super) fn error(&self, rule: &str, reason: &str) -> RuleError {
        RuleError {
            subject: self.subject.clone(),
            rule: self.rule(rule),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn unsupported(&self, rule: &str) -> RuleError {
        self.error(rule, "is not supported")
    }

    pub(super) fn ill_typed(&self, rule: &str) -> RuleError {
        self.error(rule, "has an unexpected type")
    }

    /// The set fields of a rules message.
    pub(super) fn entries(
        &self,
        rules: &DynamicMessage,
    ) -> Result<Vec<(String, Value)>, RuleError> {
        if let Some((extension, _)) = rules.extensions().next() {
            return Err(self.error(extension.full_name(), "predefined rules are not supported"));
        }
        if let Some(unknown) = rules.unknown_fields().next() {
            return Err(self.error(&format!("({})", unknown.number()), "is not known"));
        }
        Ok(rules
            .fields()
            .filter(|(field, _)| field.name() != "example")
            .map(|(field, value)| (field.name().to_owned(), value.clone()))
            .collect())
    }

    /// The boolean `name` of rules that hold nothing else.
    pub(super) fn flag(&self, rules: &DynamicMessage, name: &str) -> Result<bool, RuleError> {
        let mut flag = false;
        for (entry, value) in self.entries(rules)? {
            match value {
                Value::Bool(value) if entry == name => flag = value,
                _ => return Err(self.unsupported(&entry)),
            }
        }
        Ok(flag)
    }

    /// Reads `FieldRules`.
    pub(super) fn declared(&self, rules: &DynamicMessage) -> Result<Declared, RuleError> {
        const IF_ZERO_VALUE: i32 = 1;
        const ALWAYS: i32 = 3;
        let mut declared = Declared::default();
        for (name, value) in self.entries(rules)? {
            match (name.as_str(), value) {
                ("required", Value::Bool(required)) => declared.required = required,
                ("ignore", Value::EnumNumber(ignore)) => {
                    declared.ignore_stated = true;
                    match ignore {
                        0 => {}
                        IF_ZERO_VALUE => declared.ignore_zero = true,
                        ALWAYS => declared.ignore_always = true,
                        _ => return Err(self.unsupported("ignore")),
                    }
                }
                ("cel" | "cel_expression", _) => {
                    return Err(self.error(&name, "CEL expressions are not supported"));
                }
                (_, Value::Message(rules)) => declared.typed = Some((name, rules)),
                _ => return Err(self.unsupported(&name)),
            }
        }
        Ok(declared)
    }

    /// The type-specific rules, which must be those of `kind`.
    pub(super) fn typed<'d>(
        &self,
        declared: &'d Declared,
        kind: &str,
    ) -> Result<Option<&'d DynamicMessage>, RuleError> {
        match &declared.typed {
            None => Ok(None),
            Some((name, rules)) if name == kind => Ok(Some(rules)),
            Some((name, _)) => Err(self.error(name, "does not fit the type of the field")),
        }
    }

    pub(super) fn text(&self, name: &str, value: &Value) -> Result<Box<str>, RuleError> {
        let text = value.as_str().ok_or_else(|| self.ill_typed(name))?;
        Ok(text.into())
    }

    pub(super) fn bytes(&self, name: &str, value: &Value) -> Result<Box<[u8]>, RuleError> {
        let bytes = value.as_bytes().ok_or_else(|| self.ill_typed(name))?;
        Ok(bytes.to_vec().into())
    }

    pub(super) fn number(&self, name: &str, value: &Value) -> Result<u64, RuleError> {
        value.as_u64().ok_or_else(|| self.ill_typed(name))
    }

    pub(super) fn list<T>(
        &self,
        name: &str,
        value: &Value,
        read: impl Fn(&Value) -> Result<T, RuleError>,
    ) -> Result<Box<[T]>, RuleError> {
        let list = value.as_list().ok_or_else(|| self.ill_typed(name))?;
        list.iter().map(read).collect()
    }

    pub(super) fn texts(&self, name: &str, value: &Value) -> Result<Box<[Box<str>]>, RuleError> {
        self.list(name, value, |value| self.text(name, value))
    }

    pub(super) fn flag_value(&self, name: &str, value: &Value) -> Result<bool, RuleError> {
        value.as_bool().ok_or_else(|| self.ill_typed(name))
    }

    pub(super) fn regex(&self, name: &str, text: &str) -> Result<regex::Regex, RuleError> {
        pattern::compile(text).map_err(|reason| self.error(name, &reason))
    }
}

/// `FieldRules` of a field, an item, a key or a value.
#[derive(Debug, Default, Clone)]
pub(super) struct Declared {
    pub(super) required: bool,
    pub(super) ignore_stated: bool,
    pub(super) ignore_zero: bool,
    pub(super) ignore_always: bool,
    typed: Option<(String, DynamicMessage)>,
}
