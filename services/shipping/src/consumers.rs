//! What shipping reacts to.

use std::sync::Arc;

use async_trait::async_trait;
use mesh::{
    CallContext, Clock, Failure, Hub, Ids,
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::{Store, StoreError, Tx},
};

use crate::{
    NAME,
    cause::Cause,
    domain::tracking::tracking_number,
    orders::OrderBook,
    selection::{Choice, Selection},
    store::{self, Moment, NewShipment},
};

/// Orders scheduled at the same time: most of the time goes into waiting for others.
const LANES: usize = 64;

/// The service that carries the saga and repeats the events that a stuck one waits behind.
const SAGA: &str = "orders";

/// Who says that an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Payments, when it happened.
    First,
    /// The saga, because it waits for the shipment.
    Again,
}

/// Plans shipments. Cheap to clone.
#[derive(Clone)]
pub struct Dispatch {
    /// The shipments.
    pub store: Store,
    /// Where orders are looked up.
    pub orders: Arc<dyn OrderBook>,
    /// Chooses carriers.
    pub selection: Selection,
    /// The time.
    pub clock: Clock,
    /// Source of ids.
    pub ids: Ids,
}

/// What is to be written because an order is paid.
#[derive(Clone, Debug)]
pub enum Plan {
    /// It travels.
    Ship(Box<NewShipment>),
    /// Nobody takes it.
    Fail {
        /// Id of the order.
        order_id: String,
        /// The flow of events that it belongs to.
        correlation_id: String,
        /// Why, for people.
        reason: String,
    },
    /// What was decided is told again.
    Retell {
        /// Id of the order.
        order_id: String,
        /// The flow of events that it belongs to.
        correlation_id: String,
    },
}

impl Plan {
    /// Writes it.
    ///
    /// # Errors
    /// A store's.
    pub async fn write(&self, tx: &Tx, moment: &Moment) -> Result<(), StoreError> {
        match self {
            Self::Ship(new) => drop(store::schedule(tx, moment, new).await?),
            Self::Fail {
                order_id,
                correlation_id,
                reason,
            } => drop(store::fail(tx, moment, order_id, correlation_id, reason).await?),
            Self::Retell {
                order_id,
                correlation_id,
            } => store::retell(tx, moment, order_id, correlation_id).await?,
        }
        Ok(())
    }
}

impl Dispatch {
    /// Now, because of `event`.
    pub fn moment(&self, event: &Envelope) -> Moment {
        Moment {
            now: self.clock.now(),
            ids: self.ids.clone(),
            cause: Cause::event(event),
        }
    }

    /// What is to become of an order that is paid; `None` when there is nothing to do. It may be repeated.
    ///
    /// # Errors
    /// The order cannot be looked up: then it is to be tried again.
    pub async fn plan(
        &self,
        context: &CallContext,
        order_id: &str,
        correlation_id: &str,
        asked: Asked,
        moment: &Moment,
    ) -> Result<Option<Plan>, Failure> {
        let decided = store::was_decided(&self.store, order_id).await?;
        if decided && asked == Asked::First {
            return Ok(None);
        }
        let order = self.orders.order(context, order_id).await?;
        if !order.open {
            return Ok(None);
        }
        if decided {
            return Ok(Some(Plan::Retell {
                order_id: order.order_id,
                correlation_id: correlation_id.to_owned(),
            }));
        }
        let Some(choice) = self.selection.choose(context, &order, moment).await else {
            return Ok(Some(Plan::Fail {
                order_id: order.order_id,
                correlation_id: correlation_id.to_owned(),
                reason: format!("no carrier takes it to {}", order.shipping_address.country),
            }));
        };
        let Choice {
            quote,
            origin,
            weight_grams,
            reason,
        } = choice;
        let shipment_id = moment.ids.uuid();
        Ok(Some(Plan::Ship(Box::new(NewShipment {
            shipment_id,
            tracking_number: tracking_number(&quote.carrier.tracking_prefix, shipment_id),
            carrier: quote.carrier.carrier_id.clone(),
            service_level: quote.service.service_level.clone(),
            estimated_delivery: quote.estimated_delivery,
            cost: quote.cost,
            origin_location: origin.location_id.to_owned(),
            origin_place: origin.place.to_owned(),
            order_id: order.order_id,
            order_number: order.order_number,
            user_id: order.user_id,
            destination: order.shipping_address,
            weight_grams,
            selection_reason: reason,
            correlation_id: correlation_id.to_owned(),
        }))))
    }
}

/// Schedules an order once it is paid.
pub struct Schedule {
    /// Plans shipments.
    pub dispatch: Dispatch,
    /// Where calls start from.
    pub hub: Hub,
}

#[async_trait]
impl Consumer for Schedule {
    fn name(&self) -> &'static str {
        "shipping.schedule"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["PaymentProcessed"]
    }

    fn lanes(&self) -> usize {
        LANES
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::PaymentProcessed(paid)) = &event.data else {
            return Ok(Effect::none());
        };
        let context = CallContext::background(NAME, &self.hub).with_traceparent(&event.traceparent);
        let moment = self.dispatch.moment(event);
        let asked = match event.source.as_str() {
            SAGA => Asked::Again,
            _ => Asked::First,
        };
        let plan = self
            .dispatch
            .plan(
                &context,
                &paid.order_id,
                &event.correlation_id,
                asked,
                &moment,
            )
            .await?;
        let Some(plan) = plan else {
            return Ok(Effect::none());
        };
        Ok(Effect::write(move |tx: Tx| async move {
            plan.write(&tx, &moment).await?;
            Ok(())
        }))
    }
}

/// Keeps a cancelled order from travelling.
pub struct Cancel {
    /// Plans shipments.
    pub dispatch: Dispatch,
}

#[async_trait]
impl Consumer for Cancel {
    fn name(&self) -> &'static str {
        "shipping.cancel"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderCancelled"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::OrderCancelled(cancelled)) = &event.data else {
            return Ok(Effect::none());
        };
        let moment = self.dispatch.moment(event);
        let cancelled = cancelled.clone();
        Ok(Effect::write(move |tx: Tx| async move {
            let reason = match cancelled.reason.as_str() {
                "" => "the order was cancelled",
                reason => reason,
            };
            let travels = store::close(&tx, &moment, &cancelled.order_id, reason).await?;
            if let Some(shipment) = travels {
                tracing::warn!(
                    order_id = shipment.order_id,
                    shipment_id = shipment.shipment_id,
                    status = %shipment.status,
                    "the shipment of a cancelled order is with the carrier already"
                );
            }
            Ok(())
        }))
    }
}
