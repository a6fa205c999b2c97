//! What a process finds around it when it is simulated.
//!
//! The deterministic simulation (`tests/simulation`) runs the services as they are, on one thread and a
//! manual [`Clock`](crate::Clock). Everything through which a process touches the world goes through one
//! trait here: its disk, calls to other processes, and events that leave and arrive. A [`Hub`](crate::Hub)
//! that is built without [`Surroundings`] never meets this module.

use std::fmt;

use futures::future::BoxFuture;
use http::{Request, Response};
use parking_lot::Mutex;
use tonic::body::Body;

use crate::{service::BoxError, store::StoreError};

pub use crate::{
    events::{Delivery, Intake, Receipt, Redelivery},
    rpc::serve_call,
    store::{Access, Disk},
};

/// The world around one simulated process.
pub trait Surroundings: fmt::Debug + Send + Sync + 'static {
    /// The disk that keeps store `name`.
    fn disk(&self, name: &str) -> Disk;

    /// Called before a store reads or writes and after it has committed. It may take its time on the
    /// process's clock; an error is what the caller gets to see, and after [`Access::Committed`] that is a
    /// lie.
    fn access<'a>(
        &'a self,
        store: &'a str,
        access: Access,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Carries a call to another process that runs `target`, and the answer back. An error means that the
    /// connection failed; the call may have been executed.
    fn call(
        &self,
        target: &str,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, BoxError>>;

    /// Takes charge of an event that a relay of this process hands over. Its receipt is taken when the
    /// broker has confirmed it.
    fn publish(&self, delivery: Delivery);

    /// The consumer `name` of this process takes events of these types from now on.
    fn listen(&self, name: &'static str, event_types: &'static [&'static str], intake: Intake);
}

/// What happens when a delivery is in safe hands; at most once.
pub(crate) struct Acknowledgement(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Acknowledgement {
    pub(crate) fn new(taken: Box<dyn FnOnce() + Send>) -> Self {
        Self(Mutex::new(Some(taken)))
    }

    pub(crate) fn give(&self) {
        let taken = self.0.lock().take();
        if let Some(taken) = taken {
            taken();
        }
    }
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acknowledgement")
    }
}
