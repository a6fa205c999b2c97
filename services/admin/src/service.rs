//! The RPCs of `AdminService`.

use chrono::{DateTime, Utc};
use contracts::hub::admin::v1::{
    Backup, CreateBackupRequest, DeadLetter, DiscardDeadLetterRequest, GetDeadLetterRequest,
    GetHealthRequest, HealthReport, ListDeadLettersRequest, ListDeadLettersResponse,
    ReplayDeadLetterRequest, admin_service_server::AdminService,
};
use mesh::{CallContext, Failure, Hub, Paging, events::DeadLetterQuery};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{backups, dead_letters, health};

/// Answers `AdminService`.
pub struct AdminHandler {
    pub(crate) hub: Hub,
    pub(crate) started: DateTime<Utc>,
}

#[tonic::async_trait]
impl AdminService for AdminHandler {
    async fn get_health(
        &self,
        _request: Request<GetHealthRequest>,
    ) -> Result<Response<HealthReport>, Status> {
        let uptime = self.hub.clock().now() - self.started;
        let report = self.hub.health().await;
        Ok(Response::new(health::report(report, uptime)))
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
        let request = request.into_inner();
        let paging = Paging::<()>::read(request.page, request.limit, "", &())?;
        let query = DeadLetterQuery {
            consumer: Some(request.consumer).filter(|name| !name.is_empty()),
            event_type: Some(request.event_type).filter(|name| !name.is_empty()),
            offset: usize::try_from(paging.offset()).unwrap_or(usize::MAX),
            limit: usize::try_from(paging.limit).unwrap_or_default(),
            ..DeadLetterQuery::default()
        };
        let letters = self.hub.bus().dead_letters();
        let found = letters.list(&query).await?;
        let total = letters.count(&query).await?;
        Ok(Response::new(ListDeadLettersResponse {
            items: found.iter().map(dead_letters::listed).collect(),
            total: i64::try_from(total).unwrap_or(i64::MAX),
            page: paging.page,
            limit: paging.limit,
            next_page_token: String::new(),
        }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<DeadLetter>, Status> {
        let id = letter_id(&request.into_inner().dead_letter_id)?;
        let letter = self
            .hub
            .bus()
            .dead_letters()
            .show(id)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(dead_letters::whole(&letter)?))
    }

    async fn replay_dead_letter(
        &self,
        request: Request<ReplayDeadLetterRequest>,
    ) -> Result<Response<()>, Status> {
        let operator = CallContext::of(&request).principal().subject().to_owned();
        let id = letter_id(&request.into_inner().dead_letter_id)?;
        self.hub
            .bus()
            .dead_letters()
            .replay(id)
            .await
            .map_err(Failure::from)?;
        tracing::info!(%id, operator, "dead letter replayed");
        Ok(Response::new(()))
    }

    async fn discard_dead_letter(
        &self,
        request: Request<DiscardDeadLetterRequest>,
    ) -> Result<Response<()>, Status> {
        let operator = CallContext::of(&request).principal().subject().to_owned();
        let DiscardDeadLetterRequest {
            dead_letter_id,
            reason,
        } = request.into_inner();
        let id = letter_id(&dead_letter_id)?;
        let record = format!("{reason} ({operator})");
        self.hub
            .bus()
            .dead_letters()
            .discard(id, &record)
            .await
            .map_err(Failure::from)?;
        tracing::info!(%id, operator, reason, "dead letter discarded");
        Ok(Response::new(()))
    }
}

fn letter_id(text: &str) -> Result<Uuid, Failure> {
    text.parse()
        .map_err(|_| Failure::not_found("dead letter", text))
}
