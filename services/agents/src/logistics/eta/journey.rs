//! Where a parcel is on its way.

use chrono::{DateTime, Utc};
use contracts::hub::shipping::v1::{Shipment, ShipmentStatus};

use super::stage::Stage;
use crate::runtime::time::instant;

/// Where a parcel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// On its way.
    Travelling(Journey),
    /// It arrived.
    Delivered(DateTime<Utc>),
    /// It will not travel.
    Cancelled,
}

/// A parcel on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The stage it is in.
    pub stage: Stage,
    /// When it entered that.
    pub since: DateTime<Utc>,
    /// When it was ready to be collected.
    pub ready: DateTime<Utc>,
    /// Whether it goes on.
    pub progress: Progress,
}

/// Whether a parcel goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// As usual.
    Moving,
    /// Held up by an exception.
    HeldUp,
}

/// Where a shipment's parcel is, by its scans, which are oldest first.
pub fn whereabouts(shipment: &Shipment) -> Whereabouts {
    let entered = |status: ShipmentStatus| {
        let scan = shipment.events.iter().find(|scan| scan.status() == status);
        scan.map(|scan| instant(scan.timestamp.as_ref()))
    };
    let ready = instant(shipment.created_at.as_ref());
    match shipment.status() {
        ShipmentStatus::Cancelled => Whereabouts::Cancelled,
        ShipmentStatus::Delivered => {
            let arrived = shipment
                .actual_delivery
                .as_ref()
                .map(|at| instant(Some(at)));
            let last_change = || instant(shipment.updated_at.as_ref());
            Whereabouts::Delivered(
                arrived
                    .or_else(|| entered(ShipmentStatus::Delivered))
                    .unwrap_or_else(last_change),
            )
        }
        status => {
            let reached = shipment
                .events
                .iter()
                .filter_map(|scan| stage(scan.status()))
                .chain(stage(status))
                .max()
                .unwrap_or(Stage::LabelCreated);
            let since = shipment
                .events
                .iter()
                .find(|scan| stage(scan.status()) == Some(reached))
                .map_or_else(
                    || {
                        if reached == Stage::LabelCreated {
                            ready
                        } else {
                            instant(shipment.updated_at.as_ref())
                        }
                    },
                    |scan| instant(scan.timestamp.as_ref()),
                );
            let progress = match status {
                ShipmentStatus::Exception => Progress::HeldUp,
                _ => Progress::Moving,
            };
            Whereabouts::Travelling(Journey {
                stage: reached,
                since,
                ready,
                progress,
            })
        }
    }
}

const fn stage(status: ShipmentStatus) -> Option<Stage> {
    match status {
        ShipmentStatus::LabelCreated => Some(Stage::LabelCreated),
        ShipmentStatus::PickedUp => Some(Stage::PickedUp),
        ShipmentStatus::InTransit => Some(Stage::InTransit),
        ShipmentStatus::OutForDelivery => Some(Stage::OutForDelivery),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use contracts::hub::shipping::v1::ShipmentEvent;

    use super::*;
    use crate::runtime::time::timestamp;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + 3600 * hour, 0).unwrap()
    }

    fn shipment(scans: &[(ShipmentStatus, i64)]) -> Shipment {
        Shipment {
            status: scans.last().unwrap().0.into(),
            created_at: Some(timestamp(at(0))),
            updated_at: Some(timestamp(at(99))),
            events: scans
                .iter()
                .map(|(status, hour)| ShipmentEvent {
                    status: (*status).into(),
                    timestamp: Some(timestamp(at(*hour))),
                    ..ShipmentEvent::default()
                })
                .collect(),
            ..Shipment::default()
        }
    }

    #[test]
    fn an_exception_keeps_the_stage() {
        use ShipmentStatus::{Cancelled, Delivered, Exception, InTransit, LabelCreated, PickedUp};
        let held = whereabouts(&shipment(&[
            (LabelCreated, 0),
            (PickedUp, 5),
            (InTransit, 9),
            (Exception, 20),
        ]));
        let journey = Journey {
            stage: Stage::InTransit,
            since: at(9),
            ready: at(0),
            progress: Progress::HeldUp,
        };
        assert_eq!(held, Whereabouts::Travelling(journey));
        // Back on its way it is still in the stage that it entered first.
        let again = whereabouts(&shipment(&[
            (InTransit, 9),
            (Exception, 20),
            (InTransit, 30),
        ]));
        assert_eq!(
            again,
            Whereabouts::Travelling(Journey {
                progress: Progress::Moving,
                ..journey
            })
        );
        assert_eq!(
            whereabouts(&shipment(&[(Delivered, 50)])),
            Whereabouts::Delivered(at(50))
        );
        assert_eq!(
            whereabouts(&shipment(&[(Cancelled, 50)])),
            Whereabouts::Cancelled
        );
        let bare = Shipment {
            events: Vec::new(),
            ..shipment(&[(LabelCreated, 0)])
        };
        let Whereabouts::Travelling(waiting) = whereabouts(&bare) else {
            panic!("{bare:?}")
        };
        assert_eq!((waiting.stage, waiting.since), (Stage::LabelCreated, at(0)));
    }
}
