//! `PaymentService`: payments of orders.

use contracts::hub::payments::v1::{
    ConfirmPaymentRequest, CreatePaymentIntentRequest, GetOrderPaymentRequest,
    HandleWebhookRequest, Payment, PaymentIntent, Refund, RefundPaymentRequest, WebhookReceipt,
    payment_service_server::PaymentService,
};
use mesh::{CallContext, Failure, Money};
use tonic::{Request, Response, Status};

use super::{to_the_end, wire};
use crate::{
    cause::Cause,
    flow::{Caller, Desk, WebhookKey},
    ledger,
};

/// Header with the signature of a webhook.
const SIGNATURE: &str = "stripe-signature";

/// Handles `PaymentService`.
pub struct PaymentsHandler {
    /// Moves the money.
    pub desk: Desk,
    /// What webhooks are proven with.
    pub webhook_key: WebhookKey,
}

/// An amount that a request may leave out.
fn optional(amount: Option<&contracts::hub::r#type::v1::Money>) -> Result<Option<Money>, Failure> {
    amount
        .map(|amount| Money::from_wire(Some(amount), "amount"))
        .transpose()
}

#[tonic::async_trait]
impl PaymentService for PaymentsHandler {
    async fn create_payment_intent(
        &self,
        request: Request<CreatePaymentIntentRequest>,
    ) -> Result<Response<PaymentIntent>, Status> {
        let caller = Caller {
            context: CallContext::of(&request),
        };
        let request = request.into_inner();
        let amount = optional(request.amount.as_ref())?;
        let payment = self
            .desk
            .create_intent(&caller, &request.order_id, amount)
            .await?;
        Ok(Response::new(wire::intent(&payment)))
    }

    async fn confirm_payment(
        &self,
        request: Request<ConfirmPaymentRequest>,
    ) -> Result<Response<Payment>, Status> {
        let caller = Caller {
            context: CallContext::of(&request),
        };
        let request = request.into_inner();
        let desk = self.desk.clone();
        let payment = to_the_end(async move {
            desk.confirm(&caller, &request.payment_intent_id, &request.payment_method)
                .await
        })
        .await?;
        let refunds = ledger::refunds_of(&self.desk.store, &payment.order_id).await?;
        Ok(Response::new(wire::payment(&payment, &refunds)))
    }

    async fn refund_payment(
        &self,
        request: Request<RefundPaymentRequest>,
    ) -> Result<Response<Refund>, Status> {
        let cause = Cause::call(&CallContext::of(&request));
        let request = request.into_inner();
        let amount = optional(request.amount.as_ref())?;
        let desk = self.desk.clone();
        let refund = to_the_end(async move {
            let intent_id = &request.payment_intent_id;
            let payment = ledger::by_intent(&desk.store, intent_id)
                .await?
                .ok_or_else(|| Failure::not_found("payment intent", intent_id))?;
            desk.refund(&payment, amount, &request.reason, &cause).await
        })
        .await?;
        Ok(Response::new(wire::refund(&refund)))
    }

    async fn handle_webhook(
        &self,
        request: Request<HandleWebhookRequest>,
    ) -> Result<Response<WebhookReceipt>, Status> {
        let cause = Cause::call(&CallContext::of(&request));
        let header = request
            .metadata()
            .get(SIGNATURE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = request.into_inner().payload.unwrap_or_default().data;
        let (desk, key) = (self.desk.clone(), self.webhook_key.clone());
        to_the_end(async move { desk.webhook(&key, header.as_deref(), &body, &cause).await })
            .await?;
        Ok(Response::new(WebhookReceipt { received: true }))
    }

    async fn get_order_payment(
        &self,
        request: Request<GetOrderPaymentRequest>,
    ) -> Result<Response<Payment>, Status> {
        let caller = Caller {
            context: CallContext::of(&request),
        };
        let order_id = request.into_inner().order_id;
        let payment = self.desk.payment_of(&caller, &order_id).await?;
        let refunds = ledger::refunds_of(&self.desk.store, &order_id).await?;
        Ok(Response::new(wire::payment(&payment, &refunds)))
    }
}
