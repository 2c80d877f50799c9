//! What Kong does once, when it starts, before it connects to anything.

use std::path::PathBuf;

use openssl::ssl::SslContext;

use crate::cosocket;
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::stack::Stack;
use crate::tap::Tap;
use crate::trusted::{combine, unwritten};

/// A Kong that has started, as far as the connection to PostgreSQL is concerned.
pub struct Kong {
    pub(crate) settings: Settings,
    pub(crate) profile: Profile,
    pub(crate) tls: Tls,
    pub(crate) tap: Option<Tap>,
}

/// What a stack keeps between connections.
pub(crate) enum Tls {
    /// LuaSec reads every file again for each connection; this is the trusted file.
    Luasec(Option<PathBuf>),
    /// nginx has read the trusted file, whether or not anything is going to be verified.
    Cosocket(SslContext),
}

impl Kong {
    /// Starts.
    ///
    /// # Errors
    /// If Kong or nginx does not start, with its text.
    pub fn start(settings: Settings, profile: Profile, stack: Stack) -> Result<Self, Refusal> {
        Self::start_tapped(settings, profile, stack, None)
    }

    /// Starts, with a listener to all its connections.
    ///
    /// # Errors
    /// If Kong or nginx does not start, with its text.
    pub fn start_tapped(settings: Settings, profile: Profile, stack: Stack, tap: Option<Tap>) -> Result<Self, Refusal> {
        let trusted = combine(&settings)?;
        let context = || cosocket::context(&settings, trusted.as_deref(), profile.openssl, tap.as_ref());
        let tls = match stack {
            Stack::Cosocket => Tls::Cosocket(context()?),
            // Without a Kong around it, LuaSec was measured in an nginx that has none of these directives.
            Stack::Luasec if !profile.runs_in_kong() => Tls::Luasec(trusted),
            Stack::Luasec => {
                context()?;
                Tls::Luasec(trusted.or_else(|| unwritten(&settings)))
            }
        };
        Ok(Self { settings, profile, tls, tap })
    }

    /// The stack that it connects with.
    pub(crate) fn stack(&self) -> Stack {
        match self.tls {
            Tls::Luasec(_) => Stack::Luasec,
            Tls::Cosocket(_) => Stack::Cosocket,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("3.9-enterprise", Stack::Luasec, Some("invalid value \"nonsense\""))]
    #[case("3.9-enterprise", Stack::Cosocket, Some("invalid value \"nonsense\""))]
    #[case("pgmoon-kong-2.2.0", Stack::Luasec, None)]
    #[case("pgmoon-kong-2.2.0", Stack::Cosocket, Some("invalid value \"nonsense\""))]
    fn nginx_checks_its_directives_whichever_stack_connects(
        #[case] release: &str,
        #[case] stack: Stack,
        #[case] expected: Option<&str>,
    ) {
        let profile: Profile = release.parse().expect("a release");
        let conf = "lua_ssl_protocols = nonsense\nlua_ssl_trusted_certificate =";
        let settings = Settings::sample(conf, &profile, "/kong");
        let text = Kong::start(settings, profile, stack).err().map(|refusal| refusal.text);
        assert_eq!(text.as_deref(), expected);
    }
}
