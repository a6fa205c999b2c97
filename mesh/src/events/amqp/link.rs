//! Keeps a connection to the broker.
//!
//! A connection is made again whenever it ends, after a pause that doubles and is never the same in two
//! processes. The topology is declared on every new one, because the broker may have come back empty. Whoever
//! needs the connection waits for the next [`Session`]; nobody fails because there is none.
//!
//! Publishing and consuming use a link each: a broker that runs out of memory blocks connections that publish,
//! and acknowledgements must get through all the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use lapin::{Connection, ConnectionProperties, Event};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{address::Endpoint, topology::Topology};
use crate::{clock::Clock, ids::Ids};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How long connecting and declaring may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often a connection is looked at besides listening to its events.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Publish,
    Consume,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

/// A connection on which the topology was declared.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) connection: Arc<Connection>,
    broken: Arc<Notify>,
    number: u64,
}

impl Session {
    /// Whether both are of one connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.number == other.number
    }

    /// Something does not work on this connection: a channel was closed, a queue has gone. A new connection
    /// with everything declared anew sets it right.
    pub(super) fn report_broken(&self) {
        self.broken.notify_one();
    }
}

/// How a link is.
#[derive(Clone, Debug)]
pub(super) enum State {
    Up(Session),
    Away(String),
}

/// A connection that is made again whenever it ends.
#[derive(Debug)]
pub(super) struct Link {
    purpose: Purpose,
    endpoint: Endpoint,
    topology: Topology,
    clock: Clock,
    ids: Ids,
    state: watch::Sender<State>,
    blocked: AtomicBool,
}

impl Drop for Link {
    /// Closes the connection of a bus that is cut off: whatever still holds a channel of it would keep it open,
    /// and the consumers on it active.
    fn drop(&mut self) {
        let State::Up(session) = &*self.state.borrow() else {
            return;
        };
        let (session, clock) = (session.clone(), self.clock.clone());
        // Without a runtime the process is ending.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let closing = session.connection.close(200, "OK".into());
                let _ = clock.timeout(LOOK_INTERVAL, closing).await;
            });
        }
    }
}

impl Link {
    pub(super) fn new(
        purpose: Purpose,
        endpoint: Endpoint,
        topology: Topology,
        clock: Clock,
        ids: Ids,
    ) -> Self {
        Self {
            purpose,
            endpoint,
            topology,
            clock,
            ids,
            state: watch::Sender::new(State::Away("not connected yet".to_owned())),
            blocked: AtomicBool::new(false),
        }
    }

    /// The connection, as soon as there is one other than `before`.
    pub(super) async fn session(&self, before: Option<&Session>) -> Session {
        let before = before.map(|session| session.number);
        let mut state = self.state.subscribe();
        loop {
            if let State::Up(session) = &*state.borrow_and_update()
                && Some(session.number) != before
            {
                return session.clone();
            }
            // The sender lives in `self`, so waiting cannot fail.
            let _ = state.changed().await;
        }
    }

    /// Nothing when the link is up and takes messages, else what is wrong.
    pub(super) fn trouble(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Away(error) => Some(error.clone()),
            State::Up(_) if self.blocked.load(Ordering::Relaxed) => {
                Some("the broker takes no messages: it is short of memory or disk".to_owned())
            }
            State::Up(_) => None,
        }
    }

    /// Connects again and again until `stop` is cancelled, then closes.
    pub(super) async fn keep(&self, stop: CancellationToken) {
        let reconnects =
            metrics::counter!("hub_amqp_reconnects_total", "purpose" => self.purpose.name());
        let mut pause = FIRST_PAUSE;
        for number in 1.. {
            let opened = tokio::select! {
                () = stop.cancelled() => return,
                opened = self.clock.timeout(PATIENCE, self.open(number)) => {
                    opened.unwrap_or_else(|_| Err("no answer in time".to_owned()))
                }
            };
            let end = match opened {
                Ok(session) => {
                    tracing::info!(
                        broker = self.endpoint.place(),
                        purpose = self.purpose.name(),
                        "connected to the broker"
                    );
                    pause = FIRST_PAUSE;
                    self.state.send_replace(State::Up(session.clone()));
                    let end = tokio::select! {
                        () = stop.cancelled() => None,
                        end = self.watch(&session) => Some(end),
                    };
                    if end.is_none() {
                        self.close(&session).await;
                        return;
                    }
                    end
                }
                Err(error) => Some(error),
            };
            let error = end.unwrap_or_default();
            tracing::warn!(
                broker = self.endpoint.place(),
                purpose = self.purpose.name(),
                error,
                "no connection to the broker; trying again"
            );
            self.set_blocked(false);
            self.state.send_replace(State::Away(error));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(self.jittered(pause)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            reconnects.increment(1);
        }
    }

    async fn open(&self, number: u64) -> Result<Session, String> {
        let name = format!("{} ({})", self.topology.namespace(), self.purpose.name());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connect_uri_with_config(
            self.endpoint.uri.clone(),
            properties,
            self.endpoint.tls.clone(),
            lapin::runtime::default_runtime().map_err(|error| error.to_string())?,
        )
        .await
        .map_err(|error| error.to_string())?;
        self.topology
            .declare(&connection)
            .await
            .map_err(|error| format!("the topology cannot be declared: {error}"))?;
        Ok(Session {
            connection: Arc::new(connection),
            broken: Arc::new(Notify::new()),
            number,
        })
    }

    /// Completes with the reason when the connection is of no more use.
    async fn watch(&self, session: &Session) -> String {
        let mut events = std::pin::pin!(session.connection.events_listener());
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "the broker takes no messages");
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!("the broker takes messages again");
                    }
                    Some(Event::Error(error)) => return error.to_string(),
                    Some(_) => {}
                    None => return "the connection has ended".to_owned(),
                },
                () = session.broken.notified() => {
                    self.close(session).await;
                    return "a channel was closed by the broker".to_owned();
                }
                () = self.clock.sleep(LOOK_INTERVAL) => {}
            }
            let status = session.connection.status();
            self.set_blocked(status.blocked());
            if !status.connected() {
                return "the connection was closed".to_owned();
            }
        }
    }

    async fn close(&self, session: &Session) {
        let closing = session.connection.close(200, "OK".into());
        // A broker that does not answer notices by itself that nobody is there.
        let _ = self.clock.timeout(LOOK_INTERVAL, closing).await;
    }

    fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
        metrics::gauge!("hub_amqp_blocked", "purpose" => self.purpose.name())
            .set(f64::from(u8::from(blocked)));
    }

    /// Between half the pause and all of it.
    fn jittered(&self, pause: Duration) -> Duration {
        let half = pause / 2;
        let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_millis(self.ids.entropy() % spread)
    }
}
