//! Envoy beside one process: it holds the process's identity, lets in only what the call graph declares, and
//! balances what goes out. The process itself listens on loopback and runs with `--plaintext`.
//!
//! ```text
//! others ── mTLS ─► Envoy :50055 ─► hub serve --only orders --plaintext --grpc 127.0.0.1:60055
//!                   Envoy 127.0.0.1:15001 ◄─ [peers] …="http://127.0.0.1:15001"
//!                     └── mTLS ─► the Envoys of others
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use mesh::{
    config::Config,
    policy::{PolicyTable, Target},
    tls::TlsSettings,
};
use serde_json::{Value, json};

use super::parts::{HostPort, cluster, filter, route, router, typed};

/// The process behind the sidecar listens this much above the port of its target.
const BEHIND: u16 = 10_000;
/// Where the process finds everybody else.
const OUTBOUND_PORT: u16 = 15_001;
const LOOPBACK: &str = "127.0.0.1";
const SELF: &str = "this-process";
const UPSTREAM_TLS: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const DOWNSTREAM_TLS: &str = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const SECRET: &str = "envoy.extensions.transport_sockets.tls.v3.Secret";

/// What the configuration depends on.
pub struct Sidecar<'a> {
    policies: &'a PolicyTable,
    target: Arc<Target>,
    trust_domain: String,
    identity: PathBuf,
}

impl<'a> Sidecar<'a> {
    /// The sidecar of `target`, whose certificates lie in the folder `identity`.
    ///
    /// # Errors
    /// There is no such target, or a setting that cannot be used.
    pub fn of(
        policies: &'a PolicyTable,
        config: &Config,
        target: &str,
        identity: &Path,
    ) -> anyhow::Result<Self> {
        let tls: TlsSettings = config.section("tls")?;
        Ok(Self {
            policies,
            target: Arc::clone(
                policies
                    .target(target)
                    .with_context(|| format!("there is no service {target}"))?,
            ),
            trust_domain: tls.trust_domain,
            identity: identity.to_owned(),
        })
    }

    /// The whole configuration.
    pub fn bootstrap(&self) -> Value {
        let behind = HostPort::new(LOOPBACK, self.target.port + BEHIND);
        let mut clusters = vec![cluster(SELF, &behind)];
        clusters.extend(self.callees().values().map(|target| self.callee(target)));
        json!({
            "node": {"id": format!("hub-{}", self.target.name), "cluster": "hub"},
            "static_resources": {
                "listeners": [self.inbound(), self.outbound()],
                "clusters": clusters,
            },
        })
    }

    /// The file that names the process's own certificate. Envoy reads it, and what it names, again when it changes.
    pub fn identity(&self) -> Value {
        let file = |name: &str| json!({"filename": self.identity.join(name)});
        secret(
            "identity",
            json!({"tls_certificate": {
                "certificate_chain": file("tls.crt"),
                "private_key": file("tls.key"),
                "watched_directory": {"path": self.identity},
            }}),
        )
    }

    /// The file that names whom to believe.
    pub fn trust(&self) -> Value {
        secret(
            "trust",
            json!({"validation_context": {
                "trusted_ca": {"filename": self.identity.join("ca.crt")},
                "watched_directory": {"path": self.identity},
            }}),
        )
    }

    fn spiffe(&self, target: &str) -> String {
        format!("spiffe://{}/hub/{target}", self.trust_domain)
    }

    fn inbound(&self) -> Value {
        let mut tls = self.tls(json!({"prefix": self.spiffe("")}));
        tls["alpn_protocols"] = json!(["h2"]);
        let address = HostPort::new("0.0.0.0", self.target.port);
        listener(
            "inbound",
            &address,
            &[self.permissions(), router()],
            &[json!({
                "match": {"prefix": "/"},
                "route": {"cluster": SELF, "timeout": "0s"},
            })],
            Some(json!({
                "name": "envoy.transport_sockets.tls",
                "typed_config": typed(
                    DOWNSTREAM_TLS,
                    json!({"require_client_certificate": true, "common_tls_context": tls}),
                ),
            })),
        )
    }

    /// Who may call which RPC of this target: the declared call graph, by identity.
    fn permissions(&self) -> Value {
        let mut policies = serde_json::Map::new();
        for (callers, rpcs) in self.rpcs_by_callers() {
            let name = callers.iter().cloned().collect::<Vec<_>>().join("+");
            let paths: Vec<Value> = rpcs
                .iter()
                .map(|rpc| json!({"url_path": {"path": {"exact": format!("/{rpc}")}}}))
                .collect();
            let principals: Vec<Value> = callers
                .iter()
                .map(|target| {
                    let id = self.spiffe(target);
                    json!({"authenticated": {"principal_name": {"exact": id}}})
                })
                .collect();
            policies.insert(
                name,
                json!({"permissions": paths, "principals": principals}),
            );
        }
        filter(
            "envoy.filters.http.rbac",
            "envoy.extensions.filters.http.rbac.v3.RBAC",
            json!({"rules": {"action": "ALLOW", "policies": policies}}),
        )
    }

    /// RPCs of this target that other targets call, grouped by who does.
    fn rpcs_by_callers(&self) -> BTreeMap<BTreeSet<String>, BTreeSet<String>> {
        let mut callers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for ((from, to), rpcs) in self.policies.graph().target_edges(self.policies) {
            if to == self.target.name {
                for rpc in rpcs {
                    callers.entry(rpc).or_default().insert(from.clone());
                }
            }
        }
        let mut groups: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
        for (rpc, targets) in callers {
            groups.entry(targets).or_default().insert(rpc);
        }
        groups
    }

    fn outbound(&self) -> Value {
        let callees = self.callees();
        let mut routes = Vec::new();
        for ((from, to), rpcs) in self.policies.graph().target_edges(self.policies) {
            if from != self.target.name || !callees.contains_key(&to) {
                continue;
            }
            for rpc in rpcs {
                if let Some(policy) = self.policies.get(&format!("/{rpc}")) {
                    routes.push(route(policy, &to));
                }
            }
        }
        let address = HostPort::new(LOOPBACK, OUTBOUND_PORT);
        listener("outbound", &address, &[router()], &routes, None)
    }

    /// The targets that this one calls.
    fn callees(&self) -> BTreeMap<String, Arc<Target>> {
        self.policies
            .graph()
            .target_edges(self.policies)
            .into_keys()
            .filter(|(from, _)| *from == self.target.name)
            .filter_map(|(_, to)| Some((to.clone(), Arc::clone(self.policies.target(&to)?))))
            .collect()
    }

    fn callee(&self, target: &Target) -> Value {
        let upstream = HostPort::new(format!("hub-{}", target.name), target.port);
        let mut callee = cluster(&target.name, &upstream);
        callee["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": typed(UPSTREAM_TLS, json!({
                "sni": format!("hub-{}", target.name),
                "common_tls_context": self.tls(json!({"exact": self.spiffe(&target.name)})),
            })),
        });
        callee
    }

    /// Our certificate, and theirs: signed by the authority, with an identity that matches.
    fn tls(&self, identity: Value) -> Value {
        let file = |name: &str| {
            json!({
                "name": name,
                "sds_config": {
                    "path_config_source": {"path": format!("./{name}.json")},
                    "resource_api_version": "V3",
                },
            })
        };
        json!({
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
            "tls_certificate_sds_secret_configs": [file("identity")],
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": identity}],
                },
                "validation_context_sds_secret_config": file("trust"),
            },
        })
    }
}

fn secret(name: &str, content: Value) -> Value {
    let mut resource = content;
    resource["name"] = json!(name);
    json!({"resources": [typed(SECRET, resource)]})
}

fn listener(
    name: &str,
    address: &HostPort,
    filters: &[Value],
    routes: &[Value],
    transport: Option<Value>,
) -> Value {
    let manager = filter(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": name,
            "codec_type": "HTTP2",
            "generate_request_id": false,
            "stream_idle_timeout": "75s",
            "http_filters": filters,
            "route_config": {
                "name": name,
                "virtual_hosts": [{"name": "hub", "domains": ["*"], "routes": routes}],
            },
        }),
    );
    let mut chain = json!({"filters": [manager]});
    if let Some(transport) = transport {
        chain["transport_socket"] = transport;
    }
    json!({"name": name, "address": address.address(), "filter_chains": [chain]})
}
