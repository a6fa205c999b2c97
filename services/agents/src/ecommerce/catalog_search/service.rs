//! The RPCs of the search, and the agent's description.

use std::{sync::Arc, time::Duration};

use contracts::hub::agents::v1::{
    DataSource, Factor, SearchRequest, SearchResponse, SearchResult, SuggestRequest,
    SuggestResponse, catalog_search_service_server::CatalogSearchService,
};
use mesh::{CallContext, Failure};
use serde_json::{Map, Value, json};
use tonic::{Request, Response, Status};

use super::{
    engine::{Outcome, search},
    state::State,
    suggest::suggest,
};
use crate::runtime::{
    agent::{Agent, Operation},
    notes::Notes,
    time::timestamp,
};

/// Algorithm of the search.
pub const SEARCH: &str = "catalog-search-bm25@1";
/// Algorithm of the suggestions.
pub const SUGGEST: &str = "catalog-suggest-prefix@1";

/// Longest time of a search without a deadline of its own.
const USUAL_BUDGET: Duration = Duration::from_secs(2);
const DEFAULT_SUGGESTIONS: usize = 8;

/// The handlers.
#[derive(Clone)]
pub struct CatalogSearchHandler {
    /// The search.
    pub state: Arc<State>,
}

#[tonic::async_trait]
impl CatalogSearchService for CatalogSearchHandler {
    async fn search(
        &self,
        request: Request<SearchRequest>,
    ) -> Result<Response<SearchResponse>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let index = self.state.index()?;
        let clock = self.state.clock().clone();
        // A fifth of the time is kept for the way back.
        let budget = ctx
            .remaining()
            .map_or(USUAL_BUDGET, |left| left.min(USUAL_BUDGET) * 4 / 5);
        let stop = clock.monotonic() + budget;
        // Counting facets over a large catalogue takes milliseconds of pure computing: off the threads
        // that serve everyone.
        let outcome = tokio::task::spawn_blocking(move || {
            let searcher = index.searcher();
            search(&searcher, index.fields(), &request, &|| {
                clock.monotonic() >= stop
            })
        })
        .await
        .map_err(Failure::internal)??;
        let notes = self.notes(&outcome).finish(&ctx);
        let result = SearchResult {
            total: i64::try_from(outcome.found.total).unwrap_or(i64::MAX),
            corrected_query: outcome.understood.corrected.clone(),
            interpreted: outcome.understood.interpreted(),
            relaxed: outcome.relaxed,
            facets: outcome.found.facets,
            hits: outcome.hits,
        };
        Ok(Response::new(SearchResponse {
            result: Some(result),
            notes: Some(notes),
        }))
    }

    async fn suggest(
        &self,
        request: Request<SuggestRequest>,
    ) -> Result<Response<SuggestResponse>, Status> {
        let SuggestRequest { q, limit } = request.into_inner();
        let index = self.state.index()?;
        let limit = usize::try_from(limit)
            .ok()
            .filter(|limit| *limit > 0)
            .unwrap_or(DEFAULT_SUGGESTIONS);
        let items = suggest(
            &index.searcher(),
            index.fields(),
            &self.state.completions(),
            &q,
            limit,
        )
        .map_err(|error| {
            Failure::unavailable("the search index cannot be read").caused_by(error)
        })?;
        Ok(Response::new(SuggestResponse {
            items,
            algorithm: SUGGEST.to_owned(),
        }))
    }
}

impl CatalogSearchHandler {
    fn notes(&self, outcome: &Outcome) -> Notes {
        let progress = self.state.progress();
        let now = self.state.clock().now();
        let words = &outcome.understood.words;
        let unknown = words.iter().filter(|word| word.unknown).count();
        // Each thing that had to be changed or given up halves the trust; unknown words count by their share.
        let known = if words.is_empty() {
            1.0
        } else {
            (words.len() - unknown) as f64 / words.len() as f64
        };
        let given_up =
            outcome.relaxed.len() + usize::from(!outcome.understood.corrected.is_empty());
        let confidence = known * 0.5_f64.powi(i32::try_from(given_up).unwrap_or(i32::MAX));
        let mut notes = Notes::new(SEARCH)
            .confidence(confidence, "share of known words, halved per correction and relaxation; not calibrated on clicks")
            .source(DataSource {
                system: "catalog".to_owned(),
                id: "search-index".to_owned(),
                version: progress.change.to_string(),
                as_of: progress.complete_at.map(timestamp),
            });
        if let Some(complete_at) = progress.complete_at {
            notes = notes.age(now - complete_at);
        }
        if outcome.found.partial {
            notes = notes.degraded("partial");
        }
        if !outcome.understood.corrected.is_empty() {
            notes = notes.factor(Factor {
                name: "spelling".to_owned(),
                value: outcome.understood.corrected.clone(),
                weight: 1.0,
                contribution: 0.0,
                sentence: "Words that no product has were replaced by the nearest ones.".to_owned(),
            });
        }
        // Why the best hit is the best; every hit carries its own parts.
        for part in outcome
            .hits
            .first()
            .into_iter()
            .flat_map(|hit| &hit.score_parts)
        {
            notes = notes.factor(part.clone());
        }
        if words.is_empty() && !outcome.hits.is_empty() {
            notes = notes.factor(Factor {
                name: "no words".to_owned(),
                value: "popularity".to_owned(),
                weight: 1.0,
                contribution: 0.0,
                sentence: "Without words everything that fits the conditions matches, and what more people want comes first.".to_owned(),
            });
        }
        for relaxed in &outcome.relaxed {
            notes = notes.factor(Factor {
                name: "relaxed".to_owned(),
                value: relaxed.clone(),
                weight: 1.0,
                contribution: 0.0,
                sentence: "Nothing matched with this condition.".to_owned(),
            });
        }
        notes
    }
}

/// The agent.
pub struct CatalogSearchAgent;

impl Agent for CatalogSearchAgent {
    fn names(&self) -> &'static [&'static str] {
        &["ecommerce-catalog-search", "catalog-search"]
    }

    fn purpose(&self) -> &'static str {
        "Finds products by words: tolerates typos, reads price limits, counts facets, explains each score."
    }

    fn algorithm(&self) -> &'static str {
        SEARCH
    }

    fn operations(&self) -> &'static [Operation] {
        const {
            &[
                Operation {
                    name: "search",
                    method: "/hub.agents.v1.CatalogSearchService/Search",
                    reads: "query, category, brands, min_price, max_price, attributes, in_stock, min_rating, sort, \
                            order, offset, limit, with_facets",
                },
                Operation {
                    name: "suggest",
                    method: "/hub.agents.v1.CatalogSearchService/Suggest",
                    reads: "q, limit",
                },
            ]
        }
    }

    fn ask(&self, operation: &Operation, question: &str) -> Map<String, Value> {
        let (field, most) = if operation.name == "suggest" {
            ("q", 100)
        } else {
            ("query", 200)
        };
        let question: String = question.chars().take(most).collect();
        Map::from_iter([(field.to_owned(), json!(question))])
    }

    fn summarise(&self, operation: &Operation, result: &Value) -> String {
        if operation.name == "suggest" {
            let count = result["items"].as_array().map_or(0, Vec::len);
            return format!("{count} suggestions.");
        }
        let total = result["total"].as_i64().unwrap_or(0);
        match result["hits"][0]["name"].as_str() {
            Some(best) if total > 1 => format!("{total} products match; the best is {best}."),
            Some(best) => format!("One product matches: {best}."),
            None => "No product matches.".to_owned(),
        }
    }
}
