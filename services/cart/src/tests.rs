//! The cart on a store of its own, with a catalog made up for the test.

#![allow(clippy::unwrap_used)]

mod ordering;
mod owning;
mod shopping;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use contracts::hub::{
    cart::v1::{
        AddCartItemRequest, Cart, CheckoutCart, GetCartRequest, GetCheckoutCartRequest,
        cart_service_server::CartService,
    },
    catalog::v1::VariantRef,
};
use mesh::{
    CallContext, Clock, Currency, Failure, Ids, Money, Principal, Rendered, Role, User,
    store::Store,
};
use parking_lot::Mutex;
use tonic::{Request, Status};

use crate::{
    catalog::Offers, config::CartConfig, domain::pricing::Offer, guest_tokens::GuestTokens,
    service::Carts, store,
};

/// A catalog that can be changed, and counts how often it is asked.
#[derive(Default)]
pub(crate) struct Shelf {
    pub offers: Mutex<BTreeMap<String, Offer>>,
    pub calls: AtomicUsize,
}

impl Shelf {
    pub fn put(&self, name: &str, minor: i64, stock: i64) {
        self.put_in(Currency::USD, name, minor, stock);
    }

    pub fn put_in(&self, currency: Currency, name: &str, minor: i64, stock: i64) {
        let offer = Offer {
            product_id: format!("product-{name}"),
            variant_id: format!("variant-{name}"),
            sku: name.to_owned(),
            name: format!("Thing {name}"),
            variant_name: String::new(),
            unit_price: Money::new(minor, currency),
            tax_rate: "0.0825".parse().unwrap(),
            image_url: String::new(),
            active: true,
            stock,
        };
        self.offers.lock().insert(name.to_owned(), offer);
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Offer)) {
        change(self.offers.lock().get_mut(name).unwrap());
    }
}

#[async_trait]
impl Offers for Arc<Shelf> {
    async fn offers(
        &self,
        _: &CallContext,
        refs: Vec<VariantRef>,
    ) -> Result<Vec<(usize, Offer)>, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let offers = self.offers.lock();
        let found = refs.iter().enumerate().filter_map(|(index, wanted)| {
            let offer = offers.values().find(|offer| {
                let variant = wanted.variant_id.is_empty()
                    || [&offer.variant_id, &offer.sku].contains(&&wanted.variant_id);
                let product = wanted.product_id.is_empty()
                    || [&offer.product_id, &offer.sku].contains(&&wanted.product_id);
                variant && product
            })?;
            Some((index, offer.clone()))
        });
        Ok(found.collect())
    }
}

/// Guest tokens that say their session.
struct PlainTokens;

#[async_trait]
impl GuestTokens for PlainTokens {
    async fn session(&self, _: &CallContext, token: &str) -> Result<String, Failure> {
        let session = token.strip_prefix("token-of-");
        session
            .map(str::to_owned)
            .ok_or_else(|| Failure::invalid("guest_token", "no"))
    }
}

pub(crate) struct World {
    pub carts: Carts,
    pub shelf: Arc<Shelf>,
    pub clock: Clock,
}

impl World {
    pub async fn open() -> Self {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ids = Ids::seeded(clock.clone(), 7);
        let store = Store::scratch("cart", store::MIGRATIONS, clock.clone(), ids.clone())
            .await
            .unwrap();
        let shelf = Arc::new(Shelf::default());
        let carts = Carts {
            store,
            clock: clock.clone(),
            ids,
            catalog: Arc::new(Arc::clone(&shelf)),
            guest_tokens: Arc::new(PlainTokens),
            config: CartConfig::default(),
            currency: Currency::USD,
        };
        Self {
            carts,
            shelf,
            clock,
        }
    }

    pub async fn add(&self, who: &Principal, name: &str, quantity: i64) -> Result<Cart, Status> {
        let request = AddCartItemRequest {
            product_id: name.to_owned(),
            variant_id: String::new(),
            quantity: Some(quantity),
        };
        let answer = self.carts.add_cart_item(by(who, request)).await?;
        Ok(answer.into_inner())
    }

    pub async fn get(&self, who: &Principal) -> Cart {
        let answer = self.carts.get_cart(by(who, GetCartRequest {})).await;
        answer.unwrap().into_inner()
    }

    pub async fn checkout(&self, who: &Principal) -> CheckoutCart {
        let owner_id = who.subject().to_owned();
        let request = Request::new(GetCheckoutCartRequest { owner_id });
        self.carts
            .get_checkout_cart(request)
            .await
            .unwrap()
            .into_inner()
    }
}

pub(crate) fn by<T>(who: &Principal, message: T) -> Request<T> {
    CallContext::new(Clock::system(), "request")
        .with_principal(who.clone())
        .call(message)
}

pub(crate) fn guest() -> Principal {
    Principal::guest("session-1")
}

pub(crate) fn customer() -> Principal {
    let user = User {
        subject: "user-1".into(),
        email: "customer@hub.test".into(),
        name: "Customer".into(),
        session: "session-2".into(),
    };
    Principal::user(Role::Customer, user).unwrap()
}

/// HTTP status and first field of a refusal.
pub(crate) fn refusal(status: &Status) -> (u16, String) {
    let rendered = Rendered::of(status);
    let field = rendered.fields.first().map(|field| field.field.clone());
    (rendered.http_status(), field.unwrap_or_default())
}

/// SKUs and quantities.
pub(crate) fn content(cart: &Cart) -> Vec<(&str, i64)> {
    cart.items
        .iter()
        .map(|item| (item.sku.as_str(), item.quantity))
        .collect()
}

pub(crate) fn subtotal(cart: &Cart) -> String {
    let totals = cart.totals.clone().unwrap();
    totals.subtotal.unwrap().amount
}
