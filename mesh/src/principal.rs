//! Who is calling.
//!
//! A [`Principal`] is established once at the edge and then travels with the call: inside a process
//! as a value in the request's extensions, between processes sealed in a short-lived signed token.
//! Nothing a client can write (headers, metadata) ever becomes a principal without a valid signature.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

pub use contracts::hub::options::v1::Role;

use crate::{config::Config, service::StartError};

/// How long a sealed principal is accepted: longer than any hop takes, short enough to be worthless
/// in a log.
const SEAL_LIFE: Duration = Duration::from_secs(60);
/// Clock difference between processes that is forgiven.
const LEEWAY: Duration = Duration::from_secs(5);

/// The authenticated caller. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal(Arc<Identity>);

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    role: RoleName,
    subject: String,
    email: String,
    name: String,
    session: String,
}

/// Roles by name, so that a token does not depend on enum numbers.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Anonymous,
    Guest,
    Customer,
    Staff,
    Admin,
    Service,
}

/// The facts about a signed-in person that [`Principal::user`] takes.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// User id.
    pub subject: String,
    /// E-mail address.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Id of the login session, for logout and revocation.
    pub session: String,
}

impl Principal {
    /// A caller without credentials.
    pub fn anonymous() -> Self {
        static ANONYMOUS: OnceLock<Principal> = OnceLock::new();
        ANONYMOUS
            .get_or_init(|| Self::with(RoleName::Anonymous, User::default()))
            .clone()
    }

    /// A guest: a session without an account. The session is also the subject that owns the rows.
    pub fn guest(session: impl Into<String>) -> Self {
        let session = session.into();
        Self::with(
            RoleName::Guest,
            User {
                subject: session.clone(),
                session,
                ..User::default()
            },
        )
    }

    /// A signed-in person. `None` for the roles that no person can have (anonymous, guest, service),
    /// so that no claim of a foreign token can make one.
    pub fn user(role: Role, user: User) -> Option<Self> {
        let role = match role {
            Role::Customer => RoleName::Customer,
            Role::Staff => RoleName::Staff,
            Role::Admin => RoleName::Admin,
            Role::Unspecified | Role::Anonymous | Role::Guest | Role::Service => return None,
        };
        Some(Self::with(role, user))
    }

    /// A service of the mesh, acting on its own account.
    pub fn service(name: impl Into<String>) -> Self {
        Self::with(
            RoleName::Service,
            User {
                subject: name.into(),
                ..User::default()
            },
        )
    }

    fn with(role: RoleName, user: User) -> Self {
        Self(Arc::new(Identity {
            role,
            subject: user.subject,
            email: user.email,
            name: user.name,
            session: user.session,
        }))
    }

    /// The caller's role.
    pub fn role(&self) -> Role {
        match self.0.role {
            RoleName::Anonymous => Role::Anonymous,
            RoleName::Guest => Role::Guest,
            RoleName::Customer => Role::Customer,
            RoleName::Staff => Role::Staff,
            RoleName::Admin => Role::Admin,
            RoleName::Service => Role::Service,
        }
    }

    /// The role's name in lower case, for tokens, logs and metrics.
    pub fn role_name(&self) -> &'static str {
        role_name(self.role())
    }

    /// User id, guest session id or service name; empty when anonymous.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// E-mail address; empty when there is none.
    pub fn email(&self) -> &str {
        &self.0.email
    }

    /// Display name; empty when there is none.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Id of the login session; empty when there is none.
    pub fn session(&self) -> &str {
        &self.0.session
    }

    /// Whether the caller has `role` or a more trusted one.
    pub fn at_least(&self, role: Role) -> bool {
        self.role() >= role
    }

    /// Whether a service calls on its own account.
    pub fn is_service(&self) -> bool {
        self.role() == Role::Service
    }

    /// Whether nobody is signed in, not even as a guest.
    pub fn is_anonymous(&self) -> bool {
        self.role() == Role::Anonymous
    }

    /// Whether the caller is the user or guest session `owner`.
    pub fn is_owner(&self, owner: &str) -> bool {
        !owner.is_empty() && !self.is_service() && self.subject() == owner
    }

    /// Whether the caller may see a row of `owner` where the policy says `OWNERSHIP_CALLER_OR_STAFF`.
    pub fn may_see(&self, owner: &str) -> bool {
        self.at_least(Role::Staff) || self.is_owner(owner)
    }
}

/// The name of `role` in lower case.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "unspecified",
        Role::Anonymous => "anonymous",
        Role::Guest => "guest",
        Role::Customer => "customer",
        Role::Staff => "staff",
        Role::Admin => "admin",
        Role::Service => "service",
    }
}

/// The role called `name` in lower case; only those that a person can have.
pub fn role_from_name(name: &str) -> Option<Role> {
    match name {
        "guest" => Some(Role::Guest),
        "customer" => Some(Role::Customer),
        "staff" => Some(Role::Staff),
        "admin" => Some(Role::Admin),
        _ => None,
    }
}

impl fmt::Debug for Principal {
    /// Without e-mail and name, so that a log line carries no personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.role_name(), self.subject())
    }
}

/// Seals and opens principals on their way between processes (HMAC-SHA-256 over JWT claims). Cheap to
/// clone.
///
/// Whoever holds the key also is an operator: with [`PrincipalSeal::operator_token`] the command line
/// speaks to a running hub as an administrator, without a password. The two kinds of token have
/// different audiences, so that neither passes for the other.
#[derive(Clone)]
pub struct PrincipalSeal(Arc<Keys>);

struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

#[derive(Clone, Copy)]
enum Audience {
    Mesh,
    Operator,
}

impl Audience {
    const fn name(self) -> &'static str {
        match self {
            Self::Mesh => "hub-mesh",
            Self::Operator => "hub-operator",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims<A, P> {
    aud: A,
    iat: i64,
    exp: i64,
    p: P,
}

/// Why a sealed principal was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The token is malformed or signed with another key.
    #[error("the internal token is not valid")]
    Invalid,
    /// The token's life is over.
    #[error("the internal token has expired")]
    Expired,
    /// The signature could not be made.
    #[error("the internal token could not be signed")]
    Unsigned,
}

impl PrincipalSeal {
    /// A seal with a shared secret key of at least 32 bytes.
    pub fn new(key: &[u8]) -> Self {
        Self(Arc::new(Keys {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
        }))
    }

    /// The seal of the installation that `config` describes, for programs beside it.
    ///
    /// # Errors
    /// The configuration, or a data folder without a key: no hub has run on it yet.
    pub fn of_installation(config: &Config) -> Result<Self, StartError> {
        crate::hub::installed_key(config).map(|key| Self::new(&key))
    }

    /// Signs `principal` for one hop.
    ///
    /// # Errors
    /// [`SealError::Unsigned`] when the cryptographic provider refuses.
    pub fn seal(&self, principal: &Principal, now: DateTime<Utc>) -> Result<String, SealError> {
        self.sign(Audience::Mesh, principal, now)
    }

    /// Checks a token of [`PrincipalSeal::seal`] and gives back the principal in it.
    ///
    /// # Errors
    /// [`SealError::Invalid`] or [`SealError::Expired`].
    pub fn open(&self, token: &str, now: DateTime<Utc>) -> Result<Principal, SealError> {
        self.verify(Audience::Mesh, token, now)
    }

    /// A bearer token for the edge that makes its bearer an administrator for a minute.
    ///
    /// # Errors
    /// [`SealError::Unsigned`].
    pub fn operator_token(&self, now: DateTime<Utc>) -> Result<String, SealError> {
        let user = User {
            subject: "operator".to_owned(),
            name: "Operator".to_owned(),
            ..User::default()
        };
        self.sign(
            Audience::Operator,
            &Principal::with(RoleName::Admin, user),
            now,
        )
    }

    /// Checks a token of [`PrincipalSeal::operator_token`].
    ///
    /// # Errors
    /// [`SealError::Invalid`], also for every other kind of token, or [`SealError::Expired`].
    pub fn open_operator(&self, token: &str, now: DateTime<Utc>) -> Result<Principal, SealError> {
        self.verify(Audience::Operator, token, now)
    }

    fn sign(
        &self,
        audience: Audience,
        principal: &Principal,
        now: DateTime<Utc>,
    ) -> Result<String, SealError> {
        let iat = now.timestamp();
        let claims = Claims {
            aud: audience.name(),
            iat,
            exp: iat.saturating_add(SEAL_LIFE.as_secs() as i64),
            p: &*principal.0,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0.encoding)
            .map_err(|_| SealError::Unsigned)
    }

    fn verify(
        &self,
        audience: Audience,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Principal, SealError> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[audience.name()]);
        // Expiry is checked against the injected clock.
        validation.validate_exp = false;
        let claims =
            jsonwebtoken::decode::<Claims<String, Identity>>(token, &self.0.decoding, &validation)
                .map_err(|_| SealError::Invalid)?
                .claims;
        let (now, leeway) = (now.timestamp(), LEEWAY.as_secs() as i64);
        if now > claims.exp.saturating_add(leeway) {
            return Err(SealError::Expired);
        }
        if claims.iat > now.saturating_add(leeway) {
            return Err(SealError::Invalid);
        }
        Ok(Principal(Arc::new(claims.p)))
    }
}

impl fmt::Debug for PrincipalSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrincipalSeal(********)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn staff() -> Principal {
        Principal::user(
            Role::Staff,
            User {
                subject: "u-1".into(),
                email: "staff@hub.test".into(),
                ..User::default()
            },
        )
        .unwrap()
    }

    #[test]
    fn roles_are_ordered() {
        assert!(staff().at_least(Role::Customer));
        assert!(!staff().at_least(Role::Admin));
        assert!(Principal::service("orders").at_least(Role::Admin));
        assert!(!Principal::anonymous().at_least(Role::Guest));
    }

    #[test]
    fn no_person_is_a_service() {
        assert!(Principal::user(Role::Service, User::default()).is_none());
        assert_eq!(role_from_name("service"), None);
        assert_eq!(role_from_name("anonymous"), None);
    }

    #[test]
    fn rows_belong_to_their_owner() {
        let guest = Principal::guest("s-1");
        assert!(guest.may_see("s-1"));
        assert!(!guest.may_see("u-1"));
        assert!(!Principal::anonymous().may_see(""));
        assert!(staff().may_see("u-2"));
        assert!(!staff().is_owner("u-2"));
    }

    #[test]
    fn a_seal_is_opened_by_the_same_key_for_a_minute() {
        let seal = PrincipalSeal::new(&[7; 32]);
        let token = seal.seal(&staff(), now()).unwrap();
        assert_eq!(seal.open(&token, now()).unwrap(), staff());
        assert_eq!(
            seal.open(&token, now() + TimeDelta::seconds(66)),
            Err(SealError::Expired)
        );
        assert_eq!(
            seal.open(&token, now() - TimeDelta::seconds(60)),
            Err(SealError::Invalid)
        );
        assert_eq!(
            PrincipalSeal::new(&[8; 32]).open(&token, now()),
            Err(SealError::Invalid)
        );
        let mut forged = token.into_bytes();
        let middle = forged.len() / 2;
        forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            seal.open(std::str::from_utf8(&forged).unwrap(), now()),
            Err(SealError::Invalid)
        );
    }

    #[test]
    fn an_operator_s_token_is_no_caller_s_and_the_other_way_round() {
        let seal = PrincipalSeal::new(&[7; 32]);
        let operator = seal.operator_token(now()).unwrap();
        let principal = seal.open_operator(&operator, now()).unwrap();
        assert_eq!(principal.role(), Role::Admin);
        assert_eq!(seal.open(&operator, now()), Err(SealError::Invalid));
        let service = seal.seal(&Principal::service("orders"), now()).unwrap();
        assert_eq!(seal.open_operator(&service, now()), Err(SealError::Invalid));
    }

    #[test]
    fn debug_shows_no_personal_data() {
        assert_eq!(format!("{:?}", staff()), "staff:u-1");
    }
}
