//! The orders that lists can have.

use serde::{Deserialize, Serialize};

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SortKey {
    /// Most wanted.
    Popularity,
    /// Price.
    Price,
    /// Name, without regard to case.
    Name,
    /// Mean rating.
    Rating,
    /// Time of creation.
    CreatedAt,
}

/// Which end of the order comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// An order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sort {
    /// The key.
    pub key: SortKey,
    /// The direction.
    pub direction: Direction,
}

/// Where a row is in an order; ties are told apart by the row's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortValue {
    /// Of a numeric key.
    Number(i64),
    /// Of the name.
    Text(String),
}

impl Sort {
    /// The order by the names of a request; both may be empty.
    pub fn named(sort: &str, order: &str) -> Self {
        let key = match sort {
            "price" => SortKey::Price,
            "name" => SortKey::Name,
            "rating" => SortKey::Rating,
            "created_at" => SortKey::CreatedAt,
            _ => SortKey::Popularity,
        };
        let direction = match (order, key) {
            ("asc", _) => Direction::Ascending,
            ("desc", _) => Direction::Descending,
            (_, SortKey::Price | SortKey::Name) => Direction::Ascending,
            (_, SortKey::Popularity | SortKey::Rating | SortKey::CreatedAt) => {
                Direction::Descending
            }
        };
        Self { key, direction }
    }
}

/// Longest name that takes part in sorting, in characters.
const NAME_KEY: usize = 60;

/// What names are sorted by: lower case, so that `apple` is beside `Apple`.
pub fn name_key(name: &str) -> String {
    name.trim()
        .chars()
        .flat_map(char::to_lowercase)
        .take(NAME_KEY)
        .collect()
}
