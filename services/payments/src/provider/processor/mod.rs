//! The test processor: a payment provider inside the process, for demonstrations and tests.
//!
//! It behaves like one across the network in the respects that matter. Its books are durable and are
//! written in transactions of their own, so a crash can fall between its charge and our record of it; a
//! key makes a request happen once; an intent is paid at most once. And it counts the money, so that a
//! test can compare its books with ours.

mod cards;

use async_trait::async_trait;
use mesh::{
    Clock, Money, args,
    store::{Row, Store, StoreError, Tx},
};
use uuid::Uuid;

pub use cards::{Outcome, TestCard};

use super::{
    Card, Intent, IntentState, KeptMethod, NewIntent, OpenIntent, Provider, ProviderError,
};
use crate::domain::{
    decline::{AUTHENTICATION_REQUIRED, Decline},
    method::Token,
};

/// Namespace of the ids that are derived from idempotency keys.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_9f0e_54d1_5a51_8a3b_70c1_4a9d_11e7);
/// Test cards expire in December of the year after next.
const VALID_YEARS: i32 = 2;
const EXPIRY_MONTH: u32 = 12;

/// The test processor.
#[derive(Clone, Debug)]
pub struct TestProcessor {
    store: Store,
    clock: Clock,
}

impl From<StoreError> for ProviderError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl TestProcessor {
    /// With its books in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }
}

/// What an attempt to charge came to.
struct Attempt<'a> {
    outcome: &'static str,
    decline_code: &'a str,
}

async fn state_of(tx: &Tx, intent_id: &str) -> Result<Option<IntentState>, StoreError> {
    let row = tx
        .one(
            "SELECT state, brand, last4, decline_code FROM processor_intents WHERE intent_id = $1",
            args![intent_id],
        )
        .await?;
    row.as_ref().map(read_state).transpose()
}

fn read_state(row: &Row) -> Result<IntentState, StoreError> {
    Ok(match row.get::<String>("state")?.as_str() {
        "succeeded" => IntentState::Paid(Card {
            brand: row.get("brand")?,
            last4: row.get("last4")?,
        }),
        "canceled" => IntentState::Canceled,
        _ => match row.get::<String>("decline_code")?.as_str() {
            "" => IntentState::Open(None),
            AUTHENTICATION_REQUIRED => IntentState::ActionRequired,
            code => IntentState::Open(Some(Decline::of(code))),
        },
    })
}

#[async_trait]
impl Provider for TestProcessor {
    /// Moves nothing and therefore writes nothing: the intent's id follows from the key.
    async fn create_intent(
        &self,
        _new: &NewIntent,
        key: &str,
    ) -> Result<OpenIntent, ProviderError> {
        let id = Uuid::new_v5(&NAMESPACE, key.as_bytes()).simple();
        let secret = Uuid::new_v5(&NAMESPACE, format!("{key}:secret").as_bytes()).simple();
        Ok(OpenIntent {
            intent_id: format!("pi_test_{id}"),
            client_secret: format!("pi_test_{id}_secret_{secret}"),
        })
    }

    async fn confirm(
        &self,
        intent: &Intent,
        method: Option<&Token>,
        key: &str,
    ) -> Result<IntentState, ProviderError> {
        let card = method
            .and_then(TestCard::of)
            .ok_or(ProviderError::InvalidMethod)?;
        let (intent, key, now) = (intent.clone(), key.to_owned(), self.clock.now());
        let state = self
            .store
            .write(move |tx: Tx| async move {
                let decline = card.decline();
                let attempt = Attempt {
                    outcome: match card.outcome {
                        Outcome::Paid => "succeeded",
                        Outcome::Declined(_) => "declined",
                        Outcome::ActionRequired => "action_required",
                    },
                    decline_code: decline.as_ref().map_or("", |decline| decline.code.as_str()),
                };
                let repeated = tx
                    .one(
                        "SELECT 1 FROM processor_charges WHERE idempotency_key = $1",
                        args![&key],
                    )
                    .await?
                    .is_some();
                let currency = intent.amount.currency.to_string();
                tx.execute(
                    "INSERT INTO processor_intents (intent_id, state, currency) \
                     VALUES ($1, 'open', $2) ON CONFLICT (intent_id) DO NOTHING",
                    args![&intent.intent_id, &currency],
                )
                .await?;
                let charged = if attempt.outcome == "succeeded" { intent.amount.minor } else { 0 };
                let accepted = !repeated
                    && tx
                        .execute(
                            "UPDATE processor_intents SET state = $2, charged_minor = $3, brand = $4, \
                             last4 = $5, decline_code = $6 WHERE intent_id = $1 AND state = 'open'",
                            args![
                                &intent.intent_id,
                                if charged > 0 { "succeeded" } else { "open" },
                                charged,
                                &card.card.brand,
                                &card.card.last4,
                                attempt.decline_code,
                            ],
                        )
                        .await?
                        == 1;
                if accepted {
                    tx.execute(
                        "INSERT INTO processor_charges (idempotency_key, intent_id, amount_minor, \
                         currency, outcome, decline_code, created_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7)",
                        args![
                            &key,
                            &intent.intent_id,
                            intent.amount.minor,
                            &currency,
                            attempt.outcome,
                            attempt.decline_code,
                            now,
                        ],
                    )
                    .await?;
                }
                let state = state_of(&tx, &intent.intent_id).await?;
                Ok::<_, StoreError>(state.unwrap_or(IntentState::Open(None)))
            })
            .await?;
        Ok(state)
    }

    async fn retrieve(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        let row = self
            .store
            .one(
                "SELECT state, brand, last4, decline_code FROM processor_intents \
                 WHERE intent_id = $1",
                args![&intent.intent_id],
            )
            .await?;
        Ok(match row {
            Some(row) => read_state(&row)?,
            None => IntentState::Open(None),
        })
    }

    async fn cancel(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        let intent = intent.clone();
        let state = self
            .store
            .write(move |tx: Tx| async move {
                tx.execute(
                    "INSERT INTO processor_intents (intent_id, state, currency) \
                     VALUES ($1, 'canceled', $2) \
                     ON CONFLICT (intent_id) DO UPDATE SET state = 'canceled' \
                     WHERE processor_intents.state = 'open'",
                    args![&intent.intent_id, intent.amount.currency.to_string()],
                )
                .await?;
                let state = state_of(&tx, &intent.intent_id).await?;
                Ok::<_, StoreError>(state.unwrap_or(IntentState::Canceled))
            })
            .await?;
        Ok(state)
    }

    async fn refund(&self, intent: &Intent, amount: Money, key: &str) -> Result<(), ProviderError> {
        let (intent_id, key, now) = (intent.intent_id.clone(), key.to_owned(), self.clock.now());
        let given =
            self.store
                .write(move |tx: Tx| async move {
                    let fresh = tx
                    .execute(
                        "INSERT INTO processor_refunds (idempotency_key, intent_id, amount_minor, \
                         currency, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                        args![&key, &intent_id, amount.minor, amount.currency.to_string(), now],
                    )
                    .await?
                    == 1;
                    if !fresh {
                        return Ok(());
                    }
                    let given = tx
                        .execute(
                            "UPDATE processor_intents SET refunded_minor = refunded_minor + $2 \
                         WHERE intent_id = $1 AND state = 'succeeded' AND currency = $3 \
                         AND refunded_minor + $2 <= charged_minor",
                            args![&intent_id, amount.minor, amount.currency.to_string()],
                        )
                        .await?;
                    if given == 1 {
                        Ok(())
                    } else {
                        Err(Refusal::Excess)
                    }
                })
                .await;
        match given {
            Ok(()) => Ok(()),
            Err(Refusal::Excess) => Err(ProviderError::Refused(
                "the refund is larger than what is left of the charge".to_owned(),
            )),
            Err(Refusal::Store(error)) => Err(error.into()),
        }
    }

    async fn keep_method(
        &self,
        user_id: &str,
        _customer: Option<&str>,
        token: &Token,
    ) -> Result<KeptMethod, ProviderError> {
        let test = TestCard::of(token).ok_or(ProviderError::InvalidMethod)?;
        if let (Some(decline), false) = (test.decline(), test.can_be_kept) {
            return Err(ProviderError::Declined(decline));
        }
        let year = chrono::Datelike::year(&self.clock.now());
        Ok(KeptMethod {
            token: token.clone(),
            customer: format!("cus_test_{user_id}"),
            card: test.card,
            exp_month: EXPIRY_MONTH,
            exp_year: year + VALID_YEARS,
        })
    }

    async fn forget_method(&self, _token: &Token) -> Result<(), ProviderError> {
        Ok(())
    }

    /// The test processor has no page where a browser could pay: a signed event plays that part.
    async fn paid_elsewhere(&self, intent: &Intent, card: &Card) -> Result<(), ProviderError> {
        let (intent, card) = (intent.clone(), card.clone());
        self.store
            .write(move |tx: Tx| async move {
                tx.execute(
                    "INSERT INTO processor_intents (intent_id, state, currency, charged_minor, \
                     brand, last4) VALUES ($1, 'succeeded', $2, $3, $4, $5) \
                     ON CONFLICT (intent_id) DO UPDATE SET state = 'succeeded', \
                     charged_minor = excluded.charged_minor, brand = excluded.brand, \
                     last4 = excluded.last4 WHERE processor_intents.state = 'open'",
                    args![
                        &intent.intent_id,
                        intent.amount.currency.to_string(),
                        intent.amount.minor,
                        card.brand,
                        card.last4,
                    ],
                )
                .await?;
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(())
    }
}

enum Refusal {
    Excess,
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
