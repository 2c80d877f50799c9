//! The settings of a connection: what kong.conf says, and what the release defaults to.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::x509::X509;

use super::conf::{KongConf, is_on};
use super::profile::Profile;

/// Where Kong looks for the bundle that `system` stands for, in this order.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How Kong is going to connect.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Milliseconds that one step may take.
    pub timeout_ms: u64,
    /// Role.
    pub user: String,
    /// Password.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// Whether to ask for TLS.
    pub ssl: bool,
    /// Whether to refuse to go on without.
    pub ssl_required: bool,
    /// Whether to verify the server's certificate.
    pub ssl_verify: bool,
    /// The TLS version for LuaSec.
    pub ssl_version: String,
    /// The file of the client certificate.
    pub ssl_cert: Option<PathBuf>,
    /// The file of its key.
    pub ssl_cert_key: Option<PathBuf>,
    /// What is trusted.
    pub trusted: Trusted,
    /// How many intermediates a cosocket accepts.
    pub verify_depth: u32,
    /// The TLS versions that a cosocket offers.
    pub protocols: String,
    /// The security level of OpenSSL.
    pub security_level: u32,
    /// The folder Kong keeps its own files in.
    pub prefix: PathBuf,
}

/// What Kong trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trusted {
    /// Nothing.
    Nothing,
    /// These, one after the other, in one file below the prefix.
    Combined(Vec<TrustedEntry>),
    /// Nothing, said with an empty value: while nginx starts, Kong is back at its default, and at the file below the
    /// prefix that it has not written.
    Emptied,
}

/// An entry of `lua_ssl_trusted_certificate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedEntry {
    /// A file.
    File(PathBuf),
    /// A certificate that stands there itself.
    Certificate(Vec<u8>),
}

/// Reads a file as Kong would, which does not run as root: one that nobody may read it cannot either.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let denied = std::fs::metadata(path)?.permissions().mode() & 0o444 == 0;
    if denied { Err(io::ErrorKind::PermissionDenied.into()) } else { std::fs::read(path) }
}

/// Which of Kong's two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRole {
    /// The one that everything goes through.
    Main,
    /// The one for reading, if `pg_ro_host` is set.
    ReadOnly,
}

impl Settings {
    /// Reads the settings as a release does. Host and port are the server's unless kong.conf names others; `prefix` is
    /// the folder Kong keeps its own files in.
    ///
    /// # Errors
    /// The text with which Kong stops before it connects.
    pub fn read(
        conf: &KongConf,
        profile: &Profile,
        which: ConnectionRole,
        (host, port): (&str, u16),
        prefix: PathBuf,
    ) -> Result<Self, String> {
        let read = Reader { conf, profile, which };
        let get = |key: &str| conf.get(key).filter(|_| !profile.ignores(key));
        Ok(Self {
            host: read.of_connection("host").unwrap_or(host).to_owned(),
            port: read.number("port", port)?,
            timeout_ms: read.number("timeout", 5000)?,
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
            trusted: trusted(conf, profile)?,
            verify_depth: parse(conf, "lua_ssl_verify_depth", profile.verify_depth)?,
            protocols: get("lua_ssl_protocols").unwrap_or(profile.protocols).to_owned(),
            security_level: profile.security_level(),
            prefix,
        })
    }
}

/// Reads the settings that each connection has for itself.
struct Reader<'a> {
    conf: &'a KongConf,
    profile: &'a Profile,
    which: ConnectionRole,
}

impl<'a> Reader<'a> {
    /// A setting of the connection, by its name without `pg_` or `pg_ro_`. What is not said of the read-only one is as
    /// with the main one, but for two settings that the open-source edition documents so and does not inherit.
    fn of_connection(&self, name: &str) -> Option<&'a str> {
        let main = format!("pg_{name}");
        if self.profile.ignores(&main) {
            return None;
        }
        let inherited = || self.conf.get(&main).filter(|_| self.profile.inherits(name));
        match self.which {
            ConnectionRole::Main => self.conf.get(&main),
            ConnectionRole::ReadOnly => self.conf.get(&format!("pg_ro_{name}")).or_else(inherited),
        }
    }

    fn ssl_version(&self) -> Result<String, String> {
        let Profile { ssl_version: default, ssl_versions: known, .. } = *self.profile;
        let value = self.of_connection("ssl_version").unwrap_or(default);
        if known.is_empty() || known.contains(&value) {
            return Ok(value.to_owned());
        }
        let key = match self.which {
            ConnectionRole::ReadOnly if self.conf.get("pg_ro_ssl_version").is_some() => "pg_ro_ssl_version",
            _ => "pg_ssl_version",
        };
        Err(format!("{key} has an invalid value: '{value}' ({})", known.join(", ")))
    }

    fn number<N: std::str::FromStr>(&self, name: &str, default: N) -> Result<N, String> {
        let key = match self.which {
            ConnectionRole::ReadOnly if self.conf.get(&format!("pg_ro_{name}")).is_some() => format!("pg_ro_{name}"),
            // Where it is, is what makes a second server a second one.
            ConnectionRole::ReadOnly if matches!(name, "host" | "port") => return Ok(default),
            _ => format!("pg_{name}"),
        };
        parse(self.conf, &key, default)
    }
}

fn parse<N: std::str::FromStr>(conf: &KongConf, key: &str, default: N) -> Result<N, String> {
    match conf.get(key) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| format!("{key} is not a number: '{value}'")),
    }
}

/// What is behind `lua_ssl_trusted_certificate`. `system` is dropped where no bundle is found; what is no file may be
/// a certificate, also in base64.
fn trusted(conf: &KongConf, profile: &Profile) -> Result<Trusted, String> {
    const KEY: &str = "lua_ssl_trusted_certificate";
    if conf.is_emptied(KEY) && profile.trusted.is_some() {
        return Ok(Trusted::Emptied);
    }
    let mut entries = Vec::new();
    let value = conf.get(KEY).or(profile.trusted).unwrap_or_default();
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
                let decoded = String::from_utf8_lossy(&decoded);
                return Err(format!("{KEY}: failed loading certificate from {decoded}"));
            }
            TrustedEntry::Certificate(decoded)
        });
    }
    Ok(if entries.is_empty() { Trusted::Nothing } else { Trusted::Combined(entries) })
}
