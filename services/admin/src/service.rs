//! The RPCs of `AdminService`.

use contracts::hub::admin::v1::{
    Backup, CreateBackupRequest, DeadLetter, DiscardDeadLetterRequest, DropDeadLetterRequest,
    FindDeadLettersRequest, GetDeadLetterRequest, GetHealthRequest, HealthReport,
    ListDeadLettersRequest, ListDeadLettersResponse, ReplayDeadLetterRequest,
    admin_service_server::AdminService,
};
use mesh::{CallContext, Failure, Hub, Paging};
use tonic::{Request, Response, Status};

use crate::{backups, fleet::Fleet, health};

/// As many of the newest dead letters can be listed.
const LISTED: i64 = 1_000;

/// Answers `AdminService`.
pub struct AdminHandler {
    pub(crate) hub: Hub,
    pub(crate) fleet: Fleet,
}

#[tonic::async_trait]
impl AdminService for AdminHandler {
    async fn get_health(
        &self,
        request: Request<GetHealthRequest>,
    ) -> Result<Response<HealthReport>, Status> {
        let (processes, missing) = self.fleet.health(&CallContext::of(&request)).await;
        Ok(Response::new(health::report(processes, missing)))
    }

    async fn create_backup(
        &self,
        request: Request<CreateBackupRequest>,
    ) -> Result<Response<Backup>, Status> {
        let operator = CallContext::of(&request).principal().subject().to_owned();
        let backup = backups::create(&self.hub).await?;
        tracing::info!(
            name = backup.name,
            bytes = backup.bytes,
            operator,
            "backup made"
        );
        Ok(Response::new(backup))
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let context = CallContext::of(&request);
        let request = request.into_inner();
        let paging = Paging::<()>::read(request.page, request.limit, "", &())?;
        let end = paging.offset() + i64::from(paging.limit);
        if end > LISTED {
            return Err(beyond(paging.limit).into());
        }
        let wanted = FindDeadLettersRequest {
            consumer: request.consumer,
            event_type: request.event_type,
            most: i32::try_from(end).unwrap_or(i32::MAX),
        };
        let letters = self.fleet.dead_letters(&context, wanted).await;
        let skipped = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
        Ok(Response::new(ListDeadLettersResponse {
            items: letters.items.into_iter().skip(skipped).collect(),
            total: letters.total,
            page: paging.page,
            limit: paging.limit,
            next_page_token: String::new(),
            unreachable: letters.unreachable,
        }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<DeadLetter>, Status> {
        let context = CallContext::of(&request);
        let request = request.into_inner();
        let id = request.dead_letter_id.clone();
        let found = self
            .fleet
            .of_owner(&context, &id, request, |mut client, request| {
                Box::pin(async move { client.read_dead_letter(request).await })
            });
        Ok(Response::new(found.await?))
    }

    async fn replay_dead_letter(
        &self,
        request: Request<ReplayDeadLetterRequest>,
    ) -> Result<Response<()>, Status> {
        let context = CallContext::of(&request);
        let request = request.into_inner();
        let id = request.dead_letter_id.clone();
        self.fleet
            .of_owner(&context, &id, request, |mut client, request| {
                Box::pin(async move { client.retry_dead_letter(request).await })
            })
            .await?;
        let operator = context.principal().subject();
        tracing::info!(%id, operator, "dead letter replayed");
        Ok(Response::new(()))
    }

    async fn discard_dead_letter(
        &self,
        request: Request<DiscardDeadLetterRequest>,
    ) -> Result<Response<()>, Status> {
        let context = CallContext::of(&request);
        let DiscardDeadLetterRequest {
            dead_letter_id: id,
            reason,
        } = request.into_inner();
        let operator = context.principal().subject();
        let wanted = DropDeadLetterRequest {
            dead_letter_id: id.clone(),
            record: format!("{reason} ({operator})"),
        };
        self.fleet
            .of_owner(&context, &id, wanted, |mut client, request| {
                Box::pin(async move { client.drop_dead_letter(request).await })
            })
            .await?;
        tracing::info!(%id, operator, reason, "dead letter discarded");
        Ok(Response::new(()))
    }
}

fn beyond(limit: i32) -> Failure {
    let last = LISTED / i64::from(limit);
    Failure::invalid(
        "page",
        format!("must be at most {last}: only the newest {LISTED} letters can be listed"),
    )
}
