//! One hub that the tests share which leave no trace for each other.

use system_tests::{Api, Hub};
use tokio::sync::OnceCell;

static HUB: OnceCell<Hub> = OnceCell::const_new();

/// The shared hub. It has no request limits and lives as long as the test process.
pub async fn hub() -> &'static Hub {
    HUB.get_or_init(|| async { Hub::start().await.unwrap() })
        .await
}

/// An anonymous caller of the shared hub.
pub async fn api() -> Api {
    hub().await.api()
}

/// An e-mail address that no other test uses.
pub fn fresh_email() -> String {
    format!("shopper-{}@hub.test", uuid::Uuid::from_u128(rand::random()))
}
