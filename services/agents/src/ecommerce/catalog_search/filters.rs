//! What a search is narrowed by, apart from its words.

use std::collections::BTreeMap;

use contracts::hub::agents::v1::SearchRequest;
use mesh::Failure;

use super::{document::price_units, interpret::show_price};

/// The conditions of a search. Conditions on different things all hold; the values of one thing are
/// alternatives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    /// Only this category and those below it. A category is below another when its slug starts with
    /// the other's and a dash (`apparel-footwear` is below `apparel`): product events carry no more of
    /// the tree than the slug.
    pub category: Option<String>,
    /// Only these brands.
    pub brands: Vec<String>,
    /// Least price, ten-thousandths of a major unit.
    pub min_price: Option<i64>,
    /// Largest price, ten-thousandths of a major unit.
    pub max_price: Option<i64>,
    /// Values by attribute name.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Only what can be bought now.
    pub in_stock: bool,
    /// Least rating; 0 for any.
    pub min_rating: f64,
}

/// A condition that can be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// In stock.
    InStock,
    /// Least rating.
    Rating,
    /// An attribute, by name.
    Attribute(String),
    /// Price limits.
    Price,
    /// Brands.
    Brand,
    /// Category.
    Category,
}

impl Filters {
    /// Reads the filters of a request.
    ///
    /// # Errors
    /// An attribute that is not `name=value`; a price with too many digits.
    pub fn of(request: &SearchRequest) -> Result<Self, Failure> {
        let price = |text: &str, field: &str| match text {
            "" => Ok(None),
            text => price_units(text)
                .map(Some)
                .ok_or_else(|| Failure::invalid(field, "must be a decimal amount")),
        };
        let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (index, pair) in request.attributes.iter().enumerate() {
            let (name, value) = pair
                .split_once('=')
                .filter(|(name, value)| !name.is_empty() && !value.is_empty())
                .ok_or_else(|| {
                    Failure::invalid(format!("attributes[{index}]"), "must be name=value")
                })?;
            attributes
                .entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        Ok(Self {
            category: (!request.category.is_empty()).then(|| request.category.clone()),
            brands: request.brands.clone(),
            min_price: price(&request.min_price, "min_price")?,
            max_price: price(&request.max_price, "max_price")?,
            attributes,
            in_stock: request.in_stock,
            min_rating: request.min_rating,
        })
    }

    /// The conditions that are set, in the order in which they are given up: first what costs the
    /// customer least.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut set = Vec::new();
        if self.in_stock {
            set.push(Condition::InStock);
        }
        if self.min_rating > 0.0 {
            set.push(Condition::Rating);
        }
        set.extend(self.attributes.keys().cloned().map(Condition::Attribute));
        if self.min_price.is_some() || self.max_price.is_some() {
            set.push(Condition::Price);
        }
        if !self.brands.is_empty() {
            set.push(Condition::Brand);
        }
        if self.category.is_some() {
            set.push(Condition::Category);
        }
        set
    }

    /// The filters without one condition.
    #[must_use]
    pub fn without(&self, condition: &Condition) -> Self {
        let mut rest = self.clone();
        match condition {
            Condition::InStock => rest.in_stock = false,
            Condition::Rating => rest.min_rating = 0.0,
            Condition::Attribute(name) => {
                rest.attributes.remove(name);
            }
            Condition::Price => {
                rest.min_price = None;
                rest.max_price = None;
            }
            Condition::Brand => rest.brands.clear(),
            Condition::Category => rest.category = None,
        }
        rest
    }

    /// How a condition is reported.
    pub fn describe(&self, condition: &Condition) -> String {
        match condition {
            Condition::InStock => "in_stock=true".to_owned(),
            Condition::Rating => format!("min_rating={}", self.min_rating),
            Condition::Attribute(name) => {
                let values = self.attributes.get(name).map(|values| values.join("|"));
                format!("{name}={}", values.unwrap_or_default())
            }
            Condition::Price => {
                let limits = [("min_price", self.min_price), ("max_price", self.max_price)];
                let limits = limits.iter().filter_map(|(name, limit)| {
                    limit.map(|limit| format!("{name}={}", show_price(limit)))
                });
                limits.collect::<Vec<_>>().join(" ")
            }
            Condition::Brand => format!("brand={}", self.brands.join("|")),
            Condition::Category => {
                format!("category={}", self.category.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Whether `slug` is `category` or below it.
pub fn is_within(slug: &str, category: &str) -> bool {
    slug.strip_prefix(category)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_category_holds_what_is_below_it() {
        assert!(is_within("apparel", "apparel"));
        assert!(is_within("apparel-footwear", "apparel"));
        assert!(!is_within("apparels", "apparel"));
        assert!(!is_within("apparel", "apparel-footwear"));
    }

    #[test]
    fn giving_up_every_condition_leaves_none() {
        let request = SearchRequest {
            category: "home".into(),
            brands: vec!["Lumi".into()],
            min_price: "5".into(),
            attributes: vec!["color=Red".into(), "color=Blue".into(), "size=M".into()],
            in_stock: true,
            min_rating: 4.0,
            ..SearchRequest::default()
        };
        let filters = Filters::of(&request).unwrap();
        assert_eq!(filters.conditions().len(), 7);
        assert_eq!(
            filters.describe(&Condition::Attribute("color".into())),
            "color=Red|Blue"
        );
        let rest = filters
            .conditions()
            .iter()
            .fold(filters, |filters, condition| filters.without(condition));
        assert_eq!(rest, Filters::default());
    }

    #[test]
    fn a_pair_without_a_value_is_refused() {
        for bad in ["color", "=red", "color="] {
            let request = SearchRequest {
                attributes: vec![bad.into()],
                ..SearchRequest::default()
            };
            assert!(Filters::of(&request).is_err());
        }
    }
}
