//! Who uses the shop: staff who fill it, shoppers who try again, carriers who scan parcels, an operator.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use contracts::hub::{
    cart::v1::{AddCartItemRequest, cart_service_client::CartServiceClient},
    catalog::v1::{
        CreateCategoryRequest, CreateProductRequest, ProductPrice, PublishProductRequest,
        catalog_management_service_client::CatalogManagementServiceClient,
    },
    orders::v1::{
        CancelOrderRequest, CreateOrderRequest, Order, ShippingMethod,
        order_service_client::OrderServiceClient,
    },
    shipping::v1::{
        Shipment, ShipmentStatus, UpdateShipmentStatusRequest,
        shipment_service_client::ShipmentServiceClient,
    },
    r#type::v1::Address,
};
use mesh::{
    CallContext, Channel, Hub, Principal, Reason, Rendered, Role as Rank, User, args,
    events::DeadLetterQuery,
};
use tonic::{Code, Response, Status};

use crate::{
    dice::Dice,
    process::Role,
    world::{Placed, World},
};

/// Products of the shop.
const PRODUCTS: usize = 12;
/// How long after the opening the last shopper comes.
const OPEN_FOR: u64 = 90_000_000;
/// How often a shopper asks again before giving up.
const PATIENCE: u32 = 14;

/// The shop as it is used from the edge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shop {
    world: Arc<World>,
    hub: Hub,
}

impl Shop {
    /// Used through the hub of the edge.
    pub fn new(world: Arc<World>, hub: Hub) -> Self {
        Self { world, hub }
    }

    fn channel(&self) -> Channel {
        self.hub.channel()
    }

    fn person(&self, rank: Rank, name: &str) -> CallContext {
        let user = User {
            subject: name.to_owned(),
            email: format!("{name}@example.com"),
            name: name.to_owned(),
            session: String::new(),
        };
        let id = self.hub.ids().uuid().to_string();
        let principal = Principal::user(rank, user).unwrap_or_else(Principal::anonymous);
        CallContext::new(self.hub.clock().clone(), id)
            .with_principal(principal)
            .with_caller(Role::Edge.name())
    }

    /// Asks until there is an answer that asking again would not change.
    async fn patiently<T, Fut>(
        &self,
        dice: &mut Dice,
        mut ask: impl FnMut() -> Fut,
    ) -> Result<T, Status>
    where
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let mut asked = 0;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if is_final(&status) || asked == PATIENCE => return Err(status),
                Err(_) => {}
            }
            asked += 1;
            let pause = dice.micros(100_000, 400_000) * 2_u32.pow(asked.min(4));
            self.hub.clock().sleep(pause).await;
        }
    }

    /// Fills the shop: `units` of every product.
    ///
    /// # Errors
    /// What a service answered.
    pub async fn open(&self, units: i64) -> Result<(), Status> {
        let staff = self.person(Rank::Admin, "staff");
        let mut management = CatalogManagementServiceClient::new(self.channel());
        let category = CreateCategoryRequest {
            slug: "winter".into(),
            name: "Winter".into(),
            ..CreateCategoryRequest::default()
        };
        management.create_category(staff.call(category)).await?;
        for number in 0..PRODUCTS {
            let product = CreateProductRequest {
                sku: sku(number),
                name: format!("Sled {number}"),
                category_slug: "winter".into(),
                price: Some(ProductPrice {
                    amount: format!("{}.50", 10 + 7 * number),
                    currency: "USD".into(),
                    tax_rate: "0.0825".into(),
                    ..ProductPrice::default()
                }),
                variants: vec![contracts::hub::catalog::v1::VariantInput {
                    sku: format!("{}-V", sku(number)),
                    stock: units,
                    ..Default::default()
                }],
                ..CreateProductRequest::default()
            };
            let product = management.create_product(staff.call(product)).await?;
            let publish = PublishProductRequest {
                product_id: product.into_inner().product_id,
            };
            management.publish_product(staff.call(publish)).await?;
        }
        let inventory = self.world.with(|state| state.disk(Role::Inventory));
        loop {
            self.hub.clock().sleep(Duration::from_millis(100)).await;
            let rows = inventory.query("SELECT 1 FROM variants", &[]);
            if rows.is_ok_and(|rows| rows.len() == PRODUCTS) {
                return Ok(());
            }
        }
    }

    /// One shopper: a few checkouts, one after the other.
    pub async fn shop(self, number: usize, checkouts: usize) {
        let mut dice = Dice::new(self.world.seed() ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9));
        self.hub.clock().sleep(dice.micros(0, OPEN_FOR)).await;
        let name = format!("shopper-{number}");
        for round in 0..checkouts {
            self.check_out(&mut dice, &name, round).await;
        }
        self.world.with(|state| state.shopping -= 1);
    }

    async fn check_out(&self, dice: &mut Dice, name: &str, round: usize) {
        let outcome = match self.fill_cart(dice, name).await {
            Ok(()) => self.order(dice, name, round).await,
            Err(status) => Err(status),
        };
        self.world.with(|state| {
            state.counts.checkouts += 1;
            match &outcome {
                Ok(order_id) => {
                    state.counts.ordered += 1;
                    state.note(format_args!("{name} has order {order_id}"));
                    state.placed.push(Placed {
                        shopper: name.to_owned(),
                        order_id: order_id.clone(),
                    });
                }
                Err(status) if is_final(status) => {
                    state.counts.refused += 1;
                    state.note(format_args!("{name} is refused: {:?}", status.code()));
                }
                Err(status) => {
                    state.counts.unanswered += 1;
                    state.note(format_args!("{name} gives up: {:?}", status.code()));
                }
            }
        });
        if let Ok(order_id) = outcome
            && dice.hits(150_000)
        {
            let wait = dice.micros(0, 20_000_000);
            self.hub.clock().sleep(wait).await;
            self.cancel(dice, name, &order_id).await;
        }
    }

    async fn fill_cart(&self, dice: &mut Dice, name: &str) -> Result<(), Status> {
        let shopper = self.person(Rank::Customer, name);
        let client = CartServiceClient::new(self.channel());
        for _ in 0..1 + dice.below(3) {
            let item = AddCartItemRequest {
                product_id: sku(dice.index(PRODUCTS)),
                variant_id: String::new(),
                quantity: Some(1 + dice.below(2) as i64),
            };
            self.patiently(dice, || {
                let (mut client, request) = (client.clone(), shopper.call(item.clone()));
                async move { client.add_cart_item(request).await }
            })
            .await?;
        }
        Ok(())
    }

    async fn order(&self, dice: &mut Dice, name: &str, round: usize) -> Result<String, Status> {
        let mut shopper = self.person(Rank::Customer, name);
        if !dice.hits(100_000) {
            shopper = shopper.with_idempotency_key(format!("{name}-{round}"));
        }
        let token = if dice.hits(100_000) {
            "pm_card_chargeDeclined"
        } else {
            "pm_card_visa"
        };
        let request = CreateOrderRequest {
            shipping_address: Some(Address {
                name: "Ada Lovelace".into(),
                line1: "400 Broad St".into(),
                city: "Seattle".into(),
                state: "WA".into(),
                postal_code: "98109".into(),
                country: "US".into(),
                ..Address::default()
            }),
            shipping_method: ShippingMethod::Standard.into(),
            payment_method: token.into(),
            ..CreateOrderRequest::default()
        };
        let client = OrderServiceClient::new(self.channel());
        let ask = || {
            let (mut client, request) = (client.clone(), shopper.call(request.clone()));
            async move { client.create_order(request).await }
        };
        if dice.hits(100_000) {
            // Somebody who is impatient presses the button twice.
            let (once, twice) = tokio::join!(biased; ask(), ask());
            for answer in [once, twice] {
                if let Some(order_id) = order_of(&answer.map(Response::into_inner)) {
                    return Ok(order_id);
                }
            }
        }
        let answer = self.patiently(dice, ask).await;
        order_of(&answer).ok_or_else(|| match answer {
            Err(status) => status,
            Ok(_) => Status::unknown("an order without an id"),
        })
    }

    async fn cancel(&self, dice: &mut Dice, name: &str, order_id: &str) {
        let shopper = self.person(Rank::Customer, name);
        let client = OrderServiceClient::new(self.channel());
        let request = CancelOrderRequest {
            order_id: order_id.to_owned(),
            reason: "changed my mind".into(),
        };
        let answer = self
            .patiently(dice, || {
                let (mut client, request) = (client.clone(), shopper.call(request.clone()));
                async move { client.cancel_order(request).await }
            })
            .await;
        self.world.with(|state| {
            state.counts.cancellations += 1;
            let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
            state.note(format_args!("{name} cancels {order_id}: {code:?}"));
        });
    }

    /// The carriers: scan parcels until the faults stop. Where nobody could say whether a parcel may be taken,
    /// they come again, at last when the faults have stopped.
    pub async fn carry(self) {
        let mut dice = Dice::new(self.world.seed() ^ 0xca22_1e25);
        let disk = self.world.with(|state| state.disk(Role::Shipping));
        let mut unanswered = BTreeSet::new();
        while !self.world.with(|state| state.healing) {
            self.hub.clock().sleep(Duration::from_secs(4)).await;
            let on_the_way = disk.query(
                "SELECT shipment_id, status FROM shipments \
                 WHERE status NOT IN ('delivered', 'cancelled') ORDER BY shipment_id",
                &args![],
            );
            for row in on_the_way.unwrap_or_default() {
                let next = match row.get::<&str>("status") {
                    Ok("label_created") => ShipmentStatus::PickedUp,
                    Ok("picked_up") => ShipmentStatus::InTransit,
                    Ok("in_transit") => ShipmentStatus::OutForDelivery,
                    Ok("out_for_delivery") => ShipmentStatus::Delivered,
                    _ => continue,
                };
                if !dice.hits(80_000) {
                    continue;
                }
                let Ok(shipment_id) = row.get::<String>("shipment_id") else {
                    continue;
                };
                match self.scan(&shipment_id, next).await {
                    Err(status) if !is_final(&status) && next == ShipmentStatus::PickedUp => {
                        unanswered.insert(shipment_id);
                    }
                    _ => {
                        unanswered.remove(&shipment_id);
                    }
                }
            }
        }
        for shipment_id in unanswered {
            let scanned = self
                .patiently(&mut dice, || {
                    self.scan(&shipment_id, ShipmentStatus::PickedUp)
                })
                .await;
            if let Err(status) = scanned
                && !is_final(&status)
            {
                self.world.with(|state| {
                    state.violations.push(format!(
                        "nobody decides about parcel {shipment_id}: {status}"
                    ));
                });
            }
        }
        self.world.with(|state| state.carrying = false);
    }

    async fn scan(
        &self,
        shipment_id: &str,
        new_status: ShipmentStatus,
    ) -> Result<Response<Shipment>, Status> {
        let staff = self.person(Rank::Staff, "carrier");
        let request = UpdateShipmentStatusRequest {
            shipment_id: shipment_id.to_owned(),
            new_status: new_status.into(),
            ..UpdateShipmentStatusRequest::default()
        };
        ShipmentServiceClient::new(self.channel())
            .update_shipment_status(staff.call(request))
            .await
    }
}

/// Replays the dead letters of a process, as an operator does once the cause is gone.
pub async fn replay_dead_letters(hub: Hub) {
    let all = DeadLetterQuery {
        limit: 1_000,
        ..DeadLetterQuery::default()
    };
    // What fails is found again by the next look.
    let _ = hub.bus().dead_letters().replay_all(&all).await;
}

fn sku(number: usize) -> String {
    format!("SLED-{number:02}")
}

/// Whether asking again would change nothing.
fn is_final(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unknown
            | Code::Aborted
            | Code::Cancelled
            | Code::ResourceExhausted
    )
}

/// The order that an answer tells of.
fn order_of(answer: &Result<Order, Status>) -> Option<String> {
    match answer {
        Ok(order) => Some(order.order_id.clone()).filter(|id| !id.is_empty()),
        Err(status) => {
            let shown = Rendered::of(status);
            (shown.reason == Reason::CartAlreadyOrdered)
                .then(|| shown.metadata.get("order_id").cloned())
                .flatten()
        }
    }
}
