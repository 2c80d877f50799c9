//! The `tls-server-end-point` that pgmoon binds SCRAM to: a hash of the server's certificate.
//!
//! The digest is not chosen from a list. pgmoon takes OpenSSL's short name of the certificate's signature, rewrites it
//! by rules of its own, and asks OpenSSL for a digest of the resulting name. The rules are those of pgmoon's source,
//! and agree with what was measured: see `releases.toml`.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use openssl::nid::Nid;
use openssl::x509::X509Ref;

use crate::generation::{Generation, X509Library};
use crate::openssl_line::OpensslLine;
use crate::profile::Profile;
use crate::stack::Stack;

/// How a release's driver chooses the digest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelBinding {
    driver: Generation,
    library: X509Library,
    openssl: OpensslLine,
    /// Whether the Lua libraries find the TLS session that has the certificate.
    finds_session: bool,
    stack: Stack,
}

/// Why there is no hash. The texts are those that pgmoon raises.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindingError {
    #[error("attempt to index local 'ssl' (a nil value)")]
    NoSession,
    #[error("attempt to call method 'getpeercertificate' (a nil value)")]
    NoLuasec,
    #[error("attempt to index local 'signature' (a nil value)")]
    UnknownSignature,
    #[error("x509.cert:digest: {0}: invalid digest type")]
    NoDigestInLuaossl(String),
    #[error("x509:digest: invalid digest type \"{0}\"")]
    NoDigestInLuaRestyOpenssl(String),
    #[error(transparent)]
    Openssl(#[from] ErrorStack),
}

impl ChannelBinding {
    /// How a release does it on a stack.
    pub(crate) fn of(profile: &Profile, stack: Stack) -> Self {
        Self {
            driver: profile.driver,
            library: profile.x509_library,
            openssl: profile.openssl,
            finds_session: profile.finds_tls_session || stack == Stack::Luasec,
            stack,
        }
    }

    /// The hash of the server's certificate; there is none in plaintext, over which a server behind a TLS sidecar may offer
    /// channel binding.
    pub(crate) fn end_point(self, certificate: Option<&X509Ref>) -> Result<Vec<u8>, BindingError> {
        let certificate = match (certificate, self.stack) {
            (Some(certificate), _) if self.finds_session => certificate,
            (None, Stack::Luasec) => return Err(BindingError::NoLuasec),
            _ => return Err(BindingError::NoSession),
        };
        let signature = certificate.signature_algorithm().object().nid();
        if signature == Nid::UNDEF {
            return Err(BindingError::UnknownSignature);
        }
        let name = self.digest_name(signature)?;
        match self.library {
            X509Library::LuaRestyOpenssl if self.openssl >= OpensslLine(3, 0) => {
                let digest = Md::fetch(None, &name, None);
                let digest = digest.map_err(|_| BindingError::NoDigestInLuaRestyOpenssl(name))?;
                let mut context = MdCtx::new()?;
                context.digest_init(&digest)?;
                context.digest_update(&certificate.to_der()?)?;
                let mut hash = vec![0; digest.size()];
                context.digest_final(&mut hash)?;
                Ok(hash)
            }
            library => {
                let digest = MessageDigest::from_name(&name).ok_or(match library {
                    X509Library::Luaossl => BindingError::NoDigestInLuaossl(name),
                    X509Library::LuaRestyOpenssl => BindingError::NoDigestInLuaRestyOpenssl(name),
                })?;
                Ok(certificate.digest(digest)?.to_vec())
            }
        }
    }

    /// The name of the digest that the driver asks OpenSSL for. The later drivers replace names that begin with `md5` or
    /// `sha1`, which no signature's does.
    fn digest_name(self, signature: Nid) -> Result<String, ErrorStack> {
        let short = signature.short_name()?;
        let name = short.to_lowercase();
        let upgraded = |weak: bool, name: &str| if weak { "sha256" } else { name }.to_owned();
        Ok(match self.driver {
            Generation::Kong2_2_0 | Generation::Kong2_2_0OnOpenresty1_21_4 => {
                upgraded(name.contains("md5") || name.contains("sha1"), &name)
            }
            Generation::Leafo1_15_0 => name,
            Generation::Leafo1_16_0 => {
                let name = name.split_once("-with-").map_or(name.as_str(), |(_, digest)| digest);
                upgraded(name.ends_with("sha1"), name)
            }
            Generation::Kong1_16_2 if name.ends_with("sha1") || name.ends_with("sha256") => "sha256".into(),
            Generation::Kong1_16_2 => {
                let algorithms = signature.signature_algorithms();
                algorithms.map_or(Nid::UNDEF, |algorithms| algorithms.digest).short_name()?.to_owned()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::Rsa;
    use openssl::x509::{X509, X509Builder};
    use rstest::rstest;

    use super::*;

    const ED25519: &str = "ed25519";

    static RSA: LazyLock<Rsa<Private>> = LazyLock::new(|| Rsa::generate(2048).expect("a key"));

    /// A certificate signed with a key of a kind and a digest.
    fn certificate(kind: &str, digest: &str) -> X509 {
        let key: PKey<Private> = match kind {
            "rsa" => PKey::from_rsa(RSA.clone()).expect("a key"),
            "ecdsa" => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
                PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
            }
            _ => PKey::generate_ed25519().expect("a key"),
        };
        let digest = match digest {
            "" => MessageDigest::null(),
            name => MessageDigest::from_name(name).expect("a digest"),
        };
        let build = || -> Result<X509, ErrorStack> {
            let mut builder = X509Builder::new()?;
            let (now, later) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(1)?);
            builder.set_not_before(&now)?;
            builder.set_not_after(&later)?;
            builder.set_pubkey(&key)?;
            builder.sign(&key, digest)?;
            Ok(builder.build())
        };
        build().expect("a certificate")
    }

    fn binding(profile: &str, stack: Stack) -> ChannelBinding {
        ChannelBinding::of(&profile.parse().expect("a release"), stack)
    }

    const KONG: &str = "pgmoon-kong-2.2.0";
    const LEAFO: &str = "pgmoon-leafo-1.16.0";
    const OSS: &str = "3.9-oss";
    const OLD_OSS: &str = "3.3-oss";

    /// The digest that the hash is made with, or what is raised. PostgreSQL expects the signature's digest, and SHA-256
    /// for MD5 and SHA-1: with any other, the authentication fails.
    #[rstest]
    #[case::rsa_md5(KONG, "rsa", "md5", Ok("sha256"))]
    #[case::rsa_md5(LEAFO, "rsa", "md5", Ok("md5"))]
    #[case::rsa_md5(OSS, "rsa", "md5", Ok("md5"))]
    #[case::rsa_sha1(KONG, "rsa", "sha1", Ok("sha256"))]
    #[case::rsa_sha1(LEAFO, "rsa", "sha1", Ok("sha256"))]
    #[case::rsa_sha1(OSS, "rsa", "sha1", Ok("sha256"))]
    #[case::rsa_sha1("3.0-oss", "rsa", "sha1", Ok("sha1"))]
    #[case::rsa_sha224(KONG, "rsa", "sha224", Ok("sha224"))]
    #[case::rsa_sha512(OSS, "rsa", "sha512", Ok("sha512"))]
    #[case::rsa_sha512(OLD_OSS, "rsa", "sha512", Ok("sha512"))]
    #[case::rsa_sha3(KONG, "rsa", "sha3-256", Ok("sha3-256"))]
    #[case::rsa_sha3(LEAFO, "rsa", "sha3-256", Ok("sha3-256"))]
    #[case::rsa_sha3(OSS, "rsa", "sha3-256", Ok("sha3-256"))]
    #[case::ecdsa_sha1(KONG, "ecdsa", "sha1", Ok("sha256"))]
    #[case::ecdsa_sha1(LEAFO, "ecdsa", "sha1", Ok("sha256"))]
    #[case::ecdsa_sha1(OSS, "ecdsa", "sha1", Ok("sha256"))]
    #[case::ecdsa_sha224(KONG, "ecdsa", "sha224", Err("x509.cert:digest: ecdsa-with-sha224: invalid digest type"))]
    #[case::ecdsa_sha224(LEAFO, "ecdsa", "sha224", Ok("sha224"))]
    #[case::ecdsa_sha256(KONG, "ecdsa", "sha256", Err("x509.cert:digest: ecdsa-with-sha256: invalid digest type"))]
    #[case::ecdsa_sha256(OSS, "ecdsa", "sha256", Ok("sha256"))]
    #[case::ecdsa_sha256("3.0-oss", "ecdsa", "sha256", Err("x509:digest: invalid digest type \"ecdsa-with-sha256\""))]
    #[case::ecdsa_sha384(LEAFO, "ecdsa", "sha384", Ok("sha384"))]
    #[case::ed25519(KONG, ED25519, "", Err("x509.cert:digest: ed25519: invalid digest type"))]
    #[case::ed25519(LEAFO, ED25519, "", Err("x509.cert:digest: ed25519: invalid digest type"))]
    #[case::ed25519(OSS, ED25519, "", Err("x509:digest: invalid digest type \"UNDEF\""))]
    #[case::ed25519(OLD_OSS, ED25519, "", Err("x509:digest: invalid digest type \"ed25519\""))]
    fn the_digest_follows_from_the_name_of_the_signature(
        #[case] profile: &str,
        #[case] key: &str,
        #[case] digest: &str,
        #[case] expected: Result<&str, &str>,
    ) {
        let certificate = certificate(key, digest);
        let hash = binding(profile, Stack::Luasec).end_point(Some(&certificate)).map_err(|error| error.to_string());
        let expected = expected.map_err(str::to_owned).map(|name| {
            let digest = MessageDigest::from_name(name).expect("a digest");
            certificate.digest(digest).expect("a hash").to_vec()
        });
        assert_eq!(hash, expected);
    }

    /// Of RSA-PSS, OpenSSL's long name is `rsassaPss`; the drivers use the short one.
    #[rstest]
    #[case(KONG, "rsassa-pss")]
    #[case(LEAFO, "rsassa-pss")]
    #[case(OSS, "UNDEF")]
    #[case(OLD_OSS, "rsassa-pss")]
    fn rsa_pss_goes_by_its_short_name(#[case] profile: &str, #[case] name: &str) {
        assert_eq!(binding(profile, Stack::Luasec).digest_name(Nid::RSASSAPSS).expect("a name"), name);
    }

    /// OpenSSL 3 knows MD4 by name and has it only in its legacy provider.
    #[test]
    fn a_digest_of_the_legacy_provider_is_none() {
        let [sha1, md4] = [5, 3].map(|last| [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last]);
        let mut der = certificate("rsa", "sha1").to_der().expect("a certificate");
        while let Some(at) = der.windows(sha1.len()).position(|oid| oid == sha1) {
            der[at..at + md4.len()].copy_from_slice(&md4);
        }
        let certificate = X509::from_der(&der).expect("a certificate");
        let error = binding(OSS, Stack::Luasec).end_point(Some(&certificate)).expect_err("no digest");
        assert_eq!(error.to_string(), "x509:digest: invalid digest type \"MD4\"");
    }

    /// Measured with pgmoon behind stunnel, which speaks TLS to the server in Kong's place.
    #[rstest]
    #[case(KONG, Stack::Luasec, "attempt to call method 'getpeercertificate' (a nil value)")]
    #[case(OSS, Stack::Luasec, "attempt to call method 'getpeercertificate' (a nil value)")]
    #[case(KONG, Stack::Cosocket, "attempt to index local 'ssl' (a nil value)")]
    #[case(OSS, Stack::Cosocket, "attempt to index local 'ssl' (a nil value)")]
    fn in_plaintext_there_is_nothing_to_bind_to(#[case] profile: &str, #[case] stack: Stack, #[case] expected: &str) {
        let error = binding(profile, stack).end_point(None).expect_err("no certificate");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_release_that_finds_no_tls_session_has_no_certificate_to_bind_to() {
        let certificate = certificate("rsa", "sha256");
        let error = binding("3.6-oss", Stack::Cosocket).end_point(Some(&certificate)).expect_err("no session");
        assert_eq!(error.to_string(), "attempt to index local 'ssl' (a nil value)");
        assert!(binding("3.6-oss", Stack::Luasec).end_point(Some(&certificate)).is_ok());
    }
}
