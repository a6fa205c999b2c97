//! The addresses of users. At most one per user and type is the default.

use chrono::{DateTime, Utc};
use contracts::hub::identity::v1::{
    AddressType, CreateAddressRequest, UpdateAddressRequest, UserAddress,
};
use mesh::{
    Clock, Failure, Ids, Reason,
    store::{Row, Store, StoreError, Tx, args},
};
use uuid::Uuid;

use crate::{domain::ids, users::timestamp};

/// Addresses that a user may have; keeps the list small enough to need no pages.
const PER_USER: i64 = 50;

const COLUMNS: &str = "address_id, name, line1, line2, city, state, postal_code, country, phone, \
                       type, is_default, created_at, updated_at";

/// Access to addresses.
#[derive(Clone)]
pub struct Addresses {
    store: Store,
    clock: Clock,
    ids: Ids,
}

impl Addresses {
    /// On `store`.
    pub fn new(store: Store, clock: Clock, ids: Ids) -> Self {
        Self { store, clock, ids }
    }

    /// All addresses of a user, default first.
    ///
    /// # Errors
    /// The store fails.
    pub async fn list(&self, user_id: &str) -> Result<Vec<UserAddress>, Failure> {
        let sql = format!(
            "SELECT {COLUMNS} FROM addresses WHERE user_id = $1
             ORDER BY is_default DESC, created_at DESC, address_id LIMIT $2"
        );
        let user_id = ids::uuid(user_id);
        let rows = self.store.all(&sql, args![user_id, PER_USER]).await?;
        Ok(rows.iter().map(address).collect::<Result<_, _>>()?)
    }

    /// Adds an address. The first of its type becomes the default.
    ///
    /// # Errors
    /// [`Reason::Unprocessable`] when the user has as many as allowed.
    pub async fn create(
        &self,
        user_id: &str,
        new: CreateAddressRequest,
    ) -> Result<UserAddress, Failure> {
        let addition = self.addition(user_id, new);
        self.store
            .write(move |tx| async move { addition.run(&tx).await })
            .await
    }

    /// Prepares the insertion of an address inside a transaction of the caller.
    pub fn addition(&self, user_id: &str, new: CreateAddressRequest) -> Addition {
        Addition {
            address_id: self.ids.uuid().to_string(),
            user_id: ids::uuid(user_id),
            now: self.clock.now(),
            new,
        }
    }

    /// Replaces an address of a user.
    ///
    /// # Errors
    /// [`Reason::NotFound`] unless the address is the user's.
    pub async fn update(
        &self,
        user_id: &str,
        new: UpdateAddressRequest,
    ) -> Result<UserAddress, Failure> {
        let (owner, now) = (ids::uuid(user_id), self.clock.now());
        self.store
            .write(move |tx| async move {
                let sql = format!(
                    "UPDATE addresses SET name = $3, line1 = $4, line2 = $5, city = $6, state = $7,
                            postal_code = $8, country = $9, phone = $10, updated_at = $11
                     WHERE address_id = $1 AND user_id = $2 RETURNING {COLUMNS}"
                );
                let row = tx
                    .one(
                        &sql,
                        args![
                            &new.address_id,
                            owner,
                            new.name,
                            new.line1,
                            new.line2,
                            new.city,
                            new.state,
                            new.postal_code,
                            new.country,
                            new.phone,
                            now
                        ],
                    )
                    .await?;
                found(row, &new.address_id)
            })
            .await
    }

    /// Removes an address; the newest of the same type takes over when it was the default.
    ///
    /// # Errors
    /// [`Reason::NotFound`] unless the address is the user's.
    pub async fn delete(&self, user_id: &str, address_id: &str) -> Result<(), Failure> {
        let (owner, id, now) = (ids::uuid(user_id), address_id.to_owned(), self.clock.now());
        self.store
            .write(move |tx| async move {
                let row = tx
                    .one(
                        "DELETE FROM addresses WHERE address_id = $1 AND user_id = $2
                         RETURNING type, is_default",
                        args![&id, owner],
                    )
                    .await?
                    .ok_or_else(|| Failure::not_found("address", &id))?;
                if row.get::<bool>("is_default")? {
                    let kind: String = row.get("type")?;
                    tx.execute(
                        "UPDATE addresses SET is_default = $3, updated_at = $4 WHERE address_id = (
                             SELECT address_id FROM addresses WHERE user_id = $1 AND type = $2
                             ORDER BY created_at DESC, address_id DESC LIMIT 1)",
                        args![owner, kind, true, now],
                    )
                    .await?;
                }
                Ok(())
            })
            .await
    }

    /// Makes an address the default of its type.
    ///
    /// # Errors
    /// [`Reason::NotFound`] unless the address is the user's.
    pub async fn make_default(
        &self,
        user_id: &str,
        address_id: &str,
    ) -> Result<UserAddress, Failure> {
        let (owner, id, now) = (ids::uuid(user_id), address_id.to_owned(), self.clock.now());
        self.store
            .write(move |tx| async move {
                let row = tx
                    .one(
                        "SELECT type FROM addresses WHERE address_id = $1 AND user_id = $2",
                        args![&id, owner],
                    )
                    .await?
                    .ok_or_else(|| Failure::not_found("address", &id))?;
                clear_default(&tx, owner, row.get("type")?, now).await?;
                let sql = format!(
                    "UPDATE addresses SET is_default = $2, updated_at = $3 WHERE address_id = $1
                     RETURNING {COLUMNS}"
                );
                let row = tx.one(&sql, args![&id, true, now]).await?;
                found(row, &id)
            })
            .await
    }
}

/// An insertion that waits for its transaction.
#[derive(Clone)]
pub struct Addition {
    address_id: String,
    user_id: Uuid,
    now: DateTime<Utc>,
    new: CreateAddressRequest,
}

impl Addition {
    /// Inserts the address.
    ///
    /// # Errors
    /// [`Reason::Unprocessable`] when the user has as many as allowed.
    pub async fn run(self, tx: &Tx) -> Result<UserAddress, Failure> {
        let Self {
            address_id,
            user_id,
            now,
            new,
        } = self;
        let kind = type_name(new.r#type());
        let counts = tx
            .one(
                "SELECT COUNT(*) AS total, COUNT(*) FILTER (WHERE type = $2) AS of_type
                 FROM addresses WHERE user_id = $1",
                args![user_id, kind],
            )
            .await?;
        let count = |column: &str| match &counts {
            Some(row) => row.get::<i64>(column),
            None => Ok(0),
        };
        if count("total")? >= PER_USER {
            return Err(Failure::new(
                Reason::Unprocessable,
                format!("an account has at most {PER_USER} addresses"),
            ));
        }
        let is_default = new.is_default || count("of_type")? == 0;
        if is_default {
            clear_default(tx, user_id, kind, now).await?;
        }
        let sql = format!(
            "INSERT INTO addresses (address_id, user_id, name, line1, line2, city, state, postal_code,
                                    country, phone, type, is_default, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) RETURNING {COLUMNS}"
        );
        let row = tx
            .one(
                &sql,
                args![
                    &address_id,
                    user_id,
                    new.name,
                    new.line1,
                    new.line2,
                    new.city,
                    new.state,
                    new.postal_code,
                    new.country,
                    new.phone,
                    kind,
                    is_default,
                    now
                ],
            )
            .await?;
        found(row, &address_id)
    }
}

async fn clear_default(
    tx: &Tx,
    user_id: Uuid,
    kind: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE addresses SET is_default = $3, updated_at = $4
         WHERE user_id = $1 AND type = $2 AND is_default = $5",
        args![user_id, kind, false, now, true],
    )
    .await
    .map(drop)
}

fn found(row: Option<Row>, address_id: &str) -> Result<UserAddress, Failure> {
    let row = row.ok_or_else(|| Failure::not_found("address", address_id))?;
    Ok(address(&row)?)
}

fn type_name(kind: AddressType) -> &'static str {
    match kind {
        AddressType::Billing => "billing",
        AddressType::Shipping | AddressType::Unspecified => "shipping",
    }
}

fn address(row: &Row) -> Result<UserAddress, StoreError> {
    let kind = match row.get::<&str>("type")? {
        "billing" => AddressType::Billing,
        _ => AddressType::Shipping,
    };
    Ok(UserAddress {
        address_id: row.get("address_id")?,
        name: row.get("name")?,
        line1: row.get("line1")?,
        line2: row.get("line2")?,
        city: row.get("city")?,
        state: row.get("state")?,
        postal_code: row.get("postal_code")?,
        country: row.get("country")?,
        phone: row.get("phone")?,
        r#type: kind.into(),
        is_default: row.get("is_default")?,
        created_at: Some(timestamp(row.get("created_at")?)),
        updated_at: Some(timestamp(row.get("updated_at")?)),
    })
}
