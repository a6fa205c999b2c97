//! What shipping asks of orders: what goes where, whether it still does, and whether it may leave.

use std::time::Duration;

use async_trait::async_trait;
use contracts::hub::{
    orders::v1::{
        GetOrderForFulfilmentRequest, HandOverOrderRequest, ShippingMethod,
        order_service_client::OrderServiceClient,
    },
    r#type::v1::{Address, Money},
};
use mesh::{CallContext, Channel, Failure};

use crate::{NAME, domain::choice::Method};

const DEADLINE: Duration = Duration::from_secs(5);

/// An order as the one who ships it needs it.
#[derive(Clone, Debug)]
pub struct Order {
    /// Id of the order.
    pub order_id: String,
    /// Human number.
    pub order_number: String,
    /// Who ordered.
    pub user_id: String,
    /// Where it goes.
    pub shipping_address: Address,
    /// How fast.
    pub method: Method,
    /// Units in all lines.
    pub units: i64,
    /// What it is worth.
    pub value: Option<Money>,
    /// Whether the order still wants to be carried out.
    pub open: bool,
}

/// Where orders are looked up.
#[async_trait]
pub trait OrderBook: Send + Sync + 'static {
    /// The order as it is now.
    async fn order(&self, context: &CallContext, order_id: &str) -> Result<Order, Failure>;

    /// Has it decided, for ever, that the goods of an order may leave. Asking again changes nothing.
    ///
    /// # Errors
    /// `INVALID_TRANSITION` when they must stay; anything else when it is not decided.
    async fn hand_over(&self, context: &CallContext, order_id: &str) -> Result<(), Failure>;
}

/// The orders service.
#[derive(Clone, Debug)]
pub struct OrdersService(OrderServiceClient<Channel>);

impl OrdersService {
    /// Reached through `channel`.
    pub fn new(channel: Channel) -> Self {
        Self(OrderServiceClient::new(channel))
    }
}

#[async_trait]
impl OrderBook for OrdersService {
    async fn order(&self, context: &CallContext, order_id: &str) -> Result<Order, Failure> {
        let request = GetOrderForFulfilmentRequest {
            order_id: order_id.to_owned(),
        };
        let context = context.as_service(NAME).within(DEADLINE);
        let order = self
            .0
            .clone()
            .get_order_for_fulfilment(context.call(request))
            .await?
            .into_inner();
        Ok(Order {
            method: match order.shipping_method() {
                ShippingMethod::Overnight => Method::Overnight,
                ShippingMethod::Express => Method::Express,
                ShippingMethod::Standard | ShippingMethod::Unspecified => Method::Standard,
            },
            units: order
                .items
                .iter()
                .fold(0_i64, |units, item| units.saturating_add(item.quantity)),
            value: order.total,
            order_id: order.order_id,
            order_number: order.order_number,
            user_id: order.user_id,
            shipping_address: order.shipping_address.unwrap_or_default(),
            open: order.open,
        })
    }

    async fn hand_over(&self, context: &CallContext, order_id: &str) -> Result<(), Failure> {
        let request = HandOverOrderRequest {
            order_id: order_id.to_owned(),
        };
        let context = context.as_service(NAME).within(DEADLINE);
        self.0
            .clone()
            .hand_over_order(context.call(request))
            .await?;
        Ok(())
    }
}
