//! The RPCs of `ProcessService`: what a target tells of its process and of its consumers' dead letters.

use chrono::{DateTime, Utc};
use contracts::hub::admin::v1::{
    DeadLetter, DropDeadLetterRequest, FindDeadLettersRequest, FindDeadLettersResponse,
    GetDeadLetterRequest, ProcessHealth, ReplayDeadLetterRequest, ReportHealthRequest,
    process_service_server::ProcessService,
};
use mesh::{
    Failure, Hub,
    events::{DeadLetterQuery, DeadLetters},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{dead_letters, health};

/// A start of this process.
pub struct Start {
    id: Uuid,
    at: DateTime<Utc>,
}

/// Answers `ProcessService` for one target.
pub struct ProcessHandler {
    hub: Hub,
    /// The target; its store has the same name.
    target: &'static str,
    start: std::sync::Arc<Start>,
}

impl ProcessHandler {
    /// For `target`, which runs on `hub`.
    pub fn new(hub: &Hub, target: &'static str) -> Self {
        Self {
            hub: hub.clone(),
            target,
            start: hub.belonging(|| Start {
                id: hub.ids().uuid(),
                at: hub.clock().now(),
            }),
        }
    }

    fn letters(&self) -> DeadLetters {
        self.hub.bus().dead_letters().of_store(self.target)
    }
}

#[tonic::async_trait]
impl ProcessService for ProcessHandler {
    async fn report_health(
        &self,
        _request: Request<ReportHealthRequest>,
    ) -> Result<Response<ProcessHealth>, Status> {
        let report = self.hub.health().await;
        let process = self.hub.services().join(",");
        Ok(Response::new(ProcessHealth {
            process_id: self.start.id.to_string(),
            status: health::status(&report).to_owned(),
            components: report
                .components
                .iter()
                .map(|part| health::component(part, &process))
                .collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: (self.hub.clock().now() - self.start.at).as_seconds_f64(),
        }))
    }

    async fn find_dead_letters(
        &self,
        request: Request<FindDeadLettersRequest>,
    ) -> Result<Response<FindDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let query = DeadLetterQuery {
            consumer: Some(request.consumer).filter(|name| !name.is_empty()),
            event_type: Some(request.event_type).filter(|name| !name.is_empty()),
            limit: usize::try_from(request.most).unwrap_or_default(),
            ..DeadLetterQuery::default()
        };
        let letters = self.letters();
        let found = letters.list(&query).await?;
        let total = letters.count(&query).await?;
        Ok(Response::new(FindDeadLettersResponse {
            items: found.iter().map(dead_letters::listed).collect(),
            total: i64::try_from(total).unwrap_or(i64::MAX),
        }))
    }

    async fn read_dead_letter(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<DeadLetter>, Status> {
        let id = letter_id(&request.into_inner().dead_letter_id)?;
        let letter = self.letters().show(id).await.map_err(Failure::from)?;
        Ok(Response::new(dead_letters::whole(&letter)?))
    }

    async fn retry_dead_letter(
        &self,
        request: Request<ReplayDeadLetterRequest>,
    ) -> Result<Response<()>, Status> {
        let id = letter_id(&request.into_inner().dead_letter_id)?;
        self.letters().replay(id).await.map_err(Failure::from)?;
        Ok(Response::new(()))
    }

    async fn drop_dead_letter(
        &self,
        request: Request<DropDeadLetterRequest>,
    ) -> Result<Response<()>, Status> {
        let request = request.into_inner();
        let id = letter_id(&request.dead_letter_id)?;
        let discarded = self.letters().discard(id, &request.record).await;
        discarded.map_err(Failure::from)?;
        Ok(Response::new(()))
    }
}

fn letter_id(text: &str) -> Result<Uuid, Failure> {
    text.parse()
        .map_err(|_| Failure::not_found("dead letter", text))
}
