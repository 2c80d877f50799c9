//! From single measurements to figures that say how far they can be trusted.

use serde::{Deserialize, Serialize};

/// How often pairs are drawn again for an interval.
const RESAMPLES: usize = 500;

/// A figure with the interval that holds it in 95 of 100 repetitions of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The middle of values, NaN if there are none. Outliers, of which a busy machine has many, do not move it.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which a share of all values lies; NaN if there are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small counts"
)]
pub(super) fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    if values.is_empty() {
        return f64::NAN;
    }
    let place = ((values.len() - 1) as f64 * share).round() as usize;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

/// The ratio of the medians of what was measured in pairs. The interval is that of a bootstrap: pairs are drawn again
/// with replacement, always in the same way, so that the same measurements have the same interval.
pub(super) fn ratio(pairs: &[(f64, f64)]) -> Estimate {
    let of = |pairs: &[(f64, f64)]| median(pairs.iter().map(|pair| pair.0)) / median(pairs.iter().map(|pair| pair.1));
    let mut random = fastrand::Rng::with_seed(1);
    let mut drawn = vec![(0.0, 0.0); pairs.len()];
    let ratios: Vec<_> = (0..RESAMPLES)
        .map(|_| {
            drawn.fill_with(|| *random.choice(pairs).unwrap_or(&(f64::NAN, f64::NAN)));
            of(&drawn)
        })
        .collect();
    Estimate {
        value: of(pairs),
        low: quantile(ratios.iter().copied(), 0.025),
        high: quantile(ratios.iter().copied(), 0.975),
    }
}

/// How far two measurements of the same thing lie apart here, as the logarithm of their ratio: the 95th percentile over
/// all ways to halve the rounds of one run. Infinite if there is nothing to halve.
pub(super) fn noise(rounds: &[f64]) -> f64 {
    let half = rounds.len() / 2;
    if half == 0 {
        return f64::INFINITY;
    }
    let part = |mask: u32, inside: bool| {
        let chosen = rounds.iter().enumerate().filter(move |(place, _)| (mask >> place & 1 == 1) == inside);
        median(chosen.map(|(_, value)| *value))
    };
    // As many rounds as there are bits are more than any run has.
    let masks = 0..1_u32 << rounds.len().min(16);
    let halves = masks.filter(|mask| mask.count_ones() as usize == half);
    quantile(halves.map(|mask| (part(mask, true) / part(mask, false)).ln().abs()), 0.95)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_ratio_holds_it_and_is_the_same_each_time() {
        let pairs: Vec<_> =
            (0..40).map(|step| (2.0 + f64::from(step % 5) / 10.0, 1.0 + f64::from(step % 3) / 10.0)).collect();
        let first = ratio(&pairs);
        assert!(first.low <= first.value && first.value <= first.high && first.low < first.high, "{first:?}");
        assert_eq!(first, ratio(&pairs));
        assert!((first.value - 2.0).abs() < 0.1, "{first:?}");
    }

    #[test]
    fn an_outlier_moves_nothing() {
        let mut pairs = vec![(2.0, 1.0); 20];
        pairs.push((500.0, 1.0));
        assert_eq!(ratio(&pairs), Estimate { value: 2.0, low: 2.0, high: 2.0 });
    }

    #[test]
    fn the_noise_grows_with_the_distance_of_the_rounds() {
        let calm = noise(&[2.0, 2.01, 1.99, 2.0]);
        let wild = noise(&[2.0, 2.6, 1.6, 2.3]);
        assert!(calm < 0.02 && wild > 0.1, "{calm} {wild}");
        assert!(noise(&[2.0]).is_infinite());
    }
}
