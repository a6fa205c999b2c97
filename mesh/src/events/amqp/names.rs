//! What things are called at the broker.
//!
//! Everything carries the namespace of the installation, so that two of them can share a broker.

use crate::events::{EVENT_TYPES, topic};

/// Into how many slots ordering keys fall. A consumer group that outgrows one process can be split by binding
/// several queues to disjoint slots, without a change at the producers.
pub const SLOTS: u64 = 64;

/// The names of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    namespace: String,
}

impl Names {
    pub(super) fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
        }
    }

    /// The exchange of a topic.
    pub(super) fn exchange(&self, topic: &str) -> String {
        format!("{}.{topic}", self.namespace)
    }

    /// The exchange of the event type, or nothing when there is no such type.
    pub(super) fn exchange_of(&self, event_type: &str) -> Option<String> {
        topic(event_type).map(|topic| self.exchange(topic))
    }

    /// The exchanges of all topics.
    pub(super) fn exchanges(&self) -> Vec<String> {
        let mut topics: Vec<&str> = EVENT_TYPES.iter().map(|(_, topic)| *topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
            .into_iter()
            .map(|topic| self.exchange(topic))
            .collect()
    }

    /// The exchange that messages go to when they were delivered too often.
    pub(super) fn dead_exchange(&self) -> String {
        format!("{}.dead", self.namespace)
    }

    /// The queue of a consumer group.
    pub(super) fn queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}", self.namespace)
    }

    /// Where messages of a consumer group go that were delivered too often.
    pub(super) fn dead_queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}.dead", self.namespace)
    }

    /// The queue of one process.
    pub(super) fn process_queue(&self, consumer: &str, process: uuid::Uuid) -> String {
        format!("{}.{consumer}.{}", self.namespace, process.simple())
    }
}

/// The routing key of an event: its type and the slot of its ordering key, `OrderCreated.07`.
pub(in crate::events) fn routing_key(event_type: &str, ordering_key: &str) -> String {
    format!("{event_type}.{:02}", slot(ordering_key))
}

/// What a queue is bound with that wants all events of a type.
pub(super) fn all_slots(event_type: &str) -> String {
    format!("{event_type}.*")
}

/// The slot of an ordering key: FNV-1a (64 bit) modulo the number of slots. It is part of the contract with
/// whoever binds queues, so it never changes.
pub fn slot(ordering_key: &str) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = ordering_key.bytes().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    hash % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_published_hash() {
        // FNV-1a of "" is the offset basis, of "a" af63dc4c8601ec8c, of "foobar" 85944171f73967e8
        // (draft-eastlake-fnv).
        assert_eq!(slot(""), 0xcbf2_9ce4_8422_2325 % 64);
        assert_eq!(slot("a"), 0xaf63_dc4c_8601_ec8c % 64);
        assert_eq!(slot("foobar"), 0x8594_4171_f739_67e8 % 64);
        assert_eq!(routing_key("OrderCreated", "a"), "OrderCreated.12");
    }

    #[test]
    fn names_carry_the_namespace() {
        let names = Names::new("shop");
        assert_eq!(
            names.exchange_of("OrderCreated").as_deref(),
            Some("shop.order-events")
        );
        assert_eq!(names.exchange_of("NoSuchEvent"), None);
        assert_eq!(names.queue("payments.charge"), "shop.payments.charge");
        assert_eq!(
            names.dead_queue("payments.charge"),
            "shop.payments.charge.dead"
        );
        assert!(names.exchanges().contains(&"shop.user-events".to_owned()));
    }
}
