//! Identity: who the callers are.
//!
//! Sign-up and login with passwords, guest sessions, access tokens that any process can verify with the
//! published keys, refresh tokens that work once, profiles and addresses. Other services learn of users
//! from events; they never read these tables.

mod access;
mod addresses;
mod auth;
mod config;
mod directory;
mod domain;
mod keys;
mod mail;
mod mailbox;
mod migrations;
mod passwords;
mod profile;
mod sessions;
mod users;

use std::{sync::Arc, time::Duration};

use contracts::hub::identity::v1::{
    auth_service_server::AuthServiceServer, directory_service_server::DirectoryServiceServer,
    mailbox_service_server::MailboxServiceServer, user_service_server::UserServiceServer,
};
use mesh::{Hub, Service, Shutdown, StartError};

pub use config::IdentityConfig;

use crate::{
    access::AccessTokens,
    addresses::Addresses,
    auth::AuthHandler,
    directory::DirectoryHandler,
    keys::KeyRing,
    mail::{Outbox, Transport},
    mailbox::MailboxHandler,
    passwords::Passwords,
    profile::ProfileHandler,
    sessions::Sessions,
    users::Users,
};

/// How often expired rows are removed and key rotation is considered.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// Opens the store and registers the identity services on `hub`.
///
/// # Errors
/// A configuration or a store that cannot be used.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let config: IdentityConfig = hub.config("identity")?;
    let store = hub.store("identity", migrations::ALL).await?;
    let clock = hub.clock().clone();
    let ids = hub.ids().clone();

    let keys = KeyRing::open(store.clone(), clock.clone(), &config)
        .await
        .map_err(cannot_start)?;
    let access = AccessTokens::new(Arc::clone(&keys), clock.clone(), ids.clone(), &config);
    let sessions = Sessions::new(
        store.clone(),
        clock.clone(),
        ids.clone(),
        hub.cache().clone(),
        &config,
    );
    sessions.restore_revocations().await.map_err(cannot_start)?;
    let users = Users::new(store.clone(), clock.clone(), ids.clone());
    let addresses = Addresses::new(store.clone(), clock.clone(), ids.clone());
    let passwords = Passwords::new()?;
    let outbox = Outbox::new(clock.clone(), ids.clone(), &config);
    let transport = Transport::new(&config)?;

    let auth = AuthHandler {
        store: store.clone(),
        users: users.clone(),
        sessions: sessions.clone(),
        access,
        keys: Arc::clone(&keys),
        passwords: passwords.clone(),
        outbox: outbox.clone(),
        clock: clock.clone(),
    };
    let profile = ProfileHandler {
        store: store.clone(),
        users: users.clone(),
        addresses: addresses.clone(),
        sessions: sessions.clone(),
        outbox,
    };
    let directory = DirectoryHandler {
        users: users.clone(),
        addresses,
        passwords,
        store: store.clone(),
    };
    let mailbox = MailboxHandler {
        store: store.clone(),
        profile: hub.profile(),
    };
    let (mail_store, housekeeping_store) = (store.clone(), store.clone());
    let mail_clock = clock.clone();
    let ended = sessions.clone();
    Ok(Service::builder("identity")
        .rpc(AuthServiceServer::new(auth))
        .rpc(UserServiceServer::new(profile))
        .rpc(DirectoryServiceServer::new(directory))
        .rpc(MailboxServiceServer::new(mailbox))
        .store(store.clone())
        .task("mail", move |shutdown: Shutdown| async move {
            mail::deliver(mail_store, mail_clock, transport, shutdown).await;
        })
        .task("revocations", move |shutdown: Shutdown| async move {
            ended.restore_when_forgotten(shutdown).await;
        })
        .task("housekeeping", move |shutdown: Shutdown| async move {
            loop {
                // Whatever fails now is done in the next round.
                for outcome in [
                    keys.rotate_if_due().await,
                    sessions.remove_expired().await,
                    mail::remove_old(&housekeeping_store, clock.now()).await,
                ] {
                    if let Err(error) = outcome {
                        tracing::warn!(%error, "housekeeping did not finish");
                    }
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = clock.sleep(HOUSEKEEPING) => {}
                }
            }
        })
        .build())
}

fn cannot_start(failure: mesh::Failure) -> StartError {
    StartError::other("identity", failure)
}
