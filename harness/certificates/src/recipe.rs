use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openssl::x509::X509;

use super::PkiError;

/// The configuration file that every recipe passes to the `openssl` program.
const CONFIGURATION: &str = "/etc/ssl/openssl.cnf";

/// The commands of a section of "Creating certificates" in Kong's guide, run with the `openssl` program.
///
/// The certificates differ from those of a library: with OpenSSL 3.0 the leaves that a CA signs are X.509 version 1,
/// and the self-signed ones are CA certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// "Intermediate CA chain".
    Intermediate,
    /// "Chain without intermediate CA".
    RootOnly,
    /// "Self-signed certificates for testing".
    SelfSigned,
}

/// A certificate that a recipe made, with its key, in PEM.
#[derive(Debug, Clone)]
pub struct RecipeOutput {
    /// The certificate alone, without the chain that the recipe appends to its file.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
    /// The mode of the private key's file as the recipe leaves it: `0o600`.
    pub key_mode: u32,
    /// The certificate's file as the recipe leaves it, chain included.
    pub file: Vec<u8>,
}

impl Recipe {
    /// The shell commands.
    #[must_use]
    pub fn script(self) -> &'static str {
        match self {
            Self::Intermediate => include_str!("recipe/intermediate.sh"),
            Self::RootOnly => include_str!("recipe/root-only.sh"),
            Self::SelfSigned => include_str!("recipe/self-signed.sh"),
        }
    }

    /// The names of the certificates that it makes.
    #[must_use]
    pub fn certificates(self) -> &'static [&'static str] {
        match self {
            Self::Intermediate => &["root", "intermediate", "server", "client"],
            Self::RootOnly => &["root", "server", "client"],
            Self::SelfSigned => &["server", "client"],
        }
    }

    /// Runs the commands in an empty folder. Of the caller's environment they see `PATH` only.
    ///
    /// # Errors
    ///
    /// [`PkiError::RecipeUnavailable`] if a program or the configuration file is missing; another `Recipe` variant if
    /// a command fails or does not make its file.
    pub fn run(self, folder: &Path) -> Result<HashMap<&'static str, RecipeOutput>, PkiError> {
        self.run_with_path(folder, &std::env::var_os("PATH").unwrap_or_default())
    }

    fn run_with_path(self, folder: &Path, path: &OsStr) -> Result<HashMap<&'static str, RecipeOutput>, PkiError> {
        for (program, needs) in [
            ("sh", "the program sh"),
            ("openssl", "the program openssl"),
            ("chmod", "the program chmod"),
            ("cat", "the program cat"),
        ] {
            found(program, path).ok_or(PkiError::RecipeUnavailable { needs })?;
        }
        if !Path::new(CONFIGURATION).exists() {
            return Err(PkiError::RecipeUnavailable { needs: CONFIGURATION });
        }
        let output = shell(self.script(), folder, path)?.output().map_err(PkiError::RecipeStart)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(PkiError::RecipeFailed { status: output.status, stderr });
        }
        self.outputs(folder)
    }

    /// What the commands have made in a folder.
    pub(super) fn outputs(self, folder: &Path) -> Result<HashMap<&'static str, RecipeOutput>, PkiError> {
        let read =
            |file: String| std::fs::read(folder.join(&file)).map_err(|source| PkiError::RecipeOutput { file, source });
        self.certificates()
            .iter()
            .map(|name| {
                let (file, key) = (read(format!("{name}.crt"))?, read(format!("{name}.key"))?);
                let certificate = X509::from_pem(&file)?.to_pem()?;
                let metadata = std::fs::metadata(folder.join(format!("{name}.key")));
                let metadata =
                    metadata.map_err(|source| PkiError::RecipeOutput { file: format!("{name}.key"), source })?;
                Ok((*name, RecipeOutput { certificate, key, key_mode: metadata.permissions().mode() & 0o7777, file }))
            })
            .collect()
    }

    /// Stands for the commands, for the program that they run, and for its configuration. `None` if one of these is missing.
    pub(super) fn fingerprint(self) -> Option<u64> {
        let openssl = found("openssl", &std::env::var_os("PATH")?)?;
        let mut hasher = DefaultHasher::new();
        self.script().hash(&mut hasher);
        for file in [openssl.as_path(), Path::new(CONFIGURATION)] {
            let metadata = std::fs::metadata(file).ok()?;
            (file, metadata.len(), metadata.modified().ok()?).hash(&mut hasher);
        }
        Some(hasher.finish())
    }
}

/// A program in the folders of a `PATH`.
fn found(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A shell that sees nothing of the caller's umask, locale, temporary folder and OpenSSL settings.
fn shell(script: &str, folder: &Path, path: &OsStr) -> Result<Command, PkiError> {
    let folder = std::path::absolute(folder).map_err(PkiError::Folder)?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-eu", "-c", &format!("umask 022\n{script}")])
        .current_dir(&folder)
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C")
        .env("HOME", &folder)
        .env("TMPDIR", &folder)
        .stdin(Stdio::null());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_recipe_sees_its_own_folder_and_the_path_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = std::env::var_os("PATH").expect("a PATH");
        let output = shell("env | sort; umask", folder.path(), &path).expect("a command").output().expect("output");
        let at = folder.path().display();
        let path = path.display();
        // The shell itself sets PWD, and bash also SHLVL and _.
        let seen = String::from_utf8_lossy(&output.stdout);
        let seen: Vec<_> = seen
            .lines()
            .filter(|line| !["PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|own| line.starts_with(own)))
            .collect();
        assert_eq!(
            seen,
            [format!("HOME={at}"), "LC_ALL=C".into(), format!("PATH={path}"), format!("TMPDIR={at}"), "0022".into()]
        );
    }

    #[test]
    fn a_missing_openssl_program_is_not_a_failed_recipe() {
        let folder = tempfile::tempdir().expect("a folder");
        symlink("/bin/sh", folder.path().join("sh")).expect("a link");
        let error = Recipe::RootOnly.run_with_path(folder.path(), folder.path().as_os_str()).expect_err("no openssl");
        assert!(matches!(error, PkiError::RecipeUnavailable { needs: "the program openssl" }), "{error:?}");
    }

    #[test]
    fn a_failure_reports_the_status_and_what_the_commands_printed() {
        let folder = tempfile::tempdir().expect("a folder");
        for program in ["sh", "chmod", "cat"] {
            symlink(format!("/bin/{program}"), folder.path().join(program)).expect("a link");
        }
        symlink("/bin/false", folder.path().join("openssl")).expect("a link");
        let error = Recipe::RootOnly.run_with_path(folder.path(), folder.path().as_os_str()).expect_err("a failure");
        assert!(matches!(&error, PkiError::RecipeFailed { status, .. } if status.code() == Some(1)), "{error:?}");
    }

    #[test]
    fn a_recipe_runs_below_a_folder_that_only_its_owner_may_enter() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Recipe::SelfSigned.run(folder.path()).expect("the recipe runs");
        assert_eq!(made.len(), 2);
        assert!(made.values().all(|output| output.key_mode == 0o600), "{made:?}");
    }
}
