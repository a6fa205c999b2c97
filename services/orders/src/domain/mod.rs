//! The rules of orders, free of storage and transport: what an order costs, what an address must be, and
//! how the facts about an order decide what becomes of it.

pub mod address;
pub mod order;
pub mod pricing;
pub mod promo;
pub mod saga;
pub mod shipping;
