//! Sessions and their refresh tokens.
//!
//! A refresh token works once (RFC 6819 §5.2.2.3): using it gives the next one. A token that comes back
//! after it was used has been copied by somebody, so the whole session ends.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::hub::events::v1::SessionsEnded;
use mesh::{
    Cache, Clock, Failure, Ids, Reason, Shutdown,
    events::{Data, Emission},
    store::{Store, StoreError, Tx, args},
};

use crate::{
    config::IdentityConfig,
    domain::{
        ids,
        opaque::{self, OpaqueToken},
    },
    users::timestamp,
};

/// Rows that housekeeping removes at once.
const SWEEP: i64 = 500;
/// Sessions of one user that end together; more than anybody has.
const SESSIONS_OF_USER: i64 = 10_000;
/// Sessions that one event names.
const SESSIONS_OF_EVENT: usize = 1_000;
/// What an edge whose clock is behind may still take for a living token.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(60);

/// The sessions of this installation.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    clock: Clock,
    ids: Ids,
    cache: Cache,
    refresh_life: TimeDelta,
    access_life: TimeDelta,
}

/// A session that was opened or renewed.
pub struct Opened {
    /// Id of the session.
    pub session_id: String,
    /// User id; for guests the session id.
    pub subject: String,
    /// Role name.
    pub role: String,
    /// The refresh token that works next.
    pub refresh_token: String,
}

/// What became of a refresh token.
enum Rotation {
    Renewed {
        session_id: String,
        subject: String,
        role: String,
    },
    Reused {
        session_id: String,
    },
    Refused,
}

impl Sessions {
    /// On `store`, with lives from the configuration.
    pub fn new(
        store: Store,
        clock: Clock,
        ids: Ids,
        cache: Cache,
        config: &IdentityConfig,
    ) -> Self {
        Self {
            store,
            clock,
            ids,
            cache,
            refresh_life: config.refresh_life(),
            access_life: config.access_life(),
        }
    }

    /// Opens a guest session. It is its own subject.
    ///
    /// # Errors
    /// The store fails.
    pub async fn open_guest(&self) -> Result<Opened, Failure> {
        let id = self.ids.uuid().to_string();
        self.insert(id.clone(), id, "guest".to_owned()).await
    }

    /// Opens a session of a user.
    ///
    /// # Errors
    /// The store fails.
    pub async fn open_user(&self, user_id: &str, role: &str) -> Result<Opened, Failure> {
        let id = self.ids.uuid().to_string();
        self.insert(id, user_id.to_owned(), role.to_owned()).await
    }

    async fn insert(
        &self,
        session_id: String,
        subject: String,
        role: String,
    ) -> Result<Opened, Failure> {
        let OpaqueToken { token, hash } = opaque::generate()?;
        let now = self.clock.now();
        let expires_at = now + self.refresh_life;
        let (id, who, as_role) = (session_id.clone(), subject.clone(), role.clone());
        self.store
            .write(move |tx| async move {
                tx.execute(
                    "INSERT INTO sessions (session_id, subject, role, created_at, expires_at)
                     VALUES ($1, $2, $3, $4, $5)",
                    args![&id, who, as_role, now, expires_at],
                )
                .await?;
                insert_token(&tx, hash, id, expires_at).await
            })
            .await?;
        Ok(Opened {
            session_id,
            subject,
            role,
            refresh_token: token,
        })
    }

    /// Exchanges a refresh token for the next one.
    ///
    /// # Errors
    /// [`Reason::Unauthenticated`] for a token that is unknown or expired, [`Reason::TokenRevoked`] for
    /// one that was used before.
    pub async fn renew(&self, refresh_token: &str) -> Result<Opened, Failure> {
        let OpaqueToken { token, hash: next } = opaque::generate()?;
        let presented = opaque::hash(refresh_token);
        let now = self.clock.now();
        let (expires_at, until) = (now + self.refresh_life, self.tokens_until());
        let rotation = self
            .store
            .write(
                move |tx| async move { rotate(&tx, presented, next, now, expires_at, until).await },
            )
            .await?;
        match rotation {
            Rotation::Renewed {
                session_id,
                subject,
                role,
            } => Ok(Opened {
                session_id,
                subject,
                role,
                refresh_token: token,
            }),
            Rotation::Reused { session_id } => {
                self.announce(&session_id).await;
                Err(Failure::new(
                    Reason::TokenRevoked,
                    "the refresh token was used before; sign in again",
                ))
            }
            Rotation::Refused => Err(Failure::unauthenticated(
                "the refresh token is not valid; sign in again",
            )),
        }
    }

    /// Ends a session. Ending it again changes nothing.
    ///
    /// # Errors
    /// The store fails.
    pub async fn revoke(&self, session_id: &str) -> Result<(), Failure> {
        let (id, now) = (ids::uuid(session_id).to_string(), self.clock.now());
        let until = self.tokens_until();
        self.store
            .write(move |tx| async move { end(&tx, &id, now, until).await })
            .await?;
        self.announce(session_id).await;
        Ok(())
    }

    /// Tells the edge that these sessions have ended, once the transaction of [`end_all`] is committed.
    pub async fn announce_all(&self, sessions: &[String]) {
        for session_id in sessions {
            self.announce(session_id).await;
        }
    }

    /// Tells the edge again which sessions have ended while their access tokens may still be alive:
    /// the cache does not outlive the process.
    ///
    /// # Errors
    /// The store fails.
    pub async fn restore_revocations(&self) -> Result<(), Failure> {
        let since = self.clock.now() - self.access_life;
        let rows = self
            .store
            .scan(
                "SELECT session_id FROM sessions WHERE revoked_at > $1 ORDER BY revoked_at DESC LIMIT 100000",
                args![since],
            )
            .await?;
        for row in &rows {
            self.announce(row.get("session_id")?).await;
        }
        Ok(())
    }

    /// Removes sessions that have expired, with their tokens, a batch at a time.
    ///
    /// # Errors
    /// The store fails.
    pub async fn remove_expired(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        loop {
            let removed = self
                .store
                .write(move |tx| async move {
                    tx.execute(
                        "DELETE FROM mail_tokens WHERE token_hash IN (
                             SELECT token_hash FROM mail_tokens WHERE expires_at < $1 LIMIT $2)",
                        args![now, SWEEP],
                    )
                    .await?;
                    tx.execute(
                        "DELETE FROM sessions WHERE session_id IN (
                             SELECT session_id FROM sessions WHERE expires_at < $1 LIMIT $2)",
                        args![now, SWEEP],
                    )
                    .await
                })
                .await?;
            if removed < SWEEP as u64 {
                return Ok(());
            }
        }
    }

    /// Tells the edge again whenever the memory that gateways share has come back, perhaps empty. Ends
    /// with the process, or at once where nothing is shared.
    pub async fn restore_when_forgotten(&self, shutdown: Shutdown) {
        let Some(mut arrivals) = self.cache.redis().map(|redis| redis.arrivals()) else {
            return;
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = arrivals.changed() => if changed.is_err() { return },
            }
            if let Err(error) = self.restore_revocations().await {
                tracing::warn!(%error, "gateways are not told again which sessions have ended");
            }
        }
    }

    /// When the last access token of a session that ends now expires.
    pub fn tokens_until(&self) -> DateTime<Utc> {
        self.clock.now() + self.access_life + CLOCKS_APART
    }

    /// Lets the edge refuse the session's access tokens for as long as they could live.
    async fn announce(&self, session_id: &str) {
        let life = (self.access_life + CLOCKS_APART).to_std();
        let life = life.unwrap_or(Duration::from_secs(3600));
        self.cache
            .put(&format!("revoked-session:{session_id}"), "1", life)
            .await;
    }
}

/// Ends all sessions of a user in the transaction of what ends them, so that a new password never leaves the
/// old sessions alive. Returns their ids, for [`Sessions::announce_all`].
///
/// # Errors
/// The store fails.
pub async fn end_all(
    tx: &Tx,
    user_id: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let ended = tx
        .all(
            "UPDATE sessions SET revoked_at = $2 WHERE session_id IN (
             SELECT session_id FROM sessions WHERE subject = $1 AND revoked_at IS NULL LIMIT $3
         ) RETURNING session_id",
            args![user_id, now, SESSIONS_OF_USER],
        )
        .await?
        .iter()
        .map(|row| row.get("session_id"))
        .collect::<Result<Vec<String>, _>>()?;
    for sessions in ended.chunks(SESSIONS_OF_EVENT) {
        emit_end(tx, user_id.to_owned(), sessions.to_vec(), until).await?;
    }
    Ok(ended)
}

/// Ends one session, if it has not ended.
async fn end(
    tx: &Tx,
    session_id: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ended = tx
        .one(
            "UPDATE sessions SET revoked_at = $2 WHERE session_id = $1 AND revoked_at IS NULL
             RETURNING subject",
            args![session_id, now],
        )
        .await?;
    match ended {
        Some(row) => emit_end(tx, row.get("subject")?, vec![session_id.to_owned()], until).await,
        None => Ok(()),
    }
}

async fn emit_end(
    tx: &Tx,
    subject: String,
    session_ids: Vec<String>,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let event = SessionsEnded {
        subject: subject.clone(),
        session_ids,
        tokens_until: Some(timestamp(until)),
    };
    tx.emit(Emission::new(subject, Data::SessionsEnded(event)))
        .await
        .map(drop)
}

async fn insert_token(
    tx: &Tx,
    hash: Vec<u8>,
    session_id: String,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, expires_at) VALUES ($1, $2, $3)",
        args![hash, session_id, expires_at],
    )
    .await
    .map(drop)
}

async fn rotate(
    tx: &Tx,
    presented: Vec<u8>,
    next: Vec<u8>,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Rotation, StoreError> {
    let Some(row) = tx
        .one(
            "SELECT t.session_id, t.expires_at, t.used_at, s.subject, s.role, s.revoked_at
             FROM refresh_tokens t JOIN sessions s ON s.session_id = t.session_id
             WHERE t.token_hash = $1",
            args![&presented],
        )
        .await?
    else {
        return Ok(Rotation::Refused);
    };
    let session_id: String = row.get("session_id")?;
    let used: Option<i64> = row.get("used_at")?;
    let revoked: Option<i64> = row.get("revoked_at")?;
    let token_expires: DateTime<Utc> = row.get("expires_at")?;
    if used.is_some() {
        end(tx, &session_id, now, until).await?;
        return Ok(Rotation::Reused { session_id });
    }
    if revoked.is_some() || token_expires <= now {
        return Ok(Rotation::Refused);
    }
    tx.execute(
        "UPDATE refresh_tokens SET used_at = $2 WHERE token_hash = $1",
        args![presented, now],
    )
    .await?;
    tx.execute(
        "UPDATE sessions SET expires_at = $2 WHERE session_id = $1",
        args![&session_id, expires_at],
    )
    .await?;
    insert_token(tx, next, session_id.clone(), expires_at).await?;
    Ok(Rotation::Renewed {
        session_id,
        subject: row.get("subject")?,
        role: row.get("role")?,
    })
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::migrations;

    async fn sessions() -> (Sessions, Clock) {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ids = Ids::seeded(clock.clone(), 7);
        let store = Store::scratch("identity", migrations::ALL, clock.clone(), ids.clone())
            .await
            .unwrap();
        let cache = Cache::in_process(clock.clone());
        let config = IdentityConfig::default();
        (
            Sessions::new(store, clock.clone(), ids, cache, &config),
            clock,
        )
    }

    async fn is_revoked(sessions: &Sessions, session_id: &str) -> bool {
        let key = format!("revoked-session:{session_id}");
        sessions.cache.get(&key).await.is_some()
    }

    #[tokio::test]
    async fn a_refresh_token_works_once() {
        let (sessions, _) = sessions().await;
        let opened = sessions.open_user("u-1", "customer").await.unwrap();
        let renewed = sessions.renew(&opened.refresh_token).await.unwrap();
        assert_eq!(renewed.session_id, opened.session_id);
        assert_eq!(renewed.subject, "u-1");
        let again = sessions.renew(&opened.refresh_token).await.err().unwrap();
        assert_eq!(again.reason(), Reason::TokenRevoked);
        assert!(is_revoked(&sessions, &opened.session_id).await);
        assert!(sessions.renew(&renewed.refresh_token).await.is_err());
    }

    #[tokio::test]
    async fn of_eight_parallel_uses_at_most_one_wins() {
        let (sessions, _) = sessions().await;
        let opened = sessions.open_guest().await.unwrap();
        let uses = join_all((0..8).map(|_| sessions.renew(&opened.refresh_token))).await;
        assert_eq!(uses.iter().filter(|used| used.is_ok()).count(), 1);
        assert!(is_revoked(&sessions, &opened.session_id).await);
    }

    #[tokio::test]
    async fn tokens_expire_and_are_swept() {
        let (sessions, clock) = sessions().await;
        let opened = sessions.open_guest().await.unwrap();
        clock.advance(Duration::from_secs(8 * 24 * 3600));
        let late = sessions.renew(&opened.refresh_token).await.err().unwrap();
        assert_eq!(late.reason(), Reason::Unauthenticated);
        sessions.remove_expired().await.unwrap();
        let left = sessions
            .store
            .one("SELECT COUNT(*) AS n FROM refresh_tokens", args![])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(left.get::<i64>("n").unwrap(), 0);
    }

    #[tokio::test]
    async fn all_sessions_of_a_user_end_together_and_the_edge_learns_it_again_after_a_restart() {
        let (sessions, _) = sessions().await;
        let one = sessions.open_user("u-1", "customer").await.unwrap();
        let two = sessions.open_user("u-1", "customer").await.unwrap();
        let other = sessions.open_user("u-2", "customer").await.unwrap();
        let (now, until) = (sessions.clock.now(), sessions.tokens_until());
        let ended = sessions
            .store
            .write(move |tx| async move { end_all(&tx, "u-1", now, until).await })
            .await
            .unwrap();
        sessions.announce_all(&ended).await;
        assert!(is_revoked(&sessions, &two.session_id).await);
        assert!(sessions.renew(&one.refresh_token).await.is_err());
        assert!(sessions.renew(&other.refresh_token).await.is_ok());
        sessions.cache.clear().await;
        sessions.restore_revocations().await.unwrap();
        assert!(is_revoked(&sessions, &two.session_id).await);
        assert!(!is_revoked(&sessions, &other.session_id).await);
    }
}
