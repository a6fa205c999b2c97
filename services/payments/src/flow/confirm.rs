//! The shopper pays an intent.

use mesh::{CallContext, Failure, Principal, Reason};

use super::{Desk, charge::same, unavailable};
use crate::{
    cause::Cause,
    domain::{
        decline::{AUTHENTICATION_REQUIRED, Decline, INVALID_METHOD},
        method::{Named, NotAMethod, Token},
    },
    ledger::{self, Begun, Flow, Payment, PaymentStatus},
    provider::{IntentState, ProviderError},
};

/// Who asks, and on whose account the work is done.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The call.
    pub context: CallContext,
}

impl Caller {
    fn principal(&self) -> &Principal {
        self.context.principal()
    }

    fn cause(&self) -> Cause {
        Cause::call(&self.context)
    }
}

impl Desk {
    /// The payment of an order of the caller.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is none, or it is not the caller's.
    pub async fn payment_of(&self, caller: &Caller, order_id: &str) -> Result<Payment, Failure> {
        ledger::by_order(&self.store, order_id)
            .await?
            .filter(|payment| payment.amount.is_some())
            .filter(|payment| caller.principal().may_see(&payment.user_id))
            .ok_or_else(|| Failure::not_found("payment of order", order_id))
    }

    /// Opens the intent of an order of the caller that waits to be paid, or gives the one there is.
    ///
    /// # Errors
    /// `NOT_FOUND`, `Conflict` when the order does not wait for the shopper, `INVALID_ARGUMENT` when
    /// `amount` is not the order's total.
    pub async fn create_intent(
        &self,
        caller: &Caller,
        order_id: &str,
        amount: Option<mesh::Money>,
    ) -> Result<Payment, Failure> {
        let order = self.orders.order(&caller.context, order_id).await?;
        if !caller.principal().may_see(&order.user_id) {
            return Err(Failure::not_found("order", order_id));
        }
        if amount.is_some_and(|amount| amount != order.total) {
            return Err(Failure::invalid(
                "amount",
                format!("must be the order's total, {}", order.total),
            ));
        }
        let payment = match ledger::by_order(&self.store, order_id).await? {
            Some(payment) => payment,
            None if !order.open => return Err(not_waiting("the order is not open")),
            None if Named::parse(&order.payment_method) != Ok(Named::Intent) => {
                return Err(not_waiting(
                    "the order is charged to the payment method that it names",
                ));
            }
            None if !order.total.is_positive() => {
                return Err(not_waiting("the order costs nothing"));
            }
            None => self.open_for_shopper(&order, &caller.cause()).await?,
        };
        match payment.status {
            PaymentStatus::Succeeded => Err(not_waiting("the order is paid")),
            PaymentStatus::Pending if !order.open || payment.closed => {
                Err(not_waiting("the order is not open"))
            }
            PaymentStatus::Pending if payment.flow == Flow::Intent => {
                if same(payment.amount, order.total) {
                    Ok(payment)
                } else {
                    Err(not_waiting("the order's total has changed"))
                }
            }
            PaymentStatus::Pending => Err(not_waiting(
                "the order is charged to the payment method that it names",
            )),
            PaymentStatus::Failed | PaymentStatus::Canceled => {
                Err(not_waiting("the payment has ended"))
            }
        }
    }

    /// Charges an intent of the caller to the method that `method` names. A decline leaves it open.
    ///
    /// # Errors
    /// `NOT_FOUND`, `PaymentDeclined` with the decline's code, `Conflict` when the order does not wait for
    /// the shopper or another attempt is under way, `INVALID_ARGUMENT` for a method that is none.
    pub async fn confirm(
        &self,
        caller: &Caller,
        intent_id: &str,
        method: &str,
    ) -> Result<Payment, Failure> {
        let payment = ledger::by_intent(&self.store, intent_id)
            .await?
            .filter(|payment| caller.principal().may_see(&payment.user_id))
            .ok_or_else(|| Failure::not_found("payment intent", intent_id))?;
        match payment.status {
            PaymentStatus::Succeeded => return Ok(payment),
            PaymentStatus::Pending if payment.flow == Flow::Intent && !payment.closed => {}
            _ => return Err(not_waiting("the payment does not wait for the shopper")),
        }
        let token = self.method_named(&payment, method).await?;
        let order = self
            .orders
            .order(&caller.context, &payment.order_id)
            .await?;
        if !order.open || !same(payment.amount, order.total) {
            return Err(not_waiting("the order does not want this payment any more"));
        }
        if !order.reserved && !payment.goods_held {
            return Err(not_waiting(
                "the order's goods are not reserved yet, try again",
            ));
        }
        let cause = caller.cause();
        let id = payment.order_id.clone();
        let begun = self
            .write(&cause, move |tx, moment| async move {
                ledger::begin_shopper_attempt(&tx, &moment, &id).await
            })
            .await?;
        let payment = match begun {
            Begun::Go(payment) => payment,
            Begun::Stop(Some(payment)) if payment.status == PaymentStatus::Succeeded => {
                return Ok(payment);
            }
            Begun::Stop(Some(Payment {
                attempt_at: Some(_),
                ..
            })) => {
                return Err(not_waiting(
                    "the payment is being confirmed already, look again soon",
                ));
            }
            Begun::Stop(_) => return Err(not_waiting("the payment has ended")),
        };
        let intent = payment
            .intent()
            .ok_or_else(|| Failure::not_found("payment intent", intent_id))?;
        let key = format!("confirm:{intent_id}:{}", payment.attempts);
        let state = match self.provider.confirm(&intent, token.as_ref(), &key).await {
            Ok(state) => state,
            Err(ProviderError::InvalidMethod) => {
                IntentState::Open(Some(Decline::of(INVALID_METHOD)))
            }
            Err(ProviderError::Declined(decline)) => IntentState::Open(Some(decline)),
            // It may have been charged: the attempt stays on record, and recovery asks again.
            Err(error) => return Err(unavailable(error)),
        };
        self.conclude(&payment, state, &cause).await
    }

    /// The token that a shopper named for this payment. When none is named it is that of their default
    /// method, and `None` without one: then their browser may have attached one at the provider.
    async fn method_named(
        &self,
        payment: &Payment,
        method: &str,
    ) -> Result<Option<Token>, Failure> {
        if method.is_empty() {
            return Ok(self.default_method(&payment.user_id).await?);
        }
        let invalid = |error: NotAMethod| Failure::invalid("payment_method", error.to_string());
        let named = Named::parse(method).map_err(invalid)?;
        let chargeable = self
            .chargeable(&payment.user_id, named)
            .await?
            .ok_or_else(|| invalid(NotAMethod::Malformed))?;
        Ok(Some(chargeable.token))
    }

    /// Records what a shopper's attempt came to.
    async fn conclude(
        &self,
        payment: &Payment,
        state: IntentState,
        cause: &Cause,
    ) -> Result<Payment, Failure> {
        let id = payment.order_id.clone();
        let decline = match state {
            IntentState::Paid(card) => {
                self.write(cause, move |tx, moment| async move {
                    ledger::settle(&tx, &moment, &id, &card).await
                })
                .await?;
                metrics::counter!("hub_payments_charges_total", "result" => "succeeded")
                    .increment(1);
                self.give_due().await?;
                return self.reread(payment).await;
            }
            IntentState::Processing => return self.reread(payment).await,
            IntentState::Open(decline) => decline.unwrap_or_else(|| Decline::of("card_declined")),
            IntentState::ActionRequired => Decline::of(AUTHENTICATION_REQUIRED),
            IntentState::Canceled => {
                self.write(cause, move |tx, moment| async move {
                    ledger::cancel(&tx, &moment, &id).await
                })
                .await?;
                return Err(not_waiting("the payment has ended"));
            }
        };
        let code = decline.code.clone();
        self.write(cause, move |tx, moment| async move {
            ledger::end_attempt(&tx, &moment, &id, &code).await
        })
        .await?;
        metrics::counter!("hub_payments_charges_total", "result" => "declined").increment(1);
        Err(declined(&decline).with_metadata(
            "payment_intent_id",
            payment.intent_id.clone().unwrap_or_default(),
        ))
    }

    async fn reread(&self, payment: &Payment) -> Result<Payment, Failure> {
        ledger::by_order(&self.store, &payment.order_id)
            .await?
            .ok_or_else(|| Failure::not_found("payment of order", &payment.order_id))
    }
}

/// A decline as the caller learns of it.
pub fn declined(decline: &Decline) -> Failure {
    Failure::new(Reason::PaymentDeclined, decline.reason.clone())
        .with_metadata("code", decline.code.clone())
}

fn not_waiting(why: &str) -> Failure {
    Failure::conflict(Reason::Conflict, why)
}
