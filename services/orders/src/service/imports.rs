//! Reading orders of the past and promo codes.

use contracts::hub::orders::v1 as wire;
use mesh::{Currency, Failure, Ids, Money};
use uuid::Uuid;

use crate::{
    domain::{
        order::{Item, Order, PaymentFacts, ShipmentFacts, Totals},
        promo::{Discount, Promo},
        saga::Facts,
        shipping::Method,
    },
    store::Past,
    wire::{address_of, time},
};

/// Orders of the past. What the sums do not reconcile of is refused, as is a status that is none.
pub(super) fn orders(orders: Vec<wire::ImportOrder>, ids: &Ids) -> Result<Vec<Past>, Failure> {
    orders
        .into_iter()
        .enumerate()
        .map(|(index, order)| past(&format!("orders[{index}].order"), order, ids))
        .collect()
}

fn past(path: &str, import: wire::ImportOrder, ids: &Ids) -> Result<Past, Failure> {
    let given = import
        .order
        .ok_or_else(|| Failure::invalid(path, "is required"))?;
    let totals = totals(
        &format!("{path}.totals"),
        given.totals.clone().unwrap_or_default(),
    )?;
    let status = given.status();
    if status == wire::OrderStatus::Unspecified {
        return Err(Failure::invalid(format!("{path}.status"), "is required"));
    }
    let refunded = match given.payment_status() {
        wire::PaymentStatus::Refunded => totals.total.minor,
        _ => 0,
    };
    // Unspecified sides of the status follow from the status itself.
    let facts = Facts::of_past_order(status, given.payment_status(), refunded);
    let created_at = given
        .created_at
        .as_ref()
        .and_then(time)
        .ok_or_else(|| Failure::invalid(format!("{path}.created_at"), "is required"))?;
    let currency = totals.total.currency;
    let items = given
        .items
        .iter()
        .enumerate()
        .map(|(index, line)| item(&format!("{path}.items[{index}]"), line, currency, ids))
        .collect::<Result<Vec<_>, _>>()?;
    let order_id = match given.order_id.as_str() {
        "" => ids.uuid(),
        text => Uuid::try_parse(text)
            .map_err(|_| Failure::invalid(format!("{path}.order_id"), "must be a UUID"))?,
    }
    .to_string();
    let method = Method::of(
        given
            .shipping
            .as_ref()
            .map(wire::OrderShipping::method)
            .unwrap_or_default(),
    );
    let shipping_address = address_of(given.shipping_address.unwrap_or_default());
    let order = Order {
        order_id,
        order_number: given.order_number,
        user_id: given.user_id,
        email: given.email.to_lowercase(),
        status,
        payment_status: facts.payment_status(),
        fulfillment_status: facts.fulfillment_status(),
        status_reason: given.status_reason,
        items,
        totals,
        billing_address: given
            .billing_address
            .map_or_else(|| shipping_address.clone(), address_of),
        shipping_address,
        shipping_method: method.name.to_owned(),
        payment_method: String::new(),
        payment: given
            .payment
            .map(|payment| PaymentFacts {
                payment_id: String::new(),
                payment_intent_id: payment.payment_intent_id,
                method: payment.method,
                brand: payment.brand,
                last4: payment.last4,
            })
            .unwrap_or_default(),
        shipment: given
            .shipping
            .map(|shipping| ShipmentFacts {
                shipment_id: shipping.shipment_id,
                carrier: shipping.carrier,
                service_level: String::new(),
                tracking_number: shipping.tracking_number,
                estimated_delivery: shipping.estimated_delivery.as_ref().and_then(time),
            })
            .unwrap_or_default(),
        promo_code: given.promo_code,
        notes: given.notes,
        cart_id: String::new(),
        cart_version: 0,
        created_at,
        updated_at: given
            .updated_at
            .as_ref()
            .and_then(time)
            .unwrap_or(created_at)
            .max(created_at),
        paid_at: given.paid_at.as_ref().and_then(time),
        version: 1,
    };
    Ok(Past {
        order,
        import_key: import.import_key,
        refunded,
    })
}

fn totals(path: &str, given: wire::OrderTotals) -> Result<Totals, Failure> {
    let total = Money::from_wire(given.total.as_ref(), &format!("{path}.total"))?;
    let amount = |money: Option<contracts::hub::r#type::v1::Money>, field: &str| match money {
        None => Ok(Money::zero(total.currency)),
        Some(money) => Money::from_wire(Some(&money), &format!("{path}.{field}")),
    };
    let totals = Totals {
        subtotal: amount(given.subtotal, "subtotal")?,
        discount: amount(given.discount, "discount")?,
        shipping: amount(given.shipping, "shipping")?,
        tax: amount(given.tax, "tax")?,
        total,
    };
    let sum = totals
        .subtotal
        .checked_sub(totals.discount)?
        .checked_add(totals.shipping)?
        .checked_add(totals.tax)?;
    if sum != totals.total || totals.total.is_negative() {
        return Err(Failure::invalid(
            format!("{path}.total"),
            format!("must be subtotal - discount + shipping + tax, which is {sum}"),
        ));
    }
    Ok(totals)
}

fn item(
    path: &str,
    line: &wire::OrderItem,
    currency: Currency,
    ids: &Ids,
) -> Result<Item, Failure> {
    let amount = |money: Option<&contracts::hub::r#type::v1::Money>, field: &str| match money {
        None => Ok(0),
        Some(_) => Money::from_wire(money, &format!("{path}.{field}")).map(|money| money.minor),
    };
    let unit_price = Money::from_wire(line.unit_price.as_ref(), &format!("{path}.unit_price"))?;
    if unit_price.currency != currency {
        return Err(Failure::invalid(
            format!("{path}.unit_price"),
            format!("must be in {currency}"),
        ));
    }
    Ok(Item {
        order_item_id: if line.order_item_id.is_empty() {
            ids.uuid().to_string()
        } else {
            line.order_item_id.clone()
        },
        product_id: line.product_id.clone(),
        variant_id: line.variant_id.clone(),
        sku: line.sku.clone(),
        name: line.name.clone(),
        variant_name: line.variant_name.clone(),
        quantity: line.quantity,
        unit_price: unit_price.minor,
        line_total: unit_price.times(line.quantity)?.minor,
        discount: amount(line.discount.as_ref(), "discount")?,
        tax: amount(line.tax.as_ref(), "tax")?,
        image_url: line.image_url.clone(),
    })
}

/// Promo codes.
pub(super) fn promos(codes: Vec<wire::PromoCode>) -> Result<Vec<Promo>, Failure> {
    codes
        .into_iter()
        .enumerate()
        .map(|(index, code)| promo(&format!("codes[{index}]"), code))
        .collect()
}

fn promo(path: &str, given: wire::PromoCode) -> Result<Promo, Failure> {
    let currency = if given.currency.is_empty() {
        Currency::USD
    } else {
        given.currency.parse().map_err(|error: mesh::MoneyError| {
            Failure::invalid(format!("{path}.currency"), error.to_string())
        })?
    };
    let discount = match given.r#type() {
        wire::PromoType::Percent => {
            let percent: mesh::Rate = given.value.parse().map_err(|error: mesh::MoneyError| {
                Failure::invalid(format!("{path}.value"), error.to_string())
            })?;
            if percent.mantissa() > percent.denominator().saturating_mul(100) {
                return Err(Failure::invalid(
                    format!("{path}.value"),
                    "must be at most 100",
                ));
            }
            Discount::Percent(percent)
        }
        wire::PromoType::Fixed => {
            Discount::Fixed(amount(&given.value, currency, &format!("{path}.value"))?)
        }
        wire::PromoType::FreeShipping => Discount::FreeShipping,
        wire::PromoType::Unspecified => {
            return Err(Failure::invalid(format!("{path}.type"), "is required"));
        }
    };
    let min_subtotal = if given.min_subtotal.is_empty() {
        Money::zero(currency)
    } else {
        amount(
            &given.min_subtotal,
            currency,
            &format!("{path}.min_subtotal"),
        )?
    };
    Ok(Promo {
        code: given.code,
        discount,
        min_subtotal,
        starts_at: given.starts_at.as_ref().and_then(time),
        ends_at: given.ends_at.as_ref().and_then(time),
        max_uses: given.max_uses,
        max_uses_per_user: given.max_uses_per_user,
        uses: 0,
        description: given.description,
    })
}

/// An amount in major units; fewer decimals than the currency has are filled up.
fn amount(text: &str, currency: Currency, field: &str) -> Result<Money, Failure> {
    let exponent = currency.exponent() as usize;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let full = if exponent == 0 && fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction:0<exponent$}")
    };
    Money::parse(&full, &currency.to_string())
        .map_err(|error| Failure::invalid(field, error.to_string()))
}
