//! `kong-pg-tls check` as operators meet it: on folders of configurations and certificates.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use certificate_trees::{Authority, CertificateSpec, CrlSpec, ExtendedKeyUsage, KeyType, Tree, Validity};
use kong_pg_client::{Edition, Stack, Stage};
use kong_pg_scenarios::suite::{Case, Expected, Suite};
use kong_pg_scenarios::vocabulary::TlsVersion;
use kong_pg_tls::desk::check::catalog::{Code, Shows, entry};
use rstest::rstest;

use crate::place::{Place, ProgramOutput};

/// The certificates of the tests: two CAs, an intermediate, a server's and several clients'.
fn tree() -> Tree {
    let spec = |subject: &str, issuer: Option<&str>| CertificateSpec {
        subject: Some(subject.into()),
        issuer: issuer.map(str::to_owned),
        key: Some(KeyType::EcdsaP256),
        ca: Some(subject.contains("CA")),
        ..CertificateSpec::default()
    };
    let kong = || spec("/CN=kong", Some("root"));
    let certificates = [
        ("root", spec("/CN=CA root", None)),
        ("foreign", spec("/CN=CA foreign", None)),
        ("old", CertificateSpec { valid: Some(Validity::Expired), ..spec("/CN=CA old", None) }),
        ("intermediate", spec("/CN=CA intermediate", Some("root"))),
        ("lower", spec("/CN=CA lower", Some("intermediate"))),
        ("server", spec("/CN=db.example.com", Some("root"))),
        ("deep", spec("/CN=db.example.com", Some("lower"))),
        ("client", kong()),
        ("of-intermediate", spec("/CN=kong", Some("intermediate"))),
        ("other", spec("/CN=somebody", Some("root"))),
        ("expired", CertificateSpec { valid: Some(Validity::Expired), ..kong() }),
        ("for-servers", CertificateSpec { usage: Some(vec![ExtendedKeyUsage::ServerAuth]), ..kong() }),
        (
            "for-clients",
            CertificateSpec { usage: Some(vec![ExtendedKeyUsage::ClientAuth]), ..spec("/CN=db", Some("root")) },
        ),
        ("weak", CertificateSpec { key: Some(KeyType::Rsa1024), ..kong() }),
    ];
    Tree {
        certificates: certificates.into_iter().map(|(name, spec)| (name.to_owned(), spec)).collect(),
        bundles: [
            ("chain.crt", &["intermediate.crt", "root.crt"][..]),
            ("of-intermediate-chain.crt", &["of-intermediate.crt", "intermediate.crt"]),
            ("deep-trust.crt", &["lower.crt", "intermediate.crt", "root.crt"]),
            ("deep-chain.crt", &["deep.crt", "lower.crt", "intermediate.crt"]),
        ]
        .into_iter()
        .map(|(name, parts)| (name.to_owned(), parts.iter().map(|part| (*part).to_owned()).collect()))
        .collect(),
        crls: [("current", Validity::Now), ("outdated", Validity::Expired)]
            .into_iter()
            .map(|(name, valid)| (name.to_owned(), CrlSpec { issuer: "root".into(), valid, ..CrlSpec::default() }))
            .collect(),
        ..Tree::default()
    }
}

/// A place with all certificates, and files that are no certificates.
fn with_certificates() -> Place {
    let place = Place::new();
    let folder = place.path().join("tls");
    std::fs::create_dir(&folder).expect("a folder");
    let authority = Authority::new(folder.clone());
    let tree = tree();
    for name in tree.files() {
        write(&folder.join(&name), &authority.file(&tree, &name).expect("a certificate"), 0o600);
    }
    let client = authority.certificate(&tree, "client").expect("a certificate");
    write(&folder.join("client.der"), &client.x509.to_der().expect("DER"), 0o600);
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let encrypted = client.key.private_key_to_pem_pkcs8_passphrase(cipher, b"kong").expect("a key");
    write(&folder.join("encrypted.key"), &encrypted, 0o600);
    write(&folder.join("empty.crt"), b"", 0o600);
    write(&folder.join("garbage.crt"), b"nothing to see here\n", 0o600);
    write(&folder.join("locked.crt"), b"-", 0o000);
    write(&folder.join("open.key"), &client.key.private_key_to_pem_pkcs8().expect("a key"), 0o644);
    place
}

fn write(path: &Path, content: &[u8], mode: u32) {
    std::fs::write(path, content).expect("a file");
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
}

/// Checks a kong.conf; `@` in it is the folder of the certificates.
fn check(place: &Place, conf: &str, arguments: &[&str]) -> ProgramOutput {
    let folder = place.path().join("tls").display().to_string();
    write(&place.path().join("kong.conf"), conf.replace('@', &folder).as_bytes(), 0o600);
    place.run(&[&["check", "kong.conf"], arguments].concat())
}

/// The codes of those faults that count.
fn counting(output: &ProgramOutput) -> Vec<String> {
    let document: serde_json::Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:#?}"));
    let faults = document["faults"].as_array().expect("faults");
    let counting = faults.iter().filter(|fault| fault["severity"] != "note");
    counting.map(|fault| fault["code"].as_str().expect("a code").to_owned()).collect()
}

const TLS: &str =
    "pg_host = db.example.com\npg_ssl = on\npg_ssl_required = on\npg_ssl_version = tlsv1_2\npg_ssl_verify = off\n";
const VERIFIED: &str = "pg_host = db.example.com\npg_ssl = on\npg_ssl_required = on\npg_ssl_version = tlsv1_2\npg_ssl_verify = on\n\
                        lua_ssl_trusted_certificate = @/root.crt\nlua_ssl_verify_depth = 1\n";
const MUTUAL: &str = "pg_ssl_cert = @/client.crt\npg_ssl_cert_key = @/client.key\n";
const OSS: &str =
    "pg_host = db.example.com\npg_ssl = on\npg_ssl_verify = on\nlua_ssl_trusted_certificate = @/root.crt\n";

#[rstest]
#[case::no_tls("pg_host = db.example.com\npg_password = x\n", "3.15-enterprise")]
#[case::tls(TLS, "3.15-enterprise")]
#[case::tls_of_an_older_release(TLS, "3.4-enterprise")]
#[case::verified(VERIFIED, "3.15-enterprise")]
#[case::verified_by_the_chain(&VERIFIED.replace("root.crt", "chain.crt"), "3.9-enterprise")]
#[case::the_systems_cas_too(&VERIFIED.replace("@/root.crt", "system,@/root.crt"), "3.9-enterprise")]
#[case::mutual(&format!("{VERIFIED}{MUTUAL}"), "3.15-enterprise")]
#[case::oss(OSS, "3.9-oss")]
#[case::without_a_database("database = off\npg_ssl_verify = on\n", "3.9-oss")]
#[case::password_with_a_hash("pg_password = a\\#b\npg_ssl = on\npg_ssl_verify = off\n", "3.9-oss")]
fn a_clean_configuration_has_no_fault(#[case] conf: &str, #[case] release: &str) {
    let place = with_certificates();
    let output = check(&place, conf, &["--kong", release, "--json"]);
    assert_eq!((output.status, counting(&output)), (Some(0), Vec::new()), "{output:#?}");
    let output = check(&place, conf, &["--kong", release]);
    assert!(output.stdout.contains("Nothing wrong was found"), "{output:#?}");
}

#[rstest]
#[case("client.crt", "missing.key", "file-missing")]
#[case("missing.crt", "client.key", "file-missing")]
#[case("locked.crt", "client.key", "file-unreadable")]
#[case(".", "client.key", "file-is-folder")]
#[case("empty.crt", "client.key", "file-empty")]
#[case("garbage.crt", "client.key", "no-certificate")]
#[case("client.der", "client.key", "file-is-der")]
#[case("client.crt", "garbage.crt", "no-key")]
#[case("client.crt", "other.key", "key-mismatch")]
#[case("client.crt", "encrypted.key", "key-encrypted")]
#[case("expired.crt", "expired.key", "certificate-expired")]
#[case("for-servers.crt", "for-servers.key", "wrong-purpose")]
#[case("weak.crt", "weak.key", "weak-certificate")]
fn a_wrong_client_certificate_is_found(#[case] certificate: &str, #[case] key: &str, #[case] code: &str) {
    let place = with_certificates();
    let conf = format!("{VERIFIED}pg_ssl_cert = @/{certificate}\npg_ssl_cert_key = @/{key}\n");
    let output = check(&place, &conf, &["--json"]);
    assert_eq!((output.status, counting(&output)), (Some(100), vec![code.to_owned()]), "{output:#?}");
}

#[rstest]
#[case("missing.crt", "file-missing")]
#[case(".", "file-is-folder")]
#[case("empty.crt", "file-empty")]
#[case("garbage.crt", "no-certificate")]
#[case("client.der", "file-is-der")]
#[case("server.crt", "leaf-as-ca")]
#[case("intermediate.crt", "intermediate-without-root")]
#[case("old.crt", "certificate-expired")]
fn a_wrong_trusted_file_is_found(#[case] file: &str, #[case] code: &str) {
    let place = with_certificates();
    let output = check(&place, &VERIFIED.replace("root.crt", file), &["--json"]);
    assert_eq!((output.status, counting(&output)), (Some(100), vec![code.to_owned()]), "{output:#?}");
}

#[test]
fn a_chain_that_is_too_long_for_the_depth_is_found_in_the_trusted_file() {
    let place = with_certificates();
    let conf = VERIFIED.replace("root.crt", "deep-trust.crt");
    let output = check(&place, &conf, &["--json", "--kong", "3.9-enterprise"]);
    assert_eq!(counting(&output), ["chain-too-deep"], "{output:#?}");
    let output = check(&place, &conf.replace("depth = 1", "depth = 2"), &["--json"]);
    assert_eq!((output.status, counting(&output)), (Some(0), Vec::new()), "{output:#?}");
}

#[test]
fn what_only_a_cosocket_minds_is_found() {
    let place = with_certificates();
    let conf = VERIFIED.replace("root.crt", "chain.crt");
    let own = "pg_ssl_cert = @/of-intermediate.crt\npg_ssl_cert_key = @/of-intermediate.key\n";
    let output = check(&place, &format!("{conf}{own}"), &["--json"]);
    assert_eq!(counting(&output), ["client-chain-incomplete"], "{output:#?}");
    let whole = own.replace("intermediate.crt", "intermediate-chain.crt");
    assert_eq!(counting(&check(&place, &format!("{conf}{whole}"), &["--json"])), [""; 0]);
}

/// The kong.conf of users' threads, and the fault that was theirs.
#[rstest]
#[case::kong_14956(
    "pg_ssl = on\npg_ssl_cert = /etc/kong/client.crt\npg_ssl_cert_key = /etc/kong/client.key",
    "3.9-oss",
    "ignored-by-edition"
)]
#[case::kong_5423("pg_ssl = on\npg_ssl_required = on\npg_ssl_version = tlsv1_2", "2.8-oss", "ignored-by-edition")]
#[case::kong_2856(
    "pg_host = db.abc.eu-west-1.rds.amazonaws.com\npg_ssl = on\npg_ssl_verify = on",
    "3.4-oss",
    "nothing-trusted"
)]
#[case::kong_3214(
    "pg_ssl = on\npg_ssl_verify = on\nlua_ssl_trusted_certificate = @/client.crt",
    "2.8-oss",
    "leaf-as-ca"
)]
#[case::kong_4787("pg_ssl = on\npg_ssl_verify = on\nlua_ssl_trusted_certificate = @/", "2.8-oss", "file-is-folder")]
#[case::kong_6682(
    "pg_ssl = on\npg_ssl_verify = on\nlua_ssl_trusted_certificate = /nonexistent/bundle.pem",
    "3.0-oss",
    "file-missing"
)]
#[case::kong_5921("pg_ssl = on", "2.8-enterprise", "version-too-old")]
#[case::kong_12702("pg_ssl = on\npg_password = kong", "3.6-oss", "scram-crash")]
#[case::kong_5584("pg_ssl = on\npg_ro_host = replica", "3.9-oss", "read-only-plaintext")]
#[case::quoted_paths(
    "pg_ssl = on\npg_ssl_required = on\npg_ssl_verify = off\npg_ssl_cert = '@/client.crt'\npg_ssl_cert_key = '@/client.key'",
    "3.9-enterprise",
    "quoted-value"
)]
#[case::since_3_14("pg_ssl = on\npg_ssl_required = on\npg_host = postgres", "3.14-enterprise", "verify-by-default")]
fn the_fault_of_a_thread_is_found(#[case] conf: &str, #[case] release: &str, #[case] code: &str) {
    let place = with_certificates();
    let output = check(&place, conf, &["--kong", release, "--json"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(counting(&output).iter().any(|found| found == code), "{output:#?}");
}

/// A server's folder, and its three files.
fn server(place: &Place, conf: &str, hba: &str, ident: &str) {
    for (name, text) in [("postgresql.conf", conf), ("pg_hba.conf", hba), ("pg_ident.conf", ident)] {
        write(&place.path().join("tls").join(name), text.as_bytes(), 0o600);
    }
}

const SERVER: [&str; 6] =
    ["--postgresql", "tls/postgresql.conf", "--hba", "tls/pg_hba.conf", "--ident", "tls/pg_ident.conf"];

#[rstest]
#[case::clean("", "hostssl all all all cert", "", &[])]
#[case::clean_scram("", "hostssl all all all scram-sha-256", "", &[])]
#[case::another_ca("ssl_ca_file = 'foreign.crt'", "hostssl all all all cert", "", &["client-not-verified"])]
#[case::open_key("ssl_key_file = 'open.key'", "hostssl all all all cert", "", &["key-mismatch", "server-key-mode"])]
#[case::key_mismatch("ssl_key_file = 'client.key'", "hostssl all all all cert", "", &["key-mismatch"])]
#[case::no_key("ssl_key_file = 'missing.key'", "hostssl all all all cert", "", &["file-missing"])]
#[case::versions("ssl_min_protocol_version = 'TLSv1.3'", "hostssl all all all cert", "", &["versions-never-meet"])]
#[case::too_deep("ssl_cert_file = 'deep-chain.crt'\nssl_key_file = 'deep.key'", "hostssl all all all cert", "", &["chain-too-deep"])]
#[case::no_intermediate("ssl_cert_file = 'deep.crt'\nssl_key_file = 'deep.key'", "hostssl all all all cert", "", &["server-not-verified"])]
#[case::list("ssl_crl_file = 'current.crl'", "hostssl all all all cert", "", &[])]
#[case::outdated_list("ssl_crl_file = 'outdated.crl'", "hostssl all all all cert", "", &["crl-expired"])]
#[case::no_list("ssl_crl_file = 'garbage.crt'", "hostssl all all all cert", "", &["server-setting"])]
#[case::crossed_versions("ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'", "hostssl all all all cert", "", &["server-setting"])]
#[case::for_clients("ssl_cert_file = 'for-clients.crt'\nssl_key_file = 'for-clients.key'", "hostssl all all all cert", "", &["wrong-purpose"])]
#[case::tls_off("ssl = off", "hostssl all all all cert", "", &["server-tls-off", "server-tls-off"])]
#[case::wants_plaintext("", "hostnossl all all all scram-sha-256", "", &["hba-plaintext-wanted"])]
#[case::map("", "hostssl all all all cert map=m", "m kong kong", &[])]
#[case::map_that_does_not_fit("", "hostssl all all all cert map=m", "m somebody kong", &["map-mismatch"])]
#[case::no_map("", "hostssl all all all cert map=m", "n kong kong", &["map-missing"])]
#[case::old_syntax("", "hostssl all all all md5 clientcert=1", "", &["hba-line"])]
#[case::shadowed("", "host all all all scram-sha-256\nhostssl all all all cert", "", &["hba-shadowed"])]
#[case::debian("", "local all postgres peer\nlocal all all peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\nlocal replication all peer\nhostssl kong kong 0.0.0.0/0 scram-sha-256", "", &[])]
fn both_sides_are_held_against_each_other(
    #[case] conf: &str,
    #[case] hba: &str,
    #[case] ident: &str,
    #[case] expected: &[&str],
) {
    let place = with_certificates();
    let conf = format!(
        "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nssl_ca_file = 'root.crt'\n{conf}\n"
    );
    server(&place, &conf, hba, ident);
    let output = check(&place, &format!("{VERIFIED}{MUTUAL}pg_password = x\n"), &[&SERVER[..], &["--json"]].concat());
    assert_eq!(counting(&output), expected, "{output:#?}");
    assert_eq!(output.status, Some(if expected.is_empty() { 0 } else { 100 }));
}

#[test]
fn a_name_that_is_not_the_users_is_found() {
    let place = with_certificates();
    let conf = "ssl = on\nssl_ca_file = 'root.crt'\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n";
    server(&place, conf, "hostssl all all all cert", "");
    let other = "pg_ssl_cert = @/other.crt\npg_ssl_cert_key = @/other.key\n";
    let output = check(&place, &format!("{VERIFIED}{other}"), &[&SERVER[..4], &["--json"]].concat());
    assert_eq!(counting(&output), ["name-mismatch"], "{output:#?}");
}

#[test]
fn containers_files_are_looked_for_below_their_root() {
    let place = with_certificates();
    let root = place.path().join("rootfs/etc/kong");
    std::fs::create_dir_all(&root).expect("a folder");
    let compose = "services:\n  kong:\n    image: kong:3.9\n    environment:\n      KONG_PG_HOST: db\n      KONG_PG_SSL: \"on\"\n      \
                   KONG_PG_SSL_VERIFY: \"on\"\n      KONG_LUA_SSL_TRUSTED_CERTIFICATE: /etc/kong/ca.crt\n";
    write(&place.path().join("compose.yaml"), compose.as_bytes(), 0o600);
    let arguments = ["check", "compose.yaml", "--kong", "3.9-oss", "--json"];
    let output = place.run(&arguments);
    assert_eq!((output.status, counting(&output)), (Some(0), Vec::new()), "{output:#?}");
    assert!(output.stdout.contains("file-not-looked-at"), "{output:#?}");
    let output = place.run(&[&arguments[..], &["--root", "rootfs"]].concat());
    assert_eq!(counting(&output), ["file-missing"], "{output:#?}");
    std::fs::copy(place.path().join("tls/root.crt"), root.join("ca.crt")).expect("a file");
    let output = place.run(&[&arguments[..], &["--root", "rootfs"]].concat());
    assert_eq!((output.status, counting(&output)), (Some(0), Vec::new()), "{output:#?}");
}

#[test]
fn what_is_mounted_into_a_container_is_looked_for_here() {
    let place = with_certificates();
    let tls = place.path().join("tls").display().to_string();
    let inspected = |file: &str| {
        format!(
            "[{{\"Name\": \"/kong\", \"Config\": {{\"Env\": [\"KONG_PG_SSL=on\", \"KONG_PG_SSL_VERIFY=on\", \"KONG_PG_HOST=db\",\n\
             \"KONG_LUA_SSL_TRUSTED_CERTIFICATE=/etc/tls/{file}\"]}},\n\
             \"Mounts\": [{{\"Type\": \"bind\", \"Source\": \"{tls}\", \"Destination\": \"/etc/tls\"}}]}}]"
        )
    };
    let compose = |file: &str| {
        format!(
            "services:\n  kong:\n    volumes: [./tls:/etc/tls:ro]\n    environment: [KONG_PG_SSL=on, KONG_PG_SSL_VERIFY=on, \
             KONG_PG_HOST=db, KONG_LUA_SSL_TRUSTED_CERTIFICATE=/etc/tls/{file}]\n"
        )
    };
    for (file, expected) in [("root.crt", &[][..]), ("missing.crt", &["file-missing"]), ("server.crt", &["leaf-as-ca"])]
    {
        for text in [inspected(file), compose(file)] {
            write(&place.path().join("kong.yaml"), text.as_bytes(), 0o600);
            let output = place.run(&["check", "kong.yaml", "--kong", "3.9-oss", "--json"]);
            assert_eq!(counting(&output), expected, "{output:#?}");
        }
    }
}

#[test]
fn the_environment_takes_the_place_of_the_file() {
    let place = with_certificates();
    write(&place.path().join("kong.conf"), b"pg_ssl = on\npg_ssl_verify = off\n", 0o600);
    let output = |variables: &[(&str, &str)]| {
        let mut program = place.program(&["check", "kong.conf", "--json"]);
        ProgramOutput::new(program.envs(variables.iter().copied()).output().expect("the program starts"))
    };
    assert_eq!(counting(&output(&[("KONG_PG_SSL", "on"), ("KONG_PG_TLS_JOBS", "1")])), [""; 0]);
    assert_eq!(counting(&output(&[("KONG_PG_SSL", "yes")])), ["switch-off"]);
}

#[rstest]
#[case::prose("kong.conf", b"Dear Sir or Madam,\nplease find enclosed\n", "is not a kong.conf")]
#[case::binary("kong.conf", b"\x00\x01\x02\xff", "not a text file")]
#[case::postgresql_conf("kong.conf", b"listen_addresses = '*'\nssl = on\n", "--postgresql")]
#[case::template("values.yaml", b"env:\n  {{- if .Values.tls }}\n  pg_ssl: on\n  {{- end }}\n", "helm template")]
#[case::no_kong("compose.yaml", b"services:\n  db:\n    environment:\n      POSTGRES_USER: kong\n", "no setting")]
fn what_cannot_be_read_is_reported_clearly(#[case] name: &str, #[case] content: &[u8], #[case] why: &str) {
    let place = Place::new();
    write(&place.path().join(name), content, 0o600);
    let output = place.run(&["check", name]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(why) && output.stdout.is_empty(), "{output:#?}");
}

#[test]
fn a_folder_no_file_and_a_large_file_are_said_clearly() {
    let place = Place::new();
    std::fs::File::create(place.path().join("large.conf")).and_then(|file| file.set_len(100 << 20)).expect("a file");
    for (name, why) in [("tmp", "it is a folder"), ("missing.conf", "no such file"), ("large.conf", "larger than 8 MB")]
    {
        let output = place.run(&["check", name]);
        assert_eq!(output.status, Some(2), "{output:#?}");
        assert!(output.stderr.contains(why), "{output:#?}");
    }
}

const FAULTY: &str = "\
# Kong's database\ndatabase = postgres\npg_host = db.example.com\npg_password = 'topsecret'\n\
pg_ssl = True\npg_ssl_cert = \"/etc/kong/client.crt\"\npg_sslmode = verify-full\n";

#[test]
fn a_report_is_for_people_in_eighty_columns() {
    let place = Place::new();
    write(&place.path().join("kong.conf"), FAULTY.as_bytes(), 0o600);
    let output = place.run(&["check", "kong.conf", "--kong", "3.9-enterprise"]);
    assert!(!output.stdout.contains("topsecret") && !output.stdout.contains('\u{1b}'), "{output:#?}");
    insta::assert_snapshot!(output.stdout);
}

#[test]
fn a_report_is_for_programs_as_json_and_as_sarif() {
    let place = Place::new();
    write(&place.path().join("kong.conf"), FAULTY.as_bytes(), 0o600);
    let output = place.run(&["check", "kong.conf", "--kong", "3.9-enterprise", "--json"]);
    insta::assert_snapshot!(output.stdout);
    let output = place.run(&["check", "kong.conf", "--kong", "3.9-enterprise", "--sarif"]);
    let sarif: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((sarif["version"].as_str(), output.status), (Some("2.1.0"), Some(100)));
    let result = &sarif["runs"][0]["results"][0];
    let location = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        (&location["artifactLocation"]["uri"], &location["region"]["startLine"]),
        (&"kong.conf".into(), &4.into())
    );
    assert!(!output.stdout.contains("topsecret"), "{output:#?}");
}

#[test]
fn the_documentation_has_all_codes() {
    let output = Place::new().run(&["check", "--codes"]);
    let documented =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check.md")).expect("a file");
    assert!(documented.contains(&output.stdout), "docs/check.md is out of date: kong-pg-tls check --codes");
}

/// What a case expects of Kong's two stacks, with an edition, in any of its steps.
fn expectations(case: &Case, edition: Edition) -> Vec<[&Expected; 2]> {
    let expected = case.steps.iter().filter_map(|step| step.expect.as_ref());
    expected.map(|expect| [Stack::Luasec, Stack::Cosocket].map(|stack| expect.on(stack, edition))).collect()
}

fn shows(case: &Case, shows: Shows) -> bool {
    let refused = |expected: &Expected| !matches!(expected, Expected::Connects(_));
    let tls = |expected: &Expected| matches!(expected, Expected::Connects(connects) if !connects.tls.accepted().contains(&TlsVersion::Off));
    let plaintext = |expected: &Expected| !refused(expected) && !tls(expected);
    [Edition::Enterprise, Edition::Oss].into_iter().flat_map(|edition| expectations(case, edition)).any(
        |[one, other]| match shows {
            Shows::Refused => refused(one) && refused(other),
            Shows::OneStackRefused => refused(one) != refused(other),
            Shows::Plaintext => plaintext(one) && plaintext(other),
            Shows::Tls => tls(one) && tls(other),
            Shows::ServerComplains => {
                let complains =
                    |expected: &Expected| matches!(expected, Expected::Refused { stage: Some(Stage::Connect), .. });
                complains(one) && complains(other)
            }
        },
    )
}

#[test]
fn every_fault_is_proved_by_cases_that_show_it() {
    let suite = Suite::built_in().expect("a suite");
    let mut wrong = Vec::new();
    for code in Code::ALL {
        for proof in &entry(*code).cells {
            match suite.cases().find(|case| case.id == proof.case) {
                None => wrong.push(format!("{code}: there is no case {}", proof.case)),
                Some(case) if !shows(case, proof.shows) => {
                    wrong.push(format!("{code}: {} does not show {:?}", proof.case, proof.shows));
                }
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
