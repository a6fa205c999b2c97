//! What the configurations for the edge and for a sidecar have in common.

use std::time::Duration;

use anyhow::Context;
use mesh::policy::{MethodPolicy, Retry};
use serde_json::{Value, json};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Reads `host:port`; an IPv6 address is in brackets.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (host, port) = text
            .rsplit_once(':')
            .with_context(|| format!("{text:?} is not HOST:PORT"))?;
        let port = port
            .parse()
            .with_context(|| format!("{text:?} is not HOST:PORT"))?;
        Ok(Self::new(host.trim_matches(['[', ']']), port))
    }

    pub fn address(&self) -> Value {
        json!({"socket_address": {"address": self.host, "port_value": self.port}})
    }

    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// A message of an extension.
pub fn typed(name: &str, message: Value) -> Value {
    let mut message = message;
    message["@type"] = json!(format!("type.googleapis.com/{name}"));
    message
}

/// An HTTP filter.
pub fn filter(name: &str, message: &str, settings: Value) -> Value {
    json!({"name": name, "typed_config": typed(message, settings)})
}

/// The last filter of every chain.
pub fn router() -> Value {
    filter(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        json!({}),
    )
}

/// A duration in proto3 JSON.
pub fn seconds(duration: Duration) -> Value {
    json!(format!("{}s", duration.as_secs_f64()))
}

/// The route of one RPC: its own deadline, and retries as far as the contract says that they are safe.
pub fn route(policy: &MethodPolicy, cluster: &str) -> Value {
    // A stream may go on as long as it is alive; what keeps it in bounds is the hub.
    let timeout = if policy.is_unary() {
        policy.deadline
    } else {
        Duration::ZERO
    };
    json!({
        "match": {"path": policy.path},
        "route": {
            "cluster": cluster,
            "timeout": seconds(timeout),
            "retry_policy": {
                "retry_on": retry_on(policy),
                "num_retries": 2,
                "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
                "retry_host_predicate": [filter(
                    "envoy.retry_host_predicates.previous_hosts",
                    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                    json!({}),
                )],
                "host_selection_retry_max_attempts": 3,
            },
        },
    })
}

/// What has certainly not reached a handler is sent again; what may have, only if that does no harm.
fn retry_on(policy: &MethodPolicy) -> &'static str {
    match policy.retry {
        Retry::Safe => "connect-failure,refused-stream,reset,unavailable",
        Retry::Unspecified => "connect-failure,refused-stream,reset-before-request",
    }
}

/// A cluster of gRPC servers: HTTP/2, balanced by the least loaded of two, failing hosts ejected for a while.
pub fn cluster(name: &str, upstream: &HostPort) -> Value {
    json!({
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "dns_refresh_rate": "5s",
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                json!({"explicit_http_config": {"http2_protocol_options": {
                    "connection_keepalive": {"interval": "20s", "timeout": "5s"},
                }}}),
            ),
        },
        "outlier_detection": {
            "consecutive_5xx": 5,
            "consecutive_gateway_failure": 5,
            "interval": "5s",
            "base_ejection_time": "10s",
            "max_ejection_percent": 50,
        },
        "circuit_breakers": {"thresholds": [{
            "max_connections": 1024, "max_pending_requests": 1024, "max_requests": 4096,
            "retry_budget": {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 3},
        }]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": upstream.address()}}]}],
        },
    })
}
