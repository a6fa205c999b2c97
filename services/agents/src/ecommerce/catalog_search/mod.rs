//! Catalog search: an index fed by product events, asked in words.
//!
//! Events go to a table ([`store`]), an indexer projects the table into a tantivy index ([`indexer`]),
//! and a search understands its words ([`words`]), scans what matches once ([`scan`]) and relaxes its
//! conditions until something does ([`engine`]).

mod columns;
mod completions;
mod document;
mod edits;
mod engine;
mod events;
mod facets;
mod filters;
mod index;
mod indexer;
mod interpret;
mod price_bands;
mod scan;
mod schema;
mod service;
mod spelling;
mod state;
mod store;
mod suggest;
#[cfg(test)]
mod tests;
mod words;

pub use events::Feed;
pub use indexer::Indexer;
pub use service::{CatalogSearchAgent, CatalogSearchHandler};
pub use state::State;
