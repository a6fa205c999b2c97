//! Handlers of `CartService`.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use contracts::hub::{
    cart::v1::{
        AddCartItemRequest, Cart as WireCart, CartItem, CartTotals, CheckoutCart, CheckoutLine,
        ClearCartRequest, GetCartRequest, GetCheckoutCartRequest, MergeCartRequest,
        RemoveCartItemRequest, SetPromoCodeRequest, UpdateCartItemRequest,
        cart_service_server::CartService,
    },
    catalog::v1::VariantRef,
};
use mesh::{
    CallContext, Clock, Currency, Failure, Ids, Money, Reason, Role,
    store::{Store, StoreError, Tx},
};
use tonic::{Request, Response, Status};

use crate::{
    catalog::Offers,
    config::CartConfig,
    domain::{
        Cart, Line, MAX_QUANTITY,
        merging::merge,
        pricing::{self, Offer, PricedLine},
    },
    guest_tokens::GuestTokens,
    store::{self, Owner},
};

/// The carts of all shoppers.
#[derive(Clone)]
pub struct Carts {
    /// The tables.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// The source of ids.
    pub ids: Ids,
    /// Where prices come from.
    pub catalog: Arc<dyn Offers>,
    /// Whose guest tokens are.
    pub guest_tokens: Arc<dyn GuestTokens>,
    /// The settings.
    pub config: CartConfig,
    /// Currency of an empty cart's sums.
    pub currency: Currency,
}

/// Offers by variant id.
type ByVariant = HashMap<String, Offer>;

impl Carts {
    /// The caller as an owner; none for somebody without a session.
    fn caller(&self, ctx: &CallContext) -> Option<Owner> {
        let principal = ctx.principal();
        let is_shopper = principal.at_least(Role::Guest) && !principal.is_service();
        is_shopper.then(|| Owner {
            id: principal.subject().to_owned(),
            life: if principal.at_least(Role::Customer) {
                self.config.customer_life()
            } else {
                self.config.guest_life()
            },
        })
    }

    fn require_caller(&self, ctx: &CallContext) -> Result<Owner, Failure> {
        self.caller(ctx).ok_or_else(|| {
            Failure::unauthenticated("a cart belongs to a signed-in user or a guest session")
        })
    }

    async fn load(&self, owner: &Owner) -> Result<Option<Cart>, Failure> {
        Ok(store::load(&self.store, &owner.id, self.clock.now()).await?)
    }

    async fn offers(&self, ctx: &CallContext, lines: &[Line]) -> Result<ByVariant, Failure> {
        let refs = lines.iter().map(by_id).collect();
        let offers = self.catalog.offers(ctx, refs).await?;
        Ok(offers
            .into_iter()
            .map(|(_, offer)| (offer.variant_id.clone(), offer))
            .collect())
    }

    /// The cart with prices. Offers that are known already are not asked for again; if the cart has got
    /// lines since they were asked for, all are.
    async fn show(
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

    fn no_cart(&self) -> WireCart {
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

    async fn add(
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
        let cart = self
            .store
            .write(move |tx: Tx| async move {
                let cart_id = store::open(&tx, &owner, &ids, now).await?;
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

    async fn update(
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

    async fn remove(
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

    async fn clear(&self, ctx: &CallContext, owner: Owner) -> Result<WireCart, Failure> {
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

    async fn merge(
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

    async fn note_promo_code(
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

fn by_id(line: &Line) -> VariantRef {
    VariantRef {
        product_id: String::new(),
        variant_id: line.variant_id.clone(),
    }
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

fn checkout(cart: Option<Cart>) -> CheckoutCart {
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

#[tonic::async_trait]
impl CartService for Carts {
    async fn get_cart(
        &self,
        request: Request<GetCartRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let cart = match self.caller(&ctx) {
            Some(owner) => self.load(&owner).await?,
            None => None,
        };
        Ok(Response::new(match cart {
            Some(cart) => self.show(&ctx, cart, ByVariant::new()).await?,
            None => self.no_cart(),
        }))
    }

    async fn add_cart_item(
        &self,
        request: Request<AddCartItemRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let owner = self.require_caller(&ctx)?;
        Ok(Response::new(
            self.add(&ctx, owner, request.into_inner()).await?,
        ))
    }

    async fn update_cart_item(
        &self,
        request: Request<UpdateCartItemRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let owner = self.require_caller(&ctx)?;
        Ok(Response::new(
            self.update(&ctx, owner, request.into_inner()).await?,
        ))
    }

    async fn remove_cart_item(
        &self,
        request: Request<RemoveCartItemRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let owner = self.require_caller(&ctx)?;
        let id = request.into_inner().cart_item_id;
        Ok(Response::new(self.remove(&ctx, owner, id).await?))
    }

    async fn clear_cart(
        &self,
        request: Request<ClearCartRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let owner = self.require_caller(&ctx)?;
        Ok(Response::new(self.clear(&ctx, owner).await?))
    }

    async fn merge_cart(
        &self,
        request: Request<MergeCartRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let owner = self.require_caller(&ctx)?;
        let token = request.into_inner().guest_token;
        Ok(Response::new(self.merge(&ctx, owner, &token).await?))
    }

    async fn get_checkout_cart(
        &self,
        request: Request<GetCheckoutCartRequest>,
    ) -> Result<Response<CheckoutCart>, Status> {
        let owner_id = request.into_inner().owner_id;
        let cart = store::load(&self.store, &owner_id, self.clock.now())
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(checkout(cart)))
    }

    async fn set_promo_code(
        &self,
        request: Request<SetPromoCodeRequest>,
    ) -> Result<Response<CheckoutCart>, Status> {
        let SetPromoCodeRequest {
            owner_id,
            promo_code,
        } = request.into_inner();
        let cart = self.note_promo_code(owner_id, promo_code).await?;
        Ok(Response::new(checkout(cart)))
    }
}
