//! TLS versions: those of Kong's two stacks, which obey different settings, and the server's.

use std::collections::BTreeSet;

use super::super::catalog::Code;
use super::super::configuration::{Configuration, Connection};
use super::super::fault::{Fault, Severity};
use super::super::server::{PostgresqlConf, Server};

/// The versions, oldest first, as postgresql.conf and nginx name them, and Kong.
const VERSIONS: [(&str, &str); 4] =
    [("TLSv1", "tlsv1"), ("TLSv1.1", "tlsv1_1"), ("TLSv1.2", "tlsv1_2"), ("TLSv1.3", "tlsv1_3")];

type Versions = BTreeSet<usize>;

fn shown(versions: &Versions) -> String {
    let names: Vec<_> = versions.iter().map(|version| VERSIONS[*version].0).collect();
    if names.is_empty() { "no version".into() } else { names.join(", ") }
}

/// What LuaSec offers while nginx starts.
fn of_luasec(connection: &Connection) -> Versions {
    let named = VERSIONS.iter().position(|(_, name)| *name == connection.version);
    usable(named.map_or_else(|| (0..4).collect(), |version| [version].into()), connection)
}

/// What a cosocket offers in the workers.
fn of_cosocket(connection: &Connection) -> Versions {
    let named = connection.protocols.split_whitespace();
    usable(
        named.filter_map(|word| VERSIONS.iter().position(|(name, _)| name.eq_ignore_ascii_case(word))).collect(),
        connection,
    )
}

/// OpenSSL 3 has TLS 1.0 and 1.1 on security level 0 only.
fn usable(versions: Versions, connection: &Connection) -> Versions {
    versions.into_iter().filter(|version| *version > 1 || connection.security_level == 0).collect()
}

pub(super) fn check(kong: &Configuration) -> Vec<Fault> {
    let main = &kong.main;
    if !main.ssl {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let (luasec, cosocket) = (of_luasec(main), of_cosocket(main));
    let version = kong.place_of(if kong.get("pg_ssl_version").is_some() { "pg_ssl_version" } else { "pg_ssl" });
    let protocols = kong.place_of("lua_ssl_protocols");
    let old = |versions: &Versions| versions.iter().all(|version| *version < 2);
    if old(&luasec) && !kong.is_oss() {
        let by_default = if kong.get("pg_ssl_version").is_none() { ", by default in this release" } else { "" };
        let what = match luasec.first() {
            None => format!("LuaSec is limited to {}{by_default}, and its OpenSSL offers nothing then", main.version),
            Some(_) => format!("LuaSec speaks {} only{by_default}", shown(&luasec)),
        };
        faults.push(Fault::new(Code::VersionTooOld, version, what));
    }
    if old(&cosocket) {
        let what = format!("cosockets are limited to {}", main.protocols);
        faults.push(
            Fault::new(Code::VersionTooOld, protocols, what).with_fix("Set lua_ssl_protocols = TLSv1.2 TLSv1.3."),
        );
    }
    if !luasec.is_empty() && !cosocket.is_empty() && luasec.is_disjoint(&cosocket) && !old(&luasec) && !old(&cosocket) {
        let what = format!(
            "LuaSec speaks {} (pg_ssl_version), cosockets {} (lua_ssl_protocols)",
            shown(&luasec),
            shown(&cosocket)
        );
        faults.push(Fault::new(Code::VersionsDiffer, protocols, what));
    } else if let (Some(setting), false) = (kong.get("pg_ssl_version"), kong.is_oss())
        && setting.text().is_some()
        && luasec != cosocket
        && main.version != "any"
    {
        let what = format!("pg_ssl_version is LuaSec's; cosockets offer {} all the same", shown(&cosocket));
        faults.push(Fault::new(Code::VersionIgnored, &setting.place, what).with_severity(Severity::Note));
    }
    faults
}

/// What the server takes; PostgreSQL's default has been TLS 1.2 and newer since 13.
fn of_server(conf: &PostgresqlConf) -> Option<Versions> {
    let at = |name: &str, default: usize| match conf.get(name) {
        None => Some(default),
        Some(value) => VERSIONS.iter().position(|(known, _)| known.eq_ignore_ascii_case(value)),
    };
    Some((at("ssl_min_protocol_version", 2)?..=at("ssl_max_protocol_version", 3)?).collect())
}

/// Whether both stacks have a version in common with the server.
pub(super) fn check_server(kong: &Configuration, server: &Server) -> Vec<Fault> {
    let Some(conf) = server.conf.as_ref().filter(|conf| conf.is_on("ssl") && kong.main.ssl) else { return Vec::new() };
    // Limits that leave nothing are a fault of the server's own.
    let Some(accepted) = of_server(conf).filter(|accepted| !accepted.is_empty()) else { return Vec::new() };
    let version = kong.place_of(if kong.get("pg_ssl_version").is_some() { "pg_ssl_version" } else { "pg_ssl" });
    let stacks = [
        ("LuaSec", "pg_ssl_version", version, of_luasec(&kong.main)),
        ("cosockets", "lua_ssl_protocols", kong.place_of("lua_ssl_protocols"), of_cosocket(&kong.main)),
    ];
    let never = stacks.into_iter().filter(|(.., offered)| offered.is_disjoint(&accepted));
    never
        .map(|(stack, setting, place, offered)| {
            let limit = if conf.get("ssl_max_protocol_version").is_some() {
                "ssl_max_protocol_version"
            } else {
                "ssl_min_protocol_version"
            };
            let of = conf.place_of(limit);
            let what = format!("{stack}: {} ({setting}); the server: {} ({of})", shown(&offered), shown(&accepted));
            Fault::new(Code::VersionsNeverMeet, place, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::super::tests::{codes, counting, kong, server};
    use super::*;

    #[rstest]
    #[case("", "3.15-enterprise", &[])]
    #[case("pg_ssl_version = tlsv1_2", "3.15-enterprise", &[])]
    #[case("pg_ssl_version = tlsv1_1", "3.15-enterprise", &[Code::VersionTooOld])]
    #[case("", "2.8-enterprise", &[Code::VersionTooOld])]
    #[case("pg_ssl_version = tlsv1_2", "2.8-enterprise", &[])]
    #[case("", "2.8-oss", &[])]
    #[case("pg_ssl_version = tlsv1_3\nlua_ssl_protocols = TLSv1.2", "3.15-enterprise", &[Code::VersionsDiffer])]
    #[case("lua_ssl_protocols = TLSv1.1", "3.15-enterprise", &[Code::VersionTooOld])]
    fn versions_are_those_of_each_stack(#[case] text: &str, #[case] release: &str, #[case] expected: &[Code]) {
        assert_eq!(counting(&check(&kong(&format!("pg_ssl = on\n{text}"), release))), expected);
    }

    #[rstest]
    #[case("", "ssl = on", &[])]
    #[case("", "ssl = on\nssl_min_protocol_version = 'TLSv1.3'", &[Code::VersionsNeverMeet])]
    #[case("pg_ssl_version = any", "ssl = on\nssl_min_protocol_version = 'TLSv1.3'", &[])]
    #[case("lua_ssl_protocols = TLSv1.3", "ssl = on\nssl_max_protocol_version = TLSv1.2", &[Code::VersionsNeverMeet])]
    #[case("", "ssl = off\nssl_min_protocol_version = 'TLSv1.3'", &[])]
    fn both_stacks_have_to_meet_the_server(#[case] text: &str, #[case] conf: &str, #[case] expected: &[Code]) {
        let kong = kong(&format!("pg_ssl = on\n{text}"), "3.15-enterprise");
        assert_eq!(codes(&check_server(&kong, &server(conf, None, None))), expected);
    }
}
