//! Categories and products.

use anyhow::ensure;
use catalog::import_file::read_ndjson;
use contracts::hub::catalog::v1::{
    CreateCategoryRequest, ImportProductsRequest,
    catalog_management_service_client::CatalogManagementServiceClient,
};
use serde::Deserialize;
use tonic::Code;

use super::Seeder;

const CATEGORIES: &str = include_str!("../../demo/categories.json");
const PRODUCTS: &str = include_str!("../../demo/products.ndjson");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoCategory {
    slug: String,
    name: String,
    description: String,
    #[serde(default)]
    parent_slug: String,
    image_url: String,
    position: i32,
}

impl Seeder<'_> {
    pub(super) async fn categories(&self) -> anyhow::Result<()> {
        let mut client = CatalogManagementServiceClient::new(self.hub.channel());
        for category in serde_json::from_str::<Vec<DemoCategory>>(CATEGORIES)? {
            let request = CreateCategoryRequest {
                slug: category.slug,
                name: category.name,
                description: category.description,
                parent_slug: category.parent_slug,
                image_url: category.image_url,
                position: category.position,
            };
            match client.create_category(self.call(request)).await {
                Ok(_) => {}
                // A start that was cut off has created it.
                Err(status) if status.code() == Code::AlreadyExists => {}
                Err(status) => return Err(status.into()),
            }
        }
        Ok(())
    }

    pub(super) async fn products(&self) -> anyhow::Result<()> {
        let rows = read_ndjson(PRODUCTS.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| anyhow::anyhow!("line {}: {}", error.line, error.message))?;
        let answer = CatalogManagementServiceClient::new(self.hub.channel())
            .import_products(self.call(ImportProductsRequest { rows }))
            .await?
            .into_inner();
        ensure!(answer.errors.is_empty(), "{:?}", answer.errors.first());
        Ok(())
    }
}
