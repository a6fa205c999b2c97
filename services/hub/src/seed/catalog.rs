//! Categories and products.

use anyhow::ensure;
use catalog::import_file::read_ndjson;
use contracts::hub::catalog::v1::{
    CreateCategoryRequest, ImportProductsRequest, ImportRow,
    catalog_management_service_client::CatalogManagementServiceClient,
};
use serde::Deserialize;
use tonic::Code;

use super::Seeder;

const CATEGORIES: &str = include_str!("../../demo/categories.json");
const PRODUCTS: &str = include_str!("../../demo/products.ndjson");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoCategory {
    pub(super) slug: String,
    pub(super) name: String,
    description: String,
    #[serde(default)]
    parent_slug: String,
    pub(super) image_url: String,
    position: i32,
}

/// The categories of the demo.
pub(super) fn demo_categories() -> anyhow::Result<Vec<DemoCategory>> {
    Ok(serde_json::from_str(CATEGORIES)?)
}

/// The products of the demo.
pub(super) fn demo_products() -> anyhow::Result<Vec<ImportRow>> {
    read_ndjson(PRODUCTS.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| anyhow::anyhow!("line {}: {}", error.line, error.message))
}

impl Seeder<'_> {
    pub(super) async fn categories(&self) -> anyhow::Result<()> {
        let mut client = CatalogManagementServiceClient::new(self.hub.channel());
        for category in demo_categories()? {
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
        let rows = demo_products()?;
        let answer = CatalogManagementServiceClient::new(self.hub.channel())
            .import_products(self.call(ImportProductsRequest { rows }))
            .await?
            .into_inner();
        ensure!(answer.errors.is_empty(), "{:?}", answer.errors.first());
        Ok(())
    }
}
