//! Quantiles of the Beta distribution.
//!
//! A service that delivered `on_time` of `delivered` parcels by their promise has a probability to be on
//! time whose posterior, under Jeffreys' prior Beta(1/2, 1/2), is Beta(on_time + 1/2, late + 1/2) (Brown,
//! Cai and DasGupta, *Interval Estimation for a Binomial Proportion*, Statistical Science 16, 2001). Its
//! lower quantile is what the record vouches for: few deliveries vouch for little.

use std::{collections::HashMap, sync::LazyLock};

use parking_lot::Mutex;

/// Bounds that were computed. Records change only when a parcel arrives, while every order asks for the
/// bound of every service; computing it each time took a fifth of a checkout.
static VOUCHED: LazyLock<Mutex<HashMap<(i64, i64), f64>>> = LazyLock::new(Mutex::default);
/// Bounds that are remembered; then all are forgotten and the ones in use come back.
const REMEMBERED: usize = 4_096;

/// Iterations of the continued fraction; it needs about the square root of the larger parameter.
const MOST_TERMS: u32 = 20_000;
/// Steps of the search for a quantile: enough to halve the unit interval to below a double's precision.
const MOST_STEPS: u32 = 100;
const TINY: f64 = 1e-300;

/// The probability to be on time of which the record vouches with 95 %. Counts must not be negative;
/// `on_time` above `delivered` counts as all.
pub fn vouched_for(on_time: i64, delivered: i64) -> f64 {
    if let Some(known) = VOUCHED.lock().get(&(on_time, delivered)) {
        return *known;
    }
    let late = (delivered - on_time).max(0);
    let bound = quantile(0.05, on_time as f64 + 0.5, late as f64 + 0.5);
    let mut vouched = VOUCHED.lock();
    if vouched.len() >= REMEMBERED {
        vouched.clear();
    }
    vouched.insert((on_time, delivered), bound);
    bound
}

/// The value below which Beta(a, b) lies with probability `p`, for a, b > 0: Newton's method on
/// [`regularized`], whose derivative is the density, kept inside a bracket that halves whenever a step
/// would leave it. The function rises, so the bracket always holds the answer.
pub fn quantile(p: f64, a: f64, b: f64) -> f64 {
    let ln_beta = ln_beta(a, b);
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Begin near the normal approximation; for skewed ones the bracket soon takes over.
    let mean = a / (a + b);
    let deviation = (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
    let mut x = (mean + (2.0 * p - 1.0) * 1.8 * deviation).clamp(1e-12, 1.0 - 1e-12);
    for _ in 0..MOST_STEPS {
        let above = regularized(x, a, b) - p;
        if above < 0.0 {
            low = x;
        } else {
            high = x;
        }
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta).exp();
        let step = x - above / density;
        let next = if step > low && step < high {
            step
        } else {
            f64::midpoint(low, high)
        };
        if (next - x).abs() <= f64::EPSILON * x {
            return next;
        }
        x = next;
    }
    x
}

/// The regularized incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and Stegun
/// 26.5.8) on the side of the mean where it converges quickly, and I_x(a, b) = 1 - I_1-x(b, a) on the other.
pub fn regularized(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction, evaluated from the front (Lentz, Applied Optics 15, 1976, as modified by
/// Thompson and Barnett, J. Comput. Phys. 64, 1986).
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = guard(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut result = d;
    for term in 1..=MOST_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for numerator in [even, odd] {
            d = guard(1.0 + numerator * d).recip();
            c = guard(1.0 + numerator / c);
            change = c * d;
            result *= change;
        }
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    result
}

/// The logarithm of the beta function.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if small < SHIFT {
        // One parameter is small: the plain difference loses little.
        return ln_gamma(small) + (ln_gamma(large) - ln_gamma(small + large));
    }
    // Stirling's series for all three, with the large parts combined before they cancel.
    let sum = small + large;
    0.5 * (std::f64::consts::TAU.ln() - large.ln()) + (small - 0.5) * (small / sum).ln()
        - large * (small / large).ln_1p()
        + correction(small)
        + correction(large)
        - correction(sum)
}

/// From here on Stirling's series is exact to double precision.
const SHIFT: f64 = 10.0;

/// The logarithm of the gamma function for x > 0: Stirling's series (Abramowitz and Stegun 6.1.41) from
/// ten on, and the recurrence below.
fn ln_gamma(x: f64) -> f64 {
    let mut product = 1.0;
    let mut shifted = x;
    while shifted < SHIFT {
        product *= shifted;
        shifted += 1.0;
    }
    let stirling = (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln();
    stirling + correction(shifted) - product.ln()
}

/// What Stirling's series adds to Stirling's formula, for x of ten or more.
fn correction(x: f64) -> f64 {
    let inverse_square = 1.0 / (x * x);
    let terms = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    terms
        .iter()
        .rev()
        .fold(0.0, |sum, term| sum * inverse_square + term)
        / x
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64, within: f64) -> bool {
        (a - b).abs() <= within
    }

    #[test]
    fn closed_forms() {
        for p in [0.001, 0.05, 0.3, 0.5, 0.8, 0.999] {
            // The arcsine distribution.
            assert!(
                close(quantile(p, 0.5, 0.5), (PI * p / 2.0).sin().powi(2), 1e-12),
                "{p}"
            );
            for n in [0.5, 1.0, 3.0, 40.0, 5000.0] {
                assert!(
                    close(quantile(p, n, 1.0), p.powf(1.0 / n), 1e-12),
                    "{p} {n}"
                );
                assert!(
                    close(quantile(p, 1.0, n), 1.0 - (1.0 - p).powf(1.0 / n), 1e-12),
                    "{p} {n}"
                );
                assert!(close(quantile(0.5, n, n), 0.5, 1e-12), "{n}");
            }
        }
        // I_0.4(2, 3) = sum over k = 2..4 of C(4, k) 0.4^k 0.6^(4-k).
        assert!(close(regularized(0.4, 2.0, 3.0), 0.5248, 1e-14));
        assert!(close(ln_gamma(0.5), PI.sqrt().ln(), 1e-14));
        assert!(close(ln_gamma(11.0), 3_628_800.0_f64.ln(), 1e-13));
        // From a C library's lgamma.
        assert!(close(ln_beta(20.0, 30.0), -33.968_820_791_977_41, 1e-12));
    }

    #[test]
    fn few_deliveries_vouch_for_little() {
        // Jeffreys' bounds for 0 of 0 and 10 of 10.
        assert!(close(vouched_for(0, 0), (PI * 0.025).sin().powi(2), 1e-12));
        assert!(
            close(vouched_for(10, 10), 0.829_227, 1e-5),
            "{}",
            vouched_for(10, 10)
        );
        assert!(vouched_for(10, 10) < vouched_for(100, 100));
        assert!(vouched_for(960, 1000) < vouched_for(96_000, 100_000));
        // With many, the normal approximation holds.
        let (n, p) = (91_856.0_f64, 88_412.0 / 91_856.0);
        let normal = p - 1.644_854 * (p * (1.0 - p) / n).sqrt();
        assert!(close(vouched_for(88_412, 91_856), normal, 2e-5));
    }

    /// P(at least k of n), summed from the definition.
    fn binomial_tail(n: u32, k: u32, p: f64) -> f64 {
        let mut choose = 1.0;
        let mut tail = 0.0;
        for i in 0..=n {
            if i > 0 {
                choose *= f64::from(n - i + 1) / f64::from(i);
            }
            if i >= k {
                tail += choose
                    * p.powi(i32::try_from(i).unwrap_or(0))
                    * (1.0 - p).powi(i32::try_from(n - i).unwrap_or(0));
            }
        }
        tail
    }

    proptest! {
        #[test]
        fn it_is_the_tail_of_the_binomial(n in 1_u32..60, k in 1_u32..60, p in 0.001_f64..0.999) {
            let k = k.min(n);
            let ours = regularized(p, f64::from(k), f64::from(n - k + 1));
            prop_assert!(close(ours, binomial_tail(n, k, p), 1e-11), "{ours}");
        }

        #[test]
        fn the_quantile_inverts_it(p in 0.001_f64..0.999, a in 0.5_f64..200_000.0, b in 0.5_f64..200_000.0) {
            let x = quantile(p, a, b);
            prop_assert!(close(regularized(x, a, b), p, 1e-7), "{x}");
            prop_assert!(close(regularized(x, a, b) + regularized(1.0 - x, b, a), 1.0, 1e-9));
        }

        #[test]
        fn more_on_time_vouches_for_more(on_time in 0_i64..100_000, late in 0_i64..10_000) {
            let here = vouched_for(on_time, on_time + late);
            prop_assert!(here > 0.0 && here < 1.0);
            prop_assert!(vouched_for(on_time + 1, on_time + late + 1) >= here);
            prop_assert!(vouched_for(on_time, on_time + late + 1) <= here);
        }
    }
}
