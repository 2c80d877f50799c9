//! `kong-pg-tls diagnose` says only what cells prove, and knows every text that the suite expects.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use globset::Glob;
use kong_pg_client::{Edition, OpensslLine, Stack};
use kong_pg_scenarios::suite::{Case, Expected, Suite, TextContext};
use kong_pg_tls::desk::diagnose::{Circumstances, Diagnosis, find_causes};
use postgres_tls_server::Major;
use rstest::rstest;
use serde::Deserialize;

static SUITE: LazyLock<Suite> = LazyLock::new(|| {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    Suite::of_folder(&scenarios).unwrap_or_else(|faults| panic!("{faults:?}"))
});

/// What a case expects of its connections, on both stacks and with both editions.
fn expectations(case: &Case) -> impl Iterator<Item = &Expected> {
    case.steps.iter().filter_map(|step| step.expect.as_ref()).flat_map(|expectation| {
        Stack::ALL
            .iter()
            .flat_map(move |&stack| [Edition::Enterprise, Edition::Oss].map(|edition| expectation.on(stack, edition)))
    })
}

fn cases(id: &str) -> Vec<&'static Case> {
    let glob = Glob::new(id).expect("a glob").compile_matcher();
    SUITE.cases().map(AsRef::as_ref).filter(|case| glob.is_match(&case.id)).collect()
}

/// A template in the words of some versions; what only a run knows stands as it is.
fn wordings(template: &str) -> BTreeSet<String> {
    let versions = [(13, OpensslLine(1, 1)), (15, OpensslLine(3, 0)), (17, OpensslLine(3, 5)), (18, OpensslLine(3, 6))];
    let value = |name: &str| {
        let of_a_run =
            ["host", "datadir", "kong"].contains(&name) || name.contains(" of ") && !SUITE.texts.0.contains_key(name);
        of_a_run.then(|| name.to_owned())
    };
    let lines = versions.into_iter().flat_map(|(major, openssl)| {
        let context = TextContext { major: Major(major), openssl: Some(openssl), value: &value };
        SUITE.texts.expand(template, &context).unwrap_or_default()
    });
    lines.collect()
}

/// Every text of both sides that a refusal may have, in the words of some versions.
fn texts(expected: &Expected) -> BTreeSet<String> {
    let Expected::Refused { kong, postgres, .. } = expected else { return BTreeSet::new() };
    let server = postgres.accepted().into_iter().flatten().map(str::to_owned);
    kong.text().accepted().iter().cloned().chain(server).flat_map(|text| wordings(&text)).collect()
}

fn diagnose(text: &str) -> Diagnosis {
    find_causes(&SUITE.causes, text, &Circumstances::default())
}

#[test]
fn every_cause_is_proved_by_cases_that_fail_and_cases_that_connect_or_has_a_source() {
    for (code, cause) in &SUITE.causes.causes {
        assert!(cause.source.is_some() || !(cause.failing.is_empty() || cause.passing.is_empty()), "{code}");
        for id in &cause.failing {
            let found = cases(id);
            assert!(!found.is_empty(), "{code}: no case {id}");
            let shows = |case: &&Case| {
                expectations(case).any(|expected| !matches!(expected, Expected::Connects(_)))
                    || code == "pg-ssl-value-means-off"
                    || case.steps.iter().any(|step| step.log.is_some())
            };
            assert!(found.iter().any(shows), "{code}: {id} does not fail");
        }
        for id in &cause.passing {
            let connects = |case: &&Case| expectations(case).any(|expected| matches!(expected, Expected::Connects(_)));
            assert!(cases(id).iter().any(connects), "{code}: {id} does not connect");
        }
    }
}

#[test]
fn every_symptom_has_causes_that_exist_and_every_cause_a_symptom() {
    let causes = &SUITE.causes;
    let mut used = BTreeSet::new();
    for symptom in &causes.symptoms {
        assert!(!symptom.causes.is_empty(), "{}", symptom.text);
        for code in &symptom.causes {
            assert!(causes.causes.contains_key(code), "{}: no cause {code}", symptom.text);
            used.insert(code);
        }
    }
    let unused: Vec<_> = causes.causes.keys().filter(|code| !used.contains(code)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// Each cause is found from the texts of the cases that claim to show it.
#[test]
fn a_failing_case_of_a_cause_leads_back_to_it() {
    let mut lost = Vec::new();
    for (code, cause) in &SUITE.causes.causes {
        for id in &cause.failing {
            let all: BTreeSet<_> = cases(id).into_iter().flat_map(expectations).flat_map(texts).collect();
            let relayed = cases(id).into_iter().flat_map(expectations).filter_map(|expected| match expected {
                Expected::Refused { relay, .. } => Some(relay.accepted().into_iter().flatten()),
                _ => None,
            });
            let relayed: Vec<_> = relayed.flatten().map(str::to_owned).collect();
            let reset: Vec<_> = cases(id)
                .into_iter()
                .flat_map(|case| &case.steps)
                .filter_map(|step| step.log.as_ref())
                .flat_map(|log| log.accepted().into_iter().flatten())
                .flat_map(wordings)
                .collect();
            let leads = |text: &String| diagnose(text).causes.iter().any(|suspect| suspect.code == *code);
            if !(all.is_empty() && reset.is_empty() || all.iter().chain(&reset).chain(&relayed).any(leads)) {
                lost.push(format!("{code}: {id}"));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// A text that the suite expects may be one that a user wants diagnosed.
#[test]
fn every_text_of_a_refusal_is_known() {
    let mut unknown = BTreeSet::new();
    for case in SUITE.cases() {
        for text in expectations(case).flat_map(texts) {
            let is_detail =
                ["DETAIL:", "HINT:", "CONTEXT:", "\t", "WARNING:"].iter().any(|begin| text.starts_with(begin));
            if !is_detail && diagnose(&text).causes.is_empty() {
                unknown.insert(text);
            }
        }
    }
    assert!(unknown.is_empty(), "{} texts: {unknown:#?}", unknown.len());
}

/// A message as operators paste it, and what is behind it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pasted {
    text: String,
    /// Where the kind of text is from.
    source: String,
    #[serde(default)]
    cause: Vec<String>,
    #[serde(default)]
    unknown: bool,
    kong: Option<String>,
    postgres: Option<u16>,
    stack: Option<String>,
}

/// Nine of ten have their cause first, all others among the first three, and nothing is said of what is not known.
#[test]
fn messages_as_operators_paste_them_are_understood() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/texts/diagnose.yaml");
    let text = std::fs::read_to_string(path).expect("a file");
    let all: Vec<Pasted> = serde_yaml::from_str(&text).expect("a list of texts");
    let (mut known, mut first, mut lost) = (0, 0, Vec::new());
    for pasted in &all {
        assert!(pasted.unknown == pasted.cause.is_empty(), "{pasted:?}");
        let circumstances = Circumstances {
            release: pasted.kong.as_ref().map(|release| release.parse().expect("a release")),
            stack: pasted.stack.as_ref().map(|stack| stack.parse().expect("a stack")),
            major: pasted.postgres.map(Major),
        };
        let found = find_causes(&SUITE.causes, &pasted.text, &circumstances);
        let codes: Vec<_> = found.causes.iter().map(|suspect| suspect.code.clone()).collect();
        let place = codes.iter().position(|code| pasted.cause.contains(code));
        known += usize::from(!pasted.unknown);
        first += usize::from(place == Some(0));
        let is_right = if pasted.unknown { codes.is_empty() } else { place.is_some_and(|place| place < 3) };
        if !is_right || !pasted.unknown && place != Some(0) {
            println!("{place:?} of {codes:?}, not {:?}: {} ({})", pasted.cause, pasted.text, pasted.source);
        }
        if !is_right {
            lost.push(&pasted.text);
        }
    }
    println!("{first} of {known} first, {} texts", all.len());
    assert!(lost.is_empty() && first * 10 >= known * 9, "{first} of {known}; {lost:#?}");
}

/// What users reported, with the cause that their threads found.
#[rstest]
#[case::kong_11768(
    "receive_message: failed to get type: tlsv13 alert certificate required",
    "pooler-requires-certificate"
)]
#[case::kong_14989("handshake failed", "sni-required")]
#[case::kong_12702("attempt to index local 'ssl' (a nil value)", "scram-crash-in-3-6")]
#[case::kong_13083(
    "nginx: [error] init_by_lua error: /usr/local/share/lua/5.1/resty/openssl/auxiliary/nginx.lua:1: resty.openssl.auxiliary.nginx doesn't support Nginx version 1025003",
    "scram-crash-in-3-6"
)]
#[case::kong_6035("don't know how to auth: 10", "scram-unknown")]
#[case::kong_3562("20: unable to get local issuer certificate", "depth-too-small")]
#[case::kong_6682("error loading CA locations (No such file or directory)", "trusted-file-missing")]
#[case::kong_5921("tlsv1 alert protocol version", "version-below-server-minimum")]
#[case::managed(
    "FATAL: no pg_hba.conf entry for host \"10.0.1.7\", user \"kong\", database \"kong\", SSL off",
    "plaintext-not-allowed"
)]
#[case::skunk_547(
    "FATAL:  private key file \"/var/lib/postgresql/server.key\" must be owned by the database user or root",
    "server-key-owner"
)]
#[case::helm(
    "[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: 19: self-signed certificate in certificate chain",
    "untrusted-root-sent"
)]
fn the_causes_of_threads_come_first_or_close_to_it(#[case] text: &str, #[case] code: &str) {
    let found = diagnose(text);
    let position = found.causes.iter().position(|suspect| suspect.code == code);
    assert!(
        position.is_some_and(|position| position < 3),
        "{:?}",
        found.causes.iter().map(|s| &s.code).collect::<Vec<_>>()
    );
}

#[test]
fn two_sides_are_better_than_one() {
    let one = diagnose("certificate verify failed");
    assert_eq!(one.causes[0].code, "ca-not-trusted");
    let both = diagnose(
        "handshake failed\nLOG:  could not accept SSL connection: certificate verify failed\nDETAIL:  Client certificate verification failed at depth 0: certificate has expired.",
    );
    assert_eq!(both.causes[0].code, "client-certificate-expired");
}

#[test]
fn the_direction_of_an_alert_counts() {
    assert_eq!(diagnose("tlsv1 alert unknown ca").causes[0].code, "client-ca-not-trusted");
    assert_eq!(
        diagnose("LOG:  could not accept SSL connection: tlsv1 alert unknown ca").causes[0].code,
        "ca-not-trusted"
    );
}

#[test]
fn what_is_unknown_has_no_causes() {
    let found = diagnose("the moon is full");
    assert!(found.causes.is_empty() && found.who.is_none());
}

#[test]
fn a_release_narrows_the_causes() {
    let circumstances =
        Circumstances { release: Some("3.9-oss".parse().expect("a release")), ..Circumstances::default() };
    let found = find_causes(&SUITE.causes, "FATAL: connection requires a valid client certificate", &circumstances);
    assert_eq!(found.causes[0].code, "client-certificate-open-source");
}

#[rstest]
#[case("receive_message: failed to get type: error", Some("3.9-oss"), None, None, "client-ca-not-trusted", false)]
#[case("receive_message: failed to get type: error", Some("3.9-enterprise"), None, None, "client-ca-not-trusted", true)]
#[case("authenticated with an MD5-encrypted password", None, Some(18), None, "md5-deprecated", false)]
#[case("authenticated with an MD5-encrypted password", None, Some(19), None, "md5-deprecated", true)]
#[case("handshake failed", None, None, Some(Stack::Luasec), "cosocket-versions-differ", false)]
#[case("handshake failed", None, None, Some(Stack::Cosocket), "cosocket-versions-differ", true)]
fn circumstances_rule_causes_out(
    #[case] text: &str,
    #[case] release: Option<&str>,
    #[case] major: Option<u16>,
    #[case] stack: Option<Stack>,
    #[case] code: &str,
    #[case] is_possible: bool,
) {
    let release = release.map(|release| release.parse().expect("a release"));
    let circumstances = Circumstances { release, stack, major: major.map(Major) };
    let found = find_causes(&SUITE.causes, text, &circumstances);
    assert_eq!(found.causes.iter().any(|suspect| suspect.code == code), is_possible, "{found:#?}");
}
