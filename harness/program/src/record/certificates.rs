//! The certificates of a cell as they hang together: what each side shows, by whom it was issued, and what the other
//! side trusts.

use std::collections::HashMap;
use std::net::IpAddr;

use certificate_trees::oneline;
use kong_pg_client::Stack;
use kong_pg_client::conf::file_names;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::Situation;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::pkey::Id;
use openssl::x509::{CrlStatus, X509, X509Crl};
use postgres_tls_server::config::FILE_KEYS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::time::rfc3339;
use crate::run::{MadeFile, MadeFiles, written_conf};

/// The certificates of a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CertificatesRecord {
    /// Each of them once.
    pub all: Vec<CertificateRecord>,
    /// What Kong is shown, by the server or by a proxy that ends TLS, and what Kong trusts.
    pub server: ChainRecord,
    /// What Kong shows the server, and what the server trusts.
    pub client: ChainRecord,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CertificateRecord {
    /// `/CN=localhost`
    pub subject: String,
    /// The subject of its issuer.
    pub issuer: String,
    /// `RSA 2048`, `EC prime256v1`, `ED25519`
    pub key: String,
    /// What it is signed with.
    pub signature: String,
    /// The DNS names and addresses that it is for.
    pub names: Vec<String>,
    /// Whether it says that it is a CA's.
    pub ca: bool,
    /// When it becomes valid (RFC 3339).
    pub not_before: String,
    /// When it expires (RFC 3339).
    pub not_after: String,
    /// Whether a revocation list of the server's names it.
    pub revoked: bool,
    /// The settings and files it is in: `ssl_cert_file: server.crt`.
    pub files: Vec<String>,
}

/// A certificate that a side shows, and its issuers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ChainRecord {
    /// The certificate that is shown, its issuer, and so on, as far as the files of both sides have them.
    pub links: Vec<LinkRecord>,
    /// The issuer of the last, if it is in no file.
    pub missing: Option<String>,
    /// Whether there is a certificate of that name that has not issued it.
    pub namesake: bool,
    /// What the other side trusts, by place in `all`.
    pub trusted: Vec<usize>,
    /// Whether the other side trusts what the system does.
    pub trusts_system: bool,
}

/// A certificate in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LinkRecord {
    /// Its place in `all`.
    pub certificate: usize,
    /// Whether it is sent with the first.
    pub sent: bool,
    /// Whether the other side trusts it.
    pub trusted: bool,
}

/// What is known of certificates from the records of earlier cells, most of which have the same ones.
#[derive(Debug, Default)]
pub struct KnownCertificates {
    /// By their PEM. What depends on the cell is left out.
    read: HashMap<Vec<u8>, Vec<(X509, CertificateRecord)>>,
    /// Whether a certificate is signed with the key of another, both in DER.
    signed: HashMap<[Vec<u8>; 2], bool>,
}

impl KnownCertificates {
    fn read(&mut self, pem: &[u8]) -> Vec<(X509, CertificateRecord)> {
        if let Some(known) = self.read.get(pem) {
            return known.clone();
        }
        let certificates = X509::stack_from_pem(pem).unwrap_or_default().into_iter();
        let read: Vec<_> = certificates.map(|certificate| (certificate.clone(), describe(&certificate))).collect();
        self.read.entry(pem.to_owned()).or_insert(read).clone()
    }

    fn is_signed_by(&mut self, certificate: &X509, issuer: &X509) -> bool {
        let [Ok(signed), Ok(by)] = [certificate, issuer].map(|one| one.to_der()) else { return false };
        let verify = || issuer.public_key().is_ok_and(|key| certificate.verify(&key).unwrap_or(false));
        *self.signed.entry([signed, by]).or_insert_with(verify)
    }
}

impl CertificatesRecord {
    /// The certificates in the files that a step of a cell has.
    pub(super) fn new(cell: &Cell, step: usize, made: &MadeFiles, known: &mut KnownCertificates) -> Option<Self> {
        let situation = &cell.case.steps.get(step)?.situation;
        let mut found = Found { known, all: Vec::new(), crls: crls(made) };
        let in_server = |setting: &str| (setting.to_owned(), server_file(situation, setting));
        let of_server = |found: &mut Found, (setting, name): (String, Option<String>)| {
            found.take(&setting, name.as_deref(), name.as_ref().and_then(|name| made.server.get(name)))
        };
        let server = match &made.proxy {
            Some(pem) => found.take("proxy", None, Some(&MadeFile { content: pem.clone(), mode: 0o600 })),
            None => of_server(&mut found, in_server("ssl_cert_file")),
        };
        let server_trusts = of_server(&mut found, in_server("ssl_ca_file"));
        let conf = written_conf(&situation.kong, cell.stack);
        let mut of_kong = |setting: &str, value: &str| -> Vec<usize> {
            // With quotes around it, Kong finds no file.
            let names: Vec<_> = file_names(value).filter(|_| !value.contains(['\'', '"'])).collect();
            names.iter().flat_map(|name| found.take(setting, Some(name), made.kong.get(*name))).collect()
        };
        let trusted = conf.get("lua_ssl_trusted_certificate").unwrap_or(cell.profile.trusted_by_default());
        let kong_trusts = of_kong("lua_ssl_trusted_certificate", trusted);
        let client = of_kong("pg_ssl_cert", conf.get("pg_ssl_cert").unwrap_or_default());
        let trusts_system = trusted.split(',').any(|entry| entry.trim() == "system");
        let server =
            ChainRecord { trusts_system, ..found.chain(&server, &kong_trusts, &server_trusts, made.proxy.is_none()) };
        let client = found.chain(&client, &server_trusts, &kong_trusts, cell.stack == Stack::Luasec);
        Some(Self { all: found.records(), server, client }).filter(|record| !record.all.is_empty())
    }
}

/// The file that a setting of postgresql.conf names, or its default.
fn server_file(situation: &Situation, setting: &str) -> Option<String> {
    let named = situation.server.conf.iter().rev().find(|(key, _)| key == setting);
    let default = || FILE_KEYS.iter().find(|(key, _)| *key == setting).and_then(|(_, default)| *default);
    named.map(|(_, value)| value.trim_matches('\'')).or_else(default).map(str::to_owned)
}

/// The revocation lists among the server's files.
fn crls(made: &MadeFiles) -> Vec<X509Crl> {
    const BEGIN: &str = "-----BEGIN X509 CRL-----";
    let text = |file: &MadeFile| String::from_utf8_lossy(&file.content).into_owned();
    let lists = |text: String| text.match_indices(BEGIN).map(|(at, _)| text[at..].to_owned()).collect::<Vec<_>>();
    let all = made.server.values().map(text).flat_map(lists);
    all.filter_map(|pem| X509Crl::from_pem(pem.as_bytes()).ok()).collect()
}

/// The certificates that have been found, each once.
struct Found<'a> {
    known: &'a mut KnownCertificates,
    all: Vec<(X509, CertificateRecord)>,
    crls: Vec<X509Crl>,
}

impl Found<'_> {
    /// The certificates in a file, by their places.
    fn take(&mut self, setting: &str, name: Option<&str>, file: Option<&MadeFile>) -> Vec<usize> {
        let Some(file) = file else { return Vec::new() };
        let place = name.map_or_else(|| setting.to_owned(), |name| format!("{setting}: {name}"));
        let certificates = self.known.read(&file.content);
        certificates.into_iter().map(|(certificate, record)| self.add(certificate, record, &place)).collect()
    }

    fn add(&mut self, certificate: X509, record: CertificateRecord, place: &str) -> usize {
        let der = certificate.to_der().ok();
        let known = self.all.iter().position(|(other, _)| other.to_der().ok() == der);
        let at = known.unwrap_or_else(|| {
            let revoked = |crl: &X509Crl| matches!(crl.get_by_cert(&certificate), CrlStatus::Revoked(_));
            let revoked = self.crls.iter().any(revoked);
            self.all.push((certificate, CertificateRecord { revoked, ..record }));
            self.all.len() - 1
        });
        let files = &mut self.all[at].1.files;
        if !files.iter().any(|known| known == place) {
            files.push(place.to_owned());
        }
        at
    }

    /// The chain of the first of the certificates that are shown. `own` are those that the side trusts itself: OpenSSL
    /// completes a lone certificate from them by default.
    fn chain(&mut self, shown: &[usize], trusted: &[usize], own: &[usize], completes: bool) -> ChainRecord {
        let is_sent = |at| shown.contains(&at) || completes && shown.len() == 1 && own.contains(&at);
        let candidates: Vec<_> = shown.iter().chain(trusted).chain(own).copied().collect();
        let mut record = ChainRecord { trusted: trusted.to_vec(), ..ChainRecord::default() };
        let mut next = shown.first().copied();
        while let Some(at) = next.filter(|at| record.links.iter().all(|link| link.certificate != *at)) {
            record.links.push(LinkRecord { certificate: at, sent: is_sent(at), trusted: trusted.contains(&at) });
            let certificate = &self.all[at].0;
            let is_named = |other: &&usize| has_the_name_of_the_issuer(certificate, &self.all[**other].0);
            let mut namesakes = candidates.iter().filter(is_named).copied().peekable();
            let namesake = namesakes.peek().is_some();
            next = namesakes.find(|other| self.known.is_signed_by(certificate, &self.all[*other].0));
            if next.is_none() {
                record.missing = Some(oneline(certificate.issuer_name()));
                record.namesake = namesake;
            }
        }
        record
    }

    fn records(self) -> Vec<CertificateRecord> {
        self.all.into_iter().map(|(_, record)| record).collect()
    }
}

fn has_the_name_of_the_issuer(certificate: &X509, other: &X509) -> bool {
    certificate.issuer_name().to_der().ok() == other.subject_name().to_der().ok()
}

/// A certificate by itself, in no file and of no cell.
fn describe(certificate: &X509) -> CertificateRecord {
    let ca =
        certificate.to_der().is_ok_and(|der| X509Certificate::from_der(&der).is_ok_and(|(_, parsed)| parsed.is_ca()));
    let names = certificate.subject_alt_names().into_iter().flatten();
    CertificateRecord {
        subject: oneline(certificate.subject_name()),
        issuer: oneline(certificate.issuer_name()),
        key: key(certificate),
        signature: certificate.signature_algorithm().object().to_string(),
        names: names
            .filter_map(|name| name.dnsname().map(str::to_owned).or_else(|| address(name.ipaddress()?)))
            .collect(),
        ca,
        not_before: date(certificate.not_before()),
        not_after: date(certificate.not_after()),
        revoked: false,
        files: Vec::new(),
    }
}

fn key(certificate: &X509) -> String {
    let Ok(key) = certificate.public_key() else { return "unreadable".into() };
    let bits = key.bits();
    match key.id() {
        Id::RSA => format!("RSA {bits}"),
        Id::RSA_PSS => format!("RSA-PSS {bits}"),
        Id::EC => {
            let curve =
                key.ec_key().ok().and_then(|key| key.group().curve_name()?.short_name().ok().map(str::to_owned));
            format!("EC {}", curve.unwrap_or_else(|| bits.to_string()))
        }
        Id::ED25519 => "ED25519".into(),
        Id::ED448 => "ED448".into(),
        other => format!("type {}", other.as_raw()),
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let address =
        <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.ok().map(|address| address.to_string())
}

fn date(time: &Asn1TimeRef) -> String {
    let since = Asn1Time::from_unix(0).and_then(|epoch| epoch.diff(time));
    let seconds = since.map(|since| i64::from(since.days) * 86_400 + i64::from(since.secs));
    let date = seconds.ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.map_or_else(|| time.to_string(), |date| rfc3339(date.into()))
}

#[cfg(test)]
mod tests {
    use certificate_trees::{Authority, CertificateSpec, KeyType, Tree};

    use super::*;

    fn spec(subject: &str, issuer: Option<&str>) -> CertificateSpec {
        CertificateSpec {
            subject: Some(subject.into()),
            issuer: issuer.map(str::to_owned),
            ca: Some(true),
            key: Some(KeyType::EcdsaP256),
            san: Some(vec!["DNS:localhost".into(), "IP:127.0.0.1".into()]),
            ..CertificateSpec::default()
        }
    }

    /// A root, one of the same name with another key, an intermediate, and a leaf.
    fn found<'a>(known: &'a mut KnownCertificates, names: &[&str]) -> (Found<'a>, Vec<usize>) {
        let mut tree = Tree::default();
        let specs = [
            ("root", spec("/CN=root", None)),
            ("other", spec("/CN=root", None)),
            ("middle", spec("/CN=middle", Some("root"))),
            ("leaf", spec("/CN=leaf", Some("middle"))),
        ];
        tree.certificates.extend(specs.map(|(name, spec)| (name.to_owned(), spec)));
        let authority = Authority::new(std::env::temp_dir());
        let mut found = Found { known, all: Vec::new(), crls: Vec::new() };
        let places = names.iter().flat_map(|name| {
            let content = authority.file(&tree, &format!("{name}.crt")).expect("a certificate");
            found.take("file", Some(name), Some(&MadeFile { content, mode: 0o600 }))
        });
        let places = places.collect();
        (found, places)
    }

    #[test]
    fn a_chain_goes_from_the_certificate_that_is_shown_to_its_root() {
        let mut known = KnownCertificates::default();
        let (mut found, all) = found(&mut known, &["leaf", "middle", "root"]);
        let chain = found.chain(&all[..2], &all[2..], &[], true);
        let links: Vec<_> = chain.links.iter().map(|link| (link.certificate, link.trusted)).collect();
        assert_eq!((links, chain.missing), (vec![(0, false), (1, false), (2, true)], None));
        let leaf = &found.records()[0];
        assert_eq!((&*leaf.key, &leaf.names[..]), ("EC prime256v1", &["localhost".to_owned(), "127.0.0.1".into()][..]));
        assert!(leaf.not_before < leaf.not_after && leaf.not_after.ends_with('Z'), "{leaf:?}");
    }

    #[test]
    fn an_issuer_that_no_file_has_is_missing_and_one_of_its_name_is_not_it() {
        let mut known = KnownCertificates::default();
        let (mut found, all) = found(&mut known, &["leaf", "other"]);
        let chain = found.chain(&all[..1], &all[1..], &[], true);
        assert_eq!((chain.links.len(), chain.missing.as_deref(), chain.namesake), (1, Some("/CN=middle"), false));
        let (mut found, all) = self::found(&mut known, &["middle", "other"]);
        let chain = found.chain(&all[..1], &all[1..], &[], true);
        assert_eq!((chain.missing.as_deref(), chain.namesake), (Some("/CN=root"), true));
    }

    #[test]
    fn a_lone_certificate_is_completed_from_what_its_own_side_trusts() {
        let mut known = KnownCertificates::default();
        let (mut found, all) = found(&mut known, &["leaf", "middle", "root"]);
        let mut sent = |shown: &[usize], completes| {
            let chain = found.chain(shown, &all[2..], &all[1..2], completes);
            chain.links.iter().map(|link| link.sent).collect::<Vec<_>>()
        };
        assert_eq!(sent(&all[..1], true), [true, true, false]);
        assert_eq!(sent(&all[..1], false), [true, false, false]);
        assert_eq!(sent(&[0, 2], true), [true, false, true]);
    }

    #[test]
    fn a_certificate_in_two_files_is_one() {
        let mut known = KnownCertificates::default();
        let (found, all) = found(&mut known, &["root", "root"]);
        assert_eq!((all, found.records()[0].files.len()), (vec![0, 0], 1));
    }
}
