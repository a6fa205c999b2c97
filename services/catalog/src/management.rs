//! Keeping the catalog: the RPCs for staff.

mod categories;
mod products;

use contracts::hub::catalog::v1::{
    ArchiveProductRequest, Category, CreateCategoryRequest, CreateProductRequest,
    ImportProductsRequest, ImportProductsResponse, Product, PublishProductRequest,
    UpdateCategoryRequest, UpdateProductRequest,
    catalog_management_service_server::CatalogManagementService,
};
use mesh::{CallContext, Failure};
use tonic::{Request, Response, Status};

use crate::{
    catalog::Catalog,
    domain::product::{self, Problem},
    events::Origin,
    import, wire,
};

/// Handlers of `CatalogManagementService`.
#[derive(Clone, Debug)]
pub struct Management {
    /// The catalog.
    pub catalog: Catalog,
}

/// A problem of a request's field.
fn refused(problem: Problem) -> Failure {
    Failure::invalid(problem.field, problem.message)
}

#[tonic::async_trait]
impl CatalogManagementService for Management {
    async fn create_product(
        &self,
        request: Request<CreateProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let origin = Origin::of(&CallContext::of(&request));
        let created = products::create(&self.catalog, request.into_inner(), origin).await?;
        Ok(Response::new(wire::product(created)))
    }

    async fn update_product(
        &self,
        request: Request<UpdateProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let origin = Origin::of(&CallContext::of(&request));
        let updated = products::update(&self.catalog, request.into_inner(), origin).await?;
        Ok(Response::new(wire::product(updated)))
    }

    async fn publish_product(
        &self,
        request: Request<PublishProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let origin = Origin::of(&CallContext::of(&request));
        let id = request.into_inner().product_id;
        let product =
            products::set_status(&self.catalog, id, product::Status::Active, origin).await?;
        Ok(Response::new(wire::product(product)))
    }

    async fn archive_product(
        &self,
        request: Request<ArchiveProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let origin = Origin::of(&CallContext::of(&request));
        let id = request.into_inner().product_id;
        let product =
            products::set_status(&self.catalog, id, product::Status::Archived, origin).await?;
        Ok(Response::new(wire::product(product)))
    }

    async fn create_category(
        &self,
        request: Request<CreateCategoryRequest>,
    ) -> Result<Response<Category>, Status> {
        let created = categories::create(&self.catalog, request.into_inner()).await?;
        Ok(Response::new(created))
    }

    async fn update_category(
        &self,
        request: Request<UpdateCategoryRequest>,
    ) -> Result<Response<Category>, Status> {
        let origin = Origin::of(&CallContext::of(&request));
        let updated = categories::update(&self.catalog, request.into_inner(), origin).await?;
        Ok(Response::new(updated))
    }

    async fn import_products(
        &self,
        request: Request<ImportProductsRequest>,
    ) -> Result<Response<ImportProductsResponse>, Status> {
        let origin = Origin::of(&CallContext::of(&request));
        let rows = request.into_inner().rows;
        Ok(Response::new(
            import::import(&self.catalog, rows, origin).await?,
        ))
    }
}
