//! What the cart hears: an order was made of it, or its owner is gone.

use async_trait::async_trait;
use mesh::{
    Clock,
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::Tx,
};

use crate::store::{self, Ordered};

/// Takes what was ordered out of the cart.
#[derive(Debug)]
pub struct EmptyOrdered {
    clock: Clock,
}

impl EmptyOrdered {
    /// A consumer that stamps changes with the time of `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl Consumer for EmptyOrdered {
    fn name(&self) -> &'static str {
        "cart.ordered"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderCreated"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::OrderCreated(order)) = &event.data else {
            return Ok(Effect::none());
        };
        if order.cart_id.is_empty() {
            return Ok(Effect::none());
        }
        let ordered = Ordered {
            cart_id: order.cart_id.clone(),
            version: order.cart_version,
            lines: order
                .items
                .iter()
                .map(|line| (line.variant_id.clone(), line.quantity))
                .collect(),
            promo_code: order.promo_code.clone(),
        };
        let now = self.clock.now();
        Ok(Effect::write(move |tx: Tx| async move {
            store::take_ordered(&tx, &ordered, now).await?;
            Ok(())
        }))
    }
}

/// Forgets the cart of a user who is no longer one.
#[derive(Debug)]
pub struct ForgetUser;

#[async_trait]
impl Consumer for ForgetUser {
    fn name(&self) -> &'static str {
        "cart.forget-user"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["UserDeleted"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::UserDeleted(user)) = &event.data else {
            return Ok(Effect::none());
        };
        let user_id = user.user_id.clone();
        Ok(Effect::write(move |tx: Tx| async move {
            store::forget_owner(&tx, &user_id).await?;
            Ok(())
        }))
    }
}
