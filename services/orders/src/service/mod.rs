//! The RPCs of orders.

mod access;
mod checkout;
mod create;
mod follow;
mod hand_over;
mod imports;
mod orders;
mod refusals;
mod sagas;

pub(crate) use checkout::CheckoutHandler;
pub(crate) use orders::OrdersHandler;
pub(crate) use sagas::SagaHandler;
