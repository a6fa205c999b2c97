//! Rules about money that need neither a database nor a network.

pub mod decline;
pub mod method;
pub mod signature;
