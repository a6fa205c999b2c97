//! Who may see an order.

use mesh::{CallContext, Failure, Role};
use subtle::ConstantTimeEq;

use crate::domain::order::Order;

/// Lets owners, staff and services through, and whoever knows the order's e-mail address. Everybody else
/// is told that there is no such order, so that ids cannot be tried out.
pub(super) fn may_read(ctx: &CallContext, order: &Order, email: &str) -> Result<(), Failure> {
    if ctx.principal().may_see(&order.user_id) || knows_email(order, email) {
        Ok(())
    } else {
        Err(Failure::not_found("order", &order.order_id))
    }
}

/// Lets owners and staff through; returns who acts.
pub(super) fn may_change(ctx: &CallContext, order: &Order) -> Result<&'static str, Failure> {
    let principal = ctx.principal();
    if principal.is_owner(&order.user_id) {
        Ok("customer")
    } else if principal.at_least(Role::Staff) {
        Ok("staff")
    } else {
        Err(Failure::not_found("order", &order.order_id))
    }
}

fn knows_email(order: &Order, email: &str) -> bool {
    let given = email.trim().to_lowercase();
    let known = order.email.trim().to_lowercase();
    !given.is_empty() && bool::from(given.as_bytes().ct_eq(known.as_bytes()))
}
