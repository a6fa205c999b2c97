//! What the handlers, consumers and tasks of the catalog share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, SubsecRound, Utc};
use contracts::hub::catalog::v1::ProductFilters;
use mesh::{
    Clock, Currency, Failure, Ids,
    store::{Store, StoreError},
};

use crate::{
    config::CatalogConfig, domain::tree::CategoryTree, interest::InterestLog, memo::Memo,
    store::categories,
};

/// How long another process's change of the categories may go unnoticed.
const TREE_LIFE: Duration = Duration::from_secs(5);

/// The catalog: its store and what is remembered about it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    store: Store,
    clock: Clock,
    ids: Ids,
    config: CatalogConfig,
    currency: Currency,
    generation: AtomicU64,
    tree: Memo<Arc<CategoryTree>>,
    facets: Memo<Arc<ProductFilters>>,
    totals: Memo<i64>,
    interest: InterestLog,
}

impl Catalog {
    /// A catalog over `store`.
    ///
    /// # Errors
    /// A currency in the configuration that is not known.
    pub fn new(
        store: Store,
        clock: Clock,
        ids: Ids,
        config: CatalogConfig,
    ) -> Result<Self, mesh::MoneyError> {
        let currency = config.currency.parse()?;
        Ok(Self(Arc::new(Parts {
            store,
            tree: Memo::new(clock.clone(), TREE_LIFE),
            facets: Memo::new(clock.clone(), Duration::from_secs(config.facets_seconds)),
            totals: Memo::new(clock.clone(), Duration::from_secs(config.totals_seconds)),
            clock,
            ids,
            config,
            currency,
            generation: AtomicU64::new(0),
            interest: InterestLog::default(),
        })))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The time of a change, as exact as the store keeps it.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now().trunc_subsecs(6)
    }

    /// The source of ids.
    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// The settings.
    pub fn config(&self) -> &CatalogConfig {
        &self.0.config
    }

    /// Currency of prices that name none.
    pub fn currency(&self) -> Currency {
        self.0.currency
    }

    /// Views and purchases that wait to be written.
    pub fn interest(&self) -> &InterestLog {
        &self.0.interest
    }

    /// Facets by category.
    pub fn facets(&self) -> &Memo<Arc<ProductFilters>> {
        &self.0.facets
    }

    /// Totals of filtered lists.
    pub fn totals(&self) -> &Memo<i64> {
        &self.0.totals
    }

    /// The generation that answers computed now belong to; read it before computing.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Ends the generation: products or categories have changed.
    pub fn changed(&self) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The categories.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn tree(&self) -> Result<Arc<CategoryTree>, StoreError> {
        let generation = self.generation();
        if let Some(tree) = self.0.tree.get("", generation) {
            return Ok(tree);
        }
        let tree = Arc::new(categories::tree(self.store()).await?);
        self.0.tree.put("", generation, Arc::clone(&tree));
        Ok(tree)
    }

    /// The slugs that a request's category stands for: none for the whole shop, otherwise the category
    /// and everything below it.
    ///
    /// # Errors
    /// NOT_FOUND when there is no such category.
    pub async fn scope(&self, category: &str) -> Result<Scope, Failure> {
        let tree = self.tree().await?;
        if category.is_empty() {
            return Ok(Scope {
                categories: None,
                products: tree.all_products(),
            });
        }
        let categories = tree.subtree(category).ok_or_else(|| {
            Failure::not_found("category", category)
                .with_field("category", "there is no such category")
        })?;
        Ok(Scope {
            categories: Some(categories),
            products: tree.products(category),
        })
    }
}

/// The part of the shop that a list is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Slugs of the categories; none for all.
    pub categories: Option<Vec<String>>,
    /// Active products in it.
    pub products: i64,
}
