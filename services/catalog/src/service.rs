//! Browsing: the RPCs that everybody may call.

use std::sync::{Arc, atomic::AtomicBool};

use contracts::hub::{
    agents::v1::catalog_search_service_client::CatalogSearchServiceClient,
    catalog::v1::{
        self as wire, BatchGetVariantsRequest, BatchGetVariantsResponse, GetCategoryRequest,
        GetProductRequest, ListCategoriesRequest, ListCategoriesResponse,
        ListFeaturedProductsRequest, ListProductFiltersRequest, ListProductsRequest,
        ListProductsResponse, ListRelatedProductsRequest, ProductFilters, SearchProductsRequest,
        SearchProductsResponse, catalog_service_server::CatalogService,
    },
};
use mesh::{CallContext, Channel, Failure, Paging, Role};
use tonic::{Request, Response, Status};

use crate::{
    catalog::{Catalog, Scope},
    domain::{
        decimal,
        filters::Filters,
        product::Product,
        related,
        sort::{Sort, SortValue},
    },
    facets, search,
    store::{
        count,
        list::{self, Window},
        lookup, purchasable, rows,
    },
    wire as convert,
};

/// Candidates for related products on each side of the price.
const NEAR: i64 = 60;

/// Handlers of `CatalogService`.
#[derive(Clone, Debug)]
pub struct Browsing {
    /// The catalog.
    pub catalog: Catalog,
    /// The search agent.
    pub search: CatalogSearchServiceClient<Channel>,
    /// Whether the agent failed to answer last time.
    pub agent_down: Arc<AtomicBool>,
}

impl Browsing {
    async fn load_visible(&self, ctx: &CallContext, key: &str) -> Result<Product, Failure> {
        let not_found = || Failure::not_found("product", key);
        let seq = lookup::seq_of(self.catalog.store(), key)
            .await?
            .ok_or_else(not_found)?;
        let product = rows::load_one(self.catalog.store(), seq)
            .await?
            .ok_or_else(not_found)?;
        if product.is_active() || ctx.principal().at_least(Role::Staff) {
            Ok(product)
        } else {
            Err(not_found())
        }
    }

    async fn related(&self, product: &Product, limit: usize) -> Result<Vec<Product>, Failure> {
        let store = self.catalog.store();
        let price = decimal::price_key(product.pricing.price);
        let near = lookup::near_price(store, &product.category_slug, price, NEAR).await?;
        let mut candidates = rows::load(store, &near).await?;
        if candidates.len() <= limit {
            let around = self
                .catalog
                .tree()
                .await?
                .neighbourhood(&product.category_slug);
            let scope = Scope {
                categories: Some(around),
                products: 0,
            };
            let popular = self
                .page(
                    scope,
                    Filters::default(),
                    Sort::named("", ""),
                    None,
                    0,
                    NEAR,
                )
                .await?;
            candidates.extend(rows::load(store, &seqs(&popular.rows)).await?);
        }
        Ok(related::best(product, candidates, limit))
    }

    async fn page(
        &self,
        scope: Scope,
        filters: Filters,
        sort: Sort,
        after: Option<(SortValue, i64)>,
        offset: i64,
        fetch: i64,
    ) -> Result<Page, Failure> {
        let store = self.catalog.store();
        let generation = self.catalog.generation();
        let plan = count::plan(store, scope.categories, filters, sort, scope.products).await?;
        let window = Window {
            sort,
            after,
            offset,
            fetch,
        };
        let rows = list::page(store, &plan.selection, &window).await?;
        let total = match plan.total {
            Some(total) => total,
            None => {
                let key =
                    serde_json::to_string(&(&plan.selection.categories, &plan.selection.filters))
                        .map_err(Failure::internal)?;
                match self.catalog.totals().get(&key, generation) {
                    Some(total) => total,
                    None => {
                        let bound = self.catalog.config().total_limit;
                        let total = count::count(store, &plan.selection, bound).await?;
                        self.catalog.totals().put(&key, generation, total);
                        total
                    }
                }
            }
        };
        Ok(Page { rows, total })
    }

    async fn products(&self, seqs: &[i64]) -> Result<Vec<wire::Product>, Failure> {
        let products = rows::load(self.catalog.store(), seqs).await?;
        Ok(products.into_iter().map(convert::product).collect())
    }

    /// The plain list that answers an empty search.
    async fn search_everything(
        &self,
        request: &SearchProductsRequest,
        scope: Scope,
        filters: Filters,
        window: &search::Window,
    ) -> Result<(Vec<i64>, i64), Failure> {
        let sort = Sort::named(&request.sort, &request.order);
        let page = self
            .page(
                scope,
                filters,
                sort,
                None,
                window.offset,
                i64::from(window.limit),
            )
            .await?;
        Ok((seqs(&page.rows), page.total))
    }
}

struct Page {
    rows: Vec<list::Listed>,
    total: i64,
}

fn seqs(rows: &[list::Listed]) -> Vec<i64> {
    rows.iter().map(|(seq, _)| *seq).collect()
}

#[tonic::async_trait]
impl CatalogService for Browsing {
    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let request = request.into_inner();
        let filters = Filters::parse(&request.filters).map_err(Failure::from)?;
        let sort = Sort::named(&request.sort, &request.order);
        let paging = Paging::<(SortValue, i64)>::read(
            request.page,
            request.limit,
            &request.page_token,
            &(&request.category, &filters, &sort),
        )?;
        let scope = self.catalog.scope(&request.category).await?;
        let Page { mut rows, total } = self
            .page(
                scope,
                filters,
                sort,
                paging.after.clone(),
                paging.offset(),
                paging.fetch(),
            )
            .await?;
        let next_page_token = paging.finish(&mut rows, |(seq, value)| (value.clone(), *seq));
        Ok(Response::new(ListProductsResponse {
            items: self.products(&seqs(&rows)).await?,
            total,
            page: paging.page,
            limit: paging.limit,
            next_page_token,
        }))
    }

    async fn list_featured_products(
        &self,
        request: Request<ListFeaturedProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let request = request.into_inner();
        let limit = request.limit.unwrap_or(mesh::page::DEFAULT_LIMIT);
        let offset = request.offset.unwrap_or(0);
        let scope = self.catalog.scope("").await?;
        let page = self
            .page(
                scope,
                Filters::default(),
                Sort::named("", ""),
                None,
                i64::from(offset),
                i64::from(limit),
            )
            .await?;
        Ok(Response::new(ListProductsResponse {
            items: self.products(&seqs(&page.rows)).await?,
            total: page.total,
            page: offset / limit.max(1) + 1,
            limit,
            next_page_token: String::new(),
        }))
    }

    async fn search_products(
        &self,
        request: Request<SearchProductsRequest>,
    ) -> Result<Response<SearchProductsResponse>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let filters = Filters::parse(&request.filters).map_err(Failure::from)?;
        let scope = self.catalog.scope(&request.category).await?;
        let window = search::Window::of(&request);
        let mut answer = SearchProductsResponse {
            page: window.page,
            limit: window.limit,
            source: search::AGENT.to_owned(),
            ..SearchProductsResponse::default()
        };
        match search::ask_agent(self, &ctx, &request, &filters, &window).await {
            Ok(result) => {
                let ids: Vec<&str> = result
                    .hits
                    .iter()
                    .map(|hit| hit.product_id.as_str())
                    .collect();
                let seqs = lookup::active_by_ids(self.catalog.store(), &ids)
                    .await
                    .map_err(Failure::from)?;
                answer.items = self.products(&seqs).await?;
                answer.total = result.total;
                answer.corrected_query = result.corrected_query;
                answer.relaxed = result.relaxed;
            }
            Err(search::AgentDown) => {
                let (seqs, total) = if request.q.trim().is_empty() {
                    self.search_everything(&request, scope, filters, &window)
                        .await?
                } else {
                    search::plain(self.catalog.store(), &request, scope, filters, &window).await?
                };
                answer.items = self.products(&seqs).await?;
                answer.total = total;
                answer.source = search::CATALOG.to_owned();
            }
        }
        Ok(Response::new(answer))
    }

    async fn list_product_filters(
        &self,
        request: Request<ListProductFiltersRequest>,
    ) -> Result<Response<ProductFilters>, Status> {
        let facets = facets::of_category(&self.catalog, &request.get_ref().category).await?;
        Ok(Response::new(Arc::unwrap_or_clone(facets)))
    }

    async fn get_product(
        &self,
        request: Request<GetProductRequest>,
    ) -> Result<Response<wire::Product>, Status> {
        let ctx = CallContext::of(&request);
        let product = self
            .load_visible(&ctx, &request.get_ref().product_id)
            .await?;
        if product.is_active() && !ctx.principal().at_least(Role::Staff) {
            self.catalog
                .interest()
                .viewed(&product.product_id.to_string());
        }
        Ok(Response::new(convert::product(product)))
    }

    async fn list_related_products(
        &self,
        request: Request<ListRelatedProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let limit = request.limit.unwrap_or(8);
        let product = self.load_visible(&ctx, &request.product_id).await?;
        let wanted = usize::try_from(limit).map_err(Failure::internal)?;
        let items: Vec<wire::Product> = self
            .related(&product, wanted)
            .await?
            .into_iter()
            .map(convert::product)
            .collect();
        Ok(Response::new(ListProductsResponse {
            total: items.len() as i64,
            items,
            page: 1,
            limit,
            next_page_token: String::new(),
        }))
    }

    async fn list_categories(
        &self,
        request: Request<ListCategoriesRequest>,
    ) -> Result<Response<ListCategoriesResponse>, Status> {
        let request = request.into_inner();
        let tree = self.catalog.tree().await.map_err(Failure::from)?;
        if !request.parent.is_empty() && tree.get(&request.parent).is_none() {
            return Err(Failure::not_found("category", &request.parent)
                .with_field("parent", "there is no such category")
                .into());
        }
        let listed: Vec<_> = tree
            .all()
            .iter()
            .filter(|category| {
                request.parent.is_empty() || category.parent_slug.as_ref() == Some(&request.parent)
            })
            .collect();
        let limit = request.limit.unwrap_or(100);
        let offset = request.offset.unwrap_or(0);
        Ok(Response::new(ListCategoriesResponse {
            total: listed.len() as i64,
            items: listed
                .into_iter()
                .skip(usize::try_from(offset).unwrap_or(0))
                .take(usize::try_from(limit).unwrap_or(0))
                .map(|category| convert::category(&tree, category))
                .collect(),
            page: offset / limit.max(1) + 1,
            limit,
            next_page_token: String::new(),
        }))
    }

    async fn get_category(
        &self,
        request: Request<GetCategoryRequest>,
    ) -> Result<Response<wire::Category>, Status> {
        let slug = request.into_inner().slug;
        let tree = self.catalog.tree().await.map_err(Failure::from)?;
        let category = tree
            .get(&slug)
            .ok_or_else(|| Failure::not_found("category", &slug))?;
        Ok(Response::new(convert::category(&tree, category)))
    }

    async fn batch_get_variants(
        &self,
        request: Request<BatchGetVariantsRequest>,
    ) -> Result<Response<BatchGetVariantsResponse>, Status> {
        let refs = request.into_inner().refs;
        let variants = purchasable::resolve(self.catalog.store(), &refs)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(BatchGetVariantsResponse { variants }))
    }
}
