//! What is declared at the broker: exchanges, queues, bindings.
//!
//! Every process declares the queues of all consumer groups that the contracts name, not only its own. An
//! event that is published before its consumer was ever started would otherwise reach nobody.

use std::fmt;

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable},
};

use super::{
    BrokerAddress,
    names::{Names, all_slots},
};
use crate::{
    events::{BusError, EventsConfig, QueueType},
    policy::{CallGraph, CallerKind},
};

/// A consumer group: the consumers of one name in all processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The consumer's name.
    pub consumer: String,
    /// The event types that it wants.
    pub events: Vec<String>,
}

impl Group {
    /// The groups that the contracts declare. Consumers for every process have no queue that lasts.
    pub fn all_in(graph: &CallGraph) -> Vec<Self> {
        graph
            .consumers()
            .filter(|consumer| {
                let every_process = CallerKind::Consumer {
                    every_process: true,
                };
                consumer.kind != every_process
            })
            .map(|consumer| Self {
                consumer: consumer.name.to_string(),
                events: consumer.events.clone(),
            })
            .collect()
    }
}

/// What an installation declares at its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    names: Names,
    namespace: String,
    groups: Vec<Group>,
    queue_type: QueueType,
    delivery_limit: u32,
}

impl Topology {
    /// The topology of the installation `namespace` with these consumer groups. A group that is named twice
    /// is declared once.
    pub fn new(
        namespace: &str,
        groups: impl IntoIterator<Item = Group>,
        config: &EventsConfig,
    ) -> Self {
        let mut known: Vec<Group> = Vec::new();
        for group in groups {
            if !known.iter().any(|other| other.consumer == group.consumer) {
                known.push(group);
            }
        }
        known.sort_by(|a, b| a.consumer.cmp(&b.consumer));
        Self {
            names: Names::new(namespace),
            namespace: namespace.to_owned(),
            groups: known,
            queue_type: config.queue_type,
            delivery_limit: config.delivery_limit,
        }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Declares everything. What exists already stays as it is.
    pub(super) async fn declare(&self, connection: &Connection) -> lapin::Result<()> {
        let mut channel = connection.create_channel().await?;
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let dead = self.names.dead_exchange();
        channel
            .exchange_declare(
                dead.as_str().into(),
                ExchangeKind::Direct,
                durable,
                FieldTable::default(),
            )
            .await?;
        for exchange in self.names.exchanges() {
            channel
                .exchange_declare(
                    exchange.as_str().into(),
                    ExchangeKind::Topic,
                    durable,
                    FieldTable::default(),
                )
                .await?;
        }
        for group in &self.groups {
            self.declare_group(connection, &mut channel, group).await?;
        }
        channel.close(200, "OK".into()).await
    }

    async fn declare_group(
        &self,
        connection: &Connection,
        channel: &mut Channel,
        group: &Group,
    ) -> lapin::Result<()> {
        // What was delivered too often needs a place before it can happen.
        let dead_queue = self.names.dead_queue(&group.consumer);
        self.declare_queue(connection, channel, &dead_queue, self.dead_arguments())
            .await?;
        channel
            .queue_bind(
                dead_queue.as_str().into(),
                self.names.dead_exchange().as_str().into(),
                group.consumer.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let queue = self.names.queue(&group.consumer);
        self.declare_queue(connection, channel, &queue, self.arguments(&group.consumer))
            .await?;
        for event_type in &group.events {
            let Some(exchange) = self.names.exchange_of(event_type) else {
                continue;
            };
            channel
                .queue_bind(
                    queue.as_str().into(),
                    exchange.as_str().into(),
                    all_slots(event_type).as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        Ok(())
    }

    /// Declares a queue, or takes the one that is there although it was declared with other settings: events
    /// flow through it all the same, and only an operator may decide to delete it.
    async fn declare_queue(
        &self,
        connection: &Connection,
        channel: &mut Channel,
        queue: &str,
        arguments: FieldTable,
    ) -> lapin::Result<()> {
        let durable = QueueDeclareOptions::durable();
        let declared = channel
            .queue_declare(queue.into(), durable, arguments)
            .await;
        match declared {
            Ok(_) => Ok(()),
            Err(error) if is_other_settings(&error) => {
                tracing::warn!(queue, %error, "the queue exists with other settings, which stay");
                *channel = connection.create_channel().await?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn arguments(&self, consumer: &str) -> FieldTable {
        let mut arguments = FieldTable::default();
        let mut text = |name: &str, value: &str| {
            arguments.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        text("x-queue-type", self.queue_type.name());
        text("x-dead-letter-exchange", &self.names.dead_exchange());
        text("x-dead-letter-routing-key", consumer);
        if self.queue_type == QueueType::Quorum {
            // A letter leaves this queue only when the dead letters' queue has it. The broker wants
            // reject-publish for that, which never happens in a queue without a length limit.
            text("x-dead-letter-strategy", "at-least-once");
            text("x-overflow", "reject-publish");
            arguments.insert(
                "x-delivery-limit".into(),
                AMQPValue::LongLongInt(self.delivery_limit.into()),
            );
        }
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        arguments
    }

    fn dead_arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        let queue_type = self.queue_type.name();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString(queue_type.into()),
        );
        arguments
    }

    /// Deletes everything, with the messages in it.
    ///
    /// # Errors
    /// [`BusError::BrokerAddress`], [`BusError::Broker`].
    pub async fn delete(&self, broker: &BrokerAddress) -> Result<(), BusError> {
        let endpoint = broker.resolve(0)?;
        let broker_error = |error: lapin::Error| BusError::Broker(error.to_string());
        let connection = Connection::connect_uri_with_config(
            endpoint.uri,
            lapin::ConnectionProperties::default(),
            endpoint.tls,
            lapin::runtime::default_runtime().map_err(broker_error)?,
        )
        .await
        .map_err(broker_error)?;
        let channel = connection.create_channel().await.map_err(broker_error)?;
        for group in &self.groups {
            for queue in [
                self.names.queue(&group.consumer),
                self.names.dead_queue(&group.consumer),
            ] {
                channel
                    .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
                    .await
                    .map_err(broker_error)?;
            }
        }
        for exchange in self
            .names
            .exchanges()
            .into_iter()
            .chain([self.names.dead_exchange()])
        {
            channel
                .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
                .await
                .map_err(broker_error)?;
        }
        connection
            .close(200, "OK".into())
            .await
            .map_err(broker_error)
    }
}

fn is_other_settings(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)))
}

impl fmt::Display for Topology {
    /// One line for each exchange, queue and binding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for exchange in self.names.exchanges() {
            writeln!(f, "exchange {exchange} topic durable")?;
        }
        let dead = self.names.dead_exchange();
        writeln!(f, "exchange {dead} direct durable")?;
        for group in &self.groups {
            let queue = self.names.queue(&group.consumer);
            write!(
                f,
                "queue {queue} {} single-active-consumer",
                self.queue_type.name()
            )?;
            if self.queue_type == QueueType::Quorum {
                write!(f, " delivery-limit={}", self.delivery_limit)?;
            }
            writeln!(f)?;
            for event_type in &group.events {
                if let Some(exchange) = self.names.exchange_of(event_type) {
                    writeln!(f, "binding {queue} <- {exchange} {}", all_slots(event_type))?;
                }
            }
            let dead_queue = self.names.dead_queue(&group.consumer);
            writeln!(f, "queue {dead_queue} {}", self.queue_type.name())?;
            writeln!(f, "binding {dead_queue} <- {dead} {}", group.consumer)?;
        }
        Ok(())
    }
}
