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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;

    fn read(conf: &str, release: &str) -> (Settings, Profile) {
        let profile: Profile = release.parse().expect("a release");
        (Settings::sample(conf, &profile, "/kong"), profile)
    }

    /// The terms that depend on the release, or on the files.
    fn particular(conf: &str, release: &str, stack: Stack) -> String {
        let (settings, profile) = read(conf, release);
        let mut terms: BTreeMap<_, _> = terms(&settings, &profile, stack).into_iter().collect();
        for (common, value) in [("port", "5432"), ("timeout_ms", "5000"), ("user", "kong"), ("database", "kong")] {
            assert_eq!(terms.remove(common).as_deref(), Some(value));
        }
        terms.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case(
        Stack::Luasec,
        "3.0-oss",
        "driver=leafo-1.15.0 excluded_versions=tlsv1 finds_tls_session=on raises_unknown_mechanism=on refused_versions= \
         sends_certificate=on ssl_version=any terminates=on x509_library=lua-resty-openssl"
    )]
    #[case(
        Stack::Cosocket,
        "3.9-oss",
        "driver=kong-1.16.2 excluded_versions=tlsv1 fetches_digests=on finds_tls_session=on \
         raises_unknown_mechanism=on refused_versions=tlsv1 tlsv1_1 ssl_version=any terminates=on \
         x509_library=lua-resty-openssl"
    )]
    #[case(
        Stack::Cosocket,
        "3.14-enterprise",
        "driver=kong-2.2.0 drops_socket=on excluded_versions= fetches_digests=on finds_tls_session=on \
         refused_versions=tlsv1 tlsv1_1 sends_certificate=on ssl_verify=on ssl_version=tlsv1_2 \
         x509_library=luaossl"
    )]
    #[case(
        Stack::Luasec,
        "pgmoon-leafo-1.16.0",
        "driver=leafo-1.16.0 excluded_versions=tlsv1 fetches_digests=on finds_tls_session=on \
         raises_unknown_mechanism=on refused_versions= sends_certificate=on ssl_version=any terminates=on \
         x509_library=luaossl"
    )]
    #[case(
        Stack::Cosocket,
        "3.6.0-oss",
        "driver=kong-1.16.2 excluded_versions=tlsv1 fetches_digests=on raises_unknown_mechanism=on \
         refused_versions=tlsv1 tlsv1_1 ssl_version=any terminates=on x509_library=lua-resty-openssl"
    )]
    #[case(
        Stack::Luasec,
        "pgmoon-kong-any",
        "driver=kong-2.2.0 drops_socket=on excluded_versions=tlsv1 fetches_digests=on finds_tls_session=on \
         refused_versions= sends_certificate=on ssl_version=any x509_library=luaossl"
    )]
    fn a_release_differs_in_its_terms(#[case] stack: Stack, #[case] release: &str, #[case] expected: &str) {
        assert_eq!(particular("", release, stack), expected);
    }

    #[test]
    fn what_is_set_is_a_term() {
        let conf = "pg_ssl = on\npg_ssl_required = on\npg_ssl_version = any\npg_password = secret\n\
                    pg_ssl_cert = /client.crt\npg_ssl_cert_key = /client.key\n";
        let expected = "driver=kong-2.2.0 drops_socket=on excluded_versions= finds_tls_session=on \
                        password=secret refused_versions= sends_certificate=on ssl=on ssl_cert=/client.crt \
                        ssl_cert_key=/client.key ssl_required=on ssl_version=any x509_library=luaossl";
        assert_eq!(particular(conf, "3.0-enterprise", Stack::Cosocket), expected);
    }

    #[rstest]
    #[case("3.8-enterprise", "TLSv1.1 TLSv1.2", "TLSv1.2")]
    #[case("3.8-enterprise", "tlsv1 TLSv1.1", "SSLv3")]
    #[case("3.0-enterprise", "TLSv1 TLSv1.1", "TLSv1 TLSv1.1")]
    #[case("pgmoon-kong-2.2.0", "TLSv1 TLSv1.1", "TLSv1 TLSv1.1")]
    fn old_versions_are_offered_where_the_release_offers_them(
        #[case] release: &str,
        #[case] protocols: &str,
        #[case] offered: &str,
    ) {
        let (settings, profile) = read(&format!("lua_ssl_protocols = {protocols}"), release);
        assert_eq!(offered_on_a_cosocket(&settings, &profile), offered);
    }
}
