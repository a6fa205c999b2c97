//! Envoy as the edge: it transcodes JSON and gRPC-Web with our descriptors, checks tokens with our keys, and passes
//! gRPC on to the hub's gateway, which still decides who may do what.

use std::{net::SocketAddr, path::Path};

use gateway::{AuthConfig, cors};
use mesh::{
    config::RateLimits,
    policy::{MethodPolicy, PolicyTable, Role},
};
use serde_json::{Value, json};

use super::parts::{HostPort, cluster, filter, route, router, typed};

const UPSTREAM: &str = "hub";
const PROVIDER: &str = "hub";
/// The largest request that the hub takes, in bytes.
const BODY_LIMIT: u32 = 1024 * 1024;

/// What the configuration depends on.
pub struct Edge<'a> {
    pub policies: &'a PolicyTable,
    pub bind: SocketAddr,
    pub upstream: HostPort,
    pub descriptors: &'a Path,
    pub origins: Vec<String>,
    pub auth: AuthConfig,
    pub limits: RateLimits,
}

impl Edge<'_> {
    /// The whole configuration.
    pub fn bootstrap(&self) -> anyhow::Result<Value> {
        let bind = HostPort::new(self.bind.ip().to_string(), self.bind.port());
        let mut hub = cluster(UPSTREAM, &self.upstream);
        hub["health_checks"] = json!([{
            "timeout": "1s", "interval": "2s", "unhealthy_threshold": 2, "healthy_threshold": 1,
            "grpc_health_check": {},
        }]);
        Ok(json!({
            "static_resources": {
                "listeners": [{
                    "name": "edge",
                    "address": bind.address(),
                    "per_connection_buffer_limit_bytes": BODY_LIMIT,
                    "filter_chains": [{"filters": [filter(
                        "envoy.filters.network.http_connection_manager",
                        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        self.connection_manager(),
                    )]}],
                }],
                "clusters": [hub],
            },
        }))
    }

    fn connection_manager(&self) -> Value {
        json!({
            "stat_prefix": "edge",
            "codec_type": "AUTO",
            "use_remote_address": true,
            // Requests are told apart by ids that the hub makes; one that a client sends is kept.
            "generate_request_id": false,
            "preserve_external_request_id": true,
            "normalize_path": true,
            "merge_slashes": false,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "request_headers_timeout": "15s",
            "stream_idle_timeout": "75s",
            "max_request_headers_kb": 16,
            "common_http_protocol_options": {
                "idle_timeout": "75s",
                "headers_with_underscores_action": "DROP_HEADER",
            },
            "http2_protocol_options": {"max_concurrent_streams": 256},
            "http_filters": [
                self.rate_limit(),
                filter("envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors", json!({})),
                filter("envoy.filters.http.grpc_web", "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb", json!({})),
                self.transcoder(),
                // Behind the transcoder: there is one path for each RPC by then, however it was called.
                self.authentication(),
                router(),
            ],
            "route_config": {
                "name": "edge",
                "virtual_hosts": [{
                    "name": "hub",
                    "domains": ["*"],
                    "typed_per_filter_config": {"envoy.filters.http.cors": self.cross_origin()},
                    "routes": self.routes(),
                }],
            },
        })
    }

    /// By path, so that the file is the same from run to run.
    fn rpcs(&self) -> Vec<&MethodPolicy> {
        let mut rpcs: Vec<&MethodPolicy> = self
            .policies
            .iter()
            .map(AsRef::as_ref)
            .filter(|policy| policy.role != Role::Service)
            .collect();
        rpcs.sort_by(|a, b| a.path.cmp(&b.path));
        rpcs
    }

    fn routes(&self) -> Vec<Value> {
        let mut routes: Vec<Value> = self
            .rpcs()
            .into_iter()
            .map(|policy| route(policy, UPSTREAM))
            .collect();
        // Pages, health, reflection, and REST paths before they are transcoded.
        routes.push(json!({
            "match": {"prefix": "/"},
            "route": {"cluster": UPSTREAM, "timeout": "10s"},
        }));
        routes
    }

    fn transcoder(&self) -> Value {
        let mut services: Vec<&str> = self
            .rpcs()
            .into_iter()
            .filter(|policy| policy.has_rest)
            .map(|policy| policy.service.as_str())
            .collect();
        services.dedup();
        filter(
            "envoy.filters.http.grpc_json_transcoder",
            "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
            json!({
                "proto_descriptor": self.descriptors,
                "services": services,
                "print_options": {
                    "add_whitespace": false,
                    "always_print_primitive_fields": true,
                    "preserve_proto_field_names": true,
                },
                "convert_grpc_status": true,
                "max_request_body_size": BODY_LIMIT,
                "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_RESERVED",
                "request_validation_options": {"reject_unknown_query_parameters": true},
            }),
        )
    }

    /// A token that is there must be good; where the contract wants a customer, there must be one.
    fn authentication(&self) -> Value {
        let provider = json!({"provider_name": PROVIDER});
        let optional = json!({"requires_any": {"requirements": [provider, {"allow_missing": {}}]}});
        let rules: Vec<Value> = self
            .rpcs()
            .into_iter()
            .map(|policy| {
                let anybody = matches!(policy.role, Role::Anonymous | Role::Guest);
                let requires = if anybody { &optional } else { &provider };
                json!({"match": {"path": policy.path}, "requires": requires})
            })
            .collect();
        filter(
            "envoy.filters.http.jwt_authn",
            "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            json!({
                "providers": {PROVIDER: {
                    "issuer": self.auth.issuer,
                    "audiences": [self.auth.audience],
                    // The hub looks at the token itself: it knows who was signed out meanwhile.
                    "forward": true,
                    "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
                    "from_cookies": [gateway::ACCESS_COOKIE],
                    "clock_skew_seconds": 5,
                    "remote_jwks": {
                        "http_uri": {
                            "uri": format!("http://{}/.well-known/jwks.json", self.upstream.authority()),
                            "cluster": UPSTREAM,
                            "timeout": "2s",
                        },
                        "cache_duration": "300s",
                    },
                }},
                "rules": rules,
            }),
        )
    }

    fn cross_origin(&self) -> Value {
        let origins: Vec<Value> = self
            .origins
            .iter()
            .map(|origin| json!({"exact": origin}))
            .collect();
        typed(
            "envoy.extensions.filters.http.cors.v3.CorsPolicy",
            json!({
                "allow_origin_string_match": origins,
                "allow_methods": cors::ALLOWED_METHODS,
                "allow_headers": cors::ALLOWED_HEADERS,
                "expose_headers": cors::READABLE_HEADERS,
                "allow_credentials": true,
                "max_age": "7200",
            }),
        )
    }

    /// No connection may ask more often than the most trusted caller may; whose budget is smaller is known to the
    /// hub alone.
    fn rate_limit(&self) -> Value {
        let per_minute = self.limits.admin;
        let bucket = json!({
            "max_tokens": per_minute.max(1), "tokens_per_fill": per_minute.max(1), "fill_interval": "60s",
        });
        let share =
            json!({"numerator": if per_minute == 0 { 0 } else { 100 }, "denominator": "HUNDRED"});
        filter(
            "envoy.filters.http.local_ratelimit",
            "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            json!({
                "stat_prefix": "edge",
                "token_bucket": bucket,
                "filter_enabled": {"default_value": share},
                "filter_enforced": {"default_value": share},
                "local_rate_limit_per_downstream_connection": true,
                "enable_x_ratelimit_headers": "OFF",
                "response_headers_to_add": [{"header": {"key": "retry-after", "value": "60"}}],
            }),
        )
    }
}
