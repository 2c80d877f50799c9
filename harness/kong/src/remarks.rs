//! Settings that have another effect than they seem to have, or none, without a message from Kong.

use crate::conf::{KongConf, is_on, number, variable};
use crate::profile::{Edition, Profile};

/// The settings that are on or off.
const SWITCHES: [&str; 6] =
    ["pg_ssl", "pg_ssl_required", "pg_ssl_verify", "pg_ro_ssl", "pg_ro_ssl_required", "pg_ro_ssl_verify"];

/// The settings that are numbers, and silently unset if they are something else.
const NUMBERS: [&str; 4] = ["pg_port", "pg_timeout", "pg_ro_port", "pg_ro_timeout"];

/// The remarks on a configuration, as a release reads it.
#[must_use]
pub fn remarks(conf: &KongConf, profile: &Profile) -> Vec<String> {
    let mut remarks = Vec::new();
    for (key, value, of_environment) in conf.all() {
        let name = if of_environment { variable(key) } else { key.to_owned() };
        if profile.ignores(key) {
            remarks.push(format!("{name} is ignored by the open-source edition"));
        } else if SWITCHES.contains(&key) && !is_on(value) && !matches!(value, "off" | "false" | "") {
            remarks.push(format!("{name} = {value} is off: only on and true, unquoted and in lower case, enable it"));
        } else if NUMBERS.contains(&key) && !value.is_empty() && number(value).is_none() {
            remarks.push(format!("{name} = {value} is not a number: Kong reads it as unset"));
        } else if matches!(value.as_bytes(), [b'\'', .., b'\''] | [b'"', .., b'"']) {
            remarks.push(format!("the quotes around {name} are a part of its value"));
        }
    }
    if profile.edition != Edition::Driver {
        remarks.extend(without_effect(conf, profile));
    }
    remarks
}

/// Settings that have no effect without another one.
fn without_effect(conf: &KongConf, profile: &Profile) -> Vec<String> {
    let is_set = |key: &str| conf.get(key).is_some_and(is_on) && !profile.ignores(key);
    let mut remarks = Vec::new();
    if !is_set("pg_ssl") {
        let lacking = ["pg_ssl_required", "pg_ssl_verify"].into_iter().filter(|key| is_set(key));
        remarks.extend(lacking.map(|key| format!("{key} does nothing without pg_ssl = on")));
    } else if is_set("pg_ssl_verify") && !is_set("pg_ssl_required") {
        let what = "pg_ssl_verify does nothing where the server says that it has no TLS";
        let why = if profile.ignores("pg_ssl_required") {
            "the open-source edition has no pg_ssl_required"
        } else {
            "pg_ssl_required = on is missing"
        };
        remarks.push(format!("{what}: {why}"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::releases::Releases;

    #[rstest]
    #[case("pg_ssl = on\npg_ssl_required = on\npg_ssl_verify = on\npg_ssl_cert = /c.crt", &[])]
    #[case("pg_ssl = off", &[])]
    #[case("pg_ssl = yes", &["pg_ssl = yes is off: only on and true, unquoted and in lower case, enable it"])]
    #[case("pg_ssl = 'on'", &["pg_ssl = 'on' is off: only on and true, unquoted and in lower case, enable it"])]
    #[case("pg_timeout = 5s", &["pg_timeout = 5s is not a number: Kong reads it as unset"])]
    #[case("pg_timeout = 1e3", &[])]
    #[case("pg_password = 'secret'", &["the quotes around pg_password are a part of its value"])]
    #[case("pg_ssl_required = on", &["pg_ssl_required does nothing without pg_ssl = on"])]
    #[case(
        "pg_ssl = on\npg_ssl_verify = on",
        &["pg_ssl_verify does nothing where the server says that it has no TLS: pg_ssl_required = on is missing"]
    )]
    fn a_setting_that_misleads_gets_a_remark(#[case] conf: &str, #[case] expected: &[&str]) {
        assert_eq!(remarks(&KongConf::read(conf), &Releases::built_in().newest()), expected);
    }

    #[test]
    fn no_remark_advises_what_an_edition_does_not_have() {
        let profile = Releases::built_in().find("3.9-oss").expect("a release");
        let conf = KongConf::read("pg_ssl = on\npg_ssl_verify = on");
        let expected = "pg_ssl_verify does nothing where the server says that it has no TLS: the open-source edition has \
             no pg_ssl_required";
        assert_eq!(remarks(&conf, &profile), [expected]);
    }

    #[test]
    fn a_setting_that_an_edition_ignores_gets_a_remark_under_its_given_name() {
        let conf = KongConf::read("pg_ssl = on\npg_ssl_required = on").with_variable("KONG_PG_SSL_CERT", "/c.crt");
        let profile = Releases::built_in().find("3.9-oss").expect("a release");
        let expected = ["KONG_PG_SSL_CERT", "pg_ssl_required"];
        assert_eq!(
            remarks(&conf, &profile),
            expected.map(|name| format!("{name} is ignored by the open-source edition"))
        );
    }
}
