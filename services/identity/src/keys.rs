//! Signing keys: ES256 (RFC 7518 §3.4), rotated with overlap.
//!
//! The newest key signs. A key stays published until every token it may have signed has expired, so
//! rotation never invalidates a token that is in use. Several processes may issue tokens from one store:
//! each signs with the newest key that it has seen, whoever makes a key looks first whether another has
//! just made one, and what is published is read from the store, so that it holds everybody's keys.

use std::sync::Arc;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use contracts::hub::identity::v1::{JsonWebKey, JsonWebKeySet};
use jsonwebtoken::EncodingKey;
use mesh::{
    Clock, Failure,
    store::{Row, Store, StoreError, args},
};
use parking_lot::RwLock;

use crate::config::IdentityConfig;

/// How much longer than its tokens a key stays published: rotation is considered once an hour, so a key
/// signs up to an hour longer than it should, and whoever verifies keeps a key set for a while.
const OVERLAP: TimeDelta = TimeDelta::hours(3);
/// Keys that may be published at the same time; bounds the key set.
const PUBLISHED: i64 = 16;

/// The signing keys of this installation.
pub struct KeyRing {
    store: Store,
    clock: Clock,
    key_life: TimeDelta,
    access_life: TimeDelta,
    keys: RwLock<Arc<Keys>>,
}

/// A snapshot of the ring.
struct Keys {
    signer: Signer,
    signer_created: DateTime<Utc>,
    published: JsonWebKeySet,
}

/// The key that signs.
#[derive(Clone)]
pub struct Signer {
    /// Key id, for the header of tokens.
    pub kid: String,
    /// The private key.
    pub key: EncodingKey,
}

impl KeyRing {
    /// Reads the keys, or makes the first one.
    ///
    /// # Errors
    /// The store cannot be read or a key cannot be made.
    pub async fn open(
        store: Store,
        clock: Clock,
        config: &IdentityConfig,
    ) -> Result<Arc<Self>, Failure> {
        let (key_life, access_life) = (config.key_life(), config.access_life());
        let keys = match load(&store, clock.now()).await? {
            Some(keys) => keys,
            None => {
                let life = key_life + access_life + OVERLAP;
                create_if_due(&store, clock.now(), key_life, life).await?;
                load(&store, clock.now())
                    .await?
                    .ok_or_else(|| Failure::internal(NoKey))?
            }
        };
        Ok(Arc::new(Self {
            store,
            clock,
            key_life,
            access_life,
            keys: RwLock::new(Arc::new(keys)),
        }))
    }

    /// The key that signs now.
    pub fn signer(&self) -> Signer {
        self.keys.read().signer.clone()
    }

    /// The public keys, the newest first. Those that were known last while the store cannot be read.
    pub async fn published(&self) -> JsonWebKeySet {
        match load(&self.store, self.clock.now()).await {
            Ok(Some(keys)) => keys.published,
            Ok(None) => self.keys.read().published.clone(),
            Err(error) => {
                tracing::warn!(%error, "the published keys are those of the last look");
                self.keys.read().published.clone()
            }
        }
    }

    /// Makes a new key when the present one has signed long enough, and forgets retired ones.
    ///
    /// # Errors
    /// The store fails; the present key goes on.
    pub async fn rotate_if_due(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        if now - self.keys.read().signer_created >= self.key_life {
            let life = self.key_life + self.access_life + OVERLAP;
            create_if_due(&self.store, now, self.key_life, life).await?;
        }
        self.store
            .write(move |tx| async move {
                tx.execute(
                    "DELETE FROM signing_keys WHERE retires_at <= $1",
                    args![now],
                )
                .await
            })
            .await?;
        if let Some(keys) = load(&self.store, now).await? {
            *self.keys.write() = Arc::new(keys);
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no signing key after making one")]
struct NoKey;

/// Makes a key unless there is one that has signed for less than `key_life`.
async fn create_if_due(
    store: &Store,
    now: DateTime<Utc>,
    key_life: TimeDelta,
    life: TimeDelta,
) -> Result<(), Failure> {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(Failure::internal)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())
        .map_err(Failure::internal)?;
    let private = document.as_ref().to_vec();
    let public = pair.public_key().as_ref().to_vec();
    // RFC 7638 would hash the JWK; a hash of the public point identifies the key just as well.
    let kid = URL_SAFE_NO_PAD
        .encode(&crate::domain::opaque::hash(&URL_SAFE_NO_PAD.encode(&public))[..12]);
    store
        .write(move |tx| async move {
            let young = tx
                .one(
                    "SELECT 1 FROM signing_keys WHERE created_at > $1 LIMIT 1",
                    args![now - key_life],
                )
                .await?;
            if young.is_some() {
                return Ok(0);
            }
            tx.execute(
                "INSERT INTO signing_keys (kid, private_key, public_key, created_at, retires_at)
                 VALUES ($1, $2, $3, $4, $5)",
                args![kid, private, public, now, now + life],
            )
            .await
        })
        .await?;
    Ok(())
}

async fn load(store: &Store, now: DateTime<Utc>) -> Result<Option<Keys>, Failure> {
    let rows = store
        .all(
            "SELECT kid, private_key, public_key, created_at FROM signing_keys
             WHERE retires_at > $1 ORDER BY created_at DESC, kid LIMIT $2",
            args![now, PUBLISHED],
        )
        .await?;
    let Some(newest) = rows.first() else {
        return Ok(None);
    };
    let private: Vec<u8> = newest.get("private_key")?;
    Ok(Some(Keys {
        signer: Signer {
            kid: newest.get("kid")?,
            key: EncodingKey::from_ec_der(&private),
        },
        signer_created: newest.get("created_at")?,
        published: JsonWebKeySet {
            keys: rows.iter().map(public_key).collect::<Result<_, _>>()?,
        },
    }))
}

/// The JWK of a stored key: the public key is an uncompressed point, 0x04 and two coordinates.
fn public_key(row: &Row) -> Result<JsonWebKey, StoreError> {
    let point: Vec<u8> = row.get("public_key")?;
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    Ok(JsonWebKey {
        kty: "EC".to_owned(),
        crv: "P-256".to_owned(),
        x: URL_SAFE_NO_PAD.encode(x),
        y: URL_SAFE_NO_PAD.encode(y),
        kid: row.get("kid")?,
        alg: "ES256".to_owned(),
        r#use: "sig".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh::Ids;

    use super::*;
    use crate::migrations;

    #[tokio::test]
    async fn a_key_is_published_as_long_as_its_tokens_live() {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ids = Ids::seeded(clock.clone(), 7);
        let store = Store::scratch("identity", migrations::ALL, clock.clone(), ids)
            .await
            .unwrap();
        let config = IdentityConfig::default();
        let ring = KeyRing::open(store, clock.clone(), &config).await.unwrap();
        let life = config.key_life().to_std().unwrap();
        let first = ring.signer().kid;
        let is_published = async || {
            let keys = ring.published().await.keys;
            keys.iter().any(|key| key.kid == first)
        };

        // Just before it is due, and again an hour later, as housekeeping does.
        clock.advance(life - Duration::from_secs(1));
        ring.rotate_if_due().await.unwrap();
        assert_eq!(ring.signer().kid, first);
        clock.advance(Duration::from_secs(3600));
        ring.rotate_if_due().await.unwrap();
        assert_ne!(ring.signer().kid, first);
        assert!(is_published().await, "it signed until now");

        clock.advance(config.access_life().to_std().unwrap());
        ring.rotate_if_due().await.unwrap();
        assert!(is_published().await, "its last token has only just expired");
        clock.advance(Duration::from_secs(4 * 3600));
        ring.rotate_if_due().await.unwrap();
        assert!(!is_published().await);
    }
}
