//! What a call between processes costs: plain tonic, the mesh in plaintext, the mesh over mutual TLS.
//!
//! The three take turns in one run, on loopback and with the same empty handler, so that their ratios mean
//! something on a machine whose speed does not stay the same. Prints p50 and p99 of one call at a time and
//! of 32 at once: `cargo bench -p mesh --bench mesh_path`.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{path::Path, pin::Pin, time::Duration};

use contracts::hub::agents::v1::{
    InvokeRequest, InvokeResponse, InvokeStreamRequest, InvokeStreamResponse, ListAgentsRequest,
    ListAgentsResponse,
    agent_service_client::AgentServiceClient,
    agent_service_server::{AgentService, AgentServiceServer},
};
use futures::{Stream, future::join_all};
use mesh::{
    CallContext, Channel, Clock, Config, Hub, Service, Sources,
    tls::dev::{DevAuthority, Leaf},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Channel as Tonic, Server, server::TcpIncoming},
};

const ROUNDS: usize = 40;
const CALLS: usize = 250;

#[derive(Clone)]
struct Empty;

#[tonic::async_trait]
impl AgentService for Empty {
    async fn invoke(&self, _: Request<InvokeRequest>) -> Result<Response<InvokeResponse>, Status> {
        Ok(Response::new(InvokeResponse::default()))
    }

    type InvokeStreamStream =
        Pin<Box<dyn Stream<Item = Result<InvokeStreamResponse, Status>> + Send>>;

    async fn invoke_stream(
        &self,
        _: Request<InvokeStreamRequest>,
    ) -> Result<Response<Self::InvokeStreamStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }

    async fn list_agents(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        Ok(Response::new(ListAgentsResponse::default()))
    }
}

async fn hub(folder: &Path, settings: &[(&str, String)]) -> Hub {
    let key = (
        "mesh.internal_key",
        "0123456789abcdef0123456789abcdef".to_owned(),
    );
    let sources = settings
        .iter()
        .chain([&key])
        .fold(Sources::default(), |sources, (path, value)| {
            sources.with_override(path, value)
        });
    Hub::builder()
        .config(Config::load(&sources).unwrap())
        .data_dir(folder)
        .build()
        .await
        .unwrap()
}

/// A process that serves, one that calls it, and the client of the second.
async fn pair(folder: &Path, protected: bool) -> (AgentServiceClient<Channel>, Hub) {
    let clock = Clock::system();
    let certificate = |name: &str, target: &str| {
        if !protected {
            return Vec::new();
        }
        let leaf = Leaf {
            name: name.to_owned(),
            targets: vec![target.to_owned()],
            hosts: Vec::new(),
            days: 1,
        };
        let authority = DevAuthority::open(folder, "hub.local", clock.now()).unwrap();
        authority.issue(&leaf, clock.now()).unwrap();
        let file = |name: String| folder.join(name).display().to_string();
        vec![
            ("tls.cert", file(format!("{name}.pem"))),
            ("tls.key", file(format!("{name}.key"))),
            ("tls.ca", file("ca.pem".to_owned())),
        ]
    };
    let server = hub(&folder.join("server"), &certificate("server", "agents")).await;
    let service = Service::builder("agents")
        .rpc(AgentServiceServer::new(Empty))
        .build();
    server.start(vec![service]).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scheme = if protected { "https" } else { "http" };
    let address = format!("{scheme}://{}", listener.local_addr().unwrap());
    tokio::spawn(mesh::rpc::serve_grpc(listener, server));
    let mut settings = certificate("client", "gateway");
    settings.push(("peers.agents", address));
    let client = hub(&folder.join("client"), &settings).await;
    (AgentServiceClient::new(client.channel()), client)
}

async fn tonic() -> AgentServiceClient<Tonic> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(
        Server::builder()
            .add_service(AgentServiceServer::new(Empty))
            .serve_with_incoming(incoming),
    );
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .tcp_nodelay(true)
        .connect()
        .await
        .unwrap();
    AgentServiceClient::new(channel)
}

/// Times `CALLS` calls, `at_once` of them at the same time.
async fn round<F, Fut>(clock: &Clock, at_once: usize, call: F) -> Vec<Duration>
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()>,
{
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS / at_once {
        let timed = (0..at_once).map(|_| async {
            let started = clock.monotonic();
            call().await;
            clock.monotonic() - started
        });
        times.extend(join_all(timed).await);
    }
    times
}

fn report(name: &str, at_once: usize, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    println!(
        "{name:<22} {at_once:>2} at once   p50 {:>6} us   p99 {:>6} us   ({} calls)",
        at(0.5),
        at(0.99),
        times.len()
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let clock = Clock::system();
    let folder = tempfile::tempdir().unwrap();
    let plain = tonic().await;
    let (open, open_hub) = pair(&folder.path().join("open"), false).await;
    let (tls, tls_hub) = pair(&folder.path().join("tls"), true).await;
    let context = |hub: &Hub| CallContext::new(hub.clock().clone(), "bench").with_caller("gateway");
    let (open_context, tls_context) = (context(&open_hub), context(&tls_hub));
    for at_once in [1, 32] {
        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..ROUNDS {
            let plain = round(&clock, at_once, || async {
                plain
                    .clone()
                    .list_agents(ListAgentsRequest {})
                    .await
                    .unwrap();
            })
            .await;
            let open = round(&clock, at_once, || async {
                let request = open_context.call(ListAgentsRequest {});
                open.clone().list_agents(request).await.unwrap();
            })
            .await;
            let tls = round(&clock, at_once, || async {
                let request = tls_context.call(ListAgentsRequest {});
                tls.clone().list_agents(request).await.unwrap();
            })
            .await;
            // The first turns open connections and warm everything up.
            if turn >= 4 {
                a.extend(plain);
                b.extend(open);
                c.extend(tls);
            }
        }
        report("tonic, plaintext", at_once, &mut a);
        report("mesh, plaintext", at_once, &mut b);
        report("mesh, mutual TLS", at_once, &mut c);
    }
}
