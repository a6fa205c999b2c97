//! Mail: written with the change that causes it, sent afterwards.
//!
//! A mail is a row of the same transaction as its token, so an account never exists without its mail and
//! no mail speaks of an account that was rolled back. A task sends what is due and tries again with
//! growing pauses. A mail server sends twice what it is told twice, so of several processes the one that
//! holds the lease sends.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor, message::Mailbox,
    message::header::ContentType,
};
use mesh::{
    Clock, Failure, Ids, Shutdown, StartError,
    store::{Store, Tx, args},
};

use crate::{
    config::IdentityConfig,
    domain::opaque::{self, OpaqueToken},
};

/// Mails that are sent in one round.
const ROUND: i64 = 50;
/// Pause between rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// Tries before a mail is given up; with doubling pauses from one minute that is about a day.
const ATTEMPTS: i64 = 11;

/// How long mails are kept that were sent or given up.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Rows that are removed at once.
const SWEEP: i64 = 500;

/// What a token in a mail is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Confirms an address.
    VerifyEmail,
    /// Sets a new password.
    ResetPassword,
}

impl Purpose {
    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }

    fn life(self) -> TimeDelta {
        match self {
            Self::VerifyEmail => TimeDelta::days(3),
            Self::ResetPassword => TimeDelta::hours(1),
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Self::VerifyEmail => "Confirm your e-mail address",
            Self::ResetPassword => "Set a new password",
        }
    }

    fn body(self, name: &str, url: &str, token: &str) -> String {
        match self {
            Self::VerifyEmail => format!(
                "Hello {name},\n\nplease confirm that this is your address:\n\n\
                 {url}/auth/verify-email?token={token}\n\nThe link works for three days.\n"
            ),
            Self::ResetPassword => format!(
                "Hello {name},\n\nsomebody asked to set a new password for your account. If it was \
                 you:\n\n{url}/auth/reset-password?token={token}\n\nThe link works for one hour. If \
                 it was not you, nothing has changed and there is nothing to do.\n"
            ),
        }
    }
}

/// Writes mails.
#[derive(Clone)]
pub struct Outbox {
    clock: Clock,
    ids: Ids,
    public_url: Arc<str>,
}

/// A mail with its token, ready to be written.
#[derive(Clone)]
pub struct TokenMail {
    mail_id: String,
    user_id: String,
    email: String,
    purpose: Purpose,
    token: OpaqueToken,
    body: String,
    now: DateTime<Utc>,
}

impl Outbox {
    /// With links to the configured URL.
    pub fn new(clock: Clock, ids: Ids, config: &IdentityConfig) -> Self {
        Self {
            clock,
            ids,
            public_url: config.public_url.trim_end_matches('/').into(),
        }
    }

    /// Makes a mail with a fresh token for a user.
    ///
    /// # Errors
    /// No randomness.
    pub fn token_mail(
        &self,
        purpose: Purpose,
        user_id: &str,
        email: &str,
        name: &str,
    ) -> Result<TokenMail, Failure> {
        let token = opaque::generate()?;
        Ok(TokenMail {
            mail_id: self.ids.uuid().to_string(),
            user_id: user_id.to_owned(),
            email: email.to_owned(),
            purpose,
            body: purpose.body(name, &self.public_url, &token.token),
            token,
            now: self.clock.now(),
        })
    }
}

impl TokenMail {
    /// Writes the mail and its token; older tokens of the same purpose stop working. `user_id` is that
    /// of the account, which may have come into being in this very transaction.
    ///
    /// # Errors
    /// The store fails.
    pub async fn write(self, tx: &Tx) -> Result<(), Failure> {
        tx.execute(
            "UPDATE mail_tokens SET used_at = $3 WHERE user_id = $1 AND purpose = $2 AND used_at IS NULL",
            args![&self.user_id, self.purpose.name(), self.now],
        )
        .await?;
        tx.execute(
            "INSERT INTO mail_tokens (token_hash, user_id, purpose, email, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
            args![
                &self.token.hash,
                &self.user_id,
                self.purpose.name(),
                &self.email,
                self.now + self.purpose.life()
            ],
        )
        .await?;
        self.insert(tx).await
    }

    /// Does as much as [`TokenMail::write`] and leaves nothing behind: for an address without an account,
    /// so that the time of the answer does not tell that there is none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn pretend(self, tx: &Tx) -> Result<(), Failure> {
        let mail_id = self.mail_id.clone();
        self.insert(tx).await?;
        tx.execute("DELETE FROM mails WHERE mail_id = $1", args![mail_id])
            .await?;
        Ok(())
    }

    async fn insert(self, tx: &Tx) -> Result<(), Failure> {
        tx.execute(
            "INSERT INTO mails (mail_id, recipient, subject, body, token, created_at, next_attempt_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
            args![
                self.mail_id,
                self.email,
                self.purpose.subject(),
                self.body,
                self.token.token,
                self.now
            ],
        )
        .await?;
        Ok(())
    }

    /// The same mail for an account whose id was not known when it was made.
    #[must_use]
    pub fn for_user(mut self, user_id: &str) -> Self {
        user_id.clone_into(&mut self.user_id);
        self
    }
}

/// Redeems a token: who it belongs to and which address it was sent to. Each works once.
///
/// # Errors
/// `Failure::invalid("token", …)` for one that is unknown, used or expired.
pub async fn redeem(
    tx: &Tx,
    purpose: Purpose,
    token_hash: Vec<u8>,
    now: DateTime<Utc>,
) -> Result<(String, String), Failure> {
    let row = tx
        .one(
            "UPDATE mail_tokens SET used_at = $3
             WHERE token_hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3
             RETURNING user_id, email",
            args![token_hash, purpose.name(), now],
        )
        .await?
        .ok_or_else(|| Failure::invalid("token", "is not valid or has expired"))?;
    Ok((row.get("user_id")?, row.get("email")?))
}

/// How mail leaves the hub.
pub enum Transport {
    /// It stays where developers see it.
    Mailbox,
    /// Over SMTP.
    Smtp(Box<Smtp>),
}

/// A configured SMTP server.
pub struct Smtp {
    relay: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Transport {
    /// As configured.
    ///
    /// # Errors
    /// An SMTP URL or a sender that cannot be read.
    pub fn new(config: &IdentityConfig) -> Result<Self, StartError> {
        let url = config.smtp_url.expose();
        if url.is_empty() {
            return Ok(Self::Mailbox);
        }
        // lettre's own URL scheme: smtp:// is plain unless ?tls=required is given.
        let url = if let Some(rest) = url.strip_prefix("smtp+plain://") {
            format!("smtp://{rest}")
        } else if url.starts_with("smtp://") {
            format!("{url}?tls=required")
        } else {
            url.to_owned()
        };
        let relay = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url)
            .map_err(|_| StartError::other("identity", BadSetting("identity.smtp_url")))?
            .build();
        let from = config
            .mail_from
            .parse()
            .map_err(|_| StartError::other("identity", BadSetting("identity.mail_from")))?;
        Ok(Self::Smtp(Box::new(Smtp { relay, from })))
    }

    async fn send(&self, to: &str, subject: &str, body: String) -> Result<(), String> {
        let Self::Smtp(smtp) = self else {
            return Ok(());
        };
        let Smtp { relay, from } = &**smtp;
        let message = Message::builder()
            .from(from.clone())
            .to(to
                .parse()
                .map_err(|_| "the address cannot be written to".to_owned())?)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .map_err(|error| error.to_string())?;
        relay
            .send(message)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// The message does not repeat the value: an SMTP URL holds a password.
#[derive(Debug, thiserror::Error)]
#[error("{0} cannot be read")]
struct BadSetting(&'static str);

/// Sends what is due until shutdown, as long as it is this process's to do.
pub async fn deliver(store: Store, clock: Clock, transport: Transport, shutdown: Shutdown) {
    while !shutdown.is_cancelled() {
        let lease = store.lease("mail");
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = lease.held() => {}
        }
        while lease.is_held() && !shutdown.is_cancelled() {
            let stop = || shutdown.is_cancelled() || !lease.is_held();
            // A store that fails for a while must not end the mail for good.
            if let Err(error) = deliver_round(&store, &clock, &transport, stop).await {
                tracing::warn!(%error, "mails wait");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = lease.lost() => {}
                () = clock.sleep(PAUSE) => {}
            }
        }
    }
}

/// Removes mails that were sent or given up long ago.
///
/// # Errors
/// The store fails.
pub async fn remove_old(store: &Store, now: DateTime<Utc>) -> Result<(), Failure> {
    let before = now - KEPT;
    loop {
        let removed = store
            .write(move |tx| async move {
                tx.execute(
                    "DELETE FROM mails WHERE mail_id IN (SELECT mail_id FROM mails
                     WHERE created_at < $1 AND next_attempt_at IS NULL ORDER BY created_at LIMIT $2)",
                    args![before, SWEEP],
                )
                .await
            })
            .await?;
        if removed < SWEEP as u64 {
            return Ok(());
        }
    }
}

async fn deliver_round(
    store: &Store,
    clock: &Clock,
    transport: &Transport,
    stop: impl Fn() -> bool,
) -> Result<(), Failure> {
    let due = store
        .all(
            "SELECT mail_id, recipient, subject, body, attempts FROM mails
             WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2",
            args![clock.now(), ROUND],
        )
        .await?;
    for row in due {
        if stop() {
            break;
        }
        let mail_id: String = row.get("mail_id")?;
        let attempts = row.get::<i64>("attempts")? + 1;
        let sent = transport
            .send(row.get("recipient")?, row.get("subject")?, row.get("body")?)
            .await;
        let now = clock.now();
        let (sent_at, next) = match &sent {
            Ok(()) => (Some(now), None),
            Err(error) if attempts >= ATTEMPTS => {
                tracing::error!(mail_id, error, "mail given up");
                (None, None)
            }
            Err(error) => {
                tracing::warn!(
                    mail_id,
                    error,
                    attempts,
                    "mail not sent, will be tried again"
                );
                let pause = TimeDelta::minutes(1 << (attempts - 1).min(10));
                (None, Some(now + pause))
            }
        };
        // A mail that has left is not kept: its token would sign in whoever reads the database. The
        // developers' mailbox is the place where mails are read, so there they stay.
        let is_over = next.is_none() && !matches!(transport, Transport::Mailbox);
        store
            .write(move |tx| async move {
                tx.execute(
                    "UPDATE mails SET attempts = $2, sent_at = $3, next_attempt_at = $4,
                         body = CASE WHEN $5 THEN '' ELSE body END,
                         token = CASE WHEN $5 THEN '' ELSE token END
                     WHERE mail_id = $1",
                    args![mail_id, attempts, sent_at, next, is_over],
                )
                .await
            })
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;

    async fn fixture() -> (Store, Clock, Ids, Outbox) {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ids = Ids::seeded(clock.clone(), 7);
        let store = Store::scratch("identity", migrations::ALL, clock.clone(), ids.clone())
            .await
            .unwrap();
        let outbox = Outbox::new(clock.clone(), ids.clone(), &IdentityConfig::default());
        (store, clock, ids, outbox)
    }

    async fn mails(store: &Store) -> i64 {
        let row = store
            .one("SELECT COUNT(*) AS n FROM mails", args![])
            .await
            .unwrap();
        row.unwrap().get("n").unwrap()
    }

    #[tokio::test]
    async fn a_mail_to_nobody_leaves_nothing() {
        let (store, _, _, outbox) = fixture().await;
        let mail = outbox
            .token_mail(Purpose::ResetPassword, "", "nobody@hub.test", "")
            .unwrap();
        store
            .write(move |tx| async move { mail.pretend(&tx).await })
            .await
            .unwrap();
        assert_eq!(mails(&store).await, 0);
    }

    #[tokio::test]
    async fn mails_that_are_over_go_and_those_that_are_due_stay() {
        let (store, clock, ids, _) = fixture().await;
        for next in [None, Some(clock.now())] {
            let mail_id = ids.uuid();
            let now = clock.now();
            store
                .write(move |tx| async move {
                    tx.execute(
                        "INSERT INTO mails (mail_id, recipient, subject, body, token, created_at,
                             next_attempt_at) VALUES ($1, 'a@hub.test', 's', 'b', 't', $2, $3)",
                        args![mail_id, now, next],
                    )
                    .await
                })
                .await
                .map_err(Failure::from)
                .unwrap();
        }
        remove_old(&store, clock.now()).await.unwrap();
        assert_eq!(mails(&store).await, 2);
        clock.advance(Duration::from_secs(31 * 24 * 3600));
        remove_old(&store, clock.now()).await.unwrap();
        assert_eq!(mails(&store).await, 1);
    }

    #[tokio::test]
    async fn a_mail_that_was_given_up_keeps_no_token() {
        let (store, clock, _, outbox) = fixture().await;
        let mail = outbox
            .token_mail(Purpose::VerifyEmail, "", "nobody@hub.test", "")
            .unwrap();
        store
            .write(move |tx| async move { mail.insert(&tx).await })
            .await
            .unwrap();
        let config = IdentityConfig {
            // Nobody listens there.
            smtp_url: "smtp+plain://127.0.0.1:1".to_owned().into(),
            ..IdentityConfig::default()
        };
        let transport = Transport::new(&config).unwrap();
        let token = async || -> String {
            let row = store.one("SELECT token FROM mails", args![]).await.unwrap();
            row.unwrap().get("token").unwrap()
        };
        for _ in 0..ATTEMPTS {
            assert!(!token().await.is_empty());
            deliver_round(&store, &clock, &transport, || false)
                .await
                .unwrap();
            clock.advance(Duration::from_secs(24 * 3600));
        }
        assert!(token().await.is_empty());
    }
}
