//! The grammar, and what is drawn.

#![allow(clippy::unwrap_used)]

use chrono::DateTime;

use super::*;

fn clock() -> Clock {
    Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

fn faults(rules: &[&str]) -> Result<Faults, InvalidRule> {
    let clock = clock();
    let ids = Ids::seeded(clock.clone(), 7);
    let policies = PolicyTable::from_pool(contracts::descriptor_pool()).unwrap();
    let settings = FaultSettings {
        rules: rules.iter().map(ToString::to_string).collect(),
    };
    Faults::new(&settings, &policies, &clock, &ids)
}

fn problem(rule: &str) -> String {
    faults(&[rule]).unwrap_err().to_string()
}

#[test]
fn a_rule_says_where_what_and_how_often() {
    let rule: Rule = "rpc=hub.orders.v1.OrderService/*:delay=200ms..2s,probability=0.3"
        .parse()
        .unwrap();
    assert_eq!(rule.point(), Point::Rpc);
    assert!(rule.covers("hub.orders.v1.OrderService/GetOrder"));
    assert!(!rule.covers("hub.orders.v1.SagaService/GetSaga"));
    let (least, most) = (Duration::from_millis(200), Duration::from_secs(2));
    assert_eq!(rule.kind(), Kind::Delay { least, most });
    assert!(rule.hits(0) && !rule.hits(u64::MAX));
    let same: Rule = "store=orders:delay=5ms".parse().unwrap();
    let five = Duration::from_millis(5);
    assert_eq!(
        same.kind(),
        Kind::Delay {
            least: five,
            most: five
        }
    );
    assert!(same.covers("orders") && !same.covers("orders2"));
    assert!(same.hits(u64::MAX));
    assert_eq!(same.to_string(), "store=orders:delay=5ms");
}

#[test]
fn a_rule_that_is_not_understood_is_told_what_is_wrong() {
    for (rule, said) in [
        ("rpc", "there is no \"=\""),
        ("disk=orders:fail", "\"disk\" is no place for faults"),
        ("store=orders", "there is no \":\""),
        ("store=:fail", "the name is empty"),
        ("rpc=hub.*.v1:fail", "has a * before its end"),
        (
            "store=orders:explode",
            "\"explode\" is nothing that can happen to store",
        ),
        (
            "rpc=*:duplicate",
            "\"duplicate\" is nothing that can happen to rpc",
        ),
        ("rpc=*:delay", "delay needs a time"),
        ("rpc=*:delay=fast", "\"fast\" is no time"),
        ("rpc=*:delay=2s..1s", "the longer time comes last"),
        ("rpc=*:delay=601s", "at most 600s"),
        ("rpc=*:fail=1", "fail takes no value"),
        ("rpc=*:fail,probability=0", "above 0 and at most 1"),
        ("rpc=*:fail,probability=1.1", "above 0 and at most 1"),
        ("rpc=*:fail,often", "\"often\" is not understood"),
        ("rpc=*:fail,probability=1,probability=1", "given twice"),
    ] {
        let problem = problem(rule);
        assert!(problem.contains(said), "{problem}");
        assert!(problem.contains(&format!("{rule:?}")), "{problem}");
    }
}

#[test]
fn names_must_be_those_of_the_installation() {
    for (rule, said) in [
        ("rpc=hub.payments.v1.Nothing/*:fail", "no RPC of that name"),
        ("store=order:fail", "there are admin, agents"),
        ("publish=orders.*:cut", "order-events/OrderCreated"),
        ("consumer=orders.nobody:fail", "no consumer of that name"),
    ] {
        let problem = problem(rule);
        assert!(problem.contains(said), "{problem}");
    }
    let known = [
        "rpc=hub.orders.v1.OrderService/CreateOrder:fail",
        "store=orders:fail",
        "publish=order-events/*:reorder",
        "consumer=orders.saga:fail",
    ];
    assert_eq!(faults(&known).unwrap().rules().len(), 4);
}

#[test]
fn without_a_rule_or_before_they_are_armed_there_is_nothing() {
    assert!(
        faults(&[])
            .unwrap()
            .at(Point::Store, "orders")
            .rigged()
            .is_none()
    );
    let faults = faults(&["store=orders:fail"]).unwrap();
    let (orders, cart) = (
        faults.at(Point::Store, "orders"),
        faults.at(Point::Store, "cart"),
    );
    assert!(orders.rigged().is_none());
    faults.arm();
    assert_eq!(orders.rigged().unwrap().draw().blow, Some(Kind::Fail));
    assert!(cart.rigged().is_none());
    assert!(faults.at(Point::Consumer, "orders").rigged().is_none());
}

#[test]
fn delays_add_up_and_the_first_of_the_others_counts() {
    let faults = faults(&[
        "store=orders:delay=10ms",
        "store=*:cut",
        "store=orders:fail",
        "store=orders:delay=5ms..9ms",
    ])
    .unwrap();
    faults.arm();
    let site = faults.at(Point::Store, "orders");
    let mut delays = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let strike = site.rigged().unwrap().draw();
        assert_eq!(strike.blow, Some(Kind::Cut));
        delays.insert(strike.delay.as_millis());
    }
    assert_eq!(delays.into_iter().collect::<Vec<_>>(), [15, 16, 17, 18, 19]);
}

#[test]
fn a_rule_hits_as_often_as_it_says() {
    let faults = faults(&["store=orders:fail,probability=0.25"]).unwrap();
    faults.arm();
    let site = faults.at(Point::Store, "orders");
    let hits = (0..10_000)
        .filter(|_| site.rigged().unwrap().draw().blow.is_some())
        .count();
    assert!((2_200..2_800).contains(&hits), "{hits}");
}
