//! One simulated process: a hub with its services, on a runtime of its own.
//!
//! The runtime has no timers, no sockets and no threads. It runs on the thread of the simulation until all
//! its tasks wait for something; killing the process is dropping the runtime with every task in it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use mesh::{Clock, Config, Hub, Ids, Service, Sources, StartError, simulation::Surroundings};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{provider::Provider, world::Place};

/// The runtime of a process.
#[derive(Debug)]
pub struct Process {
    runtime: Runtime,
    idle: Arc<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    reached: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Process {
    /// A process without tasks.
    ///
    /// # Errors
    /// The runtime cannot be built.
    pub fn new() -> std::io::Result<Self> {
        let idle = Arc::new(Idle::default());
        let parked = Arc::clone(&idle);
        let runtime = Builder::new_current_thread()
            .on_thread_park(move || {
                parked.reached.store(true, Ordering::Relaxed);
                let waker = parked.waker.lock().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            })
            .build()?;
        Ok(Self { runtime, idle })
    }

    /// Where tasks of the process are spawned.
    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Runs the process until all its tasks wait.
    pub fn turn(&self) {
        self.idle.reached.store(false, Ordering::Relaxed);
        self.runtime.block_on(std::future::poll_fn(|context| {
            if self.idle.reached.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *self.idle.waker.lock() = Some(context.waker().clone());
            Poll::Pending
        }));
    }
}

/// What runs in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Where shoppers, staff and carriers call from; nothing runs there, and it never dies.
    Edge,
    Catalog,
    Inventory,
    Cart,
    Orders,
    Payments,
    Shipping,
}

impl Role {
    /// All of them; the place in this list is the number of the process.
    pub const ALL: [Self; 7] = [
        Self::Edge,
        Self::Catalog,
        Self::Inventory,
        Self::Cart,
        Self::Orders,
        Self::Payments,
        Self::Shipping,
    ];

    /// Name of the service, its target and its store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "gateway",
            Self::Catalog => "catalog",
            Self::Inventory => "inventory",
            Self::Cart => "cart",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Shipping => "shipping",
        }
    }

    async fn register(self, hub: &Hub, place: &Place) -> Result<Vec<Service>, StartError> {
        Ok(vec![match self {
            Self::Edge => return Ok(Vec::new()),
            Self::Catalog => catalog::register(hub).await?,
            Self::Inventory => inventory::register(hub).await?,
            Self::Cart => cart::register(hub).await?,
            Self::Orders => orders::register(hub).await?,
            Self::Payments => {
                let provider = Provider::new(place.clone(), hub.clock().clone());
                payments::register_with(hub, Arc::new(provider)).await?
            }
            Self::Shipping => shipping::register(hub).await?,
        }])
    }
}

/// Builds and starts the hub of a process.
///
/// # Errors
/// What keeps a hub from starting; among it a store that fails.
pub async fn start(role: Role, place: Place, clock: Clock, seed: u64) -> Result<Hub, StartError> {
    let overrides = [
        ("mesh.internal_key", "the key of all simulated processes"),
        // Events taken within it are delivered again after a crash: the longer, the more of them.
        ("events.watermark_interval_ms", "700"),
    ];
    let config = Config::load(&Sources {
        overrides: overrides
            .iter()
            .map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
            .collect(),
        ..Sources::default()
    })?;
    let surroundings: Arc<dyn Surroundings> = Arc::new(place.clone());
    let hub = Hub::builder()
        .config(config)
        .data_dir(place.folder())
        .clock(clock.clone())
        .ids(Ids::seeded(clock, seed))
        .surroundings(surroundings)
        .build()
        .await?;
    let services = role.register(&hub, &place).await?;
    hub.start(services).await?;
    Ok(hub)
}
