//! Keys, certificates, chains and certificate revocation lists (CRLs) for tests, made from a description.
//!
//! A [`Tree`] describes certificates by name; an [`Authority`] issues those that are asked for and caches them, so
//! that a test run pays only for what it uses. Nothing is read from or kept in a repository.
//!
//! `rcgen` issues what it can; OpenSSL issues what modern libraries refuse to (X.509 version 1, MD5, SHA-1, small
//! RSA keys, RSA-PSS); and a [`Recipe`] runs the commands of Kong's guide with the `openssl` program.
//!
//! ```
//! use certificate_trees::{Authority, CertificateSpec, Format, KeyType, Tree};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut tree = Tree::default();
//! let root = CertificateSpec { subject: Some("/CN=root".into()), ca: Some(true), ..CertificateSpec::default() };
//! let server = CertificateSpec {
//!     issuer: Some("root".into()),
//!     subject: Some("/CN=localhost".into()),
//!     san: Some(vec!["DNS:localhost".into()]),
//!     key: Some(KeyType::EcdsaP256),
//!     ..CertificateSpec::default()
//! };
//! tree.certificates.insert("root".into(), root);
//! tree.certificates.insert("server".into(), server);
//! tree.bundles.insert("chain.crt".into(), vec!["server.crt".into(), "root.crt".into()]);
//!
//! let folder = tempfile::tempdir()?;
//! let authority = Authority::new(folder.path().to_owned());
//! let chain = authority.files(&tree, &["chain.crt".into()], Format::Pem)?;
//! assert_eq!(openssl::x509::X509::stack_from_pem(&chain)?.len(), 2);
//! assert_eq!(authority.certificate(&tree, "server")?.issuer(), "/CN=root");
//! # Ok(())
//! # }
//! ```

#![warn(clippy::missing_errors_doc)]

mod authority;
mod certificate;
mod description;
mod error;
mod format;
mod kept;
mod recipe;
mod rsa_pss;
mod sign;
mod tree;

pub use authority::{Authority, IssuedTree};
pub use certificate::{Certificate, oneline};
pub use description::{CertificateSpec, CrlSpec, Days, ExtendedKeyUsage, KeyType, KeyUsage, Signature, Validity};
pub use error::PkiError;
pub use format::Format;
pub use recipe::{Recipe, RecipeOutput};
pub use tree::{Artifact, Tree};
