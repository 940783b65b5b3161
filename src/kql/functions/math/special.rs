//! Gamma, beta and error functions, and what statistics makes of them.

use crate::kql::functions::{Function, Naming, row};
use crate::kql::value::Value;

pub(super) fn table() -> Vec<Function> {
    use Naming::{First, None as Unnamed};
    vec![
        row("gamma", "number -> real", First, |a| {
            a[0].as_real().map(gamma).into()
        }),
        row("loggamma", "number -> real", First, |a| {
            a[0].as_real().map(log_gamma).into()
        }),
        row("erf", "number -> real", First, |a| {
            a[0].as_real().map(erf).into()
        }),
        row("erfc", "number -> real", First, |a| {
            a[0].as_real().map(erfc).into()
        }),
        row("beta_cdf", "number, number, number -> real", Unnamed, |a| {
            three(a)
                .map(|[x, alpha, beta]| beta_cdf(x, alpha, beta))
                .into()
        }),
        row("beta_pdf", "number, number, number -> real", Unnamed, |a| {
            three(a)
                .map(|[x, alpha, beta]| beta_pdf(x, alpha, beta))
                .into()
        }),
        row("beta_inv", "number, number, number -> real", Unnamed, |a| {
            three(a)
                .and_then(|[p, alpha, beta]| beta_inv(p, alpha, beta))
                .into()
        }),
        row(
            "welch_test",
            "number, number, number, number, number, number -> real",
            Unnamed,
            welch_test,
        ),
    ]
}

fn three(args: &[Value<'_>]) -> Option<[f64; 3]> {
    Some([args[0].as_real()?, args[1].as_real()?, args[2].as_real()?])
}

/// Lanczos' sum with g = 7.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

fn gamma(x: f64) -> f64 {
    if x.fract() == 0.0 && x > 0.0 && x < 171.5 {
        return (2..x as u32).map(f64::from).product();
    }
    if x < 0.5 {
        // At zero and the negative whole numbers there is a pole.
        if x.fract() == 0.0 {
            return f64::NAN;
        }
        return std::f64::consts::PI / ((std::f64::consts::PI * x).sin() * gamma(1.0 - x));
    }
    log_gamma(x).exp()
}

/// The logarithm of the absolute value of gamma.
pub(in crate::kql::functions) fn log_gamma(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x < 0.5 {
        return (PI / (PI * x).sin().abs()).ln() - log_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum: f64 = LANCZOS[0]
        + LANCZOS[1..]
            .iter()
            .zip(1..)
            .map(|(c, i)| c / (x + f64::from(i)))
            .sum::<f64>();
    let t = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() >= 2.5 {
        return (1.0 - erfc_tail(x.abs())).copysign(x);
    }
    // All terms have one sign, so nothing cancels.
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-17 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

fn erfc(x: f64) -> f64 {
    if x >= 2.5 { erfc_tail(x) } else { 1.0 - erf(x) }
}

/// The continued fraction of the tail, from its far end; for `x` from 2.5 on.
fn erfc_tail(x: f64) -> f64 {
    if x > 30.0 {
        return 0.0;
    }
    let fraction = (1..=120)
        .rev()
        .fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt())
}

fn shaped(alpha: f64, beta: f64) -> bool {
    alpha > 0.0 && beta > 0.0
}

fn log_beta(alpha: f64, beta: f64) -> f64 {
    log_gamma(alpha) + log_gamma(beta) - log_gamma(alpha + beta)
}

fn beta_pdf(x: f64, alpha: f64, beta: f64) -> f64 {
    if !shaped(alpha, beta) || !(0.0..=1.0).contains(&x) {
        return f64::NAN;
    }
    x.powf(alpha - 1.0) * (1.0 - x).powf(beta - 1.0) / log_beta(alpha, beta).exp()
}

/// The regularised incomplete beta function.
fn beta_cdf(x: f64, alpha: f64, beta: f64) -> f64 {
    if !shaped(alpha, beta) || !(0.0..=1.0).contains(&x) {
        return f64::NAN;
    }
    if x == 0.0 || x == 1.0 {
        return x;
    }
    let front = (alpha * x.ln() + beta * (-x).ln_1p() - log_beta(alpha, beta)).exp();
    // The fraction converges fast on the near side of the mean.
    if x < (alpha + 1.0) / (alpha + beta + 2.0) {
        front * beta_fraction(x, alpha, beta) / alpha
    } else {
        1.0 - front * beta_fraction(1.0 - x, beta, alpha) / beta
    }
}

/// Lentz' evaluation of the continued fraction.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    let tiny = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        for step in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / tiny(1.0 + step * d);
            c = tiny(1.0 + step / c);
            value *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// No probability, no value; a shape that is none gives NaN.
fn beta_inv(p: f64, alpha: f64, beta: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    if !shaped(alpha, beta) {
        return Some(f64::NAN);
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if middle == low || middle == high {
            break;
        }
        if beta_cdf(middle, alpha, beta) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(if p == 0.0 { 0.0 } else { high })
}

/// The two-sided p-value of Welch's test for equal means.
fn welch_test<'a>(args: &[Value<'a>]) -> Value<'a> {
    let numbers: Option<Vec<f64>> = args.iter().map(Value::as_real).collect();
    let Some([mean1, variance1, count1, mean2, variance2, count2]) =
        numbers.and_then(|v| <[f64; 6]>::try_from(v).ok())
    else {
        return Value::Null;
    };
    let (error1, error2) = (variance1 / count1, variance2 / count2);
    let error = error1 + error2;
    let t = (mean1 - mean2) / error.sqrt();
    let freedom =
        error * error / (error1 * error1 / (count1 - 1.0) + error2 * error2 / (count2 - 1.0));
    Value::Real(beta_cdf(freedom / (freedom + t * t), freedom / 2.0, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_functions_have_their_known_values() {
        for (name, value, expected) in [
            ("gamma(5)", gamma(5.0), 24.0),
            ("gamma(0.5)", gamma(0.5), std::f64::consts::PI.sqrt()),
            ("gamma(-1.5)", gamma(-1.5), 2.363_271_801_207_355),
            ("loggamma(5)", log_gamma(5.0), 24f64.ln()),
            ("loggamma(0.1)", log_gamma(0.1), 2.252_712_651_734_206),
            ("erf(0.5)", erf(0.5), 0.520_499_877_813_046_5),
            ("erf(-3)", erf(-3.0), -0.999_977_909_503_001_4),
            ("erfc(3)", erfc(3.0), 2.209_049_699_858_544e-5),
            ("erfc(0.5)", erfc(0.5), 0.479_500_122_186_953_5),
            ("beta_cdf", beta_cdf(0.2, 10.0, 50.0), 0.736_867_664_724_5),
            ("beta_pdf", beta_pdf(0.5, 10.0, 20.0), 0.746_176_019_310_951),
            (
                "beta_inv",
                beta_inv(0.1, 10.0, 20.0).expect("a value"),
                0.226_415_022_388_749,
            ),
        ] {
            let error = ((value - expected) / expected).abs();
            assert!(error < 1e-6, "{name}: {value} for {expected}");
        }
        assert!(beta_pdf(1.5, 10.0, 20.0).is_nan() && beta_cdf(0.5, -1.0, 2.0).is_nan());
        assert_eq!(beta_inv(1.5, 10.0, 20.0), None);
    }

    #[test]
    fn unequal_variances_are_told_apart() {
        let args = [20.82, 7.9, 15.0, 22.98, 3.7, 15.0].map(Value::Real);
        let p = welch_test(&args).as_real().expect("a p-value");
        assert!((p - 0.021).abs() < 0.002, "{p}");
    }
}
