//! The test processor behind a bad line: requests or their answers get lost.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use async_trait::async_trait;
use mesh::Money;

use crate::{
    domain::method::Token,
    provider::{
        Card, Intent, IntentState, KeptMethod, NewIntent, OpenIntent, Provider, ProviderError,
        processor::TestProcessor,
    },
};

/// When the provider fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    Never,
    Before,
    After,
}

#[derive(Debug, Default)]
pub struct Switch(AtomicU8);

impl Switch {
    pub fn set(&self, fails: Fails) {
        self.0.store(fails as u8, Ordering::SeqCst);
    }

    pub fn get(&self) -> Fails {
        match self.0.load(Ordering::SeqCst) {
            1 => Fails::Before,
            2 => Fails::After,
            _ => Fails::Never,
        }
    }
}

/// The test processor behind a bad line.
pub struct Flaky {
    /// Does the work.
    pub inner: TestProcessor,
    /// When the line fails.
    pub fails: Arc<Switch>,
}

impl Flaky {
    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let lost = || Err(ProviderError::Unavailable("the line is down".to_owned()));
        match self.fails.get() {
            Fails::Before => lost(),
            Fails::Never => call.await,
            Fails::After => {
                let _ = call.await;
                lost()
            }
        }
    }
}

#[async_trait]
impl Provider for Flaky {
    async fn create_intent(&self, new: &NewIntent, key: &str) -> Result<OpenIntent, ProviderError> {
        self.call(self.inner.create_intent(new, key)).await
    }
    async fn confirm(
        &self,
        intent: &Intent,
        method: Option<&Token>,
        key: &str,
    ) -> Result<IntentState, ProviderError> {
        self.call(self.inner.confirm(intent, method, key)).await
    }
    async fn retrieve(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        self.call(self.inner.retrieve(intent)).await
    }
    async fn cancel(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        self.call(self.inner.cancel(intent)).await
    }
    async fn refund(&self, intent: &Intent, amount: Money, key: &str) -> Result<(), ProviderError> {
        self.call(self.inner.refund(intent, amount, key)).await
    }
    async fn keep_method(
        &self,
        user_id: &str,
        customer: Option<&str>,
        token: &Token,
    ) -> Result<KeptMethod, ProviderError> {
        self.inner.keep_method(user_id, customer, token).await
    }
    async fn forget_method(&self, token: &Token) -> Result<(), ProviderError> {
        self.inner.forget_method(token).await
    }
    async fn paid_elsewhere(&self, intent: &Intent, card: &Card) -> Result<(), ProviderError> {
        self.inner.paid_elsewhere(intent, card).await
    }
}
