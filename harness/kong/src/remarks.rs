//! What an operator may not know of a configuration: settings that mean something else than they look like, or
//! nothing, without Kong saying so.

use super::conf::{KongConf, is_on, variable};
use super::profile::{Edition, Profile};

/// The settings that switch something.
const SWITCHES: [&str; 6] =
    ["pg_ssl", "pg_ssl_required", "pg_ssl_verify", "pg_ro_ssl", "pg_ro_ssl_required", "pg_ro_ssl_verify"];

/// What is to be said of a configuration, as a release reads it.
#[must_use]
pub fn remarks(conf: &KongConf, profile: &Profile) -> Vec<String> {
    let mut remarks = Vec::new();
    for (key, value, of_environment) in conf.all() {
        let name = if of_environment { variable(key) } else { key.to_owned() };
        if profile.ignores(key) {
            remarks.push(format!("{name} is ignored by the open-source edition"));
        } else if SWITCHES.contains(&key) && !is_on(value) && !matches!(value, "off" | "false" | "") {
            remarks.push(format!("{name} = {value} is off: only on and true, in lower case and bare, switch it on"));
        } else if value.len() > 1 && matches!(value.as_bytes(), [b'\'', .., b'\''] | [b'"', .., b'"']) {
            remarks.push(format!("the quotes around {name} are a part of its value"));
        }
    }
    if profile.edition != Edition::Driver {
        remarks.extend(without_effect(conf, profile));
    }
    remarks
}

/// Settings that lack another one.
fn without_effect(conf: &KongConf, profile: &Profile) -> Vec<String> {
    let is_set = |key: &str| conf.get(key).is_some_and(is_on) && !profile.ignores(key);
    let mut remarks = Vec::new();
    if !is_set("pg_ssl") {
        let lacking = ["pg_ssl_required", "pg_ssl_verify"].into_iter().filter(|key| is_set(key));
        remarks.extend(lacking.map(|key| format!("{key} does nothing without pg_ssl = on")));
    } else if is_set("pg_ssl_verify") && !is_set("pg_ssl_required") {
        remarks.push(
            "pg_ssl_verify does nothing where the server says that it has no TLS, without pg_ssl_required".into(),
        );
    }
    remarks
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("pg_ssl = on\npg_ssl_required = on\npg_ssl_verify = on\npg_ssl_cert = /c.crt", &[])]
    #[case("pg_ssl = off", &[])]
    #[case("pg_ssl = yes", &["pg_ssl = yes is off: only on and true, in lower case and bare, switch it on"])]
    #[case("pg_ssl = 'on'", &["pg_ssl = 'on' is off: only on and true, in lower case and bare, switch it on"])]
    #[case("pg_password = 'secret'", &["the quotes around pg_password are a part of its value"])]
    #[case("pg_ssl_required = on", &["pg_ssl_required does nothing without pg_ssl = on"])]
    #[case(
        "pg_ssl = on\npg_ssl_verify = on",
        &["pg_ssl_verify does nothing where the server says that it has no TLS, without pg_ssl_required"]
    )]
    fn what_is_not_what_it_looks_like_is_told(#[case] conf: &str, #[case] expected: &[&str]) {
        assert_eq!(remarks(&KongConf::read(conf), &Profile::newest()), expected);
    }

    #[test]
    fn what_an_edition_ignores_is_told_by_the_name_it_was_given() {
        let conf = KongConf::read("pg_ssl = on\npg_ssl_required = on").with_variable("KONG_PG_SSL_CERT", "/c.crt");
        let profile = "3.9-oss".parse().expect("a release");
        let expected = ["KONG_PG_SSL_CERT", "pg_ssl_required"];
        assert_eq!(
            remarks(&conf, &profile),
            expected.map(|name| format!("{name} is ignored by the open-source edition"))
        );
    }
}
