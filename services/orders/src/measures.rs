//! What orders show of the shop's business and of their sagas.
//!
//! What happens is counted once it is committed; what is, is asked of the store from time to time, so that
//! a restart forgets nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::hub::orders::v1::SagaStep;
use mesh::{
    Clock, Money, Shutdown, args,
    events::{Data, Envelope},
    store::{Store, StoreError},
};

use crate::domain::saga::step_name;

/// How often the sagas are counted.
const INTERVAL: Duration = Duration::from_secs(10);
/// The steps in which a saga waits for somebody. Those that have ended are too many to count.
const WAITING: [SagaStep; 4] = [
    SagaStep::Reservation,
    SagaStep::Payment,
    SagaStep::Shipment,
    SagaStep::Compensation,
];

/// What an event counts as, once the order that it tells of has moved on because of it.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    outcome: Option<&'static str>,
    revenue: Option<Money>,
}

impl Tally {
    /// Reads what `event` would count as.
    pub(crate) fn of(event: &Envelope) -> Self {
        let (outcome, revenue) = match &event.data {
            Some(Data::InventoryReservationFailed(_)) => (Some("out_of_stock"), None),
            Some(Data::PaymentFailed(_)) => (Some("payment_failed"), None),
            Some(Data::PaymentProcessed(paid)) => (
                Some("paid"),
                Money::from_wire(paid.amount.as_ref(), "amount").ok(),
            ),
            Some(Data::ShipmentFailed(_)) => (Some("shipment_failed"), None),
            Some(Data::DeliveryCompleted(_)) => (Some("delivered"), None),
            Some(Data::RefundProcessed(refund)) if refund.fully_refunded => {
                (Some("refunded"), None)
            }
            _ => (None, None),
        };
        Self { outcome, revenue }
    }

    /// Counts.
    pub(crate) fn count(&self) {
        if let Some(outcome) = self.outcome {
            count_outcome(outcome);
        }
        if let Some(amount) = &self.revenue {
            metrics::counter!("hub_revenue_minor_units_total", "currency" => amount.currency.to_string())
                .increment(u64::try_from(amount.minor).unwrap_or_default());
        }
    }
}

/// Counts what became of an order.
pub(crate) fn count_outcome(outcome: &'static str) {
    metrics::counter!("hub_orders_outcomes_total", "outcome" => outcome).increment(1);
}

/// Counts a checkout that was looked at before ordering.
pub(crate) fn count_validation(valid: bool) {
    let result = if valid { "valid" } else { "invalid" };
    metrics::counter!("hub_checkouts_validated_total", "result" => result).increment(1);
}

/// Shows the sagas from time to time until the shutdown.
pub(crate) async fn run(store: &Store, clock: &Clock, shutdown: Shutdown) {
    loop {
        if let Err(error) = show_sagas(store, clock).await {
            tracing::warn!(%error, "the sagas could not be counted");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = clock.sleep(INTERVAL) => {}
        }
    }
}

async fn show_sagas(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let now = clock.now();
    let rows = store
        .scan(
            "SELECT step, COUNT(*) AS sagas FROM sagas \
             WHERE step IN ('reservation', 'payment', 'shipment', 'compensation') GROUP BY step",
            args![],
        )
        .await?;
    for step in WAITING.map(step_name) {
        let row = rows
            .iter()
            .find(|row| row.get::<&str>("step").is_ok_and(|name| name == step));
        let sagas = row.map_or(Ok(0), |row| row.get::<i64>("sagas"))?;
        metrics::gauge!("hub_sagas", "step" => step).set(sagas as f64);
    }
    let rows = store
        .scan(
            "SELECT COUNT(*) AS sagas, MIN(due_at) AS oldest FROM sagas WHERE due_at <= $1",
            args![now],
        )
        .await?;
    let (overdue, oldest) = match rows.first() {
        Some(row) => (
            row.get::<i64>("sagas")?,
            row.get::<Option<DateTime<Utc>>>("oldest")?,
        ),
        None => (0, None),
    };
    let waited = oldest.map_or(0, |oldest| (now - oldest).num_milliseconds().max(0));
    metrics::gauge!("hub_sagas_overdue").set(overdue as f64);
    metrics::gauge!("hub_saga_oldest_overdue_seconds").set(waited as f64 / 1000.0);
    Ok(())
}
