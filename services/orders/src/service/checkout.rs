//! What comes before an order: prices, promo codes, addresses.

use contracts::hub::{
    cart::v1::SetPromoCodeRequest,
    orders::v1::{
        AddressValidation, ApplyPromoRequest, CheckoutIssue, CheckoutValidation, PromoApplication,
        ShippingMethod, ShippingOption, ValidateAddressRequest, ValidateCheckoutRequest,
        checkout_service_server::CheckoutService,
    },
};
use mesh::{CallContext, Failure, Money, Reason};
use tonic::{Request, Response, Status};

use super::create::{items, totals};
use crate::{
    checkout::{Desk, SERVICE, promo_failure},
    domain::{
        address::{self, Address, Checked},
        pricing::Quote,
        promo::{Discount, normalize},
        shipping::{METHODS, Method},
    },
    measures,
    store::find_promo,
    wire,
};

/// Answers the checkout's RPCs.
pub(crate) struct CheckoutHandler {
    pub(crate) desk: Desk,
}

#[tonic::async_trait]
impl CheckoutService for CheckoutHandler {
    async fn validate_checkout(
        &self,
        request: Request<ValidateCheckoutRequest>,
    ) -> Result<Response<CheckoutValidation>, Status> {
        let ctx = CallContext::of(&request);
        let validation = validate(&self.desk, &ctx, request.into_inner()).await?;
        measures::count_validation(validation.valid);
        Ok(Response::new(validation))
    }

    async fn apply_promo(
        &self,
        request: Request<ApplyPromoRequest>,
    ) -> Result<Response<PromoApplication>, Status> {
        let ctx = CallContext::of(&request);
        let code = normalize(&request.into_inner().code);
        Ok(Response::new(apply(&self.desk, &ctx, code).await?))
    }

    async fn validate_address(
        &self,
        request: Request<ValidateAddressRequest>,
    ) -> Result<Response<AddressValidation>, Status> {
        let request = request.into_inner();
        let checked = address::check(&Address {
            name: request.name,
            line1: request.line1,
            line2: request.line2,
            city: request.city,
            state: request.state,
            postal_code: request.postal_code,
            country: request.country,
            phone: request.phone,
        });
        Ok(Response::new(AddressValidation {
            valid: checked.defects.is_empty(),
            normalized: Some(wire::address(&checked.address)),
            errors: address_issues(&checked, ""),
            suggestions: checked.suggestions,
        }))
    }
}

async fn validate(
    desk: &Desk,
    ctx: &CallContext,
    request: ValidateCheckoutRequest,
) -> Result<CheckoutValidation, Failure> {
    let owner = ctx.principal().subject().to_owned();
    let cart = desk.cart(ctx, &owner, &request.cart_id).await?;
    let basket = desk.basket(ctx, &cart).await?;
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());

    if cart.lines.is_empty() {
        errors.push(issue("cart_empty", "The cart is empty.", "cart"));
    }
    for unsold in &basket.unsold {
        let message = format!("{} is no longer on sale.", unsold.name);
        errors.push(issue("unavailable", message, &unsold.name));
    }
    if !basket.lines.is_empty() {
        for scarce in desk.promised(ctx, &basket.lines).await {
            errors.push(CheckoutIssue {
                available: scarce.available,
                ..issue(
                    "out_of_stock",
                    format!(
                        "{} of {} are wanted and {} are left.",
                        scarce.requested, scarce.sku, scarce.available
                    ),
                    &scarce.sku,
                )
            });
        }
    }
    let given = wire::address_of(request.shipping_address.unwrap_or_default());
    let checked = address::check(&given);
    errors.extend(address_issues(&checked, "shipping_address."));
    warnings.extend(
        checked
            .suggestions
            .iter()
            .map(|text| issue("address", text, "shipping_address")),
    );
    let discount = match desk
        .promo(
            &owner,
            &request.promo_code,
            &cart.promo_code,
            basket.subtotal()?,
        )
        .await?
    {
        Ok(promo) => promo.map(|promo| promo.discount),
        Err(refusal) => {
            errors.push(issue("promo_invalid", refusal.to_string(), "promo_code"));
            None
        }
    };
    let method = Method::of(ShippingMethod::try_from(request.shipping_method).unwrap_or_default());
    let quote = basket.price(discount.as_ref(), method)?;
    Ok(CheckoutValidation {
        valid: errors.is_empty(),
        totals: Some(wire::totals(&totals(&quote))),
        items: items(desk, &basket, &quote)
            .iter()
            .map(|item| wire::item(item, basket.currency))
            .collect(),
        shipping_options: options(&quote, discount.as_ref())?,
        errors,
        warnings,
    })
}

/// Every method with its rate for the goods of a quote.
fn options(quote: &Quote, discount: Option<&Discount>) -> Result<Vec<ShippingOption>, Failure> {
    let goods = quote.subtotal.checked_sub(quote.discount)?;
    Ok(METHODS
        .iter()
        .map(|method| ShippingOption {
            method: method.method.into(),
            name: method.title.to_owned(),
            rate: Some(
                match discount {
                    Some(Discount::FreeShipping) => Money::zero(goods.currency),
                    _ => method.rate(goods),
                }
                .to_wire(),
            ),
            min_days: method.days.0,
            max_days: method.days.1,
        })
        .collect())
}

async fn apply(desk: &Desk, ctx: &CallContext, code: String) -> Result<PromoApplication, Failure> {
    let owner = ctx.principal().subject().to_owned();
    let cart = desk.cart(ctx, &owner, "").await?;
    let basket = desk.basket(ctx, &cart).await?;
    let promo = if code.is_empty() {
        None
    } else {
        if cart.lines.is_empty() {
            return Err(Failure::conflict(
                Reason::CartEmpty,
                "The cart is empty; there is nothing to take a discount off.",
            ));
        }
        if find_promo(&desk.store, &code).await?.is_none() {
            return Err(Failure::not_found("promo code", &code));
        }
        desk.promo(&owner, &code, "", basket.subtotal()?)
            .await?
            .map_err(promo_failure)?
    };
    let request = SetPromoCodeRequest {
        owner_id: owner,
        promo_code: code,
    };
    desk.carts
        .clone()
        .set_promo_code(ctx.as_service(SERVICE).call(request))
        .await?;
    let quote = basket.price(
        promo.as_ref().map(|promo| &promo.discount),
        Method::of(ShippingMethod::Standard),
    )?;
    let (code, description) = promo
        .map(|promo| (promo.code, promo.description))
        .unwrap_or_default();
    Ok(PromoApplication {
        code,
        description,
        discount: Some(quote.discount.to_wire()),
        totals: Some(wire::totals(&totals(&quote))),
    })
}

fn issue(code: &str, message: impl Into<String>, subject: &str) -> CheckoutIssue {
    CheckoutIssue {
        code: code.to_owned(),
        message: message.into(),
        subject: subject.to_owned(),
        available: 0,
    }
}

fn address_issues(checked: &Checked, prefix: &str) -> Vec<CheckoutIssue> {
    checked
        .defects
        .iter()
        .map(|defect| {
            issue(
                "address_invalid",
                defect.message.clone(),
                &format!("{prefix}{}", defect.field),
            )
        })
        .collect()
}
