//! Rows as messages.

use chrono::{DateTime, Utc};
use contracts::hub::payments::v1 as proto;
use mesh::Money;

use crate::ledger::{Payment, PaymentStatus, Refund, RefundStatus};

/// A time as a message.
pub fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// A payment as a message.
pub fn payment(payment: &Payment, refunds: &[Refund]) -> proto::Payment {
    let charged = payment.amount.map_or(0, |amount| amount.minor);
    let status = match payment.status {
        PaymentStatus::Succeeded if payment.refunded > 0 && payment.refunded == charged => {
            "refunded"
        }
        PaymentStatus::Succeeded if payment.refunded > 0 => "partially_refunded",
        status => status.as_str(),
    };
    proto::Payment {
        payment_id: payment.payment_id.clone(),
        order_id: payment.order_id.clone(),
        payment_intent_id: payment.intent_id.clone().unwrap_or_default(),
        amount: payment.amount.map(Money::to_wire),
        refunded: payment
            .amount
            .map(|amount| Money::new(payment.refunded, amount.currency).to_wire()),
        status: status.to_owned(),
        brand: payment.card.brand.clone(),
        last4: payment.card.last4.clone(),
        failure_code: payment.failure_code.clone(),
        created_at: Some(timestamp(payment.created_at)),
        updated_at: Some(timestamp(payment.updated_at)),
        refunds: refunds.iter().map(refund).collect(),
    }
}

/// The intent of a payment as a message.
pub fn intent(payment: &Payment) -> proto::PaymentIntent {
    let status = match payment.status {
        PaymentStatus::Succeeded => "succeeded",
        PaymentStatus::Failed | PaymentStatus::Canceled => "canceled",
        PaymentStatus::Pending if payment.attempt_at.is_some() => "processing",
        PaymentStatus::Pending => "requires_payment_method",
    };
    proto::PaymentIntent {
        payment_intent_id: payment.intent_id.clone().unwrap_or_default(),
        client_secret: payment.client_secret.expose().clone(),
        amount: payment.amount.map(Money::to_wire),
        status: status.to_owned(),
        order_id: payment.order_id.clone(),
    }
}

/// A refund as a message.
pub fn refund(refund: &Refund) -> proto::Refund {
    proto::Refund {
        refund_id: refund.refund_id.clone(),
        payment_intent_id: refund.intent_id.clone(),
        amount: Some(refund.amount.to_wire()),
        status: match refund.status {
            // Given up or not done: nothing has gone back.
            RefundStatus::Failed => RefundStatus::Pending,
            status => status,
        }
        .as_str()
        .to_owned(),
        reason: refund.reason.clone(),
        created_at: Some(timestamp(refund.created_at)),
    }
}
