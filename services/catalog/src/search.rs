//! Search: asks the search agent, and searches by itself while the agent cannot answer.

use std::{sync::atomic::Ordering, time::Duration};

use contracts::hub::{
    agents::v1::{SearchRequest, SearchResult},
    catalog::v1::SearchProductsRequest,
};
use mesh::{CallContext, Failure, store::Store};

use crate::{
    catalog::Scope,
    domain::{decimal, filters::Filters, sort::Sort},
    service::Browsing,
    store::{
        list::{Driver, Selection},
        words::{self, Order},
    },
};

/// Who answered, as clients see it.
pub const AGENT: &str = "catalog-search";
/// See [`AGENT`].
pub const CATALOG: &str = "catalog";

/// The agent gave no answer in time; the log says why.
#[derive(Clone, Copy, Debug)]
pub struct AgentDown;

/// The page of results that a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// 1-based page.
    pub page: i32,
    /// Results per page.
    pub limit: i32,
    /// Results to skip.
    pub offset: i64,
}

impl Window {
    /// Of a request.
    pub fn of(request: &SearchProductsRequest) -> Self {
        let page = request.page.unwrap_or(1).max(1);
        let limit = request.limit.unwrap_or(mesh::page::DEFAULT_LIMIT);
        Self {
            page,
            limit,
            offset: i64::from(page - 1) * i64::from(limit),
        }
    }
}

/// Asks the agent on behalf of the caller.
///
/// # Errors
/// [`AgentDown`] when it fails or takes too long.
pub async fn ask_agent(
    browsing: &Browsing,
    ctx: &CallContext,
    request: &SearchProductsRequest,
    filters: &Filters,
    window: &Window,
) -> Result<SearchResult, AgentDown> {
    let limit = Duration::from_millis(browsing.catalog.config().search_timeout_ms);
    let message = SearchRequest {
        query: request.q.clone(),
        category: request.category.clone(),
        brands: filters.brands.clone(),
        min_price: filters
            .min_price
            .map(decimal::price_key_text)
            .unwrap_or_default(),
        max_price: filters
            .max_price
            .map(decimal::price_key_text)
            .unwrap_or_default(),
        attributes: filters
            .attributes
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("{name}={value}")))
            .collect(),
        in_stock: filters.in_stock.is_some(),
        min_rating: filters.min_rating.unwrap_or(0) as f64 / 1_000.0,
        sort: request.sort.clone(),
        order: request.order.clone(),
        // The page is at most 100 and the limit too, so this fits.
        offset: i32::try_from(window.offset).unwrap_or(i32::MAX),
        limit: window.limit,
        with_facets: false,
    };
    let answer = browsing
        .search
        .clone()
        .search(ctx.within(limit).call(message))
        .await;
    let was_down = browsing.agent_down.swap(answer.is_err(), Ordering::Relaxed);
    match answer {
        Ok(answer) => {
            if was_down {
                tracing::info!("the search agent answers again");
            }
            answer.into_inner().result.ok_or(AgentDown)
        }
        Err(status) => {
            metrics::counter!("hub_catalog_search_fallbacks_total").increment(1);
            // Once, not for every search while it is down.
            if !was_down {
                tracing::warn!(
                    code = ?status.code(),
                    message = status.message(),
                    "the search agent does not answer; the catalog searches by itself"
                );
            }
            Err(AgentDown)
        }
    }
}

/// Searches the catalog's own words. Returns rows of the page and the total.
///
/// # Errors
/// What the store refuses.
pub async fn plain(
    store: &Store,
    request: &SearchProductsRequest,
    scope: Scope,
    filters: Filters,
    window: &Window,
) -> Result<(Vec<i64>, i64), Failure> {
    let selection = Selection {
        categories: scope.categories,
        filters,
        driver: Driver::Walk,
    };
    let order = match request.sort.as_str() {
        "" | "relevance" => Order::Relevance,
        sort => Order::Of(Sort::named(sort, &request.order)),
    };
    let found = words::search(
        store,
        &request.q,
        &selection,
        order,
        window.offset,
        i64::from(window.limit),
    )
    .await?;
    Ok((found.seqs, found.total))
}
