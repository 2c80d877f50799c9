//! Whether it is going to be TLS, and whether the server is going to be verified.

use std::net::IpAddr;

use super::super::catalog::Code;
use super::super::configuration::{Configuration, Value};
use super::super::fault::{Fault, Severity};

/// Services that tell servers apart by the name in the TLS handshake, which Kong does not send.
const ROUTED_BY_NAME: [&str; 3] = [".neon.tech", ".cockroachlabs.cloud", ".xata.sh"];

/// Services whose certificates come from CAs of their own, which no system knows.
const OWN_CAS: [&str; 3] = [".rds.amazonaws.com", ".rds.amazonaws.com.cn", ".aivencloud.com"];

pub(super) fn check(kong: &Configuration) -> Vec<Fault> {
    if !kong.main.ssl {
        return without_effect(kong).into_iter().collect();
    }
    let mut faults = Vec::new();
    let main = &kong.main;
    let verify = kong.place_of(if kong.get("pg_ssl_verify").is_some() { "pg_ssl_verify" } else { "pg_ssl" });
    if main.verify && !main.required {
        let what = "a server that answers that it has no TLS is taken in plaintext, unverified";
        let fault = Fault::new(Code::VerifyWithoutRequired, verify, what);
        faults.push(if kong.is_oss() {
            // No setting fixes it.
            fault.with_severity(Severity::Note).with_fix(
                "The open-source edition has no pg_ssl_required: write hostssl into pg_hba.conf, and guard the way there.",
            )
        } else {
            fault
        });
    } else if !main.required {
        let what = "a server that answers that it has no TLS is taken in plaintext";
        faults.push(Fault::new(Code::TlsNotRequired, kong.place_of("pg_ssl"), what));
    }
    if main.verify {
        faults.extend(trust(kong));
        let what = "the name in the server's certificate is not compared with pg_host";
        faults.push(Fault::new(Code::HostNotChecked, verify, what));
    } else if !mistyped(kong, "pg_ssl_verify") {
        let what = "the server's certificate is not verified";
        faults.push(Fault::new(Code::VerificationOff, verify, what));
    }
    if let Some(host) = kong.text("pg_host")
        && let Some(service) = ROUTED_BY_NAME.iter().find(|service| host.ends_with(*service))
    {
        let what = format!("servers of *{service} are told apart by a name that Kong does not send");
        faults.push(Fault::new(Code::RoutedByName, kong.place_of("pg_host"), what));
    }
    faults
}

/// Whether a setting is there with a value that another rule has something to say about.
fn mistyped(kong: &Configuration, key: &str) -> bool {
    kong.text(key).is_some_and(|value| !matches!(value, "off" | "false"))
}

/// Settings that lack pg_ssl.
fn without_effect(kong: &Configuration) -> Option<Fault> {
    // A value that is off by mistake is a fault of its own, and one that is unknown here cannot be judged.
    if mistyped(kong, "pg_ssl") || kong.get("pg_ssl").is_some_and(|setting| setting.value == Value::Elsewhere) {
        return None;
    }
    let switched = ["pg_ssl_required", "pg_ssl_verify"].into_iter().filter(|key| kong.switches_on(key));
    let named = ["pg_ssl_cert", "pg_ssl_cert_key"]
        .into_iter()
        .filter(|key| kong.get(key).is_some() && !kong.profile.ignores(key));
    let lacking: Vec<_> = switched.chain(named).collect();
    let first = kong.get(lacking.first()?)?;
    let verb = if lacking.len() == 1 { "does" } else { "do" };
    let what = format!("{} {verb} nothing without pg_ssl = on: Kong connects in plaintext", lacking.join(", "));
    Some(Fault::new(Code::TlsOff, &first.place, what))
}

/// Whether anything is trusted that the server's certificate may come from.
fn trust(kong: &Configuration) -> Option<Fault> {
    if kong.get("lua_ssl_trusted_certificate").is_some() {
        return None;
    }
    let by_default = kong.get("pg_ssl_verify").is_none();
    let host = kong.text("pg_host").unwrap_or("127.0.0.1");
    let place = kong.place_of(if by_default { "pg_ssl" } else { "pg_ssl_verify" });
    let emptied = kong.all().any(|setting| setting.key == "lua_ssl_trusted_certificate");
    let who = if by_default {
        "the server's certificate is verified by default in this release"
    } else {
        "the server's certificate is verified"
    };
    let code = if by_default { Code::VerifyByDefault } else { Code::NothingTrusted };
    let what = format!("{who}, and lua_ssl_trusted_certificate is not set");
    let fault = Fault::new(code, place, what);
    let host_known = kong.get("pg_host").is_none_or(|setting| setting.value != Value::Elsewhere);
    let certain = emptied || trusts_nothing_by_default(kong) || host_known && is_private(host);
    Some(if certain { fault } else { fault.with_severity(Severity::Note) })
}

/// Releases before 3.0 trust nothing by default, later ones what the system trusts.
fn trusts_nothing_by_default(kong: &Configuration) -> bool {
    kong.profile.to_string().starts_with("2.")
}

/// Whether no public CA signs for a host, so that the system's CAs are of no use.
fn is_private(host: &str) -> bool {
    let of_cluster = [".svc", ".local", ".internal", ".lan", ".localhost"].iter().any(|end| host.ends_with(end))
        || host.contains(".svc.");
    let of_service = OWN_CAS.iter().any(|end| host.ends_with(end));
    host.parse::<IpAddr>().is_ok() || !host.contains('.') || of_cluster || of_service
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::super::tests::{counting, kong};
    use super::*;

    const TRUSTED: &str = "lua_ssl_trusted_certificate = /ca.crt\n";

    #[rstest]
    #[case("", "3.15-enterprise", &[])]
    #[case("pg_ssl = off", "3.15-enterprise", &[])]
    #[case("pg_ssl_verify = on", "3.15-enterprise", &[Code::TlsOff])]
    #[case("pg_ssl_cert = /a\npg_ssl_cert_key = /b", "3.15-enterprise", &[Code::TlsOff])]
    #[case("pg_ssl = yes\npg_ssl_verify = on", "3.15-enterprise", &[])]
    #[case("pg_ssl = on\npg_ssl_required = on\npg_ssl_verify = off", "3.15-enterprise", &[])]
    #[case("pg_ssl = on\npg_ssl_required = on", "3.13-enterprise", &[])]
    #[case("pg_ssl = on\npg_ssl_required = on", "3.14-enterprise", &[Code::VerifyByDefault])]
    #[case("pg_ssl = on\npg_ssl_required = on\npg_host = db.example.com", "3.14-enterprise", &[])]
    #[case("pg_ssl = on\npg_ssl_required = on\npg_ssl_verify = on\npg_host = postgres", "3.9-enterprise", &[Code::NothingTrusted])]
    #[case("pg_ssl = on\npg_ssl_verify = on\npg_host = a.b.eu-west-1.rds.amazonaws.com", "3.9-oss", &[Code::NothingTrusted])]
    #[case("pg_ssl = on\npg_ssl_verify = on\npg_host = a.example.com", "2.8-oss", &[Code::NothingTrusted])]
    fn what_is_not_as_it_looks_is_found(#[case] text: &str, #[case] release: &str, #[case] expected: &[Code]) {
        assert_eq!(counting(&check(&kong(text, release))), expected);
    }

    #[rstest]
    #[case("pg_ssl = on\npg_ssl_verify = on", "3.9-oss", &[])]
    #[case("pg_ssl = on\npg_ssl_verify = on", "3.9-enterprise", &[Code::VerifyWithoutRequired])]
    #[case("pg_ssl = on", "3.15-enterprise", &[Code::VerifyWithoutRequired])]
    #[case("pg_ssl = on\npg_ssl_verify = on\npg_ssl_required = on", "3.9-enterprise", &[])]
    fn verification_needs_tls_to_be_required(#[case] text: &str, #[case] release: &str, #[case] expected: &[Code]) {
        assert_eq!(counting(&check(&kong(&format!("{TRUSTED}{text}"), release))), expected);
    }

    #[test]
    fn a_service_that_routes_by_name_is_pointed_out() {
        let faults = check(&kong("pg_ssl = on\npg_host = ep-x.eu-central-1.aws.neon.tech", "3.9-oss"));
        assert!(faults.iter().any(|fault| fault.code == Code::RoutedByName));
    }
}
