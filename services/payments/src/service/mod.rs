//! The RPCs.

mod methods;
mod payments;
mod wire;

pub use methods::MethodsHandler;
pub use payments::PaymentsHandler;

use mesh::Failure;

/// Runs work that moves money to its end, also when the caller hangs up in the middle of it.
async fn to_the_end<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    tokio::spawn(work)
        .await
        .unwrap_or_else(|error| Err(Failure::internal(error)))
}
