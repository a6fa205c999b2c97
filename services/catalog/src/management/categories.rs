//! Creating and changing categories.

use contracts::hub::catalog::v1::{
    Category as WireCategory, CreateCategoryRequest, UpdateCategoryRequest,
};
use mesh::{Failure, Reason, store::Tx};

use super::products::announce_again;
use crate::{
    catalog::Catalog,
    domain::tree::{Category, CategoryTree},
    events::Origin,
    store::categories,
    wire,
};

/// Products that are announced anew per transaction after a category got another name.
const BATCH: i64 = 500;

/// Creates a category.
pub(super) async fn create(
    catalog: &Catalog,
    request: CreateCategoryRequest,
) -> Result<WireCategory, Failure> {
    let category = Category {
        category_id: catalog.ids().uuid().to_string(),
        slug: request.slug,
        name: request.name,
        description: request.description,
        parent_slug: none_if_empty(request.parent_slug),
        image_url: request.image_url,
        position: i64::from(request.position),
        own_products: 0,
        created_at: catalog.now(),
    };
    let slug = category.slug.clone();
    catalog
        .store()
        .write(move |tx: Tx| async move {
            check_parent(&categories::tree(&tx).await?, &category)?;
            if categories::insert(&tx, &category).await? {
                Ok(())
            } else {
                let message = "a category with this slug exists";
                Err(Failure::conflict(Reason::AlreadyExists, message).with_field("slug", message))
            }
        })
        .await?;
    catalog.changed();
    shown(catalog, &slug).await
}

/// Changes a category; what the request leaves out stays.
pub(super) async fn update(
    catalog: &Catalog,
    request: UpdateCategoryRequest,
    origin: Origin,
) -> Result<WireCategory, Failure> {
    let slug = request.slug.clone();
    let now = catalog.now();
    let renamed = catalog
        .store()
        .write(move |tx: Tx| async move {
            let tree = categories::tree(&tx).await?;
            let before = tree
                .get(&request.slug)
                .ok_or_else(|| Failure::not_found("category", &request.slug))?;
            let mut after = before.clone();
            if let Some(name) = request.name {
                after.name = name;
            }
            if let Some(description) = request.description {
                after.description = description;
            }
            if let Some(parent) = request.parent_slug {
                after.parent_slug = none_if_empty(parent);
            }
            if let Some(image_url) = request.image_url {
                after.image_url = image_url;
            }
            if let Some(position) = request.position {
                after.position = i64::from(position);
            }
            check_parent(&tree, &after)?;
            if after != *before {
                categories::update(&tx, &after, now).await?;
            }
            Ok::<_, Failure>((after.name != before.name).then_some(after.name))
        })
        .await?;
    catalog.changed();
    if let Some(name) = renamed {
        tell_the_name(catalog, &slug, &name, &origin).await?;
    }
    shown(catalog, &slug).await
}

/// Products carry the name of their category in events, so they are announced anew, in steps that leave
/// the store to others in between.
async fn tell_the_name(
    catalog: &Catalog,
    slug: &str,
    name: &str,
    origin: &Origin,
) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let seqs = categories::products_after(catalog.store(), slug, after, BATCH).await?;
        let Some(last) = seqs.last().copied() else {
            return Ok(());
        };
        after = last;
        let (name, origin) = (name.to_owned(), origin.clone());
        catalog
            .store()
            .write(move |tx: Tx| async move {
                announce_again(&tx, &seqs, &name, &origin).await?;
                Ok::<_, Failure>(())
            })
            .await?;
    }
}

fn check_parent(tree: &CategoryTree, category: &Category) -> Result<(), Failure> {
    let Some(parent) = &category.parent_slug else {
        return Ok(());
    };
    if tree.get(parent).is_none() {
        return Err(Failure::invalid("parent_slug", "there is no such category"));
    }
    if !tree.may_hang_below(&category.slug, parent) {
        return Err(Failure::invalid(
            "parent_slug",
            "must not be the category itself or one below it",
        ));
    }
    Ok(())
}

fn none_if_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

async fn shown(catalog: &Catalog, slug: &str) -> Result<WireCategory, Failure> {
    let tree = catalog.tree().await?;
    let category = tree
        .get(slug)
        .ok_or_else(|| Failure::not_found("category", slug))?;
    Ok(wire::category(&tree, category))
}
