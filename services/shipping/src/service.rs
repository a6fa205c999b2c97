//! `ShipmentService`.

use std::{collections::HashMap, sync::Arc};

use contracts::hub::shipping::v1::{
    Carrier, GetShipmentRequest, ListCarriersRequest, ListCarriersResponse,
    ListOrderShipmentsRequest, ListShipmentsRequest, ListShipmentsResponse, Shipment,
    UpdateShipmentStatusRequest, shipment_service_server::ShipmentService,
};
use mesh::{
    CallContext, Clock, Failure, Ids, Paging, Reason, args,
    store::{Store, StoreError, Tx},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    cause::Cause,
    domain::{carriers::Carriers, status::Status as ShipmentStatus},
    orders::OrderBook,
    store::{self, Filter, Moment, ScanRefused, Scanned},
    wire,
};

/// Handles `ShipmentService`.
pub struct ShipmentsHandler {
    store: Store,
    /// Who decides whether goods may leave.
    orders: Arc<dyn OrderBook>,
    clock: Clock,
    ids: Ids,
    /// The carriers as messages, with the counts of their rate cards.
    carriers: Vec<Carrier>,
}

impl ShipmentsHandler {
    /// Over `store`, with the rate cards.
    pub fn new(
        store: Store,
        orders: Arc<dyn OrderBook>,
        clock: Clock,
        ids: Ids,
        carriers: &Arc<Carriers>,
    ) -> Self {
        Self {
            store,
            orders,
            clock,
            ids,
            carriers: carriers.all().iter().map(wire::carrier).collect(),
        }
    }

    /// Asks orders whether a parcel that waits for its carrier may leave. What it decides is for ever and is
    /// kept there: should this process end before the scan is noted, the carrier's next scan finds it.
    async fn ask_for_leave(&self, context: &CallContext, shipment_id: &str) -> Result<(), Failure> {
        let shipment = store::by_id(&self.store, shipment_id)
            .await?
            .ok_or_else(|| Failure::not_found("shipment", shipment_id))?;
        if shipment.status != ShipmentStatus::LabelCreated {
            // It has left, or is cancelled: what may follow is for the scan to say.
            return Ok(());
        }
        let asked = self.orders.hand_over(context, &shipment.order_id).await;
        asked.map_err(|failure| match failure.reason() {
            Reason::InvalidTransition => failure
                .with_metadata("allowed", ShipmentStatus::Cancelled.as_str())
                .with_metadata("from", shipment.status.as_str()),
            _ => failure,
        })
    }

    /// The deliveries counted since the rate cards were written: on time and all, by carrier and service.
    async fn records(&self) -> Result<HashMap<(String, String), (i64, i64)>, StoreError> {
        let rows = self
            .store
            .all(
                "SELECT carrier, service_level, on_time, delivered FROM carrier_records",
                args![],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let key = (row.get("carrier")?, row.get("service_level")?);
                Ok((key, (row.get("on_time")?, row.get("delivered")?)))
            })
            .collect()
    }
}

#[tonic::async_trait]
impl ShipmentService for ShipmentsHandler {
    async fn list_shipments(
        &self,
        request: Request<ListShipmentsRequest>,
    ) -> Result<Response<ListShipmentsResponse>, Status> {
        let request = request.into_inner();
        let paging = Paging::<Uuid>::read(
            request.page,
            request.limit,
            &request.page_token,
            &("shipments", request.status, &request.carrier),
        )?;
        let filter = Filter {
            status: wire::status_from_proto(request.status()),
            carrier: Some(request.carrier.clone()).filter(|carrier| !carrier.is_empty()),
        };
        let (mut shipments, total) = store::list(&self.store, &filter, &paging).await?;
        let next_page_token = paging.finish(&mut shipments, |shipment| {
            shipment.shipment_id.parse().unwrap_or_default()
        });
        Ok(Response::new(ListShipmentsResponse {
            items: shipments
                .iter()
                .map(|shipment| wire::shipment(shipment, &[]))
                .collect(),
            total,
            page: paging.page,
            limit: paging.limit,
            next_page_token,
        }))
    }

    async fn get_shipment(
        &self,
        request: Request<GetShipmentRequest>,
    ) -> Result<Response<Shipment>, Status> {
        let id = request.into_inner().shipment_id;
        let shipment = store::by_id(&self.store, &id)
            .await?
            .ok_or_else(|| Failure::not_found("shipment", &id))?;
        let scans = store::scans_of(&self.store, &id).await?;
        Ok(Response::new(wire::shipment(&shipment, &scans)))
    }

    async fn update_shipment_status(
        &self,
        request: Request<UpdateShipmentStatusRequest>,
    ) -> Result<Response<Shipment>, Status> {
        let context = CallContext::of(&request);
        let request = request.into_inner();
        let id = request.shipment_id.clone();
        let to = wire::status_from_proto(request.new_status())
            .ok_or_else(|| Failure::invalid("new_status", "is required"))?;
        if to == ShipmentStatus::PickedUp {
            self.ask_for_leave(&context, &id).await?;
        }
        let moment = Moment {
            now: self.clock.now(),
            ids: self.ids.clone(),
            cause: Cause::call(&context),
        };
        let scanned = self
            .store
            .write(move |tx: Tx| async move {
                store::scan(
                    &tx,
                    &moment,
                    &request.shipment_id,
                    to,
                    &request.location,
                    &request.notes,
                )
                .await
            })
            .await?;
        let (Scanned::Moved(shipment) | Scanned::Same(shipment)) =
            scanned.map_err(|refused| refusal(&id, to, &refused))?;
        let scans = store::scans_of(&self.store, &id).await?;
        Ok(Response::new(wire::shipment(&shipment, &scans)))
    }

    async fn list_carriers(
        &self,
        _request: Request<ListCarriersRequest>,
    ) -> Result<Response<ListCarriersResponse>, Status> {
        let records = self.records().await?;
        let mut items = self.carriers.clone();
        for carrier in &mut items {
            for service in &mut carrier.services {
                let key = (carrier.carrier_id.clone(), service.service_level.clone());
                if let Some((on_time, delivered)) = records.get(&key) {
                    service.on_time_count += on_time;
                    service.delivered_count += delivered;
                }
            }
        }
        Ok(Response::new(ListCarriersResponse { items }))
    }

    async fn list_order_shipments(
        &self,
        request: Request<ListOrderShipmentsRequest>,
    ) -> Result<Response<ListShipmentsResponse>, Status> {
        let order_id = request.into_inner().order_id;
        let shipment = store::of_order(&self.store, &order_id).await?;
        let mut items = Vec::new();
        if let Some(shipment) = shipment {
            let scans = store::scans_of(&self.store, &shipment.shipment_id).await?;
            items.push(wire::shipment(&shipment, &scans));
        }
        Ok(Response::new(ListShipmentsResponse {
            total: i64::try_from(items.len()).unwrap_or(0),
            items,
            page: 1,
            limit: mesh::page::DEFAULT_LIMIT,
            next_page_token: String::new(),
        }))
    }
}

fn refusal(id: &str, to: ShipmentStatus, refused: &ScanRefused) -> Failure {
    match refused {
        ScanRefused::Unknown => Failure::not_found("shipment", id),
        ScanRefused::Illegal { from, allowed } => {
            let names: Vec<&str> = allowed.iter().map(|status| status.as_str()).collect();
            let allowed = names.join(",");
            let follows = if names.is_empty() {
                "nothing follows".to_owned()
            } else {
                format!("only {} may follow", names.join(" or "))
            };
            Failure::conflict(
                Reason::InvalidTransition,
                format!("a shipment that is {from} cannot become {to}: {follows}"),
            )
            .with_metadata("allowed", allowed)
            .with_metadata("from", from.as_str())
        }
    }
}
