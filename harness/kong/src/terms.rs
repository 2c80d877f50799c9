//! What a release makes of kong.conf, in terms that a driver outside this program can be told.

use super::Stack;
use super::profile::{AnyVersion, Binding, Driver, Profile};
use super::settings::Settings;

/// The terms of an attempt: what is to be done, and what sets this release's driver apart from others. What is off is
/// left out.
pub fn terms(settings: &Settings, profile: &Profile, stack: Stack) -> Vec<(&'static str, String)> {
    let driver = profile.driver;
    let mut terms = vec![
        ("port", settings.port.to_string()),
        ("timeout_ms", settings.timeout_ms.to_string()),
        ("user", settings.user.clone()),
        ("database", settings.database.clone()),
        ("ssl_version", settings.ssl_version.clone()),
        ("excluded_versions", excluded_versions(settings, profile).join(" ")),
        ("handshake", handshake(driver).to_owned()),
    ];
    let binding = driver.binding(stack);
    terms.extend([("bindable", bindable(binding).to_owned()), ("unbindable", binding.raises().to_owned())]);
    terms.extend(settings.password.clone().map(|password| ("password", password)));
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    terms.extend(settings.ssl_cert.as_deref().map(|cert| ("ssl_cert", path(cert))));
    terms.extend(settings.ssl_cert_key.as_deref().map(|key| ("ssl_cert_key", path(key))));
    let switches = [
        ("ssl", settings.ssl),
        ("ssl_required", settings.ssl_required),
        ("ssl_verify", settings.ssl_verify),
        ("shows_certificate", stack == Stack::Luasec || driver.has_client_certificates()),
        ("goodbye", driver.says_goodbye()),
    ];
    terms.extend(switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "on".to_owned())));
    terms
}

/// How the driver calls the cosocket's handshake.
fn handshake(driver: Driver) -> &'static str {
    match driver {
        Driver::Kong => "tlshandshake",
        Driver::KongOn1_21_4 => "tlshandshake of 1.21.4",
        Driver::Leafo | Driver::Oss | Driver::OssOf3_6 => "sslhandshake",
    }
}

/// The keys whose signatures on a certificate SCRAM can be bound to.
fn bindable(binding: Binding) -> &'static str {
    match binding {
        Binding::Rsa => "rsaEncryption",
        Binding::RsaAndEcdsa | Binding::RsaAndEcdsaNew => "rsaEncryption id-ecPublicKey",
        Binding::NoSession => "",
    }
}

/// The versions that LuaSec is told to leave out, or that the release's OpenSSL leaves out by itself.
fn excluded_versions(settings: &Settings, profile: &Profile) -> Vec<&'static str> {
    let any_without_1_0 = settings.ssl_version == "any" && profile.any_version == AnyVersion::From1_1;
    if refuses_old_versions(settings, profile) {
        vec!["tlsv1", "tlsv1_1"]
    } else if any_without_1_0 || !profile.driver.has_tls_1_0() {
        vec!["tlsv1"]
    } else {
        Vec::new()
    }
}

/// The versions of `lua_ssl_protocols` that the release's OpenSSL offers. With none of them left it offers nothing, as
/// with SSLv3, which no OpenSSL has any more.
pub fn offered_on_a_cosocket(settings: &Settings, profile: &Profile) -> String {
    let refuses = refuses_old_versions(settings, profile);
    let offered =
        settings.protocols.split_whitespace().filter(|name| !refuses || !matches!(*name, "TLSv1" | "TLSv1.1"));
    match offered.collect::<Vec<_>>() {
        none if none.is_empty() => "SSLv3".to_owned(),
        some => some.join(" "),
    }
}

/// Debian's OpenSSL offers TLS 1.0 and 1.1 on every security level, those that Kong is built with on level 0 only.
fn refuses_old_versions(settings: &Settings, profile: &Profile) -> bool {
    settings.security_level > 0 && !profile.offers_old_versions(settings.security_level)
}
