//! Two measurements against each other: what is faster, what is slower, and what is noise.

use std::fmt;

use crate::bench::estimate::noise;
use crate::bench::results::{Compared, Handshake, Measurements};

/// How a figure has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Faster,
    Slower,
    /// No further from the old one than rounds of one measurement are from each other.
    Noise,
}

/// A figure in both measurements.
struct Figure {
    /// `TLS 1.3 (kong cosocket), time`
    name: String,
    old: f64,
    new: f64,
    /// The largest ratio of two measurements of the same thing on these machines, at this number of rounds.
    floor: f64,
    change: Change,
}

/// Two measurements, figure by figure. Both are ratios to plaintext, so that the machines need not be equally fast.
pub struct Comparison {
    figures: Vec<Figure>,
    /// The modes and clients that only one of them has.
    unpaired: usize,
}

impl Comparison {
    /// Compares.
    #[must_use]
    pub fn new(old: &Measurements, new: &Measurements) -> Self {
        let is_same =
            |a: &Handshake, b: &Handshake| a.mode == b.mode && a.client == b.client && a.postgres == b.postgres;
        let mut figures = Vec::new();
        let mut unpaired =
            old.handshakes.iter().filter(|old| !new.handshakes.iter().any(|new| is_same(old, new))).count();
        for handshake in &new.handshakes {
            let Some(before) = old.handshakes.iter().find(|old| is_same(old, handshake)) else {
                unpaired += 1;
                continue;
            };
            let figure = |name: &str, old: Option<&Compared>, new: Option<&Compared>| {
                Some(Figure::new(format!("{} ({}), {name}", handshake.mode, handshake.client), old?, new?))
            };
            figures.extend(figure("time", Some(&before.time), Some(&handshake.time)));
            figures.extend(figure("server", before.server_cpu.as_ref(), handshake.server_cpu.as_ref()));
            figures.extend(figure("client", before.client_cpu.as_ref(), handshake.client_cpu.as_ref()));
        }
        Self { figures, unpaired }
    }

    /// Whether something is slower.
    #[must_use]
    pub fn is_slower(&self) -> bool {
        self.figures.iter().any(|figure| figure.change == Change::Slower)
    }
}

impl Figure {
    fn new(name: String, old: &Compared, new: &Compared) -> Self {
        let floor = noise(&old.rounds).max(noise(&new.rounds));
        let step = (new.ratio.value / old.ratio.value).ln();
        let change = if step > floor && new.ratio.low > old.ratio.high {
            Change::Slower
        } else if -step > floor && new.ratio.high < old.ratio.low {
            Change::Faster
        } else {
            Change::Noise
        };
        Self { name, old: old.ratio.value, new: new.ratio.value, floor: floor.exp(), change }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |change| self.figures.iter().filter(|figure| figure.change == change).count();
        for (change, word) in [(Change::Slower, "slower"), (Change::Faster, "faster")] {
            for Figure { name, old, new, floor, .. } in self.figures.iter().filter(|figure| figure.change == change) {
                let (percent, noise) = ((new / old - 1.0) * 100.0, (floor - 1.0) * 100.0);
                writeln!(f, "{word}  {name}: {old:.2} -> {new:.2} x plain, {percent:+.0} % (noise {noise:.0} %)")?;
            }
        }
        let (faster, slower, noise) = (count(Change::Faster), count(Change::Slower), count(Change::Noise));
        writeln!(f, "{faster} faster, {slower} slower, {noise} within the noise")?;
        match self.unpaired {
            0 => Ok(()),
            one => writeln!(f, "{one} in one of the measurements only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::show::sample::{measurements, slower};

    #[test]
    fn a_measurement_is_no_different_from_itself() {
        let comparison = Comparison::new(&measurements(), &measurements());
        assert!(!comparison.is_slower());
        assert_eq!(comparison.to_string(), "0 faster, 0 slower, 3 within the noise\n");
    }

    #[test]
    fn what_is_beyond_the_noise_is_slower_or_faster() {
        let (before, after) = (measurements(), slower(1.5));
        let comparison = Comparison::new(&before, &after);
        assert!(comparison.is_slower());
        assert!(
            comparison.to_string().starts_with("slower  TLS 1.3 (kong cosocket), time: 2.00 -> 3.00 x plain, +50 %"),
            "{comparison}"
        );
        let back = Comparison::new(&after, &before);
        assert!(!back.is_slower() && back.to_string().starts_with("faster  "), "{back}");
    }

    #[test]
    fn a_difference_as_small_as_that_between_rounds_is_noise() {
        assert!(!Comparison::new(&measurements(), &slower(1.02)).is_slower());
    }
}
