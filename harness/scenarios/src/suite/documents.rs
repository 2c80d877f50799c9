//! The documents as they were read, so that a changed one is noticed.

use std::path::Path;

use openssl::sha::sha256;

use crate::format::{Claim, ClaimsFile, Document, DocumentFile};
use crate::load::{Problem, key, some_of};

/// A file, and the one of a document that it is.
#[derive(Debug)]
pub struct ReadFile<'c> {
    /// The document, by its name.
    pub document: &'c str,
    /// The file as it was read.
    pub file: &'c DocumentFile,
    /// The claims that rest on it, with their ids.
    pub claims: Vec<(String, &'c Claim)>,
    /// Whether it has the same content.
    pub is_same: bool,
}

/// Finds the file of a document that another file is: one with the same content, or else the one whose path has most in
/// common with the end of its path. `None` if there is no such file, or more than one.
#[must_use]
pub fn read_file<'c>(claims: &'c ClaimsFile, path: &Path, content: &[u8]) -> Option<ReadFile<'c>> {
    let digest: String = sha256(content).iter().map(|byte| format!("{byte:02x}")).collect();
    let files = || {
        let of_document = |(name, document): (&'c String, &'c Document)| {
            document.files.iter().map(move |(of_file, file)| (name.as_str(), document, of_file.as_str(), file))
        };
        claims.documents.iter().flat_map(of_document)
    };
    let same = files().find(|(.., file)| file.sha256 == digest);
    let found = same.or_else(|| {
        let most = files().map(|(.., file)| common_end(path, &file.path)).max().filter(|most| *most > 0)?;
        let mut nearest = files().filter(|(.., file)| common_end(path, &file.path) == most);
        nearest.next().filter(|_| nearest.next().is_none())
    });
    let (name, document, of_file, file) = found?;
    let rests = |claim: &&Claim| claim.file.as_deref().is_none_or(|named| named == of_file);
    let claims = document.claims.iter().filter(|(_, claim)| rests(claim));
    let claims = claims.map(|(rest, claim)| (format!("{name}/{rest}"), claim)).collect();
    Some(ReadFile { document: name, file, claims, is_same: file.sha256 == digest })
}

/// How many components two paths have in common at their ends.
fn common_end(path: &Path, other: &str) -> usize {
    let components = path.components().rev().zip(Path::new(other).components().rev());
    components.take_while(|(one, other)| one == other).count()
}

/// Finds claims that name a file which their document does not have.
pub(super) fn check_files(claims: &ClaimsFile) -> Vec<Problem> {
    let unknown = claims.documents.iter().flat_map(|(name, document)| {
        let unknown = |(rest, claim): (&String, &Claim)| {
            let file = claim.file.as_ref().filter(|file| !document.files.contains_key(*file))?;
            let path = ["documents", name, "claims", rest, "file"].map(key).to_vec();
            let known: Vec<_> = document.files.keys().cloned().collect();
            let help = some_of(file, &known, "claims.yaml has all of them");
            Some(Problem::value(path, format!("the document has no file `{file}`"), help))
        };
        document.claims.iter().filter_map(unknown)
    });
    unknown.collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const CLAIMS: &str = "
documents:
  one:
    title: One
    source: here
    files:
      a: { repository: o/r, commit: c, path: app/a/3.15.json, sha256: a6328afc76e9db71da297ebff4b0d3e7a7eb3b01d917c05a6573fef121b6ecb6 }
      b: { repository: o/r, commit: c, path: app/b/3.15.json, sha256: b }
    claims:
      of-a: { under: A, says: a, file: a }
      of-both: { under: A, says: b }
";

    #[rstest]
    #[case::the_same_elsewhere("copy.txt", "same\n", Some(("app/a/3.15.json", true, 2)))]
    #[case::changed("/tmp/b/3.15.json", "other", Some(("app/b/3.15.json", false, 1)))]
    #[case::ambiguous("3.15.json", "other", None)]
    #[case::unknown("3.16.json", "other", None)]
    fn a_file_is_found_by_content_or_path(
        #[case] path: &str,
        #[case] content: &str,
        #[case] expected: Option<(&str, bool, usize)>,
    ) {
        let claims: ClaimsFile = serde_yaml::from_str(CLAIMS).expect("claims");
        let found = read_file(&claims, Path::new(path), content.as_bytes());
        let found = found.as_ref().map(|found| (found.file.path.as_str(), found.is_same, found.claims.len()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_claim_of_an_unknown_file_is_a_problem() {
        let claims: ClaimsFile = serde_yaml::from_str(&CLAIMS.replace("file: a", "file: c")).expect("claims");
        assert_eq!(check_files(&claims).len(), 1);
    }
}
