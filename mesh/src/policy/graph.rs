//! The call graph: who may call whom, and who hears which event.
//!
//! Each RPC declares the RPCs that it calls, each consumer what it hears and calls, and the edge may call
//! whatever people may call. A call that is not declared is refused, so the graph is what really happens:
//! allow lists, network policies, the broker's topology and the pictures in the documentation are derived
//! from it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{MethodPolicy, Role};

/// The declared call graph. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CallGraph {
    callers: Arc<BTreeMap<Arc<str>, Caller>>,
    allowed: Arc<HashMap<String, Arc<HashSet<Arc<str>>>>>,
}

/// Something that calls RPCs or hears events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// An RPC as `package.Service/Method`; a consumer or a task as `target.name`; the edge by its target.
    pub name: Arc<str>,
    /// What it is.
    pub kind: CallerKind,
    /// The process target that it runs in.
    pub target: String,
    /// RPCs that it may call, as `package.Service/Method`.
    pub calls: BTreeSet<String>,
    /// Event types that it hears; only consumers hear any.
    pub events: Vec<String>,
}

/// What a [`Caller`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// The handler of an RPC.
    Rpc,
    /// A consumer of events.
    Consumer {
        /// Whether each process that runs it hears an event, and not one of them.
        every_process: bool,
    },
    /// A background task.
    Task,
    /// The edge, on behalf of people and their programs.
    Edge,
}

impl CallGraph {
    /// The graph of the RPCs in `methods` and of what else is declared. Everything that does not fit
    /// together is added to `problems`.
    pub(super) fn new(
        methods: &HashMap<String, Arc<MethodPolicy>>,
        declared: Vec<Caller>,
        problems: &mut Vec<String>,
    ) -> Self {
        let rpcs = methods.values().map(|policy| Caller {
            name: Arc::from(policy.name()),
            kind: CallerKind::Rpc,
            target: policy.target.clone(),
            calls: policy.calls.iter().cloned().collect(),
            events: Vec::new(),
        });
        let mut callers = BTreeMap::new();
        for mut caller in rpcs.chain(declared) {
            match caller.kind {
                CallerKind::Edge => caller.calls = public(methods),
                CallerKind::Consumer { .. } | CallerKind::Task => {
                    if !caller.name.starts_with(&format!("{}.", caller.target)) {
                        problems.push(format!(
                            "{} must be called {}.something",
                            caller.name, caller.target
                        ));
                    }
                }
                CallerKind::Rpc => {}
            }
            let name = Arc::clone(&caller.name);
            if callers.insert(Arc::clone(&name), caller).is_some() {
                problems.push(format!("{name} is declared twice"));
            }
        }
        let mut allowed: HashMap<String, HashSet<Arc<str>>> = methods
            .values()
            .map(|policy| (policy.name().to_owned(), HashSet::new()))
            .collect();
        for caller in callers.values() {
            for call in &caller.calls {
                match allowed.get_mut(call) {
                    Some(names) => drop(names.insert(Arc::clone(&caller.name))),
                    None => problems.push(format!(
                        "{} calls {call}, which does not exist",
                        caller.name
                    )),
                }
            }
        }
        Self {
            callers: Arc::new(callers),
            allowed: Arc::new(
                allowed
                    .into_iter()
                    .map(|(rpc, names)| (rpc, Arc::new(names)))
                    .collect(),
            ),
        }
    }

    /// All callers, by name.
    pub fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.callers.values()
    }

    /// The caller called `name`.
    pub fn caller(&self, name: &str) -> Option<&Caller> {
        self.callers.get(name)
    }

    /// The consumers of events, by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Caller> {
        self.callers()
            .filter(|caller| matches!(caller.kind, CallerKind::Consumer { .. }))
    }

    /// Whether `caller` declares that it calls `rpc` (`package.Service/Method`).
    pub fn permits(&self, caller: &str, rpc: &str) -> bool {
        self.allowed
            .get(rpc)
            .is_some_and(|names| names.contains(caller))
    }

    /// Which target calls which other, and the RPCs that it calls there. Calls within a target are left
    /// out: they never leave the process.
    pub fn target_edges(
        &self,
        policies: &super::PolicyTable,
    ) -> BTreeMap<(String, String), BTreeSet<String>> {
        let mut edges: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for caller in self.callers() {
            for call in &caller.calls {
                let Some(callee) = policies.get(&format!("/{call}")) else {
                    continue;
                };
                if callee.target != caller.target {
                    edges
                        .entry((caller.target.clone(), callee.target.clone()))
                        .or_default()
                        .insert(call.clone());
                }
            }
        }
        edges
    }

    /// Who may call `rpc`.
    pub(crate) fn callers_of(&self, rpc: &str) -> Arc<HashSet<Arc<str>>> {
        self.allowed.get(rpc).cloned().unwrap_or_default()
    }

    /// The graph with one more call, for tests of the runtime.
    #[cfg(test)]
    pub(crate) fn with_call(&self, caller: &str, rpc: &str) -> Self {
        let mut allowed = HashMap::clone(&self.allowed);
        let mut names = HashSet::clone(&self.callers_of(rpc));
        names.insert(Arc::from(caller));
        allowed.insert(rpc.to_owned(), Arc::new(names));
        Self {
            callers: Arc::clone(&self.callers),
            allowed: Arc::new(allowed),
        }
    }
}

/// The RPCs that people may call.
fn public(methods: &HashMap<String, Arc<MethodPolicy>>) -> BTreeSet<String> {
    methods
        .values()
        .filter(|policy| policy.role != Role::Service)
        .map(|policy| policy.name().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::policy::PolicyTable;

    fn table() -> PolicyTable {
        PolicyTable::from_pool(contracts::descriptor_pool()).unwrap()
    }

    #[test]
    fn only_what_is_declared_is_permitted() {
        let table = table();
        let graph = table.graph();
        let fulfilment = "hub.orders.v1.OrderService/GetOrderForFulfilment";
        assert!(graph.permits("payments.charge", fulfilment));
        assert!(graph.permits("hub.payments.v1.PaymentService/ConfirmPayment", fulfilment));
        assert!(!graph.permits("payments.cancel", fulfilment));
        assert!(!graph.permits("gateway", fulfilment));
        assert!(graph.permits("gateway", "hub.orders.v1.OrderService/CreateOrder"));
        assert!(!graph.permits("nobody", "hub.orders.v1.OrderService/CreateOrder"));
        assert!(!graph.permits("gateway", "hub.orders.v1.OrderService/Nothing"));
    }

    #[test]
    fn edges_between_targets_leave_out_what_stays_in_the_process() {
        let table = table();
        let edges = table.graph().target_edges(&table);
        let edge = |from: &str, to: &str| edges.get(&(from.to_owned(), to.to_owned()));
        assert!(
            edge("payments", "orders")
                .unwrap()
                .contains("hub.orders.v1.OrderService/GetOrderForFulfilment")
        );
        assert!(edge("agents", "agents").is_none());
        assert!(edge("inventory", "payments").is_none());
        assert!(
            table
                .targets()
                .filter(|target| target.name != "gateway")
                .all(|target| edge("gateway", &target.name).is_some())
        );
    }

    #[test]
    fn consumers_hear_events_that_exist() {
        let pool = contracts::descriptor_pool();
        for consumer in table().graph().consumers() {
            assert!(!consumer.events.is_empty(), "{}", consumer.name);
            for event in &consumer.events {
                let message = format!("hub.events.v1.{event}");
                assert!(
                    pool.get_message_by_name(&message).is_some(),
                    "{} hears {event}",
                    consumer.name
                );
            }
        }
    }
}
