//! One request to Stripe and what its answer means.

use std::{fmt, time::Duration};

use mesh::Secret;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::{
    StripeError,
    wire::{ApiError, ErrorBody},
};
use crate::provider::ProviderError;

/// The version whose shapes [`super::wire`] reads.
const API_VERSION: &str = "2024-06-20";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers are a few kilobytes; more than this is not Stripe.
const LARGEST_ANSWER: usize = 1 << 20;

/// The HTTP side.
pub struct Api {
    client: Client,
    base: Url,
    key: Secret<String>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// Why there is no answer of the expected shape.
#[derive(Debug)]
pub enum Rejected {
    /// Stripe says no, and why.
    Api(Box<ApiError>),
    /// Stripe did not say.
    Failed(ProviderError),
}

impl From<Rejected> for ProviderError {
    fn from(rejected: Rejected) -> Self {
        let error = match rejected {
            Rejected::Failed(error) => return error,
            Rejected::Api(error) => error,
        };
        let code = error.code.as_deref().unwrap_or_default();
        let param = error.param.as_deref().unwrap_or_default();
        match (error.kind.as_str(), code) {
            ("card_error", _) => Self::Declined(error.decline()),
            (_, "resource_missing") if names_a_method(param) => Self::InvalidMethod,
            (
                _,
                "token_already_used"
                | "payment_method_unactivated"
                | "payment_method_invalid_parameter",
            ) => Self::InvalidMethod,
            _ if names_a_method(param) => Self::InvalidMethod,
            (kind, code) => Self::Refused(format!("{kind}/{code} {param}").trim_end().to_owned()),
        }
    }
}

fn names_a_method(param: &str) -> bool {
    param.starts_with("payment_method") || param == "card[token]" || param == "card"
}

impl Api {
    /// For the API at `base_url`.
    pub fn new(
        base_url: &str,
        key: Secret<String>,
        timeout: Duration,
    ) -> Result<Self, StripeError> {
        if key.expose().is_empty() {
            return Err(StripeError::NoKey);
        }
        let base: Url = base_url.parse().map_err(|_| StripeError::BaseUrl)?;
        if base.cannot_be_a_base() {
            return Err(StripeError::BaseUrl);
        }
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            // The key goes to one host, not where an answer may point.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| StripeError::Client(error.to_string()))?;
        Ok(Self { client, base, key })
    }

    /// Changes something, once per idempotency key.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
        idempotency_key: &str,
    ) -> Result<T, Rejected> {
        let request = self
            .client
            .post(self.url(path)?)
            .header("Idempotency-Key", idempotency_key)
            .form(form);
        self.send(request).await
    }

    /// Changes something that can be changed so only once anyway.
    pub async fn post_idempotent<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<T, Rejected> {
        self.send(self.client.post(self.url(path)?).form(form))
            .await
    }

    /// Reads something.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Rejected> {
        let request = self.client.get(self.url(path)?).query(query);
        self.send(request).await
    }

    fn url(&self, path: &str) -> Result<Url, Rejected> {
        self.base
            .join(path)
            .map_err(|error| Rejected::Failed(ProviderError::Refused(error.to_string())))
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Rejected> {
        let unavailable = |error: reqwest::Error| {
            // The URL has ids in it that belong in no log.
            Rejected::Failed(ProviderError::Unavailable(error.without_url().to_string()))
        };
        let mut answer = request
            .bearer_auth(self.key.expose())
            .header("Stripe-Version", API_VERSION)
            .send()
            .await
            .map_err(unavailable)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Rejected::Failed(ProviderError::Unavailable(
                    "the answer is too long".to_owned(),
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Rejected::Failed(ProviderError::Unavailable(format!(
                    "an answer that cannot be read: {error}"
                )))
            });
        }
        Err(refusal(status, &body))
    }
}

/// What an answer other than success means.
fn refusal(status: StatusCode, body: &[u8]) -> Rejected {
    let error = serde_json::from_slice::<ErrorBody>(body)
        .unwrap_or_default()
        .error;
    let code = error.code.clone().unwrap_or_default();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Rejected::Failed(ProviderError::Misconfigured(format!("{status} {code}")))
        }
        // Conflict: another request with the key is under way. Too many: also when an object is locked.
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Rejected::Failed(ProviderError::Unavailable(format!("{status} {code}")))
        }
        _ if status.is_client_error() && !error.kind.is_empty() => Rejected::Api(Box::new(error)),
        _ => Rejected::Failed(ProviderError::Unavailable(status.to_string())),
    }
}
