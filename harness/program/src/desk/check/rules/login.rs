//! Which line of pg_hba.conf Kong meets, and whether it has what that line asks for.

use std::net::IpAddr;

use super::super::catalog::Code;
use super::super::configuration::Configuration;
use super::super::fault::{Fault, Place, Severity};
use super::super::material;
use super::super::server::Server;
use super::super::server::hba::{self, HbaLine};
use super::KongFiles;

pub(super) fn check(kong: &Configuration, files: &KongFiles, server: &Server) -> Vec<Fault> {
    let mut faults = Vec::new();
    let server_has_tls = server.conf.as_ref().map(|conf| conf.is_on("ssl"));
    if kong.main.ssl && server_has_tls == Some(false) {
        let place = server.conf.as_ref().map_or(&kong.place, |conf| conf.place_of("ssl"));
        let (what, severity) = if kong.main.required {
            ("ssl is off, and Kong requires TLS (pg_ssl_required)", Severity::Error)
        } else {
            ("ssl is off, and Kong continues in plaintext although pg_ssl is on", Severity::Warning)
        };
        faults.push(Fault::new(Code::ServerTlsOff, place, what).with_severity(severity));
        if kong.main.required {
            return faults;
        }
    }
    let tls = kong.main.ssl && server_has_tls != Some(false);
    faults.extend(line(kong, files, server, tls));
    faults
}

/// What is known about Kong 3.6 without the server.
pub(super) fn check_without_server(kong: &Configuration) -> Option<Fault> {
    let crashes = kong.profile.to_string() == "3.6-oss" && kong.main.ssl && kong.get("pg_password").is_some();
    crashes.then(|| scram_crash(kong))
}

fn scram_crash(kong: &Configuration) -> Fault {
    let what = "SCRAM over TLS crashes in Kong 3.6, where the server asks for it as it does by default";
    Fault::new(Code::ScramCrash, kong.place_of("pg_password"), what)
}

/// The address that Kong comes from, if it is known: the server's own, where both are on one machine.
fn address(kong: &Configuration) -> Option<IpAddr> {
    let host = kong.text("pg_host").unwrap_or("127.0.0.1");
    let known: IpAddr = if host == "localhost" { IpAddr::from([127, 0, 0, 1]) } else { host.parse().ok()? };
    known.is_loopback().then_some(known)
}

fn line(kong: &Configuration, files: &KongFiles, server: &Server, tls: bool) -> Vec<Fault> {
    let Some((_, lines)) = &server.hba else { return Vec::new() };
    let main = &kong.main;
    let from = address(kong);
    let for_kong = |line: &HbaLine, tls: bool| {
        let of_address = match from {
            Some(address) => line.address.has(address),
            None if line.address.is_any() => Some(true),
            None if line.address.is_loopback() => Some(false),
            None => None,
        };
        hba::and(hba::and(Some(line.is_for(tls)), line.names(&main.database, &main.user)), of_address)
    };
    let valid: Vec<_> = lines.iter().filter(|line| line.refused.is_none()).collect();
    // With a line that the server does not take, it does not start.
    if valid.len() != lines.len() {
        return Vec::new();
    }
    let mut possible = Vec::new();
    for line in &valid {
        match for_kong(line, tls) {
            Some(true) => {
                possible.push(*line);
                break;
            }
            None => possible.push(*line),
            Some(false) => {}
        }
    }
    match possible.as_slice() {
        [] => vec![no_line(kong, server, tls, valid.iter().find(|line| for_kong(line, !tls) != Some(false)).copied())],
        [line] => demands(kong, files, server, line, tls),
        // Which of them Kong meets depends on its address.
        _ => Vec::new(),
    }
}

fn no_line(kong: &Configuration, server: &Server, tls: bool, other: Option<&HbaLine>) -> Fault {
    let who = format!("user \"{}\", database \"{}\"", kong.main.user, kong.main.database);
    match other {
        Some(line) if tls => {
            let what = format!("Kong connects over TLS, and only plaintext is accepted: {}", line.shown());
            Fault::new(Code::HbaPlaintextWanted, &line.place, what)
        }
        Some(line) => {
            let what = format!("Kong connects in plaintext, and only TLS is accepted: {}", line.shown());
            Fault::new(Code::HbaTlsWanted, &line.place, what)
        }
        None => Fault::new(Code::HbaNoMatch, &server.hba_place(), format!("no line lets Kong in: {who}")),
    }
}

/// What the line asks of Kong.
fn demands(kong: &Configuration, files: &KongFiles, server: &Server, line: &HbaLine, tls: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    if line.method == "reject" {
        faults.push(Fault::new(
            Code::HbaRejects,
            &line.place,
            format!("the first line for Kong rejects it: {}", line.shown()),
        ));
    }
    if line.wants_password() && kong.get("pg_password").is_none() && !cloud_login(kong) {
        let what = format!("pg_password is not set, and the server asks for one ({}: {})", line.place, line.shown());
        faults.push(Fault::new(Code::PasswordMissing, &kong.place, what));
    }
    if line.method == "scram-sha-256" && tls && kong.profile.to_string() == "3.6-oss" {
        faults.push(scram_crash(kong).with_severity(Severity::Error));
    }
    if line.wants_certificate() {
        let shows = !kong.profile.ignores("pg_ssl_cert") && kong.get("pg_ssl_cert").is_some();
        if !shows {
            let why = if kong.is_oss() { "this edition shows none" } else { "pg_ssl_cert is not set" };
            let what = format!("the server wants a client certificate ({}), and {why}", line.shown());
            faults.push(Fault::new(Code::ClientCertificateWanted, &line.place, what));
        } else if let Some(leaf) = files.client.as_deref().and_then(<[_]>::first) {
            faults.extend(name(kong, server, line, leaf));
        }
    }
    faults
}

fn cloud_login(kong: &Configuration) -> bool {
    ["pg_iam_auth", "pg_azure_auth", "pg_gcp_auth"].iter().any(|key| kong.switches_on(key))
}

/// Whether the certificate's name is the user's, or is mapped to it.
fn name(kong: &Configuration, server: &Server, line: &HbaLine, leaf: &openssl::x509::X509) -> Option<Fault> {
    if !line.compares_names() || line.option("clientname") == Some("DN") {
        return None;
    }
    let user = &kong.main.user;
    let Some(common_name) = material::common_name(leaf) else {
        let what = format!("the client certificate has no common name, and {} compares it", line.shown());
        return Some(Fault::new(Code::NameMismatch, &line.place, what));
    };
    let Some(map) = line.option("map") else {
        let what = format!("the client certificate is {common_name}'s, and Kong logs in as {user}");
        return (common_name != *user).then(|| Fault::new(Code::NameMismatch, &line.place, what));
    };
    let (file, lines) = server.ident.as_ref()?;
    let mut of_map = lines.iter().filter(|other| other.map == map).peekable();
    of_map.peek()?;
    let allowed = of_map.any(|other| other.allows(&common_name, user, server.major) != Some(false));
    (!allowed).then(|| {
        let what = format!("the map `{map}` does not let {common_name} be {user}");
        Fault::new(Code::MapMismatch, &Place::file(file.clone()), what)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::super::tests::{codes, kong, server};
    use super::*;

    const TLS: &str = "ssl = on\nssl_ca_file = 'root.crt'";
    const KONG: &str = "pg_host = db.example.com\npg_ssl = on\npg_password = x";

    #[rstest]
    #[case("hostssl all all all scram-sha-256", KONG, "3.9-oss", &[])]
    #[case("host all all 0.0.0.0/0 md5", KONG, "3.9-oss", &[])]
    #[case("hostssl all all all cert", KONG, "3.9-oss", &[Code::ClientCertificateWanted])]
    #[case("hostssl all all all cert", KONG, "3.9-enterprise", &[Code::ClientCertificateWanted])]
    #[case("hostssl all all all reject", KONG, "3.9-oss", &[Code::HbaRejects])]
    #[case("hostnossl all all all md5", KONG, "3.9-oss", &[Code::HbaPlaintextWanted])]
    #[case("hostssl all all all md5", "pg_host = db.example.com", "3.9-oss", &[Code::HbaTlsWanted])]
    #[case("hostssl all all 10.0.0.0/8 md5", "pg_host = db.example.com", "3.9-oss", &[Code::HbaTlsWanted])]
    #[case("hostssl all other all md5", KONG, "3.9-oss", &[Code::HbaNoMatch])]
    #[case("hostssl all all 10.0.0.0/8 md5", KONG, "3.9-oss", &[])]
    #[case("host all all 127.0.0.1/32 trust\nhostssl all all all md5", KONG, "3.9-oss", &[])]
    #[case("hostssl all all all md5", "pg_host = db.example.com\npg_ssl = on", "3.9-oss", &[Code::PasswordMissing])]
    #[case("hostssl all all all scram-sha-256", KONG, "3.6-oss", &[Code::ScramCrash])]
    #[case("hostssl all all all md5", KONG, "3.6-oss", &[])]
    fn kong_meets_the_first_line(
        #[case] lines: &str,
        #[case] conf: &str,
        #[case] release: &str,
        #[case] expected: &[Code],
    ) {
        let server = server(TLS, Some(lines), None);
        assert_eq!(codes(&check(&kong(conf, release), &KongFiles::default(), &server)), expected);
    }

    #[rstest]
    #[case("pg_ssl = on\npg_ssl_required = on", &[(Code::ServerTlsOff, Severity::Error)])]
    #[case("pg_ssl = on", &[(Code::ServerTlsOff, Severity::Warning)])]
    #[case("pg_ssl = off", &[])]
    fn a_server_without_tls_is_noticed(#[case] conf: &str, #[case] expected: &[(Code, Severity)]) {
        let faults = check(&kong(conf, "3.9-enterprise"), &KongFiles::default(), &server("ssl = off", None, None));
        assert_eq!(faults.iter().map(|fault| (fault.code, fault.severity)).collect::<Vec<_>>(), expected);
    }
}
