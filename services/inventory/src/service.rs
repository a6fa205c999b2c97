//! The RPCs of inventory.

use contracts::hub::inventory::v1::{
    BatchGetAvailabilityRequest, BatchGetAvailabilityResponse, CommitOutcome, CommitRequest,
    CommitResponse, GetProductInventoryRequest, ListReservationsRequest, ListReservationsResponse,
    ListStockRequest, ListStockResponse, ProductInventory, ReleaseRequest, ReleaseResponse,
    ReserveRequest, ReserveResponse, SetStockRequest, VariantInventory,
    inventory_service_server::InventoryService,
};
use mesh::{
    CallContext, Failure, Paging,
    store::{Store, StoreError, Tx},
};
use tonic::{Request, Response, Status};

use crate::{
    cause::Cause,
    domain::hold::{Demand, HoldStatus},
    events::Means,
    store::{self, Line, Outcome, SetStock},
    wire,
};

/// Answers the RPCs.
pub(crate) struct InventoryHandler {
    pub(crate) store: Store,
    pub(crate) means: Means,
}

#[tonic::async_trait]
impl InventoryService for InventoryHandler {
    async fn get_product_inventory(
        &self,
        request: Request<GetProductInventoryRequest>,
    ) -> Result<Response<ProductInventory>, Status> {
        let GetProductInventoryRequest { product_id } = request.into_inner();
        let variants = store::product_stock(&self.store, &product_id)
            .await
            .map_err(Failure::from)?;
        if variants.is_empty() {
            return Err(Failure::not_found("product", &product_id).into());
        }
        Ok(Response::new(ProductInventory {
            product_id,
            variants: variants.iter().map(wire::variant).collect(),
        }))
    }

    async fn set_stock(
        &self,
        request: Request<SetStockRequest>,
    ) -> Result<Response<VariantInventory>, Status> {
        let context = CallContext::of(&request);
        let request = request.into_inner();
        if !self.means.config.locations.contains(&request.location_id) {
            return Err(Failure::not_found("location", &request.location_id).into());
        }
        let moment = self.means.moment(Cause::call(&context));
        let count = SetStock {
            variant_id: request.variant_id.clone(),
            location_id: request.location_id,
            on_hand: request.on_hand,
            actor: context.principal().subject().to_owned(),
            reason: request.reason,
        };
        self.store
            .write(move |tx: Tx| async move { store::set_stock(&tx, &moment, &count).await })
            .await?;
        let stock = store::variant_stock(&self.store, &request.variant_id)
            .await
            .map_err(Failure::from)?
            .ok_or_else(|| Failure::not_found("variant", &request.variant_id))?;
        Ok(Response::new(wire::variant(&stock)))
    }

    async fn list_stock(
        &self,
        request: Request<ListStockRequest>,
    ) -> Result<Response<ListStockResponse>, Status> {
        let request = request.into_inner();
        let at_most = request.available_at_most.unwrap_or(i64::MAX);
        let paging = Paging::read(request.page, request.limit, &request.page_token, &at_most)?;
        let page = store::scarce(&self.store, at_most, &paging)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(ListStockResponse {
            items: page.items.iter().map(wire::variant).collect(),
            total: page.total,
            page: paging.page,
            limit: paging.limit,
            next_page_token: page.next_page_token,
        }))
    }

    async fn batch_get_availability(
        &self,
        request: Request<BatchGetAvailabilityRequest>,
    ) -> Result<Response<BatchGetAvailabilityResponse>, Status> {
        let mut ids = request.into_inner().variant_ids;
        ids.sort_unstable();
        ids.dedup();
        let mut variants = Vec::with_capacity(ids.len());
        // Look-ups by key on a connection of this process: no round trips to save by a larger query.
        for variant_id in &ids {
            let stock = store::variant_stock(&self.store, variant_id)
                .await
                .map_err(Failure::from)?;
            variants.extend(stock.as_ref().map(wire::variant));
        }
        Ok(Response::new(BatchGetAvailabilityResponse { variants }))
    }

    async fn reserve(
        &self,
        request: Request<ReserveRequest>,
    ) -> Result<Response<ReserveResponse>, Status> {
        let moment = self.means.moment(Cause::call(&CallContext::of(&request)));
        let ReserveRequest { order_id, lines } = request.into_inner();
        let lines: Vec<Line> = lines
            .into_iter()
            .map(|line| Line {
                variant_id: line.variant_id,
                quantity: line.quantity,
            })
            .collect();
        let asked = lines.clone();
        let outcome = self
            .store
            .write(
                move |tx: Tx| async move { store::reserve(&tx, &moment, &order_id, &lines).await },
            )
            .await
            .map_err(|error: StoreError| Failure::from(error))?;
        Ok(Response::new(match outcome {
            Outcome::Held { reservations } => ReserveResponse {
                reserved: true,
                reservations: reservations.iter().map(wire::record).collect(),
                failed_lines: Vec::new(),
            },
            Outcome::Refused { shortages } => ReserveResponse {
                reserved: false,
                reservations: Vec::new(),
                failed_lines: if shortages.is_empty() {
                    // The order was given up: none of its lines can be had any more.
                    asked.iter().map(refused).collect()
                } else {
                    shortages.iter().map(wire::short).collect()
                },
            },
        }))
    }

    async fn release(
        &self,
        request: Request<ReleaseRequest>,
    ) -> Result<Response<ReleaseResponse>, Status> {
        let moment = self.means.moment(Cause::call(&CallContext::of(&request)));
        let ReleaseRequest { order_id, reason } = request.into_inner();
        let reason = if reason.is_empty() {
            "released".to_owned()
        } else {
            reason
        };
        let released = self
            .store
            .write(move |tx: Tx| async move {
                store::perform(&tx, &moment, &order_id, Demand::Release, &reason).await
            })
            .await
            .map_err(|error: StoreError| Failure::from(error))?;
        Ok(Response::new(ReleaseResponse {
            released: released.iter().map(wire::record).collect(),
        }))
    }

    async fn commit(
        &self,
        request: Request<CommitRequest>,
    ) -> Result<Response<CommitResponse>, Status> {
        let moment = self.means.moment(Cause::call(&CallContext::of(&request)));
        let CommitRequest { order_id } = request.into_inner();
        let status = self
            .store
            .write(move |tx: Tx| async move { store::commit(&tx, &moment, &order_id).await })
            .await
            .map_err(|error: StoreError| Failure::from(error))?;
        let outcome = match status {
            HoldStatus::Committed | HoldStatus::Consumed => CommitOutcome::Held,
            HoldStatus::Awaiting => CommitOutcome::Awaited,
            HoldStatus::Held | HoldStatus::Released | HoldStatus::Expired | HoldStatus::Failed => {
                CommitOutcome::Lost
            }
        };
        Ok(Response::new(CommitResponse {
            outcome: outcome.into(),
        }))
    }

    async fn list_reservations(
        &self,
        request: Request<ListReservationsRequest>,
    ) -> Result<Response<ListReservationsResponse>, Status> {
        let ListReservationsRequest { order_id } = request.into_inner();
        let items = store::reservations_of(&self.store, &order_id)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(ListReservationsResponse {
            items: items.iter().map(wire::record).collect(),
        }))
    }
}

fn refused(line: &Line) -> contracts::hub::inventory::v1::ShortLine {
    contracts::hub::inventory::v1::ShortLine {
        variant_id: line.variant_id.clone(),
        sku: String::new(),
        requested: line.quantity,
        available: 0,
    }
}
