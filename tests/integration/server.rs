//! A real server on what the tests run on, for what an operator would have: a server of one's own with certificates.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::place::Place;
use crate::runs_on::runs_on;
use certificate_trees::{Authority, CertificateSpec, KeyType, Tree};
use kong_pg_tls::runfolder::RunFolder;
use kong_pg_tls::session::RuntimeRequest;
use postgres_tls_server::{Configuration, File, Lease, Pool};

/// A server, until it is closed.
pub(crate) struct RealServer {
    pub(crate) lease: Lease,
    pool: Arc<Pool>,
    _folder: Arc<RunFolder>,
}

impl RealServer {
    /// A server with the whole of a configuration in force.
    pub(crate) async fn start(configuration: &Configuration) -> Self {
        let choice = runs_on().runtime.parse().expect("a runtime");
        let folder = Arc::new(RunFolder::create().expect("a folder"));
        let request = RuntimeRequest { choice, ..RuntimeRequest::default() };
        let runtime = request.find(&[], &folder).await.expect("something to run servers with").runtime;
        let major = runs_on().postgres.parse().expect("a major");
        let pool = Pool::new(runtime, 1, kong_pg_scenarios::roles::statements());
        let mut lease = pool.lease(major, configuration).await.expect("a server");
        assert_eq!(lease.server().reload(configuration).await.expect("a reload"), [""; 0]);
        Self { lease, pool, _folder: folder }
    }

    pub(crate) async fn close(self) {
        drop(self.lease);
        self.pool.close().await;
    }
}

/// Certificates by name, with the subject and the issuer of each; those without an issuer are roots.
pub(crate) fn tree(certificates: &[(&str, &str, Option<&str>)]) -> Tree {
    let spec = |(name, subject, issuer): &(&str, &str, Option<&str>)| {
        let spec = CertificateSpec {
            subject: Some((*subject).into()),
            issuer: issuer.map(str::to_owned),
            key: Some(KeyType::EcdsaP256),
            ca: Some(issuer.is_none()),
            ..CertificateSpec::default()
        };
        ((*name).to_owned(), spec)
    };
    Tree { certificates: certificates.iter().map(spec).collect(), ..Tree::default() }
}

/// Writes the certificates and keys of a tree into a place.
pub(crate) fn write(tree: &Tree, place: &Place) {
    let authority = Authority::new(std::env::temp_dir());
    for name in tree.files() {
        let path = place.path().join(&name);
        std::fs::write(&path, authority.file(tree, &name).expect("a certificate")).expect("a file");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a mode");
    }
}

/// A server with the certificates of a place, and these lines of pg_hba.conf.
pub(crate) fn with_certificates_of(place: &Place, hba: &[&str]) -> Configuration {
    let file = |name: &str| File::of_database_user(std::fs::read(place.path().join(name)).expect("a file"));
    Configuration {
        conf: vec![("ssl".into(), "on".into()), ("ssl_ca_file".into(), "root.crt".into())],
        hba: hba.iter().map(|line| (*line).to_owned()).collect(),
        files: ["server.crt", "server.key", "root.crt"].map(|name| (name.to_owned(), file(name))).into(),
        ..Configuration::default()
    }
}
