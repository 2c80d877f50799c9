//! What many cells have in common: a case looks the same on most releases, and a run of all of them has about a hundred
//! thousand cells.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::cell::{CellRecord, FilesRecord, ObservedRecord, OutcomeRecord};
use super::certificates::CertificatesRecord;
use crate::judge::Expected;

/// The parts of records that are kept once for all records that have them.
#[derive(Debug, Default)]
pub(crate) struct SharedParts {
    expected: HashSet<Arc<Expected>>,
    outcomes: HashSet<Arc<OutcomeRecord>>,
    lines: HashSet<Arc<str>>,
    files: HashSet<Arc<FilesRecord>>,
    certificates: HashSet<Arc<CertificatesRecord>>,
}

impl SharedParts {
    /// The record, its parts those of earlier records where these are equal.
    pub(crate) fn share(&mut self, record: CellRecord) -> CellRecord {
        CellRecord {
            expected: record.expected.map(|part| shared(&mut self.expected, part)),
            observed: record.observed.map(|ObservedRecord { outcome, server_log }| ObservedRecord {
                outcome: shared(&mut self.outcomes, outcome),
                server_log: server_log.into_iter().map(|line| shared(&mut self.lines, line)).collect(),
            }),
            files: shared(&mut self.files, record.files),
            certificates: record.certificates.map(|part| shared(&mut self.certificates, part)),
            ..record
        }
    }
}

fn shared<T: Eq + Hash + ?Sized>(known: &mut HashSet<Arc<T>>, part: Arc<T>) -> Arc<T> {
    if let Some(known) = known.get(&part) {
        return known.clone();
    }
    known.insert(part.clone());
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Observation;
    use crate::record::sample::cell;

    #[test]
    fn equal_parts_are_kept_once() {
        let mut parts = SharedParts::default();
        let [one, same, other] = [1, 1, 2].map(|number| parts.share(cell(number, "pass", "")));
        assert!(Arc::ptr_eq(&one.files, &same.files) && !Arc::ptr_eq(&one.files, &other.files));
        assert_eq!((&one.files.0["kong.conf"], parts.files.len()), (&cell(1, "pass", "").files.0["kong.conf"], 2));
    }

    #[test]
    fn what_happened_is_kept_once_though_a_line_of_the_log_has_the_clients_port() {
        let observed = |port: usize| ObservedRecord {
            outcome: Arc::new(OutcomeRecord::from(&Observation::default())),
            server_log: vec![format!("LOG:  connection received: port={port}").into(), "FATAL:  no".into()],
        };
        let mut parts = SharedParts::default();
        let mut kept = |port| {
            let record = CellRecord { observed: Some(observed(port)), ..cell(port, "pass", "") };
            parts.share(record).observed.expect("what happened")
        };
        let [one, other] = [1, 2].map(&mut kept);
        assert!(Arc::ptr_eq(&one.outcome, &other.outcome) && Arc::ptr_eq(&one.server_log[1], &other.server_log[1]));
        for (seen, port) in [(one, 1), (other, 2)] {
            assert_eq!(seen.server_log, observed(port).server_log);
        }
    }
}
