//! The right of one process to do something that must not be done twice at a time.

use tokio::sync::watch;
use tokio_util::sync::DropGuard;

/// A lease that was asked for. It is renewed while it is held, asked for again while it is not, and given back
/// when it is dropped.
///
/// A SQLite file belongs to one process, so there every lease is granted at once and for good. On PostgreSQL
/// it is a row with an owner and a time at which it expires, by the clock of the database: what the clocks of
/// the processes say does not matter. A holder that cannot renew it in time counts it as lost before others
/// may have it.
#[derive(Debug)]
#[must_use]
pub struct Lease {
    held: watch::Receiver<bool>,
    /// Ends the keeping, which gives the lease back.
    _keeping: Option<DropGuard>,
}

impl Lease {
    /// The lease that nobody disputes.
    pub(super) fn undisputed() -> Self {
        let (_, held) = watch::channel(true);
        Self {
            held,
            _keeping: None,
        }
    }

    /// A lease that a task keeps until `keeping` is dropped, telling through `held` how it stands.
    pub(super) fn kept(held: watch::Receiver<bool>, keeping: DropGuard) -> Self {
        Self {
            held,
            _keeping: Some(keeping),
        }
    }

    /// Completes when the lease is held.
    pub async fn held(&self) {
        if self.held.clone().wait_for(|held| *held).await.is_err() {
            // The store was closed: it will never be.
            std::future::pending().await
        }
    }

    /// Whether the lease is held now.
    pub fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Completes when the lease is not held any more.
    pub async fn lost(&self) {
        if self.held.clone().wait_for(|held| !*held).await.is_err() {
            // Nobody disputes it.
            std::future::pending().await
        }
    }
}
