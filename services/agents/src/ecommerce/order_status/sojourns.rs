//! How long orders stay in a stage, as observed.
//!
//! Times are counted in buckets whose width grows by a tenth, so a quantile is right to ten per cent with a
//! few hundred counters per stage, however many orders there were. A stage is counted a minute after its
//! end was heard: by then its beginning, which another service told of, has been heard too.

use chrono::{DateTime, TimeDelta, Utc};
use mesh::{
    Clock, Failure, Shutdown, args,
    store::{Store, StoreError, Tx},
};

use super::facts::{Fact, fact};

/// How long after it was heard an end is counted.
const SETTLED: TimeDelta = TimeDelta::minutes(1);
/// Facts read at once.
const BATCH: i64 = 500;
/// Pause between rounds.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(30);
/// Each bucket is this much wider than the one before.
const RATIO: f64 = 1.1;

/// The stages: their name, the status that begins them, and the status that ends them.
const STAGES: [(&str, &str); 6] = [
    ("pending", "reserved"),
    ("reserved", "paid"),
    ("paid", "processing"),
    ("processing", "shipped"),
    ("shipped", "delivered"),
    ("delivered", "completed"),
];

/// The bucket of a duration.
fn bucket(seconds: f64) -> i64 {
    (seconds.max(1.0).ln() / RATIO.ln()).floor() as i64
}

/// Seconds at the upper end of a bucket.
fn upper(bucket: i64) -> f64 {
    RATIO.powi(i32::try_from(bucket + 1).unwrap_or(i32::MAX))
}

/// Observed times of one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sojourn {
    /// Buckets in ascending order, with how many orders fell into them.
    buckets: Vec<(i64, i64)>,
}

impl Sojourn {
    /// How many orders were observed.
    pub fn samples(&self) -> i64 {
        self.buckets.iter().map(|(_, orders)| orders).sum()
    }

    /// Share of orders that left the stage sooner than this, 0 to 1; a half without observations.
    pub fn percentile(&self, seconds: f64) -> f64 {
        let samples = self.samples();
        if samples == 0 {
            return 0.5;
        }
        let own = bucket(seconds);
        let sooner: i64 = self
            .buckets
            .iter()
            .filter(|(bucket, _)| *bucket < own)
            .map(|(_, orders)| orders)
            .sum();
        sooner as f64 / samples as f64
    }

    /// Seconds within which this share of orders left the stage; nothing without observations.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.samples() as f64 * share).ceil();
        let mut counted = 0;
        self.buckets.iter().find_map(|(bucket, orders)| {
            counted += orders;
            (counted as f64 >= wanted).then(|| upper(*bucket))
        })
    }
}

/// What was observed of a stage.
///
/// # Errors
/// The store fails.
pub async fn of_stage(store: &Store, stage: &str) -> Result<Sojourn, StoreError> {
    let rows = store
        .all(
            "SELECT bucket, orders FROM order_sojourns WHERE stage = $1 ORDER BY bucket",
            args![stage],
        )
        .await?;
    let buckets = rows
        .iter()
        .map(|row| Ok((row.get("bucket")?, row.get("orders")?)))
        .collect::<Result<_, StoreError>>()?;
    Ok(Sojourn { buckets })
}

/// Counts stages as their ends settle.
pub struct Counter {
    /// The agents' store.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
}

impl Counter {
    /// Runs until shutdown. Every process that runs the agents counts: facts and the watermark move in one
    /// transaction, so a batch is counted by one of them.
    ///
    /// # Errors
    /// Never by itself: what cannot be counted now is counted in the next round.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        loop {
            if let Err(error) = self.count_settled().await {
                tracing::warn!(%error, "times between the stages of orders could not be counted");
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.clock.sleep(PAUSE) => {}
            }
        }
    }

    async fn count_settled(&self) -> Result<(), Failure> {
        while self.count_batch().await? == BATCH as usize {}
        Ok(())
    }

    /// Counts the next settled facts; answers how many there were.
    async fn count_batch(&self) -> Result<usize, Failure> {
        let settled = self.clock.now() - SETTLED;
        self.store
            .write(move |tx| async move { count_settled(&tx, settled).await })
            .await
            .map_err(Failure::from)
    }
}

async fn count_settled(tx: &Tx, settled: DateTime<Utc>) -> Result<usize, StoreError> {
    let rows = tx
        .all(
            "SELECT f.event_id, f.order_id, f.at, f.event_type, f.status, f.message, f.seen
             FROM order_facts f, order_sojourn_watermark w
             WHERE (f.seen, f.event_id) > (w.seen, w.event_id) AND f.seen <= $1
             ORDER BY f.seen, f.event_id LIMIT $2",
            args![settled, BATCH],
        )
        .await?;
    for row in &rows {
        count(tx, &fact(row)?).await?;
    }
    if let Some(last) = rows.last() {
        tx.execute(
            "UPDATE order_sojourn_watermark SET seen = $1, event_id = $2 WHERE only_row = 1",
            args![
                last.get::<DateTime<Utc>>("seen")?,
                last.get::<String>("event_id")?
            ],
        )
        .await?;
    }
    Ok(rows.len())
}

/// Counts the stage that a fact ends, once per order: only its first end counts.
async fn count(tx: &Tx, end: &Fact) -> Result<(), StoreError> {
    let Some((stage, _)) = STAGES.iter().find(|(_, ends)| *ends == end.status) else {
        return Ok(());
    };
    let row = tx
        .one(
            "SELECT MIN(CASE WHEN status = $2 THEN at END) AS began,
                    MIN(CASE WHEN status = $3 THEN at END) AS ended
             FROM order_facts WHERE order_id = $1",
            args![&end.order_id, *stage, &end.status],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let began: Option<DateTime<Utc>> = row.get("began")?;
    let ended: Option<DateTime<Utc>> = row.get("ended")?;
    let (Some(began), Some(ended)) = (began, ended) else {
        return Ok(());
    };
    if ended != end.at || ended < began {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO order_sojourns (stage, bucket, orders) VALUES ($1, $2, 1)
         ON CONFLICT (stage, bucket) DO UPDATE SET orders = order_sojourns.orders + 1",
        args![*stage, bucket((ended - began).as_seconds_f64())],
    )
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_right_to_a_bucket() {
        let mut buckets: Vec<(i64, i64)> = (1..=100)
            .map(|hour| (bucket(f64::from(hour) * 3_600.0), 1))
            .collect();
        buckets.sort_unstable();
        let sojourn = Sojourn { buckets };
        let median = sojourn.quantile(0.5).unwrap() / 3_600.0;
        assert!((45.0..=56.0).contains(&median), "{median}");
        assert!(sojourn.percentile(99.0 * 3_600.0) > 0.85);
        assert_eq!(Sojourn::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_duration_lies_in_its_bucket(seconds in 1.0_f64..1e7) {
            let own = bucket(seconds);
            prop_assert!(seconds <= upper(own) * 1.000_001);
            prop_assert!(seconds >= upper(own - 1) * 0.999_999);
        }
    }
}
