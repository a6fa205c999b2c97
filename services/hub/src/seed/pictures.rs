//! Pictures of the demo's products and categories, drawn and kept among the hub's blobs.
//!
//! The demo brings no photographs: nobody can own the rights to pictures of things that do not exist.

mod draw;
mod motifs;
mod palette;

use anyhow::Context;
use contracts::hub::catalog::v1::ImportRow;
use futures::{StreamExt, TryStreamExt, stream};
use mesh::{BlobName, Blobs};

use super::{
    Seeder,
    catalog::{demo_categories, demo_products},
};
use draw::{Subject, draw};

/// Blobs that are written at the same time.
const AT_ONCE: usize = 16;
/// The first part of a picture's path, and of its name among the blobs.
const FOLDER: &str = "/images/";

impl Seeder<'_> {
    /// Draws what the shop's own paths name.
    pub(super) async fn pictures(&self) -> anyhow::Result<()> {
        let (categories, products) = (demo_categories()?, demo_products()?);
        let of_categories = categories.iter().map(|category| {
            let subject = Subject {
                title: &category.name,
                caption: &category.name,
                over: "Holiday Peak",
                category: &category.slug,
                colors: Vec::new(),
            };
            (category.image_url.as_str(), draw(&subject))
        });
        let of_products = products.iter().flat_map(|product| {
            product
                .images
                .iter()
                .enumerate()
                .map(|(place, image)| (image.url.as_str(), draw(&pictured(product, place))))
        });
        let pictures: Vec<(&str, String)> = of_categories
            .chain(of_products)
            .filter(|(url, _)| url.starts_with(FOLDER))
            .collect();
        stream::iter(pictures)
            .map(|(url, picture)| keep(self.hub.blobs(), url, picture))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

/// The first picture shows the thing, the others all the colours that it comes in.
fn pictured(product: &ImportRow, place: usize) -> Subject<'_> {
    let alt = product.images.get(place).map_or("", |image| &*image.alt);
    let variants = product
        .variants
        .iter()
        .filter_map(|variant| variant.attributes.get("color"));
    let own = product.attributes.get("color_family").into_iter();
    let colors: Vec<&str> = if place == 0 {
        variants.chain(own).map(String::as_str).take(1).collect()
    } else {
        variants.map(String::as_str).collect()
    };
    Subject {
        title: if alt.is_empty() { &product.name } else { alt },
        caption: &product.name,
        over: &product.brand,
        category: &product.category,
        colors,
    }
}

async fn keep(blobs: &Blobs, url: &str, picture: String) -> anyhow::Result<()> {
    let name: BlobName = url
        .trim_start_matches('/')
        .parse()
        .with_context(|| format!("{url} cannot be the name of a picture"))?;
    blobs.put(&name, picture).await?;
    Ok(())
}
