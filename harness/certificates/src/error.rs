use std::process::ExitStatus;

/// Why a file of a [`Tree`](crate::Tree) could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The tree defines nothing of this name.
    #[error("the certificate tree defines no `{0}`")]
    Unknown(String),
    /// A certificate that is, through its issuers, issued by itself.
    #[error("certificate `{0}` is its own issuer through other certificates")]
    IssuerCycle(String),
    /// A subject alternative name that is neither `DNS:` with a host name nor `IP:` with an address.
    #[error("`{0}` is not a subject alternative name; write DNS:localhost or IP:127.0.0.1")]
    SubjectAlternativeName(String),
    /// This machine lacks something that the recipe of Kong's guide needs. No certificate is at fault.
    #[error("the recipe of Kong's guide needs {needs}, which this machine does not have")]
    RecipeUnavailable {
        /// A program or a file, such as `the program openssl`.
        needs: &'static str,
    },
    /// `sh` could not be started.
    #[error("cannot start sh to run the recipe of Kong's guide")]
    RecipeStart(#[source] std::io::Error),
    /// A command of the recipe failed.
    #[error("the recipe of Kong's guide failed ({status}): {}", stderr.trim_end())]
    RecipeFailed {
        /// The exit status of `sh`.
        status: ExitStatus,
        /// Everything that the commands wrote to standard error.
        stderr: String,
    },
    /// The recipe succeeded without making one of its files.
    #[error("the recipe of Kong's guide did not make {file}")]
    RecipeOutput {
        /// The name of the file.
        file: String,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// No folder could be created for the recipe.
    #[error("cannot create a folder for the recipe of Kong's guide")]
    Folder(#[source] std::io::Error),
    /// OpenSSL failed.
    #[error("OpenSSL failed")]
    Openssl(#[from] openssl::error::ErrorStack),
    /// rcgen failed.
    #[error("rcgen failed")]
    Rcgen(#[from] rcgen::Error),
    /// A certificate that OpenSSL made could not be taken apart to sign it with RSA-PSS.
    #[error("cannot parse the certificate to be signed with RSA-PSS")]
    Asn1(#[from] yasna::ASN1Error),
}
