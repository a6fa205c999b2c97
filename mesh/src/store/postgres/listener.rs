//! What processes tell each other: that there are events to relay, that a lease is free.
//!
//! Nothing depends on it: whoever waits also looks by itself now and then. It shortens the wait from a
//! second to a few milliseconds.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, mpsc};
use tokio_postgres::{Client, Notification, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use super::{fault::with_causes, pool::quoted, server::Server};
use crate::clock::Clock;

/// Wake-ups that have not been heard yet; one more says nothing new.
const UNHEARD: usize = 64;
/// Events that are committed within this time are told of together: a NOTIFY takes a lock on the whole
/// database server while it commits.
const GATHERING: Duration = Duration::from_millis(3);
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The channel of a schema.
pub(super) fn channel(schema: &str) -> String {
    format!("hub_{schema}")
}

/// One store's ear and mouth: a connection of its own, outside the pool.
pub(super) struct Listener {
    pub(super) server: Server,
    pub(super) channel: String,
    /// Notified when another process has put events into the outbox.
    pub(super) outbox_signal: Arc<Notify>,
    /// Notified when a lease was given back.
    pub(super) freed: Arc<Notify>,
    /// Notified when this process has put events into the outbox.
    pub(super) emitted: Arc<Notify>,
    pub(super) clock: Clock,
}

impl Listener {
    /// Listens and tells until `stop` is cancelled, over as many connections as it takes.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let (heard, mut hearing) = mpsc::channel(UNHEARD);
            let listening = tokio::select! {
                () = stop.cancelled() => return,
                listening = self.listen(heard) => listening,
            };
            match listening {
                Ok((client, own)) => {
                    pause = SHORTEST_PAUSE;
                    // Something may have been said while nobody listened.
                    self.outbox_signal.notify_one();
                    self.freed.notify_waiters();
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.attend(&client, own, &mut hearing) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        channel = self.channel,
                        error = with_causes(&error),
                        "cannot listen to other processes"
                    );
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// Connects; gives the connection with the number of its backend.
    async fn listen(
        &self,
        heard: mpsc::Sender<Notification>,
    ) -> Result<(Client, i32), tokio_postgres::Error> {
        let client = self.server.listen(heard).await?;
        let listen = format!("LISTEN {}; SELECT pg_backend_pid()", quoted(&self.channel));
        let own = client
            .simple_query(&listen)
            .await?
            .iter()
            .find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
                _ => None,
            });
        Ok((client, own.unwrap_or_default()))
    }

    /// Passes on what is heard and said, until the connection ends.
    async fn attend(&self, client: &Client, own: i32, hearing: &mut mpsc::Receiver<Notification>) {
        let tell = format!("NOTIFY {}, 'outbox'", quoted(&self.channel));
        loop {
            tokio::select! {
                heard = hearing.recv() => match heard {
                    None => return,
                    // This process was told when it committed.
                    Some(note) if note.process_id() == own => {}
                    Some(note) if note.payload() == "lease" => self.freed.notify_waiters(),
                    Some(_) => self.outbox_signal.notify_one(),
                },
                () = self.emitted.notified() => {
                    self.clock.sleep(GATHERING).await;
                    if client.batch_execute(&tell).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
