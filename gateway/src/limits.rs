//! Rate limits: how many requests a caller may make per minute.
//!
//! The budget depends on the caller's role (configuration) and on the RPC's rate class (contract).
//! Callers are known by user or guest id, anonymous ones by address. Credential checks draw from a
//! tenth of the anonymous budget per address whoever calls, which slows guessing down without
//! locking anybody out of the shop.
//!
//! Here a gateway counts alone; [`admission`](crate::admission) asks Redis to count for all of them
//! while it is there. Both follow the generic cell rate algorithm (GCRA), so callers see no difference.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use governor::{
    Quota, RateLimiter, clock::Clock as GovernorClock, middleware::StateInformationMiddleware,
    nanos::Nanos, state::keyed::DashMapStateStore,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use mesh::{
    Clock, Failure, Principal, Reason, config::RateLimits, policy::RateClass, principal::Role,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const WINDOW: Duration = Duration::from_secs(60);
/// Checks after which idle callers are forgotten.
const SWEEP_EVERY: u64 = 16_384;
/// Callers beyond which idle ones are forgotten at each sweep.
const MANY: usize = 1_024;

type Limiter = RateLimiter<u64, DashMapStateStore<u64>, Ticker, StateInformationMiddleware>;

/// mesh's clock as governor reads it.
#[derive(Debug, Clone)]
struct Ticker {
    clock: Clock,
    start: Instant,
}

impl GovernorClock for Ticker {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.clock
            .monotonic()
            .saturating_duration_since(self.start)
            .into()
    }
}

/// One budget: so many requests per minute and caller.
struct Budget {
    name: &'static str,
    quota: u32,
    limiter: Limiter,
}

/// All budgets.
pub struct Limits {
    anonymous: Option<Budget>,
    guest: Option<Budget>,
    customer: Option<Budget>,
    staff: Option<Budget>,
    admin: Option<Budget>,
    credentials: Option<Budget>,
    /// Callers are kept by a keyed hash: small, and nobody can choose to collide with somebody else.
    hasher: RandomState,
    checks: AtomicU64,
}

/// One request and the budget that it is taken out of.
#[derive(Clone, Copy)]
pub struct Charge<'a> {
    budget: &'a Budget,
    payer: Payer<'a>,
}

#[derive(Clone, Copy)]
enum Payer<'a> {
    Site(u128),
    Subject(&'a str),
}

/// What is left of a caller's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    name: &'static str,
    quota: u32,
    remaining: u32,
    /// Until the whole budget is there again, or until the next request may come.
    wait: Duration,
    admitted: bool,
}

impl Limits {
    /// The budgets of `limits`; 0 means no limit.
    pub fn new(limits: &RateLimits, clock: Clock) -> Self {
        let ticker = Ticker {
            clock: clock.clone(),
            start: clock.monotonic(),
        };
        let budget = |name, quota: u32| {
            let quota = NonZeroU32::new(quota)?;
            Some(Budget {
                name,
                quota: quota.get(),
                limiter: RateLimiter::dashmap_with_clock(Quota::per_minute(quota), ticker.clone())
                    .with_middleware(),
            })
        };
        Self {
            anonymous: budget("anonymous", limits.anonymous),
            guest: budget("guest", limits.guest()),
            customer: budget("customer", limits.customer),
            staff: budget("staff", limits.staff),
            admin: budget("admin", limits.admin),
            credentials: budget("credentials", limits.anonymous.div_ceil(10)),
            hasher: RandomState::new(),
            checks: AtomicU64::new(0),
        }
    }

    /// Whose budget a request is taken out of; `None` where there is no limit.
    pub fn charge<'a>(
        &'a self,
        class: RateClass,
        principal: &'a Principal,
        address: IpAddr,
    ) -> Option<Charge<'a>> {
        let budget = match (class, principal.role()) {
            (RateClass::Unlimited, _) => return None,
            (RateClass::Credentials, _) => &self.credentials,
            (_, Role::Guest) => &self.guest,
            (_, Role::Customer) => &self.customer,
            (_, Role::Staff) => &self.staff,
            (_, Role::Admin | Role::Service) => &self.admin,
            (_, Role::Anonymous | Role::Unspecified) => &self.anonymous,
        }
        .as_ref()?;
        let by_address = class == RateClass::Credentials || principal.is_anonymous();
        let payer = if by_address {
            Payer::Site(site(address))
        } else {
            Payer::Subject(principal.subject())
        };
        Some(Charge { budget, payer })
    }

    /// Takes one request out of the budget as this gateway knows it.
    pub fn draw(&self, charge: &Charge<'_>) -> Standing {
        let key = match charge.payer {
            Payer::Site(site) => self.hasher.hash_one(site),
            Payer::Subject(subject) => self.hasher.hash_one(subject),
        };
        let limiter = &charge.budget.limiter;
        let standing = match limiter.check_key(&key) {
            Ok(state) => charge.admitted(state.remaining_burst_capacity()),
            Err(until) => charge.refused(until.wait_time_from(limiter.clock().now())),
        };
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep();
        }
        standing
    }

    /// Forgets callers whose budget is whole again. A caller costs 16 bytes until then, and not more
    /// callers can be known than made a request within the last minute.
    pub fn sweep(&self) {
        for budget in [
            &self.anonymous,
            &self.guest,
            &self.customer,
            &self.staff,
            &self.admin,
            &self.credentials,
        ]
        .into_iter()
        .flatten()
        {
            if budget.limiter.len() > MANY {
                budget.limiter.retain_recent();
                budget.limiter.shrink_to_fit();
            }
        }
    }
}

impl Charge<'_> {
    /// The name of the caller's budget, the same at every gateway.
    pub fn name(&self) -> String {
        let budget = self.budget.name;
        match self.payer {
            Payer::Site(site) => format!("limit:{budget}:{site:x}"),
            Payer::Subject(subject) => format!("limit:{budget}:{subject}"),
        }
    }

    /// Time from one request to the next at the rate of the budget, in microseconds. Rounded down, so
    /// that the whole budget fits into the window.
    pub fn interval(&self) -> u64 {
        (window_micros() / u64::from(self.budget.quota)).max(1)
    }

    /// The request may go on, and so many more.
    pub fn admitted(&self, remaining: u32) -> Standing {
        let quota = self.budget.quota;
        let remaining = remaining.min(quota);
        Standing {
            name: self.budget.name,
            quota,
            remaining,
            wait: WINDOW * quota.saturating_sub(remaining) / quota,
            admitted: true,
        }
    }

    /// The request is one too many; the next may come after `wait`.
    pub fn refused(&self, wait: Duration) -> Standing {
        Standing {
            name: self.budget.name,
            quota: self.budget.quota,
            remaining: 0,
            wait,
            admitted: false,
        }
    }
}

/// The time in which a budget fills up, in microseconds.
pub fn window_micros() -> u64 {
    WINDOW.as_secs() * 1_000_000
}

impl Standing {
    /// Adds what the client should know.
    pub fn decorate(&self, headers: &mut HeaderMap) {
        let seconds = WINDOW.as_secs();
        let policy = format!("\"{}\";q={};w={seconds}", self.name, self.quota);
        let limit = format!(
            "\"{}\";r={};t={}",
            self.name,
            self.remaining,
            self.seconds()
        );
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(POLICY, policy);
        }
        if let Ok(limit) = HeaderValue::from_str(&limit) {
            headers.insert(LIMIT, limit);
        }
        if !self.admitted {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(self.seconds().max(1)),
            );
        }
    }

    /// Whether the request may go on.
    ///
    /// # Errors
    /// [`Reason::RateLimited`].
    pub fn admit(&self) -> Result<(), Failure> {
        if self.admitted {
            return Ok(());
        }
        Err(Failure::new(
            Reason::RateLimited,
            format!("the limit is {} requests per minute", self.quota),
        )
        .with_retry_after(Duration::from_secs(self.seconds().max(1))))
    }

    fn seconds(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}

/// Whoever has an IPv6 address has 2^64 of them.
fn site(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX) | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use mesh::User;

    use super::*;

    fn draw(
        limits: &Limits,
        class: RateClass,
        principal: &Principal,
        address: IpAddr,
    ) -> Option<Standing> {
        let charge = limits.charge(class, principal, address)?;
        Some(limits.draw(&charge))
    }

    fn limits(clock: &Clock) -> Limits {
        Limits::new(
            &RateLimits {
                anonymous: 30,
                guest: None,
                customer: 5,
                staff: 10,
                admin: 0,
            },
            clock.clone(),
        )
    }

    fn clock() -> Clock {
        Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap())
    }

    fn user(role: Role, id: &str) -> Principal {
        Principal::user(
            role,
            User {
                subject: id.to_owned(),
                ..User::default()
            },
        )
        .unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_budget_runs_out_and_comes_back() {
        let clock = clock();
        let limits = limits(&clock);
        let customer = user(Role::Customer, "u-1");
        let home = address("192.0.2.1");
        for left in (0..5).rev() {
            let standing = draw(&limits, RateClass::Standard, &customer, home).unwrap();
            assert!(standing.admitted);
            assert_eq!(standing.remaining, left);
        }
        let refused = draw(&limits, RateClass::Standard, &customer, home).unwrap();
        let failure = refused.admit().unwrap_err();
        assert_eq!(failure.reason(), Reason::RateLimited);
        let mut headers = HeaderMap::new();
        refused.decorate(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"customer\";q=5;w=60");
        assert_eq!(headers["ratelimit"], "\"customer\";r=0;t=12");
        assert_eq!(headers["retry-after"], "12");
        // Another customer at the same address has a budget of his own.
        let other = user(Role::Customer, "u-2");
        assert!(
            draw(&limits, RateClass::Standard, &other, home)
                .unwrap()
                .admitted
        );
        clock.advance(Duration::from_secs(12));
        assert!(
            draw(&limits, RateClass::Standard, &customer, home)
                .unwrap()
                .admitted
        );
    }

    #[test]
    fn zero_means_no_limit() {
        let limits = limits(&clock());
        let admin = user(Role::Admin, "a");
        assert!(draw(&limits, RateClass::Standard, &admin, address("::1")).is_none());
        let anonymous = Principal::anonymous();
        assert!(draw(&limits, RateClass::Unlimited, &anonymous, address("::1")).is_none());
    }

    #[test]
    fn guessing_is_slow_whoever_guesses() {
        let limits = limits(&clock());
        let attacker = address("192.0.2.1");
        for role in ["a", "b", "c"] {
            let someone = user(Role::Customer, role);
            assert!(
                draw(&limits, RateClass::Credentials, &someone, attacker)
                    .unwrap()
                    .admitted
            );
        }
        let anonymous = Principal::anonymous();
        assert!(
            !draw(&limits, RateClass::Credentials, &anonymous, attacker)
                .unwrap()
                .admitted
        );
        assert!(
            draw(
                &limits,
                RateClass::Credentials,
                &anonymous,
                address("192.0.2.2")
            )
            .unwrap()
            .admitted
        );
    }

    #[test]
    fn an_ipv6_site_is_one_caller() {
        assert_eq!(site(address("2001:db8::1")), site(address("2001:db8::2")));
        assert_ne!(
            site(address("2001:db8::1")),
            site(address("2001:db8:0:1::1"))
        );
        assert_eq!(
            site(address("::ffff:192.0.2.1")),
            site(address("192.0.2.1"))
        );
    }

    #[test]
    fn idle_callers_are_forgotten() {
        let clock = clock();
        let limits = limits(&clock);
        let anonymous = Principal::anonymous();
        for number in 0..2_000u32 {
            draw(
                &limits,
                RateClass::Standard,
                &anonymous,
                IpAddr::from(number.to_be_bytes()),
            );
        }
        clock.advance(Duration::from_secs(61));
        limits.sweep();
        assert_eq!(limits.anonymous.as_ref().unwrap().limiter.len(), 0);
    }
}
