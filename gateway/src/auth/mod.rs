//! Who is calling: credentials become a principal, or a refusal.

pub mod cookies;
pub mod csrf;
mod guest;
mod keys;
mod revocations;
pub mod token;

use std::sync::Arc;

use http::{HeaderMap, header};
use mesh::{
    CallContext, Clock, Failure, Hub, Principal, Reason,
    policy::{MethodPolicy, Ownership},
    principal::Role,
};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{config::AuthConfig, exchange::text, routes::Route};
use keys::KeyRing;
use token::{TokenRules, Verified};

pub use cookies::ACCESS as ACCESS_COOKIE;
pub use guest::{GuestDesk, announce};
pub use revocations::Revocations;

/// Tokens whose check is remembered.
const REMEMBERED: u64 = 20_000;

/// The caller of a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// How it was proven.
    pub via: Via,
}

/// How a caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Not at all.
    Nothing,
    /// With `Authorization: Bearer`.
    Bearer,
    /// With a cookie: browsers add it by themselves, so unsafe methods need more proof.
    Cookie,
    /// Not: the token in the cookie has expired, and may be exchanged for a new one.
    ExpiredCookie,
    /// Not: the cookie is worth nothing, and the browser should forget it.
    WorthlessCookie,
}

/// A caller whose token is good, unless its session has ended.
#[derive(Debug, Clone)]
pub struct Proven {
    /// Who it is.
    pub caller: Caller,
    /// The session of the token; empty without one.
    pub session: Arc<str>,
}

/// Credentials that prove nothing.
#[derive(Debug)]
pub struct Rejected {
    failure: Failure,
    via: Via,
}

/// Checks credentials.
pub struct Authenticator {
    rules: TokenRules,
    keys: KeyRing,
    /// Checked tokens by digest, so that no token is kept in memory and no signature is checked twice.
    verified: Cache<[u8; 32], Arc<Verified>>,
    hub: Hub,
}

impl Authenticator {
    /// Checks tokens of the issuer that `hub` can reach.
    pub fn new(hub: &Hub, config: &AuthConfig) -> Self {
        Self {
            rules: TokenRules::new(config),
            keys: KeyRing::new(hub.channel(), hub.clock().clone()),
            verified: Cache::new(REMEMBERED),
            hub: hub.clone(),
        }
    }

    /// The caller of a request with `headers`. Whether its session has ended is asked elsewhere, with
    /// what else must be known about the request.
    ///
    /// # Errors
    /// Credentials that prove nothing.
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        context: &CallContext,
    ) -> Result<Proven, Rejected> {
        let (token, via) = if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            (authorization.to_str().ok().and_then(bearer), Via::Bearer)
        } else {
            let token = cookies::find(headers, cookies::ACCESS);
            match token {
                Some(_) => (token, Via::Cookie),
                None => return Ok(Proven::anonymous()),
            }
        };
        let verified = match token {
            Some(token) => self.verify(token, context).await,
            None => Err(Failure::new(
                Reason::InvalidCredentials,
                "send Authorization: Bearer <token>",
            )),
        };
        match verified {
            Ok((principal, session)) => Ok(Proven {
                caller: Caller { principal, via },
                session,
            }),
            Err(failure) => Err(Rejected { failure, via }),
        }
    }

    async fn verify(
        &self,
        token: &str,
        context: &CallContext,
    ) -> Result<(Principal, Arc<str>), Failure> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = self.clock().now();
        let known = self
            .verified
            .get(&digest)
            .filter(|verified| now.timestamp() < verified.expires);
        let verified = match known {
            Some(verified) => verified,
            None => {
                if let Some(operator) = self.operator(token) {
                    return operator.map(|operator| (operator, Arc::from("")));
                }
                let key_id = TokenRules::key_id(token)?;
                let key = self
                    .keys
                    .get(&key_id, context)
                    .await?
                    .ok_or_else(token::invalid)?;
                let verified = Arc::new(self.rules.verify(token, &key, now)?);
                self.verified.insert(digest, Arc::clone(&verified));
                verified
            }
        };
        Ok((verified.principal.clone(), Arc::clone(&verified.session)))
    }

    /// The operator of this installation, if the token is of that kind; the key in the data folder
    /// proves it. Such tokens live for a minute and are not remembered.
    fn operator(&self, token: &str) -> Option<Result<Principal, Failure>> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.alg != jsonwebtoken::Algorithm::HS256 {
            return None;
        }
        let opened = self.hub.seal().open_operator(token, self.clock().now());
        Some(opened.map_err(|error| token::invalid().caused_by(error)))
    }

    fn clock(&self) -> &Clock {
        self.hub.clock()
    }
}

impl Proven {
    fn anonymous() -> Self {
        Self {
            caller: Caller {
                principal: Principal::anonymous(),
                via: Via::Nothing,
            },
            session: Arc::from(""),
        }
    }

    /// The refusal of a token whose session has ended.
    pub fn revoked(self) -> Rejected {
        let reason = Reason::TokenRevoked;
        Rejected {
            failure: Failure::new(reason, reason.spec().message),
            via: self.caller.via,
        }
    }
}

impl Rejected {
    /// Whether the browser should forget the cookie: it will never be worth anything again.
    pub fn is_worthless_cookie(&self) -> bool {
        self.via == Via::Cookie
            && matches!(
                self.failure.reason(),
                Reason::InvalidCredentials | Reason::TokenRevoked
            )
    }

    /// The caller of a request to `route`: nobody, where a cookie is forgiven. Browsers send it whether
    /// they are asked or not.
    ///
    /// # Errors
    /// The refusal, where it matters.
    pub fn forgiven(self, route: &Route) -> Result<Caller, Failure> {
        if self.via != Via::Cookie || !forgives(route, &self.failure) {
            return Err(self.failure);
        }
        Ok(Caller {
            principal: Principal::anonymous(),
            via: match self.failure.reason() {
                Reason::TokenExpired => Via::ExpiredCookie,
                _ => Via::WorthlessCookie,
            },
        })
    }
}

/// Whether a cookie that proves nothing is as good as none: where nobody needs to be anybody and the
/// answer is the same for all. Where it would be another one, the client must know that it is not who it
/// thinks it is; otherwise an expired token would quietly turn a customer into a new guest.
fn forgives(route: &Route, failure: &Failure) -> bool {
    let policy = &route.policy;
    policy.role == Role::Anonymous
        && policy.ownership == Ownership::Unspecified
        && !route.opens_guest_session
        && failure.reason() != Reason::Unavailable
}

/// Whether a request brings credentials of any kind.
pub fn has_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || cookies::find(headers, cookies::ACCESS).is_some()
}

/// The token of an `Authorization` header; the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Checks the caller's role before anything is read or stored for it. The server layer of the service
/// checks it again; here it keeps the edge from working for those who will be refused.
///
/// # Errors
/// [`Reason::Unauthenticated`] for those who could sign in, [`Reason::PermissionDenied`] for others.
pub fn admit(policy: &MethodPolicy, principal: &Principal) -> Result<(), Failure> {
    if principal.at_least(policy.role) {
        Ok(())
    } else if principal.is_anonymous() {
        Err(Failure::unauthenticated(
            Reason::Unauthenticated.spec().message,
        ))
    } else {
        Err(Failure::permission_denied(
            Reason::PermissionDenied.spec().message,
        ))
    }
}

/// The request's idempotency key as its metadata carry it.
///
/// # Errors
/// A key that is empty, too long or not visible ASCII.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    const NAME: http::HeaderName = http::HeaderName::from_static("idempotency-key");
    if !headers.contains_key(NAME) {
        return Ok(None);
    }
    text(headers, &NAME)
        .filter(|key| {
            (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map(Some)
        .ok_or_else(|| {
            Failure::invalid(
                "Idempotency-Key",
                "must be 1 to 255 visible ASCII characters",
            )
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_token_follows_its_scheme() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer "), None);
        assert_eq!(bearer("abc"), None);
    }

    #[test]
    fn keys_are_visible_text() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", HeaderValue::from_str(value).unwrap());
            idempotency_key(&headers).map(|key| key.map(str::to_owned))
        };
        assert_eq!(with("k-1").unwrap().as_deref(), Some("k-1"));
        assert!(with("").is_err());
        assert!(with("a b").is_err());
        assert!(with(&"k".repeat(256)).is_err());
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }
}
