//! What payments reacts to.

use std::time::Duration;

use async_trait::async_trait;
use mesh::{
    CallContext, Hub,
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::Tx,
};

use crate::{
    NAME,
    cause::Cause,
    flow::{Asked, Desk},
};

/// How long a reaction may take: a few calls to a provider that answers slowly.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Orders charged at the same time: most of the time goes into waiting for commits and the provider.
const LANES: usize = 64;

/// The service that carries the saga and repeats the events that a stuck one waits behind.
const SAGA: &str = "orders";

/// Charges an order once its goods are held.
pub struct Charge {
    /// Moves the money.
    pub desk: Desk,
    /// Where calls start from.
    pub hub: Hub,
}

#[async_trait]
impl Consumer for Charge {
    fn name(&self) -> &'static str {
        "payments.charge"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["InventoryReserved"]
    }

    fn lanes(&self) -> usize {
        LANES
    }

    fn time_limit(&self) -> Duration {
        TIME_LIMIT
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::InventoryReserved(reserved)) = &event.data else {
            return Ok(Effect::none());
        };
        let cause = Cause::event(event);
        let context = CallContext::background(NAME, &self.hub).with_traceparent(&event.traceparent);
        let asked = match event.source.as_str() {
            SAGA => Asked::Again,
            _ => Asked::First,
        };
        let record = self
            .desk
            .charge(
                &context,
                &reserved.order_id,
                &event.correlation_id,
                asked,
                &cause,
            )
            .await?;
        let Some(record) = record else {
            return Ok(Effect::none());
        };
        record.count();
        let moment = self.desk.moment(&cause);
        Ok(Effect::write(move |tx: Tx| async move {
            record.write(&tx, &moment).await?;
            Ok(())
        }))
    }
}

/// Closes an order to money when it ends without its goods, and gives back what it has paid.
pub struct Cancel {
    /// Moves the money.
    pub desk: Desk,
}

#[async_trait]
impl Consumer for Cancel {
    fn name(&self) -> &'static str {
        "payments.cancel"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderCancelled", "InventoryReservationFailed"]
    }

    fn time_limit(&self) -> Duration {
        TIME_LIMIT
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let (order_id, reason) = match &event.data {
            Some(Data::OrderCancelled(cancelled)) => {
                (&cancelled.order_id, cancelled.reason.as_str())
            }
            Some(Data::InventoryReservationFailed(failed)) => (&failed.order_id, "out of stock"),
            _ => return Ok(Effect::none()),
        };
        self.desk
            .cancel(
                order_id,
                &event.correlation_id,
                reason,
                &Cause::event(event),
            )
            .await?;
        Ok(Effect::none())
    }
}
