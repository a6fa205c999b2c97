//! Changes of a cart. Each is one transaction that gives the cart its next version.

use chrono::{DateTime, Utc};
use contracts::hub::{
    cart::v1::{AddCartItemRequest, Cart as WireCart, UpdateCartItemRequest},
    catalog::v1::VariantRef,
};
use mesh::{
    CallContext, Failure, Reason,
    store::{StoreError, Tx},
};

use crate::{
    domain::{Cart, Line, MAX_QUANTITY, merging::merge, pricing::Offer},
    service::Carts,
    shown::{ByVariant, by_id},
    store::{self, Owner},
};

impl Carts {
    /// Adds units of a variant.
    pub(crate) async fn add(
        &self,
        ctx: &CallContext,
        owner: Owner,
        request: AddCartItemRequest,
    ) -> Result<WireCart, Failure> {
        // One call to the catalog prices what is wanted and what is there already.
        let lines = self
            .load(&owner)
            .await?
            .map_or_else(Vec::new, |cart| cart.lines);
        let wanted = VariantRef {
            product_id: request.product_id.clone(),
            variant_id: request.variant_id.clone(),
        };
        let refs = std::iter::once(wanted)
            .chain(lines.iter().map(by_id))
            .collect();
        let mut known = ByVariant::new();
        let mut wanted = None;
        for (index, offer) in self.catalog.offers(ctx, refs).await? {
            if index == 0 {
                wanted = Some(offer.clone());
            }
            known.insert(offer.variant_id.clone(), offer);
        }
        let offer = wanted
            .filter(|offer| offer.active)
            .ok_or_else(|| unknown_product(&request))?;
        check_currency(&offer, &lines, &known)?;
        let quantity = request.quantity.unwrap_or(1);
        let (now, ids, max_lines) = (self.clock.now(), self.ids.clone(), self.config.max_lines());
        let key = ctx.idempotency_key().map(str::to_owned);
        let cart = self
            .store
            .write(move |tx: Tx| async move {
                let cart_id = store::open(&tx, &owner, &ids, now).await?;
                // The edge remembers answers, but not across a crash between our commit and its own.
                if let Some(key) = &key
                    && !store::note_addition(&tx, &cart_id, key, now).await?
                {
                    return reload(&tx, &owner, now).await;
                }
                let line = Line {
                    cart_item_id: ids.uuid().to_string(),
                    product_id: offer.product_id.clone(),
                    variant_id: offer.variant_id.clone(),
                    sku: offer.sku.clone(),
                    name: offer.name.clone(),
                    quantity,
                    added_at: now,
                };
                let units =
                    store::add(&tx, &cart_id, &line)
                        .await
                        .map_err(|error| match error {
                            StoreError::Check { .. } => too_many_units(),
                            other => Failure::from(other),
                        })?;
                if store::count_lines(&tx, &cart_id).await? > max_lines as i64 {
                    return Err(Failure::new(
                        Reason::Unprocessable,
                        format!("a cart holds at most {max_lines} different items"),
                    )
                    .with_field("product_id", "the cart is full"));
                }
                check_stock(&offer, units)?;
                reload(&tx, &owner, now).await
            })
            .await?;
        self.show(ctx, cart, known).await
    }

    /// Sets the units of a line.
    pub(crate) async fn update(
        &self,
        ctx: &CallContext,
        owner: Owner,
        request: UpdateCartItemRequest,
    ) -> Result<WireCart, Failure> {
        let UpdateCartItemRequest {
            cart_item_id,
            quantity,
        } = request;
        let not_found = || Failure::not_found("cart item", &cart_item_id);
        let cart = self.load(&owner).await?.ok_or_else(not_found)?;
        let line = cart
            .lines
            .iter()
            .find(|line| line.cart_item_id == cart_item_id)
            .ok_or_else(not_found)?;
        let known = self.offers(ctx, &cart.lines).await?;
        // Taking fewer is always possible, whatever has become of the product.
        if quantity > line.quantity {
            let offer = known.get(&line.variant_id).filter(|offer| offer.active);
            let offer = offer.ok_or_else(|| {
                Failure::new(Reason::OutOfStock, "the product is no longer on sale")
                    .with_metadata("sku", &line.sku)
            })?;
            check_stock(offer, quantity)?;
        }
        let (now, ids) = (self.clock.now(), self.ids.clone());
        let cart = self
            .store
            .write(move |tx: Tx| async move {
                let cart_id = store::open(&tx, &owner, &ids, now).await?;
                if !store::set_quantity(&tx, &cart_id, &cart_item_id, quantity).await? {
                    return Err(Failure::not_found("cart item", &cart_item_id));
                }
                reload(&tx, &owner, now).await
            })
            .await?;
        self.show(ctx, cart, known).await
    }

    /// Takes a line out.
    pub(crate) async fn remove(
        &self,
        ctx: &CallContext,
        owner: Owner,
        cart_item_id: String,
    ) -> Result<WireCart, Failure> {
        let (now, ids) = (self.clock.now(), self.ids.clone());
        let cart = self
            .store
            .write(move |tx: Tx| async move {
                let cart_id = store::open(&tx, &owner, &ids, now).await?;
                if !store::remove(&tx, &cart_id, &cart_item_id).await? {
                    return Err(Failure::not_found("cart item", &cart_item_id));
                }
                reload(&tx, &owner, now).await
            })
            .await?;
        self.show(ctx, cart, ByVariant::new()).await
    }

    /// Takes everything out.
    pub(crate) async fn clear(&self, ctx: &CallContext, owner: Owner) -> Result<WireCart, Failure> {
        if self.load(&owner).await?.is_none() {
            return Ok(self.no_cart());
        }
        let (now, ids) = (self.clock.now(), self.ids.clone());
        let cart = self
            .store
            .write(move |tx: Tx| async move {
                let cart_id = store::open(&tx, &owner, &ids, now).await?;
                store::empty(&tx, &cart_id).await?;
                reload(&tx, &owner, now).await
            })
            .await?;
        self.show(ctx, cart, ByVariant::new()).await
    }

    /// Moves the lines of a guest's cart into the owner's.
    pub(crate) async fn merge(
        &self,
        ctx: &CallContext,
        owner: Owner,
        guest_token: &str,
    ) -> Result<WireCart, Failure> {
        let guest = Owner {
            id: self.guest_tokens.session(ctx, guest_token).await?,
            life: self.config.guest_life(),
        };
        let (now, ids, max_lines) = (self.clock.now(), self.ids.clone(), self.config.max_lines());
        let cart = self
            .store
            .write(move |tx: Tx| async move {
                let from = store::load(&tx, &guest.id, now).await?;
                let Some(from) = from.filter(|cart| !cart.lines.is_empty()) else {
                    return Ok::<_, Failure>(store::load(&tx, &owner.id, now).await?);
                };
                let cart_id = store::open(&tx, &owner, &ids, now).await?;
                let guest_cart_id = store::open(&tx, &guest, &ids, now).await?;
                let into = reload(&tx, &owner, now).await?;
                let merged = merge(&into.lines, &from.lines, max_lines);
                for (variant_id, quantity) in merged.raised {
                    store::set_quantity_of_variant(&tx, &cart_id, &variant_id, quantity).await?;
                }
                for line in merged.moved {
                    store::move_line(&tx, &line.cart_item_id, &cart_id).await?;
                }
                if into.promo_code.is_empty() {
                    store::set_promo_code(&tx, &cart_id, &from.promo_code).await?;
                }
                store::empty(&tx, &guest_cart_id).await?;
                reload(&tx, &owner, now).await.map(Some)
            })
            .await?;
        match cart {
            Some(cart) => self.show(ctx, cart, ByVariant::new()).await,
            None => Ok(self.no_cart()),
        }
    }

    /// Notes a promo code, or removes it.
    pub(crate) async fn note_promo_code(
        &self,
        owner_id: String,
        code: String,
    ) -> Result<Option<Cart>, Failure> {
        let (now, ids) = (self.clock.now(), self.ids.clone());
        self.store
            .write(move |tx: Tx| async move {
                let Some(cart) = store::load(&tx, &owner_id, now).await? else {
                    return if code.is_empty() {
                        Ok(None)
                    } else {
                        Err(Failure::new(
                            Reason::CartEmpty,
                            "there is no cart to use a code on",
                        ))
                    };
                };
                if cart.promo_code == code {
                    return Ok(Some(cart));
                }
                // The cart lives as long as it would have: noting a code is not the shopper's doing.
                let owner = Owner {
                    id: owner_id,
                    life: cart.expires_at - now,
                };
                let cart_id = store::open(&tx, &owner, &ids, now).await?;
                store::set_promo_code(&tx, &cart_id, &code).await?;
                reload(&tx, &owner, now).await.map(Some)
            })
            .await
    }
}

/// The cart as a transaction has just made it.
async fn reload(tx: &Tx, owner: &Owner, now: DateTime<Utc>) -> Result<Cart, Failure> {
    store::load(tx, &owner.id, now)
        .await?
        .ok_or_else(|| Failure::not_found("cart", &owner.id))
}

fn unknown_product(request: &AddCartItemRequest) -> Failure {
    let field = if request.variant_id.is_empty() {
        "product_id"
    } else {
        "variant_id"
    };
    Failure::not_found("product", &request.product_id)
        .with_field(field, "there is no such product on sale")
}

fn too_many_units() -> Failure {
    let message = format!("a line holds at most {MAX_QUANTITY} units");
    Failure::new(Reason::Unprocessable, &message).with_field("quantity", message)
}

/// Refuses more units than the catalog says can be promised. Inventory has the last word, at the order.
fn check_stock(offer: &Offer, units: i64) -> Result<(), Failure> {
    if units <= offer.stock {
        return Ok(());
    }
    let message = match offer.stock {
        ..=0 => "the item is out of stock".to_owned(),
        left => format!("only {left} are in stock"),
    };
    Err(Failure::new(Reason::OutOfStock, message.as_str())
        .with_metadata("sku", &offer.sku)
        .with_metadata("available", offer.stock.max(0).to_string())
        .with_field("quantity", message))
}

/// Refuses a second currency: a cart has one sum.
fn check_currency(offer: &Offer, lines: &[Line], known: &ByVariant) -> Result<(), Failure> {
    let present = lines.iter().find_map(|line| known.get(&line.variant_id));
    match present {
        Some(present) if present.unit_price.currency != offer.unit_price.currency => {
            Err(Failure::new(
                Reason::Unprocessable,
                "all items of a cart must have prices in one currency",
            )
            .with_field(
                "product_id",
                "has a price in another currency than the cart",
            ))
        }
        _ => Ok(()),
    }
}
