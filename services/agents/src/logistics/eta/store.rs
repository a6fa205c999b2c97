//! What is remembered of parcels: tables of the agents' store.

use chrono::{DateTime, Utc};
use mesh::{
    args,
    store::{Row, Store, StoreError, Tx},
};

use super::{
    evidence::{Observed, StageTime},
    stage::Stage,
};

/// Observations that an estimate reads of a stage, newest first: old ones fade by falling out.
const WINDOW: i64 = 120;
/// Observations that are kept of a stage of a service.
const KEPT: i64 = 500;

/// A parcel that was planned.
#[derive(Clone, Debug)]
pub struct PlannedParcel {
    /// Id of the shipment.
    pub shipment_id: String,
    /// Carrier.
    pub carrier: String,
    /// Service of the carrier.
    pub service_level: String,
    /// When it was planned.
    pub scheduled_at: DateTime<Utc>,
    /// When it should arrive.
    pub planned_delivery: DateTime<Utc>,
}

/// Remembers a parcel, and that it waits to be collected.
///
/// # Errors
/// The store's.
pub async fn plan(tx: &Tx, parcel: &PlannedParcel) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO eta_parcels (shipment_id, carrier, service_level, scheduled_at, planned_delivery) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (shipment_id) DO NOTHING",
        args![
            &parcel.shipment_id,
            &parcel.carrier,
            &parcel.service_level,
            parcel.scheduled_at,
            parcel.planned_delivery
        ],
    )
    .await?;
    enter(
        tx,
        &parcel.shipment_id,
        Stage::LabelCreated.as_str(),
        parcel.scheduled_at,
    )
    .await
}

/// Remembers a scan. The first of each kind counts; it ends the stage before, if that one was seen.
///
/// # Errors
/// The store's.
pub async fn scan(
    tx: &Tx,
    shipment_id: &str,
    status: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    if let Some(stage) = Stage::ended_by(status) {
        let left = tx
            .one(
                "INSERT INTO eta_stage_times (shipment_id, stage, carrier, service_level, scheduled_at, \
                 planned_delivery, entered_at, left_at) \
                 SELECT p.shipment_id, s.stage, p.carrier, p.service_level, p.scheduled_at, \
                 p.planned_delivery, s.at, $3 \
                 FROM eta_parcels p JOIN eta_scans s ON s.shipment_id = p.shipment_id \
                 WHERE p.shipment_id = $1 AND s.stage = $2 AND s.at <= $3 \
                 ON CONFLICT (shipment_id, stage) DO NOTHING RETURNING carrier, service_level",
                args![shipment_id, stage.as_str(), at],
            )
            .await?;
        if let Some(row) = left {
            forget_old(
                tx,
                &row.get::<String>("carrier")?,
                &row.get::<String>("service_level")?,
                stage,
            )
            .await?;
        }
    }
    match status {
        "delivered" | "cancelled" => forget(tx, shipment_id).await,
        _ if Stage::named(status).is_some() => enter(tx, shipment_id, status, at).await,
        _ => Ok(()),
    }
}

async fn enter(
    tx: &Tx,
    shipment_id: &str,
    stage: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO eta_scans (shipment_id, stage, at) \
         SELECT shipment_id, $2, $3 FROM eta_parcels WHERE shipment_id = $1 \
         ON CONFLICT (shipment_id, stage) DO NOTHING",
        args![shipment_id, stage, at],
    )
    .await?;
    Ok(())
}

/// A parcel at its end needs no memory of its own.
async fn forget(tx: &Tx, shipment_id: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM eta_scans WHERE shipment_id = $1",
        args![shipment_id],
    )
    .await?;
    tx.execute(
        "DELETE FROM eta_parcels WHERE shipment_id = $1",
        args![shipment_id],
    )
    .await?;
    Ok(())
}

async fn forget_old(tx: &Tx, carrier: &str, level: &str, stage: Stage) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM eta_stage_times WHERE stage = $1 AND carrier = $2 AND service_level = $3 \
         AND left_at < (SELECT left_at FROM eta_stage_times WHERE stage = $1 AND carrier = $2 \
         AND service_level = $3 ORDER BY left_at DESC LIMIT 1 OFFSET $4)",
        args![stage.as_str(), carrier, level, KEPT - 1],
    )
    .await?;
    Ok(())
}

/// What was observed of the stages from `first` on; nothing of those before. In the order of [`Stage::ALL`].
///
/// # Errors
/// The store's.
pub async fn observed(
    store: &Store,
    carrier: &str,
    level: &str,
    first: Stage,
) -> Result<[Observed; 4], StoreError> {
    const COLUMNS: &str = "service_level, scheduled_at, planned_delivery, entered_at, left_at";
    let mut all: [Observed; 4] = Default::default();
    for stage in first.onwards() {
        let of_service = format!(
            "SELECT {COLUMNS} FROM eta_stage_times WHERE stage = $1 AND carrier = $2 AND service_level = $3 \
             ORDER BY left_at DESC, shipment_id LIMIT $4"
        );
        let of_carrier = format!(
            "SELECT {COLUMNS} FROM eta_stage_times WHERE stage = $1 AND carrier = $2 \
             ORDER BY left_at DESC, shipment_id LIMIT $3"
        );
        let own = store
            .all(&of_service, args![stage.as_str(), carrier, level, WINDOW])
            .await?;
        let every = store
            .all(&of_carrier, args![stage.as_str(), carrier, WINDOW])
            .await?;
        all[stage as usize] = Observed {
            service: read(&own)?,
            carrier: read(&every)?,
        };
    }
    Ok(all)
}

fn read(rows: &[Row]) -> Result<Vec<StageTime>, StoreError> {
    rows.iter()
        .map(|row| {
            Ok(StageTime {
                service_level: row.get("service_level")?,
                scheduled_at: row.get("scheduled_at")?,
                planned_delivery: row.get("planned_delivery")?,
                entered_at: row.get("entered_at")?,
                left_at: row.get("left_at")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;
    use mesh::{Clock, Ids, store::Migration};

    use super::*;
    use crate::logistics::MIGRATION;

    const MIGRATIONS: &[Migration] = &[MIGRATION];

    #[tokio::test]
    async fn stages_are_timed_from_scan_to_scan() {
        let start: DateTime<Utc> = "2026-11-23T15:00:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let ids = Ids::seeded(clock.clone(), 5);
        let store = Store::scratch("agents", MIGRATIONS, clock, ids)
            .await
            .unwrap();
        let written = store.write(move |tx: Tx| async move {
            for shipment in ["one", "two"] {
                let parcel = PlannedParcel {
                    shipment_id: shipment.to_owned(),
                    carrier: "alpha".to_owned(),
                    service_level: "ground".to_owned(),
                    scheduled_at: start,
                    planned_delivery: start + TimeDelta::days(2),
                };
                plan(&tx, &parcel).await?;
            }
            // The second one's exception hides when it was between hubs; an unknown one changes nothing.
            for (hour, shipment, status) in [
                (5, "one", "picked_up"),
                (6, "two", "picked_up"),
                (6, "three", "picked_up"),
                (8, "two", "exception"),
                (9, "one", "in_transit"),
                (18, "one", "in_transit"),
                (27, "two", "out_for_delivery"),
                (30, "one", "out_for_delivery"),
                (34, "one", "delivered"),
                (35, "two", "delivered"),
            ] {
                scan(&tx, shipment, status, start + TimeDelta::hours(hour)).await?;
            }
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
        let seen = observed(&store, "alpha", "ground", Stage::LabelCreated)
            .await
            .unwrap();
        let hours = seen.map(|observed| {
            assert_eq!(observed.service, observed.carrier);
            let hours = observed
                .service
                .iter()
                .map(|time| (time.left_at - time.entered_at).num_hours());
            hours.collect::<Vec<_>>()
        });
        assert_eq!(hours, [vec![6, 5], vec![4], vec![21], vec![8, 4]]);
        let later = observed(&store, "alpha", "express", Stage::InTransit)
            .await
            .unwrap();
        assert_eq!(
            later.map(|seen| (seen.service.len(), seen.carrier.len())),
            [(0, 0), (0, 0), (0, 1), (0, 2)]
        );
        let left = store
            .one("SELECT COUNT(*) AS n FROM eta_parcels", args![])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(left.get::<i64>("n").unwrap(), 0);
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let start: DateTime<Utc> = "2026-01-05T15:00:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let ids = Ids::seeded(clock.clone(), 5);
        let store = Store::scratch("agents", MIGRATIONS, clock, ids)
            .await
            .unwrap();
        let written = store.write(move |tx: Tx| async move {
            for parcel in 0..KEPT + 20 {
                let scheduled_at = start + TimeDelta::hours(parcel);
                let planned = PlannedParcel {
                    shipment_id: parcel.to_string(),
                    carrier: "alpha".to_owned(),
                    service_level: "ground".to_owned(),
                    scheduled_at,
                    planned_delivery: scheduled_at + TimeDelta::days(2),
                };
                plan(&tx, &planned).await?;
                scan(
                    &tx,
                    &planned.shipment_id,
                    "picked_up",
                    scheduled_at + TimeDelta::hours(1),
                )
                .await?;
            }
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
        let kept = store
            .one("SELECT COUNT(*) AS n FROM eta_stage_times", args![])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.get::<i64>("n").unwrap(), KEPT);
        let seen = observed(&store, "alpha", "ground", Stage::LabelCreated)
            .await
            .unwrap();
        assert_eq!(seen[0].service.len(), usize::try_from(WINDOW).unwrap());
        let newest = start + TimeDelta::hours(KEPT + 19);
        assert_eq!(seen[0].service[0].scheduled_at, newest);
    }
}
