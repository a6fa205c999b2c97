//! Shipping and orders as the agents see them: one order of Ada's, and carriers.

use std::sync::Mutex;

use contracts::hub::{
    orders::v1 as orders,
    shipping::v1::{
        GetShipmentRequest, ListCarriersRequest, ListCarriersResponse, ListOrderShipmentsRequest,
        ListShipmentsRequest, ListShipmentsResponse, Shipment, UpdateShipmentStatusRequest,
        shipment_service_server::ShipmentService,
    },
};
use mesh::{CallContext, Failure};
use tonic::{Request, Response, Status};

use crate::logistics::fixture;

/// Id of the order.
pub const ORDER: &str = "019ab0c4-7e1f-7abc-8def-0123456789ab";

/// Answers for shipping.
#[derive(Default)]
pub struct Shipping {
    /// The order's shipments.
    pub shipments: Mutex<Vec<Shipment>>,
}

#[tonic::async_trait]
impl ShipmentService for Shipping {
    async fn list_carriers(
        &self,
        _: Request<ListCarriersRequest>,
    ) -> Result<Response<ListCarriersResponse>, Status> {
        Ok(Response::new(ListCarriersResponse {
            items: fixture::carriers(),
        }))
    }

    async fn list_order_shipments(
        &self,
        request: Request<ListOrderShipmentsRequest>,
    ) -> Result<Response<ListShipmentsResponse>, Status> {
        assert!(CallContext::of(&request).principal().is_service());
        let items = self.shipments.lock().unwrap().clone();
        Ok(Response::new(ListShipmentsResponse {
            items,
            ..ListShipmentsResponse::default()
        }))
    }

    async fn list_shipments(
        &self,
        _: Request<ListShipmentsRequest>,
    ) -> Result<Response<ListShipmentsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_shipment(
        &self,
        _: Request<GetShipmentRequest>,
    ) -> Result<Response<Shipment>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn update_shipment_status(
        &self,
        _: Request<UpdateShipmentStatusRequest>,
    ) -> Result<Response<Shipment>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

/// Answers for orders.
pub struct Orders {
    /// The order.
    pub order: Mutex<orders::Order>,
}

#[tonic::async_trait]
impl orders::order_service_server::OrderService for Orders {
    type StreamOrderEventsStream = tokio_stream::Empty<Result<orders::OrderEvent, Status>>;

    async fn get_order(
        &self,
        request: Request<orders::GetOrderRequest>,
    ) -> Result<Response<orders::Order>, Status> {
        let ctx = CallContext::of(&request);
        let order = self.order.lock().unwrap().clone();
        let seen =
            ctx.principal().may_see(&order.user_id) || request.get_ref().email == order.email;
        if !seen || request.get_ref().order_id != ORDER {
            return Err(Failure::not_found("order", &request.get_ref().order_id).into());
        }
        Ok(Response::new(order))
    }

    async fn create_order(
        &self,
        _: Request<orders::CreateOrderRequest>,
    ) -> Result<Response<orders::Order>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn list_my_orders(
        &self,
        _: Request<orders::ListMyOrdersRequest>,
    ) -> Result<Response<orders::ListOrdersResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn list_orders(
        &self,
        _: Request<orders::ListOrdersRequest>,
    ) -> Result<Response<orders::ListOrdersResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_order_tracking(
        &self,
        _: Request<orders::GetOrderTrackingRequest>,
    ) -> Result<Response<orders::OrderTracking>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn stream_order_events(
        &self,
        _: Request<orders::StreamOrderEventsRequest>,
    ) -> Result<Response<Self::StreamOrderEventsStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn cancel_order(
        &self,
        _: Request<orders::CancelOrderRequest>,
    ) -> Result<Response<orders::Order>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_order_for_fulfilment(
        &self,
        _: Request<orders::GetOrderForFulfilmentRequest>,
    ) -> Result<Response<orders::OrderForFulfilment>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn hand_over_order(
        &self,
        _: Request<orders::HandOverOrderRequest>,
    ) -> Result<Response<orders::OrderForFulfilment>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn import_orders(
        &self,
        _: Request<orders::ImportOrdersRequest>,
    ) -> Result<Response<orders::ImportOrdersResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn import_promo_codes(
        &self,
        _: Request<orders::ImportPromoCodesRequest>,
    ) -> Result<Response<orders::ImportPromoCodesResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}
