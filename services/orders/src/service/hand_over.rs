//! Letting the goods of an order go.
//!
//! A carrier that takes a parcel and a customer who cancels its order must not both succeed: the units would
//! be free to be sold again while they travel. Both ask here, and what is decided first stays. The decision
//! is one fact in the order's saga, written in the transaction that looks at the facts, so of two that come
//! together one finds the other's.
//!
//! Before that, inventory is asked to commit the order's units: a hold that may expire, or did, is not
//! something to send a carrier for. What is committed is given back only when orders says so, and after the
//! decision it does not.

use std::time::Duration;

use contracts::hub::inventory::v1::{CommitOutcome, CommitRequest};
use mesh::{CallContext, Failure, Reason, store::Tx};

use crate::{
    cause::Cause,
    checkout::{Desk, SERVICE},
    domain::{
        order::status_name,
        saga::{Fact, Facts, HandOver},
    },
    store::{News, advance, facts_now, facts_of},
};

/// When to ask again for goods whose payment or stock is not known yet: events take less, as a rule.
const SOON: Duration = Duration::from_secs(1);

/// Decides that the goods of an order may leave, unless that was decided before. It may be repeated.
///
/// # Errors
/// `NOT_FOUND`; `INVALID_TRANSITION` for an order that was given up; `CONFLICT` for one that is not known to be
/// paid and held yet; inventory's, when it cannot be asked, and a store's: then nothing is decided.
pub(super) async fn hand_over(
    desk: &Desk,
    ctx: &CallContext,
    order_id: &str,
) -> Result<(), Failure> {
    let unknown = || Failure::not_found("order", order_id);
    let facts = facts_of(&desk.store, order_id).await?.ok_or_else(unknown)?;
    if is_decided(&facts)? {
        return Ok(());
    }
    commit_stock(desk, ctx, order_id, &facts).await?;
    let moment = desk.means.moment(Cause::call(ctx));
    let id = order_id.to_owned();
    desk.store
        .write(move |tx: Tx| async move {
            // Decided inside: the order may have been cancelled since.
            let facts = facts_now(&tx, &id)
                .await?
                .ok_or_else(|| Failure::not_found("order", &id))?;
            if is_decided(&facts)? {
                return Ok(());
            }
            let news = News {
                fact: Some(Fact::HandedOver),
                event_type: "OrderHandedOver",
                message: "The parcel is handed over to the carrier.".to_owned(),
                ..News::default()
            };
            advance(&tx, &moment, &id, news).await?;
            Ok::<_, Failure>(())
        })
        .await
}

/// Whether it was decided before that the goods leave; an error when they must not.
fn is_decided(facts: &Facts) -> Result<bool, Failure> {
    match facts.hand_over() {
        HandOver::Decided => Ok(true),
        HandOver::Possible => Ok(false),
        HandOver::Unpaid => Err(not_yet("The payment of the order is not known yet.")),
        HandOver::GivenUp => Err(must_stay(facts, "it was given up")),
    }
}

/// Makes sure that the order has its units and keeps them.
async fn commit_stock(
    desk: &Desk,
    ctx: &CallContext,
    order_id: &str,
    facts: &Facts,
) -> Result<(), Failure> {
    let request = CommitRequest {
        order_id: order_id.to_owned(),
    };
    let asked = ctx
        .as_service(SERVICE)
        .within(desk.means.config.lookup())
        .call(request);
    let answer = desk.inventory.clone().commit(asked).await?.into_inner();
    match answer.outcome() {
        CommitOutcome::Held => Ok(()),
        CommitOutcome::Awaited | CommitOutcome::Unspecified => {
            Err(not_yet("The stock of the order is not held yet."))
        }
        // Inventory has told so, or is about to; the order ends when that is heard.
        CommitOutcome::Lost => Err(must_stay(facts, "its stock is not held")),
    }
}

fn not_yet(why: &str) -> Failure {
    Failure::conflict(Reason::Conflict, format!("{why} Ask again soon.")).with_retry_after(SOON)
}

fn must_stay(facts: &Facts, why: &str) -> Failure {
    Failure::conflict(
        Reason::InvalidTransition,
        format!("The goods of the order must stay: {why}."),
    )
    .with_metadata("status", status_name(facts.status()))
}
