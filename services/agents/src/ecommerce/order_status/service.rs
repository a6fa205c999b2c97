//! The RPC, and the agent's description.

use chrono::{DateTime, Utc};
use contracts::hub::agents::v1::{
    DataSource, Factor, GetOrderStatusRequest, GetOrderStatusResponse, NextAction,
    OrderStatusResult, TimelineEntry, order_status_service_server::OrderStatusService,
};
use mesh::{CallContext, Clock, Failure, store::Store};
use serde_json::{Map, Value, json};
use tonic::{Request, Response, Status};

use super::{
    facts,
    fold::{State, fold, has_ended},
    sojourns::{self, Sojourn},
};
use crate::runtime::{
    agent::{Agent, Operation},
    notes::Notes,
    time::timestamp,
};

/// The algorithm.
pub const ALGORITHM: &str = "order-projection-sojourn@1";
/// An order that is longer in its stage than this share of the others is stuck.
const STUCK_ABOVE: f64 = 0.95;
/// Observations from which on `stuck` is said at all.
const ENOUGH: i64 = 20;

/// The handler.
#[derive(Clone)]
pub struct OrderStatusHandler {
    /// The agents' store.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
}

#[tonic::async_trait]
impl OrderStatusService for OrderStatusHandler {
    async fn get_order_status(
        &self,
        request: Request<GetOrderStatusRequest>,
    ) -> Result<Response<GetOrderStatusResponse>, Status> {
        let ctx = CallContext::of(&request);
        let order_id = request.into_inner().order_id;
        let unknown = || Failure::not_found("order", &order_id);
        let owner = facts::owner(&self.store, &order_id)
            .await?
            .ok_or_else(unknown)?;
        if !ctx.principal().may_see(&owner) {
            return Err(unknown().into());
        }
        let state = fold(&facts::of_order(&self.store, &order_id).await?).ok_or_else(unknown)?;
        let usual = sojourns::of_stage(&self.store, &state.status).await?;
        let seen = Seen::new(&state, &usual, self.clock.now());
        let notes = seen.notes().finish(&ctx);
        Ok(Response::new(GetOrderStatusResponse {
            result: Some(seen.result(&order_id)),
            notes: Some(notes),
        }))
    }
}

/// A state beside what is usual.
struct Seen<'a> {
    state: &'a State,
    usual: &'a Sojourn,
    seconds: f64,
    percentile: f64,
    last: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl<'a> Seen<'a> {
    fn new(state: &'a State, usual: &'a Sojourn, now: DateTime<Utc>) -> Self {
        let seconds = (now - state.since).as_seconds_f64().max(0.0);
        Self {
            state,
            usual,
            seconds,
            percentile: usual.percentile(seconds),
            last: state.timeline.last().map_or(state.since, |fact| fact.at),
            now,
        }
    }

    fn is_stuck(&self) -> bool {
        !has_ended(&self.state.status)
            && self.usual.samples() >= ENOUGH
            && self.percentile > STUCK_ABOVE
    }

    fn result(&self, order_id: &str) -> OrderStatusResult {
        let mut anomalies: Vec<String> = self
            .state
            .anomalies
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        if self.is_stuck() {
            anomalies.push("stuck".to_owned());
        }
        OrderStatusResult {
            order_id: order_id.to_owned(),
            status: self.state.status.clone(),
            summary: self.summary(),
            timeline: self
                .state
                .timeline
                .iter()
                .map(|fact| TimelineEntry {
                    at: Some(timestamp(fact.at)),
                    event_type: fact.event_type.clone(),
                    message: fact.message.clone(),
                })
                .collect(),
            hours_in_stage: self.seconds / 3_600.0,
            stage_percentile: self.percentile,
            anomalies,
            next_actions: self.next_actions(),
        }
    }

    fn summary(&self) -> String {
        let words = match self.state.status.as_str() {
            "pending" => "The order was placed and its items are being set aside.",
            "reserved" => "The items are set aside; payment is next.",
            "paid" => "The order is paid; a carrier is being chosen.",
            "processing" => "The order is being packed.",
            "shipped" => "The parcel is on its way.",
            "delivered" => "The parcel has arrived.",
            "completed" => "The order is complete.",
            "out_of_stock" => "The items were out of stock; nothing was charged.",
            "payment_failed" => "The payment failed; the items are free again.",
            "cancelled" => "The order was cancelled.",
            "refunded" => "The money has gone back.",
            _ => "The order is known.",
        };
        match self.usual.quantile(0.9) {
            Some(ninety) if !has_ended(&self.state.status) => format!(
                "{words} Nine in ten orders leave this stage within {:.1} h; this one has been in it for {:.1} h.",
                ninety / 3_600.0,
                self.seconds / 3_600.0
            ),
            _ => words.to_owned(),
        }
    }

    fn next_actions(&self) -> Vec<NextAction> {
        let action = |action: &str, owner: &str| NextAction {
            action: action.to_owned(),
            owner: owner.to_owned(),
        };
        let mut actions = match self.state.status.as_str() {
            "pending" => vec![action("Set the items aside.", "system")],
            "reserved" => vec![action("Complete the payment.", "system")],
            "paid" => vec![action("Choose a carrier.", "system")],
            "processing" => vec![action(
                "Pack the parcel and hand it to the carrier.",
                "staff",
            )],
            "shipped" => vec![action("Deliver the parcel.", "carrier")],
            "delivered" => vec![action("Check the goods; returns are possible.", "customer")],
            "payment_failed" => vec![action(
                "Order again with another payment method.",
                "customer",
            )],
            "out_of_stock" => vec![action("Order what is in stock.", "customer")],
            _ => Vec::new(),
        };
        if self.is_stuck() || !self.state.anomalies.is_empty() {
            actions.insert(0, action("Look into this order.", "staff"));
        }
        actions
    }

    fn notes(&self) -> Notes {
        let samples = self.usual.samples();
        Notes::new(ALGORITHM)
            .confidence(
                if samples >= ENOUGH { 0.95 } else { 0.6 },
                "by the number of orders observed in the stage; not calibrated",
            )
            .source(DataSource {
                system: "events".to_owned(),
                id: "order-timeline".to_owned(),
                version: self.state.timeline.len().to_string(),
                as_of: Some(timestamp(self.last)),
            })
            .age(self.now - self.last)
            .factor(Factor {
                name: "time in stage".to_owned(),
                value: format!("{:.1} h", self.seconds / 3_600.0),
                weight: 1.0,
                contribution: self.percentile,
                sentence: format!(
                    "{:.0} % of {samples} orders left this stage sooner.",
                    self.percentile * 100.0
                ),
            })
    }
}

/// The agent.
pub struct OrderStatusAgent;

impl Agent for OrderStatusAgent {
    fn names(&self) -> &'static [&'static str] {
        &["ecommerce-order-status", "order-status"]
    }

    fn purpose(&self) -> &'static str {
        "Tells where an order is, whether that is usual, and what comes next."
    }

    fn algorithm(&self) -> &'static str {
        ALGORITHM
    }

    fn operations(&self) -> &'static [Operation] {
        const {
            &[Operation {
                name: "status",
                method: "/hub.agents.v1.OrderStatusService/GetOrderStatus",
                reads: "order_id",
            }]
        }
    }

    /// The order id among the words of the question.
    fn ask(&self, _operation: &Operation, question: &str) -> Map<String, Value> {
        let id = question
            .split(|c: char| !c.is_ascii_hexdigit() && c != '-')
            .find(|word| uuid::Uuid::parse_str(word).is_ok());
        Map::from_iter(id.map(|id| ("order_id".to_owned(), json!(id))))
    }

    fn summarise(&self, _operation: &Operation, result: &Value) -> String {
        result["summary"].as_str().unwrap_or_default().to_owned()
    }
}
