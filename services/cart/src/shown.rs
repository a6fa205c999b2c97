//! Carts as shoppers and orders see them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::hub::{
    cart::v1::{Cart as WireCart, CartItem, CartTotals, CheckoutCart, CheckoutLine},
    catalog::v1::VariantRef,
};
use mesh::{CallContext, Failure, Money};

use crate::{
    domain::{
        Cart, Line,
        pricing::{self, Offer, PricedLine},
    },
    service::Carts,
};

/// Offers by variant id.
pub type ByVariant = HashMap<String, Offer>;

impl Carts {
    /// The offers of some lines.
    pub(crate) async fn offers(
        &self,
        ctx: &CallContext,
        lines: &[Line],
    ) -> Result<ByVariant, Failure> {
        let refs = lines.iter().map(by_id).collect();
        let offers = self.catalog.offers(ctx, refs).await?;
        Ok(offers
            .into_iter()
            .map(|(_, offer)| (offer.variant_id.clone(), offer))
            .collect())
    }

    /// The cart with prices. Offers that are known already are not asked for again; if the cart has got
    /// lines since they were asked for, all are.
    pub(crate) async fn show(
        &self,
        ctx: &CallContext,
        cart: Cart,
        mut known: ByVariant,
    ) -> Result<WireCart, Failure> {
        if cart
            .lines
            .iter()
            .any(|line| !known.contains_key(&line.variant_id))
        {
            known = self.offers(ctx, &cart.lines).await?;
        }
        let (lines, totals) =
            pricing::price(cart.lines, |id| known.get(id).cloned(), self.currency)?;
        Ok(WireCart {
            cart_id: cart.cart_id,
            items: lines.into_iter().map(item).collect(),
            totals: Some(CartTotals {
                subtotal: Some(totals.subtotal.to_wire()),
                tax_estimate: Some(totals.tax.to_wire()),
                total_estimate: Some(totals.total.to_wire()),
            }),
            promo_code: cart.promo_code,
            expires_at: Some(timestamp(cart.expires_at)),
            updated_at: Some(timestamp(cart.updated_at)),
        })
    }

    /// What an owner without a cart sees.
    pub(crate) fn no_cart(&self) -> WireCart {
        let nothing = || Some(Money::zero(self.currency).to_wire());
        WireCart {
            totals: Some(CartTotals {
                subtotal: nothing(),
                tax_estimate: nothing(),
                total_estimate: nothing(),
            }),
            ..WireCart::default()
        }
    }
}

/// A line as a reference for the catalog.
pub(crate) fn by_id(line: &Line) -> VariantRef {
    VariantRef {
        product_id: String::new(),
        variant_id: line.variant_id.clone(),
    }
}

fn item(priced: PricedLine) -> CartItem {
    let PricedLine {
        line,
        offer,
        total,
        available,
    } = priced;
    let mut item = CartItem {
        cart_item_id: line.cart_item_id,
        product_id: line.product_id,
        variant_id: line.variant_id,
        sku: line.sku,
        name: line.name,
        quantity: line.quantity,
        line_total: total.map(Money::to_wire),
        available,
        added_at: Some(timestamp(line.added_at)),
        ..CartItem::default()
    };
    if let Some(offer) = offer {
        item.unit_price = Some(offer.unit_price.to_wire());
        item.sku = offer.sku;
        item.name = offer.name;
        item.variant_name = offer.variant_name;
        item.image_url = offer.image_url;
    }
    item
}

/// A cart as orders needs it.
pub(crate) fn checkout(cart: Option<Cart>) -> CheckoutCart {
    cart.map_or_else(CheckoutCart::default, |cart| CheckoutCart {
        cart_id: cart.cart_id,
        version: cart.version,
        lines: cart
            .lines
            .into_iter()
            .map(|line| CheckoutLine {
                product_id: line.product_id,
                variant_id: line.variant_id,
                quantity: line.quantity,
            })
            .collect(),
        promo_code: cart.promo_code,
    })
}

fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        // Below a billion, so it fits.
        nanos: at.timestamp_subsec_nanos() as i32,
    }
}
