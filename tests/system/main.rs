//! Black-box tests against running hubs, one module a subject.

#![allow(clippy::unwrap_used, missing_docs)]

mod shared;
mod shop;
