//! The list of shipments, newest first.
//!
//! Ids grow with time, so the primary key is the order of the list. Each combination of filters has a
//! text of its own, so that each is served by its index.

use mesh::{
    Paging, args,
    store::{Store, StoreError},
};
use uuid::Uuid;

use super::rows::Shipment;
use crate::domain::status::Status;

/// Which shipments.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these.
    pub status: Option<Status>,
    /// Only this carrier's.
    pub carrier: Option<String>,
}

impl Filter {
    /// The condition; `$1` is the status and `$2` the carrier, each used or not.
    fn condition(&self) -> &'static str {
        match (&self.status, &self.carrier) {
            (None, None) => "($1 = '' AND $2 = '')",
            (Some(_), None) => "($2 = '' AND status = $1)",
            (None, Some(_)) => "($1 = '' AND carrier = $2)",
            (Some(_), Some(_)) => "(carrier = $2 AND status = $1)",
        }
    }
}

/// A page of shipments with one more than asked for if there are more, and how many there are in all.
///
/// # Errors
/// A store's.
pub async fn list(
    store: &Store,
    filter: &Filter,
    paging: &Paging<Uuid>,
) -> Result<(Vec<Shipment>, i64), StoreError> {
    let status = filter.status.map_or("", Status::as_str);
    let carrier = filter.carrier.as_deref().unwrap_or("");
    let condition = filter.condition();
    let total = store
        .one(
            &format!("SELECT count(*) AS n FROM shipments WHERE {condition}"),
            args![status, carrier],
        )
        .await?
        .map_or(Ok(0), |row| row.get("n"))?;
    let columns = Shipment::COLUMNS;
    let rows = match &paging.after {
        Some(after) => {
            let sql = format!(
                "SELECT {columns} FROM shipments WHERE {condition} AND shipment_id < $3 \
                 ORDER BY shipment_id DESC LIMIT $4"
            );
            store
                .all(&sql, args![status, carrier, after, paging.fetch()])
                .await?
        }
        None => {
            let sql = format!(
                "SELECT {columns} FROM shipments WHERE {condition} \
                 ORDER BY shipment_id DESC LIMIT $3 OFFSET $4"
            );
            store
                .all(
                    &sql,
                    args![status, carrier, paging.fetch(), paging.offset()],
                )
                .await?
        }
    };
    let shipments = rows.iter().map(Shipment::read).collect::<Result<_, _>>()?;
    Ok((shipments, total))
}
