//! Operators' commands: they speak gRPC to the hub that serves the data folder.
//!
//! Whoever can read the data folder's internal key is an operator of this hub; the key seals a
//! short-lived administrator principal, so no password is needed and none is stored.

use anyhow::{Context, bail};
use contracts::hub::{
    admin::v1::{
        DiscardDeadLetterRequest, GetDeadLetterRequest, ListDeadLettersRequest,
        ReplayDeadLetterRequest, admin_service_client::AdminServiceClient,
    },
    orders::v1::{
        CompensateSagaRequest, GetSagaRequest, ListSagasRequest, RetrySagaRequest, SagaStep,
        saga_service_client::SagaServiceClient,
    },
};
use mesh::{
    Clock,
    config::{Config, HubSettings},
    principal::PrincipalSeal,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    cli::{DeadLetterCommand, SagaCommand, Settings},
    print,
};

/// A connection to the running hub as an operator.
pub type OperatorChannel = InterceptedService<Channel, Credentials>;

/// Adds a freshly sealed principal to each call.
#[derive(Clone)]
pub struct Credentials {
    seal: PrincipalSeal,
    clock: Clock,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self
            .seal
            .operator_token(self.clock.now())
            .map_err(|error| Status::unauthenticated(error.to_string()))?;
        let value: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| Status::unauthenticated("the token is not a header value"))?;
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

/// Connects to the hub that serves the configured address.
///
/// # Errors
/// Nothing listens there, or the data folder has no key yet.
pub async fn connect(config: &Config) -> anyhow::Result<OperatorChannel> {
    let settings: HubSettings = config.section("hub")?;
    let seal = PrincipalSeal::of_installation(config)
        .context("cannot read the internal key of the data folder")?;
    let url = format!("http://{}", settings.listen);
    let channel = Endpoint::from_shared(url.clone())?
        .connect()
        .await
        .with_context(|| format!("no hub is serving {url}; start one with `hub up`"))?;
    let credentials = Credentials {
        seal,
        clock: Clock::system(),
    };
    Ok(InterceptedService::new(channel, credentials))
}

/// `hub sagas …`
pub async fn sagas(settings: &Settings, command: SagaCommand) -> anyhow::Result<()> {
    let mut client = SagaServiceClient::new(connect(&settings.load()?).await?);
    match command {
        SagaCommand::List {
            step,
            overdue,
            page,
        } => {
            let request = ListSagasRequest {
                step: step
                    .as_deref()
                    .map(saga_step)
                    .transpose()?
                    .unwrap_or_default() as i32,
                overdue,
                page: Some(page),
                ..Default::default()
            };
            print::sagas(&said(client.list_sagas(request).await)?);
        }
        SagaCommand::Show { order_id } => {
            print::saga(&said(client.get_saga(GetSagaRequest { order_id }).await)?);
        }
        SagaCommand::Retry { order_id, reason } => {
            let request = RetrySagaRequest { order_id, reason };
            print::saga(&said(client.retry_saga(request).await)?);
        }
        SagaCommand::Compensate { order_id, reason } => {
            let request = CompensateSagaRequest { order_id, reason };
            print::saga(&said(client.compensate_saga(request).await)?);
        }
    }
    Ok(())
}

/// `hub dlq …`
pub async fn dead_letters(settings: &Settings, command: DeadLetterCommand) -> anyhow::Result<()> {
    let mut client = AdminServiceClient::new(connect(&settings.load()?).await?);
    match command {
        DeadLetterCommand::List { consumer, page } => {
            let request = ListDeadLettersRequest {
                consumer,
                page: Some(page),
                ..Default::default()
            };
            print::dead_letters(&said(client.list_dead_letters(request).await)?);
        }
        DeadLetterCommand::Show { id } => {
            let request = GetDeadLetterRequest { dead_letter_id: id };
            print::dead_letter(&said(client.get_dead_letter(request).await)?)?;
        }
        DeadLetterCommand::Replay { id } => {
            let request = ReplayDeadLetterRequest {
                dead_letter_id: id.clone(),
            };
            said(client.replay_dead_letter(request).await)?;
            println!("{id} is with its consumer again");
        }
        DeadLetterCommand::Discard { id, reason } => {
            let request = DiscardDeadLetterRequest {
                dead_letter_id: id.clone(),
                reason,
            };
            said(client.discard_dead_letter(request).await)?;
            println!("{id} is discarded");
        }
    }
    Ok(())
}

/// The message of an answer, or the status as an operator reads it.
pub fn said<T>(answer: Result<tonic::Response<T>, Status>) -> anyhow::Result<T> {
    match answer {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => bail!("{} ({:?})", status.message(), status.code()),
    }
}

fn saga_step(name: &str) -> anyhow::Result<SagaStep> {
    let full = format!("SAGA_STEP_{}", name.to_uppercase());
    SagaStep::from_str_name(&full).with_context(|| {
        format!(
            "unknown step {name:?}; there are reservation, payment, shipment, compensation, \
             completed, compensated"
        )
    })
}
