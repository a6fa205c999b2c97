//! What inventory reacts to.
//!
//! The order's events go through one consumer, so that those of one order are handled one after the
//! other. Each becomes a demand on the order's hold; [`crate::domain::hold`] has an answer to every one
//! in every state, so nothing here depends on the order of arrival.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::SubsecRound;
use contracts::hub::events::v1::ShipmentStatusUpdated;
use mesh::{
    Clock, Ids,
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::{StoreError, Tx},
};

use crate::{
    cause::Cause,
    config::InventoryConfig,
    domain::hold::Demand,
    store::{self, Line, Moment, NewVariant},
};

/// What both consumers need.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) config: Arc<InventoryConfig>,
}

impl Means {
    /// Now, because of `cause`.
    pub(crate) fn moment(&self, cause: Cause) -> Moment {
        Moment {
            // Stores keep microseconds; what is answered now is to be what is read later.
            now: self.clock.now().trunc_subsecs(6),
            ids: self.ids.clone(),
            hold_for: self.config.hold_for(),
            cause,
        }
    }
}

/// Orders handled at the same time: those that wait for one commit share it.
const LANES: usize = 64;

/// Keeps the holds of orders.
pub(crate) struct OrderEvents(pub(crate) Means);

#[async_trait]
impl Consumer for OrderEvents {
    fn name(&self) -> &'static str {
        "inventory.holds"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[
            "OrderCreated",
            "OrderCancelled",
            "PaymentProcessed",
            "PaymentFailed",
            "ShipmentStatusUpdated",
            "DeliveryCompleted",
        ]
    }

    fn lanes(&self) -> usize {
        LANES
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(change) = Change::asked_by(event)? else {
            return Ok(Effect::none());
        };
        let moment = self.0.moment(Cause::event(event));
        Ok(Effect::write(move |tx: Tx| async move {
            change.apply(&tx, &moment).await?;
            Ok(())
        }))
    }
}

/// What an event asks of an order's hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Hold its lines.
    Reserve { order_id: String, lines: Vec<Line> },
    /// Anything else, and why.
    Demand {
        order_id: String,
        demand: Demand,
        reason: &'static str,
    },
}

impl Change {
    /// What `event` asks for, if anything.
    pub(crate) fn asked_by(event: &Envelope) -> Result<Option<Self>, ReactError> {
        let (order_id, demand, reason) = match &event.data {
            Some(Data::OrderCreated(order)) => {
                let lines: Vec<Line> = order
                    .items
                    .iter()
                    .map(|item| Line {
                        variant_id: item.variant_id.clone(),
                        quantity: item.quantity,
                    })
                    .collect();
                if lines.is_empty() || lines.iter().any(|line| line.quantity < 1) {
                    return Err(ReactError::reject("an order without lines or units"));
                }
                return Ok(Some(Self::Reserve {
                    order_id: order.order_id.clone(),
                    lines,
                }));
            }
            Some(Data::OrderCancelled(order)) => {
                (&order.order_id, Demand::Release, "order_cancelled")
            }
            Some(Data::PaymentProcessed(payment)) => (&payment.order_id, Demand::Commit, "paid"),
            Some(Data::PaymentFailed(payment)) => {
                (&payment.order_id, Demand::Release, "payment_failed")
            }
            Some(Data::ShipmentStatusUpdated(shipment)) if has_left(shipment) => {
                (&shipment.order_id, Demand::Consume, "picked_up")
            }
            Some(Data::DeliveryCompleted(delivery)) => {
                (&delivery.order_id, Demand::Consume, "delivered")
            }
            _ => return Ok(None),
        };
        Ok(Some(Self::Demand {
            order_id: order_id.clone(),
            demand,
            reason,
        }))
    }

    /// Does it.
    pub(crate) async fn apply(self, tx: &Tx, moment: &Moment) -> Result<(), StoreError> {
        match self {
            Self::Reserve { order_id, lines } => store::reserve(tx, moment, &order_id, &lines)
                .await
                .map(drop),
            Self::Demand {
                order_id,
                demand,
                reason,
            } => store::perform(tx, moment, &order_id, demand, reason)
                .await
                .map(drop),
        }
    }
}

/// Whether a scan proves that the goods are off the shelf.
fn has_left(shipment: &ShipmentStatusUpdated) -> bool {
    matches!(
        shipment.status.as_str(),
        "picked_up" | "in_transit" | "out_for_delivery" | "delivered"
    )
}

/// Gives shelves to new variants.
pub(crate) struct ProductEvents(pub(crate) Means);

#[async_trait]
impl Consumer for ProductEvents {
    fn name(&self) -> &'static str {
        "inventory.shelves"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["ProductCreated", "ProductUpdated"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some((product_id, variants)) = announced(event)? else {
            return Ok(Effect::none());
        };
        let moment = self.0.moment(Cause::event(event));
        let config = Arc::clone(&self.0.config);
        Ok(Effect::write(move |tx: Tx| async move {
            store::add_variants(&tx, &moment, &config.locations, &product_id, &variants).await?;
            Ok(())
        }))
    }
}

/// The variants of the product that an event announces.
pub(crate) fn announced(event: &Envelope) -> Result<Option<(String, Vec<NewVariant>)>, ReactError> {
    let product = match &event.data {
        Some(Data::ProductCreated(created)) => &created.product,
        Some(Data::ProductUpdated(updated)) => &updated.product,
        _ => return Ok(None),
    };
    let Some(product) = product else {
        return Err(ReactError::reject("a product event without a product"));
    };
    let variants = product
        .variants
        .iter()
        .map(|variant| NewVariant {
            variant_id: variant.variant_id.clone(),
            sku: variant.sku.clone(),
            initial_stock: variant.initial_stock,
        })
        .collect();
    Ok(Some((product.product_id.clone(), variants)))
}
