//! Creating and changing products one by one.

use std::collections::{BTreeMap, HashSet};

use contracts::hub::catalog::v1::{
    CreateProductRequest, Image as WireImage, ProductPrice, UpdateProductRequest, VariantInput,
};
use mesh::{
    Currency, Failure, Ids, Reason,
    store::{StoreError, Tx},
};

use super::refused;
use crate::{
    catalog::Catalog,
    domain::{
        decimal,
        product::{
            Image, MAX_ATTRIBUTES, MAX_VARIANT_ATTRIBUTES, MAX_VARIANTS, Pricing, Problem, Product,
            Status, Variant, check_attributes,
        },
        slug,
    },
    events::{Origin, announcement},
    store::{
        categories,
        counters::Deltas,
        lookup::{self, NewSeqs},
        rows, save,
        writes::Writes,
    },
};

/// Creates a product as a draft.
pub(super) async fn create(
    catalog: &Catalog,
    request: CreateProductRequest,
    origin: Origin,
) -> Result<Product, Failure> {
    let pricing = read_pricing(request.price.as_ref(), catalog.currency())?;
    let attributes =
        check_attributes("attributes", &request.attributes, MAX_ATTRIBUTES).map_err(refused)?;
    let now = catalog.now();
    let mut product = Product {
        seq: 0,
        product_id: catalog.ids().uuid(),
        sku: request.sku.clone(),
        slug: request.slug,
        name: request.name.trim().to_owned(),
        description: request.description,
        long_description: request.long_description,
        brand: request.brand.trim().to_owned(),
        category_slug: request.category_slug,
        pricing,
        images: in_order(request.images),
        attributes,
        status: Status::Draft,
        rating_milli: 0,
        review_count: 0,
        views: 0,
        purchases: 0,
        created_at: now,
        updated_at: now,
        published_at: None,
        version: 0,
        content_hash: None,
        variants: Vec::new(),
    };
    let variants = if request.variants.is_empty() {
        vec![VariantInput {
            sku: request.sku,
            ..VariantInput::default()
        }]
    } else {
        request.variants
    };
    merge_variants(&mut product, &variants, catalog.ids())?;
    let created = catalog
        .store()
        .write(move |tx: Tx| async move {
            if !lookup::by_skus(&tx, &[&product.sku]).await?.is_empty() {
                return Err(taken("sku", "a product with this SKU exists"));
            }
            check_variant_owners(&tx, &product, &variants).await?;
            product.slug = free_slug(&tx, &product).await?;
            product.seq = NewSeqs::take(&tx, 1).await?.next()?;
            replace(&tx, None, product, &origin).await
        })
        .await?;
    catalog.changed();
    Ok(created)
}

/// Changes a product; what the request leaves out stays.
pub(super) async fn update(
    catalog: &Catalog,
    request: UpdateProductRequest,
    origin: Origin,
) -> Result<Product, Failure> {
    let pricing = request
        .price
        .as_ref()
        .map(|price| read_pricing(Some(price), catalog.currency()))
        .transpose()?;
    let attributes =
        check_attributes("attributes", &request.attributes, MAX_ATTRIBUTES).map_err(refused)?;
    let now = catalog.now();
    let ids = catalog.ids().clone();
    let updated = catalog
        .store()
        .write(move |tx: Tx| async move {
            let before = load(&tx, &request.product_id).await?;
            if request.version != 0 && request.version != before.version {
                return Err(Failure::conflict(
                    Reason::VersionConflict,
                    "the product was changed in the meantime",
                )
                .with_metadata("version", before.version.to_string()));
            }
            let mut after = before.clone();
            let texts = [
                (
                    &mut after.name,
                    request.name.map(|name| name.trim().to_owned()),
                ),
                (&mut after.description, request.description),
                (&mut after.long_description, request.long_description),
                (
                    &mut after.brand,
                    request.brand.map(|brand| brand.trim().to_owned()),
                ),
                (&mut after.category_slug, request.category_slug),
                (&mut after.slug, request.slug),
            ];
            for (text, change) in texts {
                if let Some(change) = change {
                    *text = change;
                }
            }
            if let Some(pricing) = pricing {
                after.pricing = pricing;
            }
            if request.replace_attributes {
                after.attributes = attributes;
            }
            check_currency(&before, &after, &request.variants)?;
            merge_variants(&mut after, &request.variants, &ids)?;
            check_variant_owners(&tx, &after, &request.variants).await?;
            if after == before {
                return Ok(before);
            }
            if after.slug != before.slug {
                after.slug = free_slug(&tx, &after).await?;
            }
            after.updated_at = now;
            after.content_hash = None;
            replace(&tx, Some(before), after, &origin).await
        })
        .await?;
    catalog.changed();
    Ok(updated)
}

/// Puts a product on sale or takes it off. A product that is there already stays as it is.
pub(super) async fn set_status(
    catalog: &Catalog,
    product_id: String,
    status: Status,
    origin: Origin,
) -> Result<Product, Failure> {
    let now = catalog.now();
    let product = catalog
        .store()
        .write(move |tx: Tx| async move {
            let before = load(&tx, &product_id).await?;
            if before.status == status {
                return Ok(before);
            }
            let mut after = before.clone();
            after.status = status;
            after.updated_at = now;
            if status == Status::Active && after.published_at.is_none() {
                after.published_at = Some(now);
            }
            replace(&tx, Some(before), after, &origin).await
        })
        .await?;
    catalog.changed();
    Ok(product)
}

async fn replace(
    tx: &Tx,
    before: Option<Product>,
    after: Product,
    origin: &Origin,
) -> Result<Product, Failure> {
    let category_name = categories::name(tx, &after.category_slug)
        .await?
        .ok_or_else(|| Failure::invalid("category_slug", "there is no such category"))?;
    let before = before.as_ref();
    let mut writes = Writes::new(tx.dialect());
    let mut deltas = Deltas::default();
    let saved = save::save(&mut writes, before, after, &mut deltas);
    deltas.write(&mut writes);
    writes.announce(announcement(before, &saved, &category_name, origin));
    writes.run(tx).await?;
    Ok(saved)
}

async fn load(tx: &Tx, product_id: &str) -> Result<Product, Failure> {
    let not_found = || Failure::not_found("product", product_id);
    let seq = lookup::seq_of(tx, product_id)
        .await?
        .ok_or_else(not_found)?;
    rows::load_one(tx, seq).await?.ok_or_else(not_found)
}

/// The slug of a product: the one that was asked for if it is free, or one derived from the name.
async fn free_slug(tx: &Tx, product: &Product) -> Result<String, Failure> {
    let wanted = !product.slug.is_empty();
    let base = if wanted {
        product.slug.clone()
    } else {
        slug::derive(&product.name)
    };
    for candidate in slug::candidates(&base, &product.sku) {
        let owners = lookup::slug_owners(tx, &[&candidate]).await?;
        if owners.iter().all(|(_, sku)| *sku == product.sku) {
            return Ok(candidate);
        }
        if wanted {
            break;
        }
    }
    Err(taken("slug", "another product has this slug"))
}

fn taken(field: impl Into<String>, message: &str) -> Failure {
    Failure::conflict(Reason::AlreadyExists, message).with_field(field, message)
}

/// Refuses variant SKUs that belong to other products.
async fn check_variant_owners(
    tx: &Tx,
    product: &Product,
    inputs: &[VariantInput],
) -> Result<(), Failure> {
    let skus: Vec<&str> = inputs.iter().map(|input| input.sku.as_str()).collect();
    for (sku, owner) in lookup::variant_owners(tx, &skus).await? {
        if owner != product.sku {
            let index = skus.iter().position(|wanted| *wanted == sku).unwrap_or(0);
            return Err(taken(
                format!("variants[{index}].sku"),
                "a variant of another product has this SKU",
            ));
        }
    }
    Ok(())
}

fn in_order(mut images: Vec<WireImage>) -> Vec<Image> {
    images.sort_by_key(|image| image.order);
    images
        .into_iter()
        .map(|image| Image {
            url: image.url,
            alt: image.alt,
        })
        .collect()
}

fn read_pricing(price: Option<&ProductPrice>, default: Currency) -> Result<Pricing, Failure> {
    let empty = ProductPrice::default();
    let price = price.unwrap_or(&empty);
    Pricing::read(
        &price.amount,
        &price.currency,
        &price.compare_at,
        &price.tax_rate,
        default,
    )
    .map_err(|problem| {
        let field = match problem.field.as_str() {
            "price" => "amount",
            other => other,
        };
        Failure::invalid(format!("price.{field}"), problem.message)
    })
}

/// Refuses another currency while variants have prices in the one before.
fn check_currency(
    before: &Product,
    after: &Product,
    inputs: &[VariantInput],
) -> Result<(), Failure> {
    let changes = before.pricing.price.currency != after.pricing.price.currency;
    let stays_behind = before.variants.iter().any(|variant| {
        variant.price_minor.is_some() && inputs.iter().all(|input| input.sku != variant.sku)
    });
    if changes && stays_behind {
        return Err(Failure::invalid(
            "price.currency",
            "cannot change while variants have prices of their own",
        ));
    }
    Ok(())
}

/// Adds and changes variants by SKU.
fn merge_variants(
    product: &mut Product,
    inputs: &[VariantInput],
    ids: &Ids,
) -> Result<(), Failure> {
    let currency = product.pricing.price.currency;
    let mut seen = HashSet::new();
    for (index, input) in inputs.iter().enumerate() {
        if !seen.insert(input.sku.as_str()) {
            return Err(Failure::invalid(
                format!("variants[{index}].sku"),
                "is given twice",
            ));
        }
        let (attributes, price_minor) = read_variant(index, input, currency).map_err(refused)?;
        let known = product
            .variants
            .iter_mut()
            .find(|variant| variant.sku == input.sku);
        match known {
            Some(variant) => {
                variant.attributes = attributes;
                variant.price_minor = price_minor;
                variant.is_sold = true;
            }
            None => {
                let position = product.variants.len() as i64;
                product.variants.push(Variant {
                    variant_id: ids.uuid(),
                    sku: input.sku.clone(),
                    attributes,
                    price_minor,
                    position,
                    stock: input.stock,
                    initial_stock: input.stock,
                    is_sold: true,
                });
            }
        }
    }
    if product.variants.len() > MAX_VARIANTS {
        return Err(Failure::invalid(
            "variants",
            format!("a product has at most {MAX_VARIANTS}"),
        ));
    }
    Ok(())
}

type VariantContent = (BTreeMap<String, String>, Option<i64>);

fn read_variant(
    index: usize,
    input: &VariantInput,
    currency: Currency,
) -> Result<VariantContent, Problem> {
    let attributes = check_attributes(
        &format!("variants[{index}].attributes"),
        &input.attributes,
        MAX_VARIANT_ATTRIBUTES,
    )?;
    let price_minor = match input.price.as_str() {
        "" => None,
        text => Some(
            decimal::parse_price(text, currency)
                .map_err(|error| {
                    Problem::new(format!("variants[{index}].price"), error.to_string())
                })?
                .minor,
        ),
    };
    Ok((attributes, price_minor))
}

/// Announces products anew, for example because the name of their category changed.
pub(super) async fn announce_again(
    tx: &Tx,
    seqs: &[i64],
    category_name: &str,
    origin: &Origin,
) -> Result<(), StoreError> {
    let mut writes = Writes::new(tx.dialect());
    for product in rows::load(tx, seqs).await? {
        writes.announce(announcement(
            Some(&product),
            &product,
            category_name,
            origin,
        ));
    }
    writes.run(tx).await
}
