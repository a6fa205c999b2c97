//! A load balancer as they stand in front of gateways: it asks each whether it is ready, and sends requests to
//! those that are.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Time between two questions to a gateway, as is usual for balancers at their quickest.
const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Balancer {
    backends: Vec<Backend>,
    turn: AtomicUsize,
}

struct Backend {
    address: SocketAddr,
    ready: Arc<AtomicBool>,
}

impl Balancer {
    pub(crate) fn over(gateways: &[SocketAddr]) -> Arc<Self> {
        let backends = gateways.iter().map(|address| {
            let ready = Arc::new(AtomicBool::new(true));
            tokio::spawn(watch(*address, Arc::downgrade(&ready)));
            Backend {
                address: *address,
                ready,
            }
        });
        Arc::new(Self {
            backends: backends.collect(),
            turn: AtomicUsize::new(0),
        })
    }

    /// Where the next request goes: in turn to those that are ready, and to anybody when none is.
    pub(crate) fn next(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let ready: Vec<&Backend> = self
            .backends
            .iter()
            .filter(|backend| backend.ready.load(Ordering::Relaxed))
            .collect();
        match ready.is_empty() {
            true => self.backends[turn % self.backends.len()].address,
            false => ready[turn % ready.len()].address,
        }
    }
}

/// Keeps `ready` up to date as long as somebody looks at it.
async fn watch(address: SocketAddr, ready: std::sync::Weak<AtomicBool>) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(1))
        .build()
        .expect("a client without special settings can be built");
    while let Some(ready) = ready.upgrade() {
        let answer = client
            .get(format!("http://{address}/health/ready"))
            .send()
            .await;
        let is_ready = answer.is_ok_and(|answer| answer.status().is_success());
        ready.store(is_ready, Ordering::Relaxed);
        drop(ready);
        tokio::time::sleep(INTERVAL).await;
    }
}
