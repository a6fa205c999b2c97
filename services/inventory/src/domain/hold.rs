//! What may become of the units that an order holds.
//!
//! The steps of the order saga reach inventory from three services, so they arrive in any order and more
//! than once: a cancellation before its reservation, a payment after the hold has expired. Every pair of
//! state and demand therefore has an answer here, and none of them is an error.

use std::{fmt, str::FromStr};

/// Where an order's hold is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldStatus {
    /// Paid before the reservation arrived: the reservation, once it comes, will not expire.
    Awaiting,
    /// Units are held and the hold can expire.
    Held,
    /// The order is paid: the hold does not expire any more.
    Committed,
    /// The goods have left the shelf.
    Consumed,
    /// Given back, or barred before anything was held.
    Released,
    /// Given back because the hold expired.
    Expired,
    /// At least one line could not be held.
    Failed,
}

impl HoldStatus {
    const ALL: [Self; 7] = [
        Self::Awaiting,
        Self::Held,
        Self::Committed,
        Self::Consumed,
        Self::Released,
        Self::Expired,
        Self::Failed,
    ];

    /// The name under which the status is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Awaiting => "awaiting",
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Consumed => "consumed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for HoldStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored status that this program does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the status of a hold")]
pub struct UnknownStatus(String);

impl FromStr for HoldStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// What is asked of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Hold units for the order.
    Reserve,
    /// The order is paid.
    Commit,
    /// The order will not be carried out.
    Release,
    /// The goods have left the shelf.
    Consume,
    /// The time of the hold is over.
    Expire,
}

/// What has to be done about a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing; whoever asked is told how things stand.
    Keep,
    /// Nothing may be held for this order any more.
    Refuse,
    /// Note the new state; stock does not change.
    Note(HoldStatus),
    /// Take units from what is free. Where that is not possible the hold is [`HoldStatus::Failed`].
    Take(HoldStatus),
    /// Give the held units back.
    Free(HoldStatus),
    /// The held units leave the stock.
    Ship,
    /// Units that were given back have left the shelf all the same: they leave the free stock. Orders lets
    /// goods go only while they are committed, so this is for goods that left without its leave.
    ShipUnheld,
}

/// The answer of a hold in `status` (None: the order was never seen) to `demand`.
pub const fn answer(status: Option<HoldStatus>, demand: Demand) -> Move {
    use HoldStatus::{Awaiting, Committed, Consumed, Expired, Failed, Held, Released};
    match (demand, status) {
        (Demand::Reserve, None) => Move::Take(Held),
        (Demand::Reserve, Some(Awaiting)) => Move::Take(Committed),
        (Demand::Reserve, Some(Held | Committed | Consumed)) => Move::Keep,
        // Whoever is told that nothing is held gives the order up: a payment must not bring it back.
        (Demand::Reserve, Some(Expired)) => Move::Note(Failed),
        (Demand::Reserve, Some(Released | Failed)) => Move::Refuse,

        (Demand::Commit, None) => Move::Note(Awaiting),
        (Demand::Commit, Some(Held)) => Move::Note(Committed),
        (Demand::Commit, Some(Expired)) => Move::Take(Committed),
        (Demand::Commit, Some(Failed)) => Move::Refuse,
        (Demand::Commit, Some(Awaiting | Committed | Consumed | Released)) => Move::Keep,

        (Demand::Release, None | Some(Awaiting | Expired | Failed)) => Move::Note(Released),
        (Demand::Release, Some(Held | Committed)) => Move::Free(Released),
        (Demand::Release, Some(Consumed | Released)) => Move::Keep,

        (Demand::Consume, Some(Held | Committed)) => Move::Ship,
        (Demand::Consume, Some(Released | Expired)) => Move::ShipUnheld,
        (Demand::Consume, None | Some(Awaiting | Consumed | Failed)) => Move::Keep,

        (Demand::Expire, Some(Held)) => Move::Free(Expired),
        (Demand::Expire, _) => Move::Keep,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DEMANDS: [Demand; 5] = [
        Demand::Reserve,
        Demand::Commit,
        Demand::Release,
        Demand::Consume,
        Demand::Expire,
    ];

    #[test]
    fn names_round_trip() {
        for status in HoldStatus::ALL {
            assert_eq!(status.as_str().parse::<HoldStatus>().unwrap(), status);
        }
        assert!("lost".parse::<HoldStatus>().is_err());
    }

    #[test]
    fn only_a_hold_gives_units_back_or_ships() {
        for status in HoldStatus::ALL {
            let holds = matches!(status, HoldStatus::Held | HoldStatus::Committed);
            for demand in DEMANDS {
                match answer(Some(status), demand) {
                    Move::Free(next) => {
                        assert!(holds);
                        assert!(!matches!(next, HoldStatus::Held | HoldStatus::Committed));
                    }
                    Move::Ship => assert!(holds),
                    Move::Take(_) | Move::ShipUnheld => assert!(!holds, "{status} {demand:?}"),
                    Move::Keep | Move::Refuse | Move::Note(_) => {}
                }
            }
        }
    }

    /// Orders lets goods go when their hold is committed. From there only a release leads elsewhere, and to
    /// there nothing leads after a refusal.
    #[test]
    fn what_was_refused_is_never_committed() {
        for status in [HoldStatus::Released, HoldStatus::Failed] {
            for demand in DEMANDS {
                assert!(
                    !matches!(
                        answer(Some(status), demand),
                        Move::Take(_) | Move::Note(HoldStatus::Committed | HoldStatus::Awaiting)
                    ),
                    "{status} {demand:?}"
                );
            }
        }
        assert_eq!(
            answer(Some(HoldStatus::Expired), Demand::Reserve),
            Move::Note(HoldStatus::Failed)
        );
    }

    #[test]
    fn paid_units_do_not_expire_and_shipped_ones_stay_shipped() {
        assert_eq!(
            answer(Some(HoldStatus::Committed), Demand::Expire),
            Move::Keep
        );
        for demand in DEMANDS {
            assert_eq!(answer(Some(HoldStatus::Consumed), demand), Move::Keep);
        }
    }
}
