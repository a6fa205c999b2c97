//! Orders of customers and guests.

use contracts::hub::agents::v1::{
    GetOrderStatusRequest, order_status_service_client::OrderStatusServiceClient,
};
use contracts::hub::orders::v1::{
    CancelOrderRequest, CreateOrderRequest, GetOrderForFulfilmentRequest, GetOrderRequest,
    GetOrderTrackingRequest, HandOverOrderRequest, ImportOrdersRequest, ImportOrdersResponse,
    ImportPromoCodesRequest, ImportPromoCodesResponse, ListMyOrdersRequest, ListOrdersRequest,
    ListOrdersResponse, Order as WireOrder, OrderForFulfilment, OrderStatus, OrderTracking,
    StreamOrderEventsRequest, order_service_server::OrderService,
};
use mesh::{
    CallContext, Channel, Failure, Paging, Shutdown,
    store::{StoreError, Tx},
};
use tonic::{Request, Response, Status};

use super::{
    access::{may_change, may_read},
    create::create,
    follow::{EventStream, Follower},
    hand_over::hand_over,
    imports,
    refusals::too_late,
};
use crate::{
    cause::Cause,
    checkout::Desk,
    domain::{order::Order, saga::Fact},
    measures,
    store::{
        Key, News, OrderPage, advance, entries_after, facts_now, facts_of, find_order, list,
        position_of,
    },
    wire,
};

/// Entries of a timeline that tracking shows; an order has a few dozen at most.
const TIMELINE: i64 = 500;

/// Answers the RPCs of orders.
pub(crate) struct OrdersHandler {
    pub(crate) desk: Desk,
    pub(crate) status_agent: OrderStatusServiceClient<Channel>,
    pub(crate) shutdown: Shutdown,
}

impl OrdersHandler {
    /// An order that the caller may see.
    async fn readable(
        &self,
        ctx: &CallContext,
        order_id: &str,
        email: &str,
    ) -> Result<Order, Failure> {
        let order = self.order(order_id).await?;
        may_read(ctx, &order, email)?;
        Ok(order)
    }

    async fn order(&self, order_id: &str) -> Result<Order, Failure> {
        find_order(&self.desk.store, order_id)
            .await?
            .ok_or_else(|| Failure::not_found("order", order_id))
    }

    /// An order as the steps of the saga need it.
    async fn for_fulfilment(&self, order_id: &str) -> Result<OrderForFulfilment, Failure> {
        let order = self.order(order_id).await?;
        let facts = facts_of(&self.desk.store, order_id).await?;
        let open = facts.is_some_and(|facts| facts.is_open());
        Ok(wire::for_fulfilment(&order, open))
    }

    async fn page(
        &self,
        user_id: Option<&str>,
        status: i32,
        paging: Paging<Key>,
    ) -> Result<ListOrdersResponse, Failure> {
        let status = OrderStatus::try_from(status)
            .ok()
            .filter(|status| *status != OrderStatus::Unspecified);
        let OrderPage {
            items,
            total,
            next_page_token,
        } = list(&self.desk.store, user_id, status, &paging).await?;
        Ok(ListOrdersResponse {
            items: items.iter().map(wire::order).collect(),
            total,
            page: paging.page,
            limit: paging.limit,
            next_page_token,
        })
    }

    async fn cancel(
        &self,
        ctx: &CallContext,
        request: CancelOrderRequest,
    ) -> Result<Order, Failure> {
        let order = self.order(&request.order_id).await?;
        let by = may_change(ctx, &order)?;
        if order.status == OrderStatus::Cancelled {
            return Ok(order);
        }
        let reason = match (request.reason.trim(), by) {
            ("", "customer") => "Cancelled by the customer.".to_owned(),
            ("", _) => "Cancelled by staff.".to_owned(),
            (given, _) => given.to_owned(),
        };
        let news = News {
            fact: Some(Fact::Cancelled),
            event_type: "OrderCancelled",
            message: reason.clone(),
            reason,
            by,
            ..News::default()
        };
        let moment = self.desk.means.moment(Cause::call(ctx));
        let order_id = order.order_id.clone();
        self.desk
            .store
            .write(move |tx: Tx| async move {
                // Decided inside: the goods may have been handed over since the order was read.
                let facts = facts_now(&tx, &order_id)
                    .await?
                    .ok_or_else(|| Failure::not_found("order", &order_id))?;
                if facts.status() == OrderStatus::Cancelled {
                    return Ok(());
                }
                if !facts.may_cancel() {
                    return Err(too_late(&facts, "cancelled"));
                }
                advance(&tx, &moment, &order_id, news).await?;
                tx.after_commit(|| measures::count_outcome("cancelled"));
                Ok::<_, Failure>(())
            })
            .await?;
        self.order(&order.order_id).await
    }

    /// What the order-status agent makes of an order; empty when it does not answer.
    async fn summary(&self, ctx: &CallContext, order_id: &str) -> String {
        let request = GetOrderStatusRequest {
            order_id: order_id.to_owned(),
        };
        let asked = ctx
            .as_service(crate::checkout::SERVICE)
            .within(self.desk.means.config.lookup())
            .call(request);
        match self.status_agent.clone().get_order_status(asked).await {
            Ok(answer) => answer
                .into_inner()
                .result
                .map(|result| result.summary)
                .unwrap_or_default(),
            Err(status) => {
                tracing::debug!(code = ?status.code(), "the order-status agent did not answer");
                String::new()
            }
        }
    }
}

#[tonic::async_trait]
impl OrderService for OrdersHandler {
    async fn create_order(
        &self,
        request: Request<CreateOrderRequest>,
    ) -> Result<Response<WireOrder>, Status> {
        let ctx = CallContext::of(&request);
        let order = create(&self.desk, &ctx, request.into_inner()).await?;
        Ok(Response::new(wire::order(&order)))
    }

    async fn list_my_orders(
        &self,
        request: Request<ListMyOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let owner = ctx.principal().subject();
        let paging = Paging::read(
            request.page,
            request.limit,
            &request.page_token,
            &(owner, request.status),
        )?;
        Ok(Response::new(
            self.page(Some(owner), request.status, paging).await?,
        ))
    }

    async fn list_orders(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let paging = Paging::read(
            request.page,
            request.limit,
            &request.page_token,
            &(&request.user_id, request.status),
        )?;
        let user_id = Some(request.user_id.as_str()).filter(|id| !id.is_empty());
        Ok(Response::new(
            self.page(user_id, request.status, paging).await?,
        ))
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<WireOrder>, Status> {
        let ctx = CallContext::of(&request);
        let GetOrderRequest { order_id, email } = request.into_inner();
        let order = self.readable(&ctx, &order_id, &email).await?;
        Ok(Response::new(wire::order(&order)))
    }

    async fn get_order_tracking(
        &self,
        request: Request<GetOrderTrackingRequest>,
    ) -> Result<Response<OrderTracking>, Status> {
        let ctx = CallContext::of(&request);
        let GetOrderTrackingRequest { order_id, email } = request.into_inner();
        let order = self.readable(&ctx, &order_id, &email).await?;
        let entries = entries_after(&self.desk.store, &order_id, 0, TIMELINE)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(OrderTracking {
            summary: self.summary(&ctx, &order_id).await,
            order_id,
            order_number: order.order_number,
            status: order.status.into(),
            carrier: order.shipment.carrier,
            tracking_number: order.shipment.tracking_number,
            estimated_delivery: order.shipment.estimated_delivery.map(wire::timestamp),
            events: entries.iter().map(wire::event).collect(),
        }))
    }

    type StreamOrderEventsStream = EventStream;

    async fn stream_order_events(
        &self,
        request: Request<StreamOrderEventsRequest>,
    ) -> Result<Response<Self::StreamOrderEventsStream>, Status> {
        let ctx = CallContext::of(&request);
        let StreamOrderEventsRequest {
            order_id,
            email,
            after_event_id,
        } = request.into_inner();
        self.readable(&ctx, &order_id, &email).await?;
        let seen = if after_event_id.is_empty() {
            0
        } else {
            position_of(&self.desk.store, &order_id, &after_event_id)
                .await
                .map_err(Failure::from)?
                .ok_or_else(|| {
                    Failure::invalid("after_event_id", "is not an event of this order")
                })?
        };
        let means = &self.desk.means;
        let follower = Follower::new(
            self.desk.store.clone(),
            means.clock.clone(),
            order_id.clone(),
            seen,
            means.watchers.follow(&order_id),
            self.shutdown.clone(),
            ctx.remaining(),
        );
        Ok(Response::new(follower.into_stream()))
    }

    async fn cancel_order(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Result<Response<WireOrder>, Status> {
        let ctx = CallContext::of(&request);
        let order = self.cancel(&ctx, request.into_inner()).await?;
        Ok(Response::new(wire::order(&order)))
    }

    async fn get_order_for_fulfilment(
        &self,
        request: Request<GetOrderForFulfilmentRequest>,
    ) -> Result<Response<OrderForFulfilment>, Status> {
        let GetOrderForFulfilmentRequest { order_id } = request.into_inner();
        Ok(Response::new(self.for_fulfilment(&order_id).await?))
    }

    async fn hand_over_order(
        &self,
        request: Request<HandOverOrderRequest>,
    ) -> Result<Response<OrderForFulfilment>, Status> {
        let ctx = CallContext::of(&request);
        let HandOverOrderRequest { order_id } = request.into_inner();
        hand_over(&self.desk, &ctx, &order_id).await?;
        Ok(Response::new(self.for_fulfilment(&order_id).await?))
    }

    async fn import_orders(
        &self,
        request: Request<ImportOrdersRequest>,
    ) -> Result<Response<ImportOrdersResponse>, Status> {
        let past = imports::orders(request.into_inner().orders, &self.desk.means.ids)?;
        let ids = self.desk.means.ids.clone();
        let all = past.len() as i64;
        let created = self
            .desk
            .store
            .write(move |tx: Tx| async move {
                let mut created = 0;
                for order in past {
                    created += i64::from(crate::store::import(&tx, &ids, order).await?);
                }
                Ok::<_, StoreError>(created)
            })
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(ImportOrdersResponse {
            created,
            skipped: all - created,
        }))
    }

    async fn import_promo_codes(
        &self,
        request: Request<ImportPromoCodesRequest>,
    ) -> Result<Response<ImportPromoCodesResponse>, Status> {
        let promos = imports::promos(request.into_inner().codes)?;
        let stored = promos.len() as i64;
        self.desk
            .store
            .write(move |tx: Tx| async move {
                for promo in &promos {
                    crate::store::store_promo(&tx, promo).await?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(ImportPromoCodesResponse { stored }))
    }
}
