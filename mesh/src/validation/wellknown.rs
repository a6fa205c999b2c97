//! Rules of the well-known messages: timestamps, durations, field masks and `Any`.

use super::{
    ordered::Ordered,
    table::Rule,
    wire::{Fields, Malformed, Raw, Scalar, Value},
};

/// Nanoseconds in a second; moments are compared as nanoseconds in `i128`, which every pair of wire
/// values fits.
pub(super) const NANOS: i128 = 1_000_000_000;

/// Rules of a timestamp or a duration.
#[derive(Debug, Default)]
pub(super) struct MomentRules {
    pub(super) ordered: Ordered<i128>,
    pub(super) not_after_now: Option<Rule>,
    pub(super) not_before_now: Option<Rule>,
    pub(super) within: Option<(i128, Rule)>,
}

impl MomentRules {
    pub(super) fn reads_clock(&self) -> bool {
        self.not_after_now.is_some() || self.not_before_now.is_some() || self.within.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ordered.is_empty() && !self.reads_clock()
    }

    /// Reports every rule that `value` breaks, both in nanoseconds.
    pub(super) fn check(
        &self,
        value: i128,
        now: impl FnOnce() -> Option<i128>,
        report: &mut dyn FnMut(&Rule),
    ) {
        self.ordered.check(value, true, report);
        if !self.reads_clock() {
            return;
        }
        // A validator without a clock does not compile these rules, so there always is a time.
        let Some(now) = now() else { return };
        if let Some(rule) = &self.not_after_now
            && value > now
        {
            report(rule);
        }
        if let Some(rule) = &self.not_before_now
            && value < now
        {
            report(rule);
        }
        if let Some((distance, rule)) = &self.within
            && (value < now - distance || value > now + distance)
        {
            report(rule);
        }
    }
}

/// Reads `seconds` and `nanos` of a timestamp or duration.
pub(super) fn moment(segments: &[&[u8]]) -> Result<i128, Malformed> {
    let seconds = last(segments, 1, Scalar::Int64)?;
    let nanos = last(segments, 2, Scalar::Int32)?;
    match (seconds, nanos) {
        (Value::Signed(seconds), Value::Signed(nanos)) => {
            Ok(i128::from(seconds) * NANOS + i128::from(nanos))
        }
        _ => Err(Malformed),
    }
}

/// The value of the singular scalar field `number`: the last one on the wire, or zero.
pub(super) fn last<'a>(
    segments: &[&'a [u8]],
    number: u32,
    scalar: Scalar,
) -> Result<Value<'a>, Malformed> {
    let mut found: Raw<'a> = scalar.zero();
    for segment in segments {
        let mut fields = Fields::new(segment);
        while let Some((at, raw)) = fields.next()? {
            if at == number {
                found = raw;
            }
        }
    }
    scalar.decode(found)
}

/// Rules of a field mask.
#[derive(Debug, Default)]
pub(super) struct MaskRules {
    pub(super) exact: Option<(Box<[Box<str>]>, Rule)>,
    pub(super) among: Option<(Box<[Box<str>]>, Rule)>,
    pub(super) except: Option<(Box<[Box<str>]>, Rule)>,
}

impl MaskRules {
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_none() && self.among.is_none() && self.except.is_none()
    }

    /// Reports every rule that the mask breaks.
    pub(super) fn check(
        &self,
        segments: &[&[u8]],
        report: &mut dyn FnMut(&Rule),
    ) -> Result<(), Malformed> {
        let mut equal = true;
        let mut among = true;
        let mut clear = true;
        let mut wanted = self.exact.iter().flat_map(|(paths, _)| paths);
        for segment in segments {
            let mut fields = Fields::new(segment);
            while let Some((number, raw)) = fields.next()? {
                if number != 1 {
                    continue;
                }
                let Value::Text(path) = Scalar::String.decode(raw)? else {
                    return Err(Malformed);
                };
                equal &= wanted.next().is_some_and(|wanted| **wanted == *path);
                among &= self.among.as_ref().is_none_or(|(set, _)| covers(set, path));
                clear &= self
                    .except
                    .as_ref()
                    .is_none_or(|(set, _)| !covers(set, path));
            }
        }
        equal &= wanted.next().is_none();
        for (rule, holds) in [
            (self.exact.as_ref().map(|(_, rule)| rule), equal),
            (self.among.as_ref().map(|(_, rule)| rule), among),
            (self.except.as_ref().map(|(_, rule)| rule), clear),
        ] {
            if let (Some(rule), false) = (rule, holds) {
                report(rule);
            }
        }
        Ok(())
    }
}

/// Whether `path` is one of `set` or lies below one.
fn covers(set: &[Box<str>], path: &str) -> bool {
    set.iter().any(|entry| {
        path.strip_prefix(&**entry)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Rules of the type of an `Any`.
#[derive(Debug, Default)]
pub(super) struct TypeRules {
    pub(super) among: Option<(Box<[Box<str>]>, Rule)>,
    pub(super) except: Option<(Box<[Box<str>]>, Rule)>,
}

impl TypeRules {
    pub(super) fn is_empty(&self) -> bool {
        self.among.is_none() && self.except.is_none()
    }

    /// Reports every rule that the type URL breaks.
    pub(super) fn check(&self, type_url: &str, report: &mut dyn FnMut(&Rule)) {
        let listed = |list: &[Box<str>]| list.iter().any(|entry| **entry == *type_url);
        if let Some((list, rule)) = &self.among
            && !listed(list)
        {
            report(rule);
        }
        if let Some((list, rule)) = &self.except
            && listed(list)
        {
            report(rule);
        }
    }
}
