//! What a postal address must be for goods to be sent there, and its normal form.
//!
//! Errors are what makes delivery impossible (a United States address without a state, a postal code that
//! cannot exist). Everything that only looks odd, such as a ZIP code of another state, is a suggestion:
//! tables age, and a shopper knows where they live.

mod countries;
mod united_states;

use serde::{Deserialize, Serialize};

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Recipient.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// Apartment, building, floor.
    pub line2: String,
    /// City or locality.
    pub city: String,
    /// State, province or region.
    pub state: String,
    /// Postal code.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2 country code.
    pub country: String,
    /// Phone number.
    pub phone: String,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Name of the field.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

/// An address in normal form, with what is wrong and what was changed or looks odd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The normal form.
    pub address: Address,
    /// What makes delivery impossible.
    pub defects: Vec<Defect>,
    /// What was changed or looks odd, for people.
    pub suggestions: Vec<String>,
}

impl Checked {
    fn defect(&mut self, field: &'static str, message: impl Into<String>) {
        self.defects.push(Defect {
            field,
            message: message.into(),
        });
    }
}

/// Brings an address to normal form and checks it.
pub fn check(given: &Address) -> Checked {
    let mut checked = Checked {
        address: Address {
            name: squeeze(&given.name),
            line1: squeeze(&given.line1),
            line2: squeeze(&given.line2),
            city: title_case(&squeeze(&given.city)),
            state: squeeze(&given.state),
            postal_code: squeeze(&given.postal_code).to_uppercase(),
            country: squeeze(&given.country),
            phone: squeeze(&given.phone),
        },
        ..Checked::default()
    };
    let required = [
        ("name", checked.address.name.is_empty()),
        ("line1", checked.address.line1.is_empty()),
        ("city", checked.address.city.is_empty()),
        ("country", checked.address.country.is_empty()),
    ];
    for (field, missing) in required {
        if missing {
            checked.defect(field, "is required");
        }
    }
    if checked.address.country.is_empty() {
        return checked;
    }
    let Some(country) = countries::code_of(&checked.address.country) else {
        checked.defect("country", "is not a country that we know");
        return checked;
    };
    if checked.address.country != country {
        checked
            .suggestions
            .push(format!("The country was read as {country}."));
    }
    checked.address.country = country.to_owned();
    match country {
        "US" => united_states(&mut checked),
        "CA" => canada(&mut checked),
        _ => elsewhere(&mut checked, country),
    }
    checked
}

fn united_states(checked: &mut Checked) {
    let given = checked.address.state.clone();
    let state = united_states::state_of(&given);
    match state {
        Some(code) => {
            if !code.eq_ignore_ascii_case(&given) {
                checked
                    .suggestions
                    .push(format!("The state was read as {code}."));
            }
            checked.address.state = code.to_owned();
        }
        None if given.is_empty() => checked.defect("state", "is required in the United States"),
        None => checked.defect(
            "state",
            format!("{given:?} is not a state of the United States"),
        ),
    }
    let digits: String = checked
        .address
        .postal_code
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let shape_is_right = checked
        .address
        .postal_code
        .chars()
        .all(|c| c.is_ascii_digit() || c == '-' || c == ' ');
    if !shape_is_right || !(digits.len() == 5 || digits.len() == 9) {
        checked.defect(
            "postal_code",
            "a ZIP code has 5 digits, or 9 as in 12345-6789",
        );
        return;
    }
    let (zip, extension) = digits.split_at(5);
    checked.address.postal_code = if extension.is_empty() {
        zip.to_owned()
    } else {
        format!("{zip}-{extension}")
    };
    if let Some(state) = state
        && !united_states::zip_lies_in(zip, state)
    {
        checked.suggestions.push(format!(
            "ZIP code {zip} does not look like one of {state}; please check both."
        ));
    }
}

/// First letters of Canadian postal codes by province.
const CANADA: &[(&str, &str, &str)] = &[
    ("AB", "Alberta", "T"),
    ("BC", "British Columbia", "V"),
    ("MB", "Manitoba", "R"),
    ("NB", "New Brunswick", "E"),
    ("NL", "Newfoundland and Labrador", "A"),
    ("NS", "Nova Scotia", "B"),
    ("NT", "Northwest Territories", "X"),
    ("NU", "Nunavut", "X"),
    ("ON", "Ontario", "KLMNP"),
    ("PE", "Prince Edward Island", "C"),
    ("QC", "Quebec", "GHJ"),
    ("SK", "Saskatchewan", "S"),
    ("YT", "Yukon", "Y"),
];

fn canada(checked: &mut Checked) {
    let given = checked.address.state.clone();
    let province = CANADA.iter().find(|(code, name, _)| {
        code.eq_ignore_ascii_case(&given) || name.eq_ignore_ascii_case(&given)
    });
    match province {
        Some((code, ..)) => checked.address.state = (*code).to_owned(),
        None if given.is_empty() => checked.defect("state", "is required in Canada"),
        None => checked.defect("state", format!("{given:?} is not a province of Canada")),
    }
    let code: Vec<char> = checked
        .address
        .postal_code
        .chars()
        .filter(|c| !matches!(c, ' ' | '-'))
        .collect();
    // Letter digit letter, digit letter digit; D, F, I, O, Q and U are never used, W and Z not first.
    let letter = |c: &char| c.is_ascii_uppercase() && !"DFIOQU".contains(*c);
    let is_code = code.len() == 6
        && code.iter().enumerate().all(|(index, c)| match index {
            0 => letter(c) && !"WZ".contains(*c),
            1 | 3 | 5 => c.is_ascii_digit(),
            _ => letter(c),
        });
    if !is_code {
        checked.defect("postal_code", "a Canadian postal code looks like K1A 0B1");
        return;
    }
    let (area, unit) = code.split_at(3);
    checked.address.postal_code = format!(
        "{} {}",
        area.iter().collect::<String>(),
        unit.iter().collect::<String>()
    );
    if let Some((province, _, letters)) = province
        && !letters.contains(code[0])
    {
        checked.suggestions.push(format!(
            "Postal code {} does not look like one of {province}; please check both.",
            checked.address.postal_code
        ));
    }
}

fn elsewhere(checked: &mut Checked, country: &str) {
    if checked.address.state.chars().count() <= 3 {
        checked.address.state = checked.address.state.to_uppercase();
    }
    if checked.address.postal_code.is_empty() && !countries::has_no_postal_codes(country) {
        checked.defect("postal_code", "is required");
    }
}

/// Without white space around and with single spaces inside.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Capitals where words begin, for a name that was typed all in one case; a name in mixed case is left
/// as its owner wrote it (McAllen, La Crosse).
fn title_case(text: &str) -> String {
    let has_upper = text.chars().any(char::is_uppercase);
    let has_lower = text.chars().any(char::is_lowercase);
    if has_upper && has_lower {
        return text.to_owned();
    }
    let mut titled = String::with_capacity(text.len());
    let mut starts_word = true;
    for c in text.chars() {
        if starts_word {
            titled.extend(c.to_uppercase());
        } else {
            titled.extend(c.to_lowercase());
        }
        starts_word = matches!(c, ' ' | '-');
    }
    titled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seattle() -> Address {
        Address {
            name: " Ada  Lovelace ".into(),
            line1: "400 Broad St".into(),
            city: "SEATTLE".into(),
            state: "washington".into(),
            postal_code: "981090001".into(),
            country: "United States".into(),
            ..Address::default()
        }
    }

    #[test]
    fn an_address_gets_its_normal_form() {
        let checked = check(&seattle());
        assert_eq!(checked.defects, []);
        let address = checked.address;
        assert_eq!(address.name, "Ada Lovelace");
        assert_eq!(address.city, "Seattle");
        assert_eq!(address.state, "WA");
        assert_eq!(address.postal_code, "98109-0001");
        assert_eq!(address.country, "US");
        assert_eq!(checked.suggestions.len(), 2);
    }

    #[test]
    fn a_zip_of_another_state_is_pointed_out() {
        let checked = check(&Address {
            state: "NY".into(),
            country: "US".into(),
            ..seattle()
        });
        assert_eq!(checked.defects, []);
        assert_eq!(checked.suggestions.len(), 1);
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let fields = |address: Address| {
            check(&address)
                .defects
                .iter()
                .map(|defect| defect.field)
                .collect::<Vec<_>>()
        };
        let us = Address {
            country: "US".into(),
            ..seattle()
        };
        assert_eq!(
            fields(Address {
                state: "Atlantis".into(),
                ..us.clone()
            }),
            ["state"]
        );
        assert_eq!(
            fields(Address {
                postal_code: "9810".into(),
                ..us.clone()
            }),
            ["postal_code"]
        );
        assert_eq!(
            fields(Address {
                postal_code: "98A09".into(),
                ..us.clone()
            }),
            ["postal_code"]
        );
        assert_eq!(
            fields(Address {
                country: "Narnia".into(),
                ..us.clone()
            }),
            ["country"]
        );
        assert_eq!(
            fields(Address {
                line1: " ".into(),
                city: String::new(),
                ..us
            }),
            ["line1", "city"]
        );
    }

    #[test]
    fn canada_has_its_own_codes() {
        let ottawa = Address {
            name: "A".into(),
            line1: "111 Wellington St".into(),
            city: "ottawa".into(),
            state: "ontario".into(),
            postal_code: "k1a0a9".into(),
            country: "canada".into(),
            ..Address::default()
        };
        let checked = check(&ottawa);
        assert_eq!(checked.defects, []);
        assert_eq!(checked.address.postal_code, "K1A 0A9");
        assert_eq!(checked.address.state, "ON");
        let wrong = check(&Address {
            postal_code: "D1A 0A9".into(),
            ..ottawa
        });
        assert_eq!(wrong.defects.len(), 1);
    }

    #[test]
    fn names_in_mixed_case_stay() {
        assert_eq!(title_case("McAllen"), "McAllen");
        assert_eq!(title_case("stratford-upon-avon"), "Stratford-Upon-Avon");
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own(
            city in "[A-Za-z -]{0,12}", state in "[A-Za-z ]{0,12}", postal_code in "[A-Za-z0-9 -]{0,10}",
            country in prop_oneof![Just("US".to_owned()), Just("ca".to_owned()), Just("Germany".to_owned()), "[A-Z]{2}"],
        ) {
            let first = check(&Address { city, state, postal_code, country, ..seattle() });
            let second = check(&first.address);
            prop_assert_eq!(&second.address, &first.address);
            prop_assert_eq!(&second.defects, &first.defects);
        }
    }
}
