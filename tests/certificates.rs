//! The certificates are what their trees say: verified by OpenSSL, as servers and Kong do.

use std::collections::BTreeMap;

use certificate_trees::{CertificateSpec, CrlSpec, Forge, Guide, KeyType, Signature, Tree, Usage, Validity};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509StoreContext};
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

/// A root, an intermediate, and a leaf that is made as the test wants it.
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

fn forge() -> (Forge, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (Forge::new(folder.path().to_owned()), folder)
}

/// The number with which OpenSSL refuses the leaf; 0 if it does not.
fn verify(forge: &Forge, tree: &Tree) -> i32 {
    let made = |name| forge.certificate(tree, name).expect("a certificate").x509;
    let mut store = X509StoreBuilder::new().expect("a store");
    store.add_cert(made("root")).expect("a root");
    let mut chain = Stack::new().expect("a stack");
    chain.push(made("intermediate")).expect("an intermediate");
    let mut context = X509StoreContext::new().expect("a context");
    let verified = context.init(&store.build(), &made("leaf"), &chain, |context| {
        context.verify_cert()?;
        Ok(context.error().as_raw())
    });
    verified.expect("an answer")
}

#[rstest]
#[case::plain(leaf(), 0)]
#[case::expired(CertificateSpec { valid: Some(Validity::Expired), ..leaf() }, 10)]
#[case::not_yet(CertificateSpec { valid: Some(Validity::NotYet), ..leaf() }, 9)]
#[case::version_1(CertificateSpec { version: Some(1), ..leaf() }, 0)]
#[case::ed25519(CertificateSpec { key: Some(KeyType::Ed25519), ..leaf() }, 0)]
#[case::p384(CertificateSpec { key: Some(KeyType::EcdsaP384), ..leaf() }, 0)]
#[case::rsa(CertificateSpec { key: Some(KeyType::Rsa2048), ..leaf() }, 0)]
#[case::small_rsa(CertificateSpec { key: Some(KeyType::Rsa1024), ..leaf() }, 0)]
#[case::sha512(CertificateSpec { signature: Some(Signature::Sha512), ..leaf() }, 0)]
fn openssl_finds_in_a_leaf_what_was_asked_for(#[case] leaf: CertificateSpec, #[case] code: i32) {
    let (forge, _folder) = forge();
    assert_eq!(verify(&forge, &tree(leaf)), code);
}

#[rstest]
#[case(CertificateSpec { version: Some(1), ..leaf() }, 0, "X.509 version 1")]
#[case(leaf(), 2, "X.509 version 3")]
fn the_version_is_what_was_asked_for(#[case] leaf: CertificateSpec, #[case] version: i32, #[case] what: &str) {
    let (forge, _folder) = forge();
    assert_eq!(forge.certificate(&tree(leaf), "leaf").expect("a certificate").x509.version(), version, "{what}");
}

#[rstest]
#[case(Signature::Sha1, "sha1WithRSAEncryption")]
#[case(Signature::Sha224, "sha224WithRSAEncryption")]
#[case(Signature::Sha256, "sha256WithRSAEncryption")]
#[case(Signature::Sha384, "sha384WithRSAEncryption")]
#[case(Signature::Sha512, "sha512WithRSAEncryption")]
fn an_rsa_issuer_signs_with_the_digest_asked_for(#[case] signature: Signature, #[case] name: &str) {
    let (forge, _folder) = forge();
    let root = CertificateSpec { key: Some(KeyType::Rsa2048), signature: Some(signature), ..spec("/CN=root", None) };
    let tree = Tree { certificates: BTreeMap::from([("root".to_owned(), root)]), ..Tree::default() };
    let made = forge.certificate(&tree, "root").expect("a certificate");
    assert_eq!(made.x509.signature_algorithm().object().nid().long_name().expect("a name"), name);
}

#[test]
fn names_usages_and_serial_numbers_are_told_as_postgresql_tells_them() {
    let (forge, _folder) = forge();
    let leaf = CertificateSpec {
        subject: Some("/O=Acme/OU=gw/CN=kong".into()),
        usage: Some(vec![Usage::ClientAuth]),
        ..leaf()
    };
    let made = forge.certificate(&tree(leaf), "leaf").expect("a certificate");
    assert_eq!(made.subject(), "/O=Acme/OU=gw/CN=kong");
    assert_eq!(made.issuer(), "/CN=intermediate");
    assert!(made.serial().expect("a number").parse::<u64>().is_ok());
}

#[rstest]
#[case::revoked(&["leaf"], Validity::Now, 23)]
#[case::not_revoked(&[], Validity::Now, 0)]
#[case::expired(&[], Validity::Expired, 12)]
fn a_list_revokes_what_it_names(#[case] revoked: &[&str], #[case] valid: Validity, #[case] code: i32) {
    let (forge, _folder) = forge();
    let mut tree = tree(leaf());
    let list = |issuer: &str, revoked: &[&str], valid| CrlSpec {
        issuer: issuer.into(),
        revoked: revoked.iter().map(ToString::to_string).collect(),
        valid,
    };
    tree.crls.insert("intermediate".into(), list("intermediate", revoked, valid));
    let made = |name| forge.certificate(&tree, name).expect("a certificate").x509;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("all.pem");
    let crl = forge.file(&tree, "intermediate.crl").expect("a list");
    std::fs::write(&file, [made("root").to_pem().expect("PEM"), crl].concat()).expect("a file");

    let mut store = X509StoreBuilder::new().expect("a store");
    let lookup = store.add_lookup(openssl::x509::store::X509Lookup::file()).expect("a lookup");
    lookup.load_crl_file(&file, openssl::ssl::SslFiletype::PEM).expect("a list");
    store.add_cert(made("root")).expect("a root");
    store.set_flags(X509VerifyFlags::CRL_CHECK).expect("flags");
    let mut chain = Stack::new().expect("a stack");
    chain.push(made("intermediate")).expect("an intermediate");
    let mut context = X509StoreContext::new().expect("a context");
    let verified = context.init(&store.build(), &made("leaf"), &chain, |context| {
        context.verify_cert()?;
        Ok(context.error().as_raw())
    });
    assert_eq!(verified.expect("an answer"), code);
}

#[test]
fn keys_are_shared_between_trees_and_differ_between_names() {
    let (forge, _folder) = forge();
    let (one, other) = (tree(leaf()), tree(CertificateSpec { valid: Some(Validity::Expired), ..leaf() }));
    let key = |tree, name| forge.certificate(tree, name).expect("a certificate").key.public_key_to_pem().expect("PEM");
    assert_eq!(key(&one, "leaf"), key(&other, "leaf"));
    assert_ne!(key(&one, "leaf"), key(&one, "root"));
}

#[test]
fn a_circle_of_issuers_is_told() {
    let (forge, _folder) = forge();
    let mut tree = tree(leaf());
    tree.certificates.insert("root".into(), spec("/CN=root", Some("leaf")));
    let error = forge.certificate(&tree, "leaf").expect_err("an error");
    assert!(error.to_string().contains("its own issuer"), "{error}");
}

/// What the suite puts together from the guide's certificates is, byte by byte, what the guide's last lines leave.
#[rstest]
#[case(Guide::Intermediate, "server", &["server", "intermediate"])]
#[case(Guide::Intermediate, "client", &["client", "intermediate"])]
#[case(Guide::RootOnly, "server", &["server"])]
#[case(Guide::SelfSigned, "client", &["client"])]
fn the_files_of_the_guide_are_put_together_as_the_guide_does(
    #[case] guide: Guide,
    #[case] file: &str,
    #[case] parts: &[&str],
) {
    let (forge, _folder) = forge();
    let made = forge.guide(guide).expect("the openssl program follows the guide");
    let together: Vec<u8> = parts.iter().flat_map(|part| made[part].certificate.clone()).collect();
    assert_eq!(together, made[file].file);
}

#[test]
fn the_guide_makes_leaves_of_version_1_and_self_signed_certificates_that_are_cas() {
    let (forge, _folder) = forge();
    let version = |guide, name: &str| {
        let made = forge.guide(guide).expect("the openssl program follows the guide");
        X509::from_pem(&made[name].certificate).expect("a certificate").version()
    };
    assert_eq!(version(Guide::Intermediate, "client"), 0);
    assert_eq!(version(Guide::SelfSigned, "client"), 2);
}
