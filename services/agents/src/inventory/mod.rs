//! Agents about stock.

pub mod reservation_validation;
