//! The order saga as a fold over facts.
//!
//! Inventory, payments and shipping each tell what they did, in their own time: their events reach orders
//! in any order and more than once. So nothing here depends on the order of arrival. What is known about
//! an order is a set of facts that only grows; status, waiting step and what has to be undone are
//! functions of that set; and what has to be told to others follows from comparing the set before and
//! after. Deadlines are facts too, once they pass: a timer adds `Cancelled`.
//!
//! One pair of facts excludes each other: `Cancelled` and `HandedOver`. Both are decided here, in the
//! transaction that adds them, and never by an event: whichever comes first keeps the other out.

use contracts::hub::orders::v1::{FulfillmentStatus, OrderStatus, PaymentStatus, SagaStep};

/// How far the goods have travelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// Still on our side.
    #[default]
    Home,
    /// The carrier has them.
    PickedUp,
    /// On their way.
    InTransit,
    /// On the last van.
    OutForDelivery,
    /// Arrived.
    Delivered,
}

impl Leg {
    const ALL: [Self; 5] = [
        Self::Home,
        Self::PickedUp,
        Self::InTransit,
        Self::OutForDelivery,
        Self::Delivered,
    ];

    /// The leg that a shipment status stands for, if it stands for one.
    pub fn of_scan(status: &str) -> Option<Self> {
        Some(match status {
            "label_created" => Self::Home,
            "picked_up" => Self::PickedUp,
            "in_transit" => Self::InTransit,
            "out_for_delivery" => Self::OutForDelivery,
            "delivered" => Self::Delivered,
            _ => return None,
        })
    }
}

/// Something that became known about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// All lines are held, for a while.
    Reserved,
    /// All lines are held and, being paid, will stay so.
    HeldForGood,
    /// At least one line cannot be held, and none is.
    Refused,
    /// The hold ended by itself. A payment may bring it back, so nothing follows from this alone.
    HoldExpired,
    /// Nothing is held any more, for good.
    Released,
    /// The order is paid.
    Charged,
    /// The order could not be charged.
    Declined,
    /// Money went back: how much in all, in minor units, and whether that is everything.
    Refunded {
        /// Minor units that went back in all.
        total: i64,
        /// Whether that is all that was charged.
        everything: bool,
    },
    /// A shipment is planned.
    ShipmentPlanned,
    /// No carrier takes the order.
    ShipmentImpossible,
    /// The goods may leave: the order is paid, its units are committed, and nobody gives it up any more.
    HandedOver,
    /// The goods were seen on the way.
    Seen(Leg),
    /// The shipment will not travel (any further).
    ShipmentCancelled,
    /// The order is closed.
    Completed,
    /// Customer, staff or a deadline gave the order up.
    Cancelled,
}

/// Everything that is known about an order. Facts are only ever added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    reserved: bool,
    held_for_good: bool,
    refused: bool,
    hold_expired: bool,
    released: bool,
    charged: bool,
    declined: bool,
    refunded_everything: bool,
    planned: bool,
    impossible: bool,
    shipment_cancelled: bool,
    completed: bool,
    cancelled: bool,
    handed_over: bool,
    leg: Leg,
    refunded: i64,
}

/// Whether the goods of an order may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// That was decided before.
    Decided,
    /// They may, once their stock is committed.
    Possible,
    /// Nobody has told of a payment yet.
    Unpaid,
    /// The order was given up.
    GivenUp,
}

/// What others have to be told because of a new fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The order is given up: inventory is to release, payments to refund, shipping to cancel.
    pub tell_cancelled: bool,
    /// The order is closed.
    pub tell_completed: bool,
}

/// What follows when a deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// The order is given up, for this reason.
    GiveUp(&'static str),
    /// Those who have to give back are told again.
    TellAgain,
    /// The order is closed.
    Close,
    /// Nothing.
    Nothing,
}

impl Facts {
    /// With one fact more. Learning a fact twice changes nothing, and the order does not matter.
    #[must_use]
    pub fn learn(mut self, fact: Fact) -> Self {
        match fact {
            Fact::Reserved => self.reserved = true,
            Fact::HeldForGood => {
                self.reserved = true;
                self.held_for_good = true;
            }
            Fact::Refused => self.refused = true,
            Fact::HoldExpired => {
                self.reserved = true;
                self.hold_expired = true;
            }
            Fact::Released => self.released = true,
            Fact::Charged => self.charged = true,
            Fact::Declined => self.declined = true,
            Fact::Refunded { total, everything } => {
                self.refunded = self.refunded.max(total);
                self.refunded_everything |= everything;
            }
            Fact::ShipmentPlanned => self.planned = true,
            Fact::ShipmentImpossible => self.impossible = true,
            Fact::HandedOver => {
                self.reserved = true;
                self.held_for_good = true;
                self.handed_over = true;
            }
            Fact::Seen(leg) => self.leg = self.leg.max(leg),
            Fact::ShipmentCancelled => self.shipment_cancelled = true,
            Fact::Completed => self.completed = true,
            Fact::Cancelled => self.cancelled = true,
        }
        self
    }

    /// Whether stock is held and would have to be released.
    pub fn stock_held(&self) -> bool {
        let held = self.reserved && !self.hold_lost();
        held && !self.released && !self.refused && self.at_home()
    }

    /// Whether the hold ended and is not known to have come back.
    fn hold_lost(&self) -> bool {
        self.hold_expired && !self.held_for_good
    }

    /// Whether money was taken and not all of it has gone back.
    pub fn charged(&self) -> bool {
        self.charged && !self.refunded_everything
    }

    /// Whether a shipment is planned that has not been cancelled.
    pub fn shipment_planned(&self) -> bool {
        self.planned && !self.shipment_cancelled
    }

    /// Minor units that have gone back to the customer.
    pub fn refunded(&self) -> i64 {
        self.refunded
    }

    /// Whether the goods are here, and are not about to leave: nobody has let them go, or nobody came for them.
    fn at_home(&self) -> bool {
        self.leg == Leg::Home && (!self.handed_over || self.shipment_cancelled)
    }

    /// How the order failed, if it did.
    fn failure(&self) -> Option<OrderStatus> {
        // A shipment that is cancelled because everything was refunded is not a failure of its own.
        let stranded = self.impossible || (self.shipment_cancelled && !self.refunded_everything);
        if self.handed_over {
            // From then on only shipping, which has the parcel, can say that it does not travel.
            stranded.then_some(OrderStatus::Cancelled)
        } else if self.cancelled || stranded {
            Some(OrderStatus::Cancelled)
        } else if self.declined {
            Some(OrderStatus::PaymentFailed)
        } else if self.refused {
            Some(OrderStatus::OutOfStock)
        } else {
            None
        }
    }

    /// Whether the order was refunded before the goods were handed over: then they must not leave.
    fn refunded_at_home(&self) -> bool {
        self.refunded_everything && self.at_home()
    }

    /// Whether what was done for the order has to be undone.
    fn undoing(&self) -> bool {
        self.failure().is_some() || self.refunded_at_home()
    }

    /// Whether everything that has to be undone is known to be.
    fn undone(&self) -> bool {
        // A hold that was lost and refused again was asked for again because of a payment: then all are told.
        let stock = self.released || (self.refused && !self.reserved);
        // Nobody plans a shipment that is not paid: it tells of a charge that was not heard of.
        let paid = self.charged || self.planned || self.impossible;
        let money = !paid || self.refunded_everything;
        stock && money
    }

    /// Whether the order still wants to be carried out.
    pub fn is_open(&self) -> bool {
        !self.undoing() && !self.refunded_everything
    }

    /// Whether the order has failed or was cancelled.
    pub fn has_failed(&self) -> bool {
        self.failure().is_some()
    }

    /// Whether customer or staff may still cancel: nothing was handed over, nothing has failed.
    pub fn may_cancel(&self) -> bool {
        self.is_open() && self.at_home() && !self.completed
    }

    /// Whether the goods may leave.
    pub fn hand_over(&self) -> HandOver {
        if self.undoing() {
            HandOver::GivenUp
        } else if !self.at_home() {
            HandOver::Decided
        } else if self.charged {
            HandOver::Possible
        } else {
            HandOver::Unpaid
        }
    }

    /// Whether the goods were let go and have not been seen on the way yet.
    pub fn is_handed_over(&self) -> bool {
        self.handed_over && self.leg == Leg::Home && !self.undoing()
    }

    /// The statuses that may follow for an order that cannot be cancelled.
    pub fn next_statuses(&self) -> &'static [OrderStatus] {
        match self.status() {
            OrderStatus::Processing => &[OrderStatus::Shipped],
            OrderStatus::Shipped => &[OrderStatus::Delivered, OrderStatus::Refunded],
            OrderStatus::Delivered => &[OrderStatus::Completed, OrderStatus::Refunded],
            OrderStatus::Completed => &[OrderStatus::Refunded],
            _ => &[],
        }
    }

    /// Where the order is in its life.
    pub fn status(&self) -> OrderStatus {
        if let Some(failure) = self.failure() {
            return failure;
        }
        if self.refunded_everything {
            OrderStatus::Refunded
        } else if self.completed {
            OrderStatus::Completed
        } else if self.leg == Leg::Delivered {
            OrderStatus::Delivered
        } else if self.leg > Leg::Home {
            OrderStatus::Shipped
        } else if self.handed_over || (self.charged && self.planned && !self.hold_lost()) {
            OrderStatus::Processing
        } else if self.charged {
            OrderStatus::Paid
        } else if self.reserved {
            OrderStatus::Reserved
        } else {
            OrderStatus::Pending
        }
    }

    /// Where the money is.
    pub fn payment_status(&self) -> PaymentStatus {
        if self.refunded_everything {
            PaymentStatus::Refunded
        } else if self.refunded > 0 {
            PaymentStatus::PartiallyRefunded
        } else if self.charged {
            PaymentStatus::Paid
        } else if self.declined {
            PaymentStatus::Failed
        } else {
            PaymentStatus::Pending
        }
    }

    /// Where the goods are.
    pub fn fulfillment_status(&self) -> FulfillmentStatus {
        if self.leg == Leg::Delivered {
            FulfillmentStatus::Delivered
        } else if self.undoing() || self.shipment_cancelled {
            FulfillmentStatus::Cancelled
        } else if self.leg > Leg::Home {
            FulfillmentStatus::Shipped
        } else if self.planned || self.handed_over {
            FulfillmentStatus::Scheduled
        } else {
            FulfillmentStatus::Pending
        }
    }

    /// What the saga waits for.
    pub fn step(&self) -> SagaStep {
        if self.undoing() {
            if self.undone() {
                SagaStep::Compensated
            } else {
                SagaStep::Compensation
            }
        } else if self.charged && self.at_home() && self.hold_lost() {
            // Paid after the hold had ended: inventory has to say whether it holds again.
            SagaStep::Reservation
        } else if self.handed_over || (self.charged && (self.planned || self.leg > Leg::Home)) {
            SagaStep::Completed
        } else if self.charged {
            SagaStep::Shipment
        } else if self.reserved {
            SagaStep::Payment
        } else {
            SagaStep::Reservation
        }
    }

    /// What has to be told now that `before` has become `self`.
    pub fn decide(&self, before: &Self) -> Decision {
        let newly_cancelled = self.cancelled && !before.cancelled;
        // Inventory releases by itself when a charge is declined, and a refused reservation holds
        // nothing; everybody else waits to be told.
        let heard_already = self.declined && !self.charged && !self.cancelled;
        let newly_undoing = self.undoing() && !before.undoing() && !self.undone() && !heard_already;
        // Money that came in after the order was given up has to go back as well.
        let late_money = self.undoing() && self.charged() && !before.charged;
        Decision {
            tell_cancelled: newly_cancelled || newly_undoing || late_money,
            tell_completed: self.completed && !before.completed,
        }
    }

    /// What follows when the waiting step's deadline passes.
    pub fn time_out(&self) -> Timeout {
        match self.step() {
            SagaStep::Reservation => Timeout::GiveUp("The stock could not be confirmed in time."),
            SagaStep::Payment => Timeout::GiveUp("The payment did not arrive in time."),
            SagaStep::Shipment => Timeout::GiveUp("No shipment could be planned in time."),
            SagaStep::Compensation => Timeout::TellAgain,
            SagaStep::Completed if self.status() == OrderStatus::Delivered => Timeout::Close,
            _ => Timeout::Nothing,
        }
    }

    /// The facts in 64 bits, for storage. [`Facts::refunded`] is stored beside them.
    pub fn bits(&self) -> i64 {
        let flags = self
            .flags()
            .iter()
            .enumerate()
            .fold(0, |bits, (index, flag)| bits | (i64::from(*flag) << index));
        flags | ((self.leg as i64) << 32)
    }

    /// The facts of stored bits.
    pub fn from_bits(bits: i64, refunded: i64) -> Self {
        let flag = |index: u32| bits & (1 << index) != 0;
        let leg = usize::try_from((bits >> 32) & 0xf).unwrap_or_default();
        Self {
            reserved: flag(0),
            refused: flag(1),
            hold_expired: flag(2),
            released: flag(3),
            charged: flag(4),
            declined: flag(5),
            refunded_everything: flag(6),
            planned: flag(7),
            impossible: flag(8),
            shipment_cancelled: flag(9),
            completed: flag(10),
            cancelled: flag(11),
            held_for_good: flag(12),
            handed_over: flag(13),
            leg: Leg::ALL.get(leg).copied().unwrap_or_default(),
            refunded,
        }
    }

    fn flags(&self) -> [bool; 14] {
        [
            self.reserved,
            self.refused,
            self.hold_expired,
            self.released,
            self.charged,
            self.declined,
            self.refunded_everything,
            self.planned,
            self.impossible,
            self.shipment_cancelled,
            self.completed,
            self.cancelled,
            self.held_for_good,
            self.handed_over,
        ]
    }

    /// The facts that an order of the past must have had to be in `status`.
    pub fn of_past_order(status: OrderStatus, paid: PaymentStatus, refunded: i64) -> Self {
        let reserved = Self::default().learn(Fact::Reserved);
        let charged = reserved.learn(Fact::Charged);
        let planned = charged.learn(Fact::ShipmentPlanned);
        let facts = match status {
            OrderStatus::Unspecified | OrderStatus::Pending => Self::default(),
            OrderStatus::Reserved => reserved,
            OrderStatus::Paid => charged,
            OrderStatus::Processing => planned,
            OrderStatus::Shipped => planned.learn(Fact::Seen(Leg::InTransit)),
            OrderStatus::Delivered => planned.learn(Fact::Seen(Leg::Delivered)),
            OrderStatus::Completed => planned
                .learn(Fact::Seen(Leg::Delivered))
                .learn(Fact::Completed),
            OrderStatus::PaymentFailed => reserved.learn(Fact::Declined).learn(Fact::Released),
            OrderStatus::OutOfStock => Self::default().learn(Fact::Refused),
            OrderStatus::Cancelled => reserved.learn(Fact::Cancelled).learn(Fact::Released),
            OrderStatus::Refunded => {
                planned
                    .learn(Fact::Seen(Leg::Delivered))
                    .learn(Fact::Refunded {
                        total: refunded,
                        everything: true,
                    })
            }
        };
        match paid {
            PaymentStatus::Refunded => facts.learn(Fact::Charged).learn(Fact::Refunded {
                total: refunded,
                everything: true,
            }),
            PaymentStatus::PartiallyRefunded => facts.learn(Fact::Refunded {
                total: refunded.max(1),
                everything: false,
            }),
            _ => facts,
        }
    }
}

/// Name of a step in storage.
pub fn step_name(step: SagaStep) -> &'static str {
    match step {
        SagaStep::Unspecified => "unspecified",
        SagaStep::Reservation => "reservation",
        SagaStep::Payment => "payment",
        SagaStep::Shipment => "shipment",
        SagaStep::Compensation => "compensation",
        SagaStep::Completed => "completed",
        SagaStep::Compensated => "compensated",
    }
}

/// The step of a name.
pub fn step_of(name: &str) -> Option<SagaStep> {
    (0..=6)
        .filter_map(|number| SagaStep::try_from(number).ok())
        .find(|step| step_name(*step) == name)
}

#[cfg(test)]
mod tests;
