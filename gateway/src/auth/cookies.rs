//! The cookies of a session.
//!
//! The access token goes with every request, the refresh token only where it is exchanged, both out
//! of reach of scripts; the third cookie is the one that scripts must read, to prove with it that
//! they run on our page (see [`super::csrf`]).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::hub::identity::v1::Session;
use http::{HeaderMap, HeaderValue, header};

use super::csrf;
use crate::config::AuthConfig;

/// Carries the access token.
pub const ACCESS: &str = "hub_access";
/// Carries the refresh token.
pub const REFRESH: &str = "hub_refresh";
/// Carries the CSRF token, readable by scripts.
pub const CSRF: &str = "hub_csrf";

/// Life of the cookies in seconds; the issuer decides how long the tokens in them are good.
const REFRESH_LIFE: i64 = 7 * 24 * 3600;

/// How cookies are written.
#[derive(Debug, Clone)]
pub struct CookieJar {
    secure: &'static str,
    /// Paths at which a refresh token is exchanged, on each face.
    refresh_paths: Vec<String>,
}

impl CookieJar {
    /// Cookies as `config` wants them; the refresh token goes to `refresh_paths` only.
    pub fn new(config: &AuthConfig, refresh_paths: Vec<String>) -> Self {
        Self {
            secure: if config.insecure_cookies {
                ""
            } else {
                "; Secure"
            },
            refresh_paths,
        }
    }

    /// Adds the cookies of a new session.
    pub fn open(&self, session: &Session, headers: &mut HeaderMap) {
        // It outlives the token in it: an expired token says who should refresh, no token says that
        // nobody is there.
        self.put(
            headers,
            ACCESS,
            &session.access_token,
            REFRESH_LIFE,
            "/",
            "; HttpOnly",
        );
        for path in &self.refresh_paths {
            self.put(
                headers,
                REFRESH,
                &session.refresh_token,
                REFRESH_LIFE,
                path,
                "; HttpOnly",
            );
        }
        self.put(headers, CSRF, &csrf::token(), REFRESH_LIFE, "/", "");
    }

    /// Removes all cookies of the session.
    pub fn close(&self, headers: &mut HeaderMap) {
        self.put(headers, ACCESS, "", 0, "/", "; HttpOnly");
        for path in &self.refresh_paths {
            self.put(headers, REFRESH, "", 0, path, "; HttpOnly");
        }
        self.put(headers, CSRF, "", 0, "/", "");
    }

    /// Removes the access token, which has turned out to be good for nothing.
    pub fn drop_access(&self, headers: &mut HeaderMap) {
        self.put(headers, ACCESS, "", 0, "/", "; HttpOnly");
    }

    fn put(
        &self,
        headers: &mut HeaderMap,
        name: &str,
        value: &str,
        life: i64,
        path: &str,
        reach: &str,
    ) {
        let life = life.max(0);
        let cookie = format!(
            "{name}={value}; Path={path}; Max-Age={life}; SameSite=Strict{reach}{}",
            self.secure
        );
        if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
            cookie.set_sensitive(true);
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

/// The value of the cookie `name`. Of several with that name the first counts, which is the one with
/// the longest path.
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
        .filter(|value| !value.is_empty())
}

/// `bytes` as cookies can carry them.
pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn session() -> Session {
        Session {
            access_token: "aaa".into(),
            token_type: "Bearer".into(),
            expires_in: 900,
            refresh_token: "rrr".into(),
            user: None,
        }
    }

    fn cookies(headers: &HeaderMap) -> Vec<String> {
        headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_session_is_out_of_reach_of_scripts() {
        let jar = CookieJar::new(&AuthConfig::default(), vec!["/api/auth/refresh".into()]);
        let mut headers = HeaderMap::new();
        jar.open(&session(), &mut headers);
        let cookies = cookies(&headers);
        assert_eq!(
            cookies[0],
            "hub_access=aaa; Path=/; Max-Age=604800; SameSite=Strict; HttpOnly; Secure"
        );
        assert!(cookies[1].starts_with("hub_refresh=rrr; Path=/api/auth/refresh;"));
        assert!(cookies[1].contains("HttpOnly"));
        assert!(cookies[2].starts_with("hub_csrf=") && !cookies[2].contains("HttpOnly"));
        assert!(
            cookies
                .iter()
                .all(|cookie| cookie.contains("SameSite=Strict"))
        );
        assert!(
            headers
                .get_all("set-cookie")
                .iter()
                .all(HeaderValue::is_sensitive)
        );
    }

    #[test]
    fn insecure_cookies_must_be_asked_for() {
        let config = AuthConfig {
            insecure_cookies: true,
            ..AuthConfig::default()
        };
        let mut headers = HeaderMap::new();
        CookieJar::new(&config, vec![]).open(&session(), &mut headers);
        assert!(
            cookies(&headers)
                .iter()
                .all(|cookie| !cookie.contains("Secure"))
        );
    }

    #[test]
    fn closing_removes_every_cookie() {
        let jar = CookieJar::new(&AuthConfig::default(), vec!["/a".into(), "/b".into()]);
        let mut headers = HeaderMap::new();
        jar.close(&mut headers);
        let cookies = cookies(&headers);
        assert_eq!(cookies.len(), 4);
        assert!(cookies.iter().all(|cookie| cookie.contains("Max-Age=0")));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            "cookie",
            HeaderValue::from_static("a=1; hub_access=\"tok\"; hub_accessx=no"),
        );
        headers.append("cookie", HeaderValue::from_static("hub_csrf=c"));
        assert_eq!(find(&headers, ACCESS), Some("tok"));
        assert_eq!(find(&headers, CSRF), Some("c"));
        assert_eq!(find(&headers, REFRESH), None);
    }
}
