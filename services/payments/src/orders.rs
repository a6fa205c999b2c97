//! What payments asks of orders: what is to be charged, and whether it still is.

use std::time::Duration;

use async_trait::async_trait;
use contracts::hub::orders::v1::{
    GetOrderForFulfilmentRequest, OrderStatus, order_service_client::OrderServiceClient,
};
use mesh::{CallContext, Channel, Failure, Money};

const DEADLINE: Duration = Duration::from_secs(5);

/// An order as the one who charges needs it.
#[derive(Clone, Debug)]
pub struct Order {
    /// Id of the order.
    pub order_id: String,
    /// Who ordered.
    pub user_id: String,
    /// What is to be charged: the only amount that counts.
    pub total: Money,
    /// What it is to be charged to, as the shopper named it.
    pub payment_method: String,
    /// Whether the order still wants to be carried out.
    pub open: bool,
    /// Whether its goods are held.
    pub reserved: bool,
}

/// Where orders are looked up.
#[async_trait]
pub trait OrderBook: Send + Sync + 'static {
    /// The order as it is now.
    async fn order(&self, context: &CallContext, order_id: &str) -> Result<Order, Failure>;
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
        let context = context.as_service(crate::NAME).within(DEADLINE);
        let order = self
            .0
            .clone()
            .get_order_for_fulfilment(context.call(request))
            .await?
            .into_inner();
        Ok(Order {
            reserved: order.status() == OrderStatus::Reserved,
            total: Money::from_wire(order.total.as_ref(), "total")?,
            order_id: order.order_id,
            user_id: order.user_id,
            payment_method: order.payment_method,
            open: order.open,
        })
    }
}
