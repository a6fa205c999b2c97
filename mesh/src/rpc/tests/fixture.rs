//! Two small services of the contracts, with handlers that do what the test asks for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::hub::{
    agents::v1::{
        InvokeRequest, InvokeResponse, InvokeStreamRequest, InvokeStreamResponse,
        ListAgentsRequest, ListAgentsResponse,
        agent_service_client::AgentServiceClient,
        agent_service_server::{AgentService, AgentServiceServer},
    },
    identity::v1::{
        GetUserRequest, ImportUsersRequest, ImportUsersResponse, User,
        directory_service_client::DirectoryServiceClient,
        directory_service_server::{DirectoryService, DirectoryServiceServer},
    },
};
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};

use crate::{CallContext, Channel, Clock, Config, Failure, Hub, Principal, Service, Sources};

pub(super) const USER: &str = "0190b3c4-7d2e-7a51-8c35-1f2e3d4c5b6a";

const INVOKE: &str = "hub.agents.v1.AgentService/Invoke";
const GET_USER: &str = "hub.identity.v1.DirectoryService/GetUser";

/// Answers to `Invoke` by the agent's name.
#[derive(Clone)]
pub(super) struct Agents {
    directory: DirectoryServiceClient<Channel>,
    pub(super) calls: Arc<AtomicUsize>,
    /// While it is set, `ListAgents` never answers.
    stall: Arc<AtomicBool>,
    clock: Clock,
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn invoke(
        &self,
        request: Request<InvokeRequest>,
    ) -> Result<Response<InvokeResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let ctx = CallContext::of(&request);
        match request.get_ref().service_name.as_str() {
            "echo" => Ok(Response::new(InvokeResponse {
                agent: format!("{:?}", ctx.principal()),
                operation: ctx.trace().trace_id(),
                summary: ctx.request_id().to_owned(),
                session_id: ctx
                    .remaining()
                    .map_or_else(String::new, |left| left.as_millis().to_string()),
                ..InvokeResponse::default()
            })),
            "ask-as-caller" => {
                let user = GetUserRequest {
                    user_id: USER.to_owned(),
                };
                self.directory.clone().get_user(ctx.call(user)).await?;
                Ok(Response::new(Default::default()))
            }
            "ask-as-service" => {
                let user = GetUserRequest {
                    user_id: USER.to_owned(),
                };
                let user = self
                    .directory
                    .clone()
                    .get_user(ctx.as_service("agents").call(user))
                    .await?
                    .into_inner();
                Ok(Response::new(InvokeResponse {
                    agent: user.name,
                    session_id: user.phone,
                    ..InvokeResponse::default()
                }))
            }
            "slow" => {
                self.clock.sleep(Duration::from_secs(4)).await;
                let user = GetUserRequest {
                    user_id: USER.to_owned(),
                };
                let user = self
                    .directory
                    .clone()
                    .get_user(ctx.as_service("agents").call(user))
                    .await?
                    .into_inner();
                Ok(Response::new(InvokeResponse {
                    session_id: user.phone,
                    ..InvokeResponse::default()
                }))
            }
            "undeclared" => {
                let nothing = ImportUsersRequest { users: Vec::new() };
                self.directory
                    .clone()
                    .import_users(ctx.as_service("agents").call(nothing))
                    .await?;
                Ok(Response::new(Default::default()))
            }
            "forgets" => {
                let context = CallContext::new(self.clock.clone(), "r-2")
                    .with_principal(Principal::service("agents"));
                let nothing = ImportUsersRequest { users: Vec::new() };
                self.directory
                    .clone()
                    .import_users(context.call(nothing))
                    .await?;
                Ok(Response::new(Default::default()))
            }
            "stuck" => std::future::pending().await,
            "panic" => panic!("a secret of the handler"),
            "internal" => Err(Failure::internal("a secret of the handler").into()),
            "raw" => Err(Status::unknown("a secret of the handler")),
            "down" => Err(Status::unavailable("try later")),
            other => Err(Failure::not_found("agent", other).into()),
        }
    }

    type InvokeStreamStream = BoxStream<'static, Result<InvokeStreamResponse, Status>>;

    async fn invoke_stream(
        &self,
        request: Request<InvokeStreamRequest>,
    ) -> Result<Response<Self::InvokeStreamStream>, Status> {
        let first = Ok(InvokeStreamResponse {
            event: request.get_ref().service_name.clone(),
            ..InvokeStreamResponse::default()
        });
        let first = futures::stream::iter([first]);
        let stream: Self::InvokeStreamStream = match request.get_ref().service_name.as_str() {
            "endless" => Box::pin(futures::StreamExt::chain(first, futures::stream::pending())),
            "leaking" => {
                let secret = Err(Status::internal("a secret of the handler"));
                Box::pin(futures::StreamExt::chain(
                    first,
                    futures::stream::iter([secret]),
                ))
            }
            _ => Box::pin(first),
        };
        Ok(Response::new(stream))
    }

    async fn list_agents(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        // The first two answers fail, as a process does that is just starting.
        if self.calls.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Status::unavailable("starting"));
        }
        if self.stall.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(Default::default()))
    }
}

/// Answers with the caller in the name and the time left in the phone number.
struct Directory;

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let ctx = CallContext::of(&request);
        Ok(Response::new(User {
            name: format!("{:?}", ctx.principal()),
            phone: ctx
                .remaining()
                .map_or_else(String::new, |left| left.as_millis().to_string()),
            ..User::default()
        }))
    }

    async fn import_users(
        &self,
        _: Request<ImportUsersRequest>,
    ) -> Result<Response<ImportUsersResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

pub(super) struct Process {
    pub(super) hub: Hub,
    pub(super) calls: Arc<AtomicUsize>,
    pub(super) stall: Arc<AtomicBool>,
    listener: parking_lot::Mutex<Option<tokio::task::JoinHandle<()>>>,
    _dir: tempfile::TempDir,
}

impl Process {
    pub(super) fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.hub.channel())
    }

    pub(super) fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.hub.channel())
    }

    pub(super) fn anonymous(&self) -> CallContext {
        CallContext::new(self.hub.clock().clone(), "r-1").with_caller("gateway")
    }

    /// Listens on a free port like `hub serve`, and gives its address.
    pub(super) async fn listen(&self) -> String {
        self.listen_on("127.0.0.1:0").await
    }

    /// Listens at `address`, which somebody else may still be leaving.
    pub(super) async fn listen_on(&self, address: &str) -> String {
        let listener = loop {
            match tokio::net::TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(crate::rpc::serve_grpc(listener, self.hub.clone()));
        *self.listener.lock() = Some(serving);
        format!("http://{address}")
    }

    /// Waits until the listener has finished what was in flight.
    pub(super) async fn listener_ended(&self) {
        let serving = self.listener.lock().take().unwrap();
        serving.await.unwrap();
    }
}

/// Carries bytes to a process until it is cut.
pub(super) struct Wire {
    pub(super) address: String,
    carrying: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// For one connection to `address`.
    pub(super) async fn to(address: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = format!("http://{}", listener.local_addr().unwrap());
        let far = address.trim_start_matches("http://").to_owned();
        let carrying = tokio::spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(far).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        Self {
            address: near,
            carrying,
        }
    }

    pub(super) fn cut(&self) {
        self.carrying.abort();
    }
}

/// Takes every connection and ends it in the middle of the first request.
pub(super) struct Impostor {
    pub(super) address: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Impostor {
    pub(super) async fn listen() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let failing = hyper::service::service_fn(|_| async {
                        Err::<http::Response<tonic::body::Body>, _>(std::io::Error::other("no"))
                    });
                    let _ = hyper::server::conn::http2::Builder::new(
                        hyper_util::rt::TokioExecutor::new(),
                    )
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), failing)
                    .await;
                });
            }
        });
        Self { address, serving }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(super) fn invoke(agent: &str) -> InvokeRequest {
    InvokeRequest {
        service_name: agent.to_owned(),
        ..InvokeRequest::default()
    }
}

/// A process with both services and `settings` (dotted path, value).
pub(super) async fn process(clock: Clock, settings: &[(&str, &str)]) -> Process {
    start(clock, settings, true).await
}

/// A process with no service of its own.
pub(super) async fn empty_process(clock: Clock, settings: &[(&str, &str)]) -> Process {
    start(clock, settings, false).await
}

async fn start(clock: Clock, settings: &[(&str, &str)], serves: bool) -> Process {
    let dir = tempfile::tempdir().unwrap();
    let key = ("mesh.internal_key", "0123456789abcdef0123456789abcdef");
    let sources = settings
        .iter()
        .chain([&key])
        .fold(Sources::default(), |sources, (path, value)| {
            sources.with_override(path, *value)
        });
    let hub = Hub::builder()
        .config(Config::load(&sources).unwrap())
        .clock(clock.clone())
        .data_dir(dir.path())
        .with_call(INVOKE, GET_USER)
        .build()
        .await
        .unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let stall = Arc::new(AtomicBool::new(false));
    let mut services = Vec::new();
    if serves {
        let agents = Agents {
            directory: DirectoryServiceClient::new(hub.channel()),
            calls: Arc::clone(&calls),
            stall: Arc::clone(&stall),
            clock,
        };
        services.push(
            Service::builder("agents")
                .rpc(AgentServiceServer::new(agents))
                .build(),
        );
        services.push(
            Service::builder("identity")
                .rpc(DirectoryServiceServer::new(Directory))
                .build(),
        );
    }
    hub.start(services).await.unwrap();
    Process {
        hub,
        calls,
        stall,
        listener: Default::default(),
        _dir: dir,
    }
}

pub(super) fn manual_clock() -> Clock {
    Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}
