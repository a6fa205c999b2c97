//! Views and purchases, counted in memory and written in batches.
//!
//! A write per product view would make reading cost what writing costs. What a crash loses is a few
//! seconds of views, which no ranking notices.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use mesh::{Failure, Shutdown, store::Tx};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    catalog::Catalog,
    events::{Origin, announcement},
    store::{
        self, categories,
        popularity::{self, Interest},
        rows,
        writes::Writes,
    },
};

/// Products that are counted between two batches at most.
const CAPACITY: usize = 50_000;
/// Products per transaction: few enough that a change of one of them elsewhere undoes little.
const BATCH: usize = 200;

/// Interest by product id since the last batch.
#[derive(Debug, Default)]
pub struct InterestLog(Mutex<HashMap<String, Interest>>);

impl InterestLog {
    /// Counts a view.
    pub fn viewed(&self, product_id: &str) {
        self.add(product_id, |interest| interest.views += 1);
    }

    /// Counts ordered units.
    pub fn purchased(&self, product_id: &str, units: i64) {
        self.add(product_id, |interest| {
            interest.purchases = interest.purchases.saturating_add(units.max(0));
        });
    }

    fn add(&self, product_id: &str, change: impl FnOnce(&mut Interest)) {
        let mut log = self.0.lock();
        if let Some(interest) = log.get_mut(product_id) {
            change(interest);
        } else if log.len() < CAPACITY {
            change(log.entry(product_id.to_owned()).or_default());
        }
    }

    fn take(&self) -> Vec<(String, Interest)> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }
}

/// Writes what was counted, time and again, and once more at the end.
///
/// # Errors
/// Never by itself: a batch that cannot be written is logged and lost.
pub async fn write_regularly(catalog: Catalog, shutdown: Shutdown) -> Result<(), Failure> {
    let pause = Duration::from_secs(catalog.config().interest_seconds.max(1));
    loop {
        let ending = tokio::select! {
            () = shutdown.cancelled() => true,
            () = catalog.clock().sleep(pause) => false,
        };
        if let Err(failure) = write(&catalog).await {
            tracing::warn!(error = %failure, "views could not be counted");
        }
        if ending {
            return Ok(());
        }
    }
}

/// Writes what was counted so far.
///
/// # Errors
/// What the store refuses.
pub async fn write(catalog: &Catalog) -> Result<(), Failure> {
    let counted = catalog.interest().take();
    if counted.is_empty() {
        return Ok(());
    }
    // In one order everywhere, so that two processes on one database cannot wait for each other.
    let counted: BTreeMap<Uuid, Interest> = counted
        .into_iter()
        .filter_map(|(product_id, interest)| Some((store::id(&product_id)?, interest)))
        .collect();
    let counted: Vec<(Uuid, Interest)> = counted.into_iter().collect();
    for batch in counted.chunks(BATCH) {
        let batch: BTreeMap<Uuid, Interest> = batch.iter().copied().collect();
        catalog
            .store()
            .write(move |tx: Tx| async move {
                let reached = popularity::add(&tx, &batch).await?;
                if reached.is_empty() {
                    return Ok(());
                }
                let names = categories::names(&tx).await?;
                let mut writes = Writes::new(tx.dialect());
                for product in rows::load(&tx, &reached).await? {
                    if product.is_active() {
                        let name = names.get(&product.category_slug);
                        let name = name.map(String::as_str).unwrap_or_default();
                        let origin = Origin::default();
                        writes.announce(announcement(Some(&product), &product, name, &origin));
                    }
                }
                writes.run(&tx).await?;
                Ok::<_, Failure>(())
            })
            .await?;
    }
    Ok(())
}
