//! The description of the carrier-selection agent.

use serde_json::{Map, Value};

use super::service::ALGORITHM;
use crate::runtime::agent::{Agent, Operation};

/// The agent.
pub struct CarrierSelectionAgent;

impl Agent for CarrierSelectionAgent {
    fn names(&self) -> &'static [&'static str] {
        &["logistics-carrier-selection", "carrier-selection"]
    }

    fn purpose(&self) -> &'static str {
        "Chooses who carries a parcel: weighs cost, punctuality, time, claims and CO2e, and shows what would change the choice."
    }

    fn algorithm(&self) -> &'static str {
        ALGORITHM
    }

    fn operations(&self) -> &'static [Operation] {
        const {
            &[Operation {
                name: "select",
                method: "/hub.agents.v1.CarrierSelectionService/SelectCarrier",
                reads: "destination, origin_location, weight_grams, volume_cm3, shipping_method, value",
            }]
        }
    }

    fn ask(&self, _operation: &Operation, _question: &str) -> Map<String, Value> {
        // A parcel cannot be read out of a sentence safely; without `input` the call is refused with what is missing.
        Map::new()
    }

    fn summarise(&self, _operation: &Operation, result: &Value) -> String {
        let text = |field: &str| {
            result["selected"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        match result["selected"]["cost"]["amount"].as_str() {
            Some(amount) => {
                let currency = result["selected"]["cost"]["currency"]
                    .as_str()
                    .unwrap_or_default();
                format!(
                    "{} {} for {amount} {currency}.",
                    text("carrier_id"),
                    text("service_level")
                )
            }
            None => "No carrier can take this parcel.".to_owned(),
        }
    }
}
