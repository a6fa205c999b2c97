//! Records that wait to be sent.

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use super::environment::{Batch, Signal};
use crate::clock::Clock;

/// The end at which records are put in, from any thread.
#[derive(Debug)]
pub(super) struct Queue<T> {
    sender: Sender<T>,
    dropped: Dropped,
}

struct Dropped(metrics::Counter);

impl std::fmt::Debug for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dropped")
    }
}

/// The end at which they are taken out.
#[derive(Debug)]
pub(super) struct Batches<T> {
    receiver: Receiver<T>,
    batch: Batch,
    clock: Clock,
    stop: CancellationToken,
}

/// Whether the process is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    Ending,
}

/// A queue as `batch` says.
pub(super) fn queue<T>(
    signal: Signal,
    batch: Batch,
    clock: Clock,
    stop: CancellationToken,
) -> (Queue<T>, Batches<T>) {
    let (sender, receiver) = channel(batch.queue);
    let dropped = metrics::counter!("hub_telemetry_dropped_total", "signal" => signal.name());
    (
        Queue {
            sender,
            dropped: Dropped(dropped),
        },
        Batches {
            receiver,
            batch,
            clock,
            stop,
        },
    )
}

impl<T> Queue<T> {
    /// Puts a record in, or drops it when the queue is full.
    pub(super) fn push(&self, record: T) {
        if self.sender.try_send(record).is_err() {
            self.dropped.0.increment(1);
        }
    }
}

impl<T> Batches<T> {
    /// The next batch, once it is full or its first record has waited long enough. Once the process stops:
    /// what is left, and then `None`.
    pub(super) async fn next(&mut self) -> Option<(Vec<T>, Stage)> {
        let mut records = Vec::new();
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.fill(&mut records) => return Some((records, Stage::Running)),
        }
        self.receiver.close();
        while records.len() < self.batch.size {
            match self.receiver.try_recv() {
                Ok(record) => records.push(record),
                Err(_) => break,
            }
        }
        (!records.is_empty()).then_some((records, Stage::Ending))
    }

    async fn fill(&mut self, records: &mut Vec<T>) {
        let size = self.batch.size;
        if self.receiver.recv_many(records, size).await == 0 {
            return std::future::pending().await;
        }
        let mut waited = std::pin::pin!(self.clock.sleep(self.batch.delay));
        while records.len() < size {
            let room = size - records.len();
            tokio::select! {
                () = &mut waited => return,
                taken = self.receiver.recv_many(records, room) => if taken == 0 { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn fixture(queue: usize, size: usize) -> (Queue<u32>, Batches<u32>, Clock, CancellationToken) {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let stop = CancellationToken::new();
        let batch = Batch {
            delay: Duration::from_secs(5),
            queue,
            size,
        };
        let (records, batches) = super::queue(Signal::Traces, batch, clock.clone(), stop.clone());
        (records, batches, clock, stop)
    }

    #[tokio::test]
    async fn a_full_batch_goes_at_once_and_others_wait() {
        let (queue, mut batches, clock, _) = fixture(10, 3);
        for number in 0..4 {
            queue.push(number);
        }
        assert_eq!(
            batches.next().await.unwrap(),
            (vec![0, 1, 2], Stage::Running)
        );
        let waiting = tokio::spawn(async move { batches.next().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_secs(5));
        assert_eq!(waiting.await.unwrap().unwrap().0, [3]);
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_never_waits() {
        let (queue, mut batches, _, stop) = fixture(2, 2);
        for number in 0..5 {
            queue.push(number);
        }
        stop.cancel();
        assert_eq!(batches.next().await.unwrap(), (vec![0, 1], Stage::Ending));
        assert!(batches.next().await.is_none());
    }

    #[tokio::test]
    async fn the_end_sends_what_is_left_in_batches() {
        let (queue, mut batches, _, stop) = fixture(10, 2);
        for number in 0..3 {
            queue.push(number);
        }
        stop.cancel();
        assert_eq!(batches.next().await.unwrap().0, [0, 1]);
        assert_eq!(batches.next().await.unwrap().0, [2]);
        assert!(batches.next().await.is_none());
    }
}
