//! Every metric of the hub, in one table.
//!
//! Code records by name wherever something happens; what the names mean is said here, so that dashboards,
//! alerts and operators have one place to look, and a test can tell a name that nothing records.

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, by Prometheus' rules: counters end in `_total`, the unit stands before that.
    pub name: &'static str,
    /// What kind it is.
    pub kind: MetricKind,
    /// What it counts in.
    pub unit: MetricUnit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in buckets.
    Histogram,
}

/// Units of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        unit: MetricUnit::Count,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit: MetricUnit::Count,
        labels,
        help,
    }
}

const fn seconds(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Histogram,
        unit: MetricUnit::Seconds,
        labels,
        help,
    }
}

impl Metric {
    const fn of(mut self, unit: MetricUnit) -> Self {
        self.unit = unit;
        self
    }

    const fn distribution(mut self) -> Self {
        self.kind = MetricKind::Histogram;
        self
    }
}

/// The table.
pub const METRICS: &[Metric] = &[
    // The process.
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Resident memory of the process",
    )
    .of(MetricUnit::Bytes),
    counter(
        "hub_telemetry_dropped_total",
        &["signal"],
        "Spans and log lines that were dropped because the collector was too slow",
    ),
    // The edge.
    counter(
        "gateway_requests_total",
        &["service", "method", "status"],
        "Requests served at the edge, by RPC and class of HTTP status",
    ),
    seconds(
        "gateway_request_duration_seconds",
        &["service", "method"],
        "Time from a request's arrival to its response's headers",
    ),
    counter(
        "hub_cache_requests_total",
        &["tier", "result"],
        "Reads of the cache, by tier and result",
    ),
    gauge(
        "hub_redis_available",
        &[],
        "1 while there is a connection to Redis, else 0",
    ),
    counter(
        "hub_redis_errors_total",
        &["kind"],
        "Commands that Redis did not answer as wanted, by kind",
    ),
    counter(
        "hub_faults_injected_total",
        &["point", "kind"],
        "Faults that were injected on purpose, by place and kind; only tests inject any",
    ),
    // Calls.
    counter(
        "rpc_requests_total",
        &["service", "method", "code"],
        "RPCs served, by service, method and gRPC code",
    ),
    seconds(
        "rpc_duration_seconds",
        &["service", "method"],
        "Time from an RPC's arrival to its answer's headers",
    ),
    counter(
        "hub_mesh_shed_total",
        &["service", "priority"],
        "RPCs refused because the service was saturated, by service and priority",
    ),
    counter(
        "hub_mesh_retried_total",
        &["service"],
        "RPCs sent again after a failure, by service",
    ),
    gauge(
        "rpc_breaker_open",
        &["service"],
        "1 while calls to a service are cut off by its circuit breaker",
    ),
    gauge(
        "hub_mesh_in_flight",
        &["service"],
        "RPCs that a service is working on",
    ),
    gauge(
        "hub_mesh_limit",
        &["service"],
        "RPCs that a service takes at once, as adapted to how fast it answers",
    ),
    counter(
        "hub_mesh_refused_calls_total",
        &["caller", "method"],
        "Calls refused because the contract does not declare them",
    ),
    counter(
        "hub_mesh_refused_connections_total",
        &[],
        "Connections to the mesh's port whose handshake failed",
    ),
    counter(
        "hub_mesh_resent_total",
        &["target"],
        "Requests sent to another process because nobody had taken them",
    ),
    counter(
        "hub_mesh_hedged_total",
        &["service", "winner"],
        "RPCs that a second process was asked for as well, by who answered first",
    ),
    gauge(
        "hub_mesh_endpoints",
        &["target"],
        "Processes that are known to serve a target",
    ),
    gauge(
        "hub_mesh_ejected",
        &["target"],
        "Processes of a target that are left out because they fail where others do not",
    ),
    counter(
        "hub_mesh_ejections_total",
        &["target", "cause"],
        "Times that a process was left out",
    ),
    gauge(
        "hub_certificate_expiry_seconds",
        &[],
        "Time until the certificate of the process ends",
    )
    .of(MetricUnit::Seconds),
    // Stores.
    gauge(
        "hub_store_queue_depth",
        &["store"],
        "Writes that wait for the writer of a SQLite store",
    ),
    gauge(
        "hub_store_group_size",
        &["store"],
        "Writes that shared a commit of a SQLite store",
    )
    .distribution(),
    seconds(
        "hub_store_commit_seconds",
        &["store"],
        "Time that a commit took",
    ),
    counter(
        "hub_store_writes_undone_total",
        &["store"],
        "Writes whose closure decided against them",
    ),
    counter(
        "hub_store_lost_groups_total",
        &["store"],
        "Groups of writes that a SQLite store could not commit",
    ),
    gauge(
        "hub_store_pool_in_use",
        &["store", "pool"],
        "Connections to PostgreSQL that are at work",
    ),
    gauge(
        "hub_store_pool_size",
        &["store", "pool"],
        "Connections to PostgreSQL that there may be",
    ),
    seconds(
        "hub_store_pool_wait_seconds",
        &["store", "pool"],
        "Time that work waited for a connection to PostgreSQL",
    ),
    counter(
        "hub_store_retries_total",
        &["store"],
        "Transactions run again because another was in their way",
    ),
    counter(
        "hub_store_writes_given_up_total",
        &["store"],
        "Transactions given up because others were in their way again and again",
    ),
    counter(
        "hub_store_commits_looked_up_total",
        &["store"],
        "Commits whose answer was lost, so that the database was asked what became of them",
    ),
    // Events.
    gauge(
        "hub_outbox_depth",
        &["store"],
        "Events of a store that were not handed over yet",
    ),
    gauge(
        "hub_outbox_age_seconds",
        &["store"],
        "Age of the oldest event of a store that was not handed over yet",
    )
    .of(MetricUnit::Seconds),
    counter(
        "hub_events_relayed_total",
        &["store"],
        "Events that left a store's outbox",
    ),
    gauge(
        "hub_events_in_flight",
        &["store"],
        "Events handed over and not yet taken",
    ),
    counter(
        "hub_events_deliveries_total",
        &["consumer", "result"],
        "Deliveries of events, by consumer and what became of them",
    ),
    counter(
        "hub_events_failed_attempts_total",
        &["consumer"],
        "Attempts at an event that failed",
    ),
    gauge(
        "hub_events_parked_keys",
        &["consumer"],
        "Keys whose events wait for another attempt",
    ),
    seconds(
        "hub_event_end_to_end_seconds",
        &["consumer"],
        "Age of an event when its effect was committed",
    ),
    gauge(
        "hub_dead_letters",
        &["store"],
        "Events that nobody could handle and that wait for a decision",
    ),
    counter(
        "hub_amqp_published_total",
        &["result"],
        "Messages given to RabbitMQ, by its answer",
    ),
    seconds(
        "hub_amqp_publish_confirm_seconds",
        &[],
        "Time until RabbitMQ confirmed a batch",
    ),
    counter(
        "hub_amqp_reconnects_total",
        &["purpose"],
        "Connections to RabbitMQ that had to be made again",
    ),
    gauge(
        "hub_amqp_blocked",
        &["purpose"],
        "1 while RabbitMQ takes nothing because it is short of memory or disk",
    ),
    gauge(
        "hub_queue_depth",
        &["consumer"],
        "Messages in a consumer's queue",
    ),
    gauge(
        "hub_queue_consumers",
        &["consumer"],
        "Processes that are connected to a consumer's queue",
    ),
    // Orders and their sagas.
    counter("hub_orders_placed_total", &[], "Orders placed"),
    counter(
        "hub_orders_outcomes_total",
        &["outcome"],
        "Orders that reached an end of their saga or were paid, by what became of them",
    ),
    counter(
        "hub_revenue_minor_units_total",
        &["currency"],
        "Amounts of orders that were paid, in minor units of their currency",
    ),
    counter(
        "hub_checkouts_validated_total",
        &["result"],
        "Checkouts looked at before ordering, by whether they may be ordered",
    ),
    gauge(
        "hub_sagas",
        &["step"],
        "Order sagas by the step that they wait for",
    ),
    gauge(
        "hub_sagas_overdue",
        &[],
        "Order sagas whose deadline has passed",
    ),
    gauge(
        "hub_saga_oldest_overdue_seconds",
        &[],
        "Time since the oldest deadline of a waiting order saga passed",
    )
    .of(MetricUnit::Seconds),
    counter(
        "hub_saga_timeouts_total",
        &["step"],
        "Orders cancelled because a step missed its deadline",
    ),
    // Carts, stock, payments, shipping, catalogue.
    counter(
        "hub_carts_expired_total",
        &[],
        "Carts forgotten because nobody had changed them for long",
    ),
    gauge(
        "hub_inventory_sold_out",
        &[],
        "Variants of which nothing is left to promise",
    ),
    counter(
        "hub_inventory_holds_expired_total",
        &[],
        "Holds of stock that ended by themselves",
    ),
    gauge(
        "hub_inventory_oversold",
        &[],
        "Stock rows with more promised than there is; anything but 0 is a defect",
    ),
    counter(
        "hub_payments_charges_total",
        &["result"],
        "Charges, by result",
    ),
    counter(
        "hub_payments_refunds_total",
        &["result"],
        "Refunds, by result",
    ),
    counter(
        "hub_payments_webhook_alerts_total",
        &[],
        "Messages of the payment provider that do not fit what is on record",
    ),
    counter(
        "hub_shipping_plain_choices_total",
        &[],
        "Shipments whose carrier was chosen by the plain rule because the agent did not answer",
    ),
    counter(
        "hub_catalog_search_fallbacks_total",
        &[],
        "Searches answered by the catalogue because the search agent did not",
    ),
];

/// Tells the recorder what each metric means.
pub(super) fn describe() {
    for metric in METRICS {
        let unit = match metric.unit {
            MetricUnit::Count => metrics::Unit::Count,
            MetricUnit::Seconds => metrics::Unit::Seconds,
            MetricUnit::Bytes => metrics::Unit::Bytes,
        };
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}

/// The unit of the metric `name` in UCUM, as OTLP has it; empty for one that is not in the table.
pub(super) fn unit(name: &str) -> &'static str {
    METRICS
        .iter()
        .find(|metric| metric.name == name)
        .map_or("", |metric| match metric.unit {
            MetricUnit::Count => "1",
            MetricUnit::Seconds => "s",
            MetricUnit::Bytes => "By",
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_keep_the_rules() {
        let mut names = BTreeSet::new();
        for metric in METRICS {
            let name = metric.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == MetricKind::Counter,
                "{name}"
            );
            assert_eq!(
                name.ends_with("_seconds"),
                metric.unit == MetricUnit::Seconds,
                "{name}"
            );
            assert_eq!(
                name.ends_with("_bytes"),
                metric.unit == MetricUnit::Bytes,
                "{name}"
            );
            assert!(
                !metric.help.is_empty() && !metric.help.ends_with('.'),
                "{name}"
            );
        }
    }
}
