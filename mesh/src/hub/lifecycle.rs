//! Starting and stopping, in order.
//!
//! Start: all RPCs are registered before the first event is delivered and the first task runs, so no
//! part meets another half-built. Stop: not ready, take nothing new, finish calls, end tasks, finish
//! events, close stores; each step leaves behind only what the next ones can still finish.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use tonic_health::ServingStatus;

use super::Hub;
use crate::{
    events,
    health::{Component, Need, Phase},
    rpc::{acting_as, contract_name},
    service::{BoxError, Reach, Service, StartError, Task},
    telemetry,
};

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything in flight was finished.
    Finished,
    /// Time ran out and something was cut off; it is taken up again at the next start.
    TimedOut,
}

impl Hub {
    /// Starts the services: registers their RPCs, then delivers events, then runs their tasks.
    ///
    /// # Errors
    /// [`StartError`]; nothing is served then.
    pub async fn start(&self, services: Vec<Service>) -> Result<(), StartError> {
        let inner = &*self.0;
        if self.phase() != Phase::Starting || !inner.parts.lock().services.is_empty() {
            return Err(StartError::Started);
        }
        let mut tasks = Vec::new();
        for service in services {
            if service.reach == Reach::All {
                inner.parts.lock().reach = Reach::All;
            }
            for (name, rpc) in service.rpcs {
                self.registry().register(&name, rpc)?;
            }
            for store in service.stores {
                let mut stores = inner.stores.lock().await;
                if !stores.iter().any(|open| open.name() == store.name()) {
                    stores.push(store);
                }
            }
            for (consumer, store) in service.consumers {
                let store = store.ok_or(StartError::ConsumerWithoutStore(service.name))?;
                inner.bus.subscribe(consumer, &store)?;
            }
            tasks.extend(service.tasks.into_iter().map(|task| (service.name, task)));
            let mut parts = inner.parts.lock();
            parts.services.push(service.name);
            parts.checks.extend(
                service
                    .checks
                    .into_iter()
                    .map(|check| (service.name, check)),
            );
        }
        for store in inner.stores.lock().await.iter() {
            inner.bus.attach(store)?;
        }
        inner.bus.start().await?;
        for (service, task) in tasks {
            self.spawn(service, task);
        }
        if let Some(tls) = inner.tls.clone() {
            inner.tasks.spawn(tls.watch(inner.stop_tasks.clone()));
        }
        inner.tasks.spawn(telemetry::keep_metrics(
            inner.clock.clone(),
            inner.stop_tasks.clone(),
        ));
        {
            let mut phase = inner.phase.lock();
            // Whoever drains a hub that is still starting has the last word.
            if *phase != Phase::Starting {
                return Ok(());
            }
            *phase = Phase::Serving;
        }
        for name in self.reachable_services() {
            inner
                .reporter
                .set_service_status(&name, ServingStatus::Serving)
                .await;
        }
        Ok(())
    }

    fn spawn(&self, service: &'static str, task: Task) {
        let hub = self.clone();
        let shutdown = self.0.stop_tasks.clone();
        let name = task.name;
        let span = tracing::info_span!("task", service, name);
        let work = async move {
            let caller = Arc::from(format!("{service}.{name}"));
            let run = AssertUnwindSafe(acting_as(caller, (task.run)(shutdown.clone())));
            let outcome = run
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(BoxError::from("the task panicked")));
            if let Err(error) = outcome {
                tracing::error!(%error, "a task failed");
                hub.0.parts.lock().failed_tasks.push(Component {
                    name: format!("task:{service}/{name}"),
                    healthy: false,
                    need: Need::Required,
                    detail: error.to_string(),
                    took: Duration::ZERO,
                });
            }
        };
        self.0
            .tasks
            .spawn(tracing::Instrument::instrument(work, span));
    }

    /// Names of the RPC services whose health this process tells; the empty one is the process itself.
    fn reachable_services(&self) -> BTreeSet<String> {
        let registry = self.registry();
        let names: Vec<&str> = match self.0.parts.lock().reach {
            Reach::Own => registry.local_services().collect(),
            Reach::All => registry.all_services().collect(),
        };
        let names = names
            .into_iter()
            .map(|name| contract_name(name).into_owned());
        names.chain([String::new()]).collect()
    }

    /// Reports not ready, and goes on serving: balancers and callers need a moment to notice. Doing it
    /// twice is harmless.
    pub async fn announce_drain(&self) {
        let inner = &*self.0;
        {
            let mut phase = inner.phase.lock();
            if matches!(*phase, Phase::Draining | Phase::Stopped) {
                return;
            }
            *phase = Phase::Draining;
        }
        for name in self.reachable_services() {
            inner
                .reporter
                .set_service_status(&name, ServingStatus::NotServing)
                .await;
        }
    }

    /// Begins to drain: reports not ready and tells listeners to stop accepting. Calls in flight go
    /// on. Doing it twice is harmless.
    pub async fn drain(&self) {
        self.announce_drain().await;
        self.0.draining.cancel();
    }

    /// Drains and stops within about `limit`: calls in flight are finished, tasks ended, events in
    /// hand delivered, stores closed.
    pub async fn shutdown(&self, limit: Duration) -> Drained {
        let inner = &*self.0;
        self.drain().await;
        let end = inner.clock.monotonic() + limit;
        let mut drained = Drained::Finished;
        let mut note = |in_time: bool, what: &str| {
            if !in_time {
                tracing::warn!("{what} did not finish in time");
                drained = Drained::TimedOut;
            }
        };
        let calls = self.registry().finish_calls();
        note(self.until(end, calls).await, "calls");
        inner.stop_tasks.cancel();
        inner.tasks.close();
        note(self.until(end, inner.tasks.wait()).await, "tasks");
        let left = end.saturating_duration_since(inner.clock.monotonic());
        let events = inner.bus.shutdown(left.max(LEAST_FOR_EVENTS)).await;
        note(events == events::Drained::Finished, "events");
        for store in inner.stores.lock().await.iter() {
            if let Err(error) = store.close().await {
                tracing::error!(store = store.name(), %error, "a store did not close");
            }
        }
        *inner.phase.lock() = Phase::Stopped;
        drained
    }

    async fn until(&self, end: Instant, work: impl Future<Output = ()>) -> bool {
        let clock = &self.0.clock;
        let left = end.saturating_duration_since(clock.monotonic());
        clock.timeout(left, work).await.is_ok()
    }
}

/// Events get at least this long, because a consumer cut off in a call to a provider is repeated.
const LEAST_FOR_EVENTS: Duration = Duration::from_secs(1);
