//! The gRPC face of a process: its RPC services, health and reflection.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::Builder;
use tower::Service;

use super::{Channel, RpcService, everywhere::contract_name, stream::GuardedStream};

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
const HEALTH: &str = "/grpc.health.v1.Health/";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/";
const REFLECTION_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/";

/// Whether `path` is one of `grpc.health.v1`.
pub(super) fn is_health(path: &str) -> bool {
    path.starts_with(HEALTH)
}

/// Serves gRPC requests: every RPC service of the contracts, `grpc.health.v1` and
/// `grpc.reflection.v1` and `v1alpha`. Cheap to clone.
///
/// The caller is whom the [`CallContext`](super::CallContext) in the request's extensions says, which
/// only code of this process can put there; without one the call is anonymous.
#[derive(Clone)]
pub struct GrpcRoutes {
    channel: Channel,
    scope: Scope,
    builtin: Arc<Builtin>,
}

/// Which RPC services are served.
#[derive(Clone, Copy)]
pub(super) enum Scope {
    /// All, those of other processes by forwarding.
    Everywhere,
    /// Those that run in this process.
    Here,
}

struct Builtin {
    health: Box<dyn RpcService>,
    reflection: Box<dyn RpcService>,
    reflection_alpha: Box<dyn RpcService>,
}

impl GrpcRoutes {
    /// The routes over `channel`; health comes from `reporter`.
    ///
    /// # Errors
    /// The descriptor set cannot be reflected.
    pub(crate) fn new(
        channel: Channel,
        reporter: HealthReporter,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let names: BTreeSet<String> = channel
            .registry()
            .all_services()
            .map(|name| contract_name(name).into_owned())
            .collect();
        let reflection = || {
            names.iter().fold(
                Builder::configure()
                    .register_encoded_file_descriptor_set(contracts::DESCRIPTORS)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                    .with_service_name("grpc.health.v1.Health"),
                |builder, name| builder.with_service_name(name.clone()),
            )
        };
        let builtin = Builtin {
            health: Box::new(tonic_health::pb::health_server::HealthServer::new(
                HealthService::from_health_reporter(reporter),
            )),
            reflection: Box::new(reflection().build_v1()?),
            reflection_alpha: Box::new(reflection().build_v1alpha()?),
        };
        Ok(Self {
            channel,
            scope: Scope::Everywhere,
            builtin: Arc::new(builtin),
        })
    }

    /// The same, but only for the services of this process.
    pub(super) fn of_this_process(&self) -> Self {
        Self {
            scope: Scope::Here,
            ..self.clone()
        }
    }

    /// Serves one request.
    pub async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        if path.starts_with("/grpc.") {
            let builtin = if path.starts_with(HEALTH) {
                Some(&self.builtin.health)
            } else if path.starts_with(REFLECTION) {
                Some(&self.builtin.reflection)
            } else if path.starts_with(REFLECTION_ALPHA) {
                Some(&self.builtin.reflection_alpha)
            } else {
                None
            };
            if path == HEALTH_CHECK {
                // One question has one answer, during a drain too.
                return self.builtin.health.serve(request).await;
            }
            if let Some(service) = builtin {
                // Watchers of health and reflection stay as long as they like, but not beyond a drain.
                let draining = &self.channel.registry().draining;
                return service
                    .serve(request)
                    .await
                    .map(|body| Body::new(GuardedStream::until_drain(body, draining.clone())));
            }
        }
        match self.scope {
            Scope::Everywhere => self.channel.dispatch(request).await,
            Scope::Here => self.channel.dispatch_local(request).await,
        }
    }
}

impl Service<Request<Body>> for GrpcRoutes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let routes = self.clone();
        Box::pin(async move { Ok(routes.serve(request).await) })
    }
}

impl fmt::Debug for GrpcRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrpcRoutes")
    }
}
