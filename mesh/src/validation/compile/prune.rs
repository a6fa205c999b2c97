//! Which messages and fields matter.
//!
//! A draft holds every field of its message. What is left of it after [`Draft::finish`] is what some
//! rule needs, so that a request pays for rules and not for fields.

use super::super::table::{
    Choice, Content, Element, Field, MessageTable, Numbers, Oneof, Rule, Rules, Shape,
};

/// A table whose nested messages are still indices in the pool and whose members are field numbers.
pub(super) struct Draft {
    pub(super) fields: Vec<Field>,
    pub(super) oneofs: Vec<DraftOneof>,
    pub(super) choices: Vec<DraftChoice>,
}

pub(super) struct DraftOneof {
    pub(super) numbers: Vec<u32>,
    pub(super) required: Option<(Box<str>, Rule)>,
}

pub(super) struct DraftChoice {
    pub(super) numbers: Vec<u32>,
    pub(super) at_most_one: Rule,
    pub(super) at_least_one: Option<Rule>,
}

/// Which messages have a rule in them or below them.
pub(super) fn active(drafts: &[Draft]) -> Vec<bool> {
    let mut active: Vec<bool> = drafts.iter().map(Draft::has_rules).collect();
    loop {
        let next: Vec<bool> = drafts
            .iter()
            .zip(&active)
            .map(|(draft, own)| *own || draft.nested().any(|index| active[index]))
            .collect();
        if next == active {
            return active;
        }
        active = next;
    }
}

impl Draft {
    fn has_rules(&self) -> bool {
        !self.choices.is_empty()
            || self.oneofs.iter().any(|oneof| oneof.required.is_some())
            || self.fields.iter().any(Field::has_rules)
    }

    fn nested(&self) -> impl Iterator<Item = usize> {
        self.fields
            .iter()
            .flat_map(|field| field.content.elements())
            .filter_map(|element| match element.shape {
                Shape::Nested(index) => Some(index),
                _ => None,
            })
    }

    /// Drops what no rule needs and turns pool indices and field numbers into table indices.
    pub(super) fn finish(self, places: &[Option<usize>]) -> MessageTable {
        let Self {
            mut fields,
            oneofs,
            choices,
        } = self;
        for element in fields
            .iter_mut()
            .flat_map(|field| field.content.elements_mut())
        {
            if let Shape::Nested(index) = element.shape {
                element.shape = places[index].map_or(Shape::Opaque, Shape::Nested);
            }
        }
        let matters = |field: &Field| field.has_rules() || field.content.is_nested();
        let needed: Vec<u32> = oneofs
            .iter()
            .filter(|oneof| {
                let member = |field: &&Field| oneof.numbers.contains(&field.number);
                oneof.required.is_some() || fields.iter().filter(member).any(matters)
            })
            .flat_map(|oneof| &oneof.numbers)
            .chain(choices.iter().flat_map(|choice| &choice.numbers))
            .copied()
            .collect();
        fields.retain(|field| matters(field) || needed.contains(&field.number));
        let places = |numbers: &[u32]| {
            (0..fields.len())
                .filter(|at| numbers.contains(&fields[*at].number))
                .collect::<Vec<_>>()
        };
        MessageTable {
            oneofs: oneofs
                .into_iter()
                .map(|oneof| Oneof {
                    members: places(&oneof.numbers),
                    required: oneof.required,
                })
                .collect(),
            choices: choices
                .into_iter()
                .map(|choice| Choice {
                    members: places(&choice.numbers),
                    at_most_one: choice.at_most_one,
                    at_least_one: choice.at_least_one,
                })
                .collect(),
            numbers: Numbers::new(&fields),
            fields,
        }
    }
}

impl Field {
    fn has_rules(&self) -> bool {
        self.required.is_some() || !self.is_plain()
    }

    /// Whether nothing but what lies in nested messages constrains the content.
    fn is_plain(&self) -> bool {
        let sizes = match &self.content {
            Content::One(_) => false,
            Content::List(list) => {
                list.min.is_some() || list.max.is_some() || list.unique.is_some()
            }
            Content::Map(map) => map.min.is_some() || map.max.is_some(),
        };
        !sizes
            && self
                .content
                .elements()
                .all(|element| matches!(element.rules, Rules::None))
    }
}

impl Content {
    fn elements(&self) -> impl Iterator<Item = &Element> {
        let (first, second) = match self {
            Self::One(element) => (element, None),
            Self::List(list) => (&list.item, None),
            Self::Map(map) => (&map.value, Some(&map.key)),
        };
        std::iter::once(first).chain(second)
    }

    fn elements_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        let (first, second) = match self {
            Self::One(element) => (element, None),
            Self::List(list) => (&mut list.item, None),
            Self::Map(map) => (&mut map.value, Some(&mut map.key)),
        };
        std::iter::once(first).chain(second)
    }

    fn is_nested(&self) -> bool {
        self.elements()
            .any(|element| matches!(element.shape, Shape::Nested(_)))
    }

    /// `IGNORE_ALWAYS`: no rule of the field or below it applies.
    pub(super) fn silence(&mut self) {
        match self {
            Self::One(_) => {}
            Self::List(list) => {
                list.min = None;
                list.max = None;
                list.unique = None;
            }
            Self::Map(map) => {
                map.min = None;
                map.max = None;
            }
        }
        for element in self.elements_mut() {
            element.silence();
        }
    }
}

impl Element {
    pub(super) fn silence(&mut self) {
        self.rules = Rules::None;
        if matches!(self.shape, Shape::Nested(_)) {
            self.shape = Shape::Opaque;
        }
    }
}
