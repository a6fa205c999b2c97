//! The users table.

use chrono::{DateTime, Utc};
use contracts::hub::{
    events::v1::{UserCreated, UserDeleted, UserUpdated},
    identity::v1::User,
};
use mesh::{
    Clock, Failure, Ids, Reason,
    events::{Data, Emission},
    store::{Row, Store, StoreError, Tx, args},
};

use crate::domain::ids;

const COLUMNS: &str = "user_id, email, name, role, phone, password_hash, email_verified, \
                       newsletter_opt_in, created_at, updated_at, last_login";

/// Access to users.
#[derive(Clone)]
pub struct Users {
    store: Store,
    clock: Clock,
    ids: Ids,
}

/// A user as stored, the password hash included.
#[derive(Clone)]
pub struct StoredUser {
    /// What may be shown.
    pub user: User,
    /// PHC string; empty for accounts without a password.
    pub password_hash: String,
}

/// What a new account is made of.
#[derive(Clone)]
pub struct NewUser {
    /// Normalized e-mail address.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Role name.
    pub role: String,
    /// Phone number, or empty.
    pub phone: String,
    /// PHC string, or empty.
    pub password_hash: String,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// Whether the user wants the newsletter.
    pub newsletter_opt_in: bool,
}

/// Changes to a profile; `None` leaves a field as it is.
#[derive(Clone, Default)]
pub struct ProfileChange {
    /// New display name.
    pub name: Option<String>,
    /// New phone number.
    pub phone: Option<String>,
    /// New normalized e-mail address.
    pub email: Option<String>,
    /// Newsletter wish.
    pub newsletter_opt_in: Option<bool>,
}

impl Users {
    /// On `store`.
    pub fn new(store: Store, clock: Clock, ids: Ids) -> Self {
        Self { store, clock, ids }
    }

    /// The user with this id, unless deleted.
    ///
    /// # Errors
    /// The store fails.
    pub async fn by_id(&self, user_id: &str) -> Result<Option<StoredUser>, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE user_id = $1 AND deleted_at IS NULL");
        let row = self.store.one(&sql, args![ids::uuid(user_id)]).await?;
        Ok(row.as_ref().map(stored_user).transpose()?)
    }

    /// The user with this normalized e-mail address, unless deleted.
    ///
    /// # Errors
    /// The store fails.
    pub async fn by_email(&self, email: &str) -> Result<Option<StoredUser>, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE email = $1 AND deleted_at IS NULL");
        let row = self.store.one(&sql, args![email]).await?;
        Ok(row.as_ref().map(stored_user).transpose()?)
    }

    /// Prepares the insertion of a user inside a transaction of the caller.
    pub fn creation(&self, new: NewUser) -> Creation {
        Creation {
            user_id: self.ids.uuid().to_string(),
            now: self.clock.now(),
            new,
        }
    }

    /// Notes a login.
    ///
    /// # Errors
    /// The store fails.
    pub async fn note_login(&self, user_id: &str) -> Result<(), Failure> {
        let (id, now) = (user_id.to_owned(), self.clock.now());
        self.store
            .write(move |tx| async move {
                tx.execute(
                    "UPDATE users SET last_login = $2 WHERE user_id = $1",
                    args![id, now],
                )
                .await
            })
            .await?;
        Ok(())
    }

    /// The moment that writes of this call carry.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// An insertion that waits for its transaction.
#[derive(Clone)]
pub struct Creation {
    user_id: String,
    now: DateTime<Utc>,
    new: NewUser,
}

impl Creation {
    /// Inserts the user and announces it.
    ///
    /// # Errors
    /// [`Reason::AlreadyExists`] when the e-mail address is in use.
    pub async fn run(self, tx: &Tx) -> Result<User, Failure> {
        let Self { user_id, now, new } = self;
        let sql = format!(
            "INSERT INTO users (user_id, email, name, role, phone, password_hash, email_verified,
                                newsletter_opt_in, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
             ON CONFLICT (email) WHERE deleted_at IS NULL DO NOTHING RETURNING {COLUMNS}"
        );
        let row = tx
            .one(
                &sql,
                args![
                    &user_id,
                    &new.email,
                    &new.name,
                    &new.role,
                    &new.phone,
                    new.password_hash,
                    new.email_verified,
                    new.newsletter_opt_in,
                    now
                ],
            )
            .await?
            .ok_or_else(email_taken)?;
        let event = UserCreated {
            user_id: user_id.clone(),
            email: new.email,
            name: new.name,
            role: new.role,
        };
        tx.emit(Emission::new(user_id, Data::UserCreated(event)))
            .await?;
        Ok(stored_user(&row)?.user)
    }
}

/// Applies a profile change and announces which fields it touched. A new e-mail address is unverified.
///
/// # Errors
/// [`Reason::NotFound`] without the user, [`Reason::AlreadyExists`] when the address is in use.
pub async fn change_profile(
    tx: &Tx,
    user_id: &str,
    change: ProfileChange,
    now: DateTime<Utc>,
) -> Result<User, Failure> {
    let mut changed_fields = Vec::new();
    for (field, present) in [
        ("name", change.name.is_some()),
        ("phone", change.phone.is_some()),
        ("email", change.email.is_some()),
        ("newsletter_opt_in", change.newsletter_opt_in.is_some()),
    ] {
        if present {
            changed_fields.push(field.to_owned());
        }
    }
    let sql = format!(
        "UPDATE users SET
             name = COALESCE($2, name),
             phone = COALESCE($3, phone),
             email_verified = CASE WHEN COALESCE($4, email) = email THEN email_verified ELSE $7 END,
             email = COALESCE($4, email),
             newsletter_opt_in = COALESCE($5, newsletter_opt_in),
             updated_at = $6,
             version = version + 1
         WHERE user_id = $1 AND deleted_at IS NULL
         RETURNING {COLUMNS}"
    );
    let updated = tx
        .one(
            &sql,
            args![
                user_id,
                change.name,
                change.phone,
                change.email,
                change.newsletter_opt_in,
                now,
                false
            ],
        )
        .await;
    let row = match updated {
        Ok(row) => row.ok_or_else(|| Failure::not_found("user", user_id))?,
        Err(StoreError::Unique { .. }) => return Err(email_taken()),
        Err(error) => return Err(error.into()),
    };
    if !changed_fields.is_empty() {
        let event = UserUpdated {
            user_id: user_id.to_owned(),
            changed_fields,
        };
        tx.emit(Emission::new(user_id, Data::UserUpdated(event)))
            .await?;
    }
    Ok(stored_user(&row)?.user)
}

/// Sets a password hash.
///
/// # Errors
/// [`Reason::NotFound`] without the user.
pub async fn set_password(
    tx: &Tx,
    user_id: &str,
    password_hash: String,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let changed = tx
        .execute(
            "UPDATE users SET password_hash = $2, updated_at = $3, version = version + 1
             WHERE user_id = $1 AND deleted_at IS NULL",
            args![user_id, password_hash, now],
        )
        .await?;
    if changed == 0 {
        return Err(Failure::not_found("user", user_id));
    }
    let event = UserUpdated {
        user_id: user_id.to_owned(),
        changed_fields: vec!["password".to_owned()],
    };
    tx.emit(Emission::new(user_id, Data::UserUpdated(event)))
        .await?;
    Ok(())
}

/// Marks the address of a user as confirmed, if it is still `email`.
///
/// # Errors
/// The store fails.
pub async fn confirm_email(
    tx: &Tx,
    user_id: &str,
    email: &str,
    now: DateTime<Utc>,
) -> Result<bool, Failure> {
    let changed = tx
        .execute(
            "UPDATE users SET email_verified = $3, updated_at = $4, version = version + 1
             WHERE user_id = $1 AND email = $2 AND deleted_at IS NULL",
            args![user_id, email, true, now],
        )
        .await?;
    if changed > 0 {
        let event = UserUpdated {
            user_id: user_id.to_owned(),
            changed_fields: vec!["email_verified".to_owned()],
        };
        tx.emit(Emission::new(user_id, Data::UserUpdated(event)))
            .await?;
    }
    Ok(changed > 0)
}

/// Deletes a user softly.
///
/// # Errors
/// [`Reason::NotFound`] without the user.
pub async fn delete(tx: &Tx, user_id: &str, now: DateTime<Utc>) -> Result<(), Failure> {
    let changed = tx
        .execute(
            "UPDATE users SET deleted_at = $2, updated_at = $2, password_hash = '', version = version + 1
             WHERE user_id = $1 AND deleted_at IS NULL",
            args![user_id, now],
        )
        .await?;
    if changed == 0 {
        return Err(Failure::not_found("user", user_id));
    }
    let event = UserDeleted {
        user_id: user_id.to_owned(),
    };
    tx.emit(Emission::new(user_id, Data::UserDeleted(event)))
        .await?;
    Ok(())
}

/// The answer to an e-mail address that another account has.
pub fn email_taken() -> Failure {
    Failure::new(
        Reason::AlreadyExists,
        "an account with this e-mail address exists",
    )
    .with_field("email", "is in use")
}

fn stored_user(row: &Row) -> Result<StoredUser, StoreError> {
    Ok(StoredUser {
        user: User {
            user_id: row.get("user_id")?,
            email: row.get("email")?,
            name: row.get("name")?,
            role: row.get("role")?,
            phone: row.get("phone")?,
            email_verified: row.get("email_verified")?,
            newsletter_opt_in: row.get("newsletter_opt_in")?,
            created_at: Some(timestamp(row.get("created_at")?)),
            updated_at: Some(timestamp(row.get("updated_at")?)),
            last_login: row
                .get::<Option<DateTime<Utc>>>("last_login")?
                .map(timestamp),
        },
        password_hash: row.get("password_hash")?,
    })
}

/// A moment as the contracts carry it.
pub fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}
