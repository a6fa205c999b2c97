//! Orders' tables: orders and their timelines, sagas, promo codes.

mod create;
mod import;
mod lists;
mod progress;
mod promos;
mod rows;
mod sagas;
mod timeline;

use chrono::{DateTime, Utc};
use mesh::store::Migration;

pub(crate) use create::{PlaceError, Placement, ordered_already, place};
pub(crate) use import::{Past, import};
pub(crate) use lists::{Key, OrderPage, list};
pub(crate) use progress::{HoldNews, Moment, News, Progress, advance, repeat};
pub(crate) use promos::{find as find_promo, store as store_promo, used_by};
pub(crate) use rows::{find as find_order, find_by_cart, find_by_key};
pub(crate) use sagas::{
    Overdue, SagaFilter, SagaView, due, facts_now, facts_of, find as find_saga, grant_grace,
    list as list_sagas, note,
};
pub(crate) use timeline::{Entry, entries_after, position_of};

/// The migrations of the store.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "init",
    sqlite: include_str!("../../migrations/sqlite/0001_init.sql"),
    postgres: include_str!("../../migrations/postgres/0001_init.sql"),
}];

/// A time that never comes, for what has no deadline.
pub(crate) fn never() -> DateTime<Utc> {
    // The last second of the year 9999; RFC 3339 has no later year.
    DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
