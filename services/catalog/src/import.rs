//! Imports: batches of rows, created or updated by SKU and put on sale.
//!
//! Everything that a batch needs to know (products, owners of SKUs and slugs, categories) is read in a few
//! queries at its start and kept up to date in memory while its rows are taken; what they change is gathered and
//! sent at once, all in one transaction.
//! A row whose fingerprint is that of the product's last import changes nothing and announces nothing.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::hub::catalog::v1::{ImportError, ImportProductsResponse, ImportRow};
use mesh::{
    Failure, Ids,
    store::{StoreError, Tx},
};

use crate::{
    catalog::Catalog,
    domain::{
        product::{Problem, Product, Status, Variant},
        row::{RowContent, RowVariant},
        slug,
        tree::Category,
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

/// The last line that a file can have: the largest integer that every JSON reader holds exactly.
const LAST_LINE: i64 = (1 << 53) - 1;

/// Imports a batch.
///
/// # Errors
/// What the store refuses, and rows that no file can have; bad rows are part of the answer.
pub async fn import(
    catalog: &Catalog,
    rows: Vec<ImportRow>,
    origin: Origin,
) -> Result<ImportProductsResponse, Failure> {
    let mut errors = Vec::new();
    let mut contents = Vec::with_capacity(rows.len());
    for (index, row) in rows.into_iter().enumerate() {
        if !(0..=LAST_LINE).contains(&row.line) {
            let field = format!("rows[{index}].line");
            return Err(Failure::invalid(field, "must be the number of a line"));
        }
        match RowContent::read(&row, catalog.currency()) {
            Ok(content) => contents.push(content),
            Err(problem) => errors.push(error(row.line, &row.sku, problem)),
        }
    }
    let now = catalog.now();
    let ids = catalog.ids().clone();
    let mut answer = catalog
        .store()
        .write(move |tx: Tx| async move {
            let mut batch = Batch::open(&tx, &contents, now, ids, origin).await?;
            for content in contents {
                batch.take(content).await?;
            }
            batch.close().await
        })
        .await?;
    if answer.created + answer.updated > 0 {
        catalog.changed();
    }
    errors.append(&mut answer.errors);
    errors.sort_by_key(|error| error.line);
    answer.errors = errors;
    Ok(answer)
}

fn error(line: i64, sku: &str, problem: Problem) -> ImportError {
    ImportError {
        line,
        sku: sku.to_owned(),
        field: problem.field,
        message: problem.message,
    }
}

/// A batch that is being written.
struct Batch<'a> {
    tx: &'a Tx,
    now: DateTime<Utc>,
    ids: Ids,
    origin: Origin,
    products: HashMap<String, Product>,
    /// SKU of the product that owns a variant SKU.
    variant_owners: HashMap<String, String>,
    /// SKU of the product that owns a slug.
    slug_owners: HashMap<String, String>,
    category_names: HashMap<String, String>,
    /// Row numbers for new products.
    new_seqs: NewSeqs,
    writes: Writes,
    /// SKUs of the products in `writes`.
    pending: HashSet<String>,
    deltas: Deltas,
    answer: ImportProductsResponse,
}

impl<'a> Batch<'a> {
    async fn open(
        tx: &'a Tx,
        contents: &[RowContent],
        now: DateTime<Utc>,
        ids: Ids,
        origin: Origin,
    ) -> Result<Self, StoreError> {
        let skus: HashSet<&str> = contents
            .iter()
            .map(|content| content.sku.as_str())
            .collect();
        let seqs = lookup::by_skus(tx, &skus.into_iter().collect::<Vec<_>>()).await?;
        let products: HashMap<String, Product> = rows::load(tx, &seqs)
            .await?
            .into_iter()
            .map(|product| (product.sku.clone(), product))
            .collect();
        let variant_skus: Vec<&str> = contents
            .iter()
            .flat_map(|content| &content.variants)
            .map(|variant| variant.sku.as_str())
            .collect();
        let slugs: Vec<String> = contents
            .iter()
            .filter(|content| content.slug.is_some() || !products.contains_key(&content.sku))
            .map(wanted_slug)
            .collect();
        let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
        let new: HashSet<&str> = contents
            .iter()
            .map(|content| content.sku.as_str())
            .filter(|sku| !products.contains_key(*sku))
            .collect();
        let new_seqs = NewSeqs::take(tx, new.len()).await?;
        Ok(Self {
            tx,
            now,
            ids,
            origin,
            products,
            new_seqs,
            writes: Writes::new(tx.dialect()),
            pending: HashSet::new(),
            variant_owners: lookup::variant_owners(tx, &variant_skus)
                .await?
                .into_iter()
                .collect(),
            slug_owners: lookup::slug_owners(tx, &slugs).await?.into_iter().collect(),
            category_names: categories::names(tx).await?,
            deltas: Deltas::default(),
            answer: ImportProductsResponse::default(),
        })
    }

    async fn take(&mut self, content: RowContent) -> Result<(), StoreError> {
        let fingerprint = content.fingerprint();
        let before = self.products.get(&content.sku);
        let unchanged = before.is_some_and(|product| {
            product.is_active() && product.content_hash.as_deref() == Some(fingerprint.as_slice())
        });
        if unchanged {
            self.answer.unchanged += 1;
            return Ok(());
        }
        if let Some(problem) = self.conflict(&content) {
            self.answer
                .errors
                .push(error(content.line, &content.sku, problem));
            return Ok(());
        }
        if self.pending.contains(&content.sku) {
            self.flush().await?;
        }
        let before = self.products.remove(&content.sku);
        self.ensure_category(&content).await?;
        let slug = self.slug(before.as_ref(), &content).await?;
        let seq = match &before {
            Some(product) => product.seq,
            None => self.new_seqs.next()?,
        };
        let mut after = self.product(before.as_ref(), content, slug, seq);
        after.content_hash = Some(fingerprint);
        let saved = save::save(&mut self.writes, before.as_ref(), after, &mut self.deltas);
        let category_name = self
            .category_names
            .get(&saved.category_slug)
            .map(String::as_str)
            .unwrap_or_default();
        self.writes.announce(announcement(
            before.as_ref(),
            &saved,
            category_name,
            &self.origin,
        ));
        self.pending.insert(saved.sku.clone());
        match before {
            Some(before) => {
                self.answer.updated += 1;
                self.slug_owners.remove(&before.slug);
            }
            None => self.answer.created += 1,
        }
        self.slug_owners
            .insert(saved.slug.clone(), saved.sku.clone());
        for variant in &saved.variants {
            self.variant_owners
                .insert(variant.sku.clone(), saved.sku.clone());
        }
        self.products.insert(saved.sku.clone(), saved);
        Ok(())
    }

    /// Sends what is gathered.
    async fn flush(&mut self) -> Result<(), StoreError> {
        self.pending.clear();
        let fresh = Writes::new(self.tx.dialect());
        std::mem::replace(&mut self.writes, fresh)
            .run(self.tx)
            .await
    }

    async fn close(mut self) -> Result<ImportProductsResponse, Failure> {
        self.deltas.write(&mut self.writes);
        self.writes.run(self.tx).await?;
        Ok(self.answer)
    }

    /// What another product has already.
    fn conflict(&self, content: &RowContent) -> Option<Problem> {
        let foreign = |owners: &HashMap<String, String>, key: &str| {
            owners
                .get(key)
                .filter(|owner| **owner != content.sku)
                .cloned()
        };
        if let Some(slug) = &content.slug
            && let Some(owner) = foreign(&self.slug_owners, slug)
        {
            return Some(Problem::new(
                "slug",
                format!("is taken by the product {owner}"),
            ));
        }
        content
            .variants
            .iter()
            .enumerate()
            .find_map(|(index, variant)| {
                let owner = foreign(&self.variant_owners, &variant.sku)?;
                Some(Problem::new(
                    format!("variants[{index}].sku"),
                    format!("is taken by the product {owner}"),
                ))
            })
    }

    async fn ensure_category(&mut self, content: &RowContent) -> Result<(), StoreError> {
        if self.category_names.contains_key(&content.category) {
            return Ok(());
        }
        let name = if content.category_name.is_empty() {
            slug::title(&content.category)
        } else {
            content.category_name.clone()
        };
        let category = Category {
            category_id: self.ids.uuid().to_string(),
            slug: content.category.clone(),
            name: name.clone(),
            description: String::new(),
            parent_slug: None,
            image_url: String::new(),
            // After those that staff have put in order.
            position: 1_000,
            own_products: 0,
            created_at: self.now,
        };
        categories::insert(self.tx, &category).await?;
        self.category_names.insert(category.slug, name);
        Ok(())
    }

    async fn slug(
        &self,
        before: Option<&Product>,
        content: &RowContent,
    ) -> Result<String, StoreError> {
        match (&content.slug, before) {
            (Some(slug), _) => return Ok(slug.clone()),
            (None, Some(before)) => return Ok(before.slug.clone()),
            (None, None) => {}
        }
        let base = wanted_slug(content);
        if !self.slug_owners.contains_key(&base) {
            return Ok(base);
        }
        for candidate in slug::candidates(&base, &content.sku) {
            let is_free = !self.slug_owners.contains_key(&candidate)
                && lookup::slug_owners(self.tx, &[&candidate])
                    .await?
                    .is_empty();
            if is_free {
                return Ok(candidate);
            }
        }
        // Ids are unique, so this is.
        Ok(format!("{base}-{}", self.ids.uuid().simple()))
    }

    fn product(
        &self,
        before: Option<&Product>,
        content: RowContent,
        slug: String,
        seq: i64,
    ) -> Product {
        let variants = self.variants(before, &content.variants);
        Product {
            seq,
            product_id: before.map_or_else(|| self.ids.uuid(), |product| product.product_id),
            sku: content.sku,
            slug,
            name: content.name,
            description: content.description,
            long_description: content.long_description,
            brand: content.brand,
            category_slug: content.category,
            pricing: content.pricing,
            images: content.images,
            attributes: content.attributes,
            status: Status::Active,
            rating_milli: content.rating_milli,
            review_count: content.review_count,
            views: before.map_or(0, |product| product.views),
            purchases: before.map_or(0, |product| product.purchases),
            created_at: before.map_or(self.now, |product| product.created_at),
            updated_at: self.now,
            published_at: before
                .and_then(|product| product.published_at)
                .or(Some(self.now)),
            version: before.map_or(0, |product| product.version),
            content_hash: None,
            variants,
        }
    }

    /// The row's variants in its order, then those that it no longer lists.
    fn variants(&self, before: Option<&Product>, rows: &[RowVariant]) -> Vec<Variant> {
        let known = before
            .map(|product| product.variants.as_slice())
            .unwrap_or_default();
        let listed = rows.iter().zip(0..).map(|(row, position)| {
            match known.iter().find(|variant| variant.sku == row.sku) {
                Some(variant) => Variant {
                    attributes: row.attributes.clone(),
                    price_minor: row.price_minor,
                    position,
                    is_sold: true,
                    ..variant.clone()
                },
                None => Variant {
                    variant_id: self.ids.uuid(),
                    sku: row.sku.clone(),
                    attributes: row.attributes.clone(),
                    price_minor: row.price_minor,
                    position,
                    stock: row.stock,
                    initial_stock: row.stock,
                    is_sold: true,
                },
            }
        });
        let gone = known
            .iter()
            .filter(|variant| rows.iter().all(|row| row.sku != variant.sku))
            .map(|variant| Variant {
                is_sold: false,
                ..variant.clone()
            });
        listed.chain(gone).collect()
    }
}

/// The slug that a row asks for, or the one derived from its name and SKU.
fn wanted_slug(content: &RowContent) -> String {
    content.slug.clone().unwrap_or_else(|| {
        let name = slug::derive(&content.name);
        let sku = slug::derive(&content.sku);
        let mut wanted = format!("{name}-{sku}");
        if wanted.len() > slug::MAX_SLUG - 3 {
            wanted = sku;
        }
        wanted
    })
}
