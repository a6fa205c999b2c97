//! The stages of a parcel's way.

/// A stage. A parcel leaves it when it enters the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A label exists; the parcel waits to be collected.
    LabelCreated,
    /// Collected; on the way to the first hub.
    PickedUp,
    /// Between hubs.
    InTransit,
    /// On the last van.
    OutForDelivery,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [
        Self::LabelCreated,
        Self::PickedUp,
        Self::InTransit,
        Self::OutForDelivery,
    ];

    /// Its name, which is shipping's for the scan that begins it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LabelCreated => "label_created",
            Self::PickedUp => "picked_up",
            Self::InTransit => "in_transit",
            Self::OutForDelivery => "out_for_delivery",
        }
    }

    /// For people.
    pub const fn told(self) -> &'static str {
        match self {
            Self::LabelCreated => "Waiting for collection",
            Self::PickedUp => "The way to the first hub",
            Self::InTransit => "The way between hubs",
            Self::OutForDelivery => "The last van",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }

    /// The stage that ends with a scan.
    pub fn ended_by(scan: &str) -> Option<Self> {
        match scan {
            "picked_up" => Some(Self::LabelCreated),
            "in_transit" => Some(Self::PickedUp),
            "out_for_delivery" => Some(Self::InTransit),
            "delivered" => Some(Self::OutForDelivery),
            _ => None,
        }
    }

    /// Itself and the stages after it.
    pub fn onwards(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |stage| *stage >= self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_ends_where_the_next_begins() {
        for pair in Stage::ALL.windows(2) {
            assert_eq!(Stage::ended_by(pair[1].as_str()), Some(pair[0]));
        }
        assert_eq!(Stage::ended_by("delivered"), Some(Stage::OutForDelivery));
        assert_eq!(Stage::ended_by("exception"), None);
        for stage in Stage::ALL {
            assert_eq!(Stage::named(stage.as_str()), Some(stage));
        }
        assert_eq!(Stage::InTransit.onwards().count(), 2);
    }
}
