//! What the contract says about each RPC, as a table.
//!
//! The policy options of the descriptors are read once at start. Everything that enforces something
//! (server layer, gateway, limits, cache, retries) asks this table, so there is no second place where
//! a role, a limit or a deadline is written down. A contract with a gap does not start.

mod graph;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use contracts::hub::options::v1 as options;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, MethodDescriptor, ServiceDescriptor, Value,
};

use crate::rpc::name_in;

pub use graph::{CallGraph, Caller, CallerKind};
pub use options::{Idempotency, Ownership, Priority, RateClass, Retry, Role};

/// The deadline of an RPC that declares none.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// The table: policy by the path of the RPC.
#[derive(Debug, Clone)]
pub struct PolicyTable {
    methods: Arc<HashMap<String, Arc<MethodPolicy>>>,
    targets: Arc<BTreeMap<String, Arc<Target>>>,
    graph: CallGraph,
}

/// A process target: what `hub serve --only` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Short name, for example `orders`.
    pub name: String,
    /// Default port of its gRPC listener.
    pub port: u16,
    /// Full names of the RPC services that belong to it alone; the edge has none.
    pub services: Vec<String>,
}

/// How long an answer may be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePolicy {
    /// Freshness life.
    pub max_age: Duration,
    /// Whether an answer to an anonymous caller may be shared.
    pub shared: bool,
}

/// Everything the contract says about one RPC.
#[derive(Debug, Clone)]
pub struct MethodPolicy {
    /// `/hub.orders.v1.OrderService/GetOrder`.
    pub path: String,
    /// `hub.orders.v1.OrderService`; with `@` and the target behind it where every target has the service.
    pub service: String,
    /// `GetOrder`.
    pub method: String,
    /// Name of the process target that serves it, for example `orders`.
    pub target: String,
    /// The least role that may call.
    pub role: Role,
    /// Which budget of requests it draws from.
    pub rate_class: RateClass,
    /// How long an answer may be reused; `None`: never.
    pub cache: Option<CachePolicy>,
    /// HTTP status of success on the REST face.
    pub success_status: u16,
    /// Time that the call may take in all.
    pub deadline: Duration,
    /// What an `Idempotency-Key` means.
    pub idempotency: Idempotency,
    /// Whether a client may send it again by itself.
    pub retry: Retry,
    /// Whether it changes nothing (`idempotency_level = NO_SIDE_EFFECTS`), so that it may be hedged.
    pub side_effect_free: bool,
    /// Who may see which rows.
    pub ownership: Ownership,
    /// What is shed first.
    pub priority: Priority,
    /// RPCs that it calls, as `hub.cart.v1.CartService/GetCart`.
    pub calls: Vec<String>,
    /// Whether it is offered to language models.
    pub mcp_tool: bool,
    /// Whether it has a REST binding.
    pub has_rest: bool,
    /// Why it has none; empty when it has.
    pub no_rest_reason: String,
    /// Whether the client sends a stream.
    pub client_streaming: bool,
    /// Whether the server sends a stream.
    pub server_streaming: bool,
    /// The descriptor.
    pub descriptor: MethodDescriptor,
}

impl MethodPolicy {
    /// `hub.orders.v1.OrderService/GetOrder`: its name in the call graph.
    pub fn name(&self) -> &str {
        self.path.trim_start_matches('/')
    }

    /// The policy of an RPC that every target has, as that of its own target.
    fn in_target(self) -> Self {
        let service = name_in(&self.service, &self.target);
        Self {
            path: format!("/{service}/{}", self.method),
            service,
            ..self
        }
    }

    /// Whether the call is one message in and one message out.
    pub fn is_unary(&self) -> bool {
        !self.client_streaming && !self.server_streaming
    }
}

/// The contract has gaps. Every one is listed, each naming its RPC or service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the contract is incomplete: {}", .0.join("; "))]
pub struct PolicyError(pub Vec<String>);

impl PolicyTable {
    /// Reads the policies of all services in `hub.*` packages.
    ///
    /// # Errors
    /// All gaps: an RPC without policy, role or rate class; one with neither REST binding nor
    /// `no_rest_reason`, or with both; a service without target; a declared call of an unknown RPC; a
    /// consumer or task that is declared twice or under another target's name.
    pub fn from_pool(pool: &DescriptorPool) -> Result<Self, PolicyError> {
        let missing = |name: &str| PolicyError(vec![format!("option {name} is not declared")]);
        let extension = |name: &str| {
            pool.get_extension_by_name(name)
                .ok_or_else(|| missing(name))
        };
        let reader = Reader {
            policy: extension("hub.options.v1.policy")?,
            target: extension("hub.options.v1.target")?,
            consumers: extension("hub.options.v1.consumers")?,
            tasks: extension("hub.options.v1.tasks")?,
            edge: extension("hub.options.v1.edge")?,
            http: extension("google.api.http")?,
        };
        let mut problems = Vec::new();
        let mut methods: HashMap<String, MethodPolicy> = HashMap::new();
        let mut everywhere = Vec::new();
        let mut targets: BTreeMap<String, Target> = BTreeMap::new();
        let mut callers = Vec::new();
        for file in pool.files() {
            let Some(edge) = read::<options::Edge>(&file.options(), &reader.edge) else {
                continue;
            };
            let Some(target) = edge.target.and_then(target_of) else {
                problems.push(format!("the edge in {} has no target", file.name()));
                continue;
            };
            callers.push(Caller {
                name: Arc::from(target.name.as_str()),
                kind: CallerKind::Edge,
                target: target.name.clone(),
                calls: Default::default(),
                events: Vec::new(),
            });
            callers.extend(declared(&target.name, edge.consumers, edge.tasks));
            targets.insert(target.name.clone(), target);
        }
        for service in pool.services() {
            if !service.package_name().starts_with("hub.") {
                continue;
            }
            if reader.is_everywhere(&service) {
                everywhere.push(service);
                continue;
            }
            let Some(target) = reader.target(&service) else {
                problems.push(format!("service {} has no target", service.full_name()));
                continue;
            };
            let entry = targets.entry(target.name.clone()).or_insert(target);
            entry.services.push(service.full_name().to_owned());
            let target = entry.name.clone();
            let declared_options = service.options();
            callers.extend(declared(
                &target,
                read_all(&declared_options, &reader.consumers),
                read_all(&declared_options, &reader.tasks),
            ));
            for method in service.methods() {
                match reader.method(&method, &target) {
                    Ok(policy) => drop(methods.insert(policy.path.clone(), policy)),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        let callees = targets
            .values()
            .filter(|target| !target.services.is_empty());
        let callees: Vec<&str> = callees.map(|target| target.name.as_str()).collect();
        for method in everywhere
            .iter()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            for target in &callees {
                match reader.method(&method, target) {
                    Ok(policy) => {
                        let policy = policy.in_target();
                        methods.insert(policy.path.clone(), policy);
                    }
                    Err(problem) => problems.push(problem),
                }
            }
        }
        let spread = Spread {
            everywhere: everywhere
                .iter()
                .map(ServiceDescriptor::full_name)
                .collect(),
            targets: &callees,
        };
        for caller in &mut callers {
            caller.calls = spread.calls(&caller.calls);
        }
        let methods: HashMap<String, Arc<MethodPolicy>> = methods
            .into_iter()
            .map(|(path, mut policy)| {
                policy.calls = spread.calls(&policy.calls);
                (path, Arc::new(policy))
            })
            .collect();
        let graph = CallGraph::new(&methods, callers, &mut problems);
        if !problems.is_empty() {
            problems.sort();
            return Err(PolicyError(problems));
        }
        Ok(Self {
            methods: Arc::new(methods),
            targets: Arc::new(
                targets
                    .into_iter()
                    .map(|(name, target)| (name, Arc::new(target)))
                    .collect(),
            ),
            graph,
        })
    }

    /// Who may call whom, and who hears which event.
    pub fn graph(&self) -> &CallGraph {
        &self.graph
    }

    /// The table with one more call in its graph, for tests of the runtime.
    #[cfg(test)]
    pub(crate) fn with_call(&self, caller: &str, rpc: &str) -> Self {
        Self {
            graph: self.graph.with_call(caller, rpc),
            ..self.clone()
        }
    }

    /// The policy of the RPC at `path`, for example `/hub.orders.v1.OrderService/GetOrder`.
    pub fn get(&self, path: &str) -> Option<&Arc<MethodPolicy>> {
        self.methods.get(path)
    }

    /// All RPCs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<MethodPolicy>> {
        self.methods.values()
    }

    /// All process targets by name.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.values()
    }

    /// The process target called `name`.
    pub fn target(&self, name: &str) -> Option<&Arc<Target>> {
        self.targets.get(name)
    }
}

/// What a declared call of a service that every target has stands for.
struct Spread<'a> {
    everywhere: HashSet<&'a str>,
    targets: &'a [&'a str],
}

impl Spread<'_> {
    fn calls<'c, C>(&self, declared: &'c C) -> C
    where
        &'c C: IntoIterator<Item = &'c String>,
        C: FromIterator<String>,
    {
        let spread = |call: &String| match call.split_once('/') {
            Some((service, method)) if self.everywhere.contains(service) => self
                .targets
                .iter()
                .map(|target| format!("{}/{method}", name_in(service, target)))
                .collect(),
            _ => vec![call.clone()],
        };
        declared.into_iter().flat_map(spread).collect()
    }
}

struct Reader {
    policy: ExtensionDescriptor,
    target: ExtensionDescriptor,
    consumers: ExtensionDescriptor,
    tasks: ExtensionDescriptor,
    edge: ExtensionDescriptor,
    http: ExtensionDescriptor,
}

impl Reader {
    fn target(&self, service: &ServiceDescriptor) -> Option<Target> {
        target_of(read(&service.options(), &self.target)?)
    }

    fn is_everywhere(&self, service: &ServiceDescriptor) -> bool {
        read::<options::Target>(&service.options(), &self.target).is_some_and(|target| target.every)
    }

    fn method(&self, method: &MethodDescriptor, target: &str) -> Result<MethodPolicy, String> {
        let service = method.parent_service().full_name().to_owned();
        let path = format!("/{service}/{}", method.name());
        let declared = method.options();
        let policy: options::Policy =
            read(&declared, &self.policy).ok_or_else(|| format!("{path} has no policy"))?;
        if policy.role() == Role::Unspecified {
            return Err(format!("{path} declares no role"));
        }
        if policy.rate_class() == RateClass::Unspecified {
            return Err(format!("{path} declares no rate class"));
        }
        let has_rest = declared.has_extension(&self.http);
        match (has_rest, policy.no_rest_reason.is_empty()) {
            (false, true) => {
                return Err(format!(
                    "{path} has neither a REST binding nor a no_rest_reason"
                ));
            }
            (true, false) => {
                return Err(format!("{path} has a REST binding and a no_rest_reason"));
            }
            _ => {}
        }
        let success_status = match policy.success_status {
            0 => 200,
            status @ 200..=299 => status as u16,
            other => return Err(format!("{path} declares success status {other}")),
        };
        let side_effect_free = is_side_effect_free(&declared);
        if side_effect_free && policy.retry() != Retry::Safe {
            return Err(format!(
                "{path} has no side effects, so it must declare retry: RETRY_SAFE"
            ));
        }
        let duration = |value: prost_types::Duration| {
            Duration::try_from(value).map_err(|_| format!("{path} declares a negative duration"))
        };
        let deadline = policy.deadline.map(duration).transpose()?;
        let cache = match &policy.cache {
            None => None,
            Some(cache) => Some(CachePolicy {
                max_age: cache
                    .max_age
                    .map(duration)
                    .transpose()?
                    .ok_or_else(|| format!("{path} declares a cache without max_age"))?,
                shared: cache.shared,
            }),
        };
        Ok(MethodPolicy {
            method: method.name().to_owned(),
            target: target.to_owned(),
            role: policy.role(),
            rate_class: policy.rate_class(),
            cache,
            success_status,
            deadline: deadline
                .filter(|d| !d.is_zero())
                .unwrap_or(DEFAULT_DEADLINE),
            idempotency: policy.idempotency(),
            retry: policy.retry(),
            side_effect_free,
            ownership: policy.ownership(),
            priority: policy.priority(),
            mcp_tool: policy.mcp_tool,
            has_rest,
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            descriptor: method.clone(),
            calls: policy.calls,
            no_rest_reason: policy.no_rest_reason,
            service,
            path,
        })
    }
}

fn target_of(target: options::Target) -> Option<Target> {
    if target.name.is_empty() {
        return None;
    }
    Some(Target {
        name: target.name,
        port: u16::try_from(target.port).ok()?,
        services: Vec::new(),
    })
}

/// The consumers and tasks of a target, as callers.
fn declared(
    target: &str,
    consumers: Vec<options::Consumer>,
    tasks: Vec<options::Task>,
) -> impl Iterator<Item = Caller> {
    let consumers = consumers.into_iter().map(|consumer| Caller {
        kind: CallerKind::Consumer {
            every_process: consumer.audience() == options::Audience::EveryProcess,
        },
        name: Arc::from(consumer.name),
        target: target.to_owned(),
        calls: consumer.calls.into_iter().collect(),
        events: consumer.events,
    });
    let tasks = tasks.into_iter().map(|task| Caller {
        kind: CallerKind::Task,
        name: Arc::from(task.name),
        target: target.to_owned(),
        calls: task.calls.into_iter().collect(),
        events: Vec::new(),
    });
    consumers.chain(tasks).collect::<Vec<_>>().into_iter()
}

/// Whether the method says `option idempotency_level = NO_SIDE_EFFECTS`.
fn is_side_effect_free(options: &DynamicMessage) -> bool {
    options
        .get_field_by_name("idempotency_level")
        .and_then(|level| level.as_enum_number())
        == Some(prost_types::method_options::IdempotencyLevel::NoSideEffects as i32)
}

fn read_all<M: prost::Message + Default>(
    options: &DynamicMessage,
    extension: &ExtensionDescriptor,
) -> Vec<M> {
    match options.get_extension(extension).as_ref() {
        Value::List(messages) => messages
            .iter()
            .filter_map(|value| value.as_message()?.transcode_to().ok())
            .collect(),
        _ => Vec::new(),
    }
}

fn read<M: prost::Message + Default>(
    options: &DynamicMessage,
    extension: &ExtensionDescriptor,
) -> Option<M> {
    if !options.has_extension(extension) {
        return None;
    }
    match options.get_extension(extension).as_ref() {
        Value::Message(message) => message.transcode_to().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_contract_has_no_gaps() {
        let table = PolicyTable::from_pool(contracts::descriptor_pool()).unwrap();
        let mut ports = std::collections::HashSet::new();
        for target in table.targets() {
            assert!(ports.insert(target.port), "port {} twice", target.port);
            assert!(!target.services.is_empty() || target.name == "gateway");
        }
        for policy in table.iter() {
            assert!(
                policy.deadline <= Duration::from_secs(3600),
                "{}",
                policy.path
            );
            assert!(
                policy.role != Role::Service || !policy.has_rest,
                "{} is for services only and must not have a REST binding",
                policy.path
            );
            assert!(
                policy.cache.is_none() || policy.is_unary(),
                "{} is cached but streams",
                policy.path
            );
        }
    }
}
