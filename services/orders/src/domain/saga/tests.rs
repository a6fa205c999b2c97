//! The fold against every order of arrival, and a whole small world of inventory, payments and shipping
//! that reorders, repeats and delays what it says.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn facts(list: &[Fact]) -> Facts {
    list.iter()
        .fold(Facts::default(), |facts, fact| facts.learn(*fact))
}

fn refund(everything: bool) -> Fact {
    Fact::Refunded {
        total: if everything { 100 } else { 40 },
        everything,
    }
}

fn any_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        Just(Fact::Reserved),
        Just(Fact::HeldForGood),
        Just(Fact::Refused),
        Just(Fact::HoldExpired),
        Just(Fact::Released),
        Just(Fact::Charged),
        Just(Fact::Declined),
        Just(refund(false)),
        Just(refund(true)),
        Just(Fact::ShipmentPlanned),
        Just(Fact::ShipmentImpossible),
        Just(Fact::HandedOver),
        prop::sample::select(Leg::ALL.to_vec()).prop_map(Fact::Seen),
        Just(Fact::ShipmentCancelled),
        Just(Fact::Completed),
        Just(Fact::Cancelled),
    ]
}

#[test]
fn the_happy_path() {
    let path = [
        (Fact::Reserved, OrderStatus::Reserved, SagaStep::Payment),
        (Fact::Charged, OrderStatus::Paid, SagaStep::Shipment),
        (
            Fact::ShipmentPlanned,
            OrderStatus::Processing,
            SagaStep::Completed,
        ),
        (
            Fact::Seen(Leg::PickedUp),
            OrderStatus::Shipped,
            SagaStep::Completed,
        ),
        (
            Fact::Seen(Leg::Delivered),
            OrderStatus::Delivered,
            SagaStep::Completed,
        ),
        (Fact::Completed, OrderStatus::Completed, SagaStep::Completed),
    ];
    let mut now = Facts::default();
    assert_eq!(
        (now.status(), now.step()),
        (OrderStatus::Pending, SagaStep::Reservation)
    );
    for (fact, status, step) in path {
        let before = now;
        now = now.learn(fact);
        assert_eq!((now.status(), now.step()), (status, step), "after {fact:?}");
        assert!(!now.decide(&before).tell_cancelled);
    }
    assert_eq!(now.payment_status(), PaymentStatus::Paid);
    assert_eq!(now.fulfillment_status(), FulfillmentStatus::Delivered);
}

#[test]
fn a_declined_charge_waits_for_the_release_only() {
    let before = facts(&[Fact::Reserved]);
    let declined = before.learn(Fact::Declined);
    assert_eq!(declined.status(), OrderStatus::PaymentFailed);
    assert_eq!(declined.step(), SagaStep::Compensation);
    assert!(!declined.decide(&before).tell_cancelled);
    assert_eq!(declined.learn(Fact::Released).step(), SagaStep::Compensated);
}

#[test]
fn money_that_arrives_after_the_end_goes_back() {
    let cancelled = facts(&[Fact::Reserved, Fact::Cancelled, Fact::Released]);
    assert_eq!(cancelled.step(), SagaStep::Compensated);
    let late = cancelled.learn(Fact::Charged);
    assert!(late.decide(&cancelled).tell_cancelled);
    assert_eq!(late.step(), SagaStep::Compensation);
    assert_eq!(late.learn(refund(true)).step(), SagaStep::Compensated);
    assert_eq!(late.learn(refund(true)).status(), OrderStatus::Cancelled);
}

#[test]
fn an_order_paid_after_its_hold_ended_waits_for_the_stock_again() {
    let late = facts(&[
        Fact::Reserved,
        Fact::HoldExpired,
        Fact::Charged,
        Fact::ShipmentPlanned,
    ]);
    assert_eq!(
        (late.status(), late.step()),
        (OrderStatus::Paid, SagaStep::Reservation)
    );
    assert!(matches!(late.time_out(), Timeout::GiveUp(_)));
    let held = late.learn(Fact::HeldForGood);
    assert_eq!(
        (held.status(), held.step()),
        (OrderStatus::Processing, SagaStep::Completed)
    );
    let refused = late.learn(Fact::Refused);
    assert!(refused.decide(&late).tell_cancelled);
    assert_eq!(
        (refused.status(), refused.step()),
        (OrderStatus::OutOfStock, SagaStep::Compensation)
    );
}

#[test]
fn a_refund_stops_goods_that_have_not_left_and_no_others() {
    let processing = facts(&[Fact::Reserved, Fact::Charged, Fact::ShipmentPlanned]);
    let refunded = processing.learn(refund(true));
    assert_eq!(refunded.status(), OrderStatus::Refunded);
    assert!(refunded.decide(&processing).tell_cancelled);
    assert_eq!(
        refunded.learn(Fact::ShipmentCancelled).status(),
        OrderStatus::Refunded
    );
    let shipped = processing.learn(Fact::Seen(Leg::InTransit));
    let refunded = shipped.learn(refund(true));
    assert_eq!(refunded.status(), OrderStatus::Refunded);
    assert!(!refunded.decide(&shipped).tell_cancelled);
    let part = shipped.learn(refund(false));
    assert_eq!(part.status(), OrderStatus::Shipped);
    assert_eq!(part.payment_status(), PaymentStatus::PartiallyRefunded);
}

#[test]
fn an_order_can_be_cancelled_until_it_is_handed_over() {
    assert!(Facts::default().may_cancel());
    let processing = facts(&[Fact::Reserved, Fact::Charged, Fact::ShipmentPlanned]);
    assert!(processing.may_cancel());
    assert!(!processing.learn(Fact::HandedOver).may_cancel());
    assert!(!processing.learn(Fact::Seen(Leg::PickedUp)).may_cancel());
    assert!(!processing.learn(Fact::Cancelled).may_cancel());
    assert!(!facts(&[Fact::Refused]).may_cancel());
}

#[test]
fn goods_are_handed_over_once_they_are_paid_and_unless_the_order_was_given_up() {
    assert_eq!(Facts::default().hand_over(), HandOver::Unpaid);
    assert_eq!(facts(&[Fact::Reserved]).hand_over(), HandOver::Unpaid);
    let paid = facts(&[Fact::Reserved, Fact::Charged]);
    assert_eq!(paid.hand_over(), HandOver::Possible);
    for end in [
        Fact::Cancelled,
        Fact::Declined,
        Fact::Refused,
        Fact::ShipmentImpossible,
        Fact::ShipmentCancelled,
        refund(true),
    ] {
        assert_eq!(paid.learn(end).hand_over(), HandOver::GivenUp, "{end:?}");
    }
    assert_eq!(paid.learn(refund(false)).hand_over(), HandOver::Possible);
    let handed_over = paid.learn(Fact::HandedOver);
    assert_eq!(handed_over.hand_over(), HandOver::Decided);
    assert_eq!(
        paid.learn(Fact::Seen(Leg::InTransit)).hand_over(),
        HandOver::Decided
    );
}

#[test]
fn what_was_handed_over_waits_for_nothing_and_is_given_up_by_nobody() {
    // Orders has not heard of the shipment yet: no deadline may end the order because of that.
    let paid = facts(&[Fact::Reserved, Fact::Charged]);
    assert_eq!(paid.step(), SagaStep::Shipment);
    let handed_over = paid.learn(Fact::HandedOver);
    assert_eq!(handed_over.step(), SagaStep::Completed);
    assert_eq!(handed_over.time_out(), Timeout::Nothing);
    assert_eq!(handed_over.status(), OrderStatus::Processing);
    assert_eq!(
        handed_over.fulfillment_status(),
        FulfillmentStatus::Scheduled
    );
    assert!(!handed_over.decide(&paid).tell_cancelled);
    // The end of a hold that was heard of late: inventory has committed it since.
    assert_eq!(
        handed_over.learn(Fact::HoldExpired).step(),
        SagaStep::Completed
    );
    let refunded = handed_over.learn(refund(true));
    assert_eq!(refunded.status(), OrderStatus::Refunded);
    assert!(!refunded.decide(&handed_over).tell_cancelled);
}

#[test]
fn a_parcel_that_nobody_came_for_is_undone_once_its_shipment_is_cancelled() {
    let handed_over = facts(&[
        Fact::Reserved,
        Fact::Charged,
        Fact::ShipmentPlanned,
        Fact::HandedOver,
    ]);
    let stranded = handed_over.learn(Fact::ShipmentCancelled);
    assert_eq!(stranded.status(), OrderStatus::Cancelled);
    assert!(stranded.stock_held());
    assert!(stranded.decide(&handed_over).tell_cancelled);
    let undone = stranded.learn(Fact::Released).learn(refund(true));
    assert_eq!(undone.step(), SagaStep::Compensated);
    // Refunded first: then the stock has to come back all the same.
    let refunded = handed_over.learn(refund(true));
    let stranded = refunded.learn(Fact::ShipmentCancelled);
    assert!(stranded.decide(&refunded).tell_cancelled);
    assert_eq!(stranded.learn(Fact::Released).step(), SagaStep::Compensated);
}

#[test]
fn past_orders_have_the_status_that_they_are_given() {
    for number in 1..=11 {
        let status = OrderStatus::try_from(number).unwrap();
        let paid = match status {
            OrderStatus::Refunded => PaymentStatus::Refunded,
            _ => PaymentStatus::Unspecified,
        };
        assert_eq!(Facts::of_past_order(status, paid, 100).status(), status);
    }
}

#[test]
fn steps_have_names() {
    for number in 0..=6 {
        let step = SagaStep::try_from(number).unwrap();
        assert_eq!(step_of(step_name(step)), Some(step));
    }
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_matters(
        (history, shuffled) in prop::collection::vec(any_fact(), 0..12)
            .prop_flat_map(|history| {
                let twice: Vec<Fact> = history.iter().chain(&history).copied().collect();
                (Just(history), Just(twice).prop_shuffle())
            })
    ) {
        let (once, again) = (facts(&history), facts(&shuffled));
        prop_assert_eq!(once, again);
        prop_assert_eq!(once.status(), again.status());
        prop_assert_eq!(once.step(), again.step());
        prop_assert_eq!(Facts::from_bits(once.bits(), once.refunded()), once);
    }

    #[test]
    fn a_fact_that_is_known_changes_and_tells_nothing(history in prop::collection::vec(any_fact(), 1..12)) {
        let known = facts(&history);
        for fact in history {
            let again = known.learn(fact);
            prop_assert_eq!(again, known);
            prop_assert_eq!(again.decide(&known), Decision { tell_cancelled: false, tell_completed: false });
        }
    }
}

/// What services say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    OrderCreated,
    OrderCancelled,
    Heard(Fact),
}

/// What the world does differently from the happy path.
#[derive(Clone, Debug)]
struct Luck {
    in_stock: bool,
    can_hold_again: bool,
    card_works: bool,
    carrier_found: bool,
    customer_cancels_at: Option<usize>,
    timer_fires_at: Option<usize>,
    hold_expires_at: Option<usize>,
    staff_refunds_at: Option<usize>,
    picked_up_at: Option<usize>,
    /// Shipping dies between the leave of orders and its own note of it; the carrier scans again at the end.
    first_scan_lost: bool,
}

/// When a carrier whose scan got lost scans again.
const SCANNED_AGAIN: usize = 39;

/// Inventory, payments and shipping in the small, each idempotent per order and with its tombstone, as the
/// contracts demand of the real ones.
#[derive(Debug, Default)]
struct World {
    facts: Facts,
    /// Every message on its way, with who has yet to hear it.
    bag: Vec<(Receiver, Message)>,
    held: bool,
    hold_paid: bool,
    hold_failed: bool,
    hold_expired: bool,
    hold_barred: bool,
    shipped: bool,
    charged: bool,
    charge_barred: bool,
    charge_declined: bool,
    refunded: bool,
    shipment: bool,
    shipment_barred: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiver {
    Orders,
    Inventory,
    Payments,
    Shipping,
}

impl World {
    fn say(&mut self, message: Message) {
        for receiver in [
            Receiver::Orders,
            Receiver::Inventory,
            Receiver::Payments,
            Receiver::Shipping,
        ] {
            self.bag.push((receiver, message));
        }
    }

    /// Messages that only an operator can make up for: inventory must learn that the units it holds are
    /// paid and that they have left, and orders of a refund that it did not ask for.
    fn must_arrive(receiver: Receiver, message: Message, luck: &Luck) -> bool {
        match (receiver, message) {
            (Receiver::Inventory, Message::Heard(Fact::Charged | Fact::Seen(_))) => true,
            (Receiver::Orders, Message::Heard(Fact::Refunded { .. })) => {
                luck.staff_refunds_at.is_some()
            }
            _ => false,
        }
    }

    fn learn(&mut self, fact: Fact) {
        let before = self.facts;
        self.facts = before.learn(fact);
        if self.facts.decide(&before).tell_cancelled {
            self.say(Message::OrderCancelled);
        }
    }

    fn deliver(&mut self, receiver: Receiver, message: Message, luck: &Luck) {
        match (receiver, message) {
            (Receiver::Orders, Message::Heard(fact)) => self.learn(fact),
            (Receiver::Inventory, Message::OrderCreated) => {
                if self.hold_paid || self.shipped {
                    self.say(Message::Heard(Fact::HeldForGood));
                } else if self.held {
                    self.say(Message::Heard(Fact::Reserved));
                } else if self.hold_barred
                    || self.hold_expired
                    || self.hold_failed
                    || !luck.in_stock
                {
                    self.hold_failed |= !self.hold_barred;
                    self.say(Message::Heard(Fact::Refused));
                } else {
                    self.held = true;
                    self.say(Message::Heard(Fact::Reserved));
                }
            }
            (Receiver::Inventory, Message::Heard(Fact::Charged)) => {
                if self.hold_barred || self.shipped {
                } else if self.held {
                    self.hold_paid = true;
                } else if self.hold_expired && !self.hold_failed && luck.can_hold_again {
                    self.held = true;
                    self.hold_paid = true;
                    self.say(Message::Heard(Fact::HeldForGood));
                } else if self.hold_expired || self.hold_failed {
                    self.hold_failed = true;
                    self.say(Message::Heard(Fact::Refused));
                }
            }
            (Receiver::Inventory, Message::OrderCancelled | Message::Heard(Fact::Declined)) => {
                self.held = false;
                self.hold_barred = true;
                self.say(Message::Heard(Fact::Released));
            }
            (Receiver::Inventory, Message::Heard(Fact::Seen(Leg::PickedUp))) => {
                self.held = false;
                self.shipped = true;
            }
            (Receiver::Payments, Message::Heard(Fact::Reserved | Fact::HeldForGood)) => {
                // Asks orders whether it is still wanted, as the real one does.
                if self.charged
                    || self.charge_barred
                    || self.charge_declined
                    || !self.facts.is_open()
                {
                    return;
                }
                if luck.card_works {
                    self.charged = true;
                    self.say(Message::Heard(Fact::Charged));
                } else {
                    self.charge_declined = true;
                    self.say(Message::Heard(Fact::Declined));
                }
            }
            (Receiver::Payments, Message::OrderCancelled | Message::Heard(Fact::Refused)) => {
                self.charge_barred = true;
                self.give_back();
            }
            (Receiver::Shipping, Message::Heard(Fact::Charged)) => {
                if self.shipment || self.shipment_barred {
                    return;
                }
                if luck.carrier_found {
                    self.shipment = true;
                    self.say(Message::Heard(Fact::ShipmentPlanned));
                } else {
                    self.say(Message::Heard(Fact::ShipmentImpossible));
                }
            }
            (Receiver::Shipping, Message::OrderCancelled) => {
                self.shipment_barred = true;
                if self.shipment && !self.shipped {
                    self.shipment = false;
                    self.say(Message::Heard(Fact::ShipmentCancelled));
                }
            }
            _ => {}
        }
    }

    fn give_back(&mut self) {
        // Said again when asked again: who asks has not heard.
        if self.charged {
            self.refunded = true;
            self.say(Message::Heard(refund(true)));
        }
    }

    /// Things that happen by themselves.
    fn happen(&mut self, step: usize, luck: &Luck) {
        let now = |at: Option<usize>| at == Some(step);
        if now(luck.customer_cancels_at) && self.facts.may_cancel() {
            self.learn(Fact::Cancelled);
        }
        if now(luck.timer_fires_at) {
            self.time_out();
        }
        if now(luck.hold_expires_at) && self.held && !self.hold_paid {
            self.held = false;
            self.hold_expired = true;
            self.say(Message::Heard(Fact::HoldExpired));
        }
        if now(luck.staff_refunds_at) {
            self.give_back();
        }
        if now(luck.picked_up_at) || (luck.picked_up_at.is_some() && step == SCANNED_AGAIN) {
            self.scan(luck, luck.first_scan_lost && step < SCANNED_AGAIN);
        }
    }

    /// The carrier comes for the parcel, which it may take only if orders lets it go.
    fn scan(&mut self, luck: &Luck, lost: bool) {
        let waits = self.shipment && !self.shipment_barred && !self.shipped;
        if waits && self.hands_over(luck) && !lost {
            self.shipped = true;
            self.say(Message::Heard(Fact::Seen(Leg::PickedUp)));
        }
    }

    /// Orders lets the goods go once inventory has committed them.
    fn hands_over(&mut self, luck: &Luck) -> bool {
        match self.facts.hand_over() {
            HandOver::Decided => return true,
            HandOver::Unpaid | HandOver::GivenUp => return false,
            HandOver::Possible => {}
        }
        self.deliver(Receiver::Inventory, Message::Heard(Fact::Charged), luck);
        let committed = self.held && self.hold_paid;
        if committed {
            self.learn(Fact::HandedOver);
        }
        committed
    }

    fn time_out(&mut self) {
        match self.facts.time_out() {
            Timeout::GiveUp(_) => self.learn(Fact::Cancelled),
            Timeout::TellAgain => self.say(Message::OrderCancelled),
            Timeout::Close => self.learn(Fact::Completed),
            Timeout::Nothing => {}
        }
    }

    fn ended(&self) -> bool {
        matches!(
            self.facts.step(),
            SagaStep::Completed | SagaStep::Compensated
        )
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    ArrivesAndComesAgain,
    /// It became a dead letter that nobody replays.
    Lost,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        7 => Just(Fate::Arrives),
        2 => Just(Fate::ArrivesAndComesAgain),
        1 => Just(Fate::Lost),
    ]
}

fn lucks() -> impl Strategy<Value = Luck> {
    let when = || prop::option::weighted(0.3, 0_usize..40);
    (
        prop::bool::weighted(0.8),
        any::<bool>(),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.8),
        when(),
        when(),
        when(),
        when(),
        when(),
        any::<bool>(),
    )
        .prop_map(
            |(
                in_stock,
                can_hold_again,
                card_works,
                carrier_found,
                cancel,
                timer,
                expire,
                refund,
                pickup,
                first_scan_lost,
            )| Luck {
                in_stock,
                can_hold_again,
                card_works,
                carrier_found,
                customer_cancels_at: cancel,
                timer_fires_at: timer,
                hold_expires_at: expire,
                staff_refunds_at: refund,
                picked_up_at: pickup,
                first_scan_lost,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever goes wrong or gets lost, and in whatever order it is heard of, the saga ends; and then either
    /// the customer has the goods promised and the shop the money, or neither.
    #[test]
    fn every_saga_ends_with_money_and_stock_in_balance(
        luck in lucks(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), fates()), 400),
    ) {
        let mut world = World::default();
        world.say(Message::OrderCreated);
        let mut picks = picks.into_iter();
        let mut step = 0;
        let mut timeouts = 0;
        // One message of an order may be lost for good, whichever it is.
        let mut losses = 0;
        loop {
            world.happen(step, &luck);
            step += 1;
            if world.bag.is_empty() {
                if world.ended() && step > 40 {
                    break;
                }
                if step > 40 {
                    timeouts += 1;
                    prop_assert!(timeouts < 60, "the saga does not end: {world:?}");
                    world.time_out();
                }
                continue;
            }
            let (index, fate) = match picks.next() {
                Some((pick, fate)) => (pick.index(world.bag.len()), fate),
                None => (0, Fate::Arrives),
            };
            let (receiver, message) = world.bag[index];
            if fate != Fate::ArrivesAndComesAgain {
                world.bag.swap_remove(index);
            }
            if fate == Fate::Lost && losses == 0 && !World::must_arrive(receiver, message, &luck) {
                losses += 1;
            } else {
                world.deliver(receiver, message, &luck);
            }
        }
        let goods = world.held || world.shipped;
        match world.facts.step() {
            SagaStep::Completed => {
                prop_assert!(world.charged);
                prop_assert!(goods, "completed without goods: {world:?}");
                prop_assert!(!world.refunded || world.shipped);
            }
            _ => {
                prop_assert!(!world.charged || world.refunded, "money kept: {world:?}");
                prop_assert!(!world.held, "stock kept: {world:?}");
                prop_assert!(!world.shipped, "goods left for nothing: {world:?}");
            }
        }
    }
}
