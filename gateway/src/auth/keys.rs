//! The public keys of the issuer, kept for a while.
//!
//! A token signed with a key that is not known yet is normal after a rotation, so it makes us ask
//! again; but a client could invent key ids, so we do not ask more often than every few seconds, and
//! never twice at the same time. Keys that are known stay in use while the issuer cannot be asked.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::hub::identity::v1::{GetJwksRequest, auth_service_client::AuthServiceClient};
use jsonwebtoken::DecodingKey;
use mesh::{CallContext, Channel, Clock, Failure};
use parking_lot::RwLock;

/// Age at which the keys are asked for again.
const FRESH: Duration = Duration::from_secs(300);
/// The least time between two questions.
const PAUSE: Duration = Duration::from_secs(5);
/// Keys taken from one answer.
const MOST_KEYS: usize = 32;

/// The keys by their id.
pub struct KeyRing {
    channel: Channel,
    clock: Clock,
    keys: RwLock<Keys>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, Arc<DecodingKey>>,
    answered: Option<Instant>,
    asked: Option<Instant>,
}

impl KeyRing {
    /// No keys yet; they are asked for over `channel` when the first token comes.
    pub fn new(channel: Channel, clock: Clock) -> Self {
        Self {
            channel,
            clock,
            keys: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The key `id`; `None` when the issuer has no such key.
    ///
    /// # Errors
    /// No keys are known and the issuer cannot be asked.
    pub async fn get(
        &self,
        id: &str,
        context: &CallContext,
    ) -> Result<Option<Arc<DecodingKey>>, Failure> {
        if let Some(key) = self.known(id) {
            return Ok(Some(key));
        }
        let _asking = self.asking.lock().await;
        // Whoever asked while we waited has perhaps got it.
        if let Some(key) = self.known(id) {
            return Ok(Some(key));
        }
        let now = self.clock.monotonic();
        let (asked, any) = {
            let keys = self.keys.read();
            (keys.asked, !keys.by_id.is_empty())
        };
        if any && asked.is_some_and(|asked| now.saturating_duration_since(asked) < PAUSE) {
            return Ok(self.keys.read().by_id.get(id).cloned());
        }
        self.keys.write().asked = Some(now);
        match self.ask(context).await {
            Ok(by_id) => {
                let mut keys = self.keys.write();
                keys.by_id = by_id;
                keys.answered = Some(now);
                Ok(keys.by_id.get(id).cloned())
            }
            Err(failure) if any => {
                tracing::warn!(%failure, "the issuer's keys cannot be asked for; the known ones are used");
                Ok(self.keys.read().by_id.get(id).cloned())
            }
            Err(failure) => Err(failure),
        }
    }

    fn known(&self, id: &str) -> Option<Arc<DecodingKey>> {
        let keys = self.keys.read();
        let now = self.clock.monotonic();
        let fresh = |at: Option<Instant>, life| {
            at.is_some_and(|at| now.saturating_duration_since(at) < life)
        };
        // Between two questions a stale key is as good as we can have it.
        if fresh(keys.answered, FRESH) || fresh(keys.asked, PAUSE) {
            return keys.by_id.get(id).cloned();
        }
        None
    }

    async fn ask(
        &self,
        context: &CallContext,
    ) -> Result<HashMap<String, Arc<DecodingKey>>, Failure> {
        let call = context
            .within(Duration::from_secs(3))
            .call(GetJwksRequest {});
        let set = AuthServiceClient::new(self.channel.clone())
            .get_jwks(call)
            .await
            .map_err(|status| {
                Failure::unavailable("the authentication service is not available")
                    .caused_by(status)
            })?
            .into_inner();
        let mut by_id = HashMap::new();
        for key in set.keys.into_iter().take(MOST_KEYS) {
            if key.kty != "EC" || key.crv != "P-256" || key.kid.is_empty() {
                continue;
            }
            match DecodingKey::from_ec_components(&key.x, &key.y) {
                Ok(decoding) => {
                    by_id.insert(key.kid, Arc::new(decoding));
                }
                Err(error) => {
                    tracing::warn!(%error, kid = key.kid, "a key of the issuer is not usable")
                }
            }
        }
        Ok(by_id)
    }
}
