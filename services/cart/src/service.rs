//! Handlers of `CartService`.

use std::sync::Arc;

use contracts::hub::cart::v1::{
    AddCartItemRequest, Cart as WireCart, CheckoutCart, ClearCartRequest, GetCartRequest,
    GetCheckoutCartRequest, MergeCartRequest, RemoveCartItemRequest, SetPromoCodeRequest,
    UpdateCartItemRequest, cart_service_server::CartService,
};
use mesh::{CallContext, Clock, Currency, Failure, Ids, Role, store::Store};
use tonic::{Request, Response, Status};

use crate::{
    catalog::Offers,
    config::CartConfig,
    domain::Cart,
    guest_tokens::GuestTokens,
    shown::{self, ByVariant},
    store::{self, Owner},
};

/// The carts of all shoppers.
#[derive(Clone)]
pub struct Carts {
    /// The tables.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// The source of ids.
    pub ids: Ids,
    /// Where prices come from.
    pub catalog: Arc<dyn Offers>,
    /// Whose guest tokens are.
    pub guest_tokens: Arc<dyn GuestTokens>,
    /// The settings.
    pub config: CartConfig,
    /// Currency of an empty cart's sums.
    pub currency: Currency,
}

impl Carts {
    /// The caller as an owner; none for somebody without a session.
    fn caller(&self, ctx: &CallContext) -> Option<Owner> {
        let principal = ctx.principal();
        let is_shopper = principal.at_least(Role::Guest) && !principal.is_service();
        is_shopper.then(|| Owner {
            id: principal.subject().to_owned(),
            life: if principal.at_least(Role::Customer) {
                self.config.customer_life()
            } else {
                self.config.guest_life()
            },
        })
    }

    fn require_caller(&self, ctx: &CallContext) -> Result<Owner, Failure> {
        self.caller(ctx).ok_or_else(|| {
            Failure::unauthenticated("a cart belongs to a signed-in user or a guest session")
        })
    }

    /// The owner's cart.
    pub(crate) async fn load(&self, owner: &Owner) -> Result<Option<Cart>, Failure> {
        Ok(store::load(&self.store, &owner.id, self.clock.now()).await?)
    }
}

/// Whoever has no session has no cart, and so no such line in it.
fn no_line(id: &str) -> Failure {
    Failure::not_found("cart item", id)
}

#[tonic::async_trait]
impl CartService for Carts {
    async fn get_cart(
        &self,
        request: Request<GetCartRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let cart = match self.caller(&ctx) {
            Some(owner) => self.load(&owner).await?,
            None => None,
        };
        Ok(Response::new(match cart {
            Some(cart) => self.show(&ctx, cart, ByVariant::new()).await?,
            None => self.no_cart(),
        }))
    }

    async fn add_cart_item(
        &self,
        request: Request<AddCartItemRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let owner = self.require_caller(&ctx)?;
        Ok(Response::new(
            self.add(&ctx, owner, request.into_inner()).await?,
        ))
    }

    async fn update_cart_item(
        &self,
        request: Request<UpdateCartItemRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let owner = self
            .caller(&ctx)
            .ok_or_else(|| no_line(&request.cart_item_id))?;
        Ok(Response::new(self.update(&ctx, owner, request).await?))
    }

    async fn remove_cart_item(
        &self,
        request: Request<RemoveCartItemRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let id = request.into_inner().cart_item_id;
        let owner = self.caller(&ctx).ok_or_else(|| no_line(&id))?;
        Ok(Response::new(self.remove(&ctx, owner, id).await?))
    }

    async fn clear_cart(
        &self,
        request: Request<ClearCartRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        Ok(Response::new(match self.caller(&ctx) {
            Some(owner) => self.clear(&ctx, owner).await?,
            None => self.no_cart(),
        }))
    }

    async fn merge_cart(
        &self,
        request: Request<MergeCartRequest>,
    ) -> Result<Response<WireCart>, Status> {
        let ctx = CallContext::of(&request);
        let owner = self.require_caller(&ctx)?;
        let token = request.into_inner().guest_token;
        Ok(Response::new(self.merge(&ctx, owner, &token).await?))
    }

    async fn get_checkout_cart(
        &self,
        request: Request<GetCheckoutCartRequest>,
    ) -> Result<Response<CheckoutCart>, Status> {
        let owner_id = request.into_inner().owner_id;
        let cart = store::load(&self.store, &owner_id, self.clock.now())
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(shown::checkout(cart)))
    }

    async fn set_promo_code(
        &self,
        request: Request<SetPromoCodeRequest>,
    ) -> Result<Response<CheckoutCart>, Status> {
        let SetPromoCodeRequest {
            owner_id,
            promo_code,
        } = request.into_inner();
        let cart = self.note_promo_code(owner_id, promo_code).await?;
        Ok(Response::new(shown::checkout(cart)))
    }
}
