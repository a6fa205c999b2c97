//! What the edge must know about each RPC beyond its policy, worked out once from the descriptors.
//!
//! Nothing here names a route: that a reply opens a session shows in its type, that a request
//! exchanges a refresh token in its fields.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use contracts::hub::options::v1::Policy;
use mesh::{
    Hub,
    policy::{MethodPolicy, Ownership, PolicyTable, Role},
};
use metrics::{Counter, Histogram};
use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor, Value};
use transcoding::Transcoder;

const SESSION: &str = "hub.identity.v1.Session";
/// Requests whose success ends the caller's session.
const ENDS_SESSION: [&str; 2] = [
    "hub.identity.v1.LogoutRequest",
    "hub.identity.v1.DeleteMeRequest",
];

/// What the edge knows about one RPC.
#[derive(Debug)]
pub struct Route {
    /// The contract's policy.
    pub policy: Arc<MethodPolicy>,
    /// What success means for the session of a browser.
    pub session: SessionEffect,
    /// The request field that takes a refresh token, where a cookie may stand in for it.
    pub refresh_token: Option<u32>,
    /// The request field that says after which event a stream goes on (`Last-Event-ID`).
    pub resumes_after: Option<u32>,
    /// The reply fields that carry an event's id and type.
    pub event: EventFields,
    /// Whether an anonymous caller gets a guest session before the call.
    pub opens_guest_session: bool,
    /// How long answers to anonymous callers may be shared.
    pub shared: Option<Duration>,
    /// Whether success may change answers that are shared.
    pub stales_shared: bool,
    meters: Meters,
}

/// What a successful call does to the session of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEffect {
    /// Nothing.
    None,
    /// The reply is a new session.
    Opens,
    /// The session is over.
    Ends,
}

/// Fields that name an event in a streamed reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventFields {
    /// Number of `event_id`.
    pub id: Option<u32>,
    /// Number of `event_type`.
    pub kind: Option<u32>,
}

/// Made when first used, so that `/metrics` shows what has happened and not what could.
#[derive(Debug, Default)]
struct Meters {
    /// By class of HTTP status, 1xx to 5xx.
    requests: [OnceLock<Counter>; 5],
    duration: OnceLock<Histogram>,
}

/// All RPCs by their gRPC path.
#[derive(Debug)]
pub struct Routes {
    by_path: HashMap<String, Arc<Route>>,
}

impl Routes {
    /// Works out every RPC of `hub`.
    pub fn new(hub: &Hub) -> Self {
        Self::of(hub.policies())
    }

    fn of(policies: &PolicyTable) -> Self {
        let mut cached_packages = std::collections::HashSet::new();
        for policy in policies.iter() {
            if policy.cache.is_some() {
                cached_packages.insert(package(&policy.descriptor));
            }
        }
        let by_path = policies
            .iter()
            .map(|policy| {
                let stales = policy.cache.is_none()
                    && policy.role >= Role::Staff
                    && cached_packages.contains(&package(&policy.descriptor));
                (policy.path.clone(), Arc::new(Route::of(policy, stales)))
            })
            .collect();
        Self { by_path }
    }

    /// The RPC at `path`.
    pub fn get(&self, path: &str) -> Option<&Arc<Route>> {
        self.by_path.get(path)
    }

    /// The paths at which a refresh token is exchanged, on the REST and on the gRPC face.
    pub fn refresh_paths(&self, transcoder: &Transcoder) -> Vec<String> {
        let mut paths: Vec<String> = self
            .by_path
            .values()
            .filter(|route| route.refresh_token.is_some())
            .flat_map(|route| {
                transcoder
                    .bindings()
                    .filter(|binding| binding.grpc_path() == route.policy.path)
                    .map(|binding| binding.openapi_path().to_owned())
                    .chain([route.policy.path.clone()])
                    .collect::<Vec<_>>()
            })
            .collect();
        paths.sort();
        paths
    }
}

impl Route {
    fn of(policy: &Arc<MethodPolicy>, stales_shared: bool) -> Self {
        let (input, output) = (policy.descriptor.input(), policy.descriptor.output());
        let session = if output.full_name() == SESSION {
            SessionEffect::Opens
        } else if ENDS_SESSION.contains(&input.full_name()) {
            SessionEffect::Ends
        } else {
            SessionEffect::None
        };
        let refresh_token = (session == SessionEffect::Opens)
            .then(|| text_field(&input, "refresh_token"))
            .flatten();
        // A caller's rows are never anybody else's answer, whatever the cache option says.
        let shared = policy
            .cache
            .filter(|cache| cache.shared && policy.role == Role::Anonymous)
            .filter(|_| policy.ownership == Ownership::Unspecified && policy.is_unary())
            .map(|cache| cache.max_age);
        Self {
            session,
            refresh_token,
            resumes_after: policy
                .server_streaming
                .then(|| text_field(&input, "after_event_id"))
                .flatten(),
            event: EventFields {
                id: text_field(&output, "event_id"),
                kind: text_field(&output, "event_type"),
            },
            opens_guest_session: declared(&policy.descriptor)
                .is_some_and(|p| p.opens_guest_session),
            shared,
            stales_shared,
            meters: Meters::default(),
            policy: Arc::clone(policy),
        }
    }

    /// Counts one request.
    pub fn observe(&self, status: http::StatusCode, took: Duration) {
        const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        let policy = &self.policy;
        if let (Some(counter), Some(name)) = (self.meters.requests.get(class), CLASSES.get(class)) {
            counter
                .get_or_init(|| {
                    metrics::counter!(
                        "gateway_requests_total",
                        "service" => policy.service.clone(),
                        "method" => policy.method.clone(),
                        "status" => *name,
                    )
                })
                .increment(1);
        }
        self.meters
            .duration
            .get_or_init(|| {
                metrics::histogram!(
                    "gateway_request_duration_seconds",
                    "service" => policy.service.clone(),
                    "method" => policy.method.clone(),
                )
            })
            .record(took.as_secs_f64());
    }
}

fn package(method: &MethodDescriptor) -> String {
    method.parent_service().package_name().to_owned()
}

fn text_field(message: &MessageDescriptor, name: &str) -> Option<u32> {
    message
        .get_field_by_name(name)
        .filter(|field| field.kind() == Kind::String && !field.is_list())
        .map(|field| field.number())
}

/// The policy option as declared; for what mesh's table does not carry.
pub fn declared(method: &MethodDescriptor) -> Option<Policy> {
    let extension = method
        .parent_pool()
        .get_extension_by_name("hub.options.v1.policy")?;
    let options = method.options();
    match options.get_extension(&extension).as_ref() {
        Value::Message(message) => message.transcode_to().ok(),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(crate) fn routes() -> Routes {
        Routes::of(&PolicyTable::from_pool(contracts::descriptor_pool()).unwrap())
    }

    #[test]
    fn sessions_are_found_by_type() {
        let routes = routes();
        let session = |path: &str| routes.get(path).unwrap().session;
        assert_eq!(
            session("/hub.identity.v1.AuthService/Login"),
            SessionEffect::Opens
        );
        assert_eq!(
            session("/hub.identity.v1.AuthService/Logout"),
            SessionEffect::Ends
        );
        assert_eq!(
            session("/hub.identity.v1.UserService/GetMe"),
            SessionEffect::None
        );
        let refreshing: Vec<&str> = routes
            .by_path
            .values()
            .filter(|route| route.refresh_token.is_some())
            .map(|route| route.policy.method.as_str())
            .collect();
        assert_eq!(refreshing, ["RefreshSession"]);
    }

    #[test]
    fn only_what_does_not_depend_on_the_caller_is_shared() {
        let routes = routes();
        let get = |path: &str| routes.get(path).unwrap();
        assert!(
            get("/hub.catalog.v1.CatalogService/GetProduct")
                .shared
                .is_some()
        );
        assert!(get("/hub.orders.v1.OrderService/GetOrder").shared.is_none());
        for route in routes.by_path.values() {
            if route.shared.is_some() {
                assert_eq!(route.policy.role, Role::Anonymous);
            }
        }
        assert!(get("/hub.catalog.v1.CatalogManagementService/UpdateProduct").stales_shared);
        assert!(!get("/hub.catalog.v1.CatalogService/GetProduct").stales_shared);
    }

    #[test]
    fn streams_of_events_can_be_resumed() {
        let routes = routes();
        let stream = routes
            .get("/hub.orders.v1.OrderService/StreamOrderEvents")
            .unwrap();
        assert!(stream.resumes_after.is_some());
        assert!(stream.event.id.is_some() && stream.event.kind.is_some());
    }

    #[test]
    fn a_first_visit_can_fill_a_cart() {
        let routes = routes();
        assert!(
            routes
                .get("/hub.cart.v1.CartService/AddCartItem")
                .unwrap()
                .opens_guest_session
        );
        assert!(
            !routes
                .get("/hub.cart.v1.CartService/GetCart")
                .unwrap()
                .opens_guest_session
        );
    }
}
