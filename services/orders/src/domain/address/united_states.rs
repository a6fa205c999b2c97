//! States and territories of the United States, and the ZIP code prefixes that the Postal Service gives
//! them (Publication 65, three-digit ranges).

/// Ranges of the first three digits of ZIP codes.
type Prefixes = &'static [(u16, u16)];

/// Postal abbreviation, name, and the prefixes of its ZIP codes.
const STATES: &[(&str, &str, Prefixes)] = &[
    ("AL", "Alabama", &[(350, 369)]),
    ("AK", "Alaska", &[(995, 999)]),
    ("AZ", "Arizona", &[(850, 865)]),
    ("AR", "Arkansas", &[(716, 729), (755, 755)]),
    ("CA", "California", &[(900, 961)]),
    ("CO", "Colorado", &[(800, 816)]),
    ("CT", "Connecticut", &[(60, 69)]),
    ("DE", "Delaware", &[(197, 199)]),
    ("DC", "District of Columbia", &[(200, 205), (569, 569)]),
    ("FL", "Florida", &[(320, 349)]),
    ("GA", "Georgia", &[(300, 319), (398, 399)]),
    ("HI", "Hawaii", &[(967, 968)]),
    ("ID", "Idaho", &[(832, 838)]),
    ("IL", "Illinois", &[(600, 629)]),
    ("IN", "Indiana", &[(460, 479)]),
    ("IA", "Iowa", &[(500, 528)]),
    ("KS", "Kansas", &[(660, 679)]),
    ("KY", "Kentucky", &[(400, 427)]),
    ("LA", "Louisiana", &[(700, 714)]),
    ("ME", "Maine", &[(39, 49)]),
    ("MD", "Maryland", &[(206, 219)]),
    ("MA", "Massachusetts", &[(10, 27), (55, 55)]),
    ("MI", "Michigan", &[(480, 499)]),
    ("MN", "Minnesota", &[(550, 567)]),
    ("MS", "Mississippi", &[(386, 397)]),
    ("MO", "Missouri", &[(630, 658)]),
    ("MT", "Montana", &[(590, 599)]),
    ("NE", "Nebraska", &[(680, 693)]),
    ("NV", "Nevada", &[(889, 898)]),
    ("NH", "New Hampshire", &[(30, 38)]),
    ("NJ", "New Jersey", &[(70, 89)]),
    ("NM", "New Mexico", &[(870, 884)]),
    ("NY", "New York", &[(5, 5), (63, 63), (100, 149)]),
    ("NC", "North Carolina", &[(270, 289)]),
    ("ND", "North Dakota", &[(580, 588)]),
    ("OH", "Ohio", &[(430, 459)]),
    ("OK", "Oklahoma", &[(730, 749)]),
    ("OR", "Oregon", &[(970, 979)]),
    ("PA", "Pennsylvania", &[(150, 196)]),
    ("RI", "Rhode Island", &[(28, 29)]),
    ("SC", "South Carolina", &[(290, 299)]),
    ("SD", "South Dakota", &[(570, 577)]),
    ("TN", "Tennessee", &[(370, 385)]),
    ("TX", "Texas", &[(733, 733), (750, 799), (885, 885)]),
    ("UT", "Utah", &[(840, 847)]),
    ("VT", "Vermont", &[(50, 59)]),
    ("VA", "Virginia", &[(201, 201), (220, 246)]),
    ("WA", "Washington", &[(980, 994)]),
    ("WV", "West Virginia", &[(247, 268)]),
    ("WI", "Wisconsin", &[(530, 549)]),
    ("WY", "Wyoming", &[(820, 831)]),
    ("AS", "American Samoa", &[(967, 967)]),
    ("GU", "Guam", &[(969, 969)]),
    ("MP", "Northern Mariana Islands", &[(969, 969)]),
    ("PR", "Puerto Rico", &[(6, 7), (9, 9)]),
    ("VI", "Virgin Islands", &[(8, 8)]),
    ("AA", "Armed Forces Americas", &[(340, 340)]),
    ("AE", "Armed Forces Europe", &[(90, 98)]),
    ("AP", "Armed Forces Pacific", &[(962, 966)]),
];

/// The postal abbreviation of a state given by abbreviation or name.
pub(super) fn state_of(text: &str) -> Option<&'static str> {
    STATES
        .iter()
        .find(|(code, name, _)| code.eq_ignore_ascii_case(text) || name.eq_ignore_ascii_case(text))
        .map(|(code, ..)| *code)
}

/// Whether a five-digit ZIP code has a prefix of the state.
pub(super) fn zip_lies_in(zip: &str, state: &str) -> bool {
    let Some(prefix) = zip.get(..3).and_then(|prefix| prefix.parse::<u16>().ok()) else {
        return false;
    };
    STATES
        .iter()
        .filter(|(code, ..)| *code == state)
        .flat_map(|(.., ranges)| *ranges)
        .any(|(first, last)| (*first..=*last).contains(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_prefixes() {
        assert_eq!(state_of("new york"), Some("NY"));
        assert_eq!(state_of("tx"), Some("TX"));
        assert_eq!(state_of("Bavaria"), None);
        assert!(zip_lies_in("10001", "NY"));
        assert!(zip_lies_in("06390", "NY"));
        assert!(zip_lies_in("98101", "WA"));
        assert!(!zip_lies_in("98101", "NY"));
    }
}
