//! The decision, from stock alone.
//!
//! Sourcing follows inventory's own rule: the fewest locations that cover every line, because each is a
//! parcel. That is minimum set cover; with at most [`EXHAUSTIVE`] locations all sets are tried, beyond that
//! the greedy choice is taken (Chvátal 1979), which the answer says.

/// Locations up to which every set is tried.
pub const EXHAUSTIVE: usize = 10;

/// A line to promise, with the stock there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Id of the variant.
    pub variant_id: String,
    /// Stock keeping unit; empty when the variant is unknown.
    pub sku: String,
    /// Units asked for.
    pub requested: i64,
    /// Free units by location; nothing when the variant is unknown.
    pub shelves: Option<Vec<(String, i64)>>,
}

/// What stock says about a line (the classification of `spec` terms: missing, out, low, available).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stock {
    /// All units are there.
    Available,
    /// Some are there.
    Low,
    /// None is there.
    Out,
    /// Inventory does not know the variant.
    Missing,
}

impl Stock {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Low => "low_stock",
            Self::Out => "out_of_stock",
            Self::Missing => "missing",
        }
    }
}

impl Line {
    /// Units that can be promised.
    pub fn available(&self) -> i64 {
        self.shelves
            .iter()
            .flatten()
            .map(|(_, free)| (*free).max(0))
            .sum()
    }

    /// What stock says.
    pub fn stock(&self) -> Stock {
        match (&self.shelves, self.available()) {
            (None, _) => Stock::Missing,
            (Some(_), available) if available <= 0 => Stock::Out,
            (Some(_), available) if available < self.requested => Stock::Low,
            (Some(_), _) => Stock::Available,
        }
    }
}

/// Where the units of each line come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sourcing {
    /// Locations that take part.
    pub locations: Vec<String>,
    /// Units by location for each line, in the order of the lines.
    pub takes: Vec<Vec<(String, i64)>>,
}

/// The sourcing with the fewest locations; nothing unless every line is available.
pub fn source(lines: &[Line]) -> Option<Sourcing> {
    if lines.iter().any(|line| line.stock() != Stock::Available) {
        return None;
    }
    let mut locations: Vec<&str> = lines
        .iter()
        .flat_map(|line| line.shelves.iter().flatten())
        .filter(|(_, free)| *free > 0)
        .map(|(location, _)| location.as_str())
        .collect();
    locations.sort_unstable();
    locations.dedup();
    let chosen = if locations.len() <= EXHAUSTIVE {
        smallest_cover(lines, &locations)
    } else {
        greedy_cover(lines, &locations)
    };
    Some(Sourcing {
        takes: lines.iter().map(|line| take(line, &chosen)).collect(),
        locations: chosen.into_iter().map(str::to_owned).collect(),
    })
}

fn free_at(line: &Line, location: &str) -> i64 {
    line.shelves
        .iter()
        .flatten()
        .filter(|(name, _)| name == location)
        .map(|(_, free)| (*free).max(0))
        .sum()
}

/// Units of the lines that a set of locations can give.
fn covered(lines: &[Line], chosen: &[&str]) -> i64 {
    lines
        .iter()
        .map(|line| {
            let free: i64 = chosen.iter().map(|location| free_at(line, location)).sum();
            free.min(line.requested)
        })
        .sum()
}

fn smallest_cover<'a>(lines: &[Line], locations: &[&'a str]) -> Vec<&'a str> {
    let wanted: i64 = lines.iter().map(|line| line.requested).sum();
    let mut best = locations.to_vec();
    for set in 0_u32..1 << locations.len() {
        if set.count_ones() as usize >= best.len() {
            continue;
        }
        let chosen: Vec<&str> = locations
            .iter()
            .enumerate()
            .filter(|(bit, _)| set & (1 << bit) != 0)
            .map(|(_, location)| *location)
            .collect();
        if covered(lines, &chosen) == wanted {
            best = chosen;
        }
    }
    best
}

fn greedy_cover<'a>(lines: &[Line], locations: &[&'a str]) -> Vec<&'a str> {
    let wanted: i64 = lines.iter().map(|line| line.requested).sum();
    let mut chosen: Vec<&str> = Vec::new();
    while covered(lines, &chosen) < wanted && chosen.len() < locations.len() {
        let next = locations
            .iter()
            .filter(|location| !chosen.contains(location))
            .max_by_key(|location| {
                let mut with: Vec<&str> = chosen.clone();
                with.push(location);
                covered(lines, &with)
            });
        match next {
            Some(location) => chosen.push(location),
            None => break,
        }
    }
    chosen
}

fn take(line: &Line, chosen: &[&str]) -> Vec<(String, i64)> {
    let mut shelves: Vec<(&str, i64)> = chosen
        .iter()
        .map(|location| (*location, free_at(line, location)))
        .collect();
    shelves.sort_by_key(|(location, free)| (-free, *location));
    let mut left = line.requested;
    let mut takes = Vec::new();
    for (location, free) in shelves {
        let units = free.min(left);
        if units > 0 {
            takes.push((location.to_owned(), units));
            left -= units;
        }
    }
    takes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(requested: i64, shelves: &[(&str, i64)]) -> Line {
        Line {
            variant_id: "v".to_owned(),
            sku: "S".to_owned(),
            requested,
            shelves: Some(
                shelves
                    .iter()
                    .map(|(location, free)| ((*location).to_owned(), *free))
                    .collect(),
            ),
        }
    }

    #[test]
    fn one_location_with_everything_beats_two_with_more() {
        let lines = [
            line(2, &[("east", 9), ("west", 2)]),
            line(1, &[("central", 50), ("west", 1)]),
        ];
        let sourcing = source(&lines).unwrap();
        assert_eq!(sourcing.locations, ["west"]);
    }

    #[test]
    fn short_and_unknown_lines_are_named() {
        assert_eq!(line(3, &[("east", 2)]).stock(), Stock::Low);
        assert_eq!(line(3, &[("east", 0)]).stock(), Stock::Out);
        let unknown = Line {
            shelves: None,
            ..line(1, &[])
        };
        assert_eq!(unknown.stock(), Stock::Missing);
        assert!(source(&[unknown]).is_none());
    }

    proptest! {
        #[test]
        fn a_sourcing_gives_what_was_asked_and_no_more_than_there_is(
            stock in prop::collection::vec(prop::collection::vec(0_i64..6, 4), 1..4),
            asked in prop::collection::vec(1_i64..8, 4),
        ) {
            let names = ["a", "b", "c", "d"];
            let lines: Vec<Line> = stock
                .iter()
                .zip(&asked)
                .map(|(free, asked)| {
                    let shelves: Vec<(&str, i64)> = names.iter().copied().zip(free.iter().copied()).collect();
                    line(*asked, &shelves)
                })
                .collect();
            match source(&lines) {
                None => prop_assert!(lines.iter().any(|line| line.available() < line.requested)),
                Some(sourcing) => {
                    for (line, takes) in lines.iter().zip(&sourcing.takes) {
                        prop_assert_eq!(takes.iter().map(|(_, units)| units).sum::<i64>(), line.requested);
                        for (location, units) in takes {
                            prop_assert!(*units <= free_at(line, location));
                        }
                    }
                    let all: Vec<&str> = names.to_vec();
                    prop_assert!(sourcing.locations.len() <= greedy_cover(&lines, &all).len());
                }
            }
        }
    }
}
