//! What stands between a cart and an order: present prices, live stock, promo codes, addresses. The
//! checkout's validation and the order itself ask here, so they cannot come to different answers.

use std::collections::HashMap;

use contracts::hub::{
    agents::v1::{
        PromiseLine, ValidateReservationRequest,
        reservation_validation_service_client::ReservationValidationServiceClient,
    },
    cart::v1::{CheckoutCart, GetCheckoutCartRequest, cart_service_client::CartServiceClient},
    catalog::v1::{
        BatchGetVariantsRequest, PurchasableVariant, VariantRef,
        catalog_service_client::CatalogServiceClient,
    },
    inventory::v1::{
        BatchGetAvailabilityRequest, inventory_service_client::InventoryServiceClient,
    },
};
use mesh::{
    CallContext, Channel, Currency, Failure, Money, Rate, Reason,
    store::{Store, StoreError},
};

use crate::{
    domain::{
        pricing::{self, Quote},
        promo::{Discount, Promo, PromoRefusal, normalize},
        shipping::Method,
    },
    means::Means,
    store::{find_promo, used_by},
};

/// The name under which orders calls others.
pub(crate) const SERVICE: &str = "orders";

/// The services that the checkout asks, and its own store.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) means: Means,
    pub(crate) carts: CartServiceClient<Channel>,
    pub(crate) catalog: CatalogServiceClient<Channel>,
    pub(crate) inventory: InventoryServiceClient<Channel>,
    pub(crate) agent: ReservationValidationServiceClient<Channel>,
}

/// A line of a cart with what the catalog says of it now.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Units.
    pub(crate) quantity: i64,
    /// The variant as it is sold now.
    pub(crate) variant: PurchasableVariant,
    /// Price of one unit.
    pub(crate) unit_price: Money,
    /// Sales tax rate.
    pub(crate) tax_rate: Rate,
}

/// A line that cannot be bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsold {
    /// Id of the variant.
    pub(crate) variant_id: String,
    /// SKU, or the id where even that is gone.
    pub(crate) name: String,
}

/// A cart at present prices.
#[derive(Clone, Debug)]
pub(crate) struct Basket {
    /// Lines that can be bought.
    pub(crate) lines: Vec<Line>,
    /// Lines that cannot.
    pub(crate) unsold: Vec<Unsold>,
    /// The currency of all lines.
    pub(crate) currency: Currency,
}

impl Basket {
    /// What the lines are worth.
    pub(crate) fn subtotal(&self) -> Result<Money, Failure> {
        let totals = self
            .lines
            .iter()
            .map(|line| line.unit_price.times(line.quantity))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Money::sum(self.currency, totals)?)
    }

    /// What everything costs.
    pub(crate) fn price(
        &self,
        discount: Option<&Discount>,
        method: &Method,
    ) -> Result<Quote, Failure> {
        let lines: Vec<pricing::Line> = self
            .lines
            .iter()
            .map(|line| pricing::Line {
                unit_price: line.unit_price,
                quantity: line.quantity,
                tax_rate: line.tax_rate,
            })
            .collect();
        Ok(pricing::price(self.currency, &lines, discount, method)?)
    }
}

/// A line that there is not enough of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scarce {
    /// SKU of the variant.
    pub(crate) sku: String,
    /// Units wanted.
    pub(crate) requested: i64,
    /// Units that could be had.
    pub(crate) available: i64,
}

impl Desk {
    /// The cart of an owner; checked against `cart_id` when that is given.
    pub(crate) async fn cart(
        &self,
        ctx: &CallContext,
        owner: &str,
        cart_id: &str,
    ) -> Result<CheckoutCart, Failure> {
        let request = GetCheckoutCartRequest {
            owner_id: owner.to_owned(),
        };
        let cart = self
            .carts
            .clone()
            .get_checkout_cart(ctx.as_service(SERVICE).call(request))
            .await?
            .into_inner();
        if !cart_id.is_empty() && cart_id != cart.cart_id {
            return Err(Failure::not_found("cart", cart_id));
        }
        Ok(cart)
    }

    /// The lines of a cart at present prices.
    pub(crate) async fn basket(
        &self,
        ctx: &CallContext,
        cart: &CheckoutCart,
    ) -> Result<Basket, Failure> {
        let refs = cart
            .lines
            .iter()
            .map(|line| VariantRef {
                product_id: line.product_id.clone(),
                variant_id: line.variant_id.clone(),
            })
            .collect();
        let found = self
            .catalog
            .clone()
            .batch_get_variants(
                ctx.as_service(SERVICE)
                    .call(BatchGetVariantsRequest { refs }),
            )
            .await?
            .into_inner()
            .variants;
        let mut by_line: HashMap<usize, PurchasableVariant> = found
            .into_iter()
            .filter_map(|variant| Some((usize::try_from(variant.ref_index).ok()?, variant)))
            .collect();
        let mut lines = Vec::with_capacity(cart.lines.len());
        let mut unsold = Vec::new();
        for (index, line) in cart.lines.iter().enumerate() {
            match by_line.remove(&index) {
                Some(variant) if variant.active => lines.push(Line {
                    quantity: line.quantity,
                    unit_price: Money::from_wire(variant.unit_price.as_ref(), "unit_price")
                        .map_err(Failure::internal)?,
                    tax_rate: rate(&variant.tax_rate)?,
                    variant,
                }),
                gone => unsold.push(Unsold {
                    variant_id: line.variant_id.clone(),
                    name: gone.map_or_else(|| line.variant_id.clone(), |variant| variant.sku),
                }),
            }
        }
        let currency = lines.first().map_or(Ok(Currency::USD), |line| {
            Ok::<_, Failure>(line.unit_price.currency)
        })?;
        if lines
            .iter()
            .any(|line| line.unit_price.currency != currency)
        {
            return Err(Failure::new(
                Reason::Unprocessable,
                "the cart has prices in several currencies; order them one by one",
            ));
        }
        Ok(Basket {
            lines,
            unsold,
            currency,
        })
    }

    /// Lines that there is not enough of by live stock. No promise: only the reservation is one. When
    /// inventory does not answer, the catalog's numbers have to do.
    pub(crate) async fn scarce(&self, ctx: &CallContext, lines: &[Line]) -> Vec<Scarce> {
        let request = BatchGetAvailabilityRequest {
            variant_ids: lines
                .iter()
                .map(|line| line.variant.variant_id.clone())
                .collect(),
        };
        let asked = ctx
            .as_service(SERVICE)
            .within(self.means.config.lookup())
            .call(request);
        let live: Option<HashMap<String, i64>> =
            match self.inventory.clone().batch_get_availability(asked).await {
                Ok(answer) => Some(
                    answer
                        .into_inner()
                        .variants
                        .into_iter()
                        .map(|variant| (variant.variant_id, variant.available))
                        .collect(),
                ),
                Err(status) => {
                    tracing::warn!(code = ?status.code(), "inventory did not answer the checkout");
                    None
                }
            };
        lines
            .iter()
            .filter_map(|line| {
                let available = match &live {
                    Some(live) => live.get(&line.variant.variant_id).copied().unwrap_or(0),
                    None => line.variant.stock,
                };
                (available < line.quantity).then(|| Scarce {
                    sku: line.variant.sku.clone(),
                    requested: line.quantity,
                    available,
                })
            })
            .collect()
    }

    /// As [`Desk::scarce`], by the judgement of the reservation agent; live stock when it does not answer.
    pub(crate) async fn promised(&self, ctx: &CallContext, lines: &[Line]) -> Vec<Scarce> {
        let request = ValidateReservationRequest {
            lines: lines
                .iter()
                .map(|line| PromiseLine {
                    variant_id: line.variant.variant_id.clone(),
                    quantity: line.quantity,
                })
                .collect(),
        };
        let asked = ctx
            .as_service(SERVICE)
            .within(self.means.config.lookup())
            .call(request);
        let decided = match self.agent.clone().validate_reservation(asked).await {
            Ok(answer) => answer.into_inner().result,
            Err(status) => {
                tracing::debug!(code = ?status.code(), "the reservation agent did not answer");
                None
            }
        };
        let Some(decision) = decided else {
            return self.scarce(ctx, lines).await;
        };
        decision
            .lines
            .into_iter()
            .filter(|line| line.available < line.requested)
            .map(|line| Scarce {
                sku: line.sku,
                requested: line.requested,
                available: line.available,
            })
            .collect()
    }

    /// The promo code to use: the one that is asked for, else the one noted on the cart, if any.
    pub(crate) async fn promo(
        &self,
        owner: &str,
        asked: &str,
        noted: &str,
        subtotal: Money,
    ) -> Result<Result<Option<Promo>, PromoRefusal>, StoreError> {
        let code = normalize(if asked.trim().is_empty() {
            noted
        } else {
            asked
        });
        if code.is_empty() {
            return Ok(Ok(None));
        }
        let Some(promo) = find_promo(&self.store, &code).await? else {
            return Ok(Err(PromoRefusal::Unknown(code)));
        };
        let used = if promo.max_uses_per_user > 0 {
            used_by(&self.store, &code, owner).await?
        } else {
            0
        };
        Ok(promo
            .check(self.means.clock.now(), subtotal, used)
            .map(|()| Some(promo)))
    }
}

/// A tax rate of the catalog; none when it is empty.
fn rate(text: &str) -> Result<Rate, Failure> {
    if text.is_empty() {
        return Ok(Rate::ZERO);
    }
    text.parse().map_err(Failure::internal)
}

/// The failure for a refused promo code.
pub(crate) fn promo_failure(refusal: PromoRefusal) -> Failure {
    let message = refusal.to_string();
    Failure::new(Reason::PromoInvalid, message.clone()).with_field("promo_code", message)
}

/// The failure for lines that there is not enough of.
pub(crate) fn scarce_failure(scarce: &[Scarce]) -> Failure {
    let lines: Vec<String> = scarce
        .iter()
        .map(|line| {
            format!(
                "{} ({} wanted, {} left)",
                line.sku, line.requested, line.available
            )
        })
        .collect();
    let mut failure = Failure::conflict(
        Reason::OutOfStock,
        format!("There is not enough stock of {}.", lines.join(", ")),
    );
    for line in scarce {
        failure = failure.with_metadata(
            format!("available.{}", line.sku),
            line.available.to_string(),
        );
    }
    if let Some(first) = scarce.first() {
        failure = failure
            .with_metadata("sku", first.sku.clone())
            .with_metadata("requested", first.requested.to_string())
            .with_metadata("available", first.available.to_string());
    }
    failure
}
