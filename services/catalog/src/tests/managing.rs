//! What staff do with products and categories.

use contracts::hub::catalog::v1::{
    ArchiveProductRequest, CreateCategoryRequest, CreateProductRequest, GetProductRequest, Product,
    ProductPrice, ProductStatus, PublishProductRequest, UpdateCategoryRequest,
    UpdateProductRequest, VariantInput,
    catalog_management_service_server::CatalogManagementService,
    catalog_service_server::CatalogService,
};
use mesh::{Reason, Rendered, events::event_type};
use tonic::{Request, Status};

use super::{Engine, Shop, as_staff};

fn sled() -> CreateProductRequest {
    CreateProductRequest {
        sku: "SLED".into(),
        name: "Timber Sled".into(),
        category_slug: "winter".into(),
        price: Some(ProductPrice {
            amount: "89".into(),
            compare_at: "139.00".into(),
            tax_rate: "0.0825".into(),
            ..ProductPrice::default()
        }),
        ..CreateProductRequest::default()
    }
}

async fn shop(engine: Engine) -> Shop {
    let shop = Shop::open(engine).await;
    category(&shop, "winter", "").await.unwrap();
    shop
}

async fn category(shop: &Shop, slug: &str, parent: &str) -> Result<(), Status> {
    let request = CreateCategoryRequest {
        slug: slug.into(),
        name: slug.to_uppercase(),
        parent_slug: parent.into(),
        ..CreateCategoryRequest::default()
    };
    shop.management
        .create_category(as_staff(request))
        .await
        .map(drop)
}

async fn create(shop: &Shop, request: CreateProductRequest) -> Result<Product, Status> {
    shop.management
        .create_product(as_staff(request))
        .await
        .map(tonic::Response::into_inner)
}

fn reason(status: &Status) -> (Reason, String) {
    let rendered = Rendered::of(status);
    let field = rendered.fields.first().map(|field| field.field.clone());
    (rendered.reason, field.unwrap_or_default())
}

async fn a_product_lives_from_draft_to_archive(engine: Engine) {
    let shop = shop(engine).await;
    let draft = create(&shop, sled()).await.unwrap();
    assert_eq!(draft.status, ProductStatus::Draft as i32);
    assert_eq!(draft.slug, "timber-sled");
    assert_eq!(draft.variants.len(), 1);
    assert_eq!(draft.variants[0].sku, "SLED");
    let price = draft.price.clone().unwrap();
    assert_eq!(
        (price.amount.as_str(), price.currency.as_str()),
        ("89.00", "USD")
    );
    assert_eq!(
        (price.compare_at.as_str(), price.tax_rate.as_str()),
        ("139.00", "0.0825")
    );

    let get = || GetProductRequest {
        product_id: "timber-sled".into(),
    };
    let hidden = shop
        .browsing
        .get_product(Request::new(get()))
        .await
        .unwrap_err();
    assert_eq!(reason(&hidden).0, Reason::NotFound);
    assert!(shop.browsing.get_product(as_staff(get())).await.is_ok());

    let publish = PublishProductRequest {
        product_id: draft.product_id.clone(),
    };
    let published = shop
        .management
        .publish_product(as_staff(publish.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (published.status, published.version),
        (ProductStatus::Active as i32, 2)
    );
    assert!(published.published_at.is_some());
    let again = shop
        .management
        .publish_product(as_staff(publish))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.version, 2);
    assert!(shop.browsing.get_product(Request::new(get())).await.is_ok());

    let update = UpdateProductRequest {
        product_id: draft.product_id.clone(),
        name: Some("Ash Sled".into()),
        version: 1,
        ..UpdateProductRequest::default()
    };
    let stale = shop
        .management
        .update_product(as_staff(update.clone()))
        .await
        .unwrap_err();
    assert_eq!(reason(&stale).0, Reason::VersionConflict);
    let updated = UpdateProductRequest {
        version: 2,
        ..update
    };
    let updated = shop
        .management
        .update_product(as_staff(updated))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (updated.name.as_str(), updated.slug.as_str()),
        ("Ash Sled", "timber-sled")
    );

    let archive = ArchiveProductRequest {
        product_id: draft.product_id,
    };
    shop.management
        .archive_product(as_staff(archive))
        .await
        .unwrap();
    assert!(
        shop.browsing
            .get_product(Request::new(get()))
            .await
            .is_err()
    );
    let types: Vec<&str> = shop
        .events()
        .await
        .iter()
        .map(|event| event_type(event.data.as_ref().unwrap()))
        .collect();
    assert_eq!(
        types,
        [
            "ProductCreated",
            "ProductUpdated",
            "ProductUpdated",
            "ProductDeleted"
        ]
    );
}

async fn what_is_taken_or_wrong_is_refused_by_field(engine: Engine) {
    let shop = shop(engine).await;
    create(&shop, sled()).await.unwrap();
    let attempt = async |change: fn(&mut CreateProductRequest)| {
        let mut request = sled();
        request.sku = "OTHER".into();
        change(&mut request);
        reason(&create(&shop, request).await.unwrap_err())
    };
    let taken = |field: &str| (Reason::AlreadyExists, field.to_owned());
    let invalid = |field: &str| (Reason::InvalidArgument, field.to_owned());
    assert_eq!(
        attempt(|request| request.sku = "SLED".into()).await,
        taken("sku")
    );
    assert_eq!(
        attempt(|request| request.slug = "timber-sled".into()).await,
        taken("slug")
    );
    let variant = VariantInput {
        sku: "SLED".into(),
        ..VariantInput::default()
    };
    let mut request = sled();
    request.sku = "OTHER".into();
    request.variants = vec![variant];
    let refused = create(&shop, request).await.unwrap_err();
    assert_eq!(reason(&refused), taken("variants[0].sku"));
    assert_eq!(
        attempt(|request| request.category_slug = "none".into()).await,
        invalid("category_slug")
    );
    assert_eq!(
        attempt(|request| request.price.get_or_insert_default().amount = "1.234".into()).await,
        invalid("price.amount")
    );
    assert_eq!(
        attempt(|request| request.price.get_or_insert_default().tax_rate = "8".into()).await,
        invalid("price.tax_rate")
    );
    // A derived slug makes room for itself.
    let mut request = sled();
    request.sku = "OTHER".into();
    assert_eq!(create(&shop, request).await.unwrap().slug, "timber-sled-2");
}

async fn categories_cannot_close_a_circle(engine: Engine) {
    let shop = shop(engine).await;
    category(&shop, "sleds", "winter").await.unwrap();
    let twice = category(&shop, "sleds", "winter").await.unwrap_err();
    assert_eq!(reason(&twice), (Reason::AlreadyExists, "slug".to_owned()));
    let orphan = category(&shop, "boots", "nothing").await.unwrap_err();
    assert_eq!(reason(&orphan).1, "parent_slug");
    let circle = UpdateCategoryRequest {
        slug: "winter".into(),
        parent_slug: Some("sleds".into()),
        ..UpdateCategoryRequest::default()
    };
    let refused = shop
        .management
        .update_category(as_staff(circle))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused).1, "parent_slug");
}

async fn a_new_name_of_a_category_reaches_those_who_search(engine: Engine) {
    let shop = shop(engine).await;
    let product = create(&shop, sled()).await.unwrap();
    let publish = PublishProductRequest {
        product_id: product.product_id,
    };
    shop.management
        .publish_product(as_staff(publish))
        .await
        .unwrap();
    let rename = UpdateCategoryRequest {
        slug: "winter".into(),
        name: Some("Winter Fun".into()),
        ..UpdateCategoryRequest::default()
    };
    let renamed = shop
        .management
        .update_category(as_staff(rename))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (renamed.name.as_str(), renamed.product_count),
        ("Winter Fun", 1)
    );
    let events = shop.events().await;
    let Some(mesh::events::Data::ProductUpdated(updated)) = &events[2].data else {
        panic!("{events:?}");
    };
    assert_eq!(
        updated.product.as_ref().unwrap().category_name,
        "Winter Fun"
    );
}

async fn a_currency_changes_for_all_variants_or_for_none(engine: Engine) {
    let shop = shop(engine).await;
    let variant = |price: &str| VariantInput {
        sku: "SLED-L".into(),
        price: price.into(),
        ..VariantInput::default()
    };
    let request = CreateProductRequest {
        variants: vec![variant("99")],
        ..sled()
    };
    let product = create(&shop, request).await.unwrap();
    let yen = UpdateProductRequest {
        product_id: product.product_id,
        price: Some(ProductPrice {
            amount: "9000".into(),
            currency: "JPY".into(),
            ..ProductPrice::default()
        }),
        ..UpdateProductRequest::default()
    };
    let refused = shop
        .management
        .update_product(as_staff(yen.clone()))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused).1, "price.currency");
    let yen = UpdateProductRequest {
        variants: vec![variant("9900")],
        ..yen
    };
    let changed = shop
        .management
        .update_product(as_staff(yen))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(changed.variants[0].price.as_ref().unwrap().amount, "9900");
    assert_eq!(changed.version, 2);
}

on_each_engine! {
    async a_product_lives_from_draft_to_archive;
    async what_is_taken_or_wrong_is_refused_by_field;
    async categories_cannot_close_a_circle;
    async a_new_name_of_a_category_reaches_those_who_search;
    async a_currency_changes_for_all_variants_or_for_none;
}
