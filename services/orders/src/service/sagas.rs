//! The sagas of orders, for operators.

use contracts::hub::orders::v1::{
    CompensateSagaRequest, GetSagaRequest, ListSagasRequest, ListSagasResponse, RetrySagaRequest,
    Saga, SagaStep, saga_service_server::SagaService,
};
use mesh::{
    CallContext, Failure, Paging, Reason,
    events::Emission,
    store::{Store, Tx},
};
use tonic::{Request, Response, Status};

use super::refusals::too_late;
use crate::{
    announce,
    cause::Cause,
    domain::saga::{Fact, step_name},
    means::Means,
    measures,
    store::{
        News, Overdue, SagaFilter, SagaView, advance, facts_now, find_order, find_saga, list_sagas,
        note, repeat,
    },
    wire,
};

/// Answers the RPCs for operators.
pub(crate) struct SagaHandler {
    pub(crate) store: Store,
    pub(crate) means: Means,
}

impl SagaHandler {
    async fn saga(&self, order_id: &str) -> Result<SagaView, Failure> {
        find_saga(&self.store, order_id)
            .await?
            .ok_or_else(|| Failure::not_found("saga", order_id))
    }

    async fn retry(
        &self,
        ctx: &CallContext,
        request: RetrySagaRequest,
    ) -> Result<SagaView, Failure> {
        let RetrySagaRequest { order_id, reason } = request;
        let saga = self.saga(&order_id).await?;
        let order = find_order(&self.store, &order_id)
            .await?
            .ok_or_else(|| Failure::not_found("order", &order_id))?;
        let Some(data) = announce::trigger(&order, &saga) else {
            let step = step_name(saga.step);
            return Err(Failure::conflict(
                Reason::InvalidTransition,
                format!("The saga is {step}; it waits for nothing that could be asked for again."),
            )
            .with_metadata("step", step));
        };
        let moment = self.means.moment(Cause::call(ctx));
        let actor = ctx.principal().subject().to_owned();
        let id = order_id.clone();
        self.store
            .write(move |tx: Tx| async move {
                tx.emit(moment.cause.mark(Emission::new(&id, data), &id))
                    .await?;
                repeat(&tx, &moment, &id, "").await?;
                note(&tx, &moment, &id, &actor, "retry", &reason).await?;
                Ok::<_, Failure>(())
            })
            .await?;
        self.saga(&order_id).await
    }

    async fn compensate(
        &self,
        ctx: &CallContext,
        request: CompensateSagaRequest,
    ) -> Result<SagaView, Failure> {
        let CompensateSagaRequest { order_id, reason } = request;
        let saga = self.saga(&order_id).await?;
        if saga.step == SagaStep::Compensation {
            // It is being undone already; those who have to undo it are told again.
            return self.retry(ctx, RetrySagaRequest { order_id, reason }).await;
        }
        let moment = self.means.moment(Cause::call(ctx));
        let actor = ctx.principal().subject().to_owned();
        let id = order_id.clone();
        self.store
            .write(move |tx: Tx| async move {
                let facts = facts_now(&tx, &id)
                    .await?
                    .ok_or_else(|| Failure::not_found("saga", &id))?;
                if !facts.may_cancel() {
                    return Err(too_late(&facts, "given up"));
                }
                let news = News {
                    fact: Some(Fact::Cancelled),
                    event_type: "OrderCancelled",
                    message: format!("Cancelled by staff: {reason}"),
                    reason: reason.clone(),
                    by: "staff",
                    ..News::default()
                };
                advance(&tx, &moment, &id, news).await?;
                tx.after_commit(|| measures::count_outcome("cancelled"));
                note(&tx, &moment, &id, &actor, "compensate", &reason).await?;
                Ok(())
            })
            .await?;
        self.saga(&order_id).await
    }
}

#[tonic::async_trait]
impl SagaService for SagaHandler {
    async fn list_sagas(
        &self,
        request: Request<ListSagasRequest>,
    ) -> Result<Response<ListSagasResponse>, Status> {
        let request = request.into_inner();
        let paging = Paging::read(
            request.page,
            request.limit,
            &request.page_token,
            &(request.step, request.overdue),
        )?;
        let filter = SagaFilter {
            step: Some(request.step()).filter(|step| *step != SagaStep::Unspecified),
            overdue: if request.overdue {
                Overdue::Only
            } else {
                Overdue::Any
            },
            now: self.means.clock.now(),
        };
        let page = list_sagas(&self.store, filter, &paging)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(ListSagasResponse {
            items: page.items.iter().map(wire::saga).collect(),
            total: page.total,
            page: paging.page,
            limit: paging.limit,
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_saga(&self, request: Request<GetSagaRequest>) -> Result<Response<Saga>, Status> {
        let saga = self.saga(&request.into_inner().order_id).await?;
        Ok(Response::new(wire::saga(&saga)))
    }

    async fn retry_saga(
        &self,
        request: Request<RetrySagaRequest>,
    ) -> Result<Response<Saga>, Status> {
        let ctx = CallContext::of(&request);
        let saga = self.retry(&ctx, request.into_inner()).await?;
        Ok(Response::new(wire::saga(&saga)))
    }

    async fn compensate_saga(
        &self,
        request: Request<CompensateSagaRequest>,
    ) -> Result<Response<Saga>, Status> {
        let ctx = CallContext::of(&request);
        let saga = self.compensate(&ctx, request.into_inner()).await?;
        Ok(Response::new(wire::saga(&saga)))
    }
}
