//! Proof that a guest session was the caller's: its access token.
//!
//! The token comes in a request's body, so the gateway has not looked at it. It is verified here with the
//! issuer's public keys, asked for over the mesh, so that it works however the hub is deployed.

use std::{collections::HashMap, time::Instant};

use async_trait::async_trait;
use contracts::hub::identity::v1::{GetJwksRequest, auth_service_client::AuthServiceClient};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use mesh::{CallContext, Channel, Clock, Failure};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;

use crate::config::CartConfig;

/// The least time between two questions for keys: an attacker can invent key ids.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(5);
/// Age at which known keys are asked for again.
const FRESH: std::time::Duration = std::time::Duration::from_secs(300);
/// Keys that are looked at.
const MAX_KEYS: usize = 32;

/// Tells whose guest token it is.
#[async_trait]
pub trait GuestTokens: Send + Sync + 'static {
    /// Id of the guest session of a valid token.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for anything else; UNAVAILABLE when the keys cannot be asked for.
    async fn session(&self, ctx: &CallContext, token: &str) -> Result<String, Failure>;
}

/// Verifies with the keys that identity publishes.
pub struct PublishedKeys {
    identity: AuthServiceClient<Channel>,
    clock: Clock,
    validation: Validation,
    keys: Mutex<Keys>,
    asking: AsyncMutex<()>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, DecodingKey>,
    asked: Option<Instant>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    role: String,
    exp: i64,
}

impl PublishedKeys {
    /// Asks `identity` for keys when they are needed.
    pub fn new(identity: AuthServiceClient<Channel>, clock: Clock, config: &CartConfig) -> Self {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The expiry is compared with the injected clock.
        validation.validate_exp = false;
        Self {
            identity,
            clock,
            validation,
            keys: Mutex::default(),
            asking: AsyncMutex::default(),
        }
    }

    async fn key(&self, ctx: &CallContext, id: &str) -> Result<Option<DecodingKey>, Failure> {
        if let Some(known) = self.known(id, FRESH) {
            return Ok(Some(known));
        }
        let _asking = self.asking.lock().await;
        let now = self.clock.monotonic();
        let asked = self.keys.lock().asked;
        if asked.is_some_and(|asked| now.saturating_duration_since(asked) < PAUSE) {
            return Ok(self.keys.lock().by_id.get(id).cloned());
        }
        let request = ctx.as_service("cart").call(GetJwksRequest {});
        let answer = self.identity.clone().get_jwks(request).await?;
        let published = answer.into_inner().keys;
        let by_id = published
            .into_iter()
            .take(MAX_KEYS)
            .filter(|key| key.kty == "EC" && key.crv == "P-256")
            .filter_map(|key| {
                let decoding = DecodingKey::from_ec_components(&key.x, &key.y).ok()?;
                Some((key.kid, decoding))
            })
            .collect();
        let mut keys = self.keys.lock();
        *keys = Keys {
            by_id,
            asked: Some(now),
        };
        Ok(keys.by_id.get(id).cloned())
    }

    fn known(&self, id: &str, age: std::time::Duration) -> Option<DecodingKey> {
        let keys = self.keys.lock();
        let now = self.clock.monotonic();
        keys.asked
            .is_some_and(|asked| now.saturating_duration_since(asked) < age)
            .then(|| keys.by_id.get(id).cloned())?
    }
}

fn refused() -> Failure {
    Failure::invalid(
        "guest_token",
        "must be the access token of a guest session that has not expired",
    )
}

#[async_trait]
impl GuestTokens for PublishedKeys {
    async fn session(&self, ctx: &CallContext, token: &str) -> Result<String, Failure> {
        let header = decode_header(token).map_err(|_| refused())?;
        if header.alg != Algorithm::ES256 {
            return Err(refused());
        }
        let key_id = header.kid.ok_or_else(refused)?;
        let key = self.key(ctx, &key_id).await?.ok_or_else(refused)?;
        let claims = decode::<Claims>(token, &key, &self.validation)
            .map_err(|_| refused())?
            .claims;
        let is_current = claims.exp > self.clock.now().timestamp();
        if is_current && claims.role == "guest" && !claims.sub.is_empty() {
            Ok(claims.sub)
        } else {
            Err(refused())
        }
    }
}

#[cfg(test)]
mod tests;
