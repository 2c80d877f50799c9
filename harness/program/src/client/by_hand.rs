//! The commands with which people try a connection themselves.

use kong_pg_client::{Profile, Settings, Stack, Trusted, TrustedEntry};
use kong_pg_scenarios::vocabulary::{TlsVersion, quoted};

use super::translate;

/// The file that several trusted ones are put into, as Kong does.
const TOGETHER: &str = "trusted.crt";

/// A connection of Kong's, as `psql` and `openssl s_client` make it.
pub struct ByHand<'a> {
    /// How Kong connects, with the paths that the files have where the commands are typed.
    pub settings: &'a Settings,
    /// The release.
    pub profile: &'a Profile,
    /// Which of Kong's stacks is followed.
    pub stack: Stack,
}

impl ByHand<'_> {
    /// The command that puts trusted files together, where there are several; both of the others need its file then.
    #[must_use]
    pub fn trusted(&self) -> Option<String> {
        let files = self.trusted_files();
        (files.len() > 1).then(|| format!("cat {} > {TOGETHER}", words(&files)))
    }

    /// psql with the parameters that are nearest to Kong's settings. Kong does not compare the server's name.
    #[must_use]
    pub fn psql(&self) -> String {
        let Settings { host, port, user, database, ssl, ssl_required, ssl_verify, .. } = self.settings;
        let mode = match (ssl, ssl_verify, ssl_required) {
            (false, ..) => "disable",
            (true, true, _) => "verify-ca",
            (true, false, true) => "require",
            (true, false, false) => "prefer",
        };
        let mut parameters = vec![
            ("host", host.clone()),
            ("port", port.to_string()),
            ("user", user.clone()),
            ("dbname", database.clone()),
        ];
        parameters.push(("sslmode", mode.into()));
        if *ssl {
            parameters.extend(self.trusted_file().filter(|_| *ssl_verify).map(|file| ("sslrootcert", file)));
            let own = ["sslcert", "sslkey"].into_iter().zip(self.own());
            parameters.extend(own.filter_map(|(name, file)| Some((name, file?))));
            let versions = self.versions();
            let ends = [("ssl_min_protocol_version", versions.first()), ("ssl_max_protocol_version", versions.last())];
            parameters
                .extend(ends.into_iter().filter_map(|(name, version)| Some((name, version?.as_str().to_owned()))));
        }
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| parameter(name, value)).collect();
        format!("psql {}", quoted(&parameters.join(" ")))
    }

    /// `openssl s_client`, which shows the handshake and no login; nothing, if Kong does not ask for TLS.
    #[must_use]
    pub fn openssl(&self) -> Option<String> {
        let Settings { host, port, ssl, ssl_verify, .. } = self.settings;
        if !ssl {
            return None;
        }
        let mut command = vec!["openssl s_client -starttls postgres -noservername".to_owned()];
        command.push(format!("-connect {}", quoted(&format!("{host}:{port}"))));
        let trusted = self.trusted_file().filter(|_| *ssl_verify);
        command.extend(trusted.map(|file| format!("-verify_return_error -CAfile {}", quoted(&file))));
        for (option, file) in ["-cert", "-key"].into_iter().zip(self.own()) {
            command.extend(file.map(|file| format!("{option} {}", quoted(&file))));
        }
        if let [only] = self.versions()[..] {
            command.push(format!("-{}", only.as_str().to_lowercase().replace("tlsv", "tls").replace('.', "_")));
        }
        Some(command.join(" "))
    }

    /// None, where a setting names a version that there is not: Kong does not come as far as a handshake then.
    fn versions(&self) -> Vec<TlsVersion> {
        translate::offered(self.settings, self.profile, self.stack).unwrap_or_default()
    }

    fn own(&self) -> [Option<String>; 2] {
        let Settings { ssl_cert, ssl_cert_key, .. } = self.settings;
        [ssl_cert, ssl_cert_key].map(|file| file.as_ref().map(|file| file.display().to_string()))
    }

    fn trusted_files(&self) -> Vec<String> {
        let Trusted::Combined(entries) = &self.settings.trusted else { return Vec::new() };
        let file = |entry: &TrustedEntry| match entry {
            TrustedEntry::File(file) => Some(file.display().to_string()),
            TrustedEntry::Certificate(_) => None,
        };
        entries.iter().filter_map(file).collect()
    }

    fn trusted_file(&self) -> Option<String> {
        match &self.trusted_files()[..] {
            [] => None,
            [only] => Some(only.clone()),
            _ => Some(TOGETHER.to_owned()),
        }
    }
}

/// A parameter as libpq reads it.
fn parameter(name: &str, value: &str) -> String {
    if !value.is_empty() && !value.contains([' ', '\'', '\\']) {
        return format!("{name}={value}");
    }
    format!("{name}='{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

fn words(files: &[String]) -> String {
    files.iter().map(|file| quoted(file)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use kong_pg_client::{ConnectionRole, conf::KongConf};

    fn commands(conf: &str, trusted: &[&str], stack: Stack) -> (Option<String>, String, Option<String>) {
        let profile = Profile::newest();
        let server = ("db", 5432);
        let conf = KongConf::read(conf);
        let settings = Settings::read(&conf, &profile, ConnectionRole::Main, server, PathBuf::new());
        let mut settings = settings.expect("settings");
        settings.trusted =
            Trusted::Combined(trusted.iter().map(|file| TrustedEntry::File(PathBuf::from(file))).collect());
        let by_hand = ByHand { settings: &settings, profile: &profile, stack };
        (by_hand.trusted(), by_hand.psql(), by_hand.openssl())
    }

    #[test]
    fn both_commands_do_what_kong_does() {
        let conf =
            "pg_ssl = on\npg_ssl_verify = on\npg_ssl_version = tlsv1_2\npg_ssl_cert = c.crt\npg_ssl_cert_key = k";
        let (trusted, psql, openssl) = commands(conf, &["root.crt"], Stack::Luasec);
        assert_eq!(trusted, None);
        assert_eq!(
            psql,
            "psql 'host=db port=5432 user=kong dbname=kong sslmode=verify-ca sslrootcert=root.crt sslcert=c.crt \
             sslkey=k ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2'"
        );
        let expected = "openssl s_client -starttls postgres -noservername -connect db:5432 -verify_return_error \
             -CAfile root.crt -cert c.crt -key k -tls1_2";
        assert_eq!(openssl.as_deref(), Some(expected));
    }

    #[test]
    fn several_trusted_files_are_put_together_first() {
        let conf = "pg_ssl = on\npg_ssl_verify = on";
        let (trusted, psql, openssl) = commands(conf, &["a.crt", "b.crt"], Stack::Cosocket);
        assert_eq!(trusted.as_deref(), Some("cat a.crt b.crt > trusted.crt"));
        assert!(psql.contains("sslrootcert=trusted.crt") && openssl.expect("TLS").contains("-CAfile trusted.crt"));
    }

    #[test]
    fn without_tls_there_is_nothing_for_openssl_to_show() {
        let (_, psql, openssl) = commands("pg_ssl = off", &[], Stack::Luasec);
        assert_eq!(psql, "psql 'host=db port=5432 user=kong dbname=kong sslmode=disable'");
        assert_eq!(openssl, None);
    }
}
