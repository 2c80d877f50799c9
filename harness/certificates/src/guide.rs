//! The documents' own recipe: the commands of "Creating certificates", run by the openssl program of this machine.
//!
//! What they make differs from what a library makes: the leaves are X.509 version 1, the self-signed ones CA:TRUE.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use super::PkiError;

/// A recipe of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Guide {
    /// "Intermediate CA chain".
    Intermediate,
    /// "Chain without intermediate CA".
    RootOnly,
    /// "Self-signed certificates for testing".
    SelfSigned,
}

/// A certificate the recipe made, and its key, both in PEM.
#[derive(Debug, Clone)]
pub struct Made {
    /// The certificate alone, without what the recipe appends to its file.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
    /// The file as the last line of the recipe leaves it.
    pub file: Vec<u8>,
}

impl Guide {
    /// The recipe, command by command.
    #[must_use]
    pub fn script(self) -> &'static str {
        match self {
            Self::Intermediate => include_str!("guide/intermediate.sh"),
            Self::RootOnly => include_str!("guide/root-only.sh"),
            Self::SelfSigned => include_str!("guide/self-signed.sh"),
        }
    }

    /// The names of the certificates it makes.
    #[must_use]
    pub fn certificates(self) -> &'static [&'static str] {
        match self {
            Self::Intermediate => &["root", "intermediate", "server", "client"],
            Self::RootOnly => &["root", "server", "client"],
            Self::SelfSigned => &["server", "client"],
        }
    }

    /// Follows the recipe in an empty folder.
    pub fn follow(self, folder: &Path) -> Result<HashMap<&'static str, Made>, PkiError> {
        let output = Command::new("sh")
            .args(["-eu", "-c", self.script()])
            .current_dir(folder)
            // None of the caller's settings of OpenSSL or the locale may reach the recipe.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| PkiError::Recipe(format!("sh does not start: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("nothing was said");
            return Err(PkiError::Recipe(format!("{last}; it needs the openssl program and /etc/ssl/openssl.cnf")));
        }
        let read = |file: String| {
            std::fs::read(folder.join(&file)).map_err(|error| PkiError::Recipe(format!("it made no {file}: {error}")))
        };
        self.certificates()
            .iter()
            .map(|name| {
                let (file, key) = (read(format!("{name}.crt"))?, read(format!("{name}.key"))?);
                let first = openssl::x509::X509::from_pem(&file)?;
                Ok((*name, Made { certificate: first.to_pem()?, key, file }))
            })
            .collect()
    }
}
