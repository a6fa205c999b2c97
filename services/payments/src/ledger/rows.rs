//! Rows of the books as values.

use chrono::{DateTime, TimeDelta, Utc};
use mesh::{
    Money, args,
    store::{Row, Store, StoreError},
};

use crate::provider::{Card, Intent};

/// Rows under way that recovery looks at in one go.
const RECOVERY_BATCH: i64 = 50;

/// Who brings about the charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The saga, with the method that the order names.
    Direct,
    /// The shopper, by confirming an intent.
    Intent,
    /// Nobody: a tombstone.
    None,
}

/// Where a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// No money has moved yet.
    Pending,
    /// Charged.
    Succeeded,
    /// It could not be charged, and the order went on without.
    Failed,
    /// It must not be charged any more.
    Canceled,
}

/// Where a refund is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// Promised; the provider has yet to do it.
    Pending,
    /// Given back.
    Succeeded,
    /// The provider will not do it.
    Failed,
}

macro_rules! stored_as {
    ($type:ty, $($value:path = $text:literal),+) => {
        impl $type {
            /// The name under which it is stored.
            pub const fn as_str(self) -> &'static str {
                match self { $($value => $text),+ }
            }

            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                match row.get::<String>(column)?.as_str() {
                    $($text => Ok($value),)+
                    other => Err(StoreError::Decode {
                        column: column.to_owned(),
                        message: format!("{other:?} is unknown"),
                    }),
                }
            }
        }
    };
}

stored_as!(
    Flow,
    Flow::Direct = "direct",
    Flow::Intent = "intent",
    Flow::None = "none"
);
stored_as!(
    PaymentStatus,
    PaymentStatus::Pending = "pending",
    PaymentStatus::Succeeded = "succeeded",
    PaymentStatus::Failed = "failed",
    PaymentStatus::Canceled = "canceled"
);
stored_as!(
    RefundStatus,
    RefundStatus::Pending = "pending",
    RefundStatus::Succeeded = "succeeded",
    RefundStatus::Failed = "failed"
);

/// A payment.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Id of the order.
    pub order_id: String,
    /// Id of the payment.
    pub payment_id: String,
    /// Who ordered; empty in a tombstone.
    pub user_id: String,
    /// Who brings about the charge.
    pub flow: Flow,
    /// Where it is.
    pub status: PaymentStatus,
    /// The provider's id; `None` where the provider was never asked.
    pub intent_id: Option<String>,
    /// Secret for the shopper's browser.
    pub client_secret: mesh::Secret<String>,
    /// What was or will be charged. `None` in a tombstone.
    pub amount: Option<Money>,
    /// Refunds done, in minor units.
    pub refunded: i64,
    /// The card that was charged.
    pub card: Card,
    /// Code of the failure or of the last decline.
    pub failure_code: String,
    /// The order wants no money any more.
    pub closed: bool,
    /// Inventory holds the goods.
    pub goods_held: bool,
    /// Attempts of ours to charge.
    pub attempts: i64,
    /// Begin of the attempt under way.
    pub attempt_at: Option<DateTime<Utc>>,
    /// The flow of events that it belongs to.
    pub correlation_id: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Payment {
    /// The columns that [`Payment::read`] needs.
    pub(super) const COLUMNS: &str = "order_id, payment_id, user_id, flow, status, intent_id, \
        client_secret, amount_minor, currency, refunded_minor, brand, last4, \
        failure_code, closed, goods_held, attempts, attempt_at, correlation_id, created_at, updated_at";

    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let minor: i64 = row.get("amount_minor")?;
        let amount = match row.get::<String>("currency")?.as_str() {
            "" => None,
            code => Some(Money::new(minor, currency(code, "currency")?)),
        };
        Ok(Self {
            order_id: row.get("order_id")?,
            payment_id: row.get("payment_id")?,
            user_id: row.get("user_id")?,
            flow: Flow::read(row, "flow")?,
            status: PaymentStatus::read(row, "status")?,
            intent_id: row.get("intent_id")?,
            client_secret: row.get::<String>("client_secret")?.into(),
            amount,
            refunded: row.get("refunded_minor")?,
            card: Card {
                brand: row.get("brand")?,
                last4: row.get("last4")?,
            },
            failure_code: row.get("failure_code")?,
            closed: row.get("closed")?,
            goods_held: row.get("goods_held")?,
            attempts: row.get("attempts")?,
            attempt_at: row.get("attempt_at")?,
            correlation_id: row.get("correlation_id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }

    /// The intent at the provider, if there is one.
    pub fn intent(&self) -> Option<Intent> {
        Some(Intent {
            intent_id: self.intent_id.clone()?,
            amount: self.amount?,
        })
    }
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Id of the refund.
    pub refund_id: String,
    /// The provider's id of the intent.
    pub intent_id: String,
    /// What goes back.
    pub amount: Money,
    /// Where it is.
    pub status: RefundStatus,
    /// Why.
    pub reason: String,
    /// When it was promised.
    pub created_at: DateTime<Utc>,
}

impl Refund {
    pub(super) const COLUMNS: &str =
        "refund_id, intent_id, amount_minor, currency, status, reason, created_at";

    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let code: String = row.get("currency")?;
        Ok(Self {
            refund_id: row.get("refund_id")?,
            intent_id: row.get("intent_id")?,
            amount: Money::new(row.get("amount_minor")?, currency(&code, "currency")?),
            status: RefundStatus::read(row, "status")?,
            reason: row.get("reason")?,
            created_at: row.get("created_at")?,
        })
    }
}

pub(super) fn currency(code: &str, column: &str) -> Result<mesh::Currency, StoreError> {
    code.parse()
        .map_err(|error: mesh::MoneyError| StoreError::Decode {
            column: column.to_owned(),
            message: error.to_string(),
        })
}

/// The payment of an order.
pub async fn by_order(store: &Store, order_id: &str) -> Result<Option<Payment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM payments WHERE order_id = $1",
        Payment::COLUMNS
    );
    let row = store.one(&sql, args![order_id]).await?;
    row.as_ref().map(Payment::read).transpose()
}

/// The payment with the provider's intent `intent_id`.
pub async fn by_intent(store: &Store, intent_id: &str) -> Result<Option<Payment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM payments WHERE intent_id = $1",
        Payment::COLUMNS
    );
    let row = store.one(&sql, args![intent_id]).await?;
    row.as_ref().map(Payment::read).transpose()
}

/// Refunds of an order that were not given up, oldest first.
pub async fn refunds_of(store: &Store, order_id: &str) -> Result<Vec<Refund>, StoreError> {
    let sql = format!(
        "SELECT {} FROM refunds WHERE order_id = $1 AND status <> 'failed' ORDER BY refund_id",
        Refund::COLUMNS
    );
    let rows = store.all(&sql, args![order_id]).await?;
    rows.iter().map(Refund::read).collect()
}

/// Payments whose attempt has been under way for longer than `age`: nobody waits for it any more.
pub async fn under_way_since(
    store: &Store,
    now: DateTime<Utc>,
    age: TimeDelta,
) -> Result<Vec<Payment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM payments WHERE attempt_at <= $1 ORDER BY attempt_at LIMIT $2",
        Payment::COLUMNS
    );
    let rows = store.all(&sql, args![now - age, RECOVERY_BATCH]).await?;
    rows.iter().map(Payment::read).collect()
}
