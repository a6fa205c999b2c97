#![allow(clippy::unwrap_used)]
//! Saved methods on the test processor.

use chrono::DateTime;
use mesh::{Principal, Rendered, Role, User};

use super::*;
use crate::{migrations, provider::processor::TestProcessor};

async fn handler() -> MethodsHandler {
    let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let ids = Ids::seeded(clock.clone(), 7);
    let store = Store::scratch("payments", migrations::ALL, clock.clone(), ids.clone())
        .await
        .unwrap();
    MethodsHandler {
        provider: Arc::new(TestProcessor::new(store.clone(), clock.clone())),
        store,
        clock,
        ids,
    }
}

impl MethodsHandler {
    fn request<T>(&self, user: &str, message: T) -> Request<T> {
        let user = User {
            subject: user.to_owned(),
            ..User::default()
        };
        CallContext::new(self.clock.clone(), "r-1")
            .with_principal(Principal::user(Role::Customer, user).unwrap())
            .call(message)
    }

    async fn add(
        &self,
        user: &str,
        token: &str,
        is_default: bool,
    ) -> Result<PaymentMethod, Status> {
        let message = CreatePaymentMethodRequest {
            stripe_token: token.to_owned(),
            billing_address: Some(Address {
                name: "Ada".to_owned(),
                country: "US".to_owned(),
                ..Address::default()
            }),
            is_default,
        };
        let answer = self
            .create_payment_method(self.request(user, message))
            .await?;
        Ok(answer.into_inner())
    }

    async fn last4s(&self, user: &str) -> Vec<(String, bool)> {
        let request = self.request(user, ListPaymentMethodsRequest {});
        let items = self
            .list_payment_methods(request)
            .await
            .unwrap()
            .into_inner()
            .items;
        items
            .into_iter()
            .map(|method| (method.last4, method.is_default))
            .collect()
    }

    async fn remove(&self, user: &str, id: &str) -> Result<(), Status> {
        let message = DeletePaymentMethodRequest {
            payment_method_id: id.to_owned(),
        };
        self.delete_payment_method(self.request(user, message))
            .await?;
        Ok(())
    }
}

fn owned(items: &[(&str, bool)]) -> Vec<(String, bool)> {
    items
        .iter()
        .map(|(last4, default)| ((*last4).to_owned(), *default))
        .collect()
}

#[tokio::test]
async fn one_method_is_the_default() {
    let handler = handler().await;
    let visa = handler.add("ada", "tok_visa", false).await.unwrap();
    assert!(visa.is_default && visa.exp_year > 2027);
    assert_eq!(visa.billing_address.unwrap().name, "Ada");
    handler
        .add("ada", "pm_card_mastercard", false)
        .await
        .unwrap();
    let amex = handler.add("ada", "pm_card_amex", true).await.unwrap();
    assert_eq!(
        handler.last4s("ada").await,
        owned(&[("8431", true), ("4444", false), ("4242", false)])
    );
    handler
        .remove("ada", &amex.payment_method_id)
        .await
        .unwrap();
    assert_eq!(
        handler.last4s("ada").await,
        owned(&[("4444", true), ("4242", false)])
    );
    assert_eq!(handler.last4s("bob").await, []);
    let foreign = handler
        .remove("bob", &visa.payment_method_id)
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&foreign).reason, Reason::NotFound);
}

#[tokio::test]
async fn what_cannot_be_saved() {
    let handler = handler().await;
    for (token, reason) in [
        ("4242424242424242", Reason::InvalidArgument),
        ("pm_nobody", Reason::InvalidArgument),
        ("pm_card_chargeDeclined", Reason::PaymentDeclined),
    ] {
        let refused = handler.add("ada", token, false).await.unwrap_err();
        assert_eq!(Rendered::of(&refused).reason, reason, "{token}");
        assert!(!refused.message().contains("4242"), "{refused}");
    }
    for _ in 0..MOST_METHODS {
        handler.add("ada", "tok_visa", false).await.unwrap();
    }
    let full = handler.add("ada", "tok_visa", false).await.unwrap_err();
    assert_eq!(Rendered::of(&full).reason, Reason::Conflict);
}
