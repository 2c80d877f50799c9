//! A release's reading of kong.conf, in terms that a driver outside this crate understands.

use crate::openssl_line::OpensslLine;
use crate::profile::Profile;
use crate::settings::Settings;
use crate::stack::Stack;

/// The terms of an attempt: what to do, and how this release's driver differs from others. What is off is left out.
#[must_use]
pub fn terms(settings: &Settings, profile: &Profile, stack: Stack) -> Vec<(&'static str, String)> {
    let driver = profile.driver;
    let mut terms = vec![
        ("port", settings.port.to_string()),
        ("timeout_ms", settings.timeout_ms.to_string()),
        ("user", settings.user.clone()),
        ("database", settings.database.clone()),
        ("ssl_version", settings.ssl_version.clone()),
        ("excluded_versions", excluded_versions(settings, profile).to_owned()),
        ("refused_versions", if refuses_old_versions(settings, profile) { "tlsv1 tlsv1_1" } else { "" }.to_owned()),
        ("driver", driver.to_string()),
        ("x509_library", profile.x509_library.to_string()),
    ];
    terms.extend(settings.password.clone().map(|password| ("password", password)));
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    terms.extend(settings.ssl_cert.as_deref().map(|cert| ("ssl_cert", path(cert))));
    terms.extend(settings.ssl_cert_key.as_deref().map(|key| ("ssl_cert_key", path(key))));
    let switches = [
        ("ssl", settings.ssl),
        ("ssl_required", settings.ssl_required),
        ("ssl_verify", settings.ssl_verify),
        ("sends_certificate", stack == Stack::Luasec || driver.has_client_certificates()),
        ("terminates", driver.sends_terminate()),
        ("finds_tls_session", stack == Stack::Luasec || profile.finds_tls_session),
        ("fetches_digests", profile.openssl >= OpensslLine(3, 0)),
        ("raises_unknown_mechanism", driver.raises_unknown_mechanism()),
        ("drops_socket", driver.drops_socket()),
    ];
    terms.extend(switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "on".to_owned())));
    terms
}

/// The version that the driver asks LuaSec to disable, if it does. What the release's OpenSSL refuses by itself is the term
/// `refused_versions`.
fn excluded_versions(settings: &Settings, profile: &Profile) -> &'static str {
    let any = matches!(settings.ssl_version.as_str(), "any" | "sslv23");
    if (any && !profile.any_is_from_1_0()) || !profile.driver.has_tls_1_0() { "tlsv1" } else { "" }
}

/// The words of `lua_ssl_protocols` without those that the release's OpenSSL does not offer. With none of them left it
/// offers nothing, as with SSLv3, which no OpenSSL has any more.
#[must_use]
pub fn offered_on_a_cosocket(settings: &Settings, profile: &Profile) -> String {
    let refuses = refuses_old_versions(settings, profile);
    let is_old = |name: &str| name.eq_ignore_ascii_case("TLSv1") || name.eq_ignore_ascii_case("TLSv1.1");
    let offered = settings.protocols.split_whitespace().filter(|name| !refuses || !is_old(name));
    match offered.collect::<Vec<_>>() {
        none if none.is_empty() => "SSLv3".to_owned(),
        some => some.join(" "),
    }
}

/// Debian's OpenSSL offers TLS 1.0 and 1.1 on every security level, those that Kong is built with on level 0 only.
fn refuses_old_versions(settings: &Settings, profile: &Profile) -> bool {
    settings.security_level > 0 && !profile.offers_old_versions(settings.security_level)
}
