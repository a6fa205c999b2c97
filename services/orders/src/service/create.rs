//! From a cart to an order.

use contracts::hub::orders::v1::{
    CreateOrderRequest, FulfillmentStatus, OrderStatus, PaymentStatus,
};
use mesh::{CallContext, Failure, Reason, store::Tx};

use crate::{
    cause::Cause,
    checkout::{Basket, Desk, promo_failure, scarce_failure},
    domain::{
        address::{self, Address},
        order::{Item, Order, PaymentFacts, ShipmentFacts, Totals},
        pricing::Quote,
        shipping::Method,
    },
    store::{PlaceError, Placement, find_by_cart, find_by_key, ordered_already, place},
    wire,
};

/// Orders the caller's cart. The same idempotency key gives the same order; the same version of a cart
/// gives one order and no other.
pub(super) async fn create(
    desk: &Desk,
    ctx: &CallContext,
    request: CreateOrderRequest,
) -> Result<Order, Failure> {
    let owner = ctx.principal().subject().to_owned();
    let key = ctx.idempotency_key().map(str::to_owned);
    if let Some(key) = &key
        && let Some(order) = find_by_key(&desk.store, &owner, key).await?
    {
        return Ok(order);
    }
    if is_card_number(&request.payment_method) {
        return Err(Failure::invalid(
            "payment_method",
            "must be a token or a saved method; card numbers belong to the payment provider",
        ));
    }
    let email = email(ctx, &request.email)?;
    let shipping_address = deliverable("shipping_address", request.shipping_address)?;
    let billing_address = match request.billing_address {
        Some(address) => deliverable("billing_address", Some(address))?,
        None => shipping_address.clone(),
    };
    let method = Method::of(
        contracts::hub::orders::v1::ShippingMethod::try_from(request.shipping_method)
            .unwrap_or_default(),
    );
    let cart = desk.cart(ctx, &owner, &request.cart_id).await?;
    if cart.lines.is_empty() {
        return Err(Failure::conflict(
            Reason::CartEmpty,
            "The cart is empty; put something into it first.",
        ));
    }
    let basket = desk.basket(ctx, &cart).await?;
    if let Some(unsold) = basket.unsold.first() {
        let names: Vec<&str> = basket
            .unsold
            .iter()
            .map(|line| line.name.as_str())
            .collect();
        return Err(Failure::conflict(
            Reason::Conflict,
            format!("No longer on sale: {}.", names.join(", ")),
        )
        .with_metadata("variant_id", unsold.variant_id.clone()));
    }
    let scarce = desk.scarce(ctx, &basket.lines).await;
    if !scarce.is_empty() {
        return Err(scarce_failure(&scarce));
    }
    let promo = desk
        .promo(
            &owner,
            &request.promo_code,
            &cart.promo_code,
            basket.subtotal()?,
        )
        .await?
        .map_err(promo_failure)?;
    let quote = basket.price(promo.as_ref().map(|promo| &promo.discount), method)?;
    let moment = desk.means.moment(Cause::call(ctx));
    let order = Order {
        order_id: moment.ids.uuid().to_string(),
        order_number: String::new(),
        user_id: owner.clone(),
        email,
        status: OrderStatus::Pending,
        payment_status: PaymentStatus::Pending,
        fulfillment_status: FulfillmentStatus::Pending,
        status_reason: String::new(),
        items: items(desk, &basket, &quote),
        totals: totals(&quote),
        shipping_address,
        billing_address,
        shipping_method: method.name.to_owned(),
        payment_method: request.payment_method,
        payment: PaymentFacts::default(),
        shipment: ShipmentFacts::default(),
        promo_code: promo.map(|promo| promo.code).unwrap_or_default(),
        notes: request.notes,
        cart_id: cart.cart_id.clone(),
        cart_version: cart.version,
        created_at: moment.now,
        updated_at: moment.now,
        paid_at: None,
        version: 1,
    };
    let placement = Placement {
        order,
        idempotency_key: key.clone(),
        client_ip: ctx.client_ip().map(|ip| ip.to_string()).unwrap_or_default(),
        user_agent: ctx.user_agent().chars().take(300).collect(),
    };
    let placed = desk
        .store
        .write(move |tx: Tx| async move { place(&tx, &moment, placement).await })
        .await;
    let error = match placed {
        Ok(order) => {
            metrics::counter!("hub_orders_placed_total").increment(1);
            return Ok(order);
        }
        Err(error) => error,
    };
    if ordered_already(&error) {
        // A parallel request was first. With the same key it was the same request.
        if let Some(key) = &key
            && let Some(order) = find_by_key(&desk.store, &owner, key).await?
        {
            return Ok(order);
        }
        if let Some(order) = find_by_cart(&desk.store, &cart.cart_id, cart.version).await? {
            return Err(Failure::conflict(
                Reason::CartAlreadyOrdered,
                format!("This cart was ordered already, as {}.", order.order_number),
            )
            .with_metadata("order_id", order.order_id)
            .with_metadata("order_number", order.order_number));
        }
    }
    Err(match error {
        PlaceError::Promo(refusal) => promo_failure(refusal),
        PlaceError::Store(error) => error.into(),
    })
}

/// Whether a text can be a card number (ISO/IEC 7812: 12 to 19 digits, often grouped). Such a text is
/// neither stored nor logged.
fn is_card_number(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let others = |c: char| !(c.is_ascii_digit() || c == ' ' || c == '-');
    (12..=19).contains(&digits) && !text.contains(others)
}

fn email(ctx: &CallContext, given: &str) -> Result<String, Failure> {
    let email = if given.is_empty() {
        ctx.principal().email()
    } else {
        given
    };
    if email.is_empty() {
        return Err(Failure::invalid(
            "email",
            "is required for guests: the confirmation goes there",
        ));
    }
    Ok(email.to_lowercase())
}

/// An address in normal form, or what is wrong with it.
fn deliverable(
    field: &str,
    address: Option<contracts::hub::r#type::v1::Address>,
) -> Result<Address, Failure> {
    let address = address.ok_or_else(|| Failure::invalid(field, "is required"))?;
    let checked = address::check(&wire::address_of(address));
    let mut defects = checked.defects.into_iter();
    let Some(first) = defects.next() else {
        return Ok(checked.address);
    };
    let mut failure = Failure::invalid(format!("{field}.{}", first.field), first.message);
    for defect in defects {
        failure = failure.with_field(format!("{field}.{}", defect.field), defect.message);
    }
    Err(failure)
}

/// The sums of a quote.
pub(super) fn totals(quote: &Quote) -> Totals {
    Totals {
        subtotal: quote.subtotal,
        discount: quote.discount,
        shipping: quote.shipping,
        tax: quote.tax,
        total: quote.total,
    }
}

/// The lines of an order at a quote's prices.
pub(super) fn items(desk: &Desk, basket: &Basket, quote: &Quote) -> Vec<Item> {
    basket
        .lines
        .iter()
        .zip(&quote.lines)
        .map(|(line, priced)| Item {
            order_item_id: desk.means.ids.uuid().to_string(),
            product_id: line.variant.product_id.clone(),
            variant_id: line.variant.variant_id.clone(),
            sku: line.variant.sku.clone(),
            name: line.variant.name.clone(),
            variant_name: line.variant.variant_name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price.minor,
            line_total: priced.line_total.minor,
            discount: priced.discount.minor,
            tax: priced.tax.minor,
            image_url: line.variant.image_url.clone(),
        })
        .collect()
}
