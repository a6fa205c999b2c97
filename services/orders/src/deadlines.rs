//! Ends what does not end by itself: every waiting step has a deadline, and this looks at those that have
//! passed.
//!
//! Every process that runs orders looks. None needs to lead: what to do is decided again inside the
//! transaction that does it, so of two that saw the same deadline one finds nothing left to do.

use chrono::{DateTime, Utc};
use futures::future::join_all;
use mesh::{
    Failure, Shutdown,
    events::{Data, Emission},
    store::{Store, StoreError, Tx},
};

use crate::{
    announce,
    cause::Cause,
    domain::saga::{Fact, Facts, Timeout, step_name},
    means::Means,
    measures,
    store::{News, SagaView, advance, due, find_order, find_saga, grant_grace, note, repeat},
};

/// Sagas looked at in one go. More wait for the next, so that a mass timeout does not keep the writer
/// from the orders of the moment.
const BATCH: i64 = 100;
/// Batches handled before the clock is looked at again.
const BATCHES: usize = 100;

/// Handles the sagas that are past their deadline; returns how many.
///
/// # Errors
/// A store's.
pub(crate) async fn enforce(store: &Store, means: &Means) -> Result<usize, Failure> {
    let mut handled = 0;
    for _ in 0..BATCHES {
        let overdue = due(store, means.clock.now(), BATCH).await?;
        let full = overdue.len() as i64 == BATCH;
        // Together, so that they share commits.
        let ended = join_all(
            overdue
                .iter()
                .map(|order_id| time_out(store, means, order_id)),
        )
        .await;
        for one in ended {
            handled += usize::from(one?);
        }
        if !full {
            break;
        }
    }
    Ok(handled)
}

async fn time_out(store: &Store, means: &Means, order_id: &str) -> Result<bool, Failure> {
    let Some(saga) = find_saga(store, order_id).await? else {
        return Ok(false);
    };
    let moment = means.moment(Cause::default());
    let still_due = saga.deadline.is_some_and(|deadline| deadline <= moment.now);
    if !still_due {
        return Ok(false);
    }
    match saga.facts.time_out() {
        Timeout::GiveUp(reason) => give_up(store, means, &saga, reason).await?,
        Timeout::TellAgain => tell_again(store, means, &saga).await?,
        Timeout::Close => {
            let news = News {
                fact: Some(Fact::Completed),
                event_type: "OrderCompleted",
                message: "The order is closed.".to_owned(),
                ..News::default()
            };
            let order_id = order_id.to_owned();
            store
                .write(move |tx: Tx| async move {
                    advance(&tx, &moment, &order_id, news).await.map(drop)
                })
                .await
                .map_err(|error: StoreError| Failure::from(error))?;
        }
        // The step has moved on since the deadline was set; the row is brought into line.
        Timeout::Nothing => {
            let order_id = order_id.to_owned();
            store
                .write(move |tx: Tx| async move { repeat(&tx, &moment, &order_id, "").await })
                .await
                .map_err(|error: StoreError| Failure::from(error))?;
        }
    }
    Ok(true)
}

async fn give_up(
    store: &Store,
    means: &Means,
    saga: &SagaView,
    reason: &'static str,
) -> Result<(), Failure> {
    let moment = means.moment(Cause::default());
    let order_id = saga.order_id.clone();
    let (facts, deadline, step) = (saga.facts, saga.deadline, step_name(saga.step));
    store
        .write(move |tx: Tx| async move {
            if !still_waits(&tx, &order_id, &facts, moment.now).await? {
                return Ok(());
            }
            let news = News {
                fact: Some(Fact::Cancelled),
                event_type: "OrderCancelled",
                message: format!("The order was cancelled: {reason}"),
                reason: reason.to_owned(),
                by: "system",
                ..News::default()
            };
            advance(&tx, &moment, &order_id, news).await?;
            let late = order_id.clone();
            tx.after_commit(move || {
                tracing::warn!(order_id = late, step, "an order ran out of time");
                measures::count_outcome("cancelled");
                metrics::counter!("hub_saga_timeouts_total", "step" => step).increment(1);
            });
            let since = deadline.map_or_else(String::new, |at| format!(" (deadline {at})"));
            note(
                &tx,
                &moment,
                &order_id,
                "timer",
                "deadline",
                &format!("{reason}{since}"),
            )
            .await
        })
        .await
        .map_err(|error: StoreError| Failure::from(error))?;
    Ok(())
}

/// Whether a saga still is where it was when it was read, and still overdue: a step may have been done, or
/// another process may have looked at the deadline, while this waited its turn.
async fn still_waits(
    tx: &Tx,
    order_id: &str,
    facts: &Facts,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let row = tx
        .one(
            "SELECT 1 FROM sagas WHERE order_id = $1 AND facts = $2 AND due_at <= $3",
            mesh::args![order_id, facts.bits(), now],
        )
        .await?;
    Ok(row.is_some())
}

async fn tell_again(store: &Store, means: &Means, saga: &SagaView) -> Result<(), Failure> {
    let Some(order) = find_order(store, &saga.order_id).await? else {
        return Ok(());
    };
    let moment = means.moment(Cause::default());
    let data = Data::OrderCancelled(announce::cancelled(&order, "system"));
    let problem = match (saga.facts.stock_held(), saga.facts.charged()) {
        (_, true) => "the refund is not confirmed",
        (true, false) => "the release of the stock is not confirmed",
        (false, false) => "the end of the order is not confirmed",
    };
    let facts = saga.facts;
    store
        .write(move |tx: Tx| async move {
            let order_id = &order.order_id;
            if !still_waits(&tx, order_id, &facts, moment.now).await? {
                return Ok(());
            }
            let emission = moment.cause.mark(Emission::new(order_id, data), order_id);
            tx.emit(emission).await?;
            repeat(&tx, &moment, order_id, problem).await?;
            note(&tx, &moment, order_id, "timer", "deadline", problem).await
        })
        .await
        .map_err(|error: StoreError| Failure::from(error))
}

/// Looks at deadlines until the shutdown.
///
/// # Errors
/// A failure that will not go away by itself.
pub(crate) async fn run(store: &Store, means: &Means, shutdown: Shutdown) -> Result<(), Failure> {
    // Time that passed while nothing could happen is nobody's fault: steps get a chance to be done first.
    match grant_grace(store, means.clock.now(), means.config.grace()).await {
        Ok(0) => {}
        Ok(moved) => tracing::info!(
            moved,
            "deadlines that passed while the service was down were put off"
        ),
        Err(error) => tracing::warn!(%error, "deadlines could not be put off"),
    }
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = means.clock.sleep(means.config.deadline_interval()) => {}
        }
        match enforce(store, means).await {
            Ok(_) => {}
            Err(failure) if failure.reason().is_internal() => return Err(failure),
            Err(failure) => tracing::warn!(%failure, "deadlines could not be looked at"),
        }
    }
}
