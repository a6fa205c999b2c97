//! Stand-ins for the services that orders asks.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use contracts::hub::{
    cart::v1::{self as cart, cart_service_server},
    catalog::v1::{self as catalog, catalog_service_server},
    inventory::v1::{self as inventory, inventory_service_server},
    r#type::v1::Money,
};
use mesh::Service;
use parking_lot::Mutex;
use tonic::{Request, Response, Status};

/// What the stand-ins answer.
#[derive(Default)]
pub(super) struct Neighbours {
    /// Lines of everybody's cart: variant and units.
    pub(super) lines: Mutex<Vec<(u8, i64)>>,
    /// Promo codes noted on carts.
    pub(super) promos: Mutex<HashMap<String, String>>,
    /// Variants that are off sale.
    pub(super) archived: Mutex<Vec<u8>>,
    /// Units of each variant; many where nothing is said.
    pub(super) stock: Mutex<HashMap<u8, i64>>,
    /// Whether inventory is down.
    pub(super) inventory_down: Mutex<bool>,
    /// Whether orders have their units; where nothing is said they do.
    pub(super) committed: Mutex<Option<inventory::CommitOutcome>>,
}

/// Id of a variant of the stand-in catalog.
pub(super) fn variant_id(variant: u8) -> String {
    format!("01a3185c-0000-7000-8000-0000000000{variant:02x}")
}

impl Neighbours {
    pub(super) fn services(this: &Arc<Self>) -> Vec<Service> {
        let handler = || Neighbour(Arc::clone(this));
        vec![
            Service::builder("cart")
                .rpc(cart_service_server::CartServiceServer::new(handler()))
                .build(),
            Service::builder("catalog")
                .rpc(catalog_service_server::CatalogServiceServer::new(handler()))
                .build(),
            Service::builder("inventory")
                .rpc(inventory_service_server::InventoryServiceServer::new(
                    handler(),
                ))
                .build(),
        ]
    }

    fn stock_of(&self, variant: u8) -> i64 {
        self.stock.lock().get(&variant).copied().unwrap_or(1_000)
    }
}

struct Neighbour(Arc<Neighbours>);

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// RPCs that orders never calls.
macro_rules! uncalled {
    ($($name:ident($request:ty) -> $answer:ty;)*) => {
        $(fn $name<'life0, 'async_trait>(&'life0 self, _: Request<$request>) -> Answer<'async_trait, $answer>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        })*
    };
}

macro_rules! answered {
    ($name:ident($request:ty) -> $answer:ty, |$this:ident, $message:ident| $body:expr) => {
        fn $name<'life0, 'async_trait>(
            &'life0 self,
            request: Request<$request>,
        ) -> Answer<'async_trait, $answer>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            let $this = Arc::clone(&self.0);
            let $message = request.into_inner();
            Box::pin(async move { $body })
        }
    };
}

fn cart_of(neighbours: &Neighbours, owner: &str) -> cart::CheckoutCart {
    cart::CheckoutCart {
        cart_id: format!("cart-{owner}"),
        version: 1,
        lines: neighbours
            .lines
            .lock()
            .iter()
            .map(|(variant, quantity)| cart::CheckoutLine {
                product_id: "01a3185c-0000-7000-8000-00000000ffff".into(),
                variant_id: variant_id(*variant),
                quantity: *quantity,
            })
            .collect(),
        promo_code: neighbours
            .promos
            .lock()
            .get(owner)
            .cloned()
            .unwrap_or_default(),
    }
}

impl cart_service_server::CartService for Neighbour {
    answered!(get_checkout_cart(cart::GetCheckoutCartRequest) -> cart::CheckoutCart, |this, message| {
        Ok(Response::new(cart_of(&this, &message.owner_id)))
    });
    answered!(set_promo_code(cart::SetPromoCodeRequest) -> cart::CheckoutCart, |this, message| {
        this.promos.lock().insert(message.owner_id.clone(), message.promo_code);
        Ok(Response::new(cart_of(&this, &message.owner_id)))
    });
    uncalled! {
        get_cart(cart::GetCartRequest) -> cart::Cart;
        add_cart_item(cart::AddCartItemRequest) -> cart::Cart;
        update_cart_item(cart::UpdateCartItemRequest) -> cart::Cart;
        remove_cart_item(cart::RemoveCartItemRequest) -> cart::Cart;
        clear_cart(cart::ClearCartRequest) -> cart::Cart;
        merge_cart(cart::MergeCartRequest) -> cart::Cart;
    }
}

/// The variant that an id of [`variant_id`] names.
fn variant_of(id: &str) -> Option<u8> {
    u8::from_str_radix(id.get(id.len().checked_sub(2)?..)?, 16).ok()
}

impl catalog_service_server::CatalogService for Neighbour {
    answered!(batch_get_variants(catalog::BatchGetVariantsRequest) -> catalog::BatchGetVariantsResponse,
    |this, message| {
        let variants = message.refs.iter().enumerate().filter_map(|(index, wanted)| {
            let variant = variant_of(&wanted.variant_id)?;
            Some(catalog::PurchasableVariant {
                product_id: wanted.product_id.clone(),
                variant_id: wanted.variant_id.clone(),
                sku: format!("SKU-{variant}"),
                name: format!("Thing {variant}"),
                unit_price: Some(Money {
                    amount: format!("{variant}.99"),
                    currency: "USD".into(),
                }),
                tax_rate: "0.0825".into(),
                active: !this.archived.lock().contains(&variant),
                stock: this.stock_of(variant),
                ref_index: i32::try_from(index).ok()?,
                ..catalog::PurchasableVariant::default()
            })
        });
        Ok(Response::new(catalog::BatchGetVariantsResponse { variants: variants.collect() }))
    });
    uncalled! {
        list_products(catalog::ListProductsRequest) -> catalog::ListProductsResponse;
        list_featured_products(catalog::ListFeaturedProductsRequest) -> catalog::ListProductsResponse;
        search_products(catalog::SearchProductsRequest) -> catalog::SearchProductsResponse;
        list_product_filters(catalog::ListProductFiltersRequest) -> catalog::ProductFilters;
        get_product(catalog::GetProductRequest) -> catalog::Product;
        list_related_products(catalog::ListRelatedProductsRequest) -> catalog::ListProductsResponse;
        list_categories(catalog::ListCategoriesRequest) -> catalog::ListCategoriesResponse;
        get_category(catalog::GetCategoryRequest) -> catalog::Category;
    }
}

impl inventory_service_server::InventoryService for Neighbour {
    answered!(batch_get_availability(inventory::BatchGetAvailabilityRequest)
    -> inventory::BatchGetAvailabilityResponse, |this, message| {
        if *this.inventory_down.lock() {
            return Err(Status::unavailable("down"));
        }
        let variants = message.variant_ids.iter().filter_map(|id| {
            Some(inventory::VariantInventory {
                variant_id: id.clone(),
                available: this.stock_of(variant_of(id)?),
                ..inventory::VariantInventory::default()
            })
        });
        Ok(Response::new(inventory::BatchGetAvailabilityResponse { variants: variants.collect() }))
    });
    answered!(commit(inventory::CommitRequest) -> inventory::CommitResponse, |this, _message| {
        if *this.inventory_down.lock() {
            return Err(Status::unavailable("down"));
        }
        let outcome = this.committed.lock().unwrap_or(inventory::CommitOutcome::Held);
        Ok(Response::new(inventory::CommitResponse { outcome: outcome.into() }))
    });
    uncalled! {
        get_product_inventory(inventory::GetProductInventoryRequest) -> inventory::ProductInventory;
        set_stock(inventory::SetStockRequest) -> inventory::VariantInventory;
        list_stock(inventory::ListStockRequest) -> inventory::ListStockResponse;
        reserve(inventory::ReserveRequest) -> inventory::ReserveResponse;
        release(inventory::ReleaseRequest) -> inventory::ReleaseResponse;
        list_reservations(inventory::ListReservationsRequest) -> inventory::ListReservationsResponse;
    }
}
