//! The consumers' effects on a real store: whatever arrives, in whatever order and however often, units
//! are conserved and never promised twice.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::DateTime;
use contracts::hub::events::v1 as events;
use mesh::{
    Clock, Ids, args,
    events::{Data, Envelope},
    store::{Store, Tx},
};
use proptest::prelude::*;
use prost::Message;

use crate::{
    cause::Cause,
    config::InventoryConfig,
    domain::hold::{Demand, HoldStatus},
    events::{Change, Means, announced},
    expiry::sweep,
    store::{self, Line, NewVariant, Outcome, SetStock},
};

struct Shop {
    store: Store,
    means: Means,
}

impl Shop {
    async fn open() -> Self {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ids = Ids::seeded(clock.clone(), 7);
        let store = Store::scratch("inventory", store::MIGRATIONS, clock.clone(), ids.clone())
            .await
            .unwrap();
        let config = InventoryConfig::default();
        Self {
            store,
            means: Means {
                clock,
                ids,
                config: Arc::new(config),
            },
        }
    }

    async fn stocked(units: &[i64]) -> Self {
        let shop = Self::open().await;
        for (index, units) in units.iter().enumerate() {
            let moment = shop.means.moment(Cause::default());
            let locations = shop.means.config.locations.clone();
            let variant = NewVariant {
                variant_id: variant(index),
                sku: format!("SKU-{index}"),
                initial_stock: *units,
            };
            shop.store
                .write(move |tx: Tx| async move {
                    store::add_variants(&tx, &moment, &locations, "product", &[variant]).await
                })
                .await
                .unwrap();
        }
        shop
    }

    async fn reserve(&self, order: &str, lines: &[(usize, i64)]) -> Outcome {
        let moment = self.means.moment(Cause::default());
        let order = order.to_owned();
        let lines: Vec<Line> = lines
            .iter()
            .map(|(index, quantity)| Line {
                variant_id: variant(*index),
                quantity: *quantity,
            })
            .collect();
        self.store
            .write(move |tx: Tx| async move { store::reserve(&tx, &moment, &order, &lines).await })
            .await
            .unwrap()
    }

    async fn demand(&self, order: &str, demand: Demand) {
        let moment = self.means.moment(Cause::default());
        let order = order.to_owned();
        self.store
            .write(move |tx: Tx| async move {
                store::perform(&tx, &moment, &order, demand, "test").await
            })
            .await
            .unwrap();
    }

    async fn arrives(&self, event: &Envelope) {
        let moment = self.means.moment(Cause::event(event));
        let Some(change) = Change::asked_by(event).unwrap() else {
            return;
        };
        self.store
            .write(move |tx: Tx| async move { change.apply(&tx, &moment).await })
            .await
            .unwrap();
    }

    async fn product_arrives(&self, event: &Envelope) {
        let moment = self.means.moment(Cause::event(event));
        let locations = self.means.config.locations.clone();
        let (product_id, variants) = announced(event).unwrap().unwrap();
        self.store
            .write(move |tx: Tx| async move {
                store::add_variants(&tx, &moment, &locations, &product_id, &variants).await
            })
            .await
            .unwrap();
    }

    async fn available(&self, index: usize) -> i64 {
        let stock = store::variant_stock(&self.store, &variant(index))
            .await
            .unwrap()
            .unwrap();
        stock.on_hand - stock.held
    }

    async fn status(&self, order: &str) -> Option<HoldStatus> {
        self.store
            .one("SELECT status FROM holds WHERE order_id = $1", args![order])
            .await
            .unwrap()
            .map(|row| row.get::<&str>("status").unwrap().parse().unwrap())
    }

    async fn emitted(&self) -> Vec<Data> {
        let rows = self
            .store
            .all("SELECT envelope FROM outbox ORDER BY seq", args![])
            .await
            .unwrap();
        rows.iter()
            .map(|row| {
                Envelope::decode(row.get::<&[u8]>("envelope").unwrap())
                    .unwrap()
                    .data
                    .unwrap()
            })
            .collect()
    }

    /// On hand = movements; held = what live reservations hold; sums over shelves = the variant's row; the
    /// last announced level is the present one.
    async fn check(&self) {
        let shelves = self
            .store
            .all(
                "SELECT s.variant_id, s.location_id, s.on_hand, s.held, \
                 (SELECT COALESCE(SUM(m.delta), 0) FROM stock_movements m \
                  WHERE m.variant_id = s.variant_id AND m.location_id = s.location_id) AS moved, \
                 (SELECT COALESCE(SUM(r.quantity), 0) FROM reservations r \
                  JOIN holds h ON h.order_id = r.order_id AND h.round = r.round \
                  WHERE r.variant_id = s.variant_id AND r.location_id = s.location_id \
                  AND h.status IN ('held', 'committed')) AS promised FROM stock s",
                args![],
            )
            .await
            .unwrap();
        let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for row in &shelves {
            let on_hand: i64 = row.get("on_hand").unwrap();
            let held: i64 = row.get("held").unwrap();
            assert!(0 <= held && held <= on_hand);
            assert_eq!(on_hand, row.get::<i64>("moved").unwrap());
            assert_eq!(held, row.get::<i64>("promised").unwrap());
            let sum = sums.entry(row.get("variant_id").unwrap()).or_default();
            sum.0 += on_hand;
            sum.1 += held;
        }
        let mut announced: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for data in self.emitted().await {
            if let Data::StockLevelChanged(level) = data {
                announced.insert(level.variant_id, (level.available, level.reserved));
            }
        }
        let variants = self
            .store
            .all("SELECT variant_id, on_hand, held FROM variants", args![])
            .await
            .unwrap();
        for row in &variants {
            let id: String = row.get("variant_id").unwrap();
            let (on_hand, held) = (row.get("on_hand").unwrap(), row.get("held").unwrap());
            assert_eq!(sums.get(&id).copied().unwrap_or_default(), (on_hand, held));
            assert_eq!(announced[&id], (on_hand - held, held));
        }
    }
}

fn variant(index: usize) -> String {
    format!("variant-{index}")
}

fn event(id: &str, data: Data) -> Envelope {
    Envelope {
        event_id: id.to_owned(),
        correlation_id: "flow".to_owned(),
        data: Some(data),
        ..Envelope::default()
    }
}

fn created(order: &str, lines: &[(usize, i64)]) -> Data {
    Data::OrderCreated(events::OrderCreated {
        order_id: order.to_owned(),
        items: lines
            .iter()
            .map(|(index, quantity)| events::OrderLine {
                variant_id: variant(*index),
                quantity: *quantity,
                ..events::OrderLine::default()
            })
            .collect(),
        ..events::OrderCreated::default()
    })
}

#[tokio::test]
async fn all_lines_or_nothing() {
    let shop = Shop::stocked(&[5, 1]).await;
    let Outcome::Refused { shortages } = shop.reserve("o-1", &[(0, 2), (1, 3)]).await else {
        panic!("more was held than there is");
    };
    assert_eq!(shortages.len(), 1);
    assert_eq!(
        (shortages[0].sku.as_str(), shortages[0].available),
        ("SKU-1", 1)
    );
    assert_eq!(shop.available(0).await, 5);
    assert!(matches!(
        shop.reserve("o-2", &[(0, 2), (1, 1)]).await,
        Outcome::Held { .. }
    ));
    assert_eq!((shop.available(0).await, shop.available(1).await), (3, 0));
    // The refusal is remembered, also after units came free.
    shop.demand("o-2", Demand::Release).await;
    assert!(matches!(
        shop.reserve("o-1", &[(0, 2), (1, 1)]).await,
        Outcome::Refused { .. }
    ));
    shop.check().await;
}

#[tokio::test]
async fn lines_of_one_variant_add_up() {
    let shop = Shop::stocked(&[5]).await;
    assert!(matches!(
        shop.reserve("o-1", &[(0, 3), (0, 3)]).await,
        Outcome::Refused { .. }
    ));
    assert!(matches!(
        shop.reserve("o-2", &[(0, 3), (0, 2)]).await,
        Outcome::Held { .. }
    ));
    shop.check().await;
}

#[tokio::test]
async fn repeating_a_reservation_holds_nothing_more_and_tells_the_same() {
    let shop = Shop::stocked(&[100]).await;
    let first = shop.reserve("o-1", &[(0, 60)]).await;
    let second = shop.reserve("o-1", &[(0, 60)]).await;
    assert_eq!(first, second);
    assert_eq!(shop.available(0).await, 40);
    shop.check().await;
}

#[tokio::test]
async fn a_release_before_the_reservation_bars_it() {
    let shop = Shop::stocked(&[5]).await;
    shop.demand("o-1", Demand::Release).await;
    assert_eq!(
        shop.reserve("o-1", &[(0, 1)]).await,
        Outcome::Refused { shortages: vec![] }
    );
    assert_eq!(shop.available(0).await, 5);
    let told = shop.emitted().await;
    assert!(
        told.iter()
            .any(|data| matches!(data, Data::InventoryReleased(_)))
    );
    assert!(
        told.iter()
            .any(|data| matches!(data, Data::InventoryReservationFailed(_)))
    );
}

#[tokio::test]
async fn a_hold_expires_unless_it_is_paid() {
    let shop = Shop::stocked(&[5]).await;
    shop.reserve("o-1", &[(0, 2)]).await;
    shop.reserve("o-2", &[(0, 2)]).await;
    shop.demand("o-2", Demand::Commit).await;
    assert_eq!(sweep(&shop.store, &shop.means).await.unwrap(), 0);
    shop.means.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(sweep(&shop.store, &shop.means).await.unwrap(), 1);
    assert_eq!(shop.status("o-1").await, Some(HoldStatus::Expired));
    assert_eq!(shop.status("o-2").await, Some(HoldStatus::Committed));
    assert_eq!(shop.available(0).await, 3);
    shop.check().await;
}

#[tokio::test]
async fn a_payment_after_the_hold_expired_holds_again_or_fails() {
    let shop = Shop::stocked(&[2]).await;
    shop.reserve("o-1", &[(0, 2)]).await;
    shop.means.clock.advance(Duration::from_secs(15 * 60));
    sweep(&shop.store, &shop.means).await.unwrap();
    shop.demand("o-1", Demand::Commit).await;
    assert_eq!(shop.status("o-1").await, Some(HoldStatus::Committed));
    assert_eq!(shop.available(0).await, 0);
    let ledger = store::reservations_of(&shop.store, "o-1").await.unwrap();
    let states: Vec<HoldStatus> = ledger.iter().map(|row| row.status).collect();
    assert_eq!(states, [HoldStatus::Expired, HoldStatus::Committed]);
    shop.check().await;

    let shop = Shop::stocked(&[2]).await;
    shop.reserve("o-1", &[(0, 2)]).await;
    shop.means.clock.advance(Duration::from_secs(15 * 60));
    sweep(&shop.store, &shop.means).await.unwrap();
    shop.reserve("o-2", &[(0, 1)]).await;
    shop.demand("o-1", Demand::Commit).await;
    assert_eq!(shop.status("o-1").await, Some(HoldStatus::Failed));
    assert!(matches!(
        shop.emitted().await.last(),
        Some(Data::InventoryReservationFailed(failed)) if failed.order_id == "o-1"
    ));
    shop.check().await;
}

#[tokio::test]
async fn goods_that_leave_leave_the_stock() {
    let shop = Shop::stocked(&[5]).await;
    shop.reserve("o-1", &[(0, 2)]).await;
    shop.demand("o-1", Demand::Commit).await;
    for demand in [
        Demand::Consume,
        Demand::Consume,
        Demand::Release,
        Demand::Commit,
    ] {
        shop.demand("o-1", demand).await;
    }
    let stock = store::variant_stock(&shop.store, &variant(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((stock.on_hand, stock.held), (3, 0));
    shop.check().await;
}

#[tokio::test]
async fn a_count_cannot_take_what_is_held() {
    let shop = Shop::stocked(&[5]).await;
    shop.reserve("o-1", &[(0, 2)]).await;
    let home = store::variant_stock(&shop.store, &variant(0))
        .await
        .unwrap()
        .unwrap()
        .shelves[0]
        .clone();
    let set = |on_hand: i64| {
        let count = SetStock {
            variant_id: variant(0),
            location_id: home.location_id.clone(),
            on_hand,
            actor: "staff".into(),
            reason: "count".into(),
        };
        let moment = shop.means.moment(Cause::default());
        shop.store
            .write(move |tx: Tx| async move { store::set_stock(&tx, &moment, &count).await })
    };
    assert!(set(1).await.is_err());
    set(2).await.unwrap();
    assert_eq!(shop.available(0).await, 0);
    set(9).await.unwrap();
    assert_eq!(shop.available(0).await, 7);
    shop.check().await;
}

#[tokio::test]
async fn products_get_shelves_once() {
    let shop = Shop::open().await;
    let product = |stock: i64| events::ProductSnapshot {
        product_id: "p-1".into(),
        variants: vec![events::VariantSnapshot {
            variant_id: variant(0),
            sku: "S".into(),
            initial_stock: stock,
            ..events::VariantSnapshot::default()
        }],
        ..events::ProductSnapshot::default()
    };
    let first = Data::ProductCreated(events::ProductCreated {
        product: Some(product(100)),
    });
    shop.product_arrives(&event("e-1", first)).await;
    shop.reserve("o-1", &[(0, 1)]).await;
    let again = Data::ProductUpdated(events::ProductUpdated {
        product: Some(product(500)),
    });
    shop.product_arrives(&event("e-2", again)).await;
    let stock = store::product_stock(&shop.store, "p-1").await.unwrap();
    assert_eq!(
        (stock[0].on_hand, stock[0].held, stock[0].shelves.len()),
        (100, 1, 3)
    );
    shop.check().await;
}

#[tokio::test]
async fn the_scarcest_come_first_by_page_and_by_token() {
    let shop = Shop::stocked(&[7, 0, 3, 0, 9]).await;
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let paging = mesh::Paging::read(None, Some(2), &token, &8_i64).unwrap();
        let page = store::scarce(&shop.store, 8, &paging).await.unwrap();
        assert_eq!(page.total, 4);
        seen.extend(page.items.iter().map(|item| item.on_hand));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [0, 0, 3, 7]);
    let paging = mesh::Paging::read(Some(2), Some(2), "", &8_i64).unwrap();
    let page = store::scarce(&shop.store, 8, &paging).await.unwrap();
    assert_eq!(
        page.items
            .iter()
            .map(|item| item.on_hand)
            .collect::<Vec<_>>(),
        [3, 7]
    );
}

#[tokio::test]
async fn the_rpcs_of_the_saga_answer_what_the_ledger_says() {
    use contracts::hub::inventory::v1::{
        BatchGetAvailabilityRequest, ListReservationsRequest, ReleaseRequest, ReservationStatus,
        ReserveLine, ReserveRequest, inventory_service_server::InventoryService,
    };
    use tonic::Request;

    let shop = Shop::stocked(&[5, 0]).await;
    let handler = crate::service::InventoryHandler {
        store: shop.store.clone(),
        means: shop.means.clone(),
    };
    let reserve = |order: &str, index: usize, quantity: i64| ReserveRequest {
        order_id: order.to_owned(),
        lines: vec![ReserveLine {
            variant_id: variant(index),
            quantity,
        }],
    };
    let call = async |request: ReserveRequest| {
        handler
            .reserve(Request::new(request))
            .await
            .unwrap()
            .into_inner()
    };
    let first = call(reserve("o-1", 0, 3)).await;
    assert!(first.reserved);
    assert_eq!(call(reserve("o-1", 0, 3)).await, first);
    let short = call(reserve("o-2", 0, 3)).await;
    assert!(!short.reserved);
    assert_eq!(
        (
            short.failed_lines[0].requested,
            short.failed_lines[0].available
        ),
        (3, 2)
    );

    let release = || {
        Request::new(ReleaseRequest {
            order_id: "o-1".into(),
            reason: "changed their mind".into(),
        })
    };
    let released = handler
        .release(release())
        .await
        .unwrap()
        .into_inner()
        .released;
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].status(), ReservationStatus::Released);
    assert!(
        handler
            .release(release())
            .await
            .unwrap()
            .into_inner()
            .released
            .is_empty()
    );
    let again = call(reserve("o-1", 0, 1)).await;
    assert!(!again.reserved && again.failed_lines.len() == 1);

    let list = ListReservationsRequest {
        order_id: "o-1".into(),
    };
    let ledger = handler
        .list_reservations(Request::new(list))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(ledger.items, released);
    let ask = BatchGetAvailabilityRequest {
        variant_ids: vec![variant(0), variant(1), variant(0), "unknown".into()],
    };
    let answer = handler
        .batch_get_availability(Request::new(ask))
        .await
        .unwrap()
        .into_inner();
    let units: Vec<i64> = answer
        .variants
        .iter()
        .map(|stock| stock.available)
        .collect();
    assert_eq!(units, [5, 0]);
    shop.check().await;
}

#[tokio::test]
async fn a_commitment_says_whether_the_units_are_there() {
    use contracts::hub::inventory::v1::{
        CommitOutcome, CommitRequest, inventory_service_server::InventoryService,
    };
    use tonic::Request;

    let shop = Shop::stocked(&[4]).await;
    let handler = crate::service::InventoryHandler {
        store: shop.store.clone(),
        means: shop.means.clone(),
    };
    let commit = async |order: &str| {
        let order_id = order.to_owned();
        let request = Request::new(CommitRequest { order_id });
        handler
            .commit(request)
            .await
            .unwrap()
            .into_inner()
            .outcome()
    };
    let expire = async || {
        shop.means.clock.advance(Duration::from_secs(15 * 60));
        sweep(&shop.store, &shop.means).await.unwrap();
    };
    shop.reserve("o-1", &[(0, 1)]).await;
    for _ in 0..2 {
        assert_eq!(commit("o-1").await, CommitOutcome::Held);
    }
    expire().await;
    assert_eq!(shop.status("o-1").await, Some(HoldStatus::Committed));
    shop.demand("o-1", Demand::Consume).await;
    assert_eq!(commit("o-1").await, CommitOutcome::Held);

    // Before the order is known: its hold will not expire.
    assert_eq!(commit("o-2").await, CommitOutcome::Awaited);
    shop.reserve("o-2", &[(0, 1)]).await;
    assert_eq!(commit("o-2").await, CommitOutcome::Held);
    shop.demand("o-2", Demand::Release).await;
    assert_eq!(commit("o-2").await, CommitOutcome::Lost);

    // A hold that has expired is taken again while there is stock.
    shop.reserve("o-3", &[(0, 2)]).await;
    shop.reserve("o-4", &[(0, 1)]).await;
    expire().await;
    assert_eq!(commit("o-3").await, CommitOutcome::Held);
    shop.reserve("o-5", &[(0, 1)]).await;
    assert_eq!(commit("o-4").await, CommitOutcome::Lost);
    shop.check().await;
}

#[tokio::test]
async fn who_was_told_that_a_hold_is_over_does_not_get_it_back() {
    let shop = Shop::stocked(&[2]).await;
    shop.reserve("o-1", &[(0, 1)]).await;
    shop.means.clock.advance(Duration::from_secs(15 * 60));
    sweep(&shop.store, &shop.means).await.unwrap();
    assert_eq!(
        shop.reserve("o-1", &[(0, 1)]).await,
        Outcome::Refused { shortages: vec![] }
    );
    shop.demand("o-1", Demand::Commit).await;
    assert_eq!(shop.status("o-1").await, Some(HoldStatus::Failed));
    assert_eq!(shop.available(0).await, 2);
    shop.check().await;
}

/// Something that reaches inventory about one of a few orders.
#[derive(Clone, Debug)]
enum Arrival {
    Created,
    Paid,
    PaymentFailed,
    Cancelled,
    PickedUp,
    TimePasses,
}

fn arrivals() -> impl Strategy<Value = Vec<(usize, Arrival)>> {
    let one = prop_oneof![
        4 => Just(Arrival::Created),
        3 => Just(Arrival::Paid),
        1 => Just(Arrival::PaymentFailed),
        2 => Just(Arrival::Cancelled),
        2 => Just(Arrival::PickedUp),
        1 => Just(Arrival::TimePasses),
    ];
    prop::collection::vec((0_usize..5, one), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_interleaving_oversells_or_loses_units(
        stock in prop::collection::vec(0_i64..40, 2),
        orders in prop::collection::vec(prop::collection::vec((0_usize..2, 1_i64..15), 1..3), 5),
        arrivals in arrivals(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shop = Shop::stocked(&stock).await;
            for (step, (order, arrival)) in arrivals.into_iter().enumerate() {
                let id = format!("o-{order}");
                let data = match arrival {
                    Arrival::Created => created(&id, &orders[order]),
                    Arrival::Paid => Data::PaymentProcessed(events::PaymentProcessed {
                        order_id: id,
                        ..Default::default()
                    }),
                    Arrival::PaymentFailed => Data::PaymentFailed(events::PaymentFailed {
                        order_id: id,
                        ..Default::default()
                    }),
                    Arrival::Cancelled => Data::OrderCancelled(events::OrderCancelled {
                        order_id: id,
                        ..Default::default()
                    }),
                    Arrival::PickedUp => Data::ShipmentStatusUpdated(events::ShipmentStatusUpdated {
                        order_id: id,
                        status: "picked_up".into(),
                        ..Default::default()
                    }),
                    Arrival::TimePasses => {
                        shop.means.clock.advance(Duration::from_secs(10 * 60));
                        sweep(&shop.store, &shop.means).await.unwrap();
                        continue;
                    }
                };
                let event = event(&format!("e-{step}"), data);
                // Every event arrives twice: what has been done once is not done again.
                shop.arrives(&event).await;
                let before = shop.available(0).await;
                shop.arrives(&event).await;
                assert_eq!(shop.available(0).await, before);
                shop.check().await;
            }
        });
    }
}
