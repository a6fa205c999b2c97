//! Access tokens: what a JWT must say to make its bearer somebody.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mesh::{
    Failure, Principal, Reason, User,
    principal::{Role, role_from_name},
};
use serde::Deserialize;

use crate::config::AuthConfig;

/// Longest token that is looked at.
pub const MAX_TOKEN: usize = 8 * 1024;

/// What a good token says.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its bearer.
    pub principal: Principal,
    /// When it stops being good, in seconds since the epoch, leeway included.
    pub expires: i64,
    /// Its session; empty when it has none.
    pub session: Arc<str>,
}

/// Checks tokens of one issuer.
#[derive(Debug, Clone)]
pub struct TokenRules {
    validation: Validation,
    leeway: i64,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    role: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    sid: String,
    #[serde(default)]
    iat: i64,
    #[serde(default)]
    nbf: i64,
    exp: i64,
}

impl TokenRules {
    /// The rules of `config`.
    pub fn new(config: &AuthConfig) -> Self {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are checked against the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            validation,
            leeway: config.leeway_seconds.max(0),
        }
    }

    /// The id of the key that signed `token`.
    ///
    /// # Errors
    /// It is not a token, or not one of ours.
    pub fn key_id(token: &str) -> Result<String, Failure> {
        if token.len() > MAX_TOKEN {
            return Err(invalid());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        if header.alg != Algorithm::ES256 {
            return Err(invalid());
        }
        header.kid.ok_or_else(invalid)
    }

    /// Checks signature, issuer, audience, times and role.
    ///
    /// # Errors
    /// [`Reason::TokenExpired`] for a good token that is too old, [`Reason::InvalidCredentials`] for
    /// any other flaw.
    pub fn verify(
        &self,
        token: &str,
        key: &DecodingKey,
        now: DateTime<Utc>,
    ) -> Result<Verified, Failure> {
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|_| invalid())?
            .claims;
        let now = now.timestamp();
        let expires = claims.exp.saturating_add(self.leeway);
        if now >= expires {
            return Err(Failure::new(
                Reason::TokenExpired,
                Reason::TokenExpired.spec().message,
            ));
        }
        let earliest = claims.nbf.max(claims.iat);
        if earliest > now.saturating_add(self.leeway) {
            return Err(invalid());
        }
        let role = role_from_name(&claims.role).ok_or_else(invalid)?;
        let session = Arc::from(claims.sid.as_str());
        let principal = if role == Role::Guest {
            Principal::guest(claims.sub)
        } else {
            Principal::user(
                role,
                User {
                    subject: claims.sub,
                    email: claims.email,
                    name: claims.name,
                    session: claims.sid,
                },
            )
            .ok_or_else(invalid)?
        };
        Ok(Verified {
            principal,
            expires,
            session,
        })
    }
}

/// The refusal of a token that proves nothing.
pub fn invalid() -> Failure {
    Failure::new(Reason::InvalidCredentials, "the access token is not valid")
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;

    pub(crate) struct Issuer {
        pub encoding: EncodingKey,
        pub decoding: DecodingKey,
        /// The public point, base64url.
        pub point: (String, String),
        /// Its id.
        pub key_id: String,
    }

    pub(crate) fn issuer() -> Issuer {
        let random = SystemRandom::new();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let (x, y) = (
            BASE64_URL_SAFE_NO_PAD.encode(x),
            BASE64_URL_SAFE_NO_PAD.encode(y),
        );
        Issuer {
            encoding: EncodingKey::from_ec_der(pkcs8.as_ref()),
            decoding: DecodingKey::from_ec_components(&x, &y).unwrap(),
            point: (x, y),
            key_id: "k-1".to_owned(),
        }
    }

    pub(crate) fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "hub", "aud": "hub", "sub": "u-1", "role": "staff", "email": "s@hub.test",
            "name": "S", "sid": "s-1", "iat": now().timestamp() - 10, "exp": now().timestamp() + 890,
        })
    }

    pub(crate) fn sign(issuer: &Issuer, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(issuer.key_id.clone());
        jsonwebtoken::encode(&header, claims, &issuer.encoding).unwrap()
    }

    fn reason(issuer: &Issuer, change: impl FnOnce(&mut Value)) -> Reason {
        let mut claims = claims();
        change(&mut claims);
        TokenRules::new(&AuthConfig::default())
            .verify(&sign(issuer, &claims), &issuer.decoding, now())
            .unwrap_err()
            .reason()
    }

    #[test]
    fn a_good_token_is_its_bearer() {
        let issuer = issuer();
        let token = sign(&issuer, &claims());
        assert_eq!(TokenRules::key_id(&token).unwrap(), "k-1");
        let verified = TokenRules::new(&AuthConfig::default())
            .verify(&token, &issuer.decoding, now())
            .unwrap();
        assert_eq!(verified.principal.role(), Role::Staff);
        assert_eq!(verified.principal.subject(), "u-1");
        assert_eq!(&*verified.session, "s-1");
    }

    #[test]
    fn a_guest_owns_by_its_subject() {
        let issuer = issuer();
        let mut claims = claims();
        claims["role"] = "guest".into();
        claims["sub"] = "g-1".into();
        let verified = TokenRules::new(&AuthConfig::default())
            .verify(&sign(&issuer, &claims), &issuer.decoding, now())
            .unwrap();
        assert_eq!(verified.principal.role(), Role::Guest);
        assert_eq!(verified.principal.subject(), "g-1");
    }

    #[test]
    fn flaws_are_refused() {
        let issuer = issuer();
        let at = now().timestamp();
        assert_eq!(
            reason(&issuer, |c| c["exp"] = (at - 60).into()),
            Reason::TokenExpired
        );
        assert_eq!(
            reason(&issuer, |c| c["iss"] = "evil".into()),
            Reason::InvalidCredentials
        );
        assert_eq!(
            reason(&issuer, |c| c["aud"] = "other".into()),
            Reason::InvalidCredentials
        );
        assert_eq!(
            reason(&issuer, |c| c["role"] = "service".into()),
            Reason::InvalidCredentials
        );
        assert_eq!(
            reason(&issuer, |c| c["role"] = "root".into()),
            Reason::InvalidCredentials
        );
        assert_eq!(
            reason(&issuer, |c| c["nbf"] = (at + 60).into()),
            Reason::InvalidCredentials
        );
        assert_eq!(
            reason(&issuer, |c| c["iat"] = (at + 60).into()),
            Reason::InvalidCredentials
        );
        let other = self::issuer();
        let forged = sign(&other, &claims());
        let outcome =
            TokenRules::new(&AuthConfig::default()).verify(&forged, &issuer.decoding, now());
        assert_eq!(outcome.unwrap_err().reason(), Reason::InvalidCredentials);
    }

    #[test]
    fn other_algorithms_are_not_even_tried() {
        let none = format!(
            "{}.{}.",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k-1"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(claims().to_string())
        );
        assert!(TokenRules::key_id(&none).is_err());
        let hmac = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims(),
            &EncodingKey::from_secret(b"public key as secret"),
        )
        .unwrap();
        assert!(TokenRules::key_id(&hmac).is_err());
        assert!(TokenRules::key_id("garbage").is_err());
        assert!(TokenRules::key_id(&"a".repeat(MAX_TOKEN + 1)).is_err());
    }
}
