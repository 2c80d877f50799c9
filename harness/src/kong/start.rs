//! What Kong does once, when it starts, before it connects to anything.

use std::path::PathBuf;

use openssl::ssl::SslContext;

use super::driver::Fault;
use super::profile::Profile;
use super::settings::Settings;
use super::{Stack, cosocket};
use crate::scenario::Stage;

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
        let tls = match stack {
            Stack::Luasec => Tls::Luasec(trusted),
            Stack::Cosocket => Tls::Cosocket(cosocket::context(&settings, trusted, profile.openssl)?),
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
fn combine(settings: &Settings) -> Result<Option<PathBuf>, Fault> {
    if settings.trusted.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for file in &settings.trusted {
        let text = std::fs::read(file).map_err(|_| {
            let what = "lua_ssl_trusted_certificate: failed loading certificate from";
            Fault::raised(Stage::Configure, &format!("{what} {}", file.display()))
        })?;
        all.extend(text);
        all.push(b'\n');
    }
    let file = settings.prefix.join(".ca_combined");
    let failed = |error| Fault::raised(Stage::Configure, &format!("{}: {error}", file.display()));
    std::fs::write(&file, all).map_err(failed)?;
    Ok(Some(file))
}
