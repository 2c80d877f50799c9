//! Makes what a tree describes, once, when it is asked for.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::{X509, X509Crl, X509NameRef};

use super::Format;
use super::guide::Made;
use super::spec::{CertificateSpec, CrlSpec, KeyType};
use super::{Artifact, Guide, PkiError, Tree, sign};

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub x509: X509,
    /// Its private key.
    pub key: PKey<Private>,
}

impl Certificate {
    /// The subject as PostgreSQL prints it: `/CN=kong`.
    #[must_use]
    pub fn subject(&self) -> String {
        slashed(self.x509.subject_name())
    }

    /// The issuer as PostgreSQL prints it.
    #[must_use]
    pub fn issuer(&self) -> String {
        slashed(self.x509.issuer_name())
    }

    /// The serial number as PostgreSQL prints it, in decimal.
    pub fn serial(&self) -> Result<String, PkiError> {
        Ok(self.x509.serial_number().to_bn()?.to_dec_str()?.to_string())
    }
}

/// A name with each part behind a slash, OpenSSL's oldest form, which PostgreSQL still uses.
pub fn slashed(name: &X509NameRef) -> String {
    let part = |entry: &openssl::x509::X509NameEntryRef| {
        let value = String::from_utf8_lossy(entry.data().as_slice()).into_owned();
        format!("/{}={value}", entry.object().nid().short_name().unwrap_or("?"))
    };
    name.entries().map(part).collect()
}

fn certificate_as(certificate: &X509, format: Format) -> Result<Vec<u8>, ErrorStack> {
    match format {
        Format::Der => certificate.to_der(),
        Format::Pem | Format::Traditional | Format::Encrypted => certificate.to_pem(),
    }
}

fn crl_as(pem: Vec<u8>, format: Format) -> Result<Vec<u8>, ErrorStack> {
    match format {
        Format::Der => X509Crl::from_pem(&pem)?.to_der(),
        Format::Pem | Format::Traditional | Format::Encrypted => Ok(pem),
    }
}

fn key_as(key: &PKey<Private>, format: Format) -> Result<Vec<u8>, ErrorStack> {
    match (format, key.id()) {
        (Format::Traditional, Id::RSA) => key.rsa()?.private_key_to_pem(),
        (Format::Traditional, Id::EC) => key.ec_key()?.private_key_to_pem(),
        (Format::Pem | Format::Traditional, _) => key.private_key_to_pem_pkcs8(),
        (Format::Encrypted, _) => key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"kong"),
        (Format::Der, _) => key.private_key_to_der(),
    }
}

type Key = Arc<OnceLock<Result<PKey<Private>, ErrorStack>>>;

/// The certificates of a run.
#[derive(Debug)]
pub struct Forge {
    folder: PathBuf,
    /// By name and type and shared between trees: an RSA key costs 100 ms, a signature less than one.
    keys: Mutex<HashMap<(String, KeyType), Key>>,
    trees: Mutex<HashMap<Tree, Arc<Mutex<IssuedCertificates>>>>,
}

/// What of a tree is made already.
#[derive(Debug, Default)]
struct IssuedCertificates {
    guide: Option<HashMap<&'static str, Made>>,
    certificates: HashMap<String, Certificate>,
    crls: HashMap<String, Vec<u8>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Forge {
    /// A forge that lets the documents' recipe work below a private folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, keys: Mutex::default(), trees: Mutex::default() }
    }

    /// The content of a file of the tree, in PEM.
    pub fn file(&self, tree: &Tree, name: &str) -> Result<Vec<u8>, PkiError> {
        self.file_as(tree, name, Format::Pem)
    }

    /// The content of a file of the tree in some form.
    fn file_as(&self, tree: &Tree, name: &str, format: Format) -> Result<Vec<u8>, PkiError> {
        Ok(match tree.artifact(name).ok_or_else(|| PkiError::Unknown(name.to_owned()))? {
            Artifact::Certificate(name) => certificate_as(&self.certificate(tree, name)?.x509, format)?,
            Artifact::Key(name) => key_as(&self.certificate(tree, name)?.key, format)?,
            Artifact::Crl(name) => crl_as(self.crl(tree, name)?, format)?,
            Artifact::Bundle(parts) => self.files(tree, parts, format)?,
        })
    }

    /// Files of the tree, one after the other.
    pub fn files(&self, tree: &Tree, names: &[String], format: Format) -> Result<Vec<u8>, PkiError> {
        names.iter().try_fold(Vec::new(), |mut text, name| {
            text.extend(self.file_as(tree, name, format)?);
            Ok(text)
        })
    }

    /// A certificate of the tree.
    pub fn certificate(&self, tree: &Tree, name: &str) -> Result<Certificate, PkiError> {
        self.issue(tree, &mut lock(&self.issued(tree)), name, &mut Vec::new())
    }

    fn issued(&self, tree: &Tree) -> Arc<Mutex<IssuedCertificates>> {
        if let Some(issued) = lock(&self.trees).get(tree) {
            return issued.clone();
        }
        lock(&self.trees).entry(tree.clone()).or_default().clone()
    }

    fn issue(
        &self,
        tree: &Tree,
        issued: &mut IssuedCertificates,
        name: &str,
        pending: &mut Vec<String>,
    ) -> Result<Certificate, PkiError> {
        if let Some(made) = issued.certificates.get(name) {
            return Ok(made.clone());
        }
        // What the recipe of the documents makes is not made in any other way.
        let by_guide = tree.guide.is_some_and(|guide| guide.certificates().contains(&name));
        let made = match tree.certificates.get(name).filter(|_| !by_guide) {
            Some(spec) => self.sign(tree, issued, name, spec, pending)?,
            None => self.follow_guide(tree, issued, name)?,
        };
        issued.certificates.insert(name.to_owned(), made.clone());
        Ok(made)
    }

    fn sign(
        &self,
        tree: &Tree,
        issued: &mut IssuedCertificates,
        name: &str,
        spec: &CertificateSpec,
        pending: &mut Vec<String>,
    ) -> Result<Certificate, PkiError> {
        if pending.iter().any(|earlier| earlier == name) {
            return Err(PkiError::Circle(name.to_owned()));
        }
        let key = self.key(name, spec.key.unwrap_or_default())?;
        let Some(issuer) = &spec.issuer else { return sign::certificate(spec, key, None) };
        pending.push(name.to_owned());
        let issuer = self.issue(tree, issued, issuer, pending)?;
        pending.pop();
        sign::certificate(spec, key, Some(&issuer))
    }

    fn follow_guide(&self, tree: &Tree, issued: &mut IssuedCertificates, name: &str) -> Result<Certificate, PkiError> {
        let unknown = || PkiError::Unknown(name.to_owned());
        let made = match &mut issued.guide {
            Some(made) => made,
            none => none.insert(self.guide(tree.guide.ok_or_else(unknown)?)?),
        };
        let made = made.get(name).ok_or_else(unknown)?;
        Ok(Certificate { x509: X509::from_pem(&made.certificate)?, key: PKey::private_key_from_pem(&made.key)? })
    }

    /// The files of a recipe of the documents, made in a folder of their own.
    pub fn guide(&self, guide: Guide) -> Result<HashMap<&'static str, Made>, PkiError> {
        std::fs::create_dir_all(&self.folder)?;
        guide.follow(tempfile::tempdir_in(&self.folder)?.path())
    }

    fn crl(&self, tree: &Tree, name: &str) -> Result<Vec<u8>, PkiError> {
        let issued = self.issued(tree);
        let mut issued = lock(&issued);
        if let Some(made) = issued.crls.get(name) {
            return Ok(made.clone());
        }
        let CrlSpec { issuer, revoked, valid } =
            tree.crls.get(name).ok_or_else(|| PkiError::Unknown(name.to_owned()))?;
        let issuer = self.issue(tree, &mut issued, issuer, &mut Vec::new())?;
        let revoked = revoked
            .iter()
            .map(|name| self.issue(tree, &mut issued, name, &mut Vec::new()))
            .collect::<Result<Vec<_>, _>>()?;
        let made = sign::crl(&issuer, &revoked, *valid)?;
        issued.crls.insert(name.to_owned(), made.clone());
        Ok(made)
    }

    fn key(&self, name: &str, kind: KeyType) -> Result<PKey<Private>, PkiError> {
        let slot = lock(&self.keys).entry((name.to_owned(), kind)).or_default().clone();
        Ok(slot.get_or_init(|| sign::generate(kind)).clone()?)
    }
}
