//! The right of one process to do something that must not be done twice at a time.

/// A lease that was asked for. It is renewed while it is held, asked for again while it is not, and given back
/// when it is dropped.
///
/// A SQLite file belongs to one process, so there every lease is granted at once and for good.
#[derive(Debug)]
#[must_use]
pub struct Lease(());

impl Lease {
    /// The lease that nobody disputes.
    pub(super) fn undisputed() -> Self {
        Self(())
    }

    /// Completes when the lease is held.
    pub async fn held(&self) {}

    /// Whether the lease is held now.
    pub fn is_held(&self) -> bool {
        true
    }

    /// Completes when the lease is not held any more.
    pub async fn lost(&self) {
        std::future::pending().await
    }
}
