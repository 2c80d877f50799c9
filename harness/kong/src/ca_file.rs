//! Files of trusted certificates, as `SSL_CTX_load_verify_locations` reads them. Most consist of the system's 140
//! certificates and one more, so certificates are read once and shared.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use memchr::memmem::find;
use openssl::error::ErrorStack;
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----\n";
const END: &[u8] = b"\n-----END CERTIFICATE-----";

/// Those that have been read, by their PEM.
static READ: LazyLock<Mutex<HashMap<Vec<u8>, X509>>> = LazyLock::new(Mutex::default);

/// The content of a file, for [`load`]: nothing if it cannot be read, which OpenSSL then says in its own words.
pub(crate) fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_default()
}

/// Lets a context trust the certificates of a file with this content.
///
/// # Errors
/// OpenSSL's, if it cannot read the file or finds no certificate in it.
pub(crate) fn load(builder: &mut SslContextBuilder, file: &Path, content: &[u8]) -> Result<(), ErrorStack> {
    match certificates(content) {
        Some(certificates) => {
            let store = builder.cert_store_mut();
            certificates.into_iter().try_for_each(|certificate| store.add_cert(certificate))
        }
        None => builder.set_ca_file(file),
    }
}

/// The certificates of a file that has nothing else between its lines of dashes. Of others, OpenSSL's own reader finds out
/// what they are, or what is wrong with them.
fn certificates(content: &[u8]) -> Option<Vec<X509>> {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let mut certificates = Vec::new();
    let mut rest = content;
    while let Some(begin) = find(rest, b"-----") {
        let (before, block) = rest.split_at(begin);
        let base64 = block.strip_prefix(BEGIN).filter(|_| before.is_empty() || before.ends_with(b"\n"))?;
        let (block, after) = block.split_at(BEGIN.len() + find(base64, END)? + END.len());
        if !(after.is_empty() || after.starts_with(b"\n")) {
            return None;
        }
        let certificate = match read.get(block) {
            Some(certificate) => certificate.clone(),
            None => read.entry(block.to_vec()).or_insert(X509::from_pem(block).ok()?).clone(),
        };
        certificates.push(certificate);
        rest = after;
    }
    Some(certificates).filter(|certificates| !certificates.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use certificate_trees::{Authority, CertificateSpec, KeyType, Tree};
    use openssl::ssl::{SslContext, SslMethod};
    use rstest::rstest;

    use super::*;

    /// What a context trusts after a file was loaded, or OpenSSL's reasons.
    fn trusted(
        load: impl Fn(&mut SslContextBuilder) -> Result<(), ErrorStack>,
    ) -> Result<BTreeSet<Vec<u8>>, Vec<String>> {
        let mut builder = SslContext::builder(SslMethod::tls_client()).expect("a context");
        let reasons = |errors: ErrorStack| errors.errors().iter().map(ToString::to_string).collect::<Vec<_>>();
        load(&mut builder).map_err(reasons)?;
        let certificates = builder.build().cert_store().all_certificates();
        Ok(certificates.into_iter().map(|certificate| certificate.to_der().expect("DER")).collect())
    }

    fn pem(folder: &Path) -> String {
        let root = CertificateSpec { key: Some(KeyType::EcdsaP256), ..CertificateSpec::default() };
        let tree = Tree { certificates: [("root".to_owned(), root)].into(), ..Tree::default() };
        let pem = Authority::new(folder.to_owned()).file(&tree, "root.crt").expect("a certificate");
        String::from_utf8(pem).expect("PEM")
    }

    #[rstest]
    #[case::one("{A}", 1, true)]
    #[case::two("{A}\n{B}", 2, true)]
    #[case::the_same_twice("{A}{A}", 1, true)]
    #[case::text_around("# a root\n{A}# end", 1, true)]
    #[case::cut_off_within_the_last_line("{A}{B END}", 2, true)]
    #[case::begun_within_a_line("# {A}{B}", 1, false)]
    #[case::carriage_returns("{A CRLF}{B}", 2, false)]
    #[case::a_broken_one_after_a_good_one(
        "{A}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        0,
        false
    )]
    #[case::cut_off("{A}-----BEGIN CERTIFICATE-----\nAAAA\n", 0, false)]
    #[case::text_after_the_end("{A END}x\n{B}", 0, false)]
    #[case::nothing("", 0, false)]
    #[case::no_pem("a root", 0, false)]
    fn a_file_is_read_as_openssl_reads_it(#[case] content: &str, #[case] count: usize, #[case] is_shared: bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (pem(folder.path()), pem(folder.path()));
        let content = content.replace("{A CRLF}", &a.replace('\n', "\r\n"));
        let content = content.replace("{A END}", a.trim_end()).replace("{B END}", b.trim_end());
        let content = content.replace("{A}", &a).replace("{B}", &b);
        let file = folder.path().join("trusted");
        std::fs::write(&file, &content).expect("a file");
        assert_eq!(certificates(content.as_bytes()).is_some(), is_shared);
        let load = |builder: &mut SslContextBuilder| load(builder, &file, &read(&file));
        let ours = trusted(load);
        assert_eq!(ours, trusted(|builder| builder.set_ca_file(&file)));
        assert_eq!(ours.map_or(0, |certificates| certificates.len()), count);
        // Once more, with those that are kept.
        assert_eq!(trusted(load), trusted(|builder| builder.set_ca_file(&file)));
    }
}
