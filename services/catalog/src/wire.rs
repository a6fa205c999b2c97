//! Products and categories as messages.

use contracts::hub::{
    catalog::v1 as wire,
    events::v1::{ProductSnapshot, VariantSnapshot},
};

use chrono::{DateTime, Utc};

use crate::domain::{
    product::{Product, Status},
    tree::{Category, CategoryTree},
};

/// The message of a product.
pub fn product(product: Product) -> wire::Product {
    let in_stock = product.in_stock();
    let variants = product
        .sold_variants()
        .map(|variant| wire::Variant {
            variant_id: variant.variant_id.to_string(),
            sku: variant.sku.clone(),
            attributes: variant.attributes.clone().into_iter().collect(),
            price: Some(product.price_of(variant).to_wire()),
            stock: variant.stock,
        })
        .collect();
    wire::Product {
        product_id: product.product_id.to_string(),
        price: Some(wire::ProductPrice {
            amount: product.pricing.price.amount(),
            currency: product.pricing.price.currency.to_string(),
            compare_at: product
                .pricing
                .compare_at
                .map(|price| price.amount())
                .unwrap_or_default(),
            tax_rate: product.pricing.tax_rate,
        }),
        sku: product.sku,
        slug: product.slug,
        name: product.name,
        description: product.description,
        long_description: product.long_description,
        brand: product.brand,
        category_slug: product.category_slug,
        images: product
            .images
            .into_iter()
            .zip(0..)
            .map(|(image, order)| wire::Image {
                url: image.url,
                alt: image.alt,
                order,
            })
            .collect(),
        variants,
        attributes: product.attributes.into_iter().collect(),
        rating: product.rating_milli as f64 / 1_000.0,
        review_count: i32::try_from(product.review_count).unwrap_or(i32::MAX),
        status: match product.status {
            Status::Draft => wire::ProductStatus::Draft,
            Status::Active => wire::ProductStatus::Active,
            Status::Archived => wire::ProductStatus::Archived,
        }
        .into(),
        in_stock,
        created_at: Some(timestamp(product.created_at)),
        updated_at: Some(timestamp(product.updated_at)),
        published_at: product.published_at.map(timestamp),
        version: product.version,
    }
}

/// A product as events carry it.
pub fn snapshot(product: &Product, category_name: &str) -> ProductSnapshot {
    ProductSnapshot {
        product_id: product.product_id.to_string(),
        sku: product.sku.clone(),
        slug: product.slug.clone(),
        name: product.name.clone(),
        description: product.description.clone(),
        brand: product.brand.clone(),
        category_slug: product.category_slug.clone(),
        price: Some(product.pricing.price.to_wire()),
        attributes: product.attributes.clone().into_iter().collect(),
        status: product.status.as_str().to_owned(),
        rating: product.rating_milli as f64 / 1_000.0,
        review_count: product.review_count,
        popularity: product.popularity() as f64,
        version: product.version,
        category_name: category_name.to_owned(),
        variants: product
            .sold_variants()
            .map(|variant| VariantSnapshot {
                variant_id: variant.variant_id.to_string(),
                sku: variant.sku.clone(),
                attributes: variant.attributes.clone().into_iter().collect(),
                initial_stock: variant.initial_stock,
            })
            .collect(),
    }
}

/// The message of a category of a tree.
pub fn category(tree: &CategoryTree, category: &Category) -> wire::Category {
    wire::Category {
        category_id: category.category_id.clone(),
        slug: category.slug.clone(),
        name: category.name.clone(),
        description: category.description.clone(),
        parent_slug: category.parent_slug.clone().unwrap_or_default(),
        image_url: category.image_url.clone(),
        position: i32::try_from(category.position).unwrap_or(i32::MAX),
        product_count: tree.products(&category.slug),
    }
}

fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        // Below a billion, so it fits.
        nanos: at.timestamp_subsec_nanos() as i32,
    }
}
