//! The operator of an installation: whoever can read its internal key.
//!
//! Commands on the same machine act for an administrator without a password: they sign a token with
//! the key of the data folder, and the edge that shares the key accepts it. The audience differs from
//! that of the tokens between processes, so neither passes for the other.

use std::{fmt, path::Path};

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Config, HubSettings, MeshSettings},
    hub::internal_key,
    principal::{Principal, Role, SealError, User},
    service::StartError,
};

const AUDIENCE: &str = "hub-operator";
/// Seconds that a token lives: a command makes one per call.
const LIFE: i64 = 60;
/// Clock difference in seconds that is forgiven.
const LEEWAY: i64 = 5;

/// Makes and checks operators' tokens.
#[derive(Clone)]
pub struct OperatorSeal {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    iat: i64,
    exp: i64,
}

impl OperatorSeal {
    /// With the key of the installation that `config` describes.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn of_installation(config: &Config) -> Result<Self, StartError> {
        let settings: HubSettings = config.section("hub")?;
        Self::of_folder(config, &settings.data_dir)
    }

    /// As [`OperatorSeal::of_installation`] for a data folder that is not the configured one.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn of_folder(config: &Config, data_dir: &Path) -> Result<Self, StartError> {
        let mesh: MeshSettings = config.section("mesh")?;
        Ok(Self::new(&internal_key(&mesh, data_dir)?))
    }

    fn new(key: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        // Expiry is checked against the injected clock.
        validation.validate_exp = false;
        Self {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
            validation,
        }
    }

    /// A token for one call.
    ///
    /// # Errors
    /// [`SealError::Unsigned`] when the cryptographic provider refuses.
    pub fn seal(&self, now: DateTime<Utc>) -> Result<String, SealError> {
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            iat: now.timestamp(),
            exp: now.timestamp() + LIFE,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|_| SealError::Unsigned)
    }

    /// The operator, if `token` is one of ours and still alive.
    ///
    /// # Errors
    /// [`SealError::Invalid`] for anything else, [`SealError::Expired`].
    pub fn open(&self, token: &str, now: DateTime<Utc>) -> Result<Principal, SealError> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| SealError::Invalid)?
            .claims;
        if now.timestamp() > claims.exp + LEEWAY {
            return Err(SealError::Expired);
        }
        let operator = User {
            subject: "operator".to_owned(),
            name: "Operator".to_owned(),
            ..User::default()
        };
        Principal::user(Role::Admin, operator).ok_or(SealError::Invalid)
    }
}

impl fmt::Debug for OperatorSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorSeal(********)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;

    use super::*;
    use crate::principal::PrincipalSeal;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn the_operator_is_an_administrator_for_a_minute() {
        let seal = OperatorSeal::new(KEY);
        let token = seal.seal(now()).unwrap();
        assert!(seal.open(&token, now()).unwrap().at_least(Role::Admin));
        let later = now() + TimeDelta::seconds(70);
        assert_eq!(seal.open(&token, later).unwrap_err(), SealError::Expired);
    }

    #[test]
    fn tokens_between_processes_are_none_of_the_operator_and_the_other_way_round() {
        let (operator, mesh) = (OperatorSeal::new(KEY), PrincipalSeal::new(KEY));
        let between = mesh.seal(&Principal::service("orders"), now()).unwrap();
        assert!(operator.open(&between, now()).is_err());
        assert!(mesh.open(&operator.seal(now()).unwrap(), now()).is_err());
        let other = OperatorSeal::new(b"another key of thirty-two bytes!");
        assert!(other.open(&operator.seal(now()).unwrap(), now()).is_err());
    }
}
