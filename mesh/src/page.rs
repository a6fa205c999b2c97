//! Pages of a list.
//!
//! A list can be walked in two ways. `page` counts from one and is what people click; the database
//! has to skip all earlier rows for it. `page_token` continues after a known row by the values of its
//! sort key, so the thousandth page costs what the first one does; it is what programs should use. A
//! token is opaque, and it is bound to the filter and order of the list that gave it: continuing
//! another list with it would silently skip rows, so it is refused.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::Failure;

/// The page size when the request names none.
pub const DEFAULT_LIMIT: i32 = 20;
/// The largest page size.
pub const MAX_LIMIT: i32 = 100;
/// Longest token that is looked at.
const MAX_TOKEN: usize = 4096;

/// A resolved page request: how many rows, and after what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging<K> {
    /// Rows to return, 1 to [`MAX_LIMIT`].
    pub limit: i32,
    /// The 1-based page number; 1 when the list is walked by token.
    pub page: i32,
    /// The sort key of the last row already seen, when the list is walked by token.
    pub after: Option<K>,
    fingerprint: u64,
}

#[derive(Serialize, Deserialize)]
struct Token<K> {
    f: u64,
    k: K,
}

impl<K: Serialize + DeserializeOwned> Paging<K> {
    /// Reads `page`, `limit` and `page_token` of a request; an empty token is an absent one, and the
    /// token wins over the page. `filter` is everything else that decides which rows the list has and in
    /// what order (use a tuple of the request's fields).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a limit outside 1 to [`MAX_LIMIT`], a page below 1, or a token that
    /// this list did not give.
    pub fn read(
        page: Option<i32>,
        limit: Option<i32>,
        page_token: &str,
        filter: &impl Serialize,
    ) -> Result<Self, Failure> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Failure::invalid(
                "limit",
                format!("must be between 1 and {MAX_LIMIT}"),
            ));
        }
        let page = page.unwrap_or(1);
        if page < 1 {
            return Err(Failure::invalid("page", "must be 1 or above"));
        }
        let fingerprint = fingerprint(filter)?;
        let after = if page_token.is_empty() {
            None
        } else {
            Some(decode(page_token, fingerprint).ok_or_else(|| {
                Failure::invalid("page_token", "is not a token that this list gave")
            })?)
        };
        Ok(Self {
            limit,
            page: if after.is_some() { 1 } else { page },
            after,
            fingerprint,
        })
    }

    /// Rows to skip when the list is walked by page number.
    pub fn offset(&self) -> i64 {
        match self.after {
            Some(_) => 0,
            None => i64::from(self.page - 1) * i64::from(self.limit),
        }
    }

    /// Rows to ask the database for: one more than the limit, to know whether a next page exists.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Cuts `rows`, of which [`Paging::fetch`] were asked for, to the limit, and gives the token that
    /// continues after the last one kept; empty on the last page.
    pub fn finish<T>(&self, rows: &mut Vec<T>, key: impl FnOnce(&T) -> K) -> String {
        if rows.len() <= self.limit as usize {
            return String::new();
        }
        rows.truncate(self.limit as usize);
        rows.last()
            .map(|row| self.token(key(row)))
            .unwrap_or_default()
    }

    /// The token that continues this list after the row with sort key `key`.
    pub fn token(&self, key: K) -> String {
        let token = Token {
            f: self.fingerprint,
            k: key,
        };
        // Keys are plain values; one that JSON cannot hold ends the list instead of failing it.
        serde_json::to_vec(&token)
            .map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
            .unwrap_or_default()
    }
}

fn decode<K: DeserializeOwned>(token: &str, fingerprint: u64) -> Option<K> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let token: Token<K> = serde_json::from_slice(&bytes).ok()?;
    (token.f == fingerprint).then_some(token.k)
}

/// FNV-1a over the filter's JSON: stable across versions of the standard library and processes.
fn fingerprint(filter: &impl Serialize) -> Result<u64, Failure> {
    let bytes = serde_json::to_vec(filter).map_err(Failure::internal)?;
    Ok(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    type Key = (i64, String);

    #[test]
    fn defaults_and_bounds() {
        let paging = Paging::<Key>::read(None, None, "", &()).unwrap();
        assert_eq!((paging.limit, paging.page, paging.offset()), (20, 1, 0));
        let paging = Paging::<Key>::read(Some(3), Some(50), "", &()).unwrap();
        assert_eq!(paging.offset(), 100);
        assert!(Paging::<Key>::read(Some(0), None, "", &()).is_err());
        assert!(Paging::<Key>::read(None, Some(-1), "", &()).is_err());
        assert!(Paging::<Key>::read(None, Some(101), "", &()).is_err());
        assert_eq!(
            Paging::<Key>::read(Some(i32::MAX), Some(100), "", &())
                .unwrap()
                .offset(),
            214_748_364_600
        );
    }

    #[test]
    fn a_token_belongs_to_its_filter() {
        let token = Paging::<Key>::read(None, Some(10), "", &("shoes", "price"))
            .unwrap()
            .token((5, "a".into()));
        let next = Paging::<Key>::read(Some(9), Some(10), &token, &("shoes", "price")).unwrap();
        assert_eq!(next.after, Some((5, "a".to_owned())));
        assert_eq!((next.page, next.offset()), (1, 0));
        let other = Paging::<Key>::read(None, Some(10), &token, &("hats", "price")).unwrap_err();
        assert_eq!(other.fields()[0].field, "page_token");
        assert!(Paging::<(String,)>::read(None, Some(10), &token, &("shoes", "price")).is_err());
    }

    #[test]
    fn the_last_page_has_no_token() {
        let paging = Paging::<i64>::read(None, Some(3), "", &()).unwrap();
        let mut rows = vec![1, 2, 3];
        assert_eq!(paging.finish(&mut rows, |row| *row), "");
        let mut rows = vec![1, 2, 3, 4];
        let token = paging.finish(&mut rows, |row| *row);
        assert_eq!(rows, [1, 2, 3]);
        assert_eq!(
            Paging::<i64>::read(None, Some(3), &token, &())
                .unwrap()
                .after,
            Some(3)
        );
    }

    proptest! {
        #[test]
        fn any_token_is_answered(token in "\\PC{0,200}") {
            prop_assert!(token.is_empty() || Paging::<Key>::read(None, Some(10), &token, &()).is_err());
        }
    }
}
