//! What the catalog tells others, and what it hears from them.

use async_trait::async_trait;
use contracts::hub::events::v1::{ProductCreated, ProductDeleted, ProductUpdated};
use mesh::{
    CallContext,
    events::{Audience, Consumer, Data, Effect, Emission, Envelope, ReactError},
    store::Tx,
};

use crate::{
    catalog::Catalog,
    domain::product::{Product, Status},
    store::stock,
    wire,
};

/// The request that a change was made for.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    request_id: String,
    traceparent: String,
}

impl Origin {
    /// Of a call.
    pub fn of(ctx: &CallContext) -> Self {
        Self {
            request_id: ctx.request_id().to_owned(),
            traceparent: ctx.traceparent(),
        }
    }
}

/// The announcement of a change of a product; it goes out with the transaction that makes the change.
pub fn announcement(
    before: Option<&Product>,
    after: &Product,
    category_name: &str,
    origin: &Origin,
) -> Emission {
    let leaves = after.status == Status::Archived
        && before.is_some_and(|product| product.status != Status::Archived);
    let data = if leaves {
        Data::ProductDeleted(ProductDeleted {
            product_id: after.product_id.to_string(),
        })
    } else {
        let product = Some(wire::snapshot(after, category_name));
        match before {
            None => Data::ProductCreated(ProductCreated { product }),
            Some(_) => Data::ProductUpdated(ProductUpdated { product }),
        }
    };
    Emission::new(after.product_id.to_string(), data)
        .causation(&origin.request_id)
        .traceparent(&origin.traceparent)
}

/// Keeps the read model of stock.
#[derive(Debug)]
pub struct FollowStock;

#[async_trait]
impl Consumer for FollowStock {
    fn name(&self) -> &'static str {
        "catalog.stock"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["StockLevelChanged"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::StockLevelChanged(level)) = &event.data else {
            return Ok(Effect::none());
        };
        let (variant_id, available) = (level.variant_id.clone(), level.available);
        Ok(Effect::write(move |tx: Tx| async move {
            stock::note(&tx, &variant_id, available).await?;
            Ok(())
        }))
    }
}

/// Counts ordered units towards popularity.
#[derive(Debug)]
pub struct CountPurchases(pub Catalog);

#[async_trait]
impl Consumer for CountPurchases {
    fn name(&self) -> &'static str {
        "catalog.purchases"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderCreated"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        if let Some(Data::OrderCreated(order)) = &event.data {
            for line in &order.items {
                self.0.interest().purchased(&line.product_id, line.quantity);
            }
        }
        Ok(Effect::none())
    }
}

/// Forgets remembered answers when products have changed, whichever process changed them.
#[derive(Debug)]
pub struct ForgetAnswers(pub Catalog);

#[async_trait]
impl Consumer for ForgetAnswers {
    fn name(&self) -> &'static str {
        "catalog.answers"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["ProductCreated", "ProductUpdated", "ProductDeleted"]
    }

    fn audience(&self) -> Audience {
        Audience::EveryProcess
    }

    async fn missed(&self) {
        self.0.changed();
    }

    async fn react(&self, _event: &Envelope) -> Result<Effect, ReactError> {
        self.0.changed();
        Ok(Effect::none())
    }
}
