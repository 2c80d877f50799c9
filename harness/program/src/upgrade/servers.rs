//! The servers that a configuration is tried with under both releases, as a scenario.

use serde_json::{Map, Value, json};

/// The settings of Kong's that decide about TLS, apart from those that name files.
const SETTINGS: [&str; 6] =
    ["pg_ssl", "pg_ssl_required", "pg_ssl_verify", "pg_ssl_version", "lua_ssl_protocols", "lua_ssl_verify_depth"];

/// The scenario for a configuration: its settings, with certificates of the suite in the place of its files.
pub(super) fn scenario(settings: &[(String, String)]) -> Value {
    let get = |key: &str| settings.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let mut kong = Map::new();
    for (key, value) in SETTINGS.into_iter().filter_map(|key| Some((key, get(key)?))) {
        kong.insert(key.into(), value.into());
    }
    let entries = get("lua_ssl_trusted_certificate").unwrap_or_default().split(',').map(str::trim);
    let entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
    let trusts_files = entries.iter().any(|entry| *entry != "system");
    if !entries.is_empty() {
        let mut trusted = vec!["root.crt"];
        trusted.retain(|_| trusts_files);
        trusted.extend(entries.contains(&"system").then_some("system"));
        kong.insert("lua_ssl_trusted_certificate".into(), trusted.join(",").into());
    }
    let sends_certificate = get("pg_ssl_cert").is_some();
    if sends_certificate {
        kong.insert("pg_ssl_cert".into(), "client.crt".into());
        kong.insert("pg_ssl_cert_key".into(), "client.key".into());
    }
    json!({
        "title": "an upgrade",
        "pki": { "certificates": certificates() },
        "postgres": { "conf": { "ssl": "on" }, "hba": ["host all all all trust"] },
        "kong": kong,
        "axes": { "server": servers(trusts_files, sends_certificate) },
        // What is expected does not matter: both releases are compared with each other.
        "cases": [{ "name": "Kong connects", "expect": { "connects": { "tls": "TLSv1.3" } } }],
    })
}

fn certificates() -> Value {
    json!({
        "root": { "subject": "/CN=root", "ca": true, "key": "ecdsa-p256" },
        "server": { "issuer": "root", "subject": "/CN=dbhost.yourdomain.com", "key": "ecdsa-p256" },
        "client": { "issuer": "root", "subject": "/CN=kong", "key": "ecdsa-p256" },
        "private-root": { "like": "root", "subject": "/CN=private" },
        "private-server": { "like": "server", "issuer": "private-root" },
        "ca-1": { "issuer": "root", "subject": "/CN=ca-1", "ca": true, "key": "ecdsa-p256" },
        "ca-2": { "like": "ca-1", "issuer": "ca-1", "subject": "/CN=ca-2" },
        "chained-server": { "like": "server", "issuer": "ca-2" },
    })
}

/// The servers by the names that they have in the ids of cells.
const SERVERS: [(&str, &str); 7] = [
    ("private-ca", "a server certificate of a CA that Kong does not trust"),
    ("trusted-ca", "a server of the CA in lua_ssl_trusted_certificate"),
    ("two-intermediates", "a server with two intermediates"),
    ("only-tls-1-2", "a server with TLS 1.2 only"),
    ("only-tls-1-3", "a server with TLS 1.3 only"),
    ("no-tls", "a server without TLS"),
    ("client-certificate", "a server that demands a client certificate"),
];

/// A server in words.
pub(super) fn describe(name: &str) -> &str {
    SERVERS.iter().find(|(known, _)| *known == name).map_or(name, |(_, words)| words)
}

/// The servers that say something about the configuration. Where it trusts a file, they have a certificate that it
/// trusts, but for the one of a private CA.
fn servers(trusts_files: bool, sends_certificate: bool) -> Value {
    let server = |name: &str| match name {
        "private-ca" => {
            json!({ "files": { "server.crt": "private-server.crt", "server.key": "private-server.key" } })
        }
        "two-intermediates" => {
            let chain = ["chained-server.crt", "ca-2.crt", "ca-1.crt"];
            json!({ "files": { "server.crt": chain, "server.key": "chained-server.key" } })
        }
        "only-tls-1-2" => json!({ "postgres": { "conf": { "ssl_max_protocol_version": "TLSv1.2" } } }),
        "only-tls-1-3" => json!({ "postgres": { "conf": { "ssl_min_protocol_version": "TLSv1.3" } } }),
        "no-tls" => json!({ "postgres": { "conf": { "ssl": "off" } } }),
        "client-certificate" => {
            let hba = ["hostssl all all all trust clientcert=verify-ca"];
            json!({ "postgres": { "conf": { "ssl_ca_file": "root.crt" }, "hba": hba } })
        }
        _ => json!({}),
    };
    let is_telling = |name: &str| match name {
        "trusted-ca" | "two-intermediates" => trusts_files,
        "client-certificate" => sends_certificate,
        _ => true,
    };
    let telling = SERVERS.iter().filter(|(name, _)| is_telling(name));
    telling.map(|(name, _)| ((*name).to_owned(), server(name))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use kong_pg_scenarios::suite::Suite;

    use super::*;

    #[test]
    fn every_configuration_becomes_a_scenario_without_a_fault() {
        let all = [
            ("pg_ssl", "on"),
            ("pg_ssl_cert", "/etc/kong/kong.crt"),
            ("pg_ssl_cert_key", "/etc/kong/kong.key"),
            ("lua_ssl_trusted_certificate", "/etc/kong/ca.crt,system"),
            ("pg_password", "secret"),
        ];
        for count in 0..=all.len() {
            let settings: Vec<_> = all[..count].iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            let folder = tempfile::tempdir().expect("a folder");
            let text = scenario(&settings).to_string();
            assert!(!text.contains("secret"));
            std::fs::write(folder.path().join("upgrade.yaml"), text).expect("a file");
            let suite = Suite::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:#?}"));
            assert!(suite.cases().count() >= 4);
        }
    }
}
