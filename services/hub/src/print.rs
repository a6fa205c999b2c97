//! How operators' commands print what they got.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::{
    descriptor_pool,
    hub::{
        admin::v1::{DeadLetter, ListDeadLettersResponse},
        orders::v1::{ListSagasResponse, OrderStatus, Saga, SagaStep},
    },
};

/// A page of sagas, one a line.
pub fn sagas(page: &ListSagasResponse) {
    println!(
        "{:<38} {:<17} {:<13} {:<15} deadline",
        "order", "number", "waits for", "status"
    );
    for saga in &page.items {
        println!(
            "{:<38} {:<17} {:<13} {:<15} {}",
            saga.order_id,
            saga.order_number,
            step(saga),
            status(saga),
            time(saga.deadline.as_ref())
        );
    }
    println!("{} of {}", page.items.len(), page.total);
}

/// One saga with what was done to it.
pub fn saga(saga: &Saga) {
    println!("order      {} ({})", saga.order_id, saga.order_number);
    println!("status     {}", status(saga));
    println!(
        "waits for  {} until {}",
        step(saga),
        time(saga.deadline.as_ref())
    );
    println!(
        "to undo    stock {}, payment {}, shipment {}",
        yes(saga.stock_held),
        yes(saga.charged),
        yes(saga.shipment_planned)
    );
    println!("attempts   {}", saga.attempts);
    if !saga.last_error.is_empty() {
        println!("error      {}", saga.last_error);
    }
    for note in &saga.notes {
        println!(
            "{}  {} by {}: {}",
            time(note.at.as_ref()),
            note.action,
            note.actor,
            note.reason
        );
    }
}

/// A page of dead letters, one a line.
pub fn dead_letters(page: &ListDeadLettersResponse) {
    println!(
        "{:<38} {:<28} {:<26} {:>8}  error",
        "id", "consumer", "event", "attempts"
    );
    for letter in &page.items {
        println!(
            "{:<38} {:<28} {:<26} {:>8}  {}",
            letter.dead_letter_id,
            letter.consumer,
            letter.event_type,
            letter.attempts,
            letter.error
        );
    }
    println!("{} of {}", page.items.len(), page.total);
    if !page.unreachable.is_empty() {
        println!("no answer from {}", page.unreachable.join(", "));
    }
}

/// One dead letter as JSON, the whole event included.
pub fn dead_letter(letter: &DeadLetter) -> anyhow::Result<()> {
    println!("{}", json("hub.admin.v1.DeadLetter", letter)?);
    Ok(())
}

fn json(name: &str, message: &impl prost::Message) -> anyhow::Result<String> {
    let descriptor = descriptor_pool()
        .get_message_by_name(name)
        .ok_or_else(|| anyhow::anyhow!("no message {name}"))?;
    let dynamic =
        prost_reflect::DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    Ok(serde_json::to_string_pretty(&dynamic)?)
}

fn step(saga: &Saga) -> String {
    short(
        SagaStep::try_from(saga.step)
            .unwrap_or_default()
            .as_str_name(),
        "SAGA_STEP_",
    )
}

fn status(saga: &Saga) -> String {
    let status = OrderStatus::try_from(saga.order_status).unwrap_or_default();
    short(status.as_str_name(), "ORDER_STATUS_")
}

fn short(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

fn yes(condition: bool) -> &'static str {
    if condition { "yes" } else { "no" }
}

fn time(timestamp: Option<&prost_types::Timestamp>) -> String {
    timestamp
        .and_then(|at| DateTime::<Utc>::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?))
        .map_or_else(
            || "-".to_owned(),
            |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
        )
}
