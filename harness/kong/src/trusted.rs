//! The one file below Kong's prefix that all trusted certificates are put into.

use std::io;
use std::path::{Path, PathBuf};

use crate::refusal::Refusal;
use crate::settings::{Settings, Trusted, TrustedEntry, read_as_kong};
use crate::stage::Stage;

/// The name of the file below the prefix.
const COMBINED: &str = ".ca_combined";

/// Writes the trusted certificates into one file below Kong's prefix, and returns it.
///
/// # Errors
/// If one of the files cannot be read, with Kong's text.
pub fn combine(settings: &Settings) -> Result<Option<PathBuf>, Refusal> {
    let Trusted::Combined(entries) = &settings.trusted else { return Ok(None) };
    let failed = |path: &Path, error: &io::Error| {
        let why = match error.kind() {
            io::ErrorKind::IsADirectory => "Is a directory".to_owned(),
            io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
            _ => error.to_string(),
        };
        Refusal::raised(Stage::Configure, &format!("{}: {why}", path.display()))
    };
    let mut all = Vec::new();
    for entry in entries {
        match entry {
            TrustedEntry::File(path) => all.extend(read_as_kong(path).map_err(|error| failed(path, &error))?),
            TrustedEntry::Certificate(text) => all.extend(text),
        }
        all.push(b'\n');
    }
    let file = settings.prefix.join(COMBINED);
    std::fs::write(&file, all).map_err(|error| failed(&file, &error))?;
    Ok(Some(file))
}

/// The file that LuaSec is given although Kong has not written it.
#[must_use]
pub fn unwritten(settings: &Settings) -> Option<PathBuf> {
    (settings.trusted == Trusted::Emptied).then(|| settings.prefix.join(COMBINED))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::profile::Profile;

    /// Kong's settings with trusted certificates, below a prefix.
    fn settings(trusted: &str, prefix: &Path) -> Settings {
        let conf = format!("lua_ssl_trusted_certificate = {trusted}");
        Settings::sample(&conf, &Profile::newest(), &prefix.to_string_lossy())
    }

    #[test]
    fn all_trusted_certificates_are_put_into_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.crt"), "a").expect("a file");
        std::fs::write(path("b.crt"), "b").expect("a file");
        let settings = settings(&format!("{},{}", path("a.crt").display(), path("b.crt").display()), folder.path());
        assert_eq!(combine(&settings), Ok(Some(path(COMBINED))));
        assert_eq!(std::fs::read_to_string(path(COMBINED)).expect("the file"), "a\nb\n");
        assert_eq!(unwritten(&settings), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_keeps_kong_from_starting() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.crt");
        std::fs::write(&file, "a").expect("a file");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o000)).expect("a mode");
        let refusal = combine(&settings(&file.to_string_lossy(), folder.path())).expect_err("a refusal");
        assert_eq!(refusal, Refusal::raised(Stage::Configure, &format!("{}: Permission denied", file.display())));
        let (prefix, nothing) = (folder.path().join("prefix"), folder.path().join("b.crt"));
        std::fs::create_dir_all(prefix.join(COMBINED)).expect("a folder");
        std::fs::write(&nothing, "b").expect("a file");
        let refusal = combine(&settings(&nothing.to_string_lossy(), &prefix)).expect_err("a refusal");
        assert_eq!(refusal.text, format!("{}: Is a directory", prefix.join(COMBINED).display()));
    }

    #[test]
    fn luasec_is_given_a_file_that_kong_has_not_written() {
        let settings = settings("", Path::new("/kong"));
        assert_eq!(combine(&settings), Ok(None));
        assert_eq!(unwritten(&settings), Some("/kong/.ca_combined".into()));
    }
}
