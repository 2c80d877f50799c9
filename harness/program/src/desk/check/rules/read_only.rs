//! The read-only connection, which the open-source edition does not make as the documents say.

use super::super::catalog::Code;
use super::super::configuration::Configuration;
use super::super::fault::Fault;

pub(super) fn check(kong: &Configuration) -> Vec<Fault> {
    let Some(read_only) = &kong.read_only else { return Vec::new() };
    let main = &kong.main;
    let place = kong.place_of("pg_ro_host");
    let unset = |key: &str| kong.get(key).is_none();
    let mut faults = Vec::new();
    if main.ssl && !read_only.ssl && unset("pg_ro_ssl") {
        let what = "the read-only connection is made in plaintext: pg_ro_ssl does not take pg_ssl over";
        faults.push(Fault::new(Code::ReadOnlyPlaintext, place, what));
    }
    if main.ssl && main.verify && !read_only.verify && unset("pg_ro_ssl_verify") {
        let what = "the read-only connection takes any certificate: pg_ro_ssl_verify does not take pg_ssl_verify over";
        faults.push(Fault::new(Code::ReadOnlyUnverified, place, what));
    }
    if read_only.ssl && read_only.verify && !read_only.required && main.required {
        let what = "the read-only connection is verified, and made in plaintext if that server has no TLS";
        faults.push(Fault::new(Code::ReadOnlyWithoutRequired, kong.place_of("pg_ro_ssl_required"), what));
    }
    faults
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::super::tests::{codes, kong};
    use super::*;

    #[rstest]
    #[case("", "3.9-oss", &[Code::ReadOnlyPlaintext, Code::ReadOnlyUnverified])]
    #[case("pg_ro_ssl = on", "3.9-oss", &[Code::ReadOnlyUnverified])]
    #[case("pg_ro_ssl = on\npg_ro_ssl_verify = on", "3.9-oss", &[])]
    #[case("pg_ssl_required = on", "3.9-enterprise", &[])]
    #[case("pg_ssl_required = on\npg_ro_ssl_required = off", "3.9-enterprise", &[Code::ReadOnlyWithoutRequired])]
    fn what_is_not_inherited_is_found(#[case] text: &str, #[case] release: &str, #[case] expected: &[Code]) {
        let text = format!("pg_ssl = on\npg_ssl_verify = on\npg_ro_host = replica\n{text}");
        assert_eq!(codes(&check(&kong(&text, release))), expected);
    }
}
