//! Waiting for conditions.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How long a condition may take by default: generous, because it only costs time when a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until `condition` answers something, and returns it.
///
/// # Panics
/// It takes more than a minute.
pub async fn eventually<T, F, Fut>(what: &str, condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    eventually_within(PATIENCE, what, condition).await
}

/// As [`eventually`], with a limit.
///
/// # Panics
/// It takes longer than `limit`.
pub async fn eventually_within<T, F, Fut>(limit: Duration, what: &str, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let begin = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(
            begin.elapsed() < limit,
            "waited {limit:?} in vain for {what}"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
