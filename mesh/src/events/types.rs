//! The one table of event types: payload, name, topic.

use super::Data;

macro_rules! event_types {
    ($($variant:ident => $topic:literal,)*) => {
        /// Every event type with its topic.
        pub const EVENT_TYPES: &[(&str, &str)] = &[$((stringify!($variant), $topic)),*];

        /// The name of the type of a payload, for example `OrderCreated`.
        pub fn event_type(data: &Data) -> &'static str {
            match data {
                $(Data::$variant(_) => stringify!($variant),)*
            }
        }
    };
}

event_types! {
    UserCreated => "user-events",
    UserUpdated => "user-events",
    UserDeleted => "user-events",
    SessionsEnded => "user-events",
    ProductCreated => "product-events",
    ProductUpdated => "product-events",
    ProductDeleted => "product-events",
    OrderCreated => "order-events",
    OrderUpdated => "order-events",
    OrderCancelled => "order-events",
    OrderCompleted => "order-events",
    InventoryReserved => "inventory-events",
    InventoryReservationFailed => "inventory-events",
    InventoryReleased => "inventory-events",
    StockLevelChanged => "inventory-events",
    PaymentProcessed => "payment-events",
    PaymentFailed => "payment-events",
    RefundProcessed => "payment-events",
    ShipmentScheduled => "shipping-events",
    ShipmentFailed => "shipping-events",
    ShipmentStatusUpdated => "shipping-events",
    DeliveryCompleted => "shipping-events",
}

/// The topic of an event type, or nothing when there is no such type.
pub fn topic(event_type: &str) -> Option<&'static str> {
    EVENT_TYPES
        .iter()
        .find(|(name, _)| *name == event_type)
        .map(|(_, topic)| *topic)
}
