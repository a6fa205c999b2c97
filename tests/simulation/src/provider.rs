//! The payment provider: a company across the network, with books of its own that never crash.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use mesh::{Clock, Money};
use payments::{
    Decline, Token,
    provider::{
        Card, Intent, IntentState, KeptMethod, NewIntent, OpenIntent, Provider as Contract,
        ProviderError,
    },
};

use crate::world::{Place, State};

/// The provider's books.
#[derive(Debug, Default)]
pub struct Books {
    intents: BTreeMap<String, Entry>,
    /// What a key was answered, and is answered for ever.
    answers: BTreeMap<String, IntentState>,
    refunds: BTreeMap<String, i64>,
}

#[derive(Debug)]
struct Entry {
    order_id: String,
    amount: i64,
    state: IntentState,
    refunded: i64,
    /// When an undecided charge is decided, and how.
    decided: Option<(Duration, IntentState)>,
}

/// What an order has come to at the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Intents that were paid.
    pub charges: u64,
    /// Minor units taken.
    pub captured: i64,
    /// Minor units given back.
    pub refunded: i64,
    /// Intents that may still be paid.
    pub undecided: u64,
}

impl Books {
    /// Balances by order, at `now`.
    pub(crate) fn balances(&mut self, now: Duration) -> BTreeMap<String, Balance> {
        let mut balances: BTreeMap<String, Balance> = BTreeMap::new();
        for entry in self.intents.values_mut() {
            entry.look(now);
            let balance = balances.entry(entry.order_id.clone()).or_default();
            match &entry.state {
                IntentState::Paid(_) => {
                    balance.charges += 1;
                    balance.captured += entry.amount;
                    balance.refunded += entry.refunded;
                }
                IntentState::Processing => balance.undecided += 1,
                _ => {}
            }
        }
        balances
    }
}

impl Entry {
    fn look(&mut self, now: Duration) {
        if let Some((at, state)) = &self.decided
            && *at <= now
        {
            self.state = state.clone();
            self.decided = None;
        }
    }
}

/// The provider as the payments service sees it.
#[derive(Clone, Debug)]
pub struct Provider {
    place: Place,
    clock: Clock,
}

impl Provider {
    /// Reached from the process at `place`.
    pub fn new(place: Place, clock: Clock) -> Self {
        Self { place, clock }
    }

    /// Makes a request: it may take long, fail before it is done, or be done and fail all the same.
    async fn ask<T>(
        &self,
        what: &str,
        act: impl FnOnce(&mut State) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let world = &self.place.world;
        let (there, fails) = world.with(|state| {
            let faults = state.faults;
            (way(state), state.dice.hits(faults.provider_fails))
        });
        self.clock.sleep(there).await;
        if fails {
            world.with(|state| state.note(format_args!("provider fails to {what}")));
            return Err(ProviderError::Unavailable("out of order".to_owned()));
        }
        let (done, back, lies) = world.with(|state| {
            let done = act(state);
            let faults = state.faults;
            let lies = state.dice.hits(faults.provider_lies);
            let told = if lies {
                ", and says that it failed"
            } else {
                ""
            };
            state.note(format_args!("provider does {what}{told}"));
            (done, way(state), lies)
        });
        self.clock.sleep(back).await;
        if lies {
            return Err(ProviderError::Unavailable("bad gateway".to_owned()));
        }
        done
    }
}

fn way(state: &mut State) -> Duration {
    let slow = state.faults.provider_slow;
    if state.dice.hits(slow) {
        state.dice.micros(500_000, 25_000_000)
    } else {
        state.dice.micros(1_000, 80_000)
    }
}

fn card() -> Card {
    Card {
        brand: "visa".to_owned(),
        last4: "4242".to_owned(),
    }
}

/// What charging a token comes to: tokens say so themselves.
fn outcome(token: &Token) -> IntentState {
    if token.as_str().contains("Declined") {
        IntentState::Open(Some(Decline::of("card_declined")))
    } else {
        IntentState::Paid(card())
    }
}

fn unknown() -> ProviderError {
    ProviderError::Refused("there is no such intent".to_owned())
}

fn charge(
    state: &mut State,
    intent: &Intent,
    token: &Token,
    key: &str,
) -> Result<IntentState, ProviderError> {
    let undecided = state.faults.provider_undecided;
    let wait = state
        .dice
        .hits(undecided)
        .then(|| state.dice.micros(1_000_000, 90_000_000));
    let now = state.now;
    if let Some(answer) = state.books.answers.get(key) {
        return Ok(answer.clone());
    }
    let entry = state
        .books
        .intents
        .get_mut(&intent.intent_id)
        .ok_or_else(unknown)?;
    entry.look(now);
    if matches!(entry.state, IntentState::Open(_)) {
        if entry.amount != intent.amount.minor {
            return Err(ProviderError::Refused("the amount differs".to_owned()));
        }
        let outcome = outcome(token);
        match wait {
            None => entry.state = outcome,
            Some(wait) => {
                entry.state = IntentState::Processing;
                entry.decided = Some((now + wait, outcome));
            }
        }
    }
    let answer = entry.state.clone();
    let order_id = entry.order_id.clone();
    state.books.answers.insert(key.to_owned(), answer.clone());
    let paid = state
        .books
        .intents
        .values()
        .filter(|entry| entry.order_id == order_id)
        .filter(|entry| matches!(entry.state, IntentState::Paid(_) | IntentState::Processing))
        .count();
    if paid > 1 {
        state
            .violations
            .push(format!("order {order_id} is being charged {paid} times"));
    }
    Ok(answer)
}

#[async_trait]
impl Contract for Provider {
    async fn create_intent(&self, new: &NewIntent, key: &str) -> Result<OpenIntent, ProviderError> {
        let intent_id = format!("pi_{}", key.replace(':', "_"));
        let opened = OpenIntent {
            client_secret: format!("{intent_id}_secret"),
            intent_id: intent_id.clone(),
        };
        self.ask(&format!("open {key}"), |state| {
            state.books.intents.entry(intent_id).or_insert(Entry {
                order_id: new.order_id.clone(),
                amount: new.amount.minor,
                state: IntentState::Open(None),
                refunded: 0,
                decided: None,
            });
            Ok(opened)
        })
        .await
    }

    async fn confirm(
        &self,
        intent: &Intent,
        method: Option<&Token>,
        key: &str,
    ) -> Result<IntentState, ProviderError> {
        let token = method.ok_or(ProviderError::InvalidMethod)?;
        self.ask(&format!("charge {key}"), |state| {
            charge(state, intent, token, key)
        })
        .await
    }

    async fn retrieve(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        self.ask(&format!("look at {}", intent.intent_id), |state| {
            let now = state.now;
            let entry = state
                .books
                .intents
                .get_mut(&intent.intent_id)
                .ok_or_else(unknown)?;
            entry.look(now);
            Ok(entry.state.clone())
        })
        .await
    }

    async fn cancel(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        self.ask(&format!("cancel {}", intent.intent_id), |state| {
            let now = state.now;
            let entry = state
                .books
                .intents
                .get_mut(&intent.intent_id)
                .ok_or_else(unknown)?;
            entry.look(now);
            if matches!(
                entry.state,
                IntentState::Open(_) | IntentState::ActionRequired
            ) {
                entry.state = IntentState::Canceled;
            }
            Ok(entry.state.clone())
        })
        .await
    }

    async fn refund(&self, intent: &Intent, amount: Money, key: &str) -> Result<(), ProviderError> {
        self.ask(&format!("refund {key}"), |state| {
            if state.books.refunds.contains_key(key) {
                return Ok(());
            }
            let now = state.now;
            let entry = state
                .books
                .intents
                .get_mut(&intent.intent_id)
                .ok_or_else(unknown)?;
            entry.look(now);
            let paid = matches!(entry.state, IntentState::Paid(_));
            if !paid || entry.refunded + amount.minor > entry.amount {
                return Err(ProviderError::Refused("more than was charged".to_owned()));
            }
            entry.refunded += amount.minor;
            state.books.refunds.insert(key.to_owned(), amount.minor);
            Ok(())
        })
        .await
    }

    async fn keep_method(
        &self,
        _: &str,
        _: Option<&str>,
        _: &Token,
    ) -> Result<KeptMethod, ProviderError> {
        Err(ProviderError::InvalidMethod)
    }

    async fn forget_method(&self, _: &Token) -> Result<(), ProviderError> {
        Ok(())
    }
}
