//! The rules of the catalog, without a database or a wire: they can be read and tested on their own.

pub mod bands;
pub mod decimal;
pub mod filters;
pub mod product;
pub mod related;
pub mod row;
pub mod slug;
pub mod sort;
pub mod tree;
