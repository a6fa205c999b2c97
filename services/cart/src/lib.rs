//! The cart service.
