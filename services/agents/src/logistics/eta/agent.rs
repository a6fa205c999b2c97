//! The description of the delivery-estimate agent.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::ALGORITHM;
use crate::runtime::agent::{Agent, Operation};

/// The agent.
pub struct EtaAgent;

impl Agent for EtaAgent {
    fn names(&self) -> &'static [&'static str] {
        &["logistics-eta-computation", "eta-computation", "eta"]
    }

    fn purpose(&self) -> &'static str {
        "Estimates when a parcel arrives, from how long the stages of the way took before and from the carrier's calendar."
    }

    fn algorithm(&self) -> &'static str {
        ALGORITHM
    }

    fn operations(&self) -> &'static [Operation] {
        const {
            &[Operation {
                name: "eta",
                method: "/hub.agents.v1.EtaService/ComputeEta",
                reads: "order_id, email, destination, shipping_method",
            }]
        }
    }

    /// The first word that is an id is the order's.
    fn ask(&self, _operation: &Operation, question: &str) -> Map<String, Value> {
        let is_edge = |character: char| !character.is_ascii_alphanumeric();
        let id = question
            .split_whitespace()
            .find_map(|word| Uuid::try_parse(word.trim_matches(is_edge)).ok());
        id.map(|id| ("order_id".to_owned(), json!(id.to_string())))
            .into_iter()
            .collect()
    }

    fn summarise(&self, _operation: &Operation, result: &Value) -> String {
        let time = |field: &str| {
            result[field]
                .as_str()
                .unwrap_or("an unknown time")
                .to_owned()
        };
        match result["state"].as_str() {
            Some("delivered") => format!("Delivered at {}.", time("median")),
            Some("estimated") => format!(
                "Arrives around {}, by {} at nine of ten.",
                time("median"),
                time("promise")
            ),
            _ => "When it arrives is not known.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_found_in_a_question() {
        let ask = |question: &str| EtaAgent.ask(&EtaAgent.operations()[0], question);
        let id = "019ab0c4-7e1f-7abc-8def-0123456789ab";
        assert_eq!(ask(&format!("When does ({id}) come?"))["order_id"], id);
        assert!(ask("When does it come?").is_empty());
    }
}
