//! The RPC, and the agent's description.

use std::collections::HashMap;

use contracts::hub::{
    agents::v1::{
        DataSource, Factor, LineDecision, PromiseLine, ReservationDecision, SourcedUnits,
        ValidateReservationRequest, ValidateReservationResponse,
        reservation_validation_service_server::ReservationValidationService,
    },
    inventory::v1::{
        BatchGetAvailabilityRequest, VariantInventory,
        inventory_service_client::InventoryServiceClient,
    },
};
use mesh::{CallContext, Channel, Clock};
use serde_json::{Map, Value};
use tonic::{Request, Response, Status};

use super::decision::{Line, Stock, source};
use crate::runtime::{
    agent::{Agent, Operation},
    notes::Notes,
    time::timestamp,
};

/// The algorithm.
pub const ALGORITHM: &str = "reservation-min-parcels@1";

/// The handler.
#[derive(Clone)]
pub struct ReservationValidationHandler {
    /// Where stock is asked for.
    pub inventory: InventoryServiceClient<Channel>,
    /// The clock.
    pub clock: Clock,
}

#[tonic::async_trait]
impl ReservationValidationService for ReservationValidationHandler {
    async fn validate_reservation(
        &self,
        request: Request<ValidateReservationRequest>,
    ) -> Result<Response<ValidateReservationResponse>, Status> {
        let ctx = CallContext::of(&request);
        let asked = combined(request.into_inner().lines);
        let message = BatchGetAvailabilityRequest {
            variant_ids: asked.iter().map(|line| line.variant_id.clone()).collect(),
        };
        let stock = self
            .inventory
            .clone()
            .batch_get_availability(ctx.as_service("agents").call(message))
            .await?
            .into_inner()
            .variants;
        let lines = with_stock(asked, stock);
        let sourcing = source(&lines).unwrap_or_default();
        let decision = ReservationDecision {
            approved: lines.iter().all(|line| line.stock() == Stock::Available),
            parcels: i32::try_from(sourcing.locations.len()).unwrap_or(i32::MAX),
            lines: lines
                .iter()
                .enumerate()
                .map(|(position, line)| decided(line, sourcing.takes.get(position)))
                .collect(),
        };
        let notes = self.notes(&lines, &decision).finish(&ctx);
        Ok(Response::new(ValidateReservationResponse {
            result: Some(decision),
            notes: Some(notes),
        }))
    }
}

impl ReservationValidationHandler {
    fn notes(&self, lines: &[Line], decision: &ReservationDecision) -> Notes {
        let mut notes = Notes::new(ALGORITHM)
            .confidence(1.0, "live stock of this moment; only an order holds units")
            .source(DataSource {
                system: "inventory".to_owned(),
                id: "stock".to_owned(),
                version: String::new(),
                as_of: Some(timestamp(self.clock.now())),
            });
        for line in lines {
            let missing = (line.requested - line.available()).max(0);
            notes = notes.factor(Factor {
                name: if line.sku.is_empty() {
                    line.variant_id.clone()
                } else {
                    line.sku.clone()
                },
                value: format!(
                    "{} of {}",
                    line.available().min(line.requested),
                    line.requested
                ),
                weight: 1.0,
                contribution: -(missing as f64),
                sentence: sentence(line),
            });
        }
        if decision.approved {
            notes = notes.factor(Factor {
                name: "parcels".to_owned(),
                value: decision.parcels.to_string(),
                weight: 1.0,
                contribution: 0.0,
                sentence: format!(
                    "The fewest locations that have everything: {}.",
                    decision.parcels
                ),
            });
        }
        notes
    }
}

/// Lines of the same variant are one line: each unit can be promised once.
fn combined(lines: Vec<PromiseLine>) -> Vec<PromiseLine> {
    let mut asked: Vec<PromiseLine> = Vec::with_capacity(lines.len());
    for line in lines {
        match asked
            .iter_mut()
            .find(|seen| seen.variant_id == line.variant_id)
        {
            Some(seen) => seen.quantity = seen.quantity.saturating_add(line.quantity),
            None => asked.push(line),
        }
    }
    asked
}

fn with_stock(asked: Vec<PromiseLine>, stock: Vec<VariantInventory>) -> Vec<Line> {
    let mut stock: HashMap<String, VariantInventory> = stock
        .into_iter()
        .map(|variant| (variant.variant_id.clone(), variant))
        .collect();
    asked
        .into_iter()
        .map(|line| {
            let known = stock.remove(&line.variant_id);
            Line {
                sku: known
                    .as_ref()
                    .map(|known| known.sku.clone())
                    .unwrap_or_default(),
                shelves: known.map(|known| {
                    known
                        .locations
                        .into_iter()
                        .map(|location| (location.location_id, location.available))
                        .collect()
                }),
                variant_id: line.variant_id,
                requested: line.quantity,
            }
        })
        .collect()
}

fn decided(line: &Line, takes: Option<&Vec<(String, i64)>>) -> LineDecision {
    LineDecision {
        variant_id: line.variant_id.clone(),
        sku: line.sku.clone(),
        requested: line.requested,
        available: line.available(),
        state: line.stock().name().to_owned(),
        sources: takes
            .into_iter()
            .flatten()
            .map(|(location_id, quantity)| SourcedUnits {
                location_id: location_id.clone(),
                quantity: *quantity,
            })
            .collect(),
    }
}

fn sentence(line: &Line) -> String {
    match line.stock() {
        Stock::Available => format!("All {} can be promised.", line.requested),
        Stock::Low => format!(
            "Only {} of {} can be promised.",
            line.available(),
            line.requested
        ),
        Stock::Out => "None is in stock.".to_owned(),
        Stock::Missing => "Inventory does not know this variant.".to_owned(),
    }
}

/// The agent.
pub struct ReservationValidationAgent;

impl Agent for ReservationValidationAgent {
    fn names(&self) -> &'static [&'static str] {
        &["inventory-reservation-validation", "reservation-validation"]
    }

    fn purpose(&self) -> &'static str {
        "Tells whether quantities can be promised now, and from which locations with the fewest parcels."
    }

    fn algorithm(&self) -> &'static str {
        ALGORITHM
    }

    fn operations(&self) -> &'static [Operation] {
        const {
            &[Operation {
                name: "validate",
                method: "/hub.agents.v1.ReservationValidationService/ValidateReservation",
                reads: "lines[{variant_id, quantity}]",
            }]
        }
    }

    fn ask(&self, _operation: &Operation, _question: &str) -> Map<String, Value> {
        Map::new()
    }

    fn summarise(&self, _operation: &Operation, result: &Value) -> String {
        if result["approved"] == true {
            return format!(
                "Everything can be promised, in {} parcels.",
                result["parcels"]
            );
        }
        let short = result["lines"].as_array().map_or(0, |lines| {
            lines
                .iter()
                .filter(|line| line["state"] != "available")
                .count()
        });
        format!("{short} lines cannot be promised in full.")
    }
}
