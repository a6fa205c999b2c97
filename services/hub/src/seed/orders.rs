//! Orders in every state, as of the day of the first start.

use std::collections::HashMap;

use anyhow::Context;
use chrono::{DateTime, Duration, Utc};
use contracts::hub::{
    catalog::v1::{
        BatchGetVariantsRequest, PurchasableVariant, VariantRef,
        catalog_service_client::CatalogServiceClient,
    },
    orders::v1::{
        FulfillmentStatus, ImportOrder, ImportOrdersRequest, Order, OrderItem, OrderPayment,
        OrderShipping, OrderStatus, OrderTotals, PaymentStatus, ShippingMethod,
        order_service_client::OrderServiceClient,
    },
    r#type::v1::Address,
};
use mesh::Money;
use orders::domain::{
    pricing::{self, Line, Quote},
    promo::Discount,
    shipping::Method,
};
use serde::Deserialize;

use super::{
    Seeder,
    promos::timestamp,
    users::{DemoAddress, DemoUser, demo_users, import},
};

const ORDERS: &str = include_str!("../../demo/orders.json");
/// The carrier of the orders of the past; `tracking_number` in `orders.json` is in its form.
const CARRIER: &str = "summit-express";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoOrder {
    customer_email: String,
    placed_days_ago: i64,
    status: String,
    shipping_method: String,
    /// Test payment method that brand and last digits belong to.
    #[serde(rename = "payment_method")]
    _payment_method: String,
    card_brand: String,
    card_last4: String,
    lines: Vec<DemoLine>,
    #[serde(default)]
    promo_code: String,
    #[serde(default)]
    tracking_number: String,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    status_reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoLine {
    sku: String,
    quantity: i64,
}

/// What the orders refer to.
struct Shop {
    variants: HashMap<String, PurchasableVariant>,
    /// Ids of the users by e-mail address.
    users: HashMap<String, (String, Address)>,
    now: DateTime<Utc>,
}

impl Seeder<'_> {
    pub(super) async fn orders(&self) -> anyhow::Result<()> {
        let demo: Vec<DemoOrder> = serde_json::from_str(ORDERS)?;
        let shop = self.shop(&demo).await?;
        let mut orders = Vec::new();
        for (position, order) in demo.into_iter().enumerate() {
            orders.push(ImportOrder {
                import_key: format!("demo-{position}"),
                order: Some(
                    shop.order(order)
                        .with_context(|| format!("order {position}"))?,
                ),
            });
        }
        OrderServiceClient::new(self.hub.channel())
            .import_orders(self.call(ImportOrdersRequest { orders }))
            .await?;
        Ok(())
    }

    async fn shop(&self, demo: &[DemoOrder]) -> anyhow::Result<Shop> {
        let mut skus: Vec<&str> = demo
            .iter()
            .flat_map(|order| order.lines.iter().map(|line| line.sku.as_str()))
            .collect();
        skus.sort_unstable();
        skus.dedup();
        let refs = skus
            .into_iter()
            .map(|sku| VariantRef {
                product_id: String::new(),
                variant_id: sku.to_owned(),
            })
            .collect();
        let variants = CatalogServiceClient::new(self.hub.channel())
            .batch_get_variants(self.call(BatchGetVariantsRequest { refs }))
            .await?
            .into_inner()
            .variants;
        let users = demo_users()?;
        let addresses: Vec<Address> = users.iter().map(first_address).collect();
        let stored = self
            .import_users(users.into_iter().map(import).collect())
            .await?;
        Ok(Shop {
            variants: variants
                .into_iter()
                .map(|variant| (variant.sku.clone(), variant))
                .collect(),
            users: stored
                .into_iter()
                .zip(addresses)
                .map(|(user, address)| (user.email, (user.user_id, address)))
                .collect(),
            now: self.hub.clock().now(),
        })
    }
}

impl Shop {
    fn order(&self, demo: DemoOrder) -> anyhow::Result<Order> {
        let (user_id, address) = self
            .users
            .get(&demo.customer_email)
            .context("unknown user")?;
        let method = shipping_method(&demo.shipping_method);
        let (items, totals) = self.price(&demo, method)?;
        let placed = self.now - Duration::days(demo.placed_days_ago);
        let status = order_status(&demo.status)?;
        let facts = Facts::of(status);
        Ok(Order {
            status: status.into(),
            payment_status: facts.payment.into(),
            fulfillment_status: facts.fulfillment.into(),
            items,
            totals: Some(totals),
            user_id: user_id.clone(),
            email: demo.customer_email,
            shipping_address: Some(address.clone()),
            billing_address: Some(address.clone()),
            payment: facts.charged().then(|| OrderPayment {
                method: "card".to_owned(),
                brand: demo.card_brand,
                last4: demo.card_last4,
                payment_intent_id: String::new(),
            }),
            shipping: Some(OrderShipping {
                method: method.into(),
                carrier: if demo.tracking_number.is_empty() {
                    String::new()
                } else {
                    CARRIER.to_owned()
                },
                estimated_delivery: (!demo.tracking_number.is_empty())
                    .then(|| timestamp(placed + Duration::days(4))),
                tracking_number: demo.tracking_number,
                shipment_id: String::new(),
            }),
            promo_code: demo.promo_code,
            notes: demo.notes,
            status_reason: demo.status_reason,
            created_at: Some(timestamp(placed)),
            updated_at: Some(timestamp(
                placed + facts.age_of_last_change(demo.placed_days_ago),
            )),
            paid_at: facts
                .charged()
                .then(|| timestamp(placed + Duration::minutes(1))),
            ..Order::default()
        })
    }

    /// The lines at present prices, by the function that prices every order.
    fn price(
        &self,
        demo: &DemoOrder,
        method: ShippingMethod,
    ) -> anyhow::Result<(Vec<OrderItem>, OrderTotals)> {
        let mut variants = Vec::new();
        let mut lines = Vec::new();
        for line in &demo.lines {
            let variant = self
                .variants
                .get(&line.sku)
                .with_context(|| line.sku.clone())?;
            lines.push(Line {
                unit_price: Money::from_wire(variant.unit_price.as_ref(), "unit_price")?,
                quantity: line.quantity,
                tax_rate: variant.tax_rate.parse()?,
            });
            variants.push(variant);
        }
        let currency = lines.first().context("no lines")?.unit_price.currency;
        let discount = discount(&demo.promo_code)?;
        let quote = pricing::price(currency, &lines, discount.as_ref(), Method::of(method))?;
        let items = variants
            .into_iter()
            .zip(&lines)
            .zip(&quote.lines)
            .map(|((variant, line), priced)| OrderItem {
                order_item_id: String::new(),
                product_id: variant.product_id.clone(),
                variant_id: variant.variant_id.clone(),
                sku: variant.sku.clone(),
                name: variant.name.clone(),
                variant_name: variant.variant_name.clone(),
                quantity: line.quantity,
                unit_price: Some(line.unit_price.to_wire()),
                line_total: Some(priced.line_total.to_wire()),
                discount: Some(priced.discount.to_wire()),
                tax: Some(priced.tax.to_wire()),
                image_url: variant.image_url.clone(),
            })
            .collect();
        Ok((items, totals(&quote)))
    }
}

fn totals(quote: &Quote) -> OrderTotals {
    OrderTotals {
        subtotal: Some(quote.subtotal.to_wire()),
        discount: Some(quote.discount.to_wire()),
        shipping: Some(quote.shipping.to_wire()),
        tax: Some(quote.tax.to_wire()),
        total: Some(quote.total.to_wire()),
    }
}

/// What an order's status says about money and goods.
struct Facts {
    payment: PaymentStatus,
    fulfillment: FulfillmentStatus,
}

impl Facts {
    fn of(status: OrderStatus) -> Self {
        use FulfillmentStatus as Goods;
        use OrderStatus as Status;
        use PaymentStatus as Paid;
        let (payment, fulfillment) = match status {
            Status::Unspecified | Status::Pending | Status::Reserved => {
                (Paid::Pending, Goods::Pending)
            }
            Status::Paid => (Paid::Paid, Goods::Pending),
            Status::Processing => (Paid::Paid, Goods::Scheduled),
            Status::Shipped => (Paid::Paid, Goods::Shipped),
            Status::Delivered | Status::Completed => (Paid::Paid, Goods::Delivered),
            Status::PaymentFailed => (Paid::Failed, Goods::Cancelled),
            Status::OutOfStock | Status::Cancelled => (Paid::Pending, Goods::Cancelled),
            Status::Refunded => (Paid::Refunded, Goods::Delivered),
        };
        Self {
            payment,
            fulfillment,
        }
    }

    fn charged(&self) -> bool {
        matches!(self.payment, PaymentStatus::Paid | PaymentStatus::Refunded)
    }

    /// Orders that travel changed last on their way, the others when they were placed.
    fn age_of_last_change(&self, placed_days_ago: i64) -> Duration {
        match self.fulfillment {
            FulfillmentStatus::Shipped | FulfillmentStatus::Delivered => {
                Duration::days(placed_days_ago.min(4)) / 2
            }
            _ => Duration::minutes(2),
        }
    }
}

fn discount(code: &str) -> anyhow::Result<Option<Discount>> {
    Ok(match code {
        "" => None,
        "WELCOME10" => Some(Discount::Percent("10".parse()?)),
        "PEAK20" => Some(Discount::Percent("20".parse()?)),
        "FREESHIP" => Some(Discount::FreeShipping),
        "SLEIGH5" => Some(Discount::Fixed(Money::parse("5.00", "USD")?)),
        "CABIN50" => Some(Discount::Fixed(Money::parse("50.00", "USD")?)),
        other => anyhow::bail!("promo code {other}"),
    })
}

fn order_status(name: &str) -> anyhow::Result<OrderStatus> {
    OrderStatus::from_str_name(&format!("ORDER_STATUS_{}", name.to_uppercase()))
        .with_context(|| format!("status {name}"))
}

fn shipping_method(name: &str) -> ShippingMethod {
    ShippingMethod::from_str_name(&format!("SHIPPING_METHOD_{}", name.to_uppercase()))
        .unwrap_or(ShippingMethod::Standard)
}

fn first_address(user: &DemoUser) -> Address {
    user.addresses.first().map(snapshot).unwrap_or_default()
}

fn snapshot(address: &DemoAddress) -> Address {
    Address {
        name: address.name.clone(),
        line1: address.line1.clone(),
        line2: address.line2.clone(),
        city: address.city.clone(),
        state: address.state.clone(),
        postal_code: address.postal_code.clone(),
        country: address.country.clone(),
        phone: address.phone.clone(),
    }
}
