//! Measures the queues of this process's consumers: how much waits in each, and who consumes from it.

use std::{sync::Arc, time::Duration};

use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use tokio_util::sync::CancellationToken;

use super::{
    link::{Link, Session},
    names::Names,
};
use crate::clock::Clock;

const INTERVAL: Duration = Duration::from_secs(10);

/// Shows the depth of the queues of `consumers` as metrics until `stop` is cancelled.
pub(super) async fn run(
    link: Arc<Link>,
    names: Names,
    consumers: Vec<&'static str>,
    clock: Clock,
    stop: CancellationToken,
) {
    let measuring = async {
        loop {
            let session = link.session(None).await;
            if let Err(error) = measure(&session, &names, &consumers).await {
                tracing::debug!(%error, "the depth of queues cannot be measured");
            }
            clock.sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = measuring => {}
    }
}

async fn measure(
    session: &Session,
    names: &Names,
    consumers: &[&'static str],
) -> lapin::Result<()> {
    let channel = session.connection.create_channel().await?;
    for consumer in consumers {
        let consumer = *consumer;
        let (depth, members) = look(&channel, &names.queue(consumer)).await?;
        metrics::gauge!("hub_queue_depth", "consumer" => consumer).set(depth);
        metrics::gauge!("hub_queue_consumers", "consumer" => consumer).set(members);
    }
    channel.close(200, "OK".into()).await
}

/// Messages that wait, and consumers. A passive declaration answers with both and changes nothing.
async fn look(channel: &Channel, queue: &str) -> lapin::Result<(f64, f64)> {
    let passive = QueueDeclareOptions::durable().passive();
    let queue = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    Ok((
        f64::from(queue.message_count()),
        f64::from(queue.consumer_count()),
    ))
}
