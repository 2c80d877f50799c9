//! What Kong does once, when it starts, before it connects to anything.

use std::io;
use std::path::{Path, PathBuf};

use openssl::ssl::SslContext;

use super::driver::Fault;
use super::profile::{Edition, Profile};
use super::settings::{self, Settings, Trusted, TrustedEntry};
use super::{Stack, cosocket};
use crate::Stage;

/// A Kong that has started, as far as the connection to PostgreSQL is concerned.
pub struct Kong {
    pub(super) settings: Settings,
    pub(super) profile: Profile,
    pub(super) tls: Tls,
}

/// What a stack keeps between connections.
pub(super) enum Tls {
    /// LuaSec reads everything anew for each connection; it is told which file is trusted.
    Luasec(Option<PathBuf>),
    /// nginx has read the trusted file, whether anything is going to be verified or not.
    Cosocket(SslContext),
}

impl Kong {
    /// Starts.
    ///
    /// # Errors
    /// What Kong or nginx says if it does not.
    pub fn start(settings: Settings, profile: Profile, stack: Stack) -> Result<Self, Fault> {
        let trusted = combine(&settings)?;
        let context = || cosocket::context(&settings, trusted.as_deref(), profile.openssl);
        let tls = match stack {
            Stack::Cosocket => Tls::Cosocket(context()?),
            // Without a Kong around it, LuaSec speaks in an nginx that has been told nothing.
            Stack::Luasec if profile.edition == Edition::Driver => Tls::Luasec(trusted),
            Stack::Luasec => {
                context()?;
                Tls::Luasec(trusted.or_else(|| unwritten(&settings)))
            }
        };
        Ok(Self { settings, profile, tls })
    }

    /// Which stack speaks.
    pub(super) fn stack(&self) -> Stack {
        match self.tls {
            Tls::Luasec(_) => Stack::Luasec,
            Tls::Cosocket(_) => Stack::Cosocket,
        }
    }
}

/// The trusted certificates, put together into one file below Kong's prefix.
pub fn combine(settings: &Settings) -> Result<Option<PathBuf>, Fault> {
    let Trusted::Combined(entries) = &settings.trusted else { return Ok(None) };
    let failed = |path: &Path, error: &io::Error| {
        let why = match error.kind() {
            io::ErrorKind::IsADirectory => "Is a directory".to_owned(),
            io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
            _ => error.to_string(),
        };
        Fault::raised(Stage::Configure, &format!("{}: {why}", path.display()))
    };
    let mut all = Vec::new();
    for entry in entries {
        match entry {
            TrustedEntry::File(path) => all.extend(settings::read(path).map_err(|error| failed(path, &error))?),
            TrustedEntry::Certificate(text) => all.extend(text),
        }
        all.push(b'\n');
    }
    let file = settings.prefix.join(COMBINED);
    std::fs::write(&file, all).map_err(|error| failed(&file, &error))?;
    Ok(Some(file))
}

/// The file that LuaSec is told of although nobody has written it.
pub fn unwritten(settings: &Settings) -> Option<PathBuf> {
    (settings.trusted == Trusted::Emptied).then(|| settings.prefix.join(COMBINED))
}

/// The name of the file below the prefix.
const COMBINED: &str = ".ca_combined";
