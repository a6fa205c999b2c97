#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn any_currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["USD", "JPY", "KWD", "CLF", "EUR"])
        .prop_map(|code| code.parse().unwrap())
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

#[test]
fn amounts_are_strict() {
    assert_eq!(Money::parse("1199.00", "USD").unwrap(), usd(119_900));
    assert_eq!(Money::parse("-0.05", "USD").unwrap(), usd(-5));
    assert_eq!(Money::parse("1200", "JPY").unwrap().minor, 1200);
    assert_eq!(Money::parse("1.250", "KWD").unwrap().minor, 1250);
    for bad in [
        "",
        "-",
        ".",
        "1",
        "1.0",
        "1.000",
        "+1.00",
        " 1.00",
        "1,00",
        "1e2",
        "1.0x",
        "--1.00",
        "1.-1",
        "٣.00",
        "99999999999999999.99",
    ] {
        assert!(Money::parse(bad, "USD").is_err(), "{bad:?}");
    }
    for bad in ["usd", "US", "USDX", "XXX", "", "€€€"] {
        assert!(Money::parse("1.00", bad).is_err(), "{bad:?}");
    }
}

#[test]
fn ties_round_to_even() {
    let half = |minor| usd(minor).ratio(1, 2).unwrap().minor;
    assert_eq!(
        [half(1), half(3), half(5), half(-1), half(-3)],
        [0, 2, 2, 0, -2]
    );
    let tax: Rate = "0.0825".parse().unwrap();
    assert_eq!(usd(119_900).at(tax).unwrap(), usd(9_892));
    assert_eq!(usd(1000).at(Rate::percent(15)).unwrap(), usd(150));
}

#[test]
fn currencies_do_not_mix() {
    assert!(matches!(
        usd(1).checked_add(Money::new(1, Currency::JPY)),
        Err(MoneyError::CurrencyMismatch(..))
    ));
}

#[test]
fn overflow_is_an_error() {
    assert_eq!(usd(i64::MAX).checked_add(usd(1)), Err(MoneyError::Overflow));
    assert_eq!(usd(i64::MAX).times(2), Err(MoneyError::Overflow));
    assert_eq!(usd(i64::MAX).ratio(3, 2), Err(MoneyError::Overflow));
    assert_eq!(usd(i64::MIN).negated(), Err(MoneyError::Overflow));
}

proptest! {
    #[test]
    fn formatting_and_parsing_agree(minor in -1_000_000_000_000_000_i64..1_000_000_000_000_000, currency in any_currency()) {
        let money = Money::new(minor, currency);
        prop_assert_eq!(Money::parse(&money.amount(), currency.as_str()).unwrap(), money);
        let wire = money.to_wire();
        prop_assert_eq!(Money::try_from(&wire).unwrap(), money);
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn parsing_never_panics(amount in "\\PC{0,24}", currency in "\\PC{0,4}") {
        let _ = Money::parse(&amount, &currency);
        let _ = amount.parse::<Rate>();
    }

    #[test]
    fn a_ratio_is_within_half_a_unit(minor: i32, numerator in 0_i64..1_000_000, denominator in 1_i64..1_000_000) {
        let result = i128::from(usd(minor.into()).ratio(numerator, denominator).unwrap().minor);
        let exact = i128::from(minor) * i128::from(numerator);
        let off = (result * i128::from(denominator) - exact).abs() * 2;
        prop_assert!(off <= i128::from(denominator));
        if off == i128::from(denominator) {
            prop_assert_eq!(result % 2, 0);
        }
    }

    #[test]
    fn shares_add_up_and_stay_within_their_lines(
        lines in prop::collection::vec(0_i64..10_000_000, 1..40),
        part in 0_u64..=1_000_000,
    ) {
        let total: i64 = lines.iter().sum();
        prop_assume!(total > 0);
        let discount = usd((i128::from(total) * i128::from(part) / 1_000_000) as i64);
        let shares = discount.allocate(&lines).unwrap();
        prop_assert_eq!(Money::sum(Currency::USD, shares.iter().copied()).unwrap(), discount);
        for (share, line) in shares.iter().zip(&lines) {
            prop_assert!(share.minor >= 0 && share.minor <= *line);
        }
        let refund = discount.negated().unwrap().allocate(&lines).unwrap();
        prop_assert!(refund.iter().zip(&shares).all(|(a, b)| a.minor == -b.minor));
    }

    #[test]
    fn rates_print_as_they_were_written(whole in 0_u32..1000, fraction in "[0-9]{1,9}") {
        let text = format!("{whole}.{fraction}");
        prop_assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
    }
}

#[test]
fn the_usual_currencies_have_the_exponents_of_the_table() {
    for (code, exponent) in [("USD", 2), ("EUR", 2), ("GBP", 2), ("JPY", 0)] {
        let currency: Currency = code.parse().unwrap();
        assert_eq!((currency.as_str(), currency.exponent()), (code, exponent));
    }
}
