//! What a setting means to Kong, and what it looks like.

use kong_pg_client::conf::{KEYS, is_on};

use super::super::catalog::Code;
use super::super::configuration::{Configuration, Setting, refusal_of_version};
use super::super::fault::{Fault, Place, Severity};

/// The settings that switch something.
const SWITCHES: [&str; 6] =
    ["pg_ssl", "pg_ssl_required", "pg_ssl_verify", "pg_ro_ssl", "pg_ro_ssl_required", "pg_ro_ssl_verify"];

/// The settings whose values are numbers.
const NUMBERS: [&str; 5] = ["pg_port", "pg_timeout", "pg_ro_port", "pg_ro_timeout", "lua_ssl_verify_depth"];

/// Settings of Kong's that have nothing to do with TLS, and are no slips of the pen. From Kong's kong.conf.default.
const OTHERS: [&str; 34] = [
    "pg_schema",
    "pg_max_concurrent_queries",
    "pg_semaphore_timeout",
    "pg_keepalive_timeout",
    "pg_pool_size",
    "pg_backlog",
    "pg_expired_rows_cleanup_batch_size",
    "pg_iam_auth",
    "pg_iam_auth_assume_role_arn",
    "pg_iam_auth_role_session_name",
    "pg_iam_auth_sts_endpoint_url",
    "pg_azure_auth",
    "pg_gcp_auth",
    "pg_ro_host",
    "pg_ro_port",
    "pg_ro_schema",
    "pg_ro_max_concurrent_queries",
    "pg_ro_semaphore_timeout",
    "pg_ro_keepalive_timeout",
    "pg_ro_pool_size",
    "pg_ro_backlog",
    "pg_ro_iam_auth",
    "pg_ro_iam_auth_assume_role_arn",
    "pg_ro_iam_auth_role_session_name",
    "pg_ro_iam_auth_sts_endpoint_url",
    "pg_ro_azure_auth",
    "pg_ro_gcp_auth",
    "lua_ssl_trusted_certificate",
    "lua_ssl_verify_depth",
    "lua_ssl_protocols",
    "lua_socket_pool_size",
    "lua_max_req_headers",
    "lua_package_path",
    "tls_certificate_verify",
];

/// What other clients call a setting, and Kong does not.
const ELSEWHERE: [(&str, &str); 16] = [
    ("pg_sslmode", "pg_ssl, pg_ssl_required and pg_ssl_verify"),
    ("pg_ssl_mode", "pg_ssl, pg_ssl_required and pg_ssl_verify"),
    ("pg_ssl_ca", "lua_ssl_trusted_certificate"),
    ("pg_ssl_ca_cert", "lua_ssl_trusted_certificate"),
    ("pg_ssl_ca_file", "lua_ssl_trusted_certificate"),
    ("pg_ssl_root_cert", "lua_ssl_trusted_certificate"),
    ("pg_sslrootcert", "lua_ssl_trusted_certificate"),
    ("pg_ssl_trusted_certificate", "lua_ssl_trusted_certificate"),
    ("pg_ssl_key", "pg_ssl_cert_key"),
    ("pg_sslkey", "pg_ssl_cert_key"),
    ("pg_sslcert", "pg_ssl_cert"),
    ("pg_ssl_cert_file", "pg_ssl_cert"),
    ("pg_ssl_key_file", "pg_ssl_cert_key"),
    ("pg_ssl_protocols", "pg_ssl_version and lua_ssl_protocols"),
    ("pg_ssl_verify_depth", "lua_ssl_verify_depth"),
    ("pg_username", "pg_user"),
];

/// A Kong that keeps its configuration elsewhere.
pub(super) fn no_database(kong: &Configuration) -> Fault {
    let database = kong.text("database").unwrap_or_default();
    let what = format!("database = {database}: Kong does not connect to PostgreSQL, and nothing else was checked");
    Fault::new(Code::NoDatabase, kong.place_of("database"), what)
}

pub(super) fn check(kong: &Configuration) -> Vec<Fault> {
    let mut faults: Vec<_> = kong.all().filter_map(|setting| of(setting, kong)).collect();
    for (earlier, later) in &kong.repeated {
        let (Some(one), Some(other)) = (earlier.text(), later.text()) else { continue };
        let is_about_tls = KEYS.iter().any(|(key, _)| *key == later.key);
        if one != other && is_about_tls {
            let line = later.place.line.map(|line| format!(" in line {line}")).unwrap_or_default();
            let what = format!("{} is set once more{line}, and the later one counts", earlier.name);
            faults.push(Fault::new(Code::SetTwice, &earlier.place, what));
        }
    }
    faults
}

/// What is wrong with one setting.
fn of(setting: &Setting, kong: &Configuration) -> Option<Fault> {
    let Setting { key, name, place, .. } = setting;
    if kong.profile.ignores(key) {
        return setting.text().map(|_| ignored(setting, kong));
    }
    if !KEYS.iter().any(|(known, _)| known == key) {
        return unknown(key, name, place);
    }
    let value = setting.text()?;
    if SWITCHES.contains(&key.as_str()) {
        return (!is_on(value) && !is_off(value)).then(|| {
            let what = format!("{name} = {value} switches it off");
            Fault::new(Code::SwitchOff, place, what)
        });
    }
    if quoted(value) {
        return Some(if key.ends_with("password") {
            Fault::new(Code::QuotedPassword, place, format!("the quotes around {name} are a part of the password"))
        } else {
            Fault::new(Code::QuotedValue, place, format!("the quotes are a part of the value: {name} = {value}"))
        });
    }
    if NUMBERS.contains(&key.as_str()) && value.parse::<u32>().is_err() {
        let fault = Fault::new(Code::NotANumber, place, format!("{name} = {value} is not a number"));
        // Kong uses the default of a time limit instead.
        return Some(if key == "pg_timeout" { fault.with_severity(Severity::Warning) } else { fault });
    }
    if key.ends_with("ssl_version") {
        return refusal_of_version(value, &kong.profile).map(|text| Fault::new(Code::InvalidValue, place, text));
    }
    if key == "lua_ssl_protocols" {
        let known = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
        let word = value.split_whitespace().find(|word| !known.iter().any(|known| known.eq_ignore_ascii_case(word)))?;
        return Some(Fault::new(
            Code::UnknownProtocol,
            place,
            format!("{name} names `{word}`, which nginx does not know"),
        ));
    }
    None
}

/// A value that is meant to be off, and is.
fn is_off(value: &str) -> bool {
    let bare = super::super::input::unquoted(value).unwrap_or(value);
    ["off", "false", "no", "0", "none", "disable", "disabled"].iter().any(|off| bare.eq_ignore_ascii_case(off))
}

/// Whether a value has a quote at either end.
fn quoted(value: &str) -> bool {
    value.len() > 1 && ['\'', '"'].iter().any(|quote| value.starts_with(*quote) || value.ends_with(*quote))
}

fn ignored(setting: &Setting, kong: &Configuration) -> Fault {
    let what = format!("{} is ignored by the open-source edition ({})", setting.name, kong.profile);
    let fault = Fault::new(Code::IgnoredByEdition, &setting.place, what);
    match setting.key.as_str() {
        "pg_ssl_required" => fault.with_fix(
            "Nothing takes its place in this edition: keep plaintext from the server, with hostssl in pg_hba.conf.",
        ),
        "pg_ssl_version" => fault.with_fix("Set lua_ssl_protocols for cosockets; LuaSec takes any version here."),
        _ => fault,
    }
}

/// A name that Kong does not know and that looks like one that it does.
fn unknown(key: &str, name: &str, place: &Place) -> Option<Fault> {
    if OTHERS.contains(&key) {
        return None;
    }
    let report = |meant: &str| {
        let what = format!("Kong has no setting {name}; did you mean {meant}?");
        Some(Fault::new(Code::UnknownSetting, place, what))
    };
    let lower = key.to_lowercase();
    // The name of a variable in kong.conf, or capitals.
    let bare = lower.strip_prefix("kong_").unwrap_or(&lower);
    if let Some((known, _)) = KEYS.iter().find(|(known, _)| *known == bare) {
        return report(known);
    }
    if let Some((_, meant)) = ELSEWHERE.iter().find(|(wrong, _)| *wrong == bare) {
        return report(meant);
    }
    if bare.starts_with("pg_ro_ssl_cert") {
        let what = format!("{name} does not exist: the read-only connection shows the certificate of pg_ssl_cert");
        return Some(Fault::new(Code::UnknownSetting, place, what).with_severity(Severity::Warning));
    }
    let about_tls = KEYS.iter().map(|(known, _)| *known).filter(|known| known.contains("ssl"));
    let near = about_tls.map(|known| (strsim::damerau_levenshtein(known, bare), known)).min()?;
    (near.0 <= 2).then(|| report(near.1)).flatten()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::super::tests::{codes, kong};
    use super::*;

    #[rstest]
    #[case("pg_ssl = on", &[])]
    #[case("pg_ssl = true", &[])]
    #[case("pg_ssl = True", &[Code::SwitchOff])]
    #[case("pg_ssl = yes", &[Code::SwitchOff])]
    #[case("pg_ssl = 'on'", &[Code::SwitchOff])]
    #[case("pg_ssl = 1", &[Code::SwitchOff])]
    #[case("pg_ssl = require", &[Code::SwitchOff])]
    #[case("pg_ssl = no", &[])]
    #[case("pg_ssl = \"off\"", &[])]
    #[case("pg_ssl_cert = '/a/client.crt'", &[Code::QuotedValue])]
    #[case("pg_ssl_cert = \"/a/client.crt", &[Code::QuotedValue])]
    #[case("pg_password = 'secret'", &[Code::QuotedPassword])]
    #[case("pg_ssl_version = tlsv1.2", &[Code::InvalidValue])]
    #[case("pg_ssl_version = TLSv1_2", &[Code::InvalidValue])]
    #[case("pg_ssl_version = any", &[])]
    #[case("pg_timeout = 5s", &[Code::NotANumber])]
    #[case("lua_ssl_protocols = TLSv1.2 TLSv1.3", &[])]
    #[case("lua_ssl_protocols = TLSv1.2,TLSv1.3", &[Code::UnknownProtocol])]
    #[case("lua_ssl_protocols = tlsv1_2", &[Code::UnknownProtocol])]
    #[case("pg_ssl_verfy = on", &[Code::UnknownSetting])]
    #[case("pg_sslmode = verify-full", &[Code::UnknownSetting])]
    #[case("pg_ssl_ca_cert = /a", &[Code::UnknownSetting])]
    #[case("KONG_PG_SSL = on", &[Code::UnknownSetting])]
    #[case("PG_SSL = on", &[Code::UnknownSetting])]
    #[case("lua_ssl_trusted_certificates = /a", &[Code::UnknownSetting])]
    #[case("pg_schema = public\npg_keepalive_timeout = 1\nlua_socket_pool_size = 3", &[])]
    #[case("client_ssl_cert = /a\nadmin_ssl_cert = '/b'", &[])]
    #[case("pg_ssl = off\npg_ssl = on", &[Code::SetTwice])]
    fn a_setting_is_what_kong_takes_it_for(#[case] text: &str, #[case] expected: &[Code]) {
        assert_eq!(codes(&check(&kong(text, "3.15-enterprise"))), expected);
    }

    #[test]
    fn the_open_source_edition_ignores_four_settings() {
        let text = "pg_ssl_required = on\npg_ssl_version = tlsv1_2\npg_ssl_cert = '/a'\npg_ssl_cert_key = /b";
        assert_eq!(codes(&check(&kong(text, "3.9-oss"))), [Code::IgnoredByEdition; 4]);
    }

    #[test]
    fn a_password_is_never_shown() {
        let faults = check(&kong("pg_password = 'secret'", "3.15-enterprise"));
        assert!(!format!("{faults:?}").contains("secret"));
    }
}
