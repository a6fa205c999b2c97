//! Takes product and stock events into the table that the index is built from.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use mesh::{
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::{Store, Tx},
};

use super::{state::State, store};
use crate::runtime::time::instant;

/// The consumer.
pub struct Feed {
    /// The agents' store.
    pub store: Store,
    /// The search.
    pub state: Arc<State>,
}

#[async_trait]
impl Consumer for Feed {
    fn name(&self) -> &'static str {
        "agents.catalog-search"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[
            "ProductCreated",
            "ProductUpdated",
            "ProductDeleted",
            "StockLevelChanged",
        ]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let at: DateTime<Utc> = instant(event.timestamp.as_ref());
        let effect = match &event.data {
            Some(Data::ProductCreated(created)) => put(created.product.clone(), at)?,
            Some(Data::ProductUpdated(updated)) => put(updated.product.clone(), at)?,
            Some(Data::ProductDeleted(deleted)) => {
                let product_id = deleted.product_id.clone();
                Effect::write(move |tx: Tx| async move {
                    Ok(store::remove_product(&tx, &product_id, at).await?)
                })
            }
            Some(Data::StockLevelChanged(stock)) => {
                let in_stock = stock.available > 0;
                // Nearly every sale leaves stock behind; those cost one look and no write.
                if store::variant_in_stock(&self.store, &stock.variant_id).await? == Some(in_stock)
                {
                    return Ok(Effect::none());
                }
                let (product_id, variant_id) = (stock.product_id.clone(), stock.variant_id.clone());
                Effect::write(move |tx: Tx| async move {
                    Ok(store::put_stock(&tx, &product_id, &variant_id, in_stock, at).await?)
                })
            }
            _ => return Ok(Effect::none()),
        };
        self.state.product_changes();
        Ok(effect)
    }
}

fn put(
    product: Option<contracts::hub::events::v1::ProductSnapshot>,
    at: DateTime<Utc>,
) -> Result<Effect, ReactError> {
    let product = product.ok_or_else(|| ReactError::reject("a product event without a product"))?;
    Ok(Effect::write(move |tx: Tx| async move {
        Ok(store::put_product(&tx, &product, at).await?)
    }))
}
