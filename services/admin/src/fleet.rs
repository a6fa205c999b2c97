//! All targets of the mesh, asked together.
//!
//! A target is asked through one of its processes. One that does not answer in time is named, and the others are heard
//! all the same: operators need these answers most when something is down.

use std::{collections::BTreeMap, time::Duration};

use contracts::hub::admin::v1::{
    ComponentHealth, DeadLetter, FindDeadLettersRequest, FindDeadLettersResponse, ProcessHealth,
    ReportHealthRequest, process_service_client::ProcessServiceClient,
};
use futures::future::{BoxFuture, join_all};
use mesh::{CallContext, Failure, Hub, TargetChannel};
use tonic::{Code, Request, Response, Status};

/// How long a target may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

type Client = ProcessServiceClient<TargetChannel>;
type Answer<T> = Result<Response<T>, Status>;

/// The targets that serve RPCs.
pub struct Fleet {
    targets: Vec<(String, TargetChannel)>,
}

/// Dead letters of all targets.
pub struct Letters {
    /// Newest first.
    pub items: Vec<DeadLetter>,
    /// How many there are, also beyond those in `items`.
    pub total: i64,
    /// Targets that did not answer.
    pub unreachable: Vec<String>,
}

impl Fleet {
    /// The targets of the contract that `hub` can call.
    pub fn of(hub: &Hub) -> Self {
        let targets = hub.policies().targets();
        Self {
            targets: targets
                .filter(|target| !target.services.is_empty())
                .map(|target| (target.name.clone(), hub.channel().at(&target.name)))
                .collect(),
        }
    }

    /// Health of every process that was asked, and of a part for each target that did not answer.
    pub async fn health(
        &self,
        context: &CallContext,
    ) -> (Vec<ProcessHealth>, Vec<ComponentHealth>) {
        let answers = self
            .ask(context, ReportHealthRequest {}, |mut client, request| {
                Box::pin(async move { client.report_health(request).await })
            })
            .await;
        // A process that runs several targets answers for each.
        let mut processes = BTreeMap::new();
        let mut missing = Vec::new();
        for (target, answer) in answers {
            match answer {
                Ok(health) => drop(processes.insert(health.process_id.clone(), health)),
                Err(status) => missing.push(ComponentHealth {
                    name: target.to_owned(),
                    kind: "service".to_owned(),
                    status: "unhealthy".to_owned(),
                    detail: format!("does not answer: {}", status.message()),
                    latency_ms: 0.0,
                    process: target.to_owned(),
                }),
            }
        }
        (processes.into_values().collect(), missing)
    }

    /// The newest dead letters of all targets, at most `request.most`.
    pub async fn dead_letters(
        &self,
        context: &CallContext,
        request: FindDeadLettersRequest,
    ) -> Letters {
        let most = usize::try_from(request.most).unwrap_or_default();
        let answers = self
            .ask(context, request, |mut client, request| {
                Box::pin(async move { client.find_dead_letters(request).await })
            })
            .await;
        let mut letters = Letters {
            items: Vec::new(),
            total: 0,
            unreachable: Vec::new(),
        };
        for (target, answer) in answers {
            match answer {
                Ok(FindDeadLettersResponse { items, total }) => {
                    letters.items.extend(items);
                    letters.total += total;
                }
                Err(_) => letters.unreachable.push(target.to_owned()),
            }
        }
        // Ids are UUIDv7: their order is that of the failures.
        letters
            .items
            .sort_by(|a, b| b.dead_letter_id.cmp(&a.dead_letter_id));
        letters.items.truncate(most);
        letters
    }

    /// The answer of the one target that has dead letter `id`.
    ///
    /// # Errors
    /// No target has it; `UNAVAILABLE` if one that could not be asked may.
    pub async fn of_owner<M, T>(
        &self,
        context: &CallContext,
        id: &str,
        message: M,
        call: impl Fn(Client, Request<M>) -> BoxFuture<'static, Answer<T>>,
    ) -> Result<T, Failure>
    where
        M: Clone,
    {
        let mut silent = Vec::new();
        for (target, answer) in self.ask(context, message, call).await {
            match answer {
                Ok(found) => return Ok(found),
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) if is_silence(&status) => silent.push(target),
                Err(status) => return Err(status.into()),
            }
        }
        if silent.is_empty() {
            return Err(Failure::not_found("dead letter", id));
        }
        Err(Failure::unavailable(format!(
            "dead letter {id} is not known where an answer came from; {} did not answer",
            silent.join(", ")
        )))
    }

    async fn ask<M, T>(
        &self,
        context: &CallContext,
        message: M,
        call: impl Fn(Client, Request<M>) -> BoxFuture<'static, Answer<T>>,
    ) -> Vec<(&str, Result<T, Status>)>
    where
        M: Clone,
    {
        let context = context.as_service("admin").within(PATIENCE);
        let asked = self.targets.iter().map(|(target, channel)| {
            let client = ProcessServiceClient::new(channel.clone());
            let answer = call(client, context.call(message.clone()));
            async move { (target.as_str(), answer.await.map(Response::into_inner)) }
        });
        join_all(asked).await
    }
}

fn is_silence(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
}
