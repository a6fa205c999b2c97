//! `Idempotency-Key`: a request that is sent twice has its effect once and the same answer twice.
//!
//! Before the call a durable *claim* is made for the key, afterwards the answer of the RPC is stored
//! with it; a second request finds one or the other. A process that dies in between leaves a claim
//! that somebody may take over once its time is up. Answers that say "try again" are not stored: the
//! claim is released, so that trying again makes sense. The call goes on when the client hangs up,
//! since its answer will be asked for.
//!
//! Who runs a request is decided by one row in the store, which all gateways share when it is
//! PostgreSQL: the claim is a single statement, so of two gateways with the same key exactly one gets
//! it. Redis only holds copies of answers, which are final; losing them costs a read of the store.

mod ledger;
mod seal;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mesh::{Failure, Reason, Rendered, policy::Idempotency};
use sha2::{Digest, Sha256};
use tonic::Status;

use ledger::{Claim, Found};
pub use ledger::{Ledger, MIGRATIONS};
use seal::Seal;

/// What identifies a request with a key.
#[derive(Debug)]
pub struct Keyed {
    id: String,
    fingerprint: String,
    seal: Seal,
}

impl Keyed {
    /// The request that `owner` sends to `method` with `key`; `material` is everything in it that
    /// must be the same when it is sent again.
    pub fn new(owner: &str, method: &str, key: &str, material: &[&[u8]]) -> Self {
        let digest = |purpose: &str, parts: &[&[u8]]| {
            let mut digest = Sha256::new();
            digest.update(purpose);
            for part in parts {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
            <[u8; 32]>::from(digest.finalize())
        };
        let own: [&[u8]; 3] = [owner.as_bytes(), method.as_bytes(), key.as_bytes()];
        let all: Vec<&[u8]> = own.iter().chain(material).copied().collect();
        Self {
            id: hex(&digest("id", &own)),
            fingerprint: hex(&digest("fingerprint", material)),
            seal: Seal::new(digest("seal", &all)),
        }
    }
}

/// An answer and whether it had been given before.
#[derive(Debug)]
pub struct Outcome {
    /// The reply message or the status of the RPC.
    pub answer: Result<Bytes, Status>,
    /// Whether it is the stored one.
    pub replayed: bool,
}

/// Whether a request needs a key, may have one, or may not use one.
///
/// # Errors
/// [`Reason::IdempotencyKeyRequired`].
pub fn require(policy: Idempotency, key: Option<&str>) -> Result<Option<&str>, Failure> {
    match (policy, key) {
        (Idempotency::Required, None) => Err(Failure::new(
            Reason::IdempotencyKeyRequired,
            Reason::IdempotencyKeyRequired.spec().message,
        )),
        (Idempotency::Required | Idempotency::Optional, key) => Ok(key),
        (Idempotency::Unspecified, _) => Ok(None),
    }
}

/// Runs `call` unless its answer is known.
///
/// # Errors
/// The key was used for another request, or that request is still running, or the ledger cannot be
/// written.
pub async fn once<F>(
    ledger: &Arc<Ledger>,
    request: Keyed,
    deadline: Duration,
    call: F,
) -> Result<Outcome, Failure>
where
    F: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    match ledger.claim(&request, deadline).await? {
        Found::Claimed(claim) => {
            let ledger = Arc::clone(ledger);
            let running = tokio::spawn(async move {
                let answer = call.await;
                settle(&ledger, &request, claim, &answer).await;
                answer
            });
            let answer = running
                .await
                .unwrap_or_else(|error| Err(Failure::internal(error).into()));
            Ok(Outcome {
                answer,
                replayed: false,
            })
        }
        Found::Answered(answer) => Ok(Outcome {
            answer,
            replayed: true,
        }),
        Found::Running(left) => Err(Failure::new(
            Reason::IdempotencyInProgress,
            Reason::IdempotencyInProgress.spec().message,
        )
        .with_retry_after(left.clamp(Duration::from_secs(1), Duration::from_secs(5)))),
        Found::OtherRequest => Err(Failure::new(
            Reason::IdempotencyKeyReused,
            Reason::IdempotencyKeyReused.spec().message,
        )),
    }
}

/// Stores or releases. The answer has been earned, so a ledger that fails now only costs the replay:
/// the claim runs out by itself.
async fn settle(ledger: &Ledger, request: &Keyed, claim: Claim, answer: &Result<Bytes, Status>) {
    let final_answer = match answer {
        Ok(_) => true,
        Err(status) => {
            let http = Rendered::of(status).http_status();
            http < 500 && http != 429
        }
    };
    let settled = if final_answer {
        ledger.answer(request, claim, answer).await
    } else {
        ledger.release(request, claim).await
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "the answer to an idempotent request is not kept");
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests;
