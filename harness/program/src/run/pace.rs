//! How long cells took in earlier runs, and when one is slow.

use std::collections::HashMap;
use std::time::Duration;

use postgres_tls_server::RuntimeKind;

/// A cell is slow if it takes more than so many times as long as it usually does,
const FACTOR: u32 = 3;
/// and at least so much longer: the first cell on a server waits for its start, and another program may use the machine.
const MARGIN: Duration = Duration::from_secs(5);

/// How long each cell usually takes where its server runs.
#[derive(Debug, Clone, Default)]
pub struct Pace(HashMap<(RuntimeKind, String), Duration>);

/// How long a cell may take without being slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The limit.
    pub limit: Duration,
    /// What it usually takes, if that is known.
    pub usual: Option<Duration>,
}

impl Pace {
    /// From how long cells took in earlier runs: usual is what lies in the middle, so that a single slow run changes
    /// nothing.
    #[must_use]
    pub fn of(earlier: HashMap<(RuntimeKind, String), Vec<Duration>>) -> Self {
        let middle = |mut all: Vec<Duration>| {
            all.sort();
            all.get(all.len() / 2).copied()
        };
        Self(earlier.into_iter().filter_map(|(cell, all)| Some((cell, middle(all)?))).collect())
    }

    /// How long a cell may take, where `limit` ends it: half of that, if it is not known.
    #[must_use]
    pub fn allowed(&self, runtime: RuntimeKind, cell: &str, limit: Duration) -> Allowed {
        let usual = self.0.get(&(runtime, cell.to_owned())).copied();
        let limit = usual.map_or(limit / 2, |usual| (usual * FACTOR).max(usual + MARGIN));
        Allowed { limit, usual }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::unknown(&[], 30_000)]
    #[case::seen_once(&[100], 5_100)]
    #[case::a_single_slow_run_changes_nothing(&[100, 9_000, 120], 5_120)]
    #[case::long(&[4_000], 12_000)]
    fn a_cell_is_slow_if_it_takes_much_longer_than_it_usually_does(#[case] earlier: &[u64], #[case] limit: u64) {
        let earlier = earlier.iter().map(|ms| Duration::from_millis(*ms)).collect();
        let pace = Pace::of(HashMap::from([((RuntimeKind::Local, "a".into()), earlier)]));
        let end = Duration::from_secs(60);
        assert_eq!(pace.allowed(RuntimeKind::Local, "a", end).limit, Duration::from_millis(limit));
        let elsewhere = pace.allowed(RuntimeKind::Docker, "a", end);
        assert_eq!(elsewhere, Allowed { limit: end / 2, usual: None }, "containers are slower than processes");
    }
}
