//! Access tokens: JWTs (RFC 9068 in spirit) that any process verifies with the published keys.

use std::sync::Arc;

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, Header};
use mesh::{Clock, Failure, Ids};
use serde::Serialize;

use crate::{config::IdentityConfig, keys::KeyRing};

/// Issues access tokens.
#[derive(Clone)]
pub struct AccessTokens {
    keys: Arc<KeyRing>,
    clock: Clock,
    ids: Ids,
    issuer: Arc<str>,
    audience: Arc<str>,
    life: TimeDelta,
}

/// Who a token is for.
pub struct Subject {
    /// User id, or the id of a guest session.
    pub id: String,
    /// Role name.
    pub role: String,
    /// E-mail address; empty for guests.
    pub email: String,
    /// Display name; empty for guests.
    pub name: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    role: &'a str,
    email: &'a str,
    name: &'a str,
    sid: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    /// With issuer, audience and life from the configuration.
    pub fn new(keys: Arc<KeyRing>, clock: Clock, ids: Ids, config: &IdentityConfig) -> Self {
        Self {
            keys,
            clock,
            ids,
            issuer: config.issuer.as_str().into(),
            audience: config.audience.as_str().into(),
            life: config.access_life(),
        }
    }

    /// Life of a token in seconds.
    pub fn life_seconds(&self) -> i64 {
        self.life.num_seconds()
    }

    /// Signs a token for `subject` in the session `session_id`.
    ///
    /// # Errors
    /// Signing fails, which is internal.
    pub fn issue(&self, subject: &Subject, session_id: &str) -> Result<String, Failure> {
        let now = self.clock.now();
        let signer = self.keys.signer();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(signer.kid);
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: &subject.id,
            role: &subject.role,
            email: &subject.email,
            name: &subject.name,
            sid: session_id,
            jti: self.ids.uuid().to_string(),
            iat: now.timestamp(),
            exp: (now + self.life).timestamp(),
        };
        jsonwebtoken::encode(&header, &claims, &signer.key).map_err(Failure::internal)
    }
}
