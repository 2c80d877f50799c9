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
