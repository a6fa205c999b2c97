//! Merging a guest's cart into a customer's.
//!
//! Quantities of the same variant add up, up to what a line may hold. Lines that only the guest has come
//! after the customer's own, as many as fit: what the customer already had is never pushed out.

use std::collections::HashSet;

use super::{Line, MAX_QUANTITY};

/// What has to be written to the customer's cart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// Variants of the customer's lines that get a new quantity.
    pub raised: Vec<(String, i64)>,
    /// Lines of the guest that move over.
    pub moved: Vec<Line>,
}

/// Merges the lines of `guest` into those of `own`, at most `max_lines` in all.
pub fn merge(own: &[Line], guest: &[Line], max_lines: usize) -> Merge {
    let mut merge = Merge::default();
    let variants: HashSet<&str> = own.iter().map(|line| line.variant_id.as_str()).collect();
    let mut room = max_lines.saturating_sub(own.len());
    for line in guest {
        if variants.contains(line.variant_id.as_str()) {
            let known = own.iter().find(|known| known.variant_id == line.variant_id);
            let before = known.map_or(0, |known| known.quantity);
            let after = before.saturating_add(line.quantity).min(MAX_QUANTITY);
            if after != before {
                merge.raised.push((line.variant_id.clone(), after));
            }
        } else if room > 0 {
            room -= 1;
            merge.moved.push(line.clone());
        }
    }
    merge
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn cart() -> impl Strategy<Value = Vec<Line>> {
        prop::collection::btree_map(0..20_u8, 1..=MAX_QUANTITY, 0..12).prop_map(|lines| {
            lines
                .into_iter()
                .map(|(variant, quantity)| Line {
                    cart_item_id: format!("item-{variant}"),
                    product_id: String::new(),
                    variant_id: format!("variant-{variant}"),
                    sku: String::new(),
                    name: String::new(),
                    quantity,
                    added_at: DateTime::UNIX_EPOCH,
                })
                .collect()
        })
    }

    fn quantities(lines: &[Line]) -> BTreeMap<String, i64> {
        lines
            .iter()
            .map(|line| (line.variant_id.clone(), line.quantity))
            .collect()
    }

    fn apply(own: &[Line], merge: &Merge) -> BTreeMap<String, i64> {
        let mut result = quantities(own);
        result.extend(merge.raised.iter().cloned());
        result.extend(quantities(&merge.moved));
        result
    }

    proptest! {
        #[test]
        fn quantities_add_up_and_nothing_of_the_customer_is_lost(
            own in cart(), guest in cart(), max_lines in 12..30_usize,
        ) {
            let merge = merge(&own, &guest, max_lines);
            let result = apply(&own, &merge);
            prop_assert!(result.len() <= max_lines);
            let (before, added) = (quantities(&own), quantities(&guest));
            for (variant, quantity) in &result {
                let sum = before.get(variant).unwrap_or(&0) + added.get(variant).unwrap_or(&0);
                prop_assert_eq!(*quantity, sum.min(MAX_QUANTITY));
            }
            prop_assert!(before.keys().all(|variant| result.contains_key(variant)));
            let all: usize = before.keys().chain(added.keys()).collect::<std::collections::BTreeSet<_>>().len();
            prop_assert_eq!(result.len(), all.min(max_lines));
        }

        #[test]
        fn an_empty_guest_changes_nothing(own in cart()) {
            prop_assert_eq!(super::merge(&own, &[], 100), Merge::default());
        }

        #[test]
        fn the_order_of_merging_does_not_matter_while_there_is_room(own in cart(), guest in cart()) {
            let one = apply(&own, &merge(&own, &guest, 100));
            let other = apply(&guest, &merge(&guest, &own, 100));
            prop_assert_eq!(one, other);
        }
    }
}
