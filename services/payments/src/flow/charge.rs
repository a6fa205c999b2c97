//! Charging an order as a step of its saga.

use mesh::{
    CallContext, Failure, Money, args,
    store::{StoreError, Tx},
};

use super::{Desk, unavailable};
use crate::{
    cause::Cause,
    domain::{
        decline::{AUTHENTICATION_REQUIRED, Decline, INVALID_METHOD},
        method::{Named, Token},
    },
    ledger::{self, Begun, Flow, Moment, Opening, Payment, PaymentStatus},
    orders::Order,
    provider::{Card, Intent, IntentState, NewIntent, OpenIntent, ProviderError},
};

/// Who says that an order's goods are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Inventory, when it happened.
    First,
    /// The saga, because it waits for the payment.
    Again,
}

/// What is to be written because goods were reserved.
#[derive(Clone, Debug)]
pub enum Record {
    /// An intent is open and waits for the shopper.
    Awaiting(Opening),
    /// The goods of an order with an open intent are held now.
    GoodsHeld {
        /// Id of the order.
        order_id: String,
    },
    /// There was nothing to charge.
    Free(Opening),
    /// The provider has the money.
    Paid {
        /// Id of the order.
        order_id: String,
        /// The card that was charged.
        card: Card,
    },
    /// How it ended is told again.
    Retold {
        /// Id of the order.
        order_id: String,
    },
    /// It cannot be charged.
    Failed {
        /// The payment, should it not be open yet.
        opening: Opening,
        /// Why.
        decline: Decline,
    },
}

impl Record {
    /// Counts it in the metrics.
    pub fn count(&self) {
        let result = match self {
            Self::Awaiting(_) | Self::GoodsHeld { .. } => "awaiting",
            Self::Free(_) => "free",
            Self::Paid { .. } => "succeeded",
            Self::Retold { .. } => "retold",
            Self::Failed { .. } => "declined",
        };
        metrics::counter!("hub_payments_charges_total", "result" => result).increment(1);
    }

    /// Writes it.
    ///
    /// # Errors
    /// A store's.
    pub async fn write(self, tx: &Tx, moment: &Moment) -> Result<(), StoreError> {
        match self {
            Self::Awaiting(opening) => {
                ledger::open(tx, moment, &opening).await?;
                ledger::goods_held(tx, moment, &opening.order_id).await?;
            }
            Self::GoodsHeld { order_id } => ledger::goods_held(tx, moment, &order_id).await?,
            Self::Free(opening) => {
                let payment = ledger::open(tx, moment, &opening).await?;
                if !payment.closed {
                    ledger::settle(tx, moment, &opening.order_id, &Card::default()).await?;
                }
            }
            Self::Paid { order_id, card } => {
                ledger::settle(tx, moment, &order_id, &card).await?;
            }
            Self::Retold { order_id } => ledger::retell(tx, moment, &order_id).await?,
            Self::Failed { opening, decline } => {
                ledger::open(tx, moment, &opening).await?;
                ledger::fail(tx, moment, &opening.order_id, &decline).await?;
            }
        }
        Ok(())
    }
}

/// A method that can be charged, and whose it is at the provider.
pub(super) struct Chargeable {
    pub(super) token: Token,
    pub(super) customer: Option<String>,
}

impl Desk {
    /// Charges an order whose goods are held, and says what is to be written. It may be repeated.
    ///
    /// # Errors
    /// Anything technical: then it is to be tried again, and nothing is lost.
    pub async fn charge(
        &self,
        context: &CallContext,
        order_id: &str,
        correlation_id: &str,
        asked: Asked,
        cause: &Cause,
    ) -> Result<Option<Record>, Failure> {
        let order = self.orders.order(context, order_id).await?;
        if !order.open {
            return Ok(None);
        }
        let payment = ledger::by_order(&self.store, order_id).await?;
        if payment
            .as_ref()
            .is_some_and(|p| p.closed || p.status != PaymentStatus::Pending)
        {
            // An order that is still open after its payment has ended has not heard of the end.
            let retold = Record::Retold {
                order_id: order.order_id,
            };
            return Ok((asked == Asked::Again).then_some(retold));
        }
        if let Some(Payment {
            flow: Flow::Intent,
            goods_held,
            ..
        }) = payment
        {
            let order_id = order.order_id;
            return Ok((!goods_held).then_some(Record::GoodsHeld { order_id }));
        }
        let mut opening = Opening {
            order_id: order.order_id.clone(),
            user_id: order.user_id.clone(),
            flow: Flow::Direct,
            amount: order.total,
            intent: None,
            correlation_id: correlation_id.to_owned(),
        };
        if !order.total.is_positive() {
            return Ok(Some(Record::Free(opening)));
        }
        let intent = payment.as_ref().and_then(Payment::intent);
        if let Some(intent) = &intent
            && let Some(answer) = self.earlier_attempt(intent, &opening).await?
        {
            return Ok(answer);
        }
        let named = Named::parse(&order.payment_method);
        if named == Ok(Named::Intent) {
            opening.flow = Flow::Intent;
            opening.intent = Some(self.open_intent(&order, None).await?);
            return Ok(Some(Record::Awaiting(opening)));
        }
        let method = match named {
            Ok(named) => self.chargeable(&order.user_id, named).await?,
            Err(_) => None,
        };
        let Some(method) = method else {
            return self
                .decline(intent, opening, Decline::of(INVALID_METHOD))
                .await;
        };
        if intent.is_none() {
            opening.intent = Some(self.open_intent(&order, method.customer).await?);
        }
        let write = opening.clone();
        let begun = self
            .write(cause, move |tx, moment| async move {
                ledger::begin_direct(&tx, &moment, &write).await
            })
            .await?;
        let Begun::Go(payment) = begun else {
            return Ok(None);
        };
        let Some(intent) = payment.intent() else {
            return Ok(None);
        };
        // Only the first attempt can have its answer kept under the plain key: where an earlier one
        // failed at the provider itself, that failure would be all that the key ever gives.
        let key = match payment.attempts {
            1 => format!("order:{order_id}"),
            n => format!("order:{order_id}:{n}"),
        };
        let state = match self
            .provider
            .confirm(&intent, Some(&method.token), &key)
            .await
        {
            Ok(state) => state,
            Err(ProviderError::InvalidMethod) => {
                IntentState::Open(Some(Decline::of(INVALID_METHOD)))
            }
            Err(ProviderError::Declined(decline)) => IntentState::Open(Some(decline)),
            Err(error) => return Err(unavailable(error)),
        };
        match self.answer(&intent, opening, state).await? {
            Some(answer) => Ok(answer),
            None => Err(Failure::unavailable("the payment provider did not charge")),
        }
    }

    /// What an earlier attempt to charge the intent came to; `None` when it came to nothing.
    async fn earlier_attempt(
        &self,
        intent: &Intent,
        opening: &Opening,
    ) -> Result<Option<Option<Record>>, Failure> {
        let state = self.provider.retrieve(intent).await.map_err(unavailable)?;
        self.answer(intent, opening.clone(), state).await
    }

    /// What a state of the intent means for the saga; `None` when nothing has happened yet.
    async fn answer(
        &self,
        intent: &Intent,
        opening: Opening,
        state: IntentState,
    ) -> Result<Option<Option<Record>>, Failure> {
        let intent = Some(intent.clone());
        Ok(Some(match state {
            IntentState::Open(None) => return Ok(None),
            IntentState::Paid(card) => Some(Record::Paid {
                order_id: opening.order_id,
                card,
            }),
            IntentState::Open(Some(decline)) => self.decline(intent, opening, decline).await?,
            IntentState::ActionRequired => {
                self.decline(intent, opening, Decline::of(AUTHENTICATION_REQUIRED))
                    .await?
            }
            IntentState::Canceled => Some(Record::Failed {
                opening,
                decline: Decline::of("canceled"),
            }),
            // The attempt stays on record, and recovery looks at it until the provider knows.
            IntentState::Processing => None,
        }))
    }

    /// Ends a payment that was declined. The intent is cancelled first: were it left open, it could
    /// still be paid for an order that has gone.
    async fn decline(
        &self,
        intent: Option<Intent>,
        opening: Opening,
        decline: Decline,
    ) -> Result<Option<Record>, Failure> {
        let state = match &intent {
            Some(intent) => self.provider.cancel(intent).await.map_err(unavailable)?,
            None => IntentState::Canceled,
        };
        match state {
            IntentState::Canceled => Ok(Some(Record::Failed { opening, decline })),
            IntentState::Paid(card) => Ok(Some(Record::Paid {
                order_id: opening.order_id,
                card,
            })),
            _ => Err(Failure::unavailable(
                "the payment provider did not cancel a payment",
            )),
        }
    }

    /// Opens the order's intent at the provider; no money moves.
    pub(super) async fn open_intent(
        &self,
        order: &Order,
        customer: Option<String>,
    ) -> Result<OpenIntent, Failure> {
        let new = NewIntent {
            order_id: order.order_id.clone(),
            amount: order.total,
            customer,
        };
        // A key stands for one set of parameters.
        let key = match &new.customer {
            None => format!("order:{}:intent", order.order_id),
            Some(customer) => format!("order:{}:intent:{customer}", order.order_id),
        };
        self.provider
            .create_intent(&new, &key)
            .await
            .map_err(unavailable)
    }

    /// The provider's token of a named method, if the user may use it.
    pub(super) async fn chargeable(
        &self,
        user_id: &str,
        named: Named,
    ) -> Result<Option<Chargeable>, StoreError> {
        let id = match named {
            Named::Intent => return Ok(None),
            Named::Token(token) => {
                return Ok(Some(Chargeable {
                    token,
                    customer: None,
                }));
            }
            Named::Saved(id) => id,
        };
        let row = self
            .store
            .one(
                "SELECT provider_token, provider_customer FROM payment_methods \
                 WHERE payment_method_id = $1 AND user_id = $2",
                args![id, user_id],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let customer: String = row.get("provider_customer")?;
        Ok(Token::parse(row.get::<&str>("provider_token")?)
            .ok()
            .map(|token| Chargeable {
                token,
                customer: Some(customer).filter(|customer| !customer.is_empty()),
            }))
    }

    /// Opens a payment that the shopper will confirm, and gives the one there is.
    pub(super) async fn open_for_shopper(
        &self,
        order: &Order,
        cause: &Cause,
    ) -> Result<Payment, Failure> {
        let customer = self.customer_of(&order.user_id).await?;
        let opening = Opening {
            order_id: order.order_id.clone(),
            user_id: order.user_id.clone(),
            flow: Flow::Intent,
            amount: order.total,
            intent: Some(self.open_intent(order, customer).await?),
            correlation_id: order.order_id.clone(),
        };
        let payment = self
            .write(cause, move |tx, moment| async move {
                ledger::open(&tx, &moment, &opening).await
            })
            .await?;
        Ok(payment)
    }

    /// The provider's token of a user's default method.
    pub(super) async fn default_method(&self, user_id: &str) -> Result<Option<Token>, StoreError> {
        let row = self
            .store
            .one(
                "SELECT provider_token FROM payment_methods WHERE user_id = $1 AND is_default = TRUE",
                args![user_id],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Token::parse(row.get::<&str>("provider_token")?).ok())
    }

    /// The provider's id of a user who has saved a method.
    pub(super) async fn customer_of(&self, user_id: &str) -> Result<Option<String>, StoreError> {
        let row = self
            .store
            .one(
                "SELECT provider_customer FROM payment_methods \
                 WHERE user_id = $1 AND provider_customer <> '' \
                 ORDER BY is_default DESC, payment_method_id DESC LIMIT 1",
                args![user_id],
            )
            .await?;
        row.map(|row| row.get("provider_customer")).transpose()
    }
}

/// Whether a payment of `amount` is one of `wanted`.
pub(super) fn same(amount: Option<Money>, wanted: Money) -> bool {
    amount == Some(wanted)
}
