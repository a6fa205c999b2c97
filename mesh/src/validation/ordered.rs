//! Rules of values with an order: numbers, enums, durations and timestamps.

use super::table::Rule;

/// `const`, ranges, `in`, `not_in`, `finite` and `defined_only` over one ordered type.
#[derive(Debug)]
pub(super) struct Ordered<T> {
    pub(super) exact: Option<(T, Rule)>,
    pub(super) range: Option<Range<T>>,
    pub(super) among: Option<(Box<[T]>, Rule)>,
    pub(super) except: Option<(Box<[T]>, Rule)>,
    /// The sorted numbers an enum declares.
    pub(super) defined: Option<(Box<[T]>, Rule)>,
    pub(super) finite: Option<Rule>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self {
            exact: None,
            range: None,
            among: None,
            except: None,
            defined: None,
            finite: None,
        }
    }
}

/// A range with one or two ends.
#[derive(Debug)]
pub(super) struct Range<T> {
    pub(super) low: Option<End<T>>,
    pub(super) high: Option<End<T>>,
    /// The high end lies below the low end: values must lie *outside* of the gap between them.
    pub(super) outside: bool,
    pub(super) rule: Rule,
}

/// One end of a range, itself part of it or not.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<T> {
    Open(T),
    Closed(T),
}

impl<T: PartialOrd + Copy> Range<T> {
    /// A value that compares with nothing (NaN) lies in no range.
    fn contains(&self, value: T) -> bool {
        let above = self.low.is_none_or(|end| match end {
            End::Open(bound) => value > bound,
            End::Closed(bound) => value >= bound,
        });
        let below = self.high.is_none_or(|end| match end {
            End::Open(bound) => value < bound,
            End::Closed(bound) => value <= bound,
        });
        if self.outside {
            above || below
        } else {
            above && below
        }
    }
}

impl<T: PartialOrd + Copy> Ordered<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_none()
            && self.range.is_none()
            && self.among.is_none()
            && self.except.is_none()
            && self.defined.is_none()
            && self.finite.is_none()
    }

    /// Reports every rule that `value` breaks. `finite` says whether it is neither infinite nor NaN.
    pub(super) fn check(&self, value: T, finite: bool, report: &mut dyn FnMut(&Rule)) {
        if let Some((wanted, rule)) = &self.exact
            && value != *wanted
        {
            report(rule);
        }
        if let Some(range) = &self.range
            && !range.contains(value)
        {
            report(&range.rule);
        }
        if let Some((list, rule)) = &self.among
            && !list.contains(&value)
        {
            report(rule);
        }
        if let Some((list, rule)) = &self.except
            && list.contains(&value)
        {
            report(rule);
        }
        if let Some((list, rule)) = &self.defined {
            let known = list.binary_search_by(|number| {
                number
                    .partial_cmp(&value)
                    .unwrap_or(std::cmp::Ordering::Less)
            });
            if known.is_err() {
                report(rule);
            }
        }
        if let Some(rule) = &self.finite
            && !finite
        {
            report(rule);
        }
    }
}
