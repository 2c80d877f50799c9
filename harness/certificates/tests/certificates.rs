//! What is issued is what was described, according to OpenSSL.

use std::collections::{BTreeMap, BTreeSet};

use certificate_trees::{
    Authority, CertificateSpec, CrlSpec, Days, ExtendedKeyUsage, Format, KeyType, KeyUsage, PkiError, Recipe,
    Signature, Tree, Validity,
};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey};
use openssl::stack::Stack;
use openssl::x509::store::{X509Lookup, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Crl, X509StoreContext};
use rstest::rstest;

fn spec(subject: &str, issuer: Option<&str>) -> CertificateSpec {
    CertificateSpec {
        subject: Some(subject.into()),
        issuer: issuer.map(str::to_owned),
        key: Some(KeyType::EcdsaP256),
        ca: Some(!subject.contains("leaf")),
        ..CertificateSpec::default()
    }
}

/// A root, an intermediate, and the leaf under test.
fn tree(leaf: CertificateSpec) -> Tree {
    let certificates = [
        ("root", spec("/CN=root", None)),
        ("intermediate", spec("/CN=intermediate", Some("root"))),
        ("leaf", CertificateSpec { key: leaf.key.or(Some(KeyType::EcdsaP256)), ..leaf }),
    ];
    Tree {
        certificates: certificates.into_iter().map(|(name, spec)| (name.to_owned(), spec)).collect(),
        ..Tree::default()
    }
}

fn leaf() -> CertificateSpec {
    spec("/CN=leaf", Some("intermediate"))
}

/// Whether this OpenSSL signs certificates with ECDSA and SHA3-256; 3.0 does not.
fn openssl_signs_with_ecdsa_and_sha3() -> bool {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut builder = X509::builder().expect("a builder");
    builder.set_pubkey(&key).expect("a key");
    builder.sign(&key, MessageDigest::sha3_256()).is_ok()
}

fn authority() -> (Authority, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (Authority::new(folder.path().to_owned()), folder)
}

/// The error code of OpenSSL's verification of the leaf, 0 for success, with CRLs checked if a file has any.
fn verify(authority: &Authority, tree: &Tree, crls: Option<&[u8]>) -> i32 {
    let certificate = |name| authority.certificate(tree, name).expect("a certificate").x509;
    let mut store = X509StoreBuilder::new().expect("a store");
    store.add_cert(certificate("root")).expect("a root");
    if let Some(crls) = crls {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("crls.pem");
        std::fs::write(&file, crls).expect("a file");
        let lookup = store.add_lookup(X509Lookup::file()).expect("a lookup");
        lookup.load_crl_file(&file, openssl::ssl::SslFiletype::PEM).expect("a CRL");
        store.set_flags(X509VerifyFlags::CRL_CHECK).expect("flags");
    }
    let mut chain = Stack::new().expect("a stack");
    chain.push(certificate("intermediate")).expect("an intermediate");
    let mut context = X509StoreContext::new().expect("a context");
    let verified = context.init(&store.build(), &certificate("leaf"), &chain, |context| {
        context.verify_cert()?;
        Ok(context.error().as_raw())
    });
    verified.expect("a result")
}

fn validity(from: i16, to: i16) -> Validity {
    Validity::Days(Days { from, to })
}

#[rstest]
#[case::plain(leaf(), 0)]
#[case::expired(CertificateSpec { valid: Some(Validity::Expired), ..leaf() }, 10)]
#[case::not_yet(CertificateSpec { valid: Some(Validity::NotYet), ..leaf() }, 9)]
#[case::for_90_days(CertificateSpec { valid: Some(Validity::for_days(90)), ..leaf() }, 0)]
#[case::expired_in_days(CertificateSpec { valid: Some(validity(-3, -2)), ..leaf() }, 10)]
#[case::not_yet_in_days(CertificateSpec { valid: Some(validity(2, 3)), ..leaf() }, 9)]
#[case::version_1(CertificateSpec { version: Some(1), ..leaf() }, 0)]
#[case::sha512(CertificateSpec { signature: Some(Signature::Sha512), ..leaf() }, 0)]
#[case::sha3_256(CertificateSpec { signature: Some(Signature::Sha3_256), ..leaf() }, 0)]
fn openssl_verifies_a_leaf(#[case] leaf: CertificateSpec, #[case] code: i32) {
    let (authority, _folder) = authority();
    if leaf.signature == Some(Signature::Sha3_256) && !openssl_signs_with_ecdsa_and_sha3() {
        let error = authority.certificate(&tree(leaf), "leaf").expect_err("OpenSSL does not sign");
        return assert!(matches!(error, PkiError::Openssl(_)), "{error}");
    }
    assert_eq!(verify(&authority, &tree(leaf), None), code);
}

/// As a leaf of an ECDSA CA, which rcgen or OpenSSL signs, and as a CA itself.
#[rstest]
#[case(KeyType::Rsa1024, Id::RSA, 1024, None)]
#[case(KeyType::Rsa2048, Id::RSA, 2048, None)]
#[case(KeyType::Rsa3072, Id::RSA, 3072, None)]
#[case(KeyType::Rsa4096, Id::RSA, 4096, None)]
#[case(KeyType::EcdsaP256, Id::EC, 256, Some(Nid::X9_62_PRIME256V1))]
#[case(KeyType::EcdsaP384, Id::EC, 384, Some(Nid::SECP384R1))]
#[case(KeyType::EcdsaP521, Id::EC, 521, Some(Nid::SECP521R1))]
#[case(KeyType::Ed25519, Id::ED25519, 256, None)]
fn a_certificate_has_a_key_of_the_type_described(
    #[case] key: KeyType,
    #[case] id: Id,
    #[case] bits: u32,
    #[case] curve: Option<Nid>,
) {
    let (authority, _folder) = authority();
    let mut tree = tree(CertificateSpec { key: Some(key), ..leaf() });
    for ca in [None, Some(key)] {
        if let Some(key) = ca {
            tree.certificates.insert(
                "intermediate".into(),
                CertificateSpec { key: Some(key), ..spec("/CN=intermediate", Some("root")) },
            );
        }
        let certificate = authority.certificate(&tree, "leaf").expect("a certificate");
        let public = certificate.x509.public_key().expect("a key");
        assert_eq!((public.id(), public.bits()), (id, bits));
        assert!(public.public_eq(&certificate.key));
        let name = public.ec_key().ok().and_then(|key| key.group().curve_name());
        assert_eq!(name, curve);
        assert_eq!(verify(&authority, &tree, None), 0);
    }
}

#[rstest]
#[case(KeyType::Rsa2048, Signature::Md5, "RSA-MD5")]
#[case(KeyType::Rsa2048, Signature::Sha1, "RSA-SHA1")]
#[case(KeyType::Rsa2048, Signature::Sha224, "RSA-SHA224")]
#[case(KeyType::Rsa2048, Signature::Sha256, "RSA-SHA256")]
#[case(KeyType::Rsa2048, Signature::Sha384, "RSA-SHA384")]
#[case(KeyType::Rsa2048, Signature::Sha512, "RSA-SHA512")]
#[case(KeyType::Rsa2048, Signature::Sha3_256, "id-rsassa-pkcs1-v1_5-with-sha3-256")]
#[case(KeyType::EcdsaP256, Signature::Sha1, "ecdsa-with-SHA1")]
#[case(KeyType::EcdsaP256, Signature::Sha256, "ecdsa-with-SHA256")]
#[case(KeyType::EcdsaP256, Signature::Sha384, "ecdsa-with-SHA384")]
#[case(KeyType::EcdsaP384, Signature::Sha384, "ecdsa-with-SHA384")]
#[case(KeyType::EcdsaP521, Signature::Sha512, "ecdsa-with-SHA512")]
#[case(KeyType::EcdsaP256, Signature::Sha3_256, "id-ecdsa-with-sha3-256")]
#[case(KeyType::Ed25519, Signature::Sha256, "ED25519")]
#[case(KeyType::Rsa2048, Signature::PssSha256, "RSASSA-PSS")]
#[case(KeyType::Rsa2048, Signature::PssSha384, "RSASSA-PSS")]
fn an_issuer_signs_with_the_algorithm_described(
    #[case] key: KeyType,
    #[case] signature: Signature,
    #[case] name: &str,
) {
    let (authority, _folder) = authority();
    let root = CertificateSpec { key: Some(key), signature: Some(signature), ..spec("/CN=root", None) };
    let tree = Tree { certificates: BTreeMap::from([("root".to_owned(), root)]), ..Tree::default() };
    let is_ecdsa = key == KeyType::EcdsaP256;
    if is_ecdsa && signature == Signature::Sha3_256 && !openssl_signs_with_ecdsa_and_sha3() {
        let error = authority.certificate(&tree, "root").expect_err("OpenSSL does not sign");
        return assert!(matches!(error, PkiError::Openssl(_)), "{error}");
    }
    let root = authority.certificate(&tree, "root").expect("a certificate");
    assert_eq!(root.x509.signature_algorithm().object().nid().short_name().expect("a name"), name);
    assert!(root.x509.verify(&root.key).expect("a result"), "the signature does not verify");
}

#[rstest]
#[case(Signature::PssSha256, "sha256", "20")]
#[case(Signature::PssSha384, "sha384", "30")]
fn rsa_pss_parameters_name_the_digest(#[case] signature: Signature, #[case] digest: &str, #[case] salt: &str) {
    let (authority, _folder) = authority();
    let root = CertificateSpec { key: Some(KeyType::Rsa2048), signature: Some(signature), ..spec("/CN=root", None) };
    let tree = Tree { certificates: BTreeMap::from([("root".to_owned(), root)]), ..Tree::default() };
    let root = authority.certificate(&tree, "root").expect("a certificate");
    let text = String::from_utf8(root.x509.to_text().expect("text")).expect("UTF-8");
    assert!(text.contains(&format!("Hash Algorithm: {digest}")), "{text}");
    assert!(text.contains(&format!("Salt Length: 0x{salt}")), "{text}");
}

#[rstest]
#[case(Some(1), 0)]
#[case(None, 2)]
fn a_certificate_has_the_version_described(#[case] version: Option<u8>, #[case] encoded: i32) {
    let (authority, _folder) = authority();
    let tree = tree(CertificateSpec { version, ..leaf() });
    assert_eq!(authority.certificate(&tree, "leaf").expect("a certificate").x509.version(), encoded);
}

/// RSA-2048 is signed by rcgen, P-521 by OpenSSL.
#[rstest]
fn a_certificate_has_the_extensions_described(#[values(KeyType::Rsa2048, KeyType::EcdsaP521)] key: KeyType) {
    let (authority, _folder) = authority();
    let leaf = CertificateSpec {
        key: Some(key),
        usage: Some(vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth]),
        key_usage: Some(vec![KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]),
        san: Some(vec!["DNS:localhost".into(), "IP:127.0.0.1".into()]),
        ..leaf()
    };
    let certificate = authority.certificate(&tree(leaf), "leaf").expect("a certificate");
    let text = String::from_utf8(certificate.x509.to_text().expect("text")).expect("UTF-8");
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let extension = |name: &str| {
        let place = lines.iter().position(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        (lines[place].trim_start_matches(name).trim(), lines[place + 1])
    };
    assert_eq!(extension("X509v3 Key Usage:"), ("critical", "Digital Signature, Key Encipherment"));
    let usages = "TLS Web Server Authentication, TLS Web Client Authentication";
    assert_eq!(extension("X509v3 Extended Key Usage:"), ("", usages));
    assert_eq!(extension("X509v3 Subject Alternative Name:").1, "DNS:localhost, IP Address:127.0.0.1");
    assert_eq!(extension("X509v3 Basic Constraints:").1, "CA:FALSE");
}

/// A CA whose key usage forbids certificate signatures cannot issue: error 79, X509_V_ERR_INVALID_CA.
#[rstest]
#[case(&[KeyUsage::KeyCertSign, KeyUsage::CrlSign], 0)]
#[case(&[KeyUsage::DigitalSignature], 79)]
fn openssl_obeys_the_key_usage_of_a_ca(#[case] usages: &[KeyUsage], #[case] code: i32) {
    let (authority, _folder) = authority();
    let mut tree = tree(leaf());
    let intermediate = CertificateSpec { key_usage: Some(usages.to_vec()), ..spec("/CN=intermediate", Some("root")) };
    tree.certificates.insert("intermediate".into(), intermediate);
    assert_eq!(verify(&authority, &tree, None), code);
}

#[test]
fn names_and_serial_numbers_are_formatted_as_postgresql_prints_them() {
    let (authority, _folder) = authority();
    let leaf = CertificateSpec { subject: Some("/O=Acme/OU=gw/CN=kong".into()), ..leaf() };
    let certificate = authority.certificate(&tree(leaf), "leaf").expect("a certificate");
    assert_eq!(certificate.subject(), "/O=Acme/OU=gw/CN=kong");
    assert_eq!(certificate.issuer(), "/CN=intermediate");
    assert!(certificate.serial().expect("a number").parse::<u64>().is_ok());
}

#[rstest]
#[case("localhost")]
#[case("DNS:")]
#[case("IP:localhost")]
#[case("URI:spiffe://kong")]
fn a_malformed_alternative_name_is_an_error(
    #[case] name: &str,
    #[values(KeyType::EcdsaP256, KeyType::EcdsaP521)] key: KeyType,
) {
    let (authority, _folder) = authority();
    let leaf = CertificateSpec { san: Some(vec![name.into()]), key: Some(key), ..leaf() };
    let error = authority.certificate(&tree(leaf), "leaf").expect_err("an error");
    assert!(matches!(error, PkiError::SubjectAlternativeName(_)), "{error:?}");
}

#[rstest]
#[case(Format::Pem, KeyType::Rsa2048, "-----BEGIN PRIVATE KEY-----")]
#[case(Format::Traditional, KeyType::Rsa2048, "-----BEGIN RSA PRIVATE KEY-----")]
#[case(Format::Traditional, KeyType::EcdsaP521, "-----BEGIN EC PRIVATE KEY-----")]
#[case(Format::Encrypted, KeyType::EcdsaP256, "-----BEGIN ENCRYPTED PRIVATE KEY-----")]
fn a_key_file_has_the_format_asked_for(#[case] format: Format, #[case] key: KeyType, #[case] label: &str) {
    let (authority, _folder) = authority();
    let tree = tree(CertificateSpec { key: Some(key), ..leaf() });
    let file = authority.files(&tree, &["leaf.key".into()], format).expect("a key");
    assert!(file.starts_with(label.as_bytes()), "{}", String::from_utf8_lossy(&file));
}

#[rstest]
#[case(None, "kong", "secret")]
#[case(Some("secret"), "secret", "kong")]
fn an_encrypted_key_has_the_passphrase_described(
    #[case] passphrase: Option<&str>,
    #[case] right: &str,
    #[case] wrong: &str,
) {
    let (authority, _folder) = authority();
    let tree = tree(CertificateSpec { passphrase: passphrase.map(str::to_owned), ..leaf() });
    let file = authority.files(&tree, &["leaf.key".into()], Format::Encrypted).expect("a key");
    assert!(PKey::private_key_from_pem_passphrase(&file, right.as_bytes()).is_ok());
    assert!(PKey::private_key_from_pem_passphrase(&file, wrong.as_bytes()).is_err());
}

fn crl(issuer: &str, revoked: &[&str], valid: Validity) -> CrlSpec {
    let revoked = revoked.iter().map(ToString::to_string).collect();
    CrlSpec { issuer: issuer.into(), revoked, valid, ..CrlSpec::default() }
}

#[rstest]
#[case::revoked(&["leaf"], Validity::Now, 23)]
#[case::not_revoked(&[], Validity::Now, 0)]
#[case::expired(&[], Validity::Expired, 12)]
#[case::not_yet_valid(&[], Validity::NotYet, 11)]
fn a_crl_revokes_the_certificates_it_names(#[case] revoked: &[&str], #[case] valid: Validity, #[case] code: i32) {
    let (authority, _folder) = authority();
    let mut tree = tree(leaf());
    tree.crls.insert("intermediate".into(), crl("intermediate", revoked, valid));
    let crl = authority.file(&tree, "intermediate.crl").expect("a CRL");
    assert_eq!(verify(&authority, &tree, Some(&crl)), code);
}

#[test]
fn a_crl_can_be_as_long_as_that_of_a_public_ca() {
    let (authority, _folder) = authority();
    let mut tree = tree(leaf());
    tree.crls.insert("long".into(), CrlSpec { others: 500, ..crl("intermediate", &["leaf"], Validity::Now) });
    let made = X509Crl::from_pem(&authority.file(&tree, "long.crl").expect("a CRL")).expect("a CRL");
    let serials =
        made.get_revoked().expect("entries").iter().map(|entry| entry.serial_number().to_bn().expect("a number"));
    let serials: BTreeSet<_> = serials.map(|number| number.to_vec()).collect();
    assert_eq!(serials.len(), 501, "no two entries are the same");
}

/// The list with the later `thisUpdate` counts, whichever comes first in the file.
#[rstest]
#[case(&["older.crl", "newer.crl"])]
#[case(&["newer.crl", "older.crl"])]
fn a_ca_may_have_two_crls_with_dates_of_their_own(#[case] files: &[&str]) {
    let (authority, _folder) = authority();
    let mut tree = tree(leaf());
    tree.crls.insert("older".into(), crl("intermediate", &[], validity(-20, 20)));
    tree.crls.insert("newer".into(), CrlSpec { number: Some(2), ..crl("intermediate", &["leaf"], validity(-2, 20)) });
    let made = |name| X509Crl::from_pem(&authority.file(&tree, name).expect("a CRL")).expect("a CRL");
    assert!(made("older.crl").last_update() < made("newer.crl").last_update());
    let names: Vec<_> = files.iter().map(ToString::to_string).collect();
    let both = authority.files(&tree, &names, Format::Pem).expect("CRLs");
    assert_eq!(verify(&authority, &tree, Some(&both)), 23);
}

#[test]
fn keys_are_shared_between_trees_and_differ_between_names() {
    let (authority, _folder) = authority();
    let (one, other) = (tree(leaf()), tree(CertificateSpec { valid: Some(Validity::Expired), ..leaf() }));
    let key =
        |tree, name| authority.certificate(tree, name).expect("a certificate").key.public_key_to_pem().expect("PEM");
    assert_eq!(key(&one, "leaf"), key(&other, "leaf"));
    assert_ne!(key(&one, "leaf"), key(&one, "root"));
}

#[test]
fn a_cycle_of_issuers_is_an_error() {
    let (authority, _folder) = authority();
    let mut tree = tree(leaf());
    tree.certificates.insert("root".into(), spec("/CN=root", Some("leaf")));
    let error = authority.certificate(&tree, "leaf").expect_err("an error");
    assert!(matches!(&error, PkiError::IssuerCycle(name) if name == "leaf"), "{error:?}");
}

#[test]
fn an_unknown_name_is_an_error() {
    let (authority, _folder) = authority();
    let error = authority.file(&tree(leaf()), "server.crt").expect_err("an error");
    assert!(matches!(&error, PkiError::Unknown(name) if name == "server.crt"), "{error:?}");
}

/// Concatenating the certificates of a recipe gives, byte for byte, the files that its last lines leave.
#[rstest]
#[case(Recipe::Intermediate, "server", &["server", "intermediate"])]
#[case(Recipe::Intermediate, "client", &["client", "intermediate"])]
#[case(Recipe::RootOnly, "server", &["server"])]
#[case(Recipe::SelfSigned, "client", &["client"])]
fn the_files_of_a_recipe_are_concatenations_of_its_certificates(
    #[case] recipe: Recipe,
    #[case] file: &str,
    #[case] parts: &[&str],
) {
    let (authority, _folder) = authority();
    let outputs = authority.run_recipe(recipe).expect("the recipe runs");
    let together: Vec<u8> = parts.iter().flat_map(|part| outputs[part].certificate.clone()).collect();
    assert_eq!(together, outputs[file].file);
}

#[test]
fn recipes_make_self_signed_certificates_that_are_cas() {
    let (authority, _folder) = authority();
    let outputs = authority.run_recipe(Recipe::SelfSigned).expect("the recipe runs");
    let client = X509::from_pem(&outputs["client"].certificate).expect("a certificate");
    assert_eq!(client.version(), 2);
    assert!(String::from_utf8_lossy(&client.to_text().expect("text")).contains("CA:TRUE"));
}

#[test]
fn certificates_of_a_recipe_and_described_ones_form_one_tree() {
    let (authority, _folder) = authority();
    let mut tree = tree(leaf());
    tree.recipe = Some(Recipe::Intermediate);
    assert_eq!(authority.certificate(&tree, "root").expect("a certificate").subject(), "/CN=root.yourdomain.com");
    assert_eq!(verify(&authority, &tree, None), 0);
}

#[test]
fn trees_that_use_one_recipe_have_the_same_certificates_of_it() {
    let (authority, _folder) = authority();
    let mut tree = Tree { recipe: Some(Recipe::SelfSigned), ..Tree::default() };
    let one = authority.file(&tree, "server.crt").expect("a certificate");
    tree.certificates.insert("other".to_owned(), spec("/CN=other", None));
    assert_eq!(authority.file(&tree, "server.crt").expect("a certificate"), one);
}
