//! The life of a shipment.
//!
//! It goes forward one step at a time. On its way it may be held up by an exception, from which it goes
//! on where it stopped or further on, never back. It can be cancelled only before the carrier has it.

use std::{fmt, str::FromStr};

/// Where a shipment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Planned; a label exists.
    LabelCreated,
    /// The carrier has it.
    PickedUp,
    /// On its way.
    InTransit,
    /// On the last van.
    OutForDelivery,
    /// Arrived.
    Delivered,
    /// Held up.
    Exception,
    /// Will not travel.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::LabelCreated,
        Self::PickedUp,
        Self::InTransit,
        Self::OutForDelivery,
        Self::Delivered,
        Self::Exception,
        Self::Cancelled,
    ];
    /// Those in which the carrier moves it, in order.
    const MOVING: [Self; 3] = [Self::PickedUp, Self::InTransit, Self::OutForDelivery];

    /// Name under which it is stored and told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LabelCreated => "label_created",
            Self::PickedUp => "picked_up",
            Self::InTransit => "in_transit",
            Self::OutForDelivery => "out_for_delivery",
            Self::Delivered => "delivered",
            Self::Exception => "exception",
            Self::Cancelled => "cancelled",
        }
    }

    /// What may follow. `interrupted_at` is where it was when an exception stopped it; it counts only in
    /// [`Status::Exception`], where an unknown one counts as the first.
    pub fn next(self, interrupted_at: Option<Self>) -> Vec<Self> {
        match self {
            Self::LabelCreated => vec![Self::PickedUp, Self::Cancelled],
            Self::PickedUp => vec![Self::InTransit, Self::Exception],
            Self::InTransit => vec![Self::OutForDelivery, Self::Exception],
            Self::OutForDelivery => vec![Self::Delivered, Self::Exception],
            Self::Exception => {
                let from = interrupted_at.unwrap_or(Self::PickedUp);
                Self::MOVING
                    .into_iter()
                    .filter(|status| *status >= from)
                    .collect()
            }
            Self::Delivered | Self::Cancelled => Vec::new(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored status that this program does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status of a shipment")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("lost".parse::<Status>().is_err());
    }

    #[test]
    fn every_pair() {
        use Status::{
            Cancelled, Delivered, Exception, InTransit, LabelCreated, OutForDelivery, PickedUp,
        };
        let legal: BTreeSet<(Status, Option<Status>, Status)> = [
            (LabelCreated, None, PickedUp),
            (LabelCreated, None, Cancelled),
            (PickedUp, None, InTransit),
            (PickedUp, None, Exception),
            (InTransit, None, OutForDelivery),
            (InTransit, None, Exception),
            (OutForDelivery, None, Delivered),
            (OutForDelivery, None, Exception),
            (Exception, Some(PickedUp), PickedUp),
            (Exception, Some(PickedUp), InTransit),
            (Exception, Some(PickedUp), OutForDelivery),
            (Exception, Some(InTransit), InTransit),
            (Exception, Some(InTransit), OutForDelivery),
            (Exception, Some(OutForDelivery), OutForDelivery),
        ]
        .into();
        for from in Status::ALL {
            let memories = match from {
                Exception => Status::MOVING.map(Some).to_vec(),
                _ => vec![None],
            };
            for memory in memories {
                for to in Status::ALL {
                    assert_eq!(
                        from.next(memory).contains(&to),
                        legal.contains(&(from, memory, to)),
                        "{from} ({memory:?}) -> {to}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_status_can_still_end() {
        for start in Status::ALL {
            let mut reached = BTreeSet::from([start]);
            for _ in 0..Status::ALL.len() {
                let next: Vec<Status> = reached
                    .iter()
                    .flat_map(|status| status.next(None))
                    .collect();
                reached.extend(next);
            }
            assert!(
                reached.contains(&Status::Delivered) || reached.contains(&Status::Cancelled),
                "{start}"
            );
        }
    }
}
