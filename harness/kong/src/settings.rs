//! The settings of a connection: kong.conf's, and the release's defaults.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::x509::X509;

use crate::conf::{KongConf, is_on, number};
use crate::profile::Profile;

/// Where Kong looks for the bundle that `system` stands for, in this order.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// `pg_timeout` by default, in milliseconds.
const TIMEOUT_MS: u64 = 5000;
/// A cosocket's own time limit in milliseconds, which applies if `pg_timeout` is not a number.
const COSOCKET_TIMEOUT_MS: u64 = 60_000;
/// The port that pgmoon uses if `pg_port` is not a number.
const DRIVER_PORT: u16 = 5432;

/// The settings of a connection of Kong's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Milliseconds that connecting, one read or one write may take.
    pub timeout_ms: u64,
    /// Role.
    pub user: String,
    /// Password.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// Whether to ask for TLS.
    pub ssl: bool,
    /// Whether to refuse to go on without TLS.
    pub ssl_required: bool,
    /// Whether to verify the server's certificate.
    pub ssl_verify: bool,
    /// The TLS version for LuaSec, in its words: `tlsv1_2`, `any`.
    pub ssl_version: String,
    /// The file of the client certificate, PEM.
    pub ssl_cert: Option<PathBuf>,
    /// The file of its key, PEM.
    pub ssl_cert_key: Option<PathBuf>,
    /// What is trusted.
    pub trusted: Trusted,
    /// The number of intermediates that a cosocket accepts, as Kong writes it to nginx's configuration: empty if it is
    /// not a number, with which nginx does not start.
    pub verify_depth: String,
    /// The TLS versions that a cosocket offers, in nginx's words: `TLSv1.2 TLSv1.3`.
    pub protocols: String,
    /// The security level of OpenSSL, 0 to 5.
    pub security_level: u32,
    /// The only group of the key exchange that is offered, by OpenSSL's name: `P-256`. OpenSSL's own if there is none;
    /// Kong has no setting for it, but OpenSSL's configuration file has.
    pub group: Option<String>,
    /// The folder that Kong keeps its own files in.
    pub prefix: PathBuf,
}

/// What Kong trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trusted {
    /// Nothing.
    Nothing,
    /// These, one after the other, in one file below the prefix.
    Combined(Vec<TrustedEntry>),
    /// Nothing, by an empty value: while nginx starts, Kong returns to its default, and to the file below the prefix
    /// that it has not written.
    Emptied,
}

/// An entry of `lua_ssl_trusted_certificate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedEntry {
    /// A file.
    File(PathBuf),
    /// A certificate in place of a file, in PEM or DER.
    Certificate(Vec<u8>),
}

/// The text with which Kong stops before it connects.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// A value is not in its setting's list.
    #[error("{key} has an invalid value: '{value}' ({})", allowed.join(", "))]
    NotAllowed {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        allowed: Vec<String>,
    },
    /// A trusted certificate is neither a file nor a certificate itself.
    #[error("lua_ssl_trusted_certificate: failed loading certificate from {0}")]
    TrustedCertificate(String),
    /// A port is outside the range of ports. The text is lua-nginx-module's.
    #[error("bad port number: {0}")]
    Port(f64),
}

/// Reads a file as Kong would, which does not run as root: a file without any read permission is an error.
///
/// # Errors
/// If the file cannot be read, or not by anyone but root.
pub fn read_as_kong(path: &Path) -> io::Result<Vec<u8>> {
    let denied = std::fs::metadata(path)?.permissions().mode() & 0o444 == 0;
    if denied { Err(io::ErrorKind::PermissionDenied.into()) } else { std::fs::read(path) }
}

/// One of Kong's two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRole {
    /// The one for everything.
    Main,
    /// The one for reading, if `pg_ro_host` is set.
    ReadOnly,
}

impl Settings {
    /// Reads the settings as a release does. `host` and `port` hold where kong.conf names none; `prefix` is the folder
    /// that Kong keeps its own files in.
    ///
    /// # Errors
    /// If Kong stops at a setting before it connects.
    pub fn read(
        conf: &KongConf,
        profile: &Profile,
        role: ConnectionRole,
        (host, port): (&str, u16),
        prefix: PathBuf,
    ) -> Result<Self, SettingsError> {
        let read = Reader { conf, profile, role };
        let get = |key: &str| conf.get(key).filter(|_| !profile.ignores(key));
        let trusted = trusted(conf, profile)?;
        Ok(Self {
            host: read.of_connection("host").unwrap_or(host).to_owned(),
            port: read.port(port)?,
            timeout_ms: read.timeout_ms(),
            user: read.of_connection("user").unwrap_or("kong").to_owned(),
            password: read.of_connection("password").map(str::to_owned),
            database: read.of_connection("database").unwrap_or("kong").to_owned(),
            ssl: read.of_connection("ssl").is_some_and(is_on),
            ssl_required: read.of_connection("ssl_required").is_some_and(is_on),
            ssl_verify: read.of_connection("ssl_verify").map_or(profile.ssl_verify, is_on),
            ssl_version: read.ssl_version()?,
            // The read-only connection has no certificate of its own.
            ssl_cert: get("pg_ssl_cert").map(PathBuf::from),
            ssl_cert_key: get("pg_ssl_cert_key").map(PathBuf::from),
            trusted,
            verify_depth: match conf.get("lua_ssl_verify_depth") {
                None => profile.verify_depth.to_string(),
                Some(value) => number(value).map(|number| number.to_string()).unwrap_or_default(),
            },
            protocols: get("lua_ssl_protocols").unwrap_or(&profile.protocols).to_owned(),
            security_level: profile.security_level(),
            group: None,
            prefix,
        })
    }

    /// The number of intermediates that a cosocket accepts, if it is a number that nginx takes.
    #[must_use]
    pub fn verify_depth(&self) -> Option<u32> {
        self.verify_depth.parse().ok()
    }
}

/// Reads the settings that each connection has for itself.
struct Reader<'a> {
    conf: &'a KongConf,
    profile: &'a Profile,
    role: ConnectionRole,
}

impl<'a> Reader<'a> {
    /// A setting of the connection, by its name without `pg_` or `pg_ro_`. The read-only connection takes over from the
    /// main one what is not set for itself, except what the release does not inherit.
    fn of_connection(&self, name: &str) -> Option<&'a str> {
        let main = format!("pg_{name}");
        if self.profile.ignores(&main) {
            return None;
        }
        let inherited = || self.conf.get(&main).filter(|_| self.profile.inherits(name));
        match self.role {
            ConnectionRole::Main => self.conf.get(&main),
            ConnectionRole::ReadOnly => self.conf.get(&format!("pg_ro_{name}")).or_else(inherited),
        }
    }

    fn ssl_version(&self) -> Result<String, SettingsError> {
        let Profile { ssl_version: default, ssl_version_values: allowed, .. } = self.profile;
        let value = self.of_connection("ssl_version").unwrap_or(default);
        if allowed.is_empty() || allowed.iter().any(|allowed| allowed == value) {
            return Ok(value.to_owned());
        }
        let key = match self.role {
            ConnectionRole::ReadOnly if self.conf.get("pg_ro_ssl_version").is_some() => "pg_ro_ssl_version",
            _ => "pg_ssl_version",
        };
        Err(SettingsError::NotAllowed { key, value: value.to_owned(), allowed: allowed.clone() })
    }

    /// The port. The read-only connection does not take over the main one's: `default` is that of its own server.
    fn port(&self, default: u16) -> Result<u16, SettingsError> {
        let key = if self.role == ConnectionRole::Main { "pg_port" } else { "pg_ro_port" };
        let Some(value) = self.conf.get(key) else { return Ok(default) };
        let Some(port) = number(value) else { return Ok(DRIVER_PORT) };
        // Lua cuts a fraction off.
        format!("{}", port.trunc()).parse().map_err(|_| SettingsError::Port(port))
    }

    fn timeout_ms(&self) -> u64 {
        let Some(value) = self.of_connection("timeout") else { return TIMEOUT_MS };
        let limit = number(value).map(|limit| format!("{}", limit.trunc()));
        limit.and_then(|limit| limit.parse().ok()).unwrap_or(COSOCKET_TIMEOUT_MS)
    }
}

/// What `lua_ssl_trusted_certificate` stands for. `system` is dropped where no bundle is found; an entry that is no
/// file may be a certificate, also in base64.
fn trusted(conf: &KongConf, profile: &Profile) -> Result<Trusted, SettingsError> {
    const KEY: &str = "lua_ssl_trusted_certificate";
    if conf.is_emptied(KEY) && !profile.trusted.is_empty() {
        return Ok(Trusted::Emptied);
    }
    let mut entries = Vec::new();
    let value = conf.get(KEY).unwrap_or(&profile.trusted);
    for entry in value.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let path = match entry {
            "system" => match SYSTEM_BUNDLES.iter().map(Path::new).find(|bundle| bundle.exists()) {
                Some(bundle) => bundle,
                None => continue,
            },
            file => Path::new(file),
        };
        entries.push(if path.exists() {
            TrustedEntry::File(path.to_owned())
        } else {
            let decoded = openssl::base64::decode_block(entry).unwrap_or_else(|_| entry.into());
            if X509::from_pem(&decoded).or_else(|_| X509::from_der(&decoded)).is_err() {
                return Err(SettingsError::TrustedCertificate(String::from_utf8_lossy(&decoded).into_owned()));
            }
            TrustedEntry::Certificate(decoded)
        });
    }
    Ok(if entries.is_empty() { Trusted::Nothing } else { Trusted::Combined(entries) })
}

#[cfg(test)]
impl Settings {
    /// What a release reads from kong.conf below a prefix.
    pub(crate) fn sample(conf: &str, profile: &Profile, prefix: &str) -> Self {
        let (conf, server) = (KongConf::read(conf), ("127.0.0.1", 5432));
        Self::read(&conf, profile, ConnectionRole::Main, server, prefix.into()).expect("settings")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::releases::Releases;

    fn read(release: &str, role: ConnectionRole, conf: &str) -> Result<Settings, SettingsError> {
        let profile = Releases::built_in().find(release).expect("a release");
        Settings::read(&KongConf::read(conf), &profile, role, ("db", 6432), "/prefix".into())
    }

    const MAIN: ConnectionRole = ConnectionRole::Main;
    const READ_ONLY: ConnectionRole = ConnectionRole::ReadOnly;

    #[rstest]
    #[case("3.13-enterprise", false)]
    #[case("3.14-enterprise", true)]
    #[case("3.9-oss", false)]
    fn verification_is_on_by_default_since_3_14(#[case] release: &str, #[case] verifies: bool) {
        let settings = read(release, MAIN, "pg_ssl = on").expect("settings");
        assert_eq!((settings.ssl, settings.ssl_required, settings.ssl_verify), (true, false, verifies));
    }

    #[rstest]
    #[case("3.9-oss", None)]
    #[case("3.9-enterprise", Some("/client.crt"))]
    fn the_open_source_edition_ignores_a_client_certificate(#[case] release: &str, #[case] expected: Option<&str>) {
        let settings = read(release, MAIN, "pg_ssl_cert = /client.crt").expect("settings");
        assert_eq!(settings.ssl_cert, expected.map(PathBuf::from));
    }

    #[rstest]
    #[case("pg_ssl_version = tlsv1", "pg_ssl_version")]
    #[case("pg_ro_ssl_version = tlsv1", "pg_ro_ssl_version")]
    fn a_version_that_is_not_allowed_is_reported_with_its_setting(#[case] conf: &str, #[case] expected: &str) {
        let error = read("3.14-enterprise", READ_ONLY, conf).expect_err("an error");
        assert!(matches!(&error, SettingsError::NotAllowed { key, .. } if *key == expected), "{error}");
    }

    /// Tests may run as root, who can read everything.
    #[rstest]
    #[case(0o000, Err(io::ErrorKind::PermissionDenied))]
    #[case(0o200, Err(io::ErrorKind::PermissionDenied))]
    #[case(0o400, Ok(b"content".to_vec()))]
    #[case(0o644, Ok(b"content".to_vec()))]
    fn a_file_that_nobody_may_read_is_an_error(#[case] mode: u32, #[case] expected: Result<Vec<u8>, io::ErrorKind>) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "content").expect("written");
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).expect("a mode");
        assert_eq!(read_as_kong(file.path()).map_err(|error| error.kind()), expected);
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = read("3.9-oss", MAIN, "lua_ssl_trusted_certificate =").expect("settings");
        assert_eq!((settings.host.as_str(), settings.port, settings.timeout_ms), ("db", 6432, 5000));
        assert_eq!((settings.user.as_str(), settings.password), ("kong", None));
        assert_eq!(settings.trusted, Trusted::Emptied);
        let settings = read("2.8-oss", MAIN, "").expect("settings");
        assert_eq!(settings.trusted, Trusted::Nothing);
    }

    #[rstest]
    #[case("pg_port = abc\npg_timeout = 5s", 5432, 60_000)]
    #[case("pg_port = 1e3\npg_timeout = 0x10", 1000, 16)]
    fn an_invalid_number_is_ignored(#[case] conf: &str, #[case] port: u16, #[case] timeout_ms: u64) {
        let settings = read("3.9-oss", MAIN, conf).expect("settings");
        assert_eq!((settings.port, settings.timeout_ms), (port, timeout_ms));
    }

    #[rstest]
    #[case("one", "", None)]
    #[case("2", "2", Some(2))]
    #[case("1.5", "1.5", None)]
    fn a_depth_goes_to_nginx(#[case] value: &str, #[case] argument: &str, #[case] depth: Option<u32>) {
        let settings = read("3.9-oss", MAIN, &format!("lua_ssl_verify_depth = {value}")).expect("settings");
        assert_eq!((settings.verify_depth.as_str(), settings.verify_depth()), (argument, depth));
    }

    #[rstest]
    #[case("pg_port = 70000", "bad port number: 70000")]
    #[case("pg_ssl_version = tls", "pg_ssl_version has an invalid value: 'tls' (tlsv1_1, tlsv1_2, tlsv1_3, any)")]
    #[case(
        "lua_ssl_trusted_certificate = /nonexistent/ca.pem",
        "lua_ssl_trusted_certificate: failed loading certificate from /nonexistent/ca.pem"
    )]
    fn kong_stops_at_a_setting(#[case] conf: &str, #[case] expected: &str) {
        assert_eq!(read("3.15-enterprise", MAIN, conf).expect_err("an error").to_string(), expected);
    }

    #[rstest]
    #[case("3.15-enterprise", true, "tlsv1_3")]
    #[case("3.9-oss", false, "any")]
    fn the_read_only_connection_inherits_what_the_release_inherits(
        #[case] release: &str,
        #[case] ssl: bool,
        #[case] version: &str,
    ) {
        let conf = "pg_ssl = on\npg_ssl_version = tlsv1_3\npg_user = main\npg_ro_user = reader\npg_port = 1";
        let settings = read(release, READ_ONLY, conf).expect("settings");
        assert_eq!((settings.ssl, settings.ssl_version.as_str()), (ssl, version));
        assert_eq!((settings.user.as_str(), settings.port), ("reader", 6432));
    }
}
