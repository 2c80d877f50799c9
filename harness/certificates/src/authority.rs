use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::{X509, X509Crl};

use super::Format;
use super::description::{CertificateSpec, KeyType};
use super::recipe::RecipeOutput;
use super::{Artifact, Certificate, PkiError, Recipe, Tree, kept, sign};

fn certificate_as(certificate: &X509, format: Format) -> Result<Vec<u8>, ErrorStack> {
    match format {
        Format::Der => certificate.to_der(),
        Format::Pem | Format::Traditional | Format::Encrypted => certificate.to_pem(),
    }
}

fn crl_as(pem: &[u8], format: Format) -> Result<Vec<u8>, ErrorStack> {
    match format {
        Format::Der => X509Crl::from_pem(pem)?.to_der(),
        Format::Pem | Format::Traditional | Format::Encrypted => Ok(pem.to_vec()),
    }
}

fn key_as(key: &PKey<Private>, format: Format, passphrase: &str) -> Result<Vec<u8>, ErrorStack> {
    match (format, key.id()) {
        (Format::Traditional, Id::RSA) => key.rsa()?.private_key_to_pem(),
        (Format::Traditional, Id::EC) => key.ec_key()?.private_key_to_pem(),
        (Format::Pem | Format::Traditional, _) => key.private_key_to_pem_pkcs8(),
        (Format::Encrypted, _) => key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), passphrase.as_bytes()),
        (Format::Der, _) => key.private_key_to_der(),
    }
}

type CachedKey = Arc<OnceLock<Result<PKey<Private>, ErrorStack>>>;
/// What a recipe has made, by name.
type RecipeOutputs = Arc<HashMap<&'static str, RecipeOutput>>;

/// Issues the certificates of trees and caches them for its lifetime. Threads can share it.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    /// Where keys and what recipes make are kept for later authorities.
    kept: Option<PathBuf>,
    /// By name and type, shared between trees: in a debug build an RSA-2048 key takes 100 ms, a signature less than 1.
    keys: Mutex<HashMap<(String, KeyType), CachedKey>>,
    /// Shared between trees, too: a recipe takes a second.
    recipes: Mutex<HashMap<Recipe, Arc<Mutex<Option<RecipeOutputs>>>>>,
    trees: Mutex<HashMap<Tree, Arc<Mutex<Issued>>>>,
}

/// What has been issued of a tree.
#[derive(Debug, Default)]
struct Issued {
    certificates: HashMap<String, Certificate>,
    files: HashMap<(String, Format), Arc<[u8]>>,
}

/// A tree whose certificates and files an [`Authority`] makes when they are asked for. To find what it has issued before,
/// it compares whole trees, which takes longer than a file that is there: keep this for all files of a tree.
#[derive(Debug)]
pub struct IssuedTree<'a> {
    authority: &'a Authority,
    tree: &'a Tree,
    issued: Arc<Mutex<Issued>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Authority {
    /// An authority that runs recipes in temporary folders below `folder`, which is created when the first one runs.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, kept: None, keys: Mutex::default(), recipes: Mutex::default(), trees: Mutex::default() }
    }

    /// The same, keeping its private keys and what recipes make in a folder, for later authorities: an RSA key takes longer
    /// than all else that is made. Who can read the folder has the keys, so they are for tests only.
    ///
    /// What a recipe has made is used for at most 30 days, and not after the `openssl` program or its configuration has
    /// changed. Nothing in the folder is ever removed.
    #[must_use]
    pub fn keeping(mut self, folder: Option<PathBuf>) -> Self {
        self.kept = folder;
        self
    }

    /// A tree, with what has been issued of it and of those that are equal to it.
    #[must_use]
    pub fn tree<'a>(&'a self, tree: &'a Tree) -> IssuedTree<'a> {
        let mut trees = lock(&self.trees);
        let issued = match trees.get(tree) {
            Some(issued) => issued.clone(),
            None => trees.entry(tree.clone()).or_default().clone(),
        };
        IssuedTree { authority: self, tree, issued }
    }

    /// The content of a file of the tree, in PEM.
    ///
    /// # Errors
    ///
    /// See [`PkiError`].
    pub fn file(&self, tree: &Tree, name: &str) -> Result<Vec<u8>, PkiError> {
        Ok(self.tree(tree).file(name, Format::Pem)?.to_vec())
    }

    /// The concatenation of files of the tree.
    ///
    /// # Errors
    ///
    /// See [`PkiError`].
    pub fn files(&self, tree: &Tree, names: &[String], format: Format) -> Result<Vec<u8>, PkiError> {
        self.tree(tree).files(names, format)
    }

    /// A certificate of the tree, with its key.
    ///
    /// # Errors
    ///
    /// See [`PkiError`].
    pub fn certificate(&self, tree: &Tree, name: &str) -> Result<Certificate, PkiError> {
        self.tree(tree).certificate(name)
    }

    /// A certificate that is in no tree, of an issuer that is in one. Its key is that of all certificates of its name.
    ///
    /// # Errors
    ///
    /// See [`PkiError`].
    pub fn issue_by(&self, issuer: &Certificate, name: &str, spec: &CertificateSpec) -> Result<Certificate, PkiError> {
        sign::certificate(spec, self.key(name, spec.key.unwrap_or_default())?, Some(issuer))
    }

    /// What a recipe makes, which is run when it is first needed.
    fn recipe(&self, recipe: Recipe) -> Result<RecipeOutputs, PkiError> {
        let slot = lock(&self.recipes).entry(recipe).or_default().clone();
        let mut made = lock(&slot);
        if let Some(outputs) = &*made {
            return Ok(outputs.clone());
        }
        let outputs = match &self.kept {
            Some(folder) => kept::outputs(folder, recipe, || self.run_recipe(recipe)),
            None => self.run_recipe(recipe),
        };
        Ok(made.insert(Arc::new(outputs?)).clone())
    }

    /// Runs a recipe in a temporary folder of its own and returns the certificates by name.
    ///
    /// # Errors
    ///
    /// [`PkiError::RecipeUnavailable`] if this machine lacks a program that the recipe needs; see [`Recipe::run`].
    pub fn run_recipe(&self, recipe: Recipe) -> Result<HashMap<&'static str, RecipeOutput>, PkiError> {
        std::fs::create_dir_all(&self.folder).map_err(PkiError::Folder)?;
        recipe.run(tempfile::tempdir_in(&self.folder).map_err(PkiError::Folder)?.path())
    }

    fn key(&self, name: &str, key_type: KeyType) -> Result<PKey<Private>, PkiError> {
        let slot = lock(&self.keys).entry((name.to_owned(), key_type)).or_default().clone();
        let key = || match &self.kept {
            Some(folder) => kept::key(folder, name, key_type),
            None => sign::generate(key_type),
        };
        Ok(slot.get_or_init(key).clone()?)
    }
}

impl IssuedTree<'_> {
    /// The content of a file.
    ///
    /// # Errors
    ///
    /// See [`PkiError`].
    pub fn file(&self, name: &str, format: Format) -> Result<Arc<[u8]>, PkiError> {
        let known = (name.to_owned(), format);
        if let Some(file) = lock(&self.issued).files.get(&known) {
            return Ok(file.clone());
        }
        let made: Vec<u8> = match self.tree.artifact(name).ok_or_else(|| PkiError::Unknown(name.to_owned()))? {
            Artifact::Certificate(name) => certificate_as(&self.certificate(name)?.x509, format)?,
            Artifact::Key(name) => {
                let passphrase = self.tree.certificates.get(name).and_then(|spec| spec.passphrase.as_deref());
                key_as(&self.certificate(name)?.key, format, passphrase.unwrap_or("kong"))?
            }
            Artifact::Crl(crl) if format == Format::Pem => self.crl(crl)?,
            Artifact::Crl(_) => crl_as(&self.file(name, Format::Pem)?, format)?,
            Artifact::Bundle(parts) => self.files(parts, format)?,
        };
        Ok(lock(&self.issued).files.entry(known).or_insert(made.into()).clone())
    }

    /// The concatenation of files.
    ///
    /// # Errors
    ///
    /// See [`PkiError`].
    pub fn files(&self, names: &[String], format: Format) -> Result<Vec<u8>, PkiError> {
        names.iter().try_fold(Vec::new(), |mut content, name| {
            content.extend_from_slice(&self.file(name, format)?);
            Ok(content)
        })
    }

    /// A certificate, with its key.
    ///
    /// # Errors
    ///
    /// See [`PkiError`].
    pub fn certificate(&self, name: &str) -> Result<Certificate, PkiError> {
        self.issue(&mut lock(&self.issued), name, &mut Vec::new())
    }

    /// The mode of a key's file as the tree's recipe leaves it: `0o600`.
    ///
    /// # Errors
    ///
    /// [`PkiError::Unknown`] if the recipe does not make the file, and see [`PkiError`].
    pub fn recipe_mode(&self, file: &str) -> Result<u32, PkiError> {
        let unknown = || PkiError::Unknown(file.to_owned());
        let name = file.strip_suffix(".key").ok_or_else(unknown)?;
        let outputs = self.authority.recipe(self.tree.recipe.ok_or_else(unknown)?)?;
        outputs.get(name).map(|output| output.key_mode).ok_or_else(unknown)
    }

    fn issue(&self, made: &mut Issued, name: &str, pending: &mut Vec<String>) -> Result<Certificate, PkiError> {
        if let Some(certificate) = made.certificates.get(name) {
            return Ok(certificate.clone());
        }
        let certificate = match self.tree.certificates.get(name).filter(|_| !self.tree.is_from_recipe(name)) {
            Some(spec) => self.sign(made, name, spec, pending)?,
            None => self.take_from_recipe(name)?,
        };
        made.certificates.insert(name.to_owned(), certificate.clone());
        Ok(certificate)
    }

    fn sign(
        &self,
        made: &mut Issued,
        name: &str,
        spec: &CertificateSpec,
        pending: &mut Vec<String>,
    ) -> Result<Certificate, PkiError> {
        if pending.iter().any(|earlier| earlier == name) {
            return Err(PkiError::IssuerCycle(name.to_owned()));
        }
        let key = self.authority.key(name, spec.key.unwrap_or_default())?;
        let Some(issuer) = &spec.issuer else { return sign::certificate(spec, key, None) };
        pending.push(name.to_owned());
        let issuer = self.issue(made, issuer, pending)?;
        pending.pop();
        sign::certificate(spec, key, Some(&issuer))
    }

    fn take_from_recipe(&self, name: &str) -> Result<Certificate, PkiError> {
        let unknown = || PkiError::Unknown(name.to_owned());
        let outputs = self.authority.recipe(self.tree.recipe.ok_or_else(unknown)?)?;
        let output = outputs.get(name).ok_or_else(unknown)?;
        Ok(Certificate { x509: X509::from_pem(&output.certificate)?, key: PKey::private_key_from_pem(&output.key)? })
    }

    fn crl(&self, name: &str) -> Result<Vec<u8>, PkiError> {
        let mut made = lock(&self.issued);
        let spec = self.tree.crls.get(name).ok_or_else(|| PkiError::Unknown(name.to_owned()))?;
        let issuer = self.issue(&mut made, &spec.issuer, &mut Vec::new())?;
        let revoked = spec
            .revoked
            .iter()
            .map(|name| self.issue(&mut made, name, &mut Vec::new()))
            .collect::<Result<Vec<_>, _>>()?;
        sign::crl(spec, &issuer, &revoked)
    }
}
