//! kong.conf in terms that other clients have.

use std::path::{Path, PathBuf};

use kong_pg_client::{Profile, Settings, Stack, read_as_kong};
use kong_pg_scenarios::vocabulary::TlsVersion;

use super::ClientError;
use crate::runfolder::write_private;

const VERSIONS: [TlsVersion; 4] = [TlsVersion::V1_0, TlsVersion::V1_1, TlsVersion::V1_2, TlsVersion::V1_3];

/// The TLS versions that Kong would offer, oldest first: `pg_ssl_version` where LuaSec speaks, `lua_ssl_protocols`
/// where a cosocket does.
pub(super) fn offered(settings: &Settings, profile: &Profile, stack: Stack) -> Result<Vec<TlsVersion>, ClientError> {
    let offered = match stack {
        Stack::Cosocket => {
            let named = |version: &TlsVersion| {
                settings.protocols.split_whitespace().any(|name| name.eq_ignore_ascii_case(version.as_str()))
            };
            VERSIONS.into_iter().filter(named).collect()
        }
        Stack::Luasec => match settings.ssl_version.as_str() {
            "any" | "sslv23" if profile.any_is_from_1_0() => VERSIONS.to_vec(),
            "any" | "sslv23" => VERSIONS[1..].to_vec(),
            name => VERSIONS.into_iter().filter(|version| luasec_name(*version) == name).collect(),
        },
    };
    if offered.is_empty() {
        let (key, value) = match stack {
            Stack::Cosocket => ("lua_ssl_protocols", &settings.protocols),
            Stack::Luasec => ("pg_ssl_version", &settings.ssl_version),
        };
        return Err(ClientError::Unsupported(format!("`{key} = {value}` names no TLS version")));
    }
    Ok(offered)
}

fn luasec_name(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::Off => "",
        TlsVersion::V1_0 => "tlsv1",
        TlsVersion::V1_1 => "tlsv1_1",
        TlsVersion::V1_2 => "tlsv1_2",
        TlsVersion::V1_3 => "tlsv1_3",
    }
}

/// A file of Kong's, read as Kong would.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, ClientError> {
    match read_as_kong(path) {
        Ok(content) => Ok(Some(content)),
        // We may be root, who reads every file.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(ClientError::Unsupported("a file that Kong may not read would be read here".into()))
        }
        Err(_) => Ok(None),
    }
}

/// Writes a file that only we can read.
pub(super) fn write(folder: &Path, name: &str, content: &[u8]) -> std::io::Result<PathBuf> {
    let path = folder.join(name);
    write_private(&path, content)?;
    Ok(path)
}

/// A configuration of OpenSSL that has a security level, and nothing else that a machine's own may have.
pub(super) fn openssl_conf(security_level: u32) -> String {
    format!(
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\n\
         CipherString = DEFAULT@SECLEVEL={security_level}\n"
    )
}
