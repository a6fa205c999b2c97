//! `hub graph`: who calls whom and who hears what, as the contract declares it.

use std::fmt::Write;

use mesh::policy::{CallGraph, Caller, CallerKind, PolicyTable};
use serde_json::{Value, json};

use crate::{cli::GraphFormat, overview::write_out};

/// Prints the graph.
///
/// # Errors
/// A contract with gaps.
pub fn print(format: GraphFormat) -> anyhow::Result<()> {
    let policies = PolicyTable::from_pool(contracts::descriptor_pool())?;
    let text = match format {
        GraphFormat::Text => text(&policies),
        GraphFormat::Json => format!("{:#}\n", json(&policies)),
        GraphFormat::Dot => dot(&policies),
    };
    write_out(&text)
}

fn text(policies: &PolicyTable) -> String {
    let graph = policies.graph();
    let mut text = String::from("Calls between targets:\n");
    for ((from, to), rpcs) in graph.target_edges(policies) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {from} -> {to}");
        // What the edge passes on is every RPC that people may call: a list of it says nothing.
        if is_edge(graph, &from) {
            let _ = writeln!(text, "    every RPC that people may call ({})", rpcs.len());
        } else {
            for rpc in rpcs {
                let _ = writeln!(text, "    {rpc}");
            }
        }
    }
    text.push_str("\nCallers:\n");
    for caller in graph.callers().filter(|caller| names_its_calls(caller)) {
        let _ = writeln!(
            text,
            "  {} ({}, {})",
            caller.name,
            kind(caller),
            caller.target
        );
        for call in &caller.calls {
            let _ = writeln!(text, "    -> {call}");
        }
    }
    text.push_str("\nConsumers of events:\n");
    for consumer in graph.consumers() {
        let _ = writeln!(
            text,
            "  {} ({}): {}",
            consumer.name,
            audience(consumer),
            consumer.events.join(", ")
        );
    }
    text
}

fn json(policies: &PolicyTable) -> Value {
    let graph = policies.graph();
    let targets: Vec<Value> = policies
        .targets()
        .map(
            |target| json!({"name": target.name, "port": target.port, "services": target.services}),
        )
        .collect();
    let edges: Vec<Value> = graph
        .target_edges(policies)
        .into_iter()
        .map(|((from, to), rpcs)| json!({"from": from, "to": to, "rpcs": rpcs}))
        .collect();
    let callers: Vec<Value> = graph
        .callers()
        .filter(|caller| !caller.calls.is_empty())
        .map(|caller| {
            json!({
                "name": *caller.name,
                "kind": kind(caller),
                "target": caller.target,
                "calls": caller.calls,
            })
        })
        .collect();
    let consumers: Vec<Value> = graph
        .consumers()
        .map(|consumer| {
            json!({
                "name": *consumer.name,
                "target": consumer.target,
                "audience": audience(consumer),
                "events": consumer.events,
            })
        })
        .collect();
    json!({"targets": targets, "edges": edges, "callers": callers, "consumers": consumers})
}

/// Targets as boxes, calls as solid arrows, events as dashed ones from the type to the consumer's target.
fn dot(policies: &PolicyTable) -> String {
    let graph = policies.graph();
    let mut text = String::from("digraph hub {\n  rankdir=LR;\n  node [shape=box];\n");
    for target in policies.targets() {
        let _ = writeln!(text, "  \"{}\";", target.name);
    }
    for ((from, to), rpcs) in graph.target_edges(policies) {
        let _ = writeln!(text, "  \"{from}\" -> \"{to}\" [label=\"{}\"];", rpcs.len());
    }
    for consumer in graph.consumers() {
        for event in &consumer.events {
            let _ = writeln!(text, "  \"{event}\" [shape=ellipse];");
            let _ = writeln!(
                text,
                "  \"{event}\" -> \"{}\" [style=dashed, label=\"{}\"];",
                consumer.target, consumer.name
            );
        }
    }
    text.push_str("}\n");
    text
}

fn is_edge(graph: &CallGraph, name: &str) -> bool {
    graph
        .caller(name)
        .is_some_and(|caller| caller.kind == CallerKind::Edge)
}

fn names_its_calls(caller: &Caller) -> bool {
    caller.kind != CallerKind::Edge && !caller.calls.is_empty()
}

fn kind(caller: &Caller) -> &'static str {
    match caller.kind {
        CallerKind::Rpc => "rpc",
        CallerKind::Consumer { .. } => "consumer",
        CallerKind::Task => "task",
        CallerKind::Edge => "edge",
    }
}

fn audience(consumer: &Caller) -> &'static str {
    match consumer.kind {
        CallerKind::Consumer {
            every_process: true,
        } => "every process",
        _ => "group",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn policies() -> PolicyTable {
        PolicyTable::from_pool(contracts::descriptor_pool()).unwrap()
    }

    #[test]
    fn all_formats_show_calls_and_events() {
        let policies = policies();
        let text = text(&policies);
        assert!(text.contains(
            "  payments -> orders\n    hub.orders.v1.OrderService/GetOrderForFulfilment"
        ));
        assert!(text.contains("payments.charge (group): InventoryReserved"));
        let dot = dot(&policies);
        assert!(dot.contains("\"payments\" -> \"orders\" [label=\"1\"]"));
        assert!(dot.contains("\"InventoryReserved\" -> \"payments\" [style=dashed"));
        let json = json(&policies);
        let edges = json["edges"].as_array().unwrap();
        assert!(
            edges
                .iter()
                .any(|edge| edge["from"] == "payments" && edge["to"] == "orders")
        );
    }
}
