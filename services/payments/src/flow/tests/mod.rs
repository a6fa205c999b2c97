//! Money under bad luck: every order of events, repeated ones, and a provider that fails before or after
//! it has done its work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use chrono::DateTime;
use flaky::{Flaky, Switch};
use mesh::{
    CallContext, Clock, Failure, Ids, Money, Principal, Role, User, args,
    store::{Store, Tx},
};

use super::{Asked, Caller, Desk};
use crate::{
    cause::Cause,
    ledger::{self, PaymentStatus},
    migrations,
    orders::{Order, OrderBook},
    provider::processor::TestProcessor,
};

mod charging;
mod flaky;
mod interleavings;
mod refunding;
mod shopper;
mod webhooks;

const ORDER: &str = "0199a3c0-7b1e-7000-8000-000000000001";
const USER: &str = "0199a3c0-7b1e-7000-8000-0000000000aa";
const TOTAL: i64 = 10_000;

/// One order.
struct Book {
    open: AtomicBool,
    method: String,
    total: Money,
}

#[async_trait]
impl OrderBook for Book {
    async fn order(&self, _: &CallContext, order_id: &str) -> Result<Order, Failure> {
        Ok(Order {
            order_id: order_id.to_owned(),
            user_id: USER.to_owned(),
            total: self.total,
            payment_method: self.method.clone(),
            open: self.open.load(Ordering::SeqCst),
            reserved: true,
        })
    }
}

struct World {
    desk: Desk,
    book: Arc<Book>,
    fails: Arc<Switch>,
    clock: Clock,
}

/// What the processor and the outbox say in the end.
#[derive(Debug, PartialEq, Eq)]
struct Audit {
    charges: i64,
    charged: i64,
    refunded: i64,
    paid_events: i64,
    failed_events: i64,
    refund_events: i64,
}

fn caller(role: Role, subject: &str, clock: &Clock) -> Caller {
    let user = User {
        subject: subject.to_owned(),
        ..User::default()
    };
    Caller {
        context: CallContext::new(clock.clone(), "r-1")
            .with_principal(Principal::user(role, user).unwrap()),
    }
}

impl World {
    async fn new(method: &str) -> Self {
        Self::with_total(method, TOTAL).await
    }

    async fn with_total(method: &str, total: i64) -> Self {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ids = Ids::seeded(clock.clone(), 7);
        let store = Store::scratch("payments", migrations::ALL, clock.clone(), ids.clone())
            .await
            .unwrap();
        let book = Arc::new(Book {
            open: AtomicBool::new(true),
            method: method.to_owned(),
            total: Money::new(total, mesh::Currency::USD),
        });
        let fails = Arc::new(Switch::default());
        let desk = Desk {
            provider: Arc::new(Flaky {
                inner: TestProcessor::new(store.clone(), clock.clone()),
                fails: Arc::clone(&fails),
            }),
            orders: Arc::clone(&book) as Arc<dyn OrderBook>,
            store,
            clock: clock.clone(),
            ids,
        };
        Self {
            desk,
            book,
            fails,
            clock,
        }
    }

    fn shopper(&self) -> Caller {
        caller(Role::Customer, USER, &self.clock)
    }

    /// The saga's step as the consumer does it: react, then write.
    async fn charge(&self) -> Result<(), Failure> {
        self.charge_as(Asked::First).await
    }

    async fn charge_as(&self, asked: Asked) -> Result<(), Failure> {
        let context = CallContext::new(self.clock.clone(), "e-1");
        let cause = Cause::default();
        if let Some(record) = self
            .desk
            .charge(&context, ORDER, ORDER, asked, &cause)
            .await?
        {
            let moment = self.desk.moment(&cause);
            self.desk
                .store
                .write(move |tx: Tx| async move { record.write(&tx, &moment).await })
                .await?;
        }
        Ok(())
    }

    /// The provider charges, and the process dies before it writes that down.
    async fn charge_and_die(&self) {
        let context = CallContext::new(self.clock.clone(), "e-1");
        let _ = self
            .desk
            .charge(&context, ORDER, ORDER, Asked::First, &Cause::default())
            .await;
    }

    async fn cancel(&self) -> Result<(), Failure> {
        self.book.open.store(false, Ordering::SeqCst);
        self.desk
            .cancel(ORDER, ORDER, "changed my mind", &Cause::default())
            .await
    }

    async fn refund(&self, minor: Option<i64>) -> Result<(), Failure> {
        let payment = ledger::by_order(&self.desk.store, ORDER)
            .await?
            .ok_or_else(|| Failure::not_found("payment", ORDER))?;
        let amount = minor.map(|minor| Money::new(minor, mesh::Currency::USD));
        self.desk
            .refund(&payment, amount, "", &Cause::default())
            .await?;
        Ok(())
    }

    async fn status(&self) -> Option<PaymentStatus> {
        Some(
            ledger::by_order(&self.desk.store, ORDER)
                .await
                .unwrap()?
                .status,
        )
    }

    async fn number(&self, sql: &str) -> i64 {
        let row = self.desk.store.one(sql, args![]).await.unwrap().unwrap();
        row.get(0).unwrap()
    }

    async fn events(&self, kind: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM outbox WHERE event_type = '{kind}'");
        self.number(&sql).await
    }

    async fn audit(&self) -> Audit {
        Audit {
            charges: self
                .number("SELECT count(*) FROM processor_charges WHERE outcome = 'succeeded'")
                .await,
            charged: self
                .number("SELECT coalesce(sum(charged_minor), 0) FROM processor_intents")
                .await,
            refunded: self
                .number("SELECT coalesce(sum(amount_minor), 0) FROM processor_refunds")
                .await,
            paid_events: self.events("PaymentProcessed").await,
            failed_events: self.events("PaymentFailed").await,
            refund_events: self.events("RefundProcessed").await,
        }
    }

    /// Nobody was charged twice, the books agree with the processor's, and nothing is left half done.
    async fn check(&self) {
        let audit = self.audit().await;
        assert!(audit.charges <= 1 && audit.paid_events <= 1, "{audit:?}");
        assert!(audit.refunded <= audit.charged, "{audit:?}");
        let own = "SELECT coalesce(sum(amount_minor), 0) FROM payments WHERE status = 'succeeded'";
        assert_eq!(self.number(own).await, audit.charged, "{audit:?}");
        assert_eq!(
            self.number("SELECT coalesce(sum(refunded_minor), 0) FROM payments")
                .await,
            audit.refunded,
            "{audit:?}"
        );
        assert_eq!(audit.paid_events > 0, audit.charged > 0, "{audit:?}");
        // An end may be told again, but none goes untold.
        let given = "SELECT count(*) FROM refunds WHERE status = 'succeeded'";
        assert!(audit.refund_events >= self.number(given).await, "{audit:?}");
        assert_eq!(
            self.number("SELECT count(*) FROM refunds WHERE status = 'pending'")
                .await,
            0
        );
        if !self.book.open.load(Ordering::SeqCst) {
            assert_eq!(
                audit.refunded, audit.charged,
                "a cancelled order keeps nothing: {audit:?}"
            );
        }
    }
}
