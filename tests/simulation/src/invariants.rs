//! What must hold at the end of every run, read from the disks and the provider's books.

use std::collections::BTreeMap;

use mesh::{
    args,
    store::{Row, StoreError},
};

use crate::{
    process::Role,
    provider::Balance,
    world::{State, World},
};

/// Effects that are always written: consumer and event type.
const EFFECTS: [(Role, Role, &str, &str); 9] = [
    (
        Role::Orders,
        Role::Inventory,
        "inventory.holds",
        "OrderCreated",
    ),
    (
        Role::Orders,
        Role::Inventory,
        "inventory.holds",
        "OrderCancelled",
    ),
    (
        Role::Payments,
        Role::Inventory,
        "inventory.holds",
        "PaymentProcessed",
    ),
    (Role::Orders, Role::Cart, "cart.ordered", "OrderCreated"),
    (
        Role::Orders,
        Role::Shipping,
        "shipping.cancel",
        "OrderCancelled",
    ),
    (
        Role::Inventory,
        Role::Orders,
        "orders.saga",
        "InventoryReserved",
    ),
    (
        Role::Payments,
        Role::Orders,
        "orders.saga",
        "PaymentProcessed",
    ),
    (
        Role::Payments,
        Role::Orders,
        "orders.saga",
        "RefundProcessed",
    ),
    (
        Role::Shipping,
        Role::Orders,
        "orders.saga",
        "ShipmentScheduled",
    ),
];

/// Counts every effect on every disk, whatever the services believe.
pub(crate) const AUDIT: &str = "\
    CREATE TABLE audited_effects (consumer TEXT NOT NULL, event_id TEXT NOT NULL, times INTEGER NOT NULL, \
        PRIMARY KEY (consumer, event_id)) WITHOUT ROWID; \
    CREATE TRIGGER audit_effects AFTER INSERT ON inbox BEGIN \
        INSERT INTO audited_effects VALUES (NEW.consumer, NEW.event_id, 1) \
        ON CONFLICT DO UPDATE SET times = times + 1; END;";

/// Notes every attempt to charge an order that begins after payments has taken the order's end.
pub(crate) const AUDIT_OF_PAYMENTS: &str = "\
    CREATE TABLE audited_ends (order_id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID; \
    CREATE TABLE audited_late_attempts (order_id TEXT NOT NULL); \
    CREATE TRIGGER audit_tombstones AFTER INSERT ON payments WHEN NEW.closed BEGIN \
        INSERT INTO audited_ends VALUES (NEW.order_id) ON CONFLICT DO NOTHING; END; \
    CREATE TRIGGER audit_ends AFTER UPDATE OF closed ON payments WHEN NEW.closed BEGIN \
        INSERT INTO audited_ends VALUES (NEW.order_id) ON CONFLICT DO NOTHING; END; \
    CREATE TRIGGER audit_attempts AFTER UPDATE OF attempts ON payments BEGIN \
        INSERT INTO audited_late_attempts SELECT order_id FROM audited_ends \
        WHERE order_id = NEW.order_id; END;";

/// Why the world is not calm yet; nothing when every saga has ended and nothing is on its way.
pub(crate) fn unrest(world: &World) -> Option<String> {
    world.with(|state| look_for_unrest(state).unwrap_or_else(|error| Some(error.to_string())))
}

fn look_for_unrest(state: &mut State) -> Result<Option<String>, StoreError> {
    if state.shopping > 0 {
        return Ok(Some(format!("{} shoppers are not done", state.shopping)));
    }
    if state.carrying {
        return Ok(Some("the carriers are not done".to_owned()));
    }
    let waiting = state.broker.waiting();
    if waiting > 0 {
        return Ok(Some(format!("{waiting} messages are not acknowledged")));
    }
    let queries = [
        (
            Role::Orders,
            "an open saga",
            "SELECT order_id || ': ' || step || ', facts ' || facts AS what FROM sagas \
             WHERE step NOT IN ('completed', 'compensated')",
        ),
        (
            Role::Payments,
            "a promised refund",
            "SELECT order_id AS what FROM refunds WHERE status = 'pending'",
        ),
        (
            Role::Payments,
            "a charge under way",
            "SELECT order_id AS what FROM payments WHERE attempt_at IS NOT NULL",
        ),
    ];
    for (role, name, sql) in queries {
        if let Some(found) = first(state, role, sql)? {
            return Ok(Some(format!("{name}: {found}")));
        }
    }
    for role in services() {
        for (name, sql) in [
            (
                "a parked event",
                "SELECT consumer || ' ' || event_type || ' ' || ordering_key || ': ' || last_error AS what FROM parked",
            ),
            (
                "a dead letter",
                "SELECT consumer || ' ' || event_type || ' ' || ordering_key || ': ' || error AS what FROM dead_letters",
            ),
            (
                "an event that was not relayed",
                "SELECT event_type || ' ' || ordering_key AS what FROM outbox WHERE seq > \
                 (SELECT COALESCE(MAX(seq), 0) FROM relay_watermark)",
            ),
        ] {
            if let Some(found) = first(state, role, sql)? {
                return Ok(Some(format!("{name} at {}: {found}", role.name())));
            }
        }
    }
    Ok(None)
}

/// Everything that is broken.
pub(crate) fn broken(world: &World) -> Vec<String> {
    world.with(|state| {
        let mut violations = std::mem::take(&mut state.violations);
        if let Err(error) = examine(state, &mut violations) {
            violations.push(format!("the disks cannot be examined: {error}"));
        }
        violations
    })
}

fn examine(state: &mut State, found: &mut Vec<String>) -> Result<(), StoreError> {
    never_oversold(state, found)?;
    goods_are_where_they_belong(state, found)?;
    money_is_conserved(state, found)?;
    nobody_pays_for_what_has_ended(state, found)?;
    no_order_is_lost(state, found)?;
    effects_happen_once(state, found)
}

fn services() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| *role != Role::Edge)
}

fn first(state: &State, role: Role, sql: &str) -> Result<Option<String>, StoreError> {
    state
        .disk(role)
        .query(sql, &args![])?
        .first()
        .map(|row| row.get("what"))
        .transpose()
}

fn rows(state: &State, role: Role, sql: &str) -> Result<Vec<Row>, StoreError> {
    state.disk(role).query(sql, &args![])
}

/// What is on the shelves, what has left them and what was there in the beginning add up, and no more was
/// sold than there was.
fn never_oversold(state: &State, found: &mut Vec<String>) -> Result<(), StoreError> {
    let sold: BTreeMap<String, i64> = rows(
        state,
        Role::Orders,
        "SELECT json_extract(line.value, '$.variant_id') AS variant_id, \
         SUM(json_extract(line.value, '$.quantity')) AS units \
         FROM orders, json_each(orders.items) line \
         WHERE status IN ('paid', 'processing', 'shipped', 'delivered', 'completed') GROUP BY 1",
    )?
    .iter()
    .map(|row| Ok((row.get("variant_id")?, row.get("units")?)))
    .collect::<Result<_, StoreError>>()?;
    let shelves = rows(
        state,
        Role::Inventory,
        "SELECT variant_id, on_hand, held, \
         (SELECT COALESCE(SUM(on_hand), 0) FROM stock s WHERE s.variant_id = v.variant_id) AS located, \
         (SELECT COALESCE(SUM(held), 0) FROM stock s WHERE s.variant_id = v.variant_id) AS held_located, \
         (SELECT COALESCE(SUM(delta), 0) FROM stock_movements m WHERE m.variant_id = v.variant_id) AS moved, \
         (SELECT COALESCE(SUM(delta), 0) FROM stock_movements m WHERE m.variant_id = v.variant_id \
          AND m.order_id IS NULL) AS initial, \
         (SELECT COALESCE(SUM(r.quantity), 0) FROM reservations r JOIN holds h ON h.order_id = r.order_id \
          AND h.round = r.round WHERE r.variant_id = v.variant_id AND h.status IN ('held', 'committed')) AS promised, \
         (SELECT COALESCE(SUM(r.quantity), 0) FROM reservations r JOIN holds h ON h.order_id = r.order_id \
          AND h.round = r.round WHERE r.variant_id = v.variant_id AND h.status = 'consumed') AS shipped \
         FROM variants v ORDER BY variant_id",
    )?;
    for row in shelves {
        let id: String = row.get("variant_id")?;
        let number = |column: &str| row.get::<i64>(column);
        let (on_hand, held, initial) = (number("on_hand")?, number("held")?, number("initial")?);
        let mut claim = |holds: bool, what: String| {
            if !holds {
                found.push(format!("variant {id}: {what}"));
            }
        };
        claim(
            number("located")? == on_hand && number("held_located")? == held,
            "the locations and the total differ".to_owned(),
        );
        claim(
            number("moved")? == on_hand,
            "the movements do not add up".to_owned(),
        );
        let promised = number("promised")?;
        claim(
            promised == held,
            format!("{held} units are held, but {promised} are promised to orders"),
        );
        let shipped = number("shipped")?;
        claim(
            on_hand + shipped == initial,
            format!("{on_hand} units and {shipped} shipped are not the {initial} of the beginning"),
        );
        let sold = sold.get(&id).copied().unwrap_or(0);
        claim(
            sold <= initial,
            format!("{sold} of {initial} units were sold"),
        );
    }
    Ok(())
}

/// Orders that go through have their goods and their parcel, and nobody else has either.
fn goods_are_where_they_belong(state: &State, found: &mut Vec<String>) -> Result<(), StoreError> {
    let holds = by_order(state, Role::Inventory, "SELECT order_id, status FROM holds")?;
    let shipments = by_order(
        state,
        Role::Shipping,
        "SELECT order_id, status FROM shipments",
    )?;
    for (id, status) in by_order(state, Role::Orders, "SELECT order_id, status FROM orders")? {
        let hold = holds.get(&id).map_or("none", String::as_str);
        let shipment = shipments.get(&id).map_or("none", String::as_str);
        let held = matches!(hold, "held" | "committed" | "awaiting");
        let travels = matches!(
            shipment,
            "picked_up" | "in_transit" | "out_for_delivery" | "delivered"
        );
        let fits = match status.as_str() {
            "processing" => hold == "committed" && shipment == "label_created",
            "shipped" => hold == "consumed" && travels && shipment != "delivered",
            "delivered" | "completed" => hold == "consumed" && shipment == "delivered",
            "cancelled" | "payment_failed" | "out_of_stock" | "refunded" => {
                !held && hold != "consumed" && matches!(shipment, "none" | "cancelled")
            }
            _ => false,
        };
        if !fits {
            found.push(format!(
                "order {id} is {status}, its hold is {hold}, its shipment is {shipment}"
            ));
        }
    }
    Ok(())
}

fn by_order(state: &State, role: Role, sql: &str) -> Result<BTreeMap<String, String>, StoreError> {
    rows(state, role, sql)?
        .iter()
        .map(|row| Ok((row.get("order_id")?, row.get("status")?)))
        .collect()
}

/// What was captured and not given back is what is due, at the provider and in our books, and nobody was
/// charged twice.
fn money_is_conserved(state: &mut State, found: &mut Vec<String>) -> Result<(), StoreError> {
    let now = state.now;
    let mut balances = state.books.balances(now);
    let mut ledger: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in rows(
        state,
        Role::Payments,
        "SELECT order_id, CASE status WHEN 'succeeded' THEN amount_minor ELSE 0 END AS captured, \
         refunded_minor AS refunded FROM payments",
    )? {
        ledger.insert(
            row.get("order_id")?,
            (row.get("captured")?, row.get("refunded")?),
        );
    }
    for row in rows(
        state,
        Role::Orders,
        "SELECT order_id, status, total_minor FROM orders",
    )? {
        let (id, status): (String, String) = (row.get("order_id")?, row.get("status")?);
        let total: i64 = row.get("total_minor")?;
        let due = match status.as_str() {
            "processing" | "shipped" | "delivered" | "completed" => total,
            _ => 0,
        };
        let Balance {
            charges,
            captured,
            refunded,
            undecided,
        } = balances.remove(&id).unwrap_or_default();
        if charges > 1 {
            found.push(format!("order {id} was charged {charges} times"));
        }
        if undecided > 0 {
            found.push(format!("order {id} is {status}, and may still be charged"));
        }
        if captured - refunded != due {
            found.push(format!(
                "order {id} is {status} and owes {due}, but {captured} were captured and {refunded} given back"
            ));
        }
        let booked = ledger.get(&id).copied().unwrap_or_default();
        if booked != (captured, refunded) {
            found.push(format!(
                "order {id}: our books say {booked:?}, the provider's ({captured}, {refunded})"
            ));
        }
    }
    for (id, balance) in balances {
        if balance.captured != balance.refunded {
            found.push(format!("order {id} does not exist, and paid {balance:?}"));
        }
    }
    Ok(())
}

/// The money of an order that has ended would go back in the end, but it must not be taken at all.
fn nobody_pays_for_what_has_ended(
    state: &State,
    found: &mut Vec<String>,
) -> Result<(), StoreError> {
    for row in rows(
        state,
        Role::Payments,
        "SELECT DISTINCT order_id FROM audited_late_attempts ORDER BY order_id",
    )? {
        let id: String = row.get("order_id")?;
        found.push(format!(
            "payments began to charge order {id} after it had taken the order's end"
        ));
    }
    Ok(())
}

/// Whoever was told of an order finds it, and one key or cart gave one order.
fn no_order_is_lost(state: &State, found: &mut Vec<String>) -> Result<(), StoreError> {
    let owners: BTreeMap<String, String> =
        rows(state, Role::Orders, "SELECT order_id, user_id FROM orders")?
            .iter()
            .map(|row| Ok((row.get("order_id")?, row.get("user_id")?)))
            .collect::<Result<_, StoreError>>()?;
    for placed in &state.placed {
        match owners.get(&placed.order_id) {
            Some(owner) if *owner == placed.shopper => {}
            Some(owner) => found.push(format!(
                "order {} was given to {}, but belongs to {owner}",
                placed.order_id, placed.shopper
            )),
            None => found.push(format!("order {} is lost", placed.order_id)),
        }
    }
    for row in rows(
        state,
        Role::Orders,
        "SELECT user_id || ' ' || idempotency_key AS what FROM orders WHERE idempotency_key IS NOT NULL \
         GROUP BY user_id, idempotency_key HAVING COUNT(*) > 1 \
         UNION ALL SELECT cart_id || ' ' || cart_version FROM orders GROUP BY cart_id, cart_version \
         HAVING COUNT(*) > 1",
    )? {
        found.push(format!("{} gave two orders", row.get::<String>("what")?));
    }
    Ok(())
}

/// No effect happened twice, and those that always happen did.
fn effects_happen_once(state: &State, found: &mut Vec<String>) -> Result<(), StoreError> {
    for role in services() {
        for row in rows(
            state,
            role,
            "SELECT consumer, event_id, times FROM audited_effects WHERE times > 1",
        )? {
            let (consumer, event): (String, String) = (row.get("consumer")?, row.get("event_id")?);
            let times: i64 = row.get("times")?;
            found.push(format!("{consumer} took event {event} {times} times"));
        }
    }
    for (producer, consumer_at, consumer, event_type) in EFFECTS {
        let had: std::collections::BTreeSet<String> = state
            .disk(consumer_at)
            .query(
                "SELECT event_id FROM audited_effects WHERE consumer = $1",
                &args![consumer],
            )?
            .iter()
            .map(|row| row.get("event_id"))
            .collect::<Result<_, StoreError>>()?;
        for row in state.disk(producer).query(
            "SELECT event_id, ordering_key FROM outbox WHERE event_type = $1 ORDER BY seq",
            &args![event_type],
        )? {
            let id: String = row.get("event_id")?;
            if !had.contains(&id) {
                let key: String = row.get("ordering_key")?;
                found.push(format!("{consumer} never took {event_type} {id} of {key}"));
            }
        }
    }
    Ok(())
}
