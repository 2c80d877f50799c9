//! What many cells have in common: a case looks the same on most releases, and a run of all of them has about a hundred
//! thousand cells.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::cell::{CellRecord, FilesRecord, ObservedRecord};
use super::certificates::CertificatesRecord;
use crate::judge::Expected;

/// The parts of records that are kept once for all records that have them.
#[derive(Debug, Default)]
pub(crate) struct SharedParts {
    expected: HashSet<Arc<Expected>>,
    observed: HashSet<Arc<ObservedRecord>>,
    files: HashSet<Arc<FilesRecord>>,
    certificates: HashSet<Arc<CertificatesRecord>>,
}

impl SharedParts {
    /// The record, its parts those of earlier records where these are equal.
    pub(crate) fn share(&mut self, record: CellRecord) -> CellRecord {
        CellRecord {
            expected: record.expected.map(|part| shared(&mut self.expected, part)),
            observed: record.observed.map(|part| shared(&mut self.observed, part)),
            files: shared(&mut self.files, record.files),
            certificates: record.certificates.map(|part| shared(&mut self.certificates, part)),
            ..record
        }
    }
}

fn shared<T: Eq + Hash>(known: &mut HashSet<Arc<T>>, part: Arc<T>) -> Arc<T> {
    if let Some(known) = known.get(&part) {
        return known.clone();
    }
    known.insert(part.clone());
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample::cell;

    #[test]
    fn equal_parts_are_kept_once() {
        let mut parts = SharedParts::default();
        let [one, same, other] = [1, 1, 2].map(|number| parts.share(cell(number, "pass", "")));
        assert!(Arc::ptr_eq(&one.files, &same.files) && !Arc::ptr_eq(&one.files, &other.files));
        assert_eq!((&one.files.0["kong.conf"], parts.files.len()), (&cell(1, "pass", "").files.0["kong.conf"], 2));
    }
}
