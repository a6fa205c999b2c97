//! Learns from shipping's events how long parcels stay in their stages.

use async_trait::async_trait;
use mesh::{
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::Tx,
};

use super::store::{self, PlannedParcel};
use crate::runtime::time::instant;

/// The consumer. Its writes go to the store that it is subscribed with.
#[derive(Clone, Copy, Debug)]
pub struct StageTimes;

#[async_trait]
impl Consumer for StageTimes {
    fn name(&self) -> &'static str {
        "agents.eta"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["ShipmentScheduled", "ShipmentStatusUpdated"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let at = instant(event.timestamp.as_ref());
        match &event.data {
            // Without a plan there is nothing to compare the parcel's times with.
            Some(Data::ShipmentScheduled(scheduled)) if scheduled.estimated_delivery.is_some() => {
                let parcel = PlannedParcel {
                    shipment_id: scheduled.shipment_id.clone(),
                    carrier: scheduled.carrier.clone(),
                    service_level: scheduled.service_level.clone(),
                    scheduled_at: at,
                    planned_delivery: instant(scheduled.estimated_delivery.as_ref()),
                };
                Ok(Effect::write(move |tx: Tx| async move {
                    Ok(store::plan(&tx, &parcel).await?)
                }))
            }
            Some(Data::ShipmentStatusUpdated(moved)) => {
                let (shipment_id, status) = (moved.shipment_id.clone(), moved.status.clone());
                Ok(Effect::write(move |tx: Tx| async move {
                    Ok(store::scan(&tx, &shipment_id, &status, at).await?)
                }))
            }
            _ => Ok(Effect::none()),
        }
    }
}
