//! What the cart asks the catalog: offers of variants, in one call.

use async_trait::async_trait;
use contracts::hub::catalog::v1::{
    BatchGetVariantsRequest, PurchasableVariant, VariantRef,
    catalog_service_client::CatalogServiceClient,
};
use mesh::{CallContext, Channel, Failure, Money};

use crate::domain::pricing::Offer;

/// Where offers come from.
#[async_trait]
pub trait Offers: Send + Sync + 'static {
    /// The offers of `refs`, each with the index of its reference; what is unknown is left out.
    async fn offers(
        &self,
        ctx: &CallContext,
        refs: Vec<VariantRef>,
    ) -> Result<Vec<(usize, Offer)>, Failure>;
}

#[async_trait]
impl Offers for CatalogServiceClient<Channel> {
    async fn offers(
        &self,
        ctx: &CallContext,
        refs: Vec<VariantRef>,
    ) -> Result<Vec<(usize, Offer)>, Failure> {
        if refs.is_empty() {
            return Ok(Vec::new());
        }
        let request = ctx
            .as_service("cart")
            .call(BatchGetVariantsRequest { refs });
        let answer = self.clone().batch_get_variants(request).await?;
        answer.into_inner().variants.into_iter().map(read).collect()
    }
}

fn read(variant: PurchasableVariant) -> Result<(usize, Offer), Failure> {
    let index = usize::try_from(variant.ref_index).map_err(Failure::internal)?;
    let price = variant.unit_price.unwrap_or_default();
    Ok((
        index,
        Offer {
            product_id: variant.product_id,
            variant_id: variant.variant_id,
            sku: variant.sku,
            name: variant.name,
            variant_name: variant.variant_name,
            // What the catalog says is wrong only if the catalog is.
            unit_price: Money::try_from(&price).map_err(Failure::internal)?,
            tax_rate: variant.tax_rate.parse().map_err(Failure::internal)?,
            image_url: variant.image_url,
            active: variant.active,
            stock: variant.stock,
        },
    ))
}
