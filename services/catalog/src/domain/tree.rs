//! The categories as a tree.
//!
//! A shop has some hundred categories, so the whole tree is held in memory: a list of a category
//! needs the slugs of all categories below it, and a category shows how many products it has in all.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

/// A category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Id, UUIDv7.
    pub category_id: String,
    /// Unique slug.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Slug of the parent; none for a root.
    pub parent_slug: Option<String>,
    /// Picture URL; may be empty.
    pub image_url: String,
    /// Position among siblings.
    pub position: i64,
    /// Active products directly in it.
    pub own_products: i64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// All categories, in display order.
#[derive(Clone, Debug, Default)]
pub struct CategoryTree {
    categories: Vec<Category>,
    by_slug: HashMap<String, usize>,
    children: HashMap<usize, Vec<usize>>,
}

impl CategoryTree {
    /// A tree of these categories. A parent that does not exist makes a root.
    pub fn new(mut categories: Vec<Category>) -> Self {
        categories
            .sort_by(|a, b| (a.position, &a.name, &a.slug).cmp(&(b.position, &b.name, &b.slug)));
        let by_slug: HashMap<String, usize> = categories
            .iter()
            .enumerate()
            .map(|(index, category)| (category.slug.clone(), index))
            .collect();
        let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, category) in categories.iter().enumerate() {
            let parent = category
                .parent_slug
                .as_ref()
                .and_then(|slug| by_slug.get(slug));
            if let Some(parent) = parent {
                children.entry(*parent).or_default().push(index);
            }
        }
        Self {
            categories,
            by_slug,
            children,
        }
    }

    /// All categories in display order.
    pub fn all(&self) -> &[Category] {
        &self.categories
    }

    /// The category with this slug.
    pub fn get(&self, slug: &str) -> Option<&Category> {
        self.by_slug.get(slug).map(|index| &self.categories[*index])
    }

    /// Slugs of a category and everything below it; none when there is no such category.
    pub fn subtree(&self, slug: &str) -> Option<Vec<String>> {
        let start = *self.by_slug.get(slug)?;
        Some(
            self.below(start)
                .into_iter()
                .map(|index| self.categories[index].slug.clone())
                .collect(),
        )
    }

    /// Active products of a category and everything below it.
    pub fn products(&self, slug: &str) -> i64 {
        self.by_slug.get(slug).map_or(0, |start| {
            self.below(*start)
                .into_iter()
                .map(|index| self.categories[index].own_products)
                .sum()
        })
    }

    /// Active products of the shop.
    pub fn all_products(&self) -> i64 {
        self.categories
            .iter()
            .map(|category| category.own_products)
            .sum()
    }

    /// Slugs of the categories with the same parent, and of the parent itself: where to look for what
    /// goes with a product.
    pub fn neighbourhood(&self, slug: &str) -> Vec<String> {
        match self
            .get(slug)
            .and_then(|category| category.parent_slug.as_deref())
        {
            Some(parent) => self.subtree(parent).unwrap_or_default(),
            None => self.subtree(slug).unwrap_or_default(),
        }
    }

    /// Whether `slug` could hang below `parent` without closing a circle.
    pub fn may_hang_below(&self, slug: &str, parent: &str) -> bool {
        self.by_slug.get(slug).is_none_or(|start| {
            !self
                .below(*start)
                .iter()
                .any(|index| self.categories[*index].slug == parent)
        })
    }

    /// A category and everything below it, each once even if stored rows close a circle.
    fn below(&self, start: usize) -> Vec<usize> {
        let mut found = vec![start];
        let mut next = 0;
        while let Some(index) = found.get(next).copied() {
            next += 1;
            for child in self.children.get(&index).into_iter().flatten() {
                if !found.contains(child) {
                    found.push(*child);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn category(slug: &str, parent: Option<&str>, own_products: i64) -> Category {
        Category {
            category_id: slug.to_owned(),
            slug: slug.to_owned(),
            name: slug.to_owned(),
            description: String::new(),
            parent_slug: parent.map(str::to_owned),
            image_url: String::new(),
            position: 0,
            own_products,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_category_counts_what_is_below_it() {
        let tree = CategoryTree::new(vec![
            category("home", None, 1),
            category("lamps", Some("home"), 2),
            category("desk-lamps", Some("lamps"), 4),
            category("toys", None, 8),
        ]);
        assert_eq!(tree.products("home"), 7);
        assert_eq!(tree.products("lamps"), 6);
        assert_eq!(tree.all_products(), 15);
        assert_eq!(tree.subtree("nothing"), None);
        assert_eq!(tree.subtree("lamps").unwrap(), ["lamps", "desk-lamps"]);
        assert_eq!(tree.neighbourhood("desk-lamps"), ["lamps", "desk-lamps"]);
        assert!(!tree.may_hang_below("home", "desk-lamps"));
        assert!(!tree.may_hang_below("home", "home"));
        assert!(tree.may_hang_below("lamps", "toys"));
    }

    #[test]
    fn a_circle_in_the_rows_ends() {
        let tree = CategoryTree::new(vec![
            category("a", Some("b"), 1),
            category("b", Some("a"), 1),
        ]);
        assert_eq!(tree.products("a"), 2);
    }
}
