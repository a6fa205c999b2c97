#![allow(clippy::unwrap_used)]
//! Money under bad luck: every order of events, repeated ones, and a provider that fails before or after
//! it has done its work.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::DateTime;
use mesh::{
    CallContext, Clock, Failure, Ids, Money, Principal, Reason, Role, User, args,
    store::{Store, Tx},
};
use proptest::prelude::*;
use switch::Switch;

use super::{Asked, Caller, Desk, WebhookKey};
use crate::{
    cause::Cause,
    domain::method::Token,
    ledger::{self, PaymentStatus},
    migrations,
    orders::{Order, OrderBook},
    provider::{
        Card, Intent, IntentState, KeptMethod, NewIntent, OpenIntent, Provider, ProviderError,
        processor::TestProcessor,
    },
};

const ORDER: &str = "0199a3c0-7b1e-7000-8000-000000000001";
const USER: &str = "0199a3c0-7b1e-7000-8000-0000000000aa";
const TOTAL: i64 = 10_000;

mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    /// When the provider fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fails {
        Never,
        Before,
        After,
    }

    #[derive(Debug, Default)]
    pub struct Switch(AtomicU8);

    impl Switch {
        pub fn set(&self, fails: Fails) {
            self.0.store(fails as u8, Ordering::SeqCst);
        }

        pub fn get(&self) -> Fails {
            match self.0.load(Ordering::SeqCst) {
                1 => Fails::Before,
                2 => Fails::After,
                _ => Fails::Never,
            }
        }
    }
}
use switch::Fails;

/// The test processor behind a bad line.
struct Flaky {
    inner: TestProcessor,
    fails: Arc<Switch>,
}

impl Flaky {
    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let lost = || Err(ProviderError::Unavailable("the line is down".to_owned()));
        match self.fails.get() {
            Fails::Before => lost(),
            Fails::Never => call.await,
            Fails::After => {
                let _ = call.await;
                lost()
            }
        }
    }
}

#[async_trait]
impl Provider for Flaky {
    async fn create_intent(&self, new: &NewIntent, key: &str) -> Result<OpenIntent, ProviderError> {
        self.call(self.inner.create_intent(new, key)).await
    }
    async fn confirm(
        &self,
        intent: &Intent,
        method: Option<&Token>,
        key: &str,
    ) -> Result<IntentState, ProviderError> {
        self.call(self.inner.confirm(intent, method, key)).await
    }
    async fn retrieve(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        self.call(self.inner.retrieve(intent)).await
    }
    async fn cancel(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        self.call(self.inner.cancel(intent)).await
    }
    async fn refund(&self, intent: &Intent, amount: Money, key: &str) -> Result<(), ProviderError> {
        self.call(self.inner.refund(intent, amount, key)).await
    }
    async fn keep_method(
        &self,
        user_id: &str,
        customer: Option<&str>,
        token: &Token,
    ) -> Result<KeptMethod, ProviderError> {
        self.inner.keep_method(user_id, customer, token).await
    }
    async fn forget_method(&self, token: &Token) -> Result<(), ProviderError> {
        self.inner.forget_method(token).await
    }
    async fn paid_elsewhere(&self, intent: &Intent, card: &Card) -> Result<(), ProviderError> {
        self.inner.paid_elsewhere(intent, card).await
    }
}

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
        let store = Store::temporary("payments", migrations::ALL, clock.clone(), ids.clone())
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

#[tokio::test]
async fn an_order_is_charged_once_however_often_it_is_asked_for() {
    let world = World::new("pm_card_visa").await;
    for _ in 0..3 {
        world.charge().await.unwrap();
    }
    let audit = world.audit().await;
    assert_eq!(
        (audit.charges, audit.charged, audit.paid_events),
        (1, TOTAL, 1)
    );
    let key = "SELECT count(*) FROM processor_charges WHERE idempotency_key = 'order:0199a3c0-7b1e-7000-8000-000000000001'";
    assert_eq!(world.number(key).await, 1);
    world.check().await;
}

#[tokio::test]
async fn a_crash_after_the_charge_does_not_charge_again() {
    let world = World::new("pm_card_visa").await;
    world.charge_and_die().await;
    world.fails.set(Fails::After);
    world.charge().await.unwrap_err();
    world.fails.set(Fails::Never);
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
    world.check().await;
}

#[tokio::test]
async fn a_charge_whose_order_is_cancelled_meanwhile_goes_back() {
    let world = World::new("pm_card_visa").await;
    world.charge_and_die().await;
    world.cancel().await.unwrap();
    world.charge().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.charged, audit.refunded), (TOTAL, TOTAL));
    world.check().await;
}

#[tokio::test]
async fn a_cancellation_that_comes_first_forbids_the_charge() {
    let world = World::new("pm_card_visa").await;
    world.cancel().await.unwrap();
    world.book.open.store(true, Ordering::SeqCst);
    world.charge().await.unwrap();
    assert_eq!(world.audit().await.charged, 0);
    assert_eq!(world.status().await, Some(PaymentStatus::Canceled));
}

#[tokio::test]
async fn declines_fail_the_payment_with_their_code() {
    for (method, code) in [
        ("pm_card_chargeDeclined", "card_declined"),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            "insufficient_funds",
        ),
        ("pm_card_chargeDeclinedProcessingError", "processing_error"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_nobody_knows", "invalid_payment_method"),
        ("4242424242424242", "invalid_payment_method"),
        (
            "0199a3c0-7b1e-7000-8000-0000000000ff",
            "invalid_payment_method",
        ),
    ] {
        let world = World::new(method).await;
        for _ in 0..2 {
            world.charge().await.unwrap();
        }
        let payment = ledger::by_order(&world.desk.store, ORDER)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (payment.status, payment.failure_code.as_str()),
            (PaymentStatus::Failed, code),
            "{method}"
        );
        assert_eq!(world.audit().await.failed_events, 1, "{method}");
        world.check().await;
    }
}

#[tokio::test]
async fn a_saga_that_missed_the_end_is_told_again() {
    let world = World::new("pm_card_visa").await;
    world.charge().await.unwrap();
    world.charge_as(Asked::Again).await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.charges, audit.paid_events), (1, 2));
    world.cancel().await.unwrap();
    world.cancel().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (TOTAL, 2));
    let same = "SELECT count(DISTINCT refund_id) FROM refunds";
    assert_eq!(world.number(same).await, 1);

    let world = World::new("pm_card_chargeDeclined").await;
    world.charge().await.unwrap();
    world.charge_as(Asked::Again).await.unwrap();
    assert_eq!(world.audit().await.failed_events, 2);
}

#[tokio::test]
async fn a_provider_that_is_away_fails_no_payment() {
    let world = World::new("pm_card_visa").await;
    world.fails.set(Fails::Before);
    for _ in 0..3 {
        world.charge().await.unwrap_err();
    }
    assert_eq!(world.audit().await.failed_events, 0);
    world.fails.set(Fails::Never);
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
}

#[tokio::test]
async fn an_order_that_costs_nothing_is_paid_without_the_provider() {
    let world = World::with_total("pm_card_visa", 0).await;
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
    let audit = world.audit().await;
    assert_eq!((audit.charges, audit.paid_events), (0, 1));
    let refused = world.refund(None).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AlreadyRefunded);
}

#[tokio::test]
async fn eight_parallel_refunds_give_one() {
    let world = Arc::new(World::new("pm_card_visa").await);
    world.charge().await.unwrap();
    let refunds = (0..8).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.refund(None).await })
    });
    let mut given = 0;
    for refund in futures::future::join_all(refunds).await {
        match refund.unwrap() {
            Ok(()) => given += 1,
            Err(failure) => assert_eq!(failure.reason(), Reason::AlreadyRefunded),
        }
    }
    assert_eq!(given, 1);
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (TOTAL, 1));
    world.check().await;
}

#[tokio::test]
async fn refunds_never_exceed_the_payment() {
    let world = World::new("pm_card_visa").await;
    assert_eq!(
        world.refund(None).await.unwrap_err().reason(),
        Reason::NotFound
    );
    world.charge().await.unwrap();
    world.refund(Some(4_000)).await.unwrap();
    let too_much = world.refund(Some(6_001)).await.unwrap_err();
    assert_eq!(too_much.reason(), Reason::RefundExceedsPayment);
    assert_eq!(too_much.metadata()["left"], "60.00 USD");
    world.refund(Some(6_000)).await.unwrap();
    assert_eq!(
        world.refund(Some(1)).await.unwrap_err().reason(),
        Reason::AlreadyRefunded
    );
    assert_eq!(
        world.refund(Some(0)).await.unwrap_err().reason(),
        Reason::InvalidArgument
    );
    world.check().await;
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_finished_once() {
    let world = World::new("pm_card_visa").await;
    world.charge().await.unwrap();
    world.fails.set(Fails::After);
    world.refund(Some(2_500)).await.unwrap();
    assert_eq!(world.audit().await.refund_events, 0);
    world.fails.set(Fails::Never);
    world.clock.advance(Duration::from_secs(120));
    world.desk.recover().await.unwrap();
    world.desk.recover().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (2_500, 1));
    world.check().await;
}

#[tokio::test]
async fn a_refund_that_two_finish_counts_once() {
    let world = World::new("pm_card_visa").await;
    world.charge().await.unwrap();
    let due = world
        .desk
        .write(&Cause::default(), |tx, moment| async move {
            let new = ledger::NewRefund {
                key: None,
                reason: String::new(),
            };
            let size = ledger::RefundSize::Exactly(2_500);
            ledger::reserve_refund(&tx, &moment, ORDER, size, new, moment.now).await
        })
        .await
        .unwrap()
        .unwrap();
    for _ in 0..2 {
        world.desk.give(&due).await.unwrap();
    }
    world.desk.recover().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (2_500, 1));
    world.check().await;
}

#[tokio::test]
async fn a_shopper_pays_an_intent() {
    let world = World::new("intent").await;
    let shopper = world.shopper();
    let desk = &world.desk;
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Pending));
    let wrong = Some(Money::new(1, mesh::Currency::USD));
    let refused = desk
        .create_intent(&shopper, ORDER, wrong)
        .await
        .unwrap_err();
    assert_eq!(refused.fields()[0].field, "amount");
    let stranger = caller(Role::Customer, "somebody", &world.clock);
    let hidden = desk
        .create_intent(&stranger, ORDER, None)
        .await
        .unwrap_err();
    assert_eq!(hidden.reason(), Reason::NotFound);

    let first = desk.create_intent(&shopper, ORDER, None).await.unwrap();
    let again = desk.create_intent(&shopper, ORDER, None).await.unwrap();
    assert_eq!(first.intent_id, again.intent_id);
    let intent = first.intent_id.unwrap();
    let hidden = desk
        .confirm(&stranger, &intent, "pm_card_visa")
        .await
        .unwrap_err();
    assert_eq!(hidden.reason(), Reason::NotFound);
    let number = desk
        .confirm(&shopper, &intent, "4242 4242 4242 4242")
        .await
        .unwrap_err();
    assert_eq!(number.reason(), Reason::InvalidArgument);

    let declined = desk
        .confirm(&shopper, &intent, "pm_card_chargeDeclinedInsufficientFunds")
        .await
        .unwrap_err();
    assert_eq!(declined.reason(), Reason::PaymentDeclined);
    assert_eq!(declined.metadata()["code"], "insufficient_funds");
    assert_eq!(world.audit().await.failed_events, 0);

    let paid = desk
        .confirm(&shopper, &intent, "pm_card_mastercard")
        .await
        .unwrap();
    assert_eq!(
        (paid.status, paid.card.last4.as_str()),
        (PaymentStatus::Succeeded, "4444")
    );
    desk.confirm(&shopper, &intent, "pm_card_visa")
        .await
        .unwrap();
    let over = desk.create_intent(&shopper, ORDER, None).await.unwrap_err();
    assert_eq!(over.reason(), Reason::Conflict);
    world.check().await;
}

#[tokio::test]
async fn a_confirmation_whose_answer_is_lost_is_settled_by_recovery() {
    let world = World::new("intent").await;
    world.charge().await.unwrap();
    let intent = world
        .desk
        .create_intent(&world.shopper(), ORDER, None)
        .await
        .unwrap()
        .intent_id
        .unwrap();
    world.fails.set(Fails::After);
    world
        .desk
        .confirm(&world.shopper(), &intent, "pm_card_visa")
        .await
        .unwrap_err();
    world.fails.set(Fails::Never);
    let busy = world
        .desk
        .confirm(&world.shopper(), &intent, "pm_card_visa")
        .await
        .unwrap_err();
    assert_eq!(busy.reason(), Reason::Conflict);
    world.clock.advance(Duration::from_secs(61));
    world.desk.recover().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
    world.check().await;
}

const SECRET: &str = "whsec_test";

fn signed(body: &str, seconds: i64) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{body}").as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}

impl World {
    async fn webhook(&self, body: &str) -> Result<(), Failure> {
        let key = WebhookKey {
            secret: SECRET.to_owned().into(),
            tolerance_seconds: 300,
        };
        let header = signed(body, self.clock.now().timestamp());
        self.desk
            .webhook(&key, Some(&header), body.as_bytes(), &Cause::default())
            .await
    }
}

fn event(id: &str, kind: &str, object: &str) -> String {
    format!(r#"{{"id":"{id}","type":"{kind}","data":{{"object":{object}}}}}"#)
}

#[tokio::test]
async fn a_webhook_pays_only_what_the_order_costs() {
    let world = World::new("intent").await;
    world.charge().await.unwrap();
    let intent = world
        .desk
        .create_intent(&world.shopper(), ORDER, None)
        .await
        .unwrap()
        .intent_id
        .unwrap();
    let paid = |id: &str, amount: i64, currency: &str| {
        let object = format!(
            r#"{{"id":"{intent}","status":"succeeded","amount":{amount},"amount_received":{amount},"currency":"{currency}"}}"#
        );
        event(id, "payment_intent.succeeded", &object)
    };
    world.webhook(&paid("evt_1", 1, "usd")).await.unwrap();
    world.webhook(&paid("evt_2", TOTAL, "eur")).await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Pending));
    for _ in 0..2 {
        world.webhook(&paid("evt_3", TOTAL, "usd")).await.unwrap();
    }
    assert_eq!(world.audit().await.paid_events, 1);
    assert_eq!(world.number("SELECT count(*) FROM webhook_events").await, 3);
    assert_eq!(
        world
            .number("SELECT count(*) FROM webhook_events WHERE outcome = 'mismatch'")
            .await,
        2
    );
    world.refund(Some(100)).await.unwrap();
    let refunded = |id: &str, total: i64| {
        let object = format!(
            r#"{{"payment_intent":"{intent}","amount_refunded":{total},"currency":"usd"}}"#
        );
        event(id, "charge.refunded", &object)
    };
    // Our own refund, told back to us, is nothing new; the rest was given at the provider.
    world.webhook(&refunded("evt_4", 100)).await.unwrap();
    assert_eq!(world.audit().await.refund_events, 1);
    world.webhook(&refunded("evt_5", 700)).await.unwrap();
    assert_eq!(
        world.number("SELECT refunded_minor FROM payments").await,
        700
    );
}

#[tokio::test]
async fn a_webhook_is_proven_and_configured() {
    let world = World::new("intent").await;
    let body = event("evt_1", "ping", "{}");
    let key = |secret: &str| WebhookKey {
        secret: secret.to_owned().into(),
        tolerance_seconds: 300,
    };
    let cause = Cause::default();
    let none = world
        .desk
        .webhook(&key(""), None, body.as_bytes(), &cause)
        .await
        .unwrap_err();
    assert_eq!(none.reason(), Reason::Unavailable);
    for header in [None, Some("t=1,v1=00")] {
        let bad = world
            .desk
            .webhook(&key(SECRET), header, body.as_bytes(), &cause)
            .await
            .unwrap_err();
        assert_eq!(bad.reason(), Reason::InvalidArgument);
    }
    assert_eq!(
        world.webhook("{").await.unwrap_err().reason(),
        Reason::InvalidArgument
    );
    world.webhook(&body).await.unwrap();
}

#[tokio::test]
async fn a_decline_in_the_browser_fails_the_order_but_our_own_is_no_news() {
    let world = World::new("intent").await;
    world.charge().await.unwrap();
    let intent = world
        .desk
        .create_intent(&world.shopper(), ORDER, None)
        .await
        .unwrap()
        .intent_id
        .unwrap();
    world
        .desk
        .confirm(&world.shopper(), &intent, "pm_card_chargeDeclined")
        .await
        .unwrap_err();
    let declined = |id: &str| {
        let object = format!(
            r#"{{"id":"{intent}","last_payment_error":{{"type":"card_error","code":"expired_card"}}}}"#
        );
        event(id, "payment_intent.payment_failed", &object)
    };
    world.webhook(&declined("evt_1")).await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Pending));
    world.webhook(&declined("evt_2")).await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Failed));
    assert_eq!(world.audit().await.failed_events, 1);
    world.check().await;
}

/// What may happen to an order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Charge,
    ChargeAndDie,
    Cancel,
    Confirm(&'static str),
    Refund(Option<i64>),
    Recover,
    Wait(u64),
    Provider(Fails),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Charge),
        1 => Just(Step::ChargeAndDie),
        1 => Just(Step::Cancel),
        3 => prop::sample::select(vec!["pm_card_visa", "pm_card_chargeDeclined", "tok_amex"]).prop_map(Step::Confirm),
        2 => prop::option::of(1_i64..TOTAL + 100).prop_map(Step::Refund),
        2 => Just(Step::Recover),
        2 => (1_u64..200).prop_map(Step::Wait),
        3 => prop::sample::select(vec![Fails::Never, Fails::Before, Fails::After]).prop_map(Step::Provider),
    ]
}

async fn take(world: &World, step: Step) {
    match step {
        Step::Charge => drop(world.charge().await),
        Step::ChargeAndDie => world.charge_and_die().await,
        Step::Cancel => drop(world.cancel().await),
        Step::Confirm(method) => {
            if let Ok(Some(payment)) = ledger::by_order(&world.desk.store, ORDER).await
                && let Some(intent) = payment.intent_id
            {
                drop(world.desk.confirm(&world.shopper(), &intent, method).await);
            }
        }
        Step::Refund(minor) => drop(world.refund(minor).await),
        Step::Recover => world.desk.recover().await.unwrap(),
        Step::Wait(seconds) => world.clock.advance(Duration::from_secs(seconds)),
        Step::Provider(fails) => world.fails.set(fails),
    }
}

/// What the bus and the recovery task go on doing: events are delivered until they are handled, and
/// unfinished work is looked for.
async fn come_to_rest(world: &World) {
    world.fails.set(Fails::Never);
    let cancelled = !world.book.open.load(Ordering::SeqCst);
    for _ in 0..4 {
        drop(world.charge().await);
        if cancelled {
            world.cancel().await.unwrap();
        }
        world.clock.advance(Duration::from_secs(1000));
        world.desk.recover().await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nobody_is_charged_twice_in_any_order(
        steps in prop::collection::vec(step(), 1..25),
        method in prop::sample::select(vec!["pm_card_visa", "pm_card_chargeDeclined", "intent"]),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let world = World::new(method).await;
            for step in steps {
                take(&world, step).await;
            }
            come_to_rest(&world).await;
            world.check().await;
        });
    }

    #[test]
    fn nor_when_everything_happens_at_once(
        steps in prop::collection::vec(step(), 2..16),
        method in prop::sample::select(vec!["pm_card_visa", "intent"]),
    ) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
            let world = Arc::new(World::new(method).await);
            let mut running = VecDeque::new();
            for step in steps {
                let world = Arc::clone(&world);
                running.push_back(tokio::spawn(async move { take(&world, step).await }));
            }
            for task in running {
                task.await.unwrap();
            }
            come_to_rest(&world).await;
            world.check().await;
        });
    }
}
