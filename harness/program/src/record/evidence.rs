//! What is kept of a cell beside its result, in a folder of its own: logs, files and the recorded connections.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use openssl::x509::{X509, X509Crl};

use super::capture::{capture, key_log};
use super::cell::{CellRecord, without_passwords};
use crate::judge::Attempt;
use crate::run::{CellResult, ConfigFiles, EvidenceOf, EvidenceRequest, MadeFile, Notes};
use crate::runfolder::write_private;

/// The folder of all evidence, beside the results.
const FOLDER: &str = "evidence";
/// By this file a folder of evidence is known.
const README: &str = "README.txt";
const ABOUT: &str = "\
Evidence of a run of kong-pg-tls, a folder for each cell. docs/results.md describes the files. They are private: a capture
holds what was sent, with the secrets that decrypt it.
";
/// What is written in the place of a key.
const LEFT_OUT: &str = "(a private key, left out: --evidence-keys keeps it)\n";

/// Where the evidence of a run is kept. Everything in it is for its owner only: files have mode 0600, folders 0700.
#[derive(Debug)]
pub struct EvidenceFolder {
    results: PathBuf,
    request: EvidenceRequest,
    failure: OnceLock<io::Error>,
}

impl EvidenceFolder {
    /// Makes the folder beside the results, without what an earlier run has left there; nothing, if no evidence is
    /// asked for.
    ///
    /// # Errors
    /// If the folder cannot be made or emptied.
    pub fn new(results: &Path, request: EvidenceRequest) -> io::Result<Option<Self>> {
        let folder = results.join(FOLDER);
        if folder.exists() && !folder.join(README).exists() {
            let what = format!("{} was not made by a run; remove it, or name another folder", folder.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        remove(&folder)?;
        if request.of.is_none() {
            return Ok(None);
        }
        write(&folder, README, ABOUT.as_bytes())?;
        Ok(Some(Self { results: results.to_owned(), request, failure: OnceLock::new() }))
    }

    /// Keeps the evidence of a cell, if it is asked for, and notes in its record where. The attempts of a flaky cell that
    /// failed are kept, too.
    pub fn keep(&self, result: &CellResult, record: &mut CellRecord) {
        let is_wanted = |result: &CellResult| match self.request.of {
            Some(EvidenceOf::All) => true,
            Some(EvidenceOf::Failed) => result.verdict().is_problem(),
            None => false,
        };
        let name = format!("{FOLDER}/{}", record.id.replace("::", "/"));
        let folder = self.results.join(&name);
        if !is_wanted(result) && !result.earlier.iter().any(&is_wanted) {
            return;
        }
        match self.write_all(&folder, result, record, is_wanted) {
            Ok(()) => record.evidence = Some(name),
            Err(error) => drop(self.failure.set(error)),
        }
    }

    /// Writes the attempts that are wanted. A round before may have left others.
    fn write_all(
        &self,
        folder: &Path,
        result: &CellResult,
        record: &CellRecord,
        is_wanted: impl Fn(&CellResult) -> bool,
    ) -> io::Result<()> {
        remove(folder)?;
        if is_wanted(result) {
            self.write(folder, result, record)?;
        }
        for (number, attempt) in result.earlier.iter().enumerate().filter(|(_, attempt)| is_wanted(attempt)) {
            self.write(&folder.join(format!("attempt-{}", number + 1)), attempt, record)?;
        }
        Ok(())
    }

    /// Why evidence is missing, if some could not be written.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let folder = self.results.join(FOLDER);
        self.failure.get().map(|error| format!("cannot keep evidence in {}: {error}", folder.display()))
    }

    fn write(&self, folder: &Path, result: &CellResult, record: &CellRecord) -> io::Result<()> {
        let notes = &result.notes;
        make(folder)?;
        let record = CellRecord { verdict: result.verdict(), ..record.clone() };
        write(folder, "cell.json", serde_json::to_string_pretty(&record)?.as_bytes())?;
        write(folder, "kong.log", client_log(result).as_bytes())?;
        write(folder, "postgres.log", server_log(notes).as_bytes())?;
        for (name, text) in notes.files.iter().flat_map(ConfigFiles::named) {
            let name = if name.contains(' ') { "environment" } else { name };
            write(&folder.join("configuration"), name, without_passwords(text).as_bytes())?;
        }
        for (side, files) in [("server", &notes.made.server), ("kong", &notes.made.kong)] {
            for (name, file) in files {
                write(&folder.join("files").join(side), name, &self.content(file))?;
            }
        }
        if let Some(proxy) = &notes.made.proxy {
            write(&folder.join("files"), "proxy.crt", proxy)?;
        }
        if let Some(capture) = capture(&notes.connections)? {
            write(folder, "capture.pcapng", &capture)?;
            write(folder, "capture.keys", key_log(&notes.connections).as_bytes())?;
        }
        Ok(())
    }

    /// A file of a side, without the keys in it unless they are asked for.
    fn content(&self, file: &MadeFile) -> Vec<u8> {
        if self.request.keys { file.content.clone() } else { without_keys(&file.content) }
    }
}

/// A text without its private keys. What is not text is a certificate, a list, or treated as a key.
fn without_keys(content: &[u8]) -> Vec<u8> {
    const KEY: &str = "PRIVATE KEY-----";
    let Ok(text) = std::str::from_utf8(content) else {
        let is_public = X509::from_der(content).is_ok() || X509Crl::from_der(content).is_ok();
        return if is_public { content.to_vec() } else { LEFT_OUT.into() };
    };
    let (mut kept, mut in_key) = (String::new(), false);
    for line in text.split_inclusive('\n') {
        let (begins, ends) = (line.contains("-----BEGIN "), line.contains("-----END "));
        if begins && line.contains(KEY) {
            kept += LEFT_OUT;
            in_key = true;
        } else if !in_key {
            kept += line;
        }
        in_key &= !ends;
    }
    kept.into_bytes()
}

/// What the client reported.
fn client_log(result: &CellResult) -> String {
    let remarks: String = result.notes.remarks.iter().map(|remark| format!("remark: {remark}\n")).collect();
    let Some(observed) = result.observed() else {
        return format!("{remarks}no attempt was observed: {}\n", result.reason().unwrap_or_default());
    };
    let report = match &observed.attempt {
        Attempt::NotMade => "no attempt in this step".to_owned(),
        Attempt::Connected(session) => format!("connected, TLS {}", session.version()),
        Attempt::Unconfirmed { claim } => claim.clone(),
        Attempt::Refused(refusal) => refusal.printed(),
        Attempt::Hung => "nothing until the limit".to_owned(),
    };
    format!("{remarks}{report}\n")
}

/// Everything that the server logged while the cell used it, each line with the process that wrote it.
fn server_log(notes: &Notes) -> String {
    let line = |line: &postgres_tls_server::LogLine| {
        let process = line.pid.map(|pid| format!("[{pid}] ")).unwrap_or_default();
        format!("{process}{}\n", line.text)
    };
    notes.server_log.iter().map(line).collect()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    make(path.parent().unwrap_or(folder))?;
    write_private(&path, content)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_key("-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n", LEFT_OUT)]
    #[case::an_old_one("-----BEGIN RSA PRIVATE KEY-----\nAA\n-----END RSA PRIVATE KEY-----\n", LEFT_OUT)]
    #[case::cut_off("-----BEGIN EC PRIVATE KEY-----\nAA", LEFT_OUT)]
    #[case::a_certificate("-----BEGIN CERTIFICATE-----\nAA\n", "-----BEGIN CERTIFICATE-----\nAA\n")]
    fn keys_are_left_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(String::from_utf8_lossy(&without_keys(text.as_bytes())), expected);
    }

    #[test]
    fn what_is_around_a_key_is_kept() {
        let text = "a\n-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\nb\n";
        assert_eq!(String::from_utf8_lossy(&without_keys(text.as_bytes())), format!("a\n{LEFT_OUT}b\n"));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_taken_for_a_key() {
        let certificate = a_certificate_in_der();
        assert_eq!(without_keys(&certificate), certificate);
        assert_eq!(without_keys(&[0x30, 0x82, 0xff]), LEFT_OUT.as_bytes());
    }

    fn a_certificate_in_der() -> Vec<u8> {
        let mut tree = certificate_trees::Tree::default();
        tree.certificates.insert("a".into(), certificate_trees::CertificateSpec::default());
        let authority = certificate_trees::Authority::new(std::env::temp_dir());
        authority.certificate(&tree, "a").expect("a certificate").x509.to_der().expect("DER")
    }
}
