//! From which locations an order's units come.
//!
//! Every location that takes part costs a parcel, so the smallest set of locations that covers all lines
//! wins; among sets of one size the one with the most units to spare, so that thin shelves are left for
//! orders that need them. A shop has few locations, so small sets are tried exhaustively; a network larger
//! than that is covered greedily.

/// Sets are tried exhaustively up to this many locations (2^10 sets).
const EXHAUSTIVE_UP_TO: usize = 10;

/// Free units of one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// Id of the location.
    pub location_id: String,
    /// Units that can be promised there.
    pub free: i64,
}

/// A line to source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Units, at least 1.
    pub quantity: i64,
    /// Where the variant lies.
    pub shelves: Vec<Shelf>,
}

impl Need {
    /// Units that can be promised over all locations.
    pub fn available(&self) -> i64 {
        self.shelves.iter().map(|shelf| shelf.free.max(0)).sum()
    }
}

/// Units to take at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Id of the location.
    pub location_id: String,
    /// Units, at least 1.
    pub quantity: i64,
}

/// Some lines ask for more than there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} lines cannot be covered", lines.len())]
pub struct Short {
    /// Positions of the lines.
    pub lines: Vec<usize>,
}

/// Where to take the units of each line, in the order of `needs`.
///
/// # Errors
/// [`Short`] with every line that asks for more than all locations together have.
pub fn source(needs: &[Need]) -> Result<Vec<Vec<Take>>, Short> {
    let lines: Vec<usize> = (0..needs.len())
        .filter(|line| needs[*line].available() < needs[*line].quantity)
        .collect();
    if !lines.is_empty() {
        return Err(Short { lines });
    }
    let mut locations: Vec<&str> = needs
        .iter()
        .flat_map(|need| &need.shelves)
        .filter(|shelf| shelf.free > 0)
        .map(|shelf| shelf.location_id.as_str())
        .collect();
    locations.sort_unstable();
    locations.dedup();
    let chosen = if locations.len() <= EXHAUSTIVE_UP_TO {
        smallest_cover(needs, &locations)
    } else {
        greedy_cover(needs, &locations)
    };
    Ok(needs.iter().map(|need| take(need, &chosen)).collect())
}

/// Units that the locations have of a line.
fn free_in(need: &Need, chosen: &[&str]) -> i64 {
    need.shelves
        .iter()
        .filter(|shelf| chosen.contains(&shelf.location_id.as_str()))
        .map(|shelf| shelf.free.max(0))
        .sum()
}

fn covers(needs: &[Need], chosen: &[&str]) -> bool {
    needs
        .iter()
        .all(|need| free_in(need, chosen) >= need.quantity)
}

fn smallest_cover<'a>(needs: &[Need], locations: &[&'a str]) -> Vec<&'a str> {
    let mut best: Option<(usize, i64, Vec<&'a str>)> = None;
    for mask in 1_u32..(1 << locations.len()) {
        let size = mask.count_ones() as usize;
        if best.as_ref().is_some_and(|(least, ..)| size > *least) {
            continue;
        }
        let chosen: Vec<&str> = locations
            .iter()
            .enumerate()
            .filter(|(index, _)| mask & (1 << index) != 0)
            .map(|(_, location)| *location)
            .collect();
        if !covers(needs, &chosen) {
            continue;
        }
        let spare: i64 = needs.iter().map(|need| free_in(need, &chosen)).sum();
        if best
            .as_ref()
            .is_none_or(|(least, most, _)| size < *least || spare > *most)
        {
            best = Some((size, spare, chosen));
        }
    }
    best.map_or_else(|| locations.to_vec(), |(.., chosen)| chosen)
}

/// Adds the location that covers most of what is missing until nothing is.
fn greedy_cover<'a>(needs: &[Need], locations: &[&'a str]) -> Vec<&'a str> {
    let mut chosen: Vec<&'a str> = Vec::new();
    while !covers(needs, &chosen) {
        let gain = |location: &&'a str| -> i64 {
            needs
                .iter()
                .map(|need| {
                    let missing = (need.quantity - free_in(need, &chosen)).max(0);
                    free_in(need, &[*location]).min(missing)
                })
                .sum()
        };
        let next = locations
            .iter()
            .copied()
            .filter(|location| !chosen.contains(location))
            .max_by_key(|location| (gain(location), std::cmp::Reverse(*location)));
        match next {
            Some(location) => chosen.push(location),
            None => break,
        }
    }
    chosen
}

/// Takes a line from the chosen locations, the fullest first, so that it is split as little as possible.
fn take(need: &Need, chosen: &[&str]) -> Vec<Take> {
    let mut shelves: Vec<&Shelf> = need
        .shelves
        .iter()
        .filter(|shelf| shelf.free > 0 && chosen.contains(&shelf.location_id.as_str()))
        .collect();
    shelves.sort_by(|a, b| b.free.cmp(&a.free).then(a.location_id.cmp(&b.location_id)));
    let mut left = need.quantity;
    let mut takes = Vec::new();
    for shelf in shelves {
        if left == 0 {
            break;
        }
        let quantity = shelf.free.min(left);
        left -= quantity;
        takes.push(Take {
            location_id: shelf.location_id.clone(),
            quantity,
        });
    }
    takes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn need(quantity: i64, free: &[i64]) -> Need {
        Need {
            quantity,
            shelves: free
                .iter()
                .enumerate()
                .map(|(index, free)| Shelf {
                    location_id: format!("dc-{index:02}"),
                    free: *free,
                })
                .collect(),
        }
    }

    fn used(takes: &[Vec<Take>]) -> BTreeSet<String> {
        takes
            .iter()
            .flatten()
            .map(|take| take.location_id.clone())
            .collect()
    }

    #[test]
    fn one_location_is_enough_when_it_has_everything() {
        let takes = source(&[need(2, &[9, 2, 0]), need(3, &[1, 3, 9])]).unwrap();
        assert_eq!(used(&takes), BTreeSet::from(["dc-01".to_owned()]));
    }

    #[test]
    fn every_short_line_is_named() {
        let short = source(&[need(2, &[1, 0]), need(1, &[1, 0]), need(5, &[2, 2])]).unwrap_err();
        assert_eq!(short.lines, [0, 2]);
    }

    proptest! {
        #[test]
        fn takes_cover_the_lines_from_as_few_locations_as_possible(
            needs in prop::collection::vec(
                (1_i64..8, prop::collection::vec(0_i64..8, 1..5)), 1..5)
        ) {
            let needs: Vec<Need> = needs.iter().map(|(quantity, free)| need(*quantity, free)).collect();
            let Ok(takes) = source(&needs) else {
                prop_assert!(needs.iter().any(|need| need.available() < need.quantity));
                return Ok(());
            };
            for (need, takes) in needs.iter().zip(&takes) {
                prop_assert_eq!(takes.iter().map(|take| take.quantity).sum::<i64>(), need.quantity);
                for take in takes {
                    let shelf = need.shelves.iter().find(|s| s.location_id == take.location_id).unwrap();
                    prop_assert!(take.quantity > 0 && take.quantity <= shelf.free);
                }
            }
            let count = used(&takes).len();
            if count > 1 {
                for location in 0..5 {
                    let name = format!("dc-{location:02}");
                    prop_assert!(!covers(&needs, &[name.as_str()]));
                }
            }
        }

        #[test]
        fn a_large_network_is_covered_too(free in prop::collection::vec(0_i64..4, 11..20), quantity in 1_i64..12) {
            let needs = [need(quantity, &free)];
            if let Ok(takes) = source(&needs) {
                prop_assert_eq!(takes[0].iter().map(|take| take.quantity).sum::<i64>(), quantity);
            }
        }
    }
}
