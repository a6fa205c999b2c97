//! Prometheus' metrics as OTLP: names, labels and buckets stay what `/metrics` shows, so a dashboard works
//! the same whichever way its numbers came.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point::Value,
    },
    resource::v1::Resource,
};

use super::{
    exposition::{Family, Sample, families},
    scope,
};
use crate::telemetry::{catalog, span::attribute};

/// Everything in `text`, counted since `started` and read at `now` (nanoseconds since 1970).
pub(super) fn message(
    resource: &Resource,
    text: &str,
    started: u64,
    now: u64,
) -> ExportMetricsServiceRequest {
    let times = Times { started, now };
    let metrics = families(text)
        .iter()
        .filter_map(|family| metric(family, times))
        .collect();
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope("hub".to_owned())),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

#[derive(Clone, Copy)]
struct Times {
    started: u64,
    now: u64,
}

fn metric(family: &Family<'_>, times: Times) -> Option<Metric> {
    let data = match family.kind {
        "counter" => Data::Sum(Sum {
            data_points: numbers(family, times),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        "gauge" => Data::Gauge(Gauge {
            data_points: numbers(family, times),
        }),
        "histogram" => Data::Histogram(Histogram {
            data_points: distributions(family, times),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        }),
        // The recorder is told the buckets of every histogram, so it never makes a summary.
        _ => return None,
    };
    Some(Metric {
        name: family.name.to_owned(),
        description: family.help.to_owned(),
        unit: catalog::unit(family.name).to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

fn numbers(family: &Family<'_>, times: Times) -> Vec<NumberDataPoint> {
    family
        .samples
        .iter()
        .map(|sample| NumberDataPoint {
            attributes: attributes(sample),
            start_time_unix_nano: times.started,
            time_unix_nano: times.now,
            value: Some(Value::AsDouble(sample.value)),
            ..NumberDataPoint::default()
        })
        .collect()
}

fn distributions(family: &Family<'_>, times: Times) -> Vec<HistogramDataPoint> {
    let mut points: Vec<HistogramDataPoint> = Vec::new();
    // The lines of one series stand together.
    let mut cumulated = 0;
    for sample in &family.samples {
        let attributes = attributes(sample);
        if points
            .last()
            .is_none_or(|last| last.attributes != attributes)
        {
            cumulated = 0;
            points.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: times.started,
                time_unix_nano: times.now,
                ..HistogramDataPoint::default()
            });
        }
        let Some(point) = points.last_mut() else {
            continue;
        };
        match sample.name.strip_prefix(family.name) {
            Some("_bucket") => {
                let total = sample.value as u64;
                point.bucket_counts.push(total.saturating_sub(cumulated));
                cumulated = total;
                let bound = sample.labels.iter().find(|(key, _)| *key == "le");
                let bound = bound.and_then(|(_, bound)| bound.parse::<f64>().ok());
                point
                    .explicit_bounds
                    .extend(bound.filter(|bound| bound.is_finite()));
            }
            Some("_sum") => point.sum = Some(sample.value),
            Some("_count") => point.count = sample.value as u64,
            _ => {}
        }
    }
    points
}

fn attributes(sample: &Sample<'_>) -> Vec<KeyValue> {
    sample
        .labels
        .iter()
        .filter(|(key, _)| *key != "le")
        .map(|(key, value)| attribute(key, value.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn metrics(text: &str) -> Vec<Metric> {
        message(&Resource::default(), text, 1, 2).resource_metrics[0].scope_metrics[0]
            .metrics
            .clone()
    }

    #[test]
    fn buckets_are_no_longer_cumulative() {
        let metrics = metrics(
            "# TYPE rpc_duration_seconds histogram\n\
             rpc_duration_seconds_bucket{m=\"a\",le=\"0.1\"} 1\n\
             rpc_duration_seconds_bucket{m=\"a\",le=\"0.5\"} 4\n\
             rpc_duration_seconds_bucket{m=\"a\",le=\"+Inf\"} 5\n\
             rpc_duration_seconds_sum{m=\"a\"} 2.5\n\
             rpc_duration_seconds_count{m=\"a\"} 5\n\
             rpc_duration_seconds_bucket{m=\"b\",le=\"0.1\"} 2\n\
             rpc_duration_seconds_bucket{m=\"b\",le=\"0.5\"} 2\n\
             rpc_duration_seconds_bucket{m=\"b\",le=\"+Inf\"} 2\n\
             rpc_duration_seconds_sum{m=\"b\"} 0.1\n\
             rpc_duration_seconds_count{m=\"b\"} 2\n",
        );
        assert_eq!(metrics[0].unit, "s");
        let Some(Data::Histogram(histogram)) = &metrics[0].data else {
            panic!("{metrics:?}");
        };
        assert_eq!(histogram.data_points.len(), 2);
        let first = &histogram.data_points[0];
        assert_eq!(first.bucket_counts, [1, 3, 1]);
        assert_eq!(first.explicit_bounds, [0.1, 0.5]);
        assert_eq!((first.count, first.sum), (5, Some(2.5)));
        assert_eq!(histogram.data_points[1].bucket_counts, [2, 0, 0]);
    }

    #[test]
    fn counters_and_gauges_keep_their_names() {
        let metrics = metrics(
            "# HELP x_total X\n# TYPE x_total counter\nx_total{a=\"1\"} 2\n\n# TYPE g gauge\ng -1.5\n",
        );
        let Some(Data::Sum(sum)) = &metrics[0].data else {
            panic!("{metrics:?}");
        };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(Value::AsDouble(2.0)));
        assert_eq!(metrics[0].name, "x_total");
        let Some(Data::Gauge(gauge)) = &metrics[1].data else {
            panic!("{metrics:?}");
        };
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(-1.5)));
    }
}
